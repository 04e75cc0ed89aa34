"""From pydantic to a structural schema: what is kept, what is turned round, what is refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from mainspring.tools import schema


class Inner(BaseModel):
    """What it is,
    on two lines."""

    depth: Annotated[int, Field(gt=0, lt=10)] = 3
    note: str | None = None


class Outer(BaseModel):
    inner: Inner = Inner()
    other: Annotated[Inner | None, Field(description="Another one.")] = None
    choice: Literal["only"] = "only"
    names: dict[str, int] = {"a": 1}


def property_of(model: type[BaseModel], name: str) -> schema.Schema:
    found: schema.Schema = schema.structural(model)["properties"][name]
    return found


def test_references_are_put_in_place() -> None:
    assert property_of(Outer, "inner")["properties"]["depth"]["type"] == "integer"


def test_a_description_beside_a_reference_wins() -> None:
    assert property_of(Outer, "other")["description"] == "Another one."
    assert property_of(Outer, "inner")["description"] == "What it is, on two lines."


def test_null_is_no_type_of_its_own() -> None:
    assert property_of(Inner, "note") == {"type": "string"}


def test_exclusive_bounds_are_flags() -> None:
    depth = property_of(Inner, "depth")
    assert (depth["minimum"], depth["exclusiveMinimum"]) == (0, True)
    assert (depth["maximum"], depth["exclusiveMaximum"]) == (10, True)


def test_a_constant_is_an_enum_of_one() -> None:
    assert property_of(Outer, "choice")["enum"] == ["only"]


def test_the_default_of_an_object_holds_no_nulls() -> None:
    assert property_of(Outer, "inner")["default"] == {"depth": 3}


def test_defaults_can_be_left_out() -> None:
    assert "default" not in str(schema.structural(Outer, defaults=False))


def test_a_union_is_refused() -> None:
    class Either(BaseModel):
        value: int | str

    with pytest.raises(schema.SchemaError, match="union of 2 types"):
        schema.structural(Either)


def test_a_map_of_anything_is_refused_unless_it_says_so() -> None:
    class Anything(BaseModel):
        value: dict[str, Any]

    with pytest.raises(schema.SchemaError, match="use Opaque"):
        schema.structural(Anything)


def test_a_keyword_that_nobody_thought_of_is_refused() -> None:
    class Odd(BaseModel):
        value: Annotated[int, Field(json_schema_extra={"readOnly": True})]

    with pytest.raises(schema.SchemaError, match="readOnly"):
        schema.structural(Odd)


def test_a_bound_between_whole_numbers_is_also_a_rule() -> None:
    """The API server cuts such a bound for values that are written without a point."""

    class Share(BaseModel):
        value: Annotated[float, Field(ge=0.01, le=1)]

    value = property_of(Share, "value")
    assert value["minimum"] == 0.01
    assert value[schema.VALIDATIONS] == [{"rule": "self >= 0.01", "message": "must be at least 0.01"}]
