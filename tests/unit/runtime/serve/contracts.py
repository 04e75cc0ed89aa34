"""Structs of the server against the API models that are their contract."""

from __future__ import annotations

import types
import typing

import msgspec
from pydantic import BaseModel

from mainspring.api import contract


def as_json(model: typing.Any) -> bytes:
    """As the operator writes it."""
    return contract.as_json(model).encode()


def require_same(model: type[BaseModel], struct: type[msgspec.Struct], *, defaults: bool = True) -> None:
    """The same fields on the wire, types and, if wanted, defaults."""
    hints = typing.get_type_hints(struct)
    fields = {field.name: field for field in msgspec.structs.fields(struct)}
    assert {field.encode_name for field in fields.values()} == {
        found.alias or found_name for found_name, found in model.model_fields.items()
    }
    for field_name, expected in model.model_fields.items():
        assert shape(hints[field_name]) == shape(expected.annotation), field_name
        if defaults and not expected.is_required():
            found = fields[field_name]
            default = found.default if found.default is not msgspec.NODEFAULT else found.default_factory()
            assert default == expected.default, field_name


def shape(annotation: typing.Any) -> str:
    """A type with structs by name and literals as what they are made of."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return type(arguments[0]).__name__
    if origin in (types.UnionType, typing.Union):
        return "|".join(sorted(shape(argument) for argument in arguments))
    if arguments:
        return f"{origin.__name__}[{', '.join(shape(argument) for argument in arguments)}]"
    return str(annotation.__name__)
