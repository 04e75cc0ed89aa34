"""What is kept of model servers between two readings, as JSON: as objects it would take ten times the room, and it is hardly
ever looked at. Losing it costs little: at most one interval, and one more request."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Generic, TypeVar

from mainspring.api.monitoring import Reference
from mainspring.api.v1alpha1.common import ApiModel
from mainspring.plan.common.objects import Ref

REFERENCES_MAX = 1000

Said = TypeVar("Said", bound=ApiModel)


class References:
    """By digest. A reference never changes."""

    def __init__(self) -> None:
        self._packed: dict[str, str] = {}

    def get(self, digest: str) -> Reference | None:
        packed = self._packed.get(digest)
        return Reference.model_validate_json(packed) if packed else None

    def keep(self, digest: str, reference: Reference) -> Reference:
        if len(self._packed) >= REFERENCES_MAX:
            self._packed.clear()
        self._packed[digest] = _pack(reference)
        return reference


class LastWords(Generic[Said]):
    """What servers said last, by whoever asked and by name."""

    def __init__(self, kind: type[Said]) -> None:
        self._kind = kind
        self._packed: dict[Ref, dict[str, str]] = {}

    def of(self, asker: Ref, names: Collection[str]) -> dict[str, Said]:
        """Of those of these names that are known."""
        known = self._packed.get(asker, {})
        return {name: self._kind.model_validate_json(known[name]) for name in names if name in known}

    def names(self, asker: Ref) -> list[str]:
        """Of all that are known."""
        return list(self._packed.get(asker, ()))

    def keep(self, asker: Ref, said: Mapping[str, Said], besides: Collection[str] = ()) -> None:
        """In place of all that was kept, but for the names in `besides`."""
        kept = {name: packed for name, packed in self._packed.get(asker, {}).items() if name in besides}
        self._packed[asker] = kept | {name: _pack(found) for name, found in said.items()}

    def forget(self, asker: Ref) -> None:
        self._packed.pop(asker, None)


def _pack(model: ApiModel) -> str:
    """Sums that Prometheus tells may be infinite, which pydantic's own JSON would turn into null."""
    return json.dumps(model.to_dict(), separators=(",", ":"))
