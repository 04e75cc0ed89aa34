"""The three formats, as the guide describes them."""

from __future__ import annotations

from dataclasses import replace

from mainspring.api.v1alpha1.alerts import AlertFormat, AlertState
from mainspring.plan.modelmonitor import payloads
from mainspring.plan.modelmonitor.payloads import Told
from tests.builders import NOW, at

TOLD = Told(
    key="0123",
    alert="pager",
    event="DriftDetected",
    state=AlertState.FIRING,
    since=at(-5),
    namespace="lab",
    monitor="tumours",
    service="tumours",
    model="tumours",
    version="tumours-v1",
    run="",
    reason="FeaturesDrifted",
    message="radius: 50 % <of rows> & more above 3",
)


def test_generic_is_everything_flat() -> None:
    found = payloads.build(AlertFormat.GENERIC, TOLD, NOW)
    assert found == {
        "format": 1,
        "key": "0123",
        "alert": "pager",
        "event": "DriftDetected",
        "state": "Firing",
        "since": at(-5),
        "namespace": "lab",
        "monitor": "tumours",
        "service": "tumours",
        "model": "tumours",
        "version": "tumours-v1",
        "run": "",
        "reason": "FeaturesDrifted",
        "message": TOLD.message,
    }


def test_slack_gets_text_with_its_signs_escaped() -> None:
    found = payloads.build(AlertFormat.SLACK, TOLD, NOW)
    (attachment,) = found["attachments"]
    assert found["text"] == "DriftDetected firing: lab/tumours"
    assert attachment["text"] == "radius: 50 % &lt;of rows&gt; &amp; more above 3"
    assert attachment["color"] == "danger"
    assert [field["title"] for field in attachment["fields"]] == ["Service", "Version", "Since"]
    long = payloads.build(AlertFormat.SLACK, replace(TOLD, message="x" * 9000), NOW)
    assert len(long["attachments"][0]["text"]) == payloads.TEXT_MAX


def test_an_alertmanager_gets_labels_that_stay_while_it_fires() -> None:
    (firing,) = payloads.build(AlertFormat.ALERTMANAGER, TOLD, NOW)
    later = replace(TOLD, state=AlertState.RESOLVED, version="tumours-v2", message="fine", reason="NoDrift")
    (resolved,) = payloads.build(AlertFormat.ALERTMANAGER, later, NOW)
    assert firing["labels"] == resolved["labels"]
    assert firing["labels"]["alertname"] == "DriftDetected"
    assert (firing["startsAt"], firing["endsAt"]) == (at(-5), at(15))
    assert resolved["endsAt"] == at(0)
    assert firing["annotations"]["description"] == TOLD.message
    (happened,) = payloads.build(AlertFormat.ALERTMANAGER, replace(TOLD, run="retrain-1"), NOW)
    assert happened["labels"]["run"] == "retrain-1"
