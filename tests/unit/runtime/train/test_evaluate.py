"""`evaluate`: verifying a version, and comparing it with the champion."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.evaluate import command
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
    for versions in ({"candidate": custom}, {"champion": custom}):
        (found,) = compare(("roc_auc", "All"), **versions)
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
