"""Decisions. Pure: no I/O, no clock, no randomness; the same input always gives the same plan."""
