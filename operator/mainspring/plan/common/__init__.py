"""What the plans of all kinds share."""
