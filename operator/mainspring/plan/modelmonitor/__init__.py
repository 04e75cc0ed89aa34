"""What a ModelMonitor does: read, judge, and have the model trained anew when there is something to learn."""
