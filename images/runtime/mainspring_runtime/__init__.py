"""What runs in the pods: dataset preparation, training, evaluation and the model server."""

from __future__ import annotations
