"""What a version has to teach that the one before had not: new rows, and labels that came late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mainspring.api.v1alpha1.datasetversion import NewRows
from mainspring_runtime import artifacts
from mainspring_runtime.prepared import fetch_dataset
from tests.unit.runtime.data.preparing import Made, Workshop

KEYED = {"key": "id"}
TIMED = {"timestamp": "at"}
BOTH = KEYED | TIMED
START = datetime(2026, 1, 1, tzinfo=UTC)


def table(days: Sequence[int], unlabelled: Sequence[int] = ()) -> dict[str, list[Any]]:
    """One row a day; those of `unlabelled` have no target yet."""
    return {
        "id": [f"row-{day}" for day in days],
        "at": [START + timedelta(days=day) for day in days],
        "x": [day / 7 for day in days],
        "y": [None if day in unlabelled else ("yes" if day % 2 else "no") for day in days],
    }


def compare(
    workshop: Workshop,
    before: Mapping[str, Sequence[Any]],
    now: Mapping[str, Sequence[Any]],
    spec: Mapping[str, Any],
    **edit: Any,
) -> NewRows:
    """The new rows of `now`; `edit` changes the spec in between."""
    first = workshop.prepare_rows(before, spec)
    found = workshop.prepare_rows(now, {**spec, **edit}, previous=first.reference()).report.new_rows
    assert found is not None
    return found


def told(found: NewRows) -> tuple[str, int]:
    return found.by.value, found.rows


@pytest.mark.parametrize(("spec", "by"), [(BOTH, "Timestamp"), (TIMED, "Timestamp"), (KEYED, "Key"), ({}, "Count")])
@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (table(range(60)), table(range(60)), 0),
        (table(range(60)), table(range(85)), 25),
        (table(range(60)), table(range(85), unlabelled=range(70, 85)), 10),
        (table(range(60), unlabelled=range(50, 60)), table(range(60)), 10),
        (table(range(60), unlabelled=range(10, 20)), table(range(60)), 10),
        (table(range(60), unlabelled=range(10, 20)), table(range(70), unlabelled=[15]), 19),
    ],
    ids=["same", "newer", "newer-but-unlabelled", "late-at-the-end", "late-between", "late-and-newer"],
)
def test_a_row_is_new_when_its_target_is(
    workshop: Workshop, spec: dict[str, Any], by: str, before: Any, now: Any, expected: int
) -> None:
    assert told(compare(workshop, before, now, spec)) == (by, expected)


@pytest.mark.parametrize(("spec", "expected"), [(BOTH, 10), (KEYED, 10), (TIMED, 5), ({}, 0)])
def test_labels_that_vanish_hide_new_ones_unless_there_is_a_key(
    workshop: Workshop, spec: dict[str, Any], expected: int
) -> None:
    """Five labels are late and five rows newer, forty labels are gone. The count is never too high."""
    before, now = table(range(60), unlabelled=range(10, 20)), table(range(70), unlabelled=range(15, 65))
    assert compare(workshop, before, now, spec).rows == expected


def test_the_first_version_has_nothing_to_be_compared_with(workshop: Workshop) -> None:
    report = workshop.prepare_rows(table(range(60), unlabelled=[3]), BOTH).report
    assert (report.new_rows, report.rows, report.labelled_rows) == (None, 60, 59)


def test_the_total_goes_on_from_the_version_before(workshop: Workshop) -> None:
    first = workshop.prepare_rows(table(range(60)), BOTH)
    made = workshop.prepare_rows(table(range(67)), BOTH, previous=first.reference(), previous_total=100)
    assert made.report.new_rows == NewRows(since="previous", rows=7, by="Timestamp", total=107)


@pytest.mark.parametrize("spec", [BOTH, TIMED])
def test_rows_that_leave_the_window_do_not_hide_new_ones(workshop: Workshop, spec: dict[str, Any]) -> None:
    window = {**spec, "window": {"last": "49d"}}
    before, now = table(range(60), unlabelled=range(40, 45)), table(range(70), unlabelled=range(43, 45))
    assert told(compare(workshop, before, now, window)) == ("Timestamp", 10 + 3)


@pytest.mark.parametrize("spec", [BOTH, TIMED])
def test_older_rows_that_a_wider_window_lets_in_are_not_new(workshop: Workshop, spec: dict[str, Any]) -> None:
    narrow = {**spec, "window": {"last": "30d"}}
    found = compare(workshop, table(range(90)), table(range(95)), narrow, window={"last": "80d"})
    assert told(found) == ("Timestamp", 5)


@pytest.mark.parametrize("spec", [BOTH, TIMED])
def test_a_row_from_the_past_that_arrives_late_is_new(workshop: Workshop, spec: dict[str, Any]) -> None:
    before = table([day for day in range(60) if day not in (30, 31)])
    assert told(compare(workshop, before, table(range(60)), spec)) == ("Timestamp", 2)


@pytest.mark.parametrize("spec", [BOTH, TIMED])
def test_a_late_label_of_the_oldest_row_counts(workshop: Workshop, spec: dict[str, Any]) -> None:
    assert told(compare(workshop, table(range(60), unlabelled=[0]), table(range(60)), spec)) == ("Timestamp", 1)


def test_rows_of_a_key_that_are_replaced_by_others_are_all_new(workshop: Workshop) -> None:
    assert told(compare(workshop, table(range(60)), table(range(60, 110)), KEYED)) == ("Key", 50)


def test_a_key_is_the_same_key_in_another_type(workshop: Workshop) -> None:
    before, now = table(range(60)), table(range(65))
    before["id"], now["id"] = list(range(60)), list(range(65))
    columns = [{"name": "id", "type": "String"}]
    assert told(compare(workshop, before, now, KEYED, columns=columns)) == ("Key", 5)


def test_fewer_rows_are_no_debt(workshop: Workshop) -> None:
    assert told(compare(workshop, table(range(60)), table(range(40)), {})) == ("Count", 0)


@pytest.mark.parametrize(
    ("spec", "edit", "expected"),
    [
        ({}, KEYED, ("Count", 5)),
        (KEYED, TIMED, ("Key", 5)),
        (BOTH, {"timestamp": None}, ("Key", 5)),
        (BOTH, {"target": "z"}, ("Count", 65)),
    ],
)
def test_rows_are_told_by_what_both_versions_have(
    workshop: Workshop, spec: dict[str, Any], edit: dict[str, Any], expected: tuple[str, int]
) -> None:
    before = table(range(60)) | {"z": ["a" if day % 3 else "b" for day in range(60)]}
    now = table(range(65)) | {"z": ["a" if day % 3 else "b" for day in range(65)]}
    assert told(compare(workshop, before, now, spec, **edit)) == expected


def test_rows_that_wait_are_published_where_no_model_reads_them(workshop: Workshop, tmp_path: Path) -> None:
    made = workshop.prepare_rows(table(range(100), unlabelled=range(0, 100, 10)), BOTH)
    assert sorted(made.values("id", "unlabelled")) == sorted(f"row-{day}" for day in range(0, 100, 10))
    assert made.values("y", "unlabelled") == [None] * 10
    manifest = artifacts.fetch(made.reference().uri, made.reference().digest, tmp_path / "all")
    assert "data/unlabelled.parquet" in [file.path for file in manifest.files]
    dataset = fetch_dataset(made.reference(), tmp_path / "training")
    assert len(dataset.rows("train")) + len(dataset.rows("test")) == 90
    assert not (tmp_path / "training/data/unlabelled.parquet").exists()


def test_without_rows_that_wait_there_is_no_file_for_them(workshop: Workshop) -> None:
    made = workshop.prepare_rows(table(range(60)), BOTH)
    assert sorted(path.name for path in (made.directory / "data").iterdir()) == ["test.parquet", "train.parquet"]


def test_what_was_new_does_not_change_the_bytes(workshop: Workshop) -> None:
    def digest(made: Made) -> str | None:
        return made.report.digest

    first = workshop.prepare_rows(table(range(60)), BOTH)
    after = workshop.prepare_rows(table(range(80)), BOTH, previous=first.reference())
    assert digest(after) == digest(workshop.prepare_rows(table(range(80)), BOTH))
