"""Types: declared before pinned before inferred; and roles by name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from mainspring.api.v1alpha1.dataset import DatasetSpec
from mainspring_runtime.data import roles
from mainspring_runtime.errors import PermanentError
from tests.unit.runtime.data.preparing import Made, Workshop, two_classes


def refused(workshop: Workshop, columns: dict[str, Any], spec: dict[str, Any], **task: Any) -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        workshop.prepare_rows(columns, spec, **task)
    return caught.value


@pytest.mark.parametrize(
    ("spec", "field", "hint"),
    [
        ({"target": "Y"}, "spec.target names the column 'Y'", "did you mean 'y'?"),
        ({"key": "ids"}, "spec.key names the column 'ids'", "did you mean 'id'?"),
        ({"timestamp": "when"}, "spec.timestamp names the column 'when'", "which the data do not have"),
        ({"weight": "w"}, "spec.weight names the column 'w'", "which the data do not have"),
        ({"sensitive": ["c", "age"]}, "spec.sensitive[1] names the column 'age'", "which the data do not have"),
        (
            {"features": {"include": ["x", "m"]}},
            "spec.features.include[1] names the column 'm'",
            "which the data do not have",
        ),
        (
            {"features": {"exclude": ["site"]}},
            "spec.features.exclude[0] names the column 'site'",
            "which the data do not have",
        ),
        (
            {"columns": [{"name": "xx", "type": "Float"}]},
            "spec.columns[0].name names the column 'xx'",
            "did you mean 'x'?",
        ),
        (
            {"split": {"by": "Group", "column": "grp"}},
            "spec.split.column names the column 'grp'",
            "which the data do not have",
        ),
    ],
)
def test_a_missing_column_names_field_column_and_the_closest_one(
    workshop: Workshop, spec: dict[str, Any], field: str, hint: str
) -> None:
    error = refused(workshop, two_classes(20), spec)
    assert error.reason == "MissingColumn"
    assert field in error.message
    assert hint in error.message
    assert "the columns are: id, x, n, c, y" in error.message


def test_all_missing_columns_are_named_at_once(workshop: Workshop) -> None:
    error = refused(workshop, two_classes(20), {"target": "label", "key": "uid"})
    assert [detail.split(" ")[0] for detail in error.details] == ["spec.target", "spec.key"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"key": "y"}, "spec.key and spec.target both name the column 'y'"),
        ({"sensitive": ["y"]}, r"spec.sensitive\[0\] and spec.target both name"),
        ({"key": "id", "features": {"include": ["x", "id"]}}, r"spec.features.include\[1\] and spec.key both name"),
        (
            {"columns": [{"name": "x", "type": "Float"}, {"name": "x", "type": "Integer"}]},
            r"spec.columns\[1\] and spec.columns\[0\] both declare",
        ),
        ({"columns": [{"name": "c", "type": "Category", "minimum": 1}]}, "only Float and Integer columns can have"),
        ({"columns": [{"name": "x", "type": "Float", "allowed": ["1"]}]}, "only Category and String columns can have"),
    ],
)
def test_a_contradiction_in_the_spec_is_refused(workshop: Workshop, spec: dict[str, Any], words: str) -> None:
    with pytest.raises(PermanentError, match=words) as caught:
        workshop.prepare_rows(two_classes(20), spec)
    assert caught.value.reason == "InvalidSpec"


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (None, {"x": "Feature", "n": "Feature", "c": "Sensitive", "w": "Weight"}),
        ({"include": ["x"]}, {"x": "Feature", "n": "Ignored", "c": "Sensitive", "w": "Weight"}),
        ({"exclude": ["x", "c"]}, {"x": "Ignored", "n": "Feature", "c": "Sensitive", "w": "Weight"}),
    ],
)
def test_roles(features: dict[str, Any] | None, expected: dict[str, str]) -> None:
    spec = DatasetSpec.model_validate(
        {
            "source": {"sample": "iris"},
            "target": "y",
            "key": "id",
            "weight": "w",
            "sensitive": ["c"],
            "features": features,
        }
    )
    assert roles.assign(spec, ["id", "x", "n", "c", "w", "y"]) == {"id": "Key", "y": "Target", **expected}


def test_no_feature_left_is_an_error(workshop: Workshop) -> None:
    assert (
        refused(workshop, two_classes(20), {"key": "id", "features": {"exclude": ["x", "n", "c"]}}).reason
        == "NoFeatures"
    )


@pytest.mark.parametrize(
    ("column", "values", "spec", "words"),
    [
        (
            "at",
            ["1 May", "2 May"] * 10,
            {"timestamp": "at"},
            "spec.timestamp 'at' is a String column, not a time.*strptime",
        ),
        ("w", ["1", "2"] * 10, {"weight": "w"}, "spec.weight 'w' is a String column"),
        ("mainspring_side", [1, 2] * 10, {}, "is used internally"),
        ("z" * 129, [1, 2] * 10, {}, "has a name of 129 characters"),
    ],
)
def test_a_column_that_cannot_play_its_part_is_refused(
    workshop: Workshop, column: str, values: list[Any], spec: dict[str, Any], words: str
) -> None:
    with pytest.raises(PermanentError, match=words) as caught:
        workshop.prepare_rows(two_classes(20) | {column: values}, spec)
    assert caught.value.reason == "InvalidColumn"


@pytest.mark.parametrize(
    ("array", "type_"),
    [
        (pa.array([1, 2] * 20, pa.int8()), "Integer"),
        (pa.array([1, 2] * 20, pa.uint64()), "Integer"),
        (pa.array([1.5, 2] * 20, pa.float32()), "Float"),
        (pa.array([1, 2] * 20).cast(pa.decimal128(21, 2)), "Float"),
        (pa.array(["a", "b"] * 20).dictionary_encode(), "Category"),
        (pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * 40).cast(pa.timestamp("ns")), "Timestamp"),
        (pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * 40).cast(pa.date32()), "Timestamp"),
        (pa.array([None] * 40, pa.float64()), "Float"),
        (pa.array([None] * 40, pa.string()), "String"),
    ],
)
def test_types_of_parquet(workshop: Workshop, array: pa.Array, type_: str) -> None:
    table = pa.table(two_classes(40)).append_column("v", array)
    made = workshop.prepare({"source": {"uri": workshop.parquet(table)}, "target": "y"})
    assert made.columns()["v"]["type"] == type_


def first_version(workshop: Workshop, columns: dict[str, Any] | None = None) -> Made:
    return workshop.prepare_rows(columns or two_classes(100), {"key": "id"})


def test_pinned_types_hold_when_the_values_look_different(workshop: Workshop) -> None:
    first = first_version(workshop)
    columns = two_classes(100) | {"x": list(range(100)), "c": [f"c{number}" for number in range(100)]}
    unpinned = workshop.prepare_rows(columns, {"key": "id"})
    pinned = workshop.prepare_rows(columns, {"key": "id"}, previous=first.reference())
    assert [unpinned.columns()[name]["type"] for name in ("x", "c")] == ["Integer", "String"]
    assert [pinned.columns()[name]["type"] for name in ("x", "c")] == ["Float", "Category"]


def test_a_column_that_vanished_is_a_change_of_schema(workshop: Workshop) -> None:
    first = first_version(workshop)
    columns = two_classes(100)
    del columns["n"]
    error = refused(workshop, columns, {"key": "id"}, previous=first.reference())
    assert (error.reason, error.details) == ("SchemaChanged", ("n",))
    assert "declare the new columns in spec.columns" in error.message


def test_a_column_that_changed_type_is_a_change_of_schema(workshop: Workshop) -> None:
    first = first_version(workshop)
    columns = two_classes(100) | {"n": ["low", "high"] * 50, "x": [number + 0.5 for number in range(100)]}
    error = refused(workshop, columns, {"key": "id"}, previous=first.reference())
    assert error.reason == "SchemaChanged"
    assert "n was Integer" in error.message
    assert error.details == ("n: 100 rows not a whole number of 64 bits",)


def test_a_broken_bound_is_no_change_of_schema(workshop: Workshop) -> None:
    first = first_version(workshop)
    columns = two_classes(100)
    columns["id"][3] = None
    assert refused(workshop, columns, {"key": "id"}, previous=first.reference()).reason == "InvalidRows"


def test_a_few_misfits_of_a_pinned_column_may_be_dropped(workshop: Workshop) -> None:
    spec = {"key": "id", "maxInvalidFraction": 0.05}
    first = workshop.prepare_csv("id,x,y\n" + "".join(f"{n},{n},{n % 2}\n" for n in range(100)), spec)
    text = "id,x,y\n" + "".join(f"{n},{'?' if n == 7 else n},{n % 2}\n" for n in range(100))
    made = workshop.prepare_csv(text, spec, previous=first.reference())
    assert (made.report.invalid_rows, made.columns()["x"]["type"]) == (1, "Integer")


def test_a_new_column_is_welcome(workshop: Workshop) -> None:
    first = first_version(workshop)
    made = workshop.prepare_rows(two_classes(100) | {"extra": [1.5] * 100}, {"key": "id"}, previous=first.reference())
    assert made.facts()["features"] == ["x", "n", "c", "extra"]


@pytest.mark.parametrize(
    "edit",
    [
        {"columns": [{"name": "x", "type": "Float"}]},
        {"prepare": [{"name": "drop", "sql": "SELECT id, x, c, y FROM dataset"}]},
    ],
)
def test_an_edited_spec_may_change_the_columns(workshop: Workshop, edit: dict[str, Any]) -> None:
    first = first_version(workshop)
    columns = two_classes(100)
    if "columns" in edit:
        del columns["n"]
    made = workshop.prepare_rows(columns, {"key": "id", **edit}, previous=first.reference())
    assert "n" not in made.columns()


def test_a_pinned_code_column_of_a_csv_stays_text(workshop: Workshop) -> None:
    first = workshop.prepare_csv("zip,y\n" + "".join(f"0{n % 10}123,{n % 2}\n" for n in range(100)))
    made = workshop.prepare_csv(
        "zip,y\n" + "".join(f"9{n % 10}123,{n % 2}\n" for n in range(100)), previous=first.reference()
    )
    assert made.columns()["zip"]["type"] == "Category"
    assert set(made.values("zip")) == {f"9{n}123" for n in range(10)}
