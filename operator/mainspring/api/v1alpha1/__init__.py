"""`mainspring.dev/v1alpha1`: one module a kind; `KINDS` lists them all."""

from mainspring.api.v1alpha1.dataset import DATASET
from mainspring.api.v1alpha1.datasetversion import DATASET_VERSION
from mainspring.api.v1alpha1.inferenceservice import INFERENCE_SERVICE
from mainspring.api.v1alpha1.model import MODEL
from mainspring.api.v1alpha1.modelmonitor import MODEL_MONITOR
from mainspring.api.v1alpha1.modelversion import MODEL_VERSION
from mainspring.api.v1alpha1.trainingrun import TRAINING_RUN

KINDS = (DATASET, DATASET_VERSION, TRAINING_RUN, MODEL, MODEL_VERSION, INFERENCE_SERVICE, MODEL_MONITOR)
BY_KIND = {kind.kind: kind for kind in KINDS}

__all__ = [
    "BY_KIND",
    "DATASET",
    "DATASET_VERSION",
    "INFERENCE_SERVICE",
    "KINDS",
    "MODEL",
    "MODEL_MONITOR",
    "MODEL_VERSION",
    "TRAINING_RUN",
]
