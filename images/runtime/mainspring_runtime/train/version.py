"""The directory of a model version: what decides predictions (`write_model`), and what is said about it (`write_record`).

model.skops  model.onnx  model.json  signature.json  sample.npz
profile.json  metrics.json  card.md  MLmodel  requirements.lock
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from mainspring.api.contract import TrainTask
from mainspring.api.v1alpha1.trainingrun import Metric, MetricValue
from mainspring_runtime import artifacts
from mainspring_runtime.evaluate import predicting
from mainspring_runtime.model import document as documents
from mainspring_runtime.model import labels, signature
from mainspring_runtime.model import sample as samples
from mainspring_runtime.model.document import ModelDocument
from mainspring_runtime.model.encoding import Array, Columns
from mainspring_runtime.model.predictor import Predictor
from mainspring_runtime.model.sample import Sample
from mainspring_runtime.model.signature import Signature
from mainspring_runtime.prepared import PreparedDataset, Rows
from mainspring_runtime.train import admission, canonical, card, mlmodel, synthetic
from mainspring_runtime.train.training import Trained

PROFILE_FILE = "profile.json"
METRICS_FILE = "metrics.json"
CARD_FILE = "card.md"
MLMODEL_FILE = "MLmodel"
LOCK_FILE = "requirements.lock"
RECORDS = frozenset(
    {
        documents.FILE,
        signature.FILE,
        samples.FILE,
        artifacts.MANIFEST,
        artifacts.SIGNATURE,
        PROFILE_FILE,
        METRICS_FILE,
        CARD_FILE,
        MLMODEL_FILE,
        LOCK_FILE,
    }
)
SAMPLE_ROWS = 100
# Rows whose decision is closer than this say more about rounding than about the model.
UNDECIDED = 1e-4
NAMED_LIBRARIES = (
    "scikit-learn",
    "numpy",
    "scipy",
    "skops",
    "onnxruntime",
    "skl2onnx",
    "onnx",
    "pandas",
    "xgboost-cpu",
    "xgboost",
    "lightgbm",
    "onnxmltools",
)


@dataclass(frozen=True)
class Result:
    """A version's figures, for its record and for the report."""

    metrics: tuple[MetricValue, ...]
    primary: Metric | None
    rows: Mapping[str, int]
    notes: tuple[str, ...]


def write_model(
    directory: Path, trained: Trained, dataset: PreparedDataset, rows: Rows, seed: int, threads: int
) -> Trained:
    """Write what decides predictions; returns the model with its digest and whether ONNX may answer."""
    canonical.write_skops(trained.pipeline, directory / documents.SKOPS_FILE)
    trained = admission.admit(directory, trained, dataset, rows, seed, threads)
    trained = replace(trained, document=write_documents(directory, trained.document, trained.signature))
    samples.write_sample(directory, trained.signature, make_sample(trained.predictor, dataset, rows, seed))
    return trained


def write_documents(directory: Path, document: ModelDocument, described: Signature) -> ModelDocument:
    """Write `model.json` and `signature.json`; the model files must be there already."""
    files = file_names(directory) - RECORDS
    document = replace(document, model_digest=canonical.model_digest(directory, document, files))
    (directory / documents.FILE).write_text(document.to_json(), encoding="utf-8")
    (directory / signature.FILE).write_text(described.to_json(), encoding="utf-8")
    return document


def make_sample(predictor: Predictor, dataset: PreparedDataset, rows: Rows, seed: int) -> Sample:
    """Synthetic rows with the answers of `predictor`; rows that are hardly decided are left out."""
    columns = synthetic.draw(dataset.features, rows, SAMPLE_ROWS, seed)
    return decided_sample(columns, predicting.outputs(predictor, columns), predictor.document)


def decided_sample(columns: Columns, expected: Columns, document: ModelDocument) -> Sample:
    """Rows with the answers to them, without those that are hardly decided."""
    kept = _decided(expected, document)
    return Sample(
        {name: values[kept] for name, values in columns.items()},
        {name: values[kept] for name, values in expected.items()},
    )


def file_names(directory: Path) -> set[str]:
    """Paths of all files relative to the directory; none if there is no directory."""
    found = directory.rglob("*") if directory.is_dir() else ()
    return {path.relative_to(directory).as_posix() for path in found if path.is_file()}


def write_record(
    directory: Path,
    task: TrainTask,
    document: ModelDocument,
    described: Signature,
    result: Result,
    profile: Mapping[str, Any] | None,
) -> None:
    """Write what is said about the model. A file that is there already (from a user's container) stays."""
    texts = {
        METRICS_FILE: _as_json(metrics_document(result)),
        CARD_FILE: card.render(task, document, described, result.metrics, result.primary, result.rows, result.notes),
        MLMODEL_FILE: mlmodel.render(document, described, canonical.types_in(directory, document)),
        LOCK_FILE: lock(),
    }
    if profile is not None:
        texts[PROFILE_FILE] = json.dumps(profile, sort_keys=True, ensure_ascii=False) + "\n"
    for name, text in texts.items():
        if not (directory / name).exists():
            (directory / name).write_text(text, encoding="utf-8")


def metrics_document(result: Result) -> dict[str, Any]:
    return {
        "metrics": [metric.to_dict() for metric in result.metrics],
        "primary": result.primary,
        "rows": dict(result.rows),
    }


def lock() -> str:
    """All installed packages with their versions, as pip reads them."""
    found = {item.name.lower().replace("_", "-"): item.version for item in metadata.distributions()}
    return "".join(sorted(f"{name}=={version}\n" for name, version in found.items()))


def libraries(names: Sequence[str] = NAMED_LIBRARIES) -> dict[str, str]:
    """Versions of the libraries that decide what a model is; those that are not installed are left out."""
    installed = {item.name.lower().replace("_", "-"): item.version for item in metadata.distributions()}
    return {"python": platform.python_version()} | {name: installed[name] for name in names if name in installed}


def _decided(expected: Mapping[str, Array], document: ModelDocument) -> Array:
    """Which rows [N] lie clearly on one side."""
    if document.scores is None:
        return np.ones(len(next(iter(expected.values()))), dtype=bool)
    scores = expected[document.scores]
    if scores.ndim == 1:
        return np.asarray(np.abs(scores) > UNDECIDED)
    if scores.shape[1] == 2 and document.scores == "predict_proba":
        threshold = labels.DEFAULT_THRESHOLD if document.threshold is None else document.threshold
        return np.asarray(np.abs(scores[:, document.positive_index] - threshold) > UNDECIDED)
    if scores.shape[1] < 2:
        return np.ones(len(scores), dtype=bool)
    ranked = np.sort(scores, axis=1)
    return np.asarray(ranked[:, -1] - ranked[:, -2] > UNDECIDED)


def _as_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
