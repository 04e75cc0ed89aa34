"""Checks of the user and built-in ones: what they say, and that a broken one is not a crash."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.runtime.data.preparing import Workshop, two_classes


def check(sql: str, name: str = "mine") -> dict[str, Any]:
    return {"checks": [{"name": name, "sql": sql}]}


def test_a_check_passes_when_it_finds_nothing(workshop: Workshop) -> None:
    made = workshop.prepare_rows(two_classes(50), check("SELECT * FROM dataset WHERE x < 0"))
    result = made.check("mine")
    assert (result.passed, result.rows, result.message, result.examples) == (True, 0, "", None)


def test_a_check_that_finds_rows_fails_with_their_number(workshop: Workshop) -> None:
    made = workshop.prepare_rows(two_classes(50), check("SELECT * FROM dataset WHERE n = 3"))
    result = made.check("mine")
    assert (result.passed, result.rows, result.message) == (False, 10, "10 rows were returned")
    assert made.report.digest


def test_checks_see_rows_without_a_target(workshop: Workshop) -> None:
    columns = two_classes(50)
    columns["y"][7] = None
    assert workshop.prepare_rows(columns, check("SELECT * FROM dataset WHERE y IS NULL")).check("mine").rows == 1


def test_checks_see_what_prepare_made_with_its_types(workshop: Workshop) -> None:
    spec = check("SELECT * FROM dataset WHERE day < TIMESTAMP '2026-01-10' OR x < 9")
    spec["prepare"] = [{"name": "late", "sql": "SELECT * FROM dataset WHERE x >= 9"}]
    rows = "".join(f"{n},2026-01-{n % 28 + 1:02},{n % 2}\n" for n in range(28))
    assert workshop.prepare_csv("x,day,y\n" + rows, spec).check("mine").passed


@pytest.mark.parametrize(
    ("refreshed_at", "found"),
    [("2026-01-10T00:00:00Z", 18), ("2026-01-10T02:00:00+02:00", 18), ("2026-02-01T00:00:00Z", 0)],
)
def test_checks_can_use_the_time_of_the_refresh(workshop: Workshop, refreshed_at: str, found: int) -> None:
    rows = "".join(f"2026-01-{n + 1:02},{n % 2}\n" for n in range(28))
    spec = check("SELECT * FROM dataset WHERE day > $refreshed_at")
    made = workshop.prepare_csv("day,y\n" + rows, spec | {"features": {"include": ["day"]}}, refreshed_at=refreshed_at)
    assert made.check("mine").rows == found


def test_the_time_of_the_refresh_does_not_change_the_digest(workshop: Workshop) -> None:
    rows = "x,y\n" + "".join(f"{n},{n % 2}\n" for n in range(28))
    spec = check("SELECT 1 WHERE $refreshed_at > TIMESTAMP '2026-06-01'")
    early, late = (
        workshop.prepare_csv(rows, spec, refreshed_at=time) for time in ("2026-01-01T00:00:00Z", "2026-12-01T00:00:00Z")
    )
    assert (early.check("mine").passed, late.check("mine").passed) == (True, False)
    assert early.report.digest == late.report.digest


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT nothing FROM dataset", 'Referenced column "nothing" not found'),
        ("SELECT FROM", "is not valid SQL"),
        ("DROP TABLE dataset", "must be a single SELECT"),
        ("SELECT * FROM dataset WHERE now() > $refreshed_at", "now(), which gives another value each time"),
        ("SELECT $other", "parameter $other; only $refreshed_at can be used"),
        ("SELECT * FROM dataset WHERE CAST(id AS INTEGER) > 1", "Could not convert string '…'"),
        ("SELECT * FROM read_text('/etc/hostname')", "disabled by configuration"),
    ],
)
def test_a_broken_check_fails_with_the_reason(workshop: Workshop, sql: str, words: str) -> None:
    spec = check(sql) | {"features": {"include": ["x"]}}
    result = workshop.prepare_rows(two_classes(50), spec).check("mine")
    assert (result.passed, result.rows) == (False, 0)
    assert words in result.message
    assert len(result.message) <= 256


def test_examples_are_keys_and_only_on_request(workshop: Workshop) -> None:
    spec = check("SELECT id, x FROM dataset WHERE n = 3 -- a comment") | {"key": "id"}
    assert workshop.prepare_rows(two_classes(50), spec).check("mine").examples is None
    made = workshop.prepare_rows(two_classes(50), spec | {"showExamples": True})
    assert made.check("mine").examples == ["row-13", "row-18", "row-23", "row-28", "row-3"]


def test_a_check_that_does_not_return_the_key_has_no_examples(workshop: Workshop) -> None:
    spec = check("SELECT n, count(*) FROM dataset GROUP BY n") | {"key": "id", "showExamples": True}
    result = workshop.prepare_rows(two_classes(50), spec).check("mine")
    assert (result.rows, result.examples) == (5, None)


def test_repeated_keys_fail_and_are_shown_on_request(workshop: Workshop) -> None:
    columns = two_classes(50)
    columns["id"][10:13] = ["row-1", "row-1", "row-2"]
    result = workshop.prepare_rows(columns, {"key": "id", "showExamples": True}).check("unique-key")
    assert (result.passed, result.rows, result.examples) == (False, 5, ["row-1", "row-2"])
    assert "2 values of the key id occur more than once" in result.message
    assert workshop.prepare_rows(two_classes(50), {"key": "id"}).check("unique-key").passed


def test_repeated_keys_still_give_the_same_bytes_each_time(workshop: Workshop) -> None:
    columns = two_classes(200)
    columns["id"] = [f"row-{number // 4}" for number in range(200)]
    digests = set()
    for step in (1, -1):
        made = workshop.prepare_rows({name: values[::step] for name, values in columns.items()}, {"key": "id"})
        digests.add(made.report.digest)
    assert len(digests) == 1


def test_every_class_must_be_on_every_side(workshop: Workshop) -> None:
    columns = two_classes(60) | {"y": ["rare" if number == 5 else "ab"[number % 2] for number in range(60)]}
    made = workshop.prepare_rows(columns, {"key": "id", "split": {"test": 0.3, "validation": 0.3}})
    result = made.check("every-class-on-every-side")
    assert not result.passed
    assert result.message.count("rare in ") == 2
    assert workshop.prepare_rows(two_classes(60), {"key": "id"}).check("every-class-on-every-side").passed


def test_a_regression_needs_rows_on_every_side(workshop: Workshop) -> None:
    columns: dict[str, list[Any]] = {"id": ["row-1", "row-2", "row-3"], "x": [1.0, 2.0, 3.0], "y": [0.5, 1.5, 2.5]}
    result = workshop.prepare_rows(columns, {"key": "id", "task": "Regression", "split": {"test": 0.01}}).check(
        "rows-on-every-side"
    )
    assert not result.passed
    assert "there are no rows in test" in result.message


def test_failed_checks_come_first_and_the_list_is_bounded(workshop: Workshop) -> None:
    checks = [{"name": f"check-{number}", "sql": f"SELECT 1 WHERE {number} = 63"} for number in range(64)]
    made = workshop.prepare_rows(two_classes(50), {"key": "id", "checks": checks})
    assert len(made.report.checks) == 64
    assert made.report.checks[0].name == "check-63"
    assert [result.passed for result in made.report.checks] == [False] + [True] * 63
