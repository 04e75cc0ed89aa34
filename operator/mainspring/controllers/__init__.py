"""Controllers: which reads feed a plan, and which children belong to which object."""
