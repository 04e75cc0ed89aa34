"""The type of a text column is decided on all of its values."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.unit.runtime.data.preparing import Workshop

FILLER = 20_000  # more than the rows that are looked at first


def infer(workshop: Workshop, values: list[str], spec: dict[str, Any] | None = None) -> tuple[str, list[Any]]:
    """Type and distinct canonical values of a CSV column with these values."""
    rows = "".join(f'"{value}",{number % 2}\n' for number, value in enumerate(values * 6))
    made = workshop.prepare_csv(f"x,y\n{rows}", spec)
    return made.columns()["x"]["type"], sorted(set(made.values("x")), key=lambda value: (value is not None, value))


@pytest.mark.parametrize(
    ("values", "type_", "canonical"),
    [
        (["1", "-2", "+3"], "Integer", [-2, 1, 3]),
        (["0", "10", ""], "Integer", [None, 0, 10]),
        (["1.5", "2", "-.5", "3.", "1e3", "2E-1"], "Float", [-0.5, 0.2, 1.5, 2.0, 3.0, 1000.0]),
        ([" 1.5 ", "2"], "Float", [1.5, 2.0]),
        (["true", "False", "TRUE"], "Boolean", [False, True]),
        (["1", "NA", "nan", "NULL", "None", "n/a"], "Integer", [None, 1]),
        (["123456789012345678901", "1"], "Float", [1.0, 1.2345678901234568e20]),
        (["01234", "99999"], "Category", ["01234", "99999"]),
        (["0123.5", "1"], "Category", ["0123.5", "1"]),
        (["1_000", "2"], "Category", ["1_000", "2"]),
        (["0x1f", "2"], "Category", ["0x1f", "2"]),
        (["1,5", "2,5"], "Category", ["1,5", "2,5"]),
        (["yes", "no"], "Category", ["no", "yes"]),
        (["a", "NA"], "Category", ["NA", "a"]),
        (["03/04/2024", "05/04/2024"], "Category", ["03/04/2024", "05/04/2024"]),
        (["2024-13-01", "2024-01-01"], "Category", ["2024-01-01", "2024-13-01"]),
        (["", "NA"], "Float", [None]),
    ],
)
def test_types_of_values(workshop: Workshop, values: list[str], type_: str, canonical: list[Any]) -> None:
    assert infer(workshop, values) == (type_, canonical)


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("2024-02-29", "2024-02-29T00:00:00+00:00"),
        ("2024-02-29 23:59", "2024-02-29T23:59:00+00:00"),
        ("2024-02-29T23:59:59.123456", "2024-02-29T23:59:59.123456+00:00"),
        ("2024-02-29T23:59:59Z", "2024-02-29T23:59:59+00:00"),
        ("2024-03-01T01:59:59+02:00", "2024-02-29T23:59:59+00:00"),
        ("2024-02-29 18:59:59-0500", "2024-02-29T23:59:59+00:00"),
    ],
)
def test_iso_times_become_utc(workshop: Workshop, value: str, instant: str) -> None:
    type_, found = infer(workshop, [value, ""])
    assert type_ == "Timestamp"
    assert found[-1].isoformat() == instant


def test_one_late_value_decides(workshop: Workshop) -> None:
    rows = "".join(f"{number % 7},{number % 2}\n" for number in range(FILLER))
    assert workshop.prepare_csv(f"x,y\n{rows}0.5,1\n").columns()["x"]["type"] == "Float"
    assert workshop.prepare_csv(f"x,y\n{rows}seven,1\n").columns()["x"]["type"] == "Category"
    assert workshop.prepare_csv(f"x,y\n{rows},1\n").columns()["x"]["type"] == "Integer"


def test_a_declared_code_keeps_its_zeros(workshop: Workshop) -> None:
    spec = {"columns": [{"name": "x", "type": "Category"}]}
    assert infer(workshop, ["1", "2"], spec) == ("Category", ["1", "2"])
    assert infer(workshop, ["1.50", "2"], spec) == ("Category", ["1.50", "2"])


def test_many_different_texts_are_strings(workshop: Workshop) -> None:
    few = [f"c{number}" for number in range(50)]
    assert infer(workshop, few)[0] == "Category"
    assert infer(workshop, [*few, "one more"])[0] == "String"
    rows = "".join(f"t{number},{number % 2}\n" for number in range(20))
    assert workshop.prepare_csv(f"x,y\n{rows}").columns()["x"]["type"] == "String"


def test_infinite_numbers_are_invalid_not_text(workshop: Workshop) -> None:
    type_, values = infer(workshop, ["1.5", "inf", "-Infinity"], {"maxInvalidFraction": 0.7})
    assert (type_, values) == ("Float", [1.5])
    assert not any(math.isinf(value) for value in values)
