"""Which rows are held out: stable for Hash and Group, only forward for Time."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.api.v1alpha1.dataset import DatasetSpec
from mainspring_runtime.data.history import Cuts
from mainspring_runtime.data.split import SIDES, Splitter, split_digest
from tests.unit.runtime.data.preparing import Made, Workshop, two_classes

START = datetime(2026, 1, 1, tzinfo=UTC)


def side_of(made: Made, column: str = "id") -> dict[Any, str]:
    sides = sorted(path.stem for path in (made.directory / "data").iterdir())
    return {value: side for side in sides for value in made.values(column, side)}


def timed(days: range, test: float = 0.25, validation: float = 0.0) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    columns: dict[str, list[Any]] = {
        "id": [f"day-{day}" for day in days],
        "at": [START + timedelta(days=day) for day in days],
        "x": [float(day) for day in days],
        "y": [day % 2 for day in days],
    }
    return columns, {"key": "id", "timestamp": "at", "split": {"by": "Time", "test": test, "validation": validation}}


def test_known_keys_stay_where_they_are(workshop: Workshop) -> None:
    """A change here moves rows of existing users between training and test: it needs a new ALGORITHM."""
    made = workshop.prepare_rows(two_classes(30), {"key": "id", "split": {"test": 0.3}})
    held_out = sorted(int(key.removeprefix("row-")) for key in made.values("id", "test"))
    assert held_out == [0, 7, 11, 18, 23, 25, 29]


@pytest.mark.parametrize(("test", "validation"), [(0.2, 0.0), (0.1, 0.3), (0.5, 0.25)])
def test_fractions_are_met(workshop: Workshop, test: float, validation: float) -> None:
    rows = 4000
    made = workshop.prepare_rows(two_classes(rows), {"key": "id", "split": {"test": test, "validation": validation}})
    assert made.report.splits
    for share, count in ((test, made.report.splits.test), (validation, made.report.splits.validation)):
        assert abs(count - rows * share) <= 4 * math.sqrt(rows * share * (1 - share))


def test_a_row_keeps_its_side_when_others_come_and_go_and_when_it_is_relabelled(workshop: Workshop) -> None:
    columns = two_classes(600)
    before = side_of(workshop.prepare_rows(columns, {"key": "id"}))
    chosen = random.Random(5).sample(range(600), 400)
    changed = {name: [values[index] for index in chosen] for name, values in columns.items()}
    changed["y"] = ["no" if value == "yes" else "yes" for value in changed["y"]]
    changed["x"] = [value + 1 for value in changed["x"]]
    after = side_of(workshop.prepare_rows(changed, {"key": "id"}))
    assert after == {key: before[key] for key in after}
    assert len(after) == 400


def test_without_a_key_the_features_decide_and_the_label_does_not(workshop: Workshop) -> None:
    columns = {name: values for name, values in two_classes(600).items() if name != "id"}
    before = side_of(workshop.prepare_rows(columns), "x")
    columns["y"] = columns["y"][::-1]
    assert side_of(workshop.prepare_rows(columns), "x") == before
    columns["x"] = [value + 1 for value in columns["x"]]
    assert {key - 1 for key, side in side_of(workshop.prepare_rows(columns), "x").items() if side == "test"} != {
        key for key, side in before.items() if side == "test"
    }


def test_more_validation_rows_leave_the_test_rows_alone(workshop: Workshop) -> None:
    few = workshop.prepare_rows(two_classes(500), {"key": "id", "split": {"test": 0.2, "validation": 0.1}})
    many = workshop.prepare_rows(two_classes(500), {"key": "id", "split": {"test": 0.2, "validation": 0.4}})
    assert few.table("test") == many.table("test")
    assert set(few.values("id", "validation")) < set(many.values("id", "validation"))


def test_a_group_is_on_one_side(workshop: Workshop) -> None:
    columns = two_classes(900) | {"patient": [f"p{number % 90}" for number in range(900)]}
    made = workshop.prepare_rows(columns, {"key": "id", "split": {"by": "Group", "column": "patient", "test": 0.3}})
    train, test = set(made.values("patient", "train")), set(made.values("patient", "test"))
    assert train | test == {f"p{number}" for number in range(90)}
    assert not train & test
    assert 10 <= len(test) <= 44


def test_time_holds_out_the_newest_rows(workshop: Workshop) -> None:
    columns, spec = timed(range(40), test=0.25, validation=0.25)
    made = workshop.prepare_rows(columns, spec)
    assert sorted(made.values("x", "test")) == [float(day) for day in range(30, 40)]
    assert sorted(made.values("x", "validation")) == [float(day) for day in range(20, 30)]
    assert made.facts()["testCut"] == int((START + timedelta(days=29)).timestamp() * 1e6)


def test_rows_of_one_instant_are_on_one_side(workshop: Workshop) -> None:
    columns, spec = timed(range(40))
    columns["at"] = [START + timedelta(days=day // 10) for day in range(40)]
    made = workshop.prepare_rows(columns, spec)
    assert not set(made.values("at", "train")) & set(made.values("at", "test"))


def test_the_cut_of_time_moves_forward_with_new_rows(workshop: Workshop) -> None:
    first = workshop.prepare_rows(*timed(range(40)))
    later = workshop.prepare_rows(*timed(range(80)), previous=first.reference())
    assert min(later.values("x", "test")) == 60.0


def test_the_cut_of_time_never_moves_back(workshop: Workshop) -> None:
    first = workshop.prepare_rows(*timed(range(40)))
    late_arrivals = workshop.prepare_rows(*timed(range(-400, 40)), previous=first.reference())
    without_memory = workshop.prepare_rows(*timed(range(-400, 40)))
    assert set(late_arrivals.values("x", "test")) == {float(day) for day in range(30, 40)}
    assert min(without_memory.values("x", "test")) < 0


def test_another_split_forgets_the_cut(workshop: Workshop) -> None:
    first = workshop.prepare_rows(*timed(range(40), test=0.25))
    made = workshop.prepare_rows(*timed(range(40), test=0.5), previous=first.reference())
    assert min(made.values("x", "test")) == 20.0


def test_unlabelled_rows_do_not_move_the_cut(workshop: Workshop) -> None:
    columns, spec = timed(range(60))
    columns["y"] = [value if day < 40 else None for day, value in enumerate(columns["y"])]
    assert min(workshop.prepare_rows(columns, spec).values("x", "test")) == 30.0


BASE: dict[str, Any] = {"source": {"sample": "iris"}, "target": "y"}


@pytest.mark.parametrize(
    ("one", "other", "features", "equal"),
    [
        (
            {"key": "id"},
            {"key": "id", "target": "z", "window": {"last": "3d"}, "timestamp": "t"},
            (["a"], ["b", "c"]),
            True,
        ),
        ({}, {}, (["a", "b"], ["b", "a"]), True),
        ({}, {}, (["a", "b"], ["a"]), False),
        ({"key": "id"}, {"key": "uid"}, (["a"], ["a"]), False),
        ({"key": "id"}, {"key": "id", "split": {"test": 0.3}}, (["a"], ["a"]), False),
        ({"key": "id"}, {"key": "id", "split": {"validation": 0.1}}, (["a"], ["a"]), False),
        ({"key": "id"}, {"key": "id", "split": {"by": "Group", "column": "id"}}, (["a"], ["a"]), False),
        (
            {"timestamp": "t", "split": {"by": "Time"}},
            {"timestamp": "t", "key": "k", "split": {"by": "Time"}},
            (["a"], ["b"]),
            True,
        ),
        (
            {"timestamp": "t", "split": {"by": "Time"}},
            {"timestamp": "u", "split": {"by": "Time"}},
            (["a"], ["a"]),
            False,
        ),
    ],
)
def test_the_digest_covers_the_rules(
    one: dict[str, Any], other: dict[str, Any], features: tuple[list[str], list[str]], equal: bool
) -> None:
    digests = [
        split_digest(DatasetSpec.model_validate(BASE | spec), names)
        for spec, names in zip((one, other), features, strict=True)
    ]
    assert (digests[0] == digests[1]) is equal
    assert all(digest.startswith("sha256:") and len(digest) == 71 for digest in digests)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=50, unique=True),
    st.floats(0.01, 0.45),
    st.floats(0, 0.45),
)
def test_every_row_has_one_side_that_depends_on_its_key_alone(keys: list[int], test: float, validation: float) -> None:
    spec = DatasetSpec.model_validate(BASE | {"key": "id", "split": {"test": test, "validation": validation}})
    splitter = Splitter(spec, ("id",), Cuts(), "")

    def sides(chosen: list[int]) -> dict[int, str]:
        batch = pa.record_batch({"id": pa.array(chosen, pa.int64()), "y": pa.array([1] * len(chosen))})
        return {
            key: SIDES[side] for key, side in zip(chosen, splitter.sides(batch, splitter.positions(batch)), strict=True)
        }

    together = sides(keys)
    assert together == sides(keys[::-1])
    assert together == {key: sides([key])[key] for key in keys}
