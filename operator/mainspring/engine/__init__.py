"""The engine: one work queue, one reconcile for every kind. Knows nothing of models or data."""
