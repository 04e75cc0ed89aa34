"""A model version as it lies on disk, and how to predict with it.

    predictor ─► onnx_model      onnxruntime, no scikit-learn imported
        │    └─► sklearn_model   skops (typed, safe) or, where allowed, joblib
        ├─► encoding             request columns to the numbers and strings that a model takes
        ├─► labels               probabilities to class labels, one rule for both paths
        ├─► sample               synthetic rows with the answers that loading must reproduce
        └─► document, signature  model.json and signature.json

Used by `train`, `evaluate` and `serve`. Nothing here imports pandas, pyarrow, duckdb or skl2onnx when it is imported, and
scikit-learn only when a model is loaded through it.
"""
