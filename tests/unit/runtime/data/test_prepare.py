"""`prepare` from end to end: what is published, that it is always the same, and what is reported."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from mainspring.api import contract
from mainspring_runtime import artifacts
from mainspring_runtime.data.limits import MIB, Limits
from mainspring_runtime.errors import PermanentError
from tests.unit.runtime.data.preparing import Workshop, two_classes

KEYED = {"key": "id"}


def test_a_version_has_the_files_that_training_reads(workshop: Workshop, tmp_path: Path) -> None:
    made = workshop.prepare_rows(two_classes(200), {**KEYED, "split": {"test": 0.2, "validation": 0.2}})
    assert made.report.uri
    assert made.report.digest
    manifest = artifacts.fetch(made.report.uri, made.report.digest, tmp_path / "fetched")
    assert [file.path for file in manifest.files] == [
        "columns.json", "data/test.parquet", "data/train.parquet", "data/validation.parquet", "dataset.json", "profile.json"
    ]  # fmt: skip
    assert made.report.size == manifest.size
    assert made.report.uri.endswith(f"/store/{made.report.digest.removeprefix('sha256:')}/")


def test_there_is_no_validation_file_without_a_validation_fraction(workshop: Workshop) -> None:
    made = workshop.prepare_rows(two_classes(50), KEYED)
    assert sorted(path.name for path in (made.directory / "data").iterdir()) == ["test.parquet", "train.parquet"]
    assert made.report.splits
    assert made.report.splits.validation == 0


def test_report_counts_rows_and_columns(workshop: Workshop) -> None:
    made = workshop.prepare_rows(two_classes(200), {**KEYED, "split": {"test": 0.25, "validation": 0.25}})
    splits = made.report.splits
    assert splits
    assert made.report.rows == 200 == splits.train + splits.validation + splits.test
    assert (made.report.column_count, len(made.report.columns)) == (5, 5)
    assert made.table("validation").num_rows == splits.validation
    assert made.facts()["rows"] == {"train": splits.train, "validation": splits.validation, "test": splits.test}


def test_columns_have_canonical_types_in_file_order(workshop: Workshop) -> None:
    times = [datetime(2026, 1, 1 + number % 28, tzinfo=UTC) for number in range(60)]
    columns = {**two_classes(60), "seen_at": times, "flag": [number % 4 == 0 for number in range(60)]}
    made = workshop.prepare_rows(columns, {**KEYED, "timestamp": "seen_at"})
    assert made.table("train").schema.remove_metadata() == pa.schema(
        {
            "id": pa.string(),
            "x": pa.float64(),
            "n": pa.int64(),
            "c": pa.string(),
            "y": pa.string(),
            "seen_at": pa.timestamp("us", tz="UTC"),
            "flag": pa.bool_(),
        }
    )
    assert {name: (entry["type"], entry["role"]) for name, entry in made.columns().items()} == {
        "id": ("String", "Key"),
        "x": ("Float", "Feature"),
        "n": ("Integer", "Feature"),
        "c": ("Category", "Feature"),
        "y": ("Category", "Target"),
        "seen_at": ("Timestamp", "Timestamp"),
        "flag": ("Boolean", "Feature"),
    }
    assert made.columns()["c"]["categories"] == ["green", "red"]
    assert made.facts()["features"] == ["x", "n", "c", "flag"]
    assert made.report.data_cut == made.facts()["dataCut"] == "2026-01-28T00:00:00Z"


def test_row_order_format_threads_memory_and_time_do_not_change_the_digest(workshop: Workshop) -> None:
    columns = {**two_classes(3000), "when": [datetime(2026, 1, 1, number % 24, tzinfo=UTC) for number in range(3000)]}
    columns["x"][17] = None
    order = random.Random(3).sample(range(3000), 3000)
    table = pa.table(columns)
    shuffled = table.take(pa.array(order))
    pacsv.write_csv(shuffled, workshop.root / "shuffled.csv")
    lines = "".join(json.dumps(row, default=str) + "\n" for row in shuffled.to_pylist())
    spec = {"target": "y", "timestamp": "when", **KEYED}
    uris = [
        workshop.parquet(table),
        workshop.parquet(shuffled, "shuffled.parquet"),
        (workshop.root / "shuffled.csv").as_uri(),
        workshop.text(lines, "rows.jsonl"),
    ]
    variants = [
        (uri, Limits(cpus, memory * MIB))
        for uri, (cpus, memory) in zip(uris, [(2, 4096), (1, 512), (2, 512), (1, 4096)], strict=True)
    ]
    times = ["2026-02-01T00:00:00Z", "2026-03-01T00:00:00+01:00"] * 2
    reports = [
        workshop.prepare({**spec, "source": {"uri": uri}}, limits=limits, refreshed_at=time).report
        for (uri, limits), time in zip(variants, times, strict=True)
    ]
    rows = {(report.splits.model_dump_json() if report.splits else "", report.split_digest) for report in reports}
    assert len(rows) == 1
    # The recipe (where the data come from) is part of a version, so only the first two, up to it, are one version.
    data = [workshop.root / f"work-{number}/version" for number in range(4)]
    for name in ("data/train.parquet", "data/test.parquet", "columns.json", "profile.json"):
        assert len({(directory / name).read_bytes() for directory in data}) == 1, name


def test_same_source_prepared_again_has_the_same_digest(workshop: Workshop) -> None:
    first = workshop.prepare_rows(two_classes(500), KEYED, refreshed_at="2026-02-01T00:00:00Z")
    again = workshop.prepare_rows(two_classes(500), KEYED, refreshed_at="2026-02-02T00:00:00Z")
    assert first.report.digest == again.report.digest


def test_another_value_gives_another_digest(workshop: Workshop) -> None:
    columns = two_classes(100)
    first = workshop.prepare_rows(columns, KEYED)
    columns["x"][50] += 1e-9
    assert workshop.prepare_rows(columns, KEYED).report.digest != first.report.digest


def test_rows_without_target_wait_and_are_counted(workshop: Workshop) -> None:
    columns = two_classes(100)
    columns["y"] = [None if number % 10 == 0 else value for number, value in enumerate(columns["y"])]
    made = workshop.prepare_rows(columns, KEYED)
    assert (made.report.rows, made.report.labelled_rows) == (100, 90)
    assert None not in made.values("y")
    check = made.check("labelled-rows")
    assert (check.passed, check.rows) == (True, 10)
    assert not made.column("y").nullable


def test_data_cut_is_that_of_the_newest_labelled_row(workshop: Workshop) -> None:
    columns = {**two_classes(31), "at": [datetime(2026, 1, 1 + number, tzinfo=UTC) for number in range(31)]}
    columns["y"][30] = None
    made = workshop.prepare_rows(columns, {**KEYED, "timestamp": "at"})
    assert made.report.data_cut == "2026-01-30T00:00:00Z"


def test_window_keeps_the_newest_rows(workshop: Workshop) -> None:
    columns = {**two_classes(31), "at": [datetime(2026, 1, 1 + number, tzinfo=UTC) for number in range(31)]}
    made = workshop.prepare_rows(columns, {**KEYED, "timestamp": "at", "window": {"last": "9d12h"}})
    assert sorted(made.values("at"))[0] == datetime(2026, 1, 22, tzinfo=UTC)
    assert made.report.rows == 10


def test_unchanged_source_is_not_prepared_again(workshop: Workshop) -> None:
    made = workshop.prepare_rows(two_classes(50), KEYED)
    again = workshop.prepare_rows(two_classes(50), KEYED, previous_identity="sha256:" + "0" * 64)
    assert not again.report.unchanged
    spec = {"source": {"uri": (workshop.root / "source/rows.parquet").as_uri()}, "target": "y", **KEYED}
    unchanged = workshop.prepare(spec, previous_identity=again.report.identity)
    assert unchanged.report == contract.PrepareReport(unchanged=True, identity=again.report.identity)
    assert not unchanged.directory.exists()
    assert made.report.digest == again.report.digest


def test_regression_has_no_classes(workshop: Workshop) -> None:
    columns = two_classes(60) | {"y": [float(number) for number in range(60)]}
    made = workshop.prepare_rows(columns, {**KEYED, "task": "Regression"})
    assert (made.facts()["classes"], made.facts()["positive"]) == (None, None)
    assert made.check("rows-on-every-side").passed


@pytest.mark.parametrize(
    ("labels", "positive", "expected"),
    [
        (["no", "yes"], None, (["no", "yes"], "yes")),
        (["no", "yes"], "no", (["no", "yes"], "no")),
        ([0, 1], None, ([0, 1], 1)),
        ([0.0, 1.0], "0", ([0, 1], 0)),
        ([False, True], "false", ([False, True], False)),
        (["b", "c", "a"], None, (["a", "b", "c"], None)),
    ],
)
def test_classes_are_sorted_and_the_greater_of_two_is_positive(
    workshop: Workshop, labels: list[Any], positive: str | None, expected: tuple[list[Any], Any]
) -> None:
    columns = two_classes(90) | {"y": [labels[number % len(labels)] for number in range(90)]}
    made = workshop.prepare_rows(columns, {**KEYED, "positive": positive})
    assert (made.facts()["classes"], made.facts()["positive"]) == expected


@pytest.mark.parametrize(
    ("labels", "spec", "reason", "words"),
    [
        (["yes"], {}, "OneClass", "single value 'yes'"),
        (["a", "b"], {"positive": "c"}, "InvalidPositive", "'c' must be one of two classes; spec.target 'y' has a, b"),
        (["a", "b", "c"], {"positive": "a"}, "InvalidPositive", "has a, b, c"),
        ([0.5, 1.0], {}, "InvalidTarget", "set spec.task: Regression"),
        (list(range(300)), {}, "TooManyClasses", "300 different values"),
        (["a", "b"], {"task": "Regression"}, "InvalidTarget", "set spec.task: Classification"),
        ([None], {}, "NoRows", "no row has a value of spec.target 'y'"),
    ],
)
def test_an_impossible_target_is_refused(
    workshop: Workshop, labels: list[Any], spec: dict[str, Any], reason: str, words: str
) -> None:
    columns = two_classes(300) | {
        "y": pa.array(
            [labels[number % len(labels)] for number in range(300)], pa.string() if labels == [None] else None
        )
    }
    with pytest.raises(PermanentError, match=words) as caught:
        workshop.prepare_rows(columns, {**KEYED, **spec})
    assert caught.value.reason == reason


def test_more_columns_than_a_report_may_carry_are_counted_and_published(workshop: Workshop) -> None:
    columns = two_classes(40) | {f"f{number}": [float(number)] * 40 for number in range(250)}
    made = workshop.prepare_rows(columns, KEYED)
    assert (made.report.column_count, len(made.report.columns), len(made.columns())) == (255, 200, 255)


def test_what_an_earlier_start_left_is_removed(workshop: Workshop) -> None:
    work = workshop.root / "work-0"
    (work / "version/data").mkdir(parents=True)
    (work / "version/data/stale.parquet").write_text("left over")
    (work / "source").mkdir()
    uri = workshop.parquet(two_classes(40))
    from mainspring_runtime.data.prepare import prepare
    from mainspring_runtime.data.sources import Places

    task = workshop.task({"source": {"uri": uri}, "target": "y"})
    for _ in range(2):
        prepare(task, Places(work), Limits(2, 768 * MIB), lambda percent, stage: None)
    assert not (work / "version/data/stale.parquet").exists()


def test_the_command_reads_a_task_and_writes_a_report(workshop: Workshop, tmp_path: Path) -> None:
    task = workshop.task({"source": {"uri": workshop.parquet(two_classes(50))}, "target": "y", **KEYED})
    (tmp_path / "task.json").write_text(contract.as_json(task))
    environment = {
        **os.environ,
        "MAINSPRING_TASK": str(tmp_path / "task.json"),
        "MAINSPRING_REPORT_FILE": str(tmp_path / "report.json"),
    }
    command = [sys.executable, "-W", "error", "-m", "mainspring_runtime", "prepare", "--work", str(tmp_path / "work")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = contract.PrepareReport.model_validate_json((tmp_path / "report.json").read_text())
    assert report.rows == 50
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "outcome": "Succeeded",
        "digest": report.digest,
        "reason": "",
        "message": "",
        "details": [],
    }


def test_the_command_explains_bad_input_and_exits_with_42(workshop: Workshop, tmp_path: Path) -> None:
    task = workshop.task({"source": {"uri": workshop.parquet(two_classes(50))}, "target": "label"})
    (tmp_path / "task.json").write_text(contract.as_json(task))
    environment = {**os.environ, "MAINSPRING_TASK": str(tmp_path / "task.json")}
    command = [sys.executable, "-m", "mainspring_runtime", "prepare", "--work", str(tmp_path / "work")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    outcome = contract.Outcome.model_validate_json(done.stdout.splitlines()[-1])
    assert (done.returncode, outcome.outcome, outcome.reason) == (contract.EXIT_PERMANENT, "Failed", "MissingColumn")
    assert "spec.target names the column 'label'" in outcome.message
    assert "Traceback" not in done.stderr
