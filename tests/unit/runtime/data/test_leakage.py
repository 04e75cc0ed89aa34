"""Warnings about test sets that know too much."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.unit.runtime.data.preparing import Workshop, two_classes


def warning(workshop: Workshop, name: str, columns: dict[str, Any], spec: dict[str, Any] | None = None) -> str:
    result = workshop.prepare_rows(columns, spec).check(name)
    assert result.passed
    return result.message


def test_equal_rows_on_both_sides_are_counted(workshop: Workshop) -> None:
    columns = two_classes(400) | {"x": [number % 10 / 7 for number in range(400)]}
    made = workshop.prepare_rows(columns, {"key": "id"})
    seen = set(zip(*(made.values(name, "train") for name in ("x", "n", "c")), strict=True))
    expected = sum(row in seen for row in zip(*(made.values(name, "test") for name in ("x", "n", "c")), strict=True))
    result = made.check("leakage-duplicate-rows")
    assert (result.passed, result.rows) == (True, expected)
    assert f"warning: {expected} test rows equal a training row" in result.message
    assert expected > 50


def test_without_a_key_equal_rows_are_on_one_side(workshop: Workshop) -> None:
    columns: dict[str, list[Any]] = {
        "x": [number % 50 / 7 for number in range(400)],
        "y": [number % 2 for number in range(400)],
    }
    made = workshop.prepare_rows(columns)
    assert not set(made.values("x", "train")) & set(made.values("x", "test"))
    assert made.check("leakage-duplicate-rows").message == ""


@pytest.mark.parametrize(
    ("task", "target"),
    [("Classification", lambda number: number >= 250), ("Regression", float)],
)
def test_row_numbers_that_tell_the_target(workshop: Workshop, task: str, target: Any) -> None:
    numbers = random.Random(1).sample(range(500), 500)
    columns = {"row": [number + 1000 for number in numbers], "y": [target(number) for number in numbers]}
    message = warning(workshop, "leakage-identifiers", columns, {"task": task})
    assert message.startswith("warning: row numbers the rows and alone explains ")
    assert "spec.features.exclude" in message


@pytest.mark.parametrize(
    "columns",
    [
        {"row": list(range(500)), "y": [number % 2 for number in range(500)]},
        {"amount": [number * number for number in range(500)], "y": [int(number > 250) for number in range(500)]},
        {"row": list(range(60)), "y": [int(number > 30) for number in range(60)]},
        {"score": [number % 100 for number in range(500)], "y": [int(number % 100 > 50) for number in range(500)]},
    ],
)
def test_other_numbers_are_no_reason_to_warn(workshop: Workshop, columns: dict[str, Any]) -> None:
    assert warning(workshop, "leakage-identifiers", columns) == ""


def test_text_that_differs_in_every_row(workshop: Workshop) -> None:
    assert "id differs in nearly every row, like an identifier" in warning(
        workshop, "leakage-identifiers", two_classes(200)
    )
    assert warning(workshop, "leakage-identifiers", two_classes(200), {"key": "id"}) == ""


def test_the_group_of_a_split_as_a_feature(workshop: Workshop) -> None:
    columns = two_classes(200) | {"patient": [f"p{number % 40}" for number in range(200)]}
    split = {"key": "id", "split": {"by": "Group", "column": "patient"}}
    assert "patient names the group of a row" in warning(workshop, "leakage-identifiers", columns, split)
    assert warning(workshop, "leakage-identifiers", columns, split | {"features": {"exclude": ["patient"]}}) == ""


def test_many_suspects_are_cut_short(workshop: Workshop) -> None:
    columns = {f"identifier_{letter}": [f"{letter}{number}" for number in range(200)] for letter in "abcdef"}
    message = warning(workshop, "leakage-identifiers", columns | {"y": [0, 1] * 100})
    assert "(and 3 more)" in message
    assert len(message) <= 256
