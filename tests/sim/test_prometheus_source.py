"""The closed loop with counts from a Prometheus: the same story, some seconds later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mainspring.plan.common import objects
from tests import builders, kstatus
from tests.sim import stories
from tests.sim.outside import SCRAPE_SECONDS
from tests.sim.simulation import Simulation
from tests.sim.traffic import ROWS_PER_SECOND
from tests.sim.workloads import HANGS

Serving = Callable[[], Simulation]
Watch = Callable[..., Simulation]
URL = "http://prometheus.monitoring.svc:9090"


@pytest.fixture
def watched(serving: Serving) -> Watch:
    """Clusters with a service that is watched by Prometheus, and has been for ten minutes."""

    def watch(scraping: str = "up", **spec: Any) -> Simulation:
        sim = serving()
        sim.workloads.traffic.prometheus = scraping
        sim.apply(builders.monitor(**{"source": "Prometheus", "prometheus": {"url": URL}, **spec}))
        sim.advance(600)
        return sim

    return watch


def said(sim: Simulation, condition: str = "Ready") -> tuple[str, str]:
    return sim.condition("ModelMonitor", "tumours", condition)


def test_what_is_found_is_what_the_pods_themselves_say(watched: Watch) -> None:
    sim, direct = watched(), watched(source="Direct", prometheus=None)
    for condition in ("Ready", "DriftDetected", "QualityDegraded", "PerformanceDegraded", "DataSufficient"):
        assert said(sim, condition) == said(direct, condition)
    for found in (sim, direct):
        found.workloads.rule("tumours-*-train-*", HANGS)
        stories.change(found)
        found.advance(300)
    assert said(sim, "PerformanceDegraded") == said(direct, "PerformanceDegraded") == ("True", "BelowBound")
    assert said(sim, "DriftDetected") == said(direct, "DriftDetected") == ("True", "FeaturesDrifted")
    windows = [found.status("ModelMonitor", "tumours")["lastWindow"] for found in (sim, direct)]
    assert windows[0]["number"] == windows[1]["number"]
    assert abs(windows[0]["rows"] - windows[1]["rows"]) <= 2 * 10 * 15, "as many rows as come between two scrapes"


def test_the_loop_closes_by_itself(watched: Watch) -> None:
    sim = watched()
    stories.change(sim)
    sim.advance(1200)
    assert sim.status("InferenceService", "tumours")["stableVersion"] == "tumours-v2"
    assert said(sim, "DriftDetected") == ("False", "NoDrift")
    assert said(sim, "PerformanceDegraded") == ("False", "WithinBound")
    assert said(sim, "RetrainTriggered") == ("False", "NotNeeded")
    assert len(sim.made("TrainingRun")) == 2


@pytest.mark.parametrize(
    ("trouble", "verdict", "reason", "kstatus_verdict"),
    [
        ("down", "Unknown", "PrometheusUnavailable", kstatus.IN_PROGRESS),
        ("foreign", "False", "PrometheusRefused", kstatus.FAILED),
        ("idle", "Unknown", "NoSamples", kstatus.IN_PROGRESS),
        ("stopped", "Unknown", "NotScraped", kstatus.IN_PROGRESS),
    ],
)
def test_trouble_is_named_with_the_field_and_nothing_is_lost(
    watched: Watch, trouble: str, verdict: str, reason: str, kstatus_verdict: str
) -> None:
    sim = watched()
    windows = followed(sim)
    sim.advance(100)
    sim.workloads.traffic.prometheus = trouble
    sim.advance(90)
    assert said(sim) == (verdict, reason)
    assert "spec.prometheus.url" in sim.message("ModelMonitor", "tumours")
    assert kstatus.verdict(sim.get("ModelMonitor", "tumours")) == kstatus_verdict
    assert said(sim, "DriftDetected") == ("False", "NoDrift"), "what is known stays"
    sim.workloads.traffic.prometheus = "up"
    sim.advance(300)
    assert said(sim) == ("True", "Watching")
    first, *_, last = windows.values()
    seconds = (objects.parse_time(last["end"]) - objects.parse_time(first["start"])).total_seconds()
    rows = sum(window["rows"] for window in windows.values())
    rate = ROWS_PER_SECOND * sim.status("ModelMonitor", "tumours")["pods"]
    assert abs(rows - rate * seconds) <= rate * SCRAPE_SECONDS, "as many as come between two scrapes"


def followed(sim: Simulation) -> dict[int, Any]:
    """The windows that close from now on, by number."""
    windows: dict[int, Any] = {}
    begun = sim.status("ModelMonitor", "tumours")["lastWindow"]["number"]

    def remember() -> None:
        window = sim.status("ModelMonitor", "tumours")["lastWindow"]
        if window["number"] > begun:
            windows[window["number"]] = window

    sim.operator.api.after_write = remember
    return windows


def test_a_service_that_is_not_scraped_yet_is_waited_for(watched: Watch) -> None:
    sim = watched(scraping="idle")
    assert said(sim) == ("Unknown", "NoSamples")
    assert "port 8081" in sim.message("ModelMonitor", "tumours")
    sim.workloads.traffic.prometheus = "up"
    sim.advance(120)
    assert said(sim) == ("True", "Watching")


def test_another_source_begins_anew_and_counts_nothing_twice(watched: Watch) -> None:
    sim = watched()
    before = sim.status("ModelMonitor", "tumours")["lastWindow"]["number"]
    sim.edit("ModelMonitor", "tumours", source="Direct")
    sim.advance(300)
    window = sim.status("ModelMonitor", "tumours")["lastWindow"]
    assert said(sim) == ("True", "Watching")
    assert window["number"] > before
    assert window["rows"] <= 2 * 10 * 120
