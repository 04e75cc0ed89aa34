"""Decisions for this kind: what was observed, the plan, and the builders of its children."""
