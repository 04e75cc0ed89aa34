"""The commands `train` (an estimator), and `fetch` and `publish` (around a user's own container)."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from mainspring.api import contract
from mainspring.api.contract import TrainReport, TrainTask
from mainspring.api.v1alpha1.trainingrun import Preprocessing
from mainspring_runtime import reporting, threads
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.evaluate import predicting
from mainspring_runtime.model import predictor as predictors
from mainspring_runtime.model.document import ModelDocument
from mainspring_runtime.model.predictor import Predictor
from mainspring_runtime.prepared import fetch_dataset
from mainspring_runtime.train import container, estimators, outcome, training, version, watching
from mainspring_runtime.train.splits import read_splits, require_complete

Say = Callable[[int, str], None]

FIT_FROM, FIT_TO = 10, 70  # percent of the whole run


def main(argv: Sequence[str]) -> None:
    """Run `argv[0]`. Raises `JobError`."""
    parser = argparse.ArgumentParser(
        prog=argv[0], description="Train one model, or prepare and publish what a container trains."
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(contract.WORK_DIR),
        help="directory for downloads and results (default: %(default)s)",
    )
    work = parser.parse_args(argv[1:]).work
    task = reporting.load_task(TrainTask)
    if argv[0] == "fetch":
        container.fetch(task, work, reporting.progress)
        return
    make = container.publish if argv[0] == "publish" else train
    report = make(task, work, threads.available(task.spec.resources), reporting.progress)
    reporting.report(report)
    reporting.finish(contract.Outcome(outcome="Succeeded", digest=report.digest))


def train(task: TrainTask, work: Path, thread_count: int, say: Say) -> TrainReport:
    """Fetch the dataset, fit the estimator, prove and measure it, and publish the version."""
    estimator = task.spec.estimator
    if estimator is None:
        raise PermanentError(
            "InvalidTask", "`train` needs spec.estimator; a spec.container is run by `fetch` and `publish`"
        )
    say(1, "Fetching the dataset")
    source, directory = fresh(work / "dataset"), fresh(work / "model")
    dataset = fetch_dataset(task.dataset.artifact, source)
    outcome.require_task(task.spec.evaluation, dataset.task)
    say(5, "Reading")
    splits = read_splits(dataset)
    if estimator.preprocessing is Preprocessing.NONE:
        dataset, splits = require_complete(dataset, splits)
    estimators.preload(estimator.class_)
    with threads.limited(thread_count):
        trained = training.train(dataset, splits.train, splits.validation, estimator, task.spec.seed, _within(say))
        say(75, "Proving the fast path")
        trained = version.write_model(directory, trained, dataset, splits.train, task.spec.seed, thread_count)
        say(85, "Loading it as a server would")
        _require_loadable(directory, task, trained.document, thread_count)
        say(88, "Measuring on the test rows")
        notes = (*trained.notes, _path_note(trained.predictor))
        tested = predicting.outputs(trained.predictor, splits.test.columns)
        result = outcome.evaluate(trained.predictor, splits, tested, task.spec.evaluation, task.spec.seed, notes)
        described = watching.describe(trained, dataset, splits, tested)
    version.write_record(directory, task, trained.document, trained.signature, result, described)
    say(95, "Publishing")
    report = outcome.publish(directory, task, trained.document, trained.signature, result, thread_count)
    say(100, "Done")
    return report


def fresh(directory: Path) -> Path:
    """An empty directory; what an earlier attempt left is removed."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def _within(say: Say) -> training.Step:
    return lambda percent, stage: say(FIT_FROM + percent * (FIT_TO - FIT_FROM) // 100, stage)


def _require_loadable(directory: Path, task: TrainTask, document: ModelDocument, thread_count: int) -> None:
    """Both paths, as a server may need either. Raises what loading raises."""
    trusted = task.model.spec.trusted_types or ()
    predictors.load(directory, trusted_types=trusted, path="sklearn")
    if document.onnx.admitted:
        predictors.load(directory, threads=thread_count, path="onnx")


def _path_note(predictor: Predictor) -> str:
    onnx = predictor.document.onnx
    return (
        "answers by ONNX Runtime, proved equal to scikit-learn"
        if onnx.admitted
        else f"answers by scikit-learn: {onnx.reason}"
    )
