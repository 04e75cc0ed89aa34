"""From a prepared dataset and a specification to a published model version.

command ─► training    estimators, auto, fitting: a fitted pipeline, its threshold, out-of-fold predictions
    │  ├─► version     the directory: canonical, admission (onnx_export, synthetic), card, mlmodel
    │  ├─► outcome     figures on the test rows, upload, report; watching and profile: references for drift
    │  └─► container   around a user's own container: `fetch` before it, `publish` (foreign) after it

Test rows go from `splits` to `outcome` and `watching` and nowhere else.
"""
