"""The command `evaluate`: verify every byte of a version, load it as a server would, and compare it with the champion."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from mainspring.api import contract
from mainspring.api.contract import ArtifactRef, EvaluateReport, EvaluateTask
from mainspring.api.v1alpha1.model import ModelSpec
from mainspring_runtime import artifacts, reporting, threads
from mainspring_runtime.artifacts import Manifest
from mainspring_runtime.evaluate import comparison, describing
from mainspring_runtime.model import predictor as predictors
from mainspring_runtime.model.predictor import Predictor
from mainspring_runtime.prepared import PreparedDataset, fetch_dataset

Say = Callable[[int, str], None]
MAX_REASON_CHARACTERS = 512


def main(argv: Sequence[str]) -> None:
    """The command: task in, report and outcome out. Raises `JobError`."""
    parser = argparse.ArgumentParser(
        prog=argv[0], description="Verify a model version and compare it with the champion."
    )
    parser.add_argument(
        "--work", type=Path, default=Path(contract.WORK_DIR), help="directory for downloads (default: %(default)s)"
    )
    work = parser.parse_args(argv[1:]).work
    report = evaluate(reporting.load_task(EvaluateTask), work, threads.available(None), reporting.progress)
    reporting.report(report)
    reporting.finish(contract.Outcome(outcome="Succeeded", digest=report.digest))


def evaluate(task: EvaluateTask, work: Path, thread_count: int, say: Say) -> EvaluateReport:
    """Raises `PermanentError` when the version is not what it says it is."""
    say(5, "Fetching the version")
    directory = work / "candidate"
    manifest = _fetch(task.artifact, directory)
    signed_by = _verify_signature(task, directory, manifest)
    say(30, "Loading it as a server would")
    with threads.limited(thread_count):
        predictor, notes = load_both_paths(directory, task.model.spec, thread_count)
        compared = []
        if task.comparison is not None:
            say(50, "Comparing with the champion")
            compared = comparison.compare(
                task.comparison,
                predictor,
                load_champion=lambda: _champion(task, work, thread_count),
                load_dataset=lambda: _dataset(task, work),
            )
    inputs, outputs = describing.tensors(predictor.signature)
    say(100, "Done")
    return EvaluateReport(
        digest=task.artifact.digest,
        size=manifest.size,
        format=predictor.document.format,
        inputs=inputs,
        outputs=outputs,
        compared=compared,
        signed_by=signed_by,
        notes=notes,
        fast_path=None if predictor.path == "custom" else predictor.path == "onnx",
        fallback_reason=(predictor.fallback_reason or "")[:MAX_REASON_CHARACTERS],
    )


def load_both_paths(directory: Path, spec: ModelSpec, thread_count: int) -> tuple[Predictor, list[str]]:
    """The predictor that a server would have. What it may fall back to is loaded and proved as well.

    Raises `PermanentError` as `model.predictor.load` does.
    """
    trusted = spec.trusted_types or ()
    found = predictors.load(directory, trusted_types=trusted, allow_pickle=spec.allow_pickle, threads=thread_count)
    if found.path == "onnx" and found.document.file is not None:
        predictors.load(directory, trusted_types=trusted, allow_pickle=spec.allow_pickle, path="sklearn")
    return found, [_PATH_NOTES[found.path] + (f": {found.fallback_reason}" if found.fallback_reason else "")]


def _verify_signature(task: EvaluateTask, directory: Path, manifest: Manifest) -> str | None:
    """Who signed the version; None when the Model does not ask."""
    asked = task.model.spec.verification
    if asked is None:
        return None
    # Imported here: only who asks pays for it.
    from mainspring_runtime.signing import verification

    pem = os.environ.get(contract.ENV_PUBLIC_KEY, "")
    return verification.verify(task.artifact.uri, directory, manifest, pem, asked.public_key_secret)


def _champion(task: EvaluateTask, work: Path, thread_count: int) -> Predictor:
    assert task.comparison is not None
    directory, spec = work / "champion", task.model.spec
    _fetch(task.comparison.champion, directory)
    return predictors.load(
        directory, trusted_types=spec.trusted_types or (), allow_pickle=spec.allow_pickle, threads=thread_count
    )


def _dataset(task: EvaluateTask, work: Path) -> PreparedDataset:
    assert task.comparison is not None
    directory = work / "dataset"
    shutil.rmtree(directory, ignore_errors=True)
    return fetch_dataset(task.comparison.dataset, directory)


def _fetch(reference: ArtifactRef, directory: Path) -> Manifest:
    """Download and verify into an empty directory."""
    shutil.rmtree(directory, ignore_errors=True)
    return artifacts.fetch(reference.uri, reference.digest, directory)


_PATH_NOTES = {
    "onnx": "answers by ONNX Runtime",
    "sklearn": "answers by scikit-learn",
    "custom": "in a custom format: its bytes are verified, but it cannot be run here",
}
