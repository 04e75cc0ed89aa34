"""From a prepared dataset and a specification to a published model version.

command ─► training    estimators, auto, fitting: a fitted pipeline, its threshold, out-of-fold predictions
    │  ├─► version     the directory: canonical, onnx_export, synthetic, profile, card, mlmodel
    │  └─► container   around a user's own container: `fetch` before it, `publish` after it
    ▼
evaluate.measuring     figures on the test rows, which nothing above it ever reads
"""
