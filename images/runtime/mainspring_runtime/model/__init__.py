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

from __future__ import annotations

import os

# Read once, when scikit-learn loads its OpenMP library. Threads that spin at a barrier burn the container's CPU quota, or
# that of its neighbours: histogram boosting on two threads of a busy machine took 12 s so, and 1 s with threads that sleep.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
