"""What asks for a preparation: the spec, the clock and a person, as one short text.

Equal text means that nothing new was asked. It names the Job and is kept in status and on the version that came of it,
so that a preparation is neither lost nor done twice.
"""

from __future__ import annotations

from datetime import datetime

from mainspring.api.v1alpha1.common import ANNOTATION_REFRESH
from mainspring.api.v1alpha1.dataset import DatasetSpec
from mainspring.plan.common import cron, objects
from mainspring.plan.common.objects import Object

# Changing these does not change the data.
NOT_DATA = frozenset({"retain", "resources", "refresh", "podTemplate"})


def current(obj: Object, spec: DatasetSpec, inputs: dict[str, str], now: datetime) -> str:
    """The trigger that should have been served by now. `inputs`: digests of the other Datasets that are read."""
    data = {k: v for k, v in spec.to_dict().items() if k not in NOT_DATA}
    asked = {
        "spec": data,
        "tick": objects.format_time(tick) if (tick := last_tick(obj, spec, now)) else "",
        "refresh": objects.annotations_of(obj).get(ANNOTATION_REFRESH, ""),
        "inputs": inputs,
    }
    return objects.stable_hash(asked)


def last_tick(obj: Object, spec: DatasetSpec, now: datetime) -> datetime | None:
    """The newest scheduled time after the Dataset was made; missed ones count once."""
    if spec.refresh is None:
        return None
    tick = cron.last_tick(spec.refresh.schedule, spec.refresh.time_zone, now)
    return tick if tick > objects.created_at(obj) else None


def next_tick(spec: DatasetSpec, now: datetime) -> datetime | None:
    return cron.next_tick(spec.refresh.schedule, spec.refresh.time_zone, now) if spec.refresh else None


def problem(spec: DatasetSpec) -> str | None:
    """What is wrong with spec.refresh, as a sentence."""
    refresh = spec.refresh
    return cron.problem("spec.refresh", refresh.schedule, refresh.time_zone) if refresh else None
