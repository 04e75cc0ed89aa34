"""What asks for a preparation: the spec, the clock and a person, as one short text.

Equal text means that nothing new was asked. It names the Job and is kept in status and on the version that came of it,
so that a preparation is neither lost nor done twice.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from croniter import croniter

from mainspring.api.v1alpha1.common import ANNOTATION_REFRESH
from mainspring.api.v1alpha1.dataset import DatasetSpec, Refresh
from mainspring.plan.common import objects
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
    tick: datetime = croniter(spec.refresh.schedule, _local(spec.refresh, now), second_at_beginning=False).get_prev(
        datetime
    )
    return tick if tick > objects.created_at(obj) else None


def next_tick(spec: DatasetSpec, now: datetime) -> datetime | None:
    if spec.refresh is None:
        return None
    tick: datetime = croniter(spec.refresh.schedule, _local(spec.refresh, now)).get_next(datetime)
    return tick


def problem(spec: DatasetSpec) -> str | None:
    """What is wrong with spec.refresh, as a sentence."""
    if spec.refresh is None:
        return None
    if not croniter.is_valid(spec.refresh.schedule):
        return f'spec.refresh.schedule "{spec.refresh.schedule}" is not a cron expression: use five fields such as "0 3 * * *"'
    try:
        ZoneInfo(spec.refresh.time_zone)
    except (KeyError, ValueError):
        return f'spec.refresh.timeZone "{spec.refresh.time_zone}" is not a known time zone: use a name such as Europe/Berlin'
    return None


def _local(refresh: Refresh, now: datetime) -> datetime:
    return now.astimezone(ZoneInfo(refresh.time_zone))
