"""Around a user's own container: `fetch` gives it the training rows, `publish` takes what it made.

The container never sees a test row: `publish` fetches them itself and measures the model, if it is one that can be run
here (skops, ONNX, or joblib where the Model allows it). Anything else is published as it is, format `custom`, with the
figures that the container wrote.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mainspring.api import contract
from mainspring.api.contract import ProgressReport, TrainReport, TrainTask
from mainspring.api.v1alpha1.trainingrun import Metric, MetricValue
from mainspring_runtime import threads
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.evaluate import predicting
from mainspring_runtime.evaluate.metrics import of_another_task
from mainspring_runtime.model import sample as samples
from mainspring_runtime.model.predictor import Predictor
from mainspring_runtime.prepared import COLUMNS_FILE, DATASET_FILE, PreparedDataset, fetch_dataset
from mainspring_runtime.train import foreign, outcome, version, watching
from mainspring_runtime.train.splits import Splits, read_splits, require_complete
from mainspring_runtime.train.version import Result

Say = Callable[[int, str], None]

RUN_FILE = "run.json"
MAX_METRICS = 16  # as many as a ModelVersion shows
HANDED_OUT = ("data/train.parquet", "data/validation.parquet", COLUMNS_FILE, DATASET_FILE)


def fetch(task: TrainTask, work: Path, say: Say) -> None:
    """Write `$MAINSPRING_INPUT` with the dataset without its test rows and `run.json`, and make `$MAINSPRING_OUTPUT`."""
    target, output = _directory(contract.ENV_INPUT, work / "input"), _directory(contract.ENV_OUTPUT, work / "output")
    say(1, "Fetching the dataset")
    with tempfile.TemporaryDirectory(dir=work) as temporary:
        source = Path(temporary)
        facts = _facts(task, fetch_dataset(task.dataset.artifact, source))
        for name in HANDED_OUT:
            if (source / name).exists():
                (target / "dataset" / name).parent.mkdir(parents=True, exist_ok=True)
                (source / name).replace(target / "dataset" / name)
    (target / RUN_FILE).write_text(
        json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    # The user's image may run as another user; the directory is seen by this pod alone.
    output.chmod(0o777)
    say(5, "Starting the container")


def publish(task: TrainTask, work: Path, thread_count: int, say: Say) -> TrainReport:
    """Complete what the container wrote to `$MAINSPRING_OUTPUT`, measure it and publish it. Raises `PermanentError`."""
    directory = Path(os.environ.get(contract.ENV_OUTPUT, work / "output"))
    for event in _events():
        say(event.percent * 8 // 10, event.stage)
    with tempfile.TemporaryDirectory(dir=work) as temporary, threads.limited(thread_count):
        dataset = fetch_dataset(task.dataset.artifact, Path(temporary))
        splits = read_splits(dataset)
        say(82, "Loading what the container wrote")
        model = foreign.recognise(directory, dataset, splits.train, task.model.spec, thread_count)
        if model.predictor is not None and not foreign.takes_missing(model.predictor, dataset, splits.train):
            dataset, splits = require_complete(dataset, splits)
            model = foreign.recognise(directory, dataset, splits.train, task.model.spec, thread_count)
        predictor = model.predictor
        result = (
            _declared(directory, dataset, splits, task.spec.evaluation.primary, model.notes)
            if predictor is None
            else _measured(directory, task, predictor, dataset, splits, model.notes)
        )
        described = watching.describe_foreign(predictor, dataset, splits)
    document = version.write_documents(directory, model.document, model.signature)
    version.write_record(directory, task, document, model.signature, result, described)
    say(95, "Publishing")
    report = outcome.publish(directory, task, document, model.signature, result, thread_count)
    say(100, "Done")
    return report


def _directory(variable: str, default: Path) -> Path:
    """An empty directory at the path in the environment."""
    path = Path(os.environ.get(variable, default))
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def _facts(task: TrainTask, dataset: PreparedDataset) -> dict[str, Any]:
    """The content of `run.json`; paths are relative to it."""
    metrics = task.spec.evaluation.metrics or ()
    return {
        "namespace": task.namespace,
        "run": task.run,
        "attempt": task.attempt,
        "model": task.model.name,
        "seed": task.spec.seed,
        "metrics": list(metrics),
        "primary": task.spec.evaluation.primary,
        "task": dataset.task,
        "target": dataset.target.name,
        "positive": dataset.positive,
        "features": [column.name for column in dataset.features],
        "key": dataset.key,
        "timestamp": dataset.timestamp,
        "weight": dataset.weight,
        "dataset": {
            "name": task.dataset.artifact.name,
            "digest": task.dataset.artifact.digest,
            "train": "dataset/data/train.parquet",
            "validation": "dataset/data/validation.parquet" if dataset.has_validation else None,
        },
    }


def _events() -> Iterator[ProgressReport]:
    """What the container said about its progress; lines that are no events are nobody's business."""
    path = os.environ.get(contract.ENV_EVENTS)
    if path is None or not Path(path).is_file():
        return
    with Path(path).open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                yield ProgressReport.model_validate_json(line)
            except ValidationError:
                continue


def _measured(
    directory: Path,
    task: TrainTask,
    predictor: Predictor,
    dataset: PreparedDataset,
    splits: Splits,
    notes: tuple[str, ...],
) -> Result:
    """Figures of our own, whatever the container wrote; and a sample that servers must reproduce."""
    (directory / version.METRICS_FILE).unlink(missing_ok=True)
    samples.write_sample(
        directory, predictor.signature, version.make_sample(predictor, dataset, splits.train, task.spec.seed)
    )
    tested = predicting.outputs(predictor, splits.test.columns)
    return outcome.evaluate(predictor, splits, tested, task.spec.evaluation, task.spec.seed, notes)


def _declared(
    directory: Path, dataset: PreparedDataset, splits: Splits, wanted: Metric | None, notes: tuple[str, ...]
) -> Result:
    """The figures in the container's own metrics.json: a list of metrics, or one value a name."""
    path = directory / version.METRICS_FILE
    metrics = _parse_metrics(path) if path.is_file() else ()
    names = [metric.name for metric in metrics]
    if problems := [problem for name in names if (problem := of_another_task(name, dataset.task))]:
        raise PermanentError("InvalidMetrics", f"metrics.json: {problems[0]}", problems)
    if wanted is not None and wanted not in names:
        raise PermanentError("InvalidMetrics", f"metrics.json lacks {wanted}, which is spec.evaluation.primary")
    path.unlink(missing_ok=True)
    said = "its figures are those that the container wrote" if metrics else "the container wrote no figures"
    primary = wanted or (names[0] if names else None)
    return Result(metrics, primary, splits.counts, (*notes, f"the model cannot be run here; {said}"))


def _parse_metrics(path: Path) -> tuple[MetricValue, ...]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        items = document.get("metrics", document) if isinstance(document, dict) else document
        if isinstance(items, dict):
            items = [{"name": name, "value": value} for name, value in items.items()]
        return tuple(MetricValue.model_validate(item) for item in items)[:MAX_METRICS]
    except (ValueError, TypeError) as error:
        known = ", ".join(Metric)
        message = f'metrics.json must be {{"metrics": [{{"name": …, "value": …}}]}} with names of {known}: {str(error).splitlines()[0]}'
        raise PermanentError("InvalidMetrics", message) from error
