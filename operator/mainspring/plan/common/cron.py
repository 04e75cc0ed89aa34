"""Schedules as in CronJob: a cron expression of five fields, in a time zone."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from croniter import croniter


def last_tick(schedule: str, time_zone: str, now: datetime) -> datetime:
    """The newest scheduled time before `now`."""
    tick: datetime = croniter(schedule, _local(time_zone, now), second_at_beginning=False).get_prev(datetime)
    return tick


def next_tick(schedule: str, time_zone: str, now: datetime) -> datetime:
    tick: datetime = croniter(schedule, _local(time_zone, now)).get_next(datetime)
    return tick


def problem(field: str, schedule: str, time_zone: str) -> str | None:
    """What is wrong with `<field>.schedule` or `<field>.timeZone`, as a sentence."""
    if not croniter.is_valid(schedule):
        return f'{field}.schedule "{schedule}" is not a cron expression: use five fields such as "0 3 * * *"'
    try:
        ZoneInfo(time_zone)
    except (KeyError, ValueError):
        return f'{field}.timeZone "{time_zone}" is not a known time zone: use a name such as Europe/Berlin'
    return None


def _local(time_zone: str, now: datetime) -> datetime:
    return now.astimezone(ZoneInfo(time_zone))
