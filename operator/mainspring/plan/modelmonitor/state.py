"""What a monitor has to remember between two readings: one ConfigMap, beside what its status says.

Servers count since their start and never forget. So the memory holds what each said last, and what was counted in the
open window up to then: whatever happens to the operator in between is in the next difference. Only a server that goes
away takes what it counted after it was read last with it.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Iterable

from pydantic import Field, ValidationError

from mainspring.api.monitoring import Snapshot
from mainspring.api.v1alpha1.common import ApiModel
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from mainspring.plan.statistics import counts
from mainspring.plan.statistics.counts import WindowCounts

FORMAT = 1
KEY = "state.json.gz"
PACKING = 6  # of gzip: more costs time and saves nothing
MAX_BYTES = 900_000
SEASON_PARTS = 8


class Part(ApiModel):
    """Some consecutive windows of a season, together."""

    start: str
    end: str
    counts: WindowCounts


class Streak(ApiModel):
    """Consecutive windows in which a feature exceeded the rule."""

    since: str
    windows: int


class State(ApiModel):
    """`opened` is when the window began. Everything is about one version with one set of bins.

    `follows`: another version was watched before this one. `baseline` is the season that windows are compared with
    instead of the reference rows; it is set once.
    """

    format: int = FORMAT
    version: str
    digest: str
    opened: str
    begun: str = ""  # when watching began, of servers that served before
    number: int = 0  # windows that were closed since the monitor was made
    lost: int = 0  # rows at most that servers took with them, since the monitor was made
    seen: dict[str, Snapshot] = Field(default_factory=dict)
    counts: WindowCounts | None = None  # of the open window, up to `seen`
    streaks: dict[str, Streak] = Field(default_factory=dict)
    season: list[Part] = Field(default_factory=list)
    follows: bool = False
    baseline: list[Part] = Field(default_factory=list)


def read(config_map: Object | None) -> State | None:
    """None when there is none, or none of this format: then watching begins anew."""
    packed = ((config_map or {}).get("binaryData") or {}).get(KEY)
    if not packed:
        return None
    try:
        found = State.model_validate_json(gzip.decompress(base64.b64decode(packed)))
    except (ValidationError, ValueError, OSError, EOFError, zlib.error):
        return None
    return found if found.format == FORMAT else None


def write(state: State) -> str:
    """As `binaryData` has it: JSON, packed to a tenth. Equal states give equal text."""
    text = json.dumps(state.to_dict(), sort_keys=True, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), PACKING, mtime=0)).decode()


def with_part(season: Iterable[Part], new: Part, length_seconds: float) -> list[Part]:
    """The parts of the last season: short ones are put together, and those beyond it go."""
    parts = _joined(list(season), new, length_seconds / SEASON_PARTS)
    while len(parts) > 1 and covered_seconds(parts[1:]) >= length_seconds:
        parts = parts[1:]
    return parts


def _joined(parts: list[Part], new: Part, part_seconds: float) -> list[Part]:
    if not parts or covered_seconds(parts[-1:]) >= part_seconds:
        return [*parts, new]
    last = parts[-1]
    return [*parts[:-1], Part(start=last.start, end=new.end, counts=counts.added(last.counts, new.counts))]


def together(parts: Iterable[Part]) -> WindowCounts:
    """The counts of these parts, of which there must be one."""
    return counts.added(*(part.counts for part in parts))


def covered_seconds(parts: list[Part]) -> float:
    """From the beginning of the first part to the end of the last."""
    if not parts:
        return 0.0
    return (objects.parse_time(parts[-1].end) - objects.parse_time(parts[0].start)).total_seconds()
