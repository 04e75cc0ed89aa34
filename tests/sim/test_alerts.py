"""Alerts: what status says is told, at least once, under one key; and nobody waits for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from mainspring.plan.common import objects
from tests import builders
from tests.sim import stories
from tests.sim.simulation import NAMESPACE, Simulation, Snapshot

PAGER = "https://pager.example.org/hook"
CHAT = "https://hooks.slack.com/services/T000/B000/secret"
EVENTS = ["DriftDetected", "PerformanceDegraded", "RetrainStarted", "RetrainPromoted", "RetrainFailed"]


def alert(name: str = "pager", format: str = "Generic", **more: Any) -> dict[str, Any]:
    webhook = {"url": PAGER, "format": format, **more.pop("webhook", {})}
    return {"name": name, "webhook": {k: v for k, v in webhook.items() if v}, "events": EVENTS, **more}


@pytest.fixture
def sim() -> Iterator[Simulation]:
    """A service that is watched, whose monitor tells somebody."""
    found = stories.served()
    found.apply(builders.monitor(alerts=[alert()]))
    found.advance(600)
    yield found
    found.close()


def taken(sim: Simulation) -> list[tuple[str, str]]:
    """What the receivers took, in order: event and state."""
    return [(p.body["event"], p.body["state"]) for p in sim.workloads.traffic.inbox if p.status == 200]


def delivered(sim: Simulation) -> tuple[str, str]:
    return sim.condition("ModelMonitor", "tumours", "AlertsDelivered")


STORY = {
    ("DriftDetected", "Firing"),
    ("PerformanceDegraded", "Firing"),
    ("RetrainStarted", "Happened"),
    ("RetrainPromoted", "Happened"),
    ("DriftDetected", "Resolved"),
    ("PerformanceDegraded", "Resolved"),
}


def test_the_whole_story_is_told_once(sim: Simulation) -> None:
    assert taken(sim) == []
    assert delivered(sim) == ("True", "Delivered")
    stories.change(sim)
    sim.advance(1500)
    assert set(taken(sim)) == STORY
    assert set(Counter(taken(sim)).values()) == {1}
    assert delivered(sim) == ("True", "Delivered")
    by_event: dict[str, set[str]] = {}
    for post in sim.workloads.traffic.inbox:
        by_event.setdefault(post.body["event"], set()).add(post.body["key"])
    assert all(len(keys) == 1 for keys in by_event.values()), "firing and resolved are of one alert"
    told = next(post.body for post in sim.workloads.traffic.inbox if post.body["event"] == "PerformanceDegraded")
    assert "accuracy" in told["message"]
    assert (told["namespace"], told["monitor"], told["service"]) == (NAMESPACE, "tumours", "tumours")


def test_killed_after_every_write_everything_is_told_under_the_same_keys(sim: Simulation) -> None:
    """And the loop turns once, also when its counts come from a Prometheus."""
    sim.edit("ModelMonitor", "tumours", source="Prometheus", prometheus={"url": "http://prometheus.example.org"})
    sim.advance(300)
    clusters: list[tuple[str, Snapshot]] = []

    def remember() -> None:
        write = sim.operator.api.writes[-1]
        if write.startswith("status ModelMonitor") or "TrainingRun" in write:
            clusters.append((write, sim.freeze()))

    stories.change(sim)
    sim.operator.api.after_write = remember
    sim.advance(1200)
    assert len(clusters) > 10
    for number, (write, cluster) in enumerate(clusters, 1):
        again = cluster.thaw()
        for _ in range(20):
            again.advance(60)
            if set(taken(again)) == STORY and delivered(again) == ("True", "Delivered"):
                break
        again.close()
        when = f"killed after write {number}: {write}"
        assert set(taken(again)) == STORY, when
        keys = Counter(p.key for p in again.workloads.traffic.inbox)
        assert len(keys) == len(STORY), f"{when}: whatever is told twice has the key it had"
        assert sum(keys.values()) <= len(STORY) + 2, f"{when}: no storm"
        assert delivered(again) == ("True", "Delivered"), when
        assert again.status("InferenceService", "tumours")["stableVersion"] == "tumours-v2", when
        assert len(again.made("TrainingRun")) == 2, when


def test_a_webhook_that_is_down_holds_nothing_up_and_is_told_later(sim: Simulation) -> None:
    sim.workloads.traffic.receivers[PAGER] = 503
    stories.change(sim)
    sim.advance(900)
    assert sim.status("InferenceService", "tumours")["stableVersion"] == "tumours-v2"
    assert delivered(sim) == ("Unknown", "Retrying")
    assert "alert pager" in sim.message("ModelMonitor", "tumours", "AlertsDelivered")
    assert "503" in sim.message("ModelMonitor", "tumours", "AlertsDelivered")
    assert PAGER not in str(sim.status("ModelMonitor", "tumours"))
    tries = len(sim.workloads.traffic.inbox)
    assert tries <= len(STORY) * 10, "with pauses that grow"
    sim.workloads.traffic.receivers[PAGER] = 200
    sim.advance(600)
    assert delivered(sim) == ("True", "Delivered")
    assert {("DriftDetected", "Resolved"), ("RetrainStarted", "Happened"), ("RetrainPromoted", "Happened")} <= set(
        taken(sim)
    )


def test_a_restart_waits_as_long_as_the_operator_before_it_would_have(sim: Simulation) -> None:
    sim.workloads.traffic.receivers[PAGER] = 0
    sim.workloads.traffic.change(sim.server)
    sim.advance(900)
    before = sim.status("ModelMonitor", "tumours")["alerts"][0]
    assert before["attempts"] >= 5
    sim.restart()
    sim.settle()
    after = sim.status("ModelMonitor", "tumours")["alerts"][0]
    assert after["attempts"] - before["attempts"] <= 1
    assert after["error"] == "no answer within 10 s"


def test_a_webhook_that_refuses_is_given_up_until_there_is_news(sim: Simulation) -> None:
    sim.workloads.traffic.receivers[PAGER] = 404
    sim.workloads.traffic.change(sim.server)
    sim.advance(600)
    assert delivered(sim) == ("False", "GivenUp")
    assert "alert pager could not tell" in sim.message("ModelMonitor", "tumours", "AlertsDelivered")
    tries = len(sim.workloads.traffic.inbox)
    sim.advance(600)
    assert len(sim.workloads.traffic.inbox) == tries
    sim.workloads.traffic.receivers[PAGER] = 200
    sim.edit("ModelMonitor", "tumours", alerts=[alert(webhook={"format": "Generic"})], interval="20s")
    sim.advance(60)
    assert delivered(sim) == ("True", "Delivered"), "another spec is tried"


def test_an_alertmanager_is_told_again_before_it_forgets(sim: Simulation) -> None:
    sim.edit("ModelMonitor", "tumours", alerts=[alert(format="Alertmanager")])
    sim.workloads.traffic.change(sim.server)
    sim.advance(3600)
    posts = [p for p in sim.workloads.traffic.inbox if p.body[0]["labels"]["alertname"] == "DriftDetected"]
    assert {p.url for p in posts} == {f"{PAGER}/api/v2/alerts"}
    assert 9 <= len(posts) <= 13
    for earlier, later in pairwise(posts):
        assert earlier.body[0]["labels"] == later.body[0]["labels"]
        assert earlier.body[0]["startsAt"] == later.body[0]["startsAt"]
        begun = objects.parse_time(later.body[0]["endsAt"]).timestamp() - 15 * 60
        assert begun < objects.parse_time(earlier.body[0]["endsAt"]).timestamp(), "before it ends"


def test_the_address_comes_from_the_secret_and_a_missing_one_is_named(sim: Simulation) -> None:
    sim.edit("ModelMonitor", "tumours", alerts=[alert(webhook={"url": None, "urlKey": "chat", "format": "Slack"})])
    sim.workloads.traffic.change(sim.server)
    sim.advance(300)
    assert "create it with the key chat" in sim.message("ModelMonitor", "tumours", "AlertsDelivered")
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "mainspring-alerts", "namespace": NAMESPACE},
        "data": {"chat": "aHR0cHM6Ly9ob29rcy5zbGFjay5jb20vc2VydmljZXMvVDAwMC9CMDAwL3NlY3JldA=="},
    }
    sim.apply(secret)
    sim.advance(600)
    assert {post.url for post in sim.workloads.traffic.inbox} == {CHAT}
    assert delivered(sim) == ("True", "Delivered")
    assert "secret" not in str(sim.status("ModelMonitor", "tumours")).lower().replace("mainspring-alerts", "")


def test_runs_of_before_are_no_news_for_a_new_alert(sim: Simulation) -> None:
    sim.edit("ModelMonitor", "tumours", alerts=None)
    stories.change(sim)
    sim.advance(1500)
    assert len(sim.status("ModelMonitor", "tumours")["retrains"]) == 1
    assert sim.condition("ModelMonitor", "tumours", "AlertsDelivered") == ("", "")
    sim.edit("ModelMonitor", "tumours", alerts=[alert()])
    sim.advance(300)
    assert taken(sim) == []
