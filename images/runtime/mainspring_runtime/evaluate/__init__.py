"""How good a model is, with intervals, and whether a new version may be called as good as the champion.

    command ─► comparison ─► metrics, resampling

Used by `evaluate`; `train` uses `metrics` and `resampling` for a version's own figures.
"""
