"""Does a live object already hold what is desired? Decides whether a write is needed at all.

Only what is desired is compared: defaults that the API server filled in and fields of other owners do not count. To have
a list removed, desire it empty: an empty list is held by an empty or an absent one only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mainspring.plan.common import quantity


def holds(live: Any, desired: Any) -> bool:
    """True if every field of `desired` has its value in `live`."""
    if isinstance(desired, Mapping):
        return isinstance(live, Mapping) and all(_has(live, key, item) for key, item in desired.items())
    if isinstance(desired, Sequence) and not isinstance(desired, str):
        return _list_holds(live, desired)
    return bool(live == desired) or _same_quantity(live, desired)


def _has(live: Mapping[str, Any], key: str, desired: Any) -> bool:
    return holds(live[key], desired) if key in live else desired in ({}, [])


def _list_holds(live: Any, desired: Sequence[Any]) -> bool:
    if not isinstance(live, Sequence) or isinstance(live, str) or len(live) != len(desired):
        return False
    return all(holds(a, b) for a, b in zip(live, desired, strict=True))


def _same_quantity(live: Any, desired: Any) -> bool:
    if not (isinstance(live, str | int) and isinstance(desired, str | int)) or isinstance(live, bool):
        return False
    left, right = quantity.parse(live), quantity.parse(desired)
    return left is not None and left == right
