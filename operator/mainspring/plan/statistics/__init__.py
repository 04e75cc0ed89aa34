"""What counts say about drift, data quality and performance: pure arithmetic on bins, with the standard library only.

`counts` makes one window out of many servers; `drift`, `quality`, `performance`, `coverage` and `estimate` judge it
against the reference. The other modules are the statistics beneath. Called by the plan of a ModelMonitor.
"""
