"""`evaluate`: verifying a version, and comparing it with the champion."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from sklearn.base import BaseEstimator, ClassifierMixin

from mainspring.api import contract
from mainspring.api.contract import (
    ArtifactRef,
    CompareTask,
    EvaluateReport,
    EvaluateTask,
    ModelFacts,
    RequestedComparison,
    TrainReport,
)
from mainspring.api.v1alpha1.model import ModelSpec
from mainspring.api.v1alpha1.modelversion import ComparedMetric
from mainspring.api.v1alpha1.trainingrun import Metric
from mainspring_runtime import artifacts
from mainspring_runtime.__main__ import main as entry
from mainspring_runtime.errors import PermanentError, RetryableError
from mainspring_runtime.evaluate import command
from mainspring_runtime.signing import keys
from tests.unit.runtime.signing import versions
from tests.unit.runtime.train import prepared_data, tasks

SPLIT = prepared_data.SPLIT_DIGEST
LOGISTIC = "sklearn.linear_model.LogisticRegression"


def reference(report: TrainReport, name: str = "table-v2") -> ArtifactRef:
    return ArtifactRef(name=name, uri=report.uri, digest=report.digest)


def make_task(report: TrainReport, comparison: CompareTask | None = None, **model: Any) -> EvaluateTask:
    return EvaluateTask(
        namespace="lab",
        model_version="table-v2",
        artifact=reference(report),
        model=ModelFacts(name="table", spec=ModelSpec.model_validate(model)),
        comparison=comparison,
    )


def evaluate(tmp_path: Path, task: EvaluateTask) -> EvaluateReport:
    return command.evaluate(task, tmp_path / "evaluation", 1, tasks.silent)


def comparison(
    root: Path, champion: TrainReport, dataset: Path, *metrics: tuple[str, str | None], **facts: Any
) -> CompareTask:
    stored = tasks.store(root, dataset)
    defaults = {"split_digest": SPLIT, "champion_split_digest": SPLIT, "champion_data_cut": "2024-01-01T00:00:00Z"}
    return CompareTask(
        champion=reference(champion, "table-v1"),
        champion_dataset=stored,
        dataset=stored,
        metrics=[RequestedComparison(metric=Metric(name), on=on) for name, on in metrics],
        **(defaults | facts),
    )


@pytest.fixture(scope="module")
def weak(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainReport:
    """A champion that knows nothing."""
    return tasks.train(tmp_path_factory.mktemp("weak"), mixed, "sklearn.dummy.DummyClassifier")


Compare = Callable[..., list[ComparedMetric]]


@pytest.fixture
def compare(tmp_path: Path, mixed: Path, logistic: TrainReport, weak: TrainReport) -> Compare:
    """Compare the logistic regression (or `candidate`) with the weak champion (or `champion`)."""

    def run(
        *metrics: tuple[str, str | None],
        candidate: TrainReport = logistic,
        champion: TrainReport = weak,
        dataset: Path = mixed,
        **facts: Any,
    ) -> list[ComparedMetric]:
        task = make_task(candidate, comparison(tmp_path, champion, dataset, *metrics, **facts))
        return evaluate(tmp_path, task).compared

    return run


def test_a_version_is_verified_loaded_and_described(tmp_path: Path, logistic: TrainReport) -> None:
    report = evaluate(tmp_path, make_task(logistic))
    assert (report.digest, report.size, report.format) == (logistic.digest, logistic.size, "skops")
    assert (report.inputs, report.outputs) == (logistic.inputs, logistic.outputs)
    assert report.notes == ["answers by ONNX Runtime"]
    assert (report.fast_path, report.fallback_reason) == (True, "")
    assert report.compared == []


def test_a_changed_byte_is_found(tmp_path: Path, flowers: Path) -> None:
    report = tasks.train(tmp_path, flowers, LOGISTIC)
    (tasks.directory_of(report) / "card.md").write_text("# Much better")
    with pytest.raises(PermanentError) as raised:
        evaluate(tmp_path, make_task(report))
    assert (raised.value.reason, raised.value.details) == ("ArtifactDigestMismatch", ("card.md",))


def test_why_scikit_learn_answers_is_a_note(tmp_path: Path, flowers: Path) -> None:
    report = tasks.train(tmp_path, flowers, "sklearn.neighbors.NearestCentroid")
    found = evaluate(tmp_path, make_task(report))
    (note,) = found.notes
    assert found.fast_path is False
    assert note.endswith(f": {found.fallback_reason}")
    assert note.startswith("answers by scikit-learn: skl2onnx cannot convert NearestCentroid")


def test_what_a_server_may_fall_back_to_is_proved_as_well(tmp_path: Path, logistic: TrainReport) -> None:
    copy = Path(shutil.copytree(tasks.directory_of(logistic), tmp_path / "copy"))
    (copy / "model.skops").write_bytes(b"nothing")
    published = artifacts.publish(copy, (tmp_path / "models").as_uri())
    task = make_task(logistic.model_copy(update={"uri": published.uri, "digest": published.digest}))
    with pytest.raises(PermanentError, match=r"model\.skops cannot be loaded"):
        evaluate(tmp_path, task)


def test_a_better_candidate_has_positive_differences_whichever_way_the_metric_goes(compare: Compare) -> None:
    for found in compare(("roc_auc", "All"), ("log_loss", "All")):
        assert found.inconclusive is None
        assert found.difference is not None
        assert found.lower is not None
        assert found.upper is not None
        assert found.lower <= found.difference <= found.upper
        assert found.difference > 0
        assert found.rows == 240
        assert found.smallest_detectable is not None
        assert found.smallest_detectable > 0


def test_a_worse_candidate_has_negative_ones(compare: Compare, logistic: TrainReport, weak: TrainReport) -> None:
    for found in compare(("roc_auc", "All"), ("log_loss", "All"), candidate=weak, champion=logistic):
        assert found.difference is not None
        assert found.difference < 0


def test_a_version_does_not_differ_from_itself(compare: Compare, logistic: TrainReport) -> None:
    (found,) = compare(("roc_auc", "All"), champion=logistic)
    assert (found.difference, found.lower, found.upper) == (0, 0, 0)


def test_recent_rows_are_the_default_and_newer_than_the_champions_data(compare: Compare, mixed: Path) -> None:
    from mainspring_runtime.prepared import read_dataset

    cut = "2024-07-01T00:00:00Z"
    (found,) = compare(("roc_auc", None), champion_data_cut=cut)
    timestamp = read_dataset(mixed).rows("test").timestamp
    assert timestamp is not None
    assert found.on == "Recent"
    assert found.rows == int((timestamp > np.datetime64(cut[:-1])).sum())
    assert 30 < found.rows < 240


def test_an_improvement_on_recent_rows_is_proved_by_a_bound_above_zero(
    compare: Compare, logistic: TrainReport, weak: TrainReport
) -> None:
    """What `mode: Better` asks for: a real difference has it, a version against itself and a worse one do not."""
    bounds = []
    for candidate, champion in ((logistic, weak), (logistic, logistic), (weak, logistic)):
        (found,) = compare(("roc_auc", "Recent"), candidate=candidate, champion=champion)
        assert found.on == "Recent"
        assert found.lower is not None
        bounds.append(found.lower > 0)
    assert bounds == [True, False, False]


OLD, NEW = 2000, 400
CHANGE = datetime(2026, 2, 1, tzinfo=UTC)


def concepts(directory: Path, start: int, stop: int) -> Path:
    """Rows start to stop of a stream, one a minute, in which `x` means the opposite after the first `OLD` rows."""
    generator = np.random.default_rng(5)
    x, noise = generator.normal(size=(2, OLD + NEW))
    meaning = np.where(np.arange(OLD + NEW) < OLD, 1, -1)
    outcome = ["yes" if value > 0 else "no" for value in meaning * x + 0.7 * noise]
    seen = [CHANGE + timedelta(minutes=minute - OLD + 1) for minute in range(OLD + NEW)]
    columns = {"x": ("Float", x.tolist()), "outcome": ("Category", outcome), "seen_at": ("Timestamp", seen)}
    chosen = {name: (kind, values[start:stop]) for name, (kind, values) in columns.items()}
    return prepared_data.write_dataset(directory, chosen, target="outcome", timestamp="seen_at")


def test_after_a_change_of_concept_only_the_version_that_repairs_is_better_on_recent_rows(tmp_path: Path) -> None:
    """Over all rows it is the other way round: the useless one passes, and the one that repairs does not."""
    old, every = concepts(tmp_path / "old", 0, OLD), concepts(tmp_path / "every", 0, OLD + NEW)
    new = concepts(tmp_path / "new", OLD, OLD + NEW)
    champion, useless, repairing = (
        tasks.train(tmp_path / data.name / "model", data, LOGISTIC) for data in (old, every, new)
    )

    def lower_and_upper(candidate: TrainReport, data: Path, on: str) -> tuple[float, float]:
        cut = {"champion_data_cut": CHANGE.isoformat()}
        task = make_task(candidate, comparison(tmp_path, champion, data, ("roc_auc", on), **cut))
        (found,) = evaluate(tmp_path, task).compared
        assert found.lower is not None
        assert found.upper is not None
        return found.lower, found.upper

    assert lower_and_upper(useless, every, "All")[1] >= -0.01
    assert lower_and_upper(repairing, every, "All")[1] < -0.01
    assert lower_and_upper(useless, every, "Recent")[0] <= 0
    assert lower_and_upper(repairing, new, "Recent")[0] > 0


@pytest.mark.parametrize(
    ("metrics", "facts", "message", "rows"),
    [
        (("roc_auc", "All"), {"champion_split_digest": "sha256:" + "6" * 64}, "split by different rules", 0),
        (("roc_auc", "All"), {"split_digest": None}, "split by different rules", 0),
        (("roc_auc", "Recent"), {"champion_data_cut": None}, "rows: Recent needs spec.timestamp", 0),
        (
            ("roc_auc", "Recent"),
            {"champion_data_cut": "2024-10-25T00:00:00Z"},
            "rows are held out from both versions; roc_auc needs at least 30",
            1,
        ),
        (
            ("expected_calibration_error", "All"),
            {},
            "only 240 rows are held out from both versions; expected_calibration_error needs at least 1000",
            240,
        ),
        (("r2", "All"), {}, "r2 is not a metric for task: Classification", 240),
    ],
)
def test_without_a_fair_comparison_there_is_no_verdict(
    compare: Compare, metrics: tuple[str, str], facts: dict[str, Any], message: str, rows: int
) -> None:
    (found,) = compare(metrics, **facts)
    assert found.inconclusive is not None
    assert message in found.inconclusive
    assert found.difference is None
    assert found.rows == rows


def test_a_champion_that_cannot_be_loaded_is_no_fault_of_the_candidate(compare: Compare, weak: TrainReport) -> None:
    (found,) = compare(("roc_auc", "All"), champion=weak.model_copy(update={"uri": weak.uri[:-5] + "0000/"}))
    assert found.inconclusive is not None
    assert found.inconclusive.startswith("the champion cannot be loaded: there is no manifest.json")


def test_a_champion_that_needs_another_column_is_no_fault_of_the_candidate(compare: Compare, tmp_path: Path) -> None:
    columns = prepared_data.mixed_columns(300)
    wide = {name: columns[name] for name in ("amount", "visits", "outcome")}
    narrow = {name: columns[name] for name in ("amount", "outcome")}
    champion_data, candidate_data = (
        prepared_data.write_dataset(tmp_path / name, part, target="outcome")
        for name, part in (("wide", wide), ("narrow", narrow))
    )
    champion, candidate = (tasks.train(tmp_path, dataset, LOGISTIC) for dataset in (champion_data, candidate_data))
    (found,) = compare(("roc_auc", "All"), candidate=candidate, champion=champion, dataset=candidate_data)
    assert found.inconclusive is not None
    assert "the champion needs the column 'visits'" in found.inconclusive


def test_a_custom_format_is_verified_but_cannot_be_compared(
    compare: Compare, tmp_path: Path, logistic: TrainReport
) -> None:
    custom = as_custom(tmp_path, logistic)
    found = evaluate(tmp_path, make_task(custom))
    (note,) = found.notes
    assert found.fast_path is None
    assert "its bytes are verified, but it cannot be run here" in note
    for side in ({"candidate": custom}, {"champion": custom}):
        (found,) = compare(("roc_auc", "All"), **side)
        assert found.inconclusive == "a version in a custom format cannot be run here"


def as_custom(tmp_path: Path, report: TrainReport) -> TrainReport:
    """The same version in a format that nothing here understands."""
    copy = Path(shutil.copytree(tasks.directory_of(report), tmp_path / "custom"))
    for name in ("model.skops", "model.onnx", "sample.npz"):
        (copy / name).unlink()
    (copy / "model.pt").write_bytes(b"tensors")
    document = json.loads((copy / "model.json").read_text())
    (copy / "model.json").write_text(json.dumps(document | {"format": "custom", "file": None}))
    published = artifacts.publish(copy, (tmp_path / "models").as_uri())
    return report.model_copy(update={"uri": published.uri, "digest": published.digest})


def test_without_a_timestamp_all_rows_are_the_default(compare: Compare, tmp_path: Path, tumours: Path) -> None:
    candidate, champion = (
        tasks.train(tmp_path, tumours, class_)
        for class_ in ("sklearn.naive_bayes.GaussianNB", "sklearn.dummy.DummyClassifier")
    )
    (found,) = compare(("accuracy", None), candidate=candidate, champion=champion, dataset=tumours)
    assert (found.on, found.rows) == ("All", 113)
    assert found.lower is not None
    assert found.lower > 0


def test_a_champion_with_fewer_classes_is_compared_on_all_of_them(
    compare: Compare, tmp_path: Path, flowers: Path
) -> None:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    old = prepared_data.iris(tmp_path / "old")
    for split in ("train", "test"):
        path = old / "data" / f"{split}.parquet"
        table = pq.read_table(path)
        pq.write_table(table.filter(pc.not_equal(table["species"], "virginica")), path)
    champion, candidate = (tasks.train(tmp_path, dataset, LOGISTIC) for dataset in (old, flowers))
    accuracy, loss = compare(
        ("accuracy", None), ("log_loss", None), candidate=candidate, champion=champion, dataset=flowers
    )
    assert accuracy.difference is not None
    assert accuracy.difference > 0.1
    assert loss.difference is not None
    assert loss.difference > 0


def test_regressions_are_compared_too(compare: Compare, tmp_path: Path, sugar: Path) -> None:
    candidate, champion = (
        tasks.train(tmp_path, sugar, class_)
        for class_ in ("sklearn.linear_model.Ridge", "sklearn.dummy.DummyRegressor")
    )
    found = compare(("mean_absolute_error", None), ("r2", None), candidate=candidate, champion=champion, dataset=sugar)
    assert all(item.lower is not None and item.lower > 0 for item in found)


def test_the_command_reads_its_task_and_reports(
    tmp_path: Path, logistic: TrainReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "task.json").write_text(json.dumps(make_task(logistic).to_dict()))
    monkeypatch.setenv("MAINSPRING_TASK", str(tmp_path / "task.json"))
    monkeypatch.setenv("MAINSPRING_REPORT_FILE", str(tmp_path / "report.json"))
    assert entry(["evaluate", "--work", str(tmp_path / "work")]) == 0
    assert EvaluateReport.model_validate_json((tmp_path / "report.json").read_text()).digest == logistic.digest


# ---- Signatures, and what a Model does not allow to load

ASKED = {"verification": {"publicKeySecret": "model-signing"}}


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> EllipticCurvePrivateKey:
    """A key whose public half is in the Secret."""
    found = versions.new_key()
    monkeypatch.setenv(contract.ENV_PUBLIC_KEY, versions.public_pem(found.public_key()))
    return found


def test_a_signed_version_is_reported_with_its_key(tmp_path: Path, flowers: Path, key: EllipticCurvePrivateKey) -> None:
    report = tasks.train(tmp_path, flowers, LOGISTIC)
    versions.sign(tasks.directory_of(report), key)
    assert evaluate(tmp_path, make_task(report, **ASKED)).signed_by == keys.fingerprint(key.public_key())
    assert evaluate(tmp_path, make_task(report)).signed_by is None


@pytest.mark.usefixtures("key")
def test_an_unsigned_version_is_not_even_loaded(tmp_path: Path, logistic: TrainReport) -> None:
    with pytest.raises(RetryableError) as raised:
        evaluate(tmp_path, make_task(logistic, **ASKED))
    assert (raised.value.reason, raised.value.details) == ("SignatureMissing", ("model.sig",))


def test_without_a_key_nothing_is_verified(tmp_path: Path, logistic: TrainReport) -> None:
    with pytest.raises(RetryableError, match=r"public\.pem of Secret model-signing .* holds no public key") as raised:
        evaluate(tmp_path, make_task(logistic, **ASKED))
    assert raised.value.reason == "VerificationKeyInvalid"


def test_a_champion_from_before_signatures_can_be_compared_with(
    compare: Compare, tmp_path: Path, flowers: Path, key: EllipticCurvePrivateKey
) -> None:
    """Else nothing that is signed could ever take its place."""
    champion, candidate = (tasks.train(tmp_path, flowers, name) for name in ("sklearn.dummy.DummyClassifier", LOGISTIC))
    versions.sign(tasks.directory_of(candidate), key)
    asked = comparison(tmp_path, champion, flowers, ("accuracy", None))
    assert evaluate(tmp_path, make_task(candidate, asked, **ASKED)).compared[0].inconclusive is None


class Stranger(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A type that nobody has reviewed."""


