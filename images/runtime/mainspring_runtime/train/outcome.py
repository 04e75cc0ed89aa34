"""What comes after a model is there, however it was made: figures on test rows, the record, the upload and the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mainspring.api.contract import TrainReport, TrainTask
from mainspring.api.v1alpha1.dataset import Task
from mainspring.api.v1alpha1.datasetversion import SplitCounts
from mainspring.api.v1alpha1.trainingrun import Evaluation, Metric
from mainspring_runtime import artifacts
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.evaluate import describing, predicting
from mainspring_runtime.evaluate import metrics as table
from mainspring_runtime.evaluate.measuring import measure
from mainspring_runtime.evaluate.metrics import Predictions
from mainspring_runtime.model.document import ModelDocument
from mainspring_runtime.model.encoding import Columns
from mainspring_runtime.model.predictor import Predictor
from mainspring_runtime.model.signature import Signature
from mainspring_runtime.train import version
from mainspring_runtime.train.splits import Splits
from mainspring_runtime.train.version import Result

MAX_NOTES = 30
MAX_NOTE_CHARACTERS = 500


def require_task(evaluation: Evaluation, task: str) -> None:
    """What can be said about the metrics before anything is trained. Raises `PermanentError("InvalidMetric")`."""
    for field, metrics in (("metrics", evaluation.metrics or ()), ("primary", (evaluation.primary,))):
        problems = [problem for metric in metrics if metric and (problem := table.of_another_task(metric, task))]
        if problems:
            possible = ", ".join(metric for metric in Metric if table.of_another_task(metric, task) is None)
            message = f"spec.evaluation.{field}: {problems[0]}; possible here: {possible}"
            raise PermanentError("InvalidMetric", message, problems)


def evaluate(
    predictor: Predictor, splits: Splits, tested: Columns, evaluation: Evaluation, seed: int, notes: Sequence[str]
) -> Result:
    """Figures from `tested`, the outputs for the test rows. Raises `PermanentError("InvalidMetric")` naming the field."""
    predictions = predicting.arrange(predictor, splits.test, tested)
    wanted, primary = choose(evaluation, predictions)
    measured = measure(predictions, wanted, seed)
    if evaluation.primary is not None and evaluation.primary not in [value.name for value in measured.values]:
        message = f"spec.evaluation.primary: {evaluation.primary} cannot be measured on {len(splits.test)} test rows: {measured.notes[-1]}"
        raise PermanentError("InvalidMetric", message)
    left_out = [f"{splits.unlabelled} rows without a target were left out"] if splits.unlabelled else []
    return Result(measured.values, primary, splits.counts, (*notes, *left_out, *measured.notes))


def choose(evaluation: Evaluation, predictions: Predictions) -> tuple[list[Metric], Metric]:
    """The metrics to measure, and the primary one, which is always among them."""
    wanted = list(dict.fromkeys(evaluation.metrics or table.default_metrics(predictions)))
    table.require(wanted, predictions, "spec.evaluation.metrics")
    primary = evaluation.primary or table.default_primary(predictions)
    table.require([primary], predictions, "spec.evaluation.primary")
    return wanted if primary in wanted else [primary, *wanted], primary


def publish(
    directory: Path, task: TrainTask, document: ModelDocument, signature: Signature, result: Result, threads: int
) -> TrainReport:
    """Upload the version and describe it."""
    published = artifacts.publish(directory, task.destination)
    inputs, outputs = describing.tensors(signature)
    return TrainReport(
        digest=published.digest,
        model_digest=document.model_digest,
        uri=published.uri,
        size=published.size,
        format=document.format,
        task=Task(document.task),
        metrics=list(result.metrics),
        primary=result.primary,
        inputs=inputs,
        outputs=outputs,
        rows=SplitCounts(**result.rows),
        threads=threads,
        libraries=version.libraries(),
        notes=[note[:MAX_NOTE_CHARACTERS] for note in result.notes[:MAX_NOTES]],
    )
