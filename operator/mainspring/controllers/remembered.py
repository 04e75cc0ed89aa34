"""What is kept of model servers between two readings, as JSON: as objects it would take ten times the room, and it is hardly
ever looked at. Losing it costs little: at most one interval, and one more request."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from mainspring.api.monitoring import Reference, Snapshot
from mainspring.api.v1alpha1.common import ApiModel
from mainspring.plan.common.objects import Ref

REFERENCES_MAX = 1000


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


class LastWords:
    """What servers said last, by monitor and by name."""

    def __init__(self) -> None:
        self._packed: dict[Ref, dict[str, str]] = {}

    def of(self, monitor: Ref, names: Collection[str]) -> dict[str, Snapshot]:
        """Of those of these names that are known."""
        known = self._packed.get(monitor, {})
        return {name: Snapshot.model_validate_json(known[name]) for name in names if name in known}

    def keep(self, monitor: Ref, said: Mapping[str, Snapshot], besides: Collection[str] = ()) -> None:
        """In place of all that was kept, but for the names in `besides`."""
        kept = {name: packed for name, packed in self._packed.get(monitor, {}).items() if name in besides}
        self._packed[monitor] = kept | {name: _pack(found) for name, found in said.items()}

    def forget(self, monitor: Ref) -> None:
        self._packed.pop(monitor, None)


def _pack(model: ApiModel) -> str:
    """Sums that Prometheus tells may be infinite, which pydantic's own JSON would turn into null."""
    return json.dumps(model.to_dict(), separators=(",", ":"))