def republished(report: TrainReport, root: Path, **document: Any) -> TrainReport:
    """The version with other facts in its model.json, and whatever was put beside it."""
    directory = tasks.directory_of(report)
    facts = tasks.read_json(directory, "model.json") | {"onnx": {"admitted": False, "reason": ""}} | document
    (directory / "model.json").write_text(json.dumps(facts))
    published = artifacts.publish(directory, (root / "other").as_uri())
    return report.model_copy(update={"digest": published.digest, "uri": published.uri})


def refused(root: Path, report: TrainReport, **model: Any) -> PermanentError:
    with pytest.raises(PermanentError) as raised:
        evaluate(root, make_task(report, **model))
    return raised.value


def test_an_unreviewed_type_is_named_with_its_file_and_what_to_do(tmp_path: Path, flowers: Path) -> None:
    report = tasks.train(tmp_path, flowers, LOGISTIC)
    skops.io.dump(Stranger(), tasks.directory_of(report) / "model.skops")
    other, name = republished(report, tmp_path), f"{Stranger.__module__}.Stranger"
    error = refused(tmp_path, other)
    assert (error.reason, error.details) == ("UntrustedTypes", (name,))
    assert error.message.startswith("model.skops contains types that are not on the reviewed list")
    assert "spec.trustedTypes of the Model" in error.message
    assert refused(tmp_path, other, trustedTypes=[name]).reason == "SampleNotReproduced"


