"""What is sent to webhooks, in the three formats. Pure JSON values; the guide documents each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from mainspring.api.v1alpha1.alerts import AlertFormat, AlertState
from mainspring.plan.common import objects

FORMAT = 1
# An Alertmanager takes an alert for over when nobody repeats it until its end.
REPEAT_SECONDS = 300.0
LAPSES_AFTER = timedelta(minutes=15)
ALERTMANAGER_PATH = "/api/v2/alerts"
COLORS = {AlertState.FIRING: "danger", AlertState.RESOLVED: "good", AlertState.HAPPENED: "#439FE0"}
TEXT_MAX = 2500  # of Slack's 3,000


@dataclass(frozen=True)
class Told:
    """`key` names the alert: the same when it fires, when it is resolved, and however often it is sent."""

    key: str
    alert: str
    event: str
    state: AlertState
    since: str
    namespace: str
    monitor: str
    service: str
    model: str
    version: str
    run: str
    reason: str
    message: str

    @property
    def title(self) -> str:
        return f"{self.event} {self.state.lower()}: {self.namespace}/{self.monitor}"


def build(kind: AlertFormat, told: Told, now: datetime) -> Any:
    return _FORMATS[kind](told, now)


def _generic(told: Told, _: datetime) -> dict[str, Any]:
    return {"format": FORMAT, **asdict(told)}


def _slack(told: Told, _: datetime) -> dict[str, Any]:
    facts = (("Service", told.service), ("Version", told.version), ("Run", told.run), ("Since", told.since))
    return {
        "text": _escaped(told.title),
        "attachments": [
            {
                "color": COLORS[told.state],
                "fallback": _escaped(told.title),
                "text": _escaped(told.message)[:TEXT_MAX],
                "fields": [{"title": name, "value": _escaped(value), "short": True} for name, value in facts if value],
            }
        ],
    }


def _escaped(text: str) -> str:
    """Slack's own three: https://api.slack.com/reference/surfaces/formatting#escaping"""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _alertmanager(told: Told, now: datetime) -> list[dict[str, Any]]:
    """Labels name the alert, so what may change while it fires is in the annotations."""
    ends = now if told.state is AlertState.RESOLVED else now + LAPSES_AFTER
    labels = {"alertname": told.event, "namespace": told.namespace, "monitor": told.monitor, "service": told.service}
    if told.run:
        labels["run"] = told.run
    facts = {"summary": told.title, "description": told.message, "reason": told.reason, "key": told.key}
    facts |= {"model": told.model, "version": told.version}
    return [
        {
            "labels": {name: value for name, value in labels.items() if value},
            "annotations": {name: value for name, value in facts.items() if value},
            "startsAt": told.since,
            "endsAt": objects.format_time(ends),
        }
    ]


_FORMATS: dict[AlertFormat, Callable[[Told, datetime], Any]] = {
    AlertFormat.GENERIC: _generic,
    AlertFormat.SLACK: _slack,
    AlertFormat.ALERTMANAGER: _alertmanager,
}