def test_the_path_that_is_not_taken_is_looked_at_too(tmp_path: Path, flowers: Path) -> None:
    """ONNX answers; the file that a server would fall back to has a type that nobody has reviewed."""
    report = tasks.train(tmp_path, flowers, LOGISTIC)
    skops.io.dump(Stranger(), tasks.directory_of(report) / "model.skops")
    assert refused(tmp_path, republished(report, tmp_path, onnx={"admitted": True})).reason == "UntrustedTypes"


def test_a_pickle_is_named_and_loaded_only_when_the_model_allows_it(tmp_path: Path, flowers: Path) -> None:
    report = tasks.train(tmp_path, flowers, LOGISTIC)
    directory = tasks.directory_of(report)
    fitted = skops.io.load(
        directory / "model.skops", trusted=skops.io.get_untrusted_types(file=directory / "model.skops")
    )
    joblib.dump(fitted, directory / "model.joblib")
    other = republished(report, tmp_path, format="joblib", file="model.joblib")
    error = refused(tmp_path, other)
    assert error.reason == "PickleNotAllowed"
    assert error.message.startswith("model.joblib is a pickle")
    assert "spec.allowPickle of the Model" in error.message
    assert evaluate(tmp_path, make_task(other, allowPickle=True)).format == "joblib"
