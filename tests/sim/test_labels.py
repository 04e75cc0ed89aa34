"""The closed loop with labels that come late, from a Dataset: nobody sends feedback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Ref
from tests import builders
from tests.sim import stories
from tests.sim.simulation import NAMESPACE, Simulation, Snapshot
from tests.sim.workloads import HANGS, Ends

PERFORMANCE = builders.monitor()["spec"]["performance"]
LABELS = {"dataset": "tumours", "key": "patient", "delay": "90s", "every": "60s"}
JOINS = "tumours-labels-*"

Serving = Callable[[], Simulation]
Watch = Callable[..., Simulation]


@pytest.fixture
def watch(serving: Serving) -> Watch:
    """Makes clusters with a service that logs payloads and is watched by a monitor with these labels."""

    def begin(seconds: float = 600, logs: bool = True, **labels: Any) -> Simulation:
        sim = serving()
        sim.workloads.traffic.silent_users = True
        if logs:
            sim.edit("InferenceService", "tumours", payloadLog={"sampleRate": 0.1})
        sim.apply(builders.monitor(performance={**PERFORMANCE, "labels": {**LABELS, **labels}}))
        sim.advance(seconds)
        return sim

    return begin


def said(sim: Simulation, condition: str = "LabelsJoined") -> tuple[str, str]:
    return sim.condition("ModelMonitor", "tumours", condition)


def told(sim: Simulation) -> str:
    return sim.message("ModelMonitor", "tumours", "LabelsJoined")


def joins(sim: Simulation) -> list[str]:
    return [name for name in sim.made("Job") if "-labels-" in name]


def test_labels_of_a_dataset_measure_the_quality(watch: Watch) -> None:
    sim = watch()
    assert said(sim) == ("True", "Joined")
    assert "900 of 1800 logged predictions" in told(sim)
    assert said(sim, "PerformanceDegraded") == ("False", "WithinBound")
    performance = sim.status("ModelMonitor", "tumours")["performance"]
    assert (performance["labels"], performance["coverage"]) == (900, 0.5)
    assert 0.93 < performance["value"] < 0.96
    now = sim.clock.now()
    assert 90 <= (now - objects.parse_time(performance["until"])).total_seconds() <= 90 + 60 + 60 + 30


def test_each_step_is_joined_once_and_old_jobs_go(watch: Watch) -> None:
    sim = watch()
    made = joins(sim)
    assert len(made) == len(set(made))
    # At the beginning, and at every full minute since.
    assert 10 <= len(made) <= 12
    left = [name for name in sim.names("Job") if "-labels-" in name]
    assert len(left) <= 2
    kept = {name for kind in ("ConfigMap", "Role", "ServiceAccount") for name in sim.names(kind) if "-labels-" in name}
    assert kept == set(left)
    assert sim.exists("ConfigMap", "tumours-windows")


def test_the_loop_closes_by_itself(watch: Watch) -> None:
    sim = watch()
    stories.change(sim)
    sim.advance(1500)
    assert sim.status("Model", "tumours")["champion"] == "tumours-v2"
    assert sim.status("InferenceService", "tumours")["stableVersion"] == "tumours-v2"
    assert said(sim, "PerformanceDegraded") == ("False", "WithinBound")
    (retrain,) = sim.status("ModelMonitor", "tumours")["retrains"]
    assert (retrain["reason"], retrain["outcome"]) == ("PerformanceDegraded", "Promoted")
    assert len(sim.made("TrainingRun")) == 2


def test_nothing_is_concluded_before_a_whole_season_is_labelled(watch: Watch) -> None:
    """The log begins with the service's own revision; the season is three minutes, and labels take 90 seconds more."""
    sim = watch(seconds=120)
    sim.workloads.traffic.accuracy = (0.5, 0.5)
    sim.advance(60)
    assert "need" not in sim.status("ModelMonitor", "tumours")
    sim.advance(300)
    assert sim.status("ModelMonitor", "tumours")["need"]["reason"] == "PerformanceDegraded"


@pytest.mark.parametrize(
    ("labels", "reason", "names"),
    [
        ({"dataset": "nothing"}, "DatasetNotFound", "spec.performance.labels.dataset"),
        ({"key": None}, "NoKey", "set its spec.key"),
        ({"delay": "40d"}, "KeptTooShortly", "spec.payloadLog.keep"),
    ],
)
def test_what_is_missing_is_named(watch: Watch, labels: dict[str, Any], reason: str, names: str) -> None:
    given = {key: value for key, value in labels.items() if value is not None}
    sim = watch(logs=True, seconds=0)
    spec = {key: value for key, value in LABELS.items() if key not in labels}
    sim.delete("ModelMonitor", "tumours")
    sim.apply(builders.monitor(performance={**PERFORMANCE, "labels": {**spec, **given}}))
    sim.advance(120)
    assert said(sim) == ("False", reason)
    assert names in told(sim)
    assert said(sim, "Ready") == ("True", "Watching")
    assert said(sim, "DriftDetected")[0] == "False"
    assert said(sim, "PerformanceDegraded") == ("Unknown", "InsufficientLabels")
    assert sim.status("ModelMonitor", "tumours")["lastWindow"]["number"] >= 1


def test_a_service_that_logs_nothing_is_named_and_heals(watch: Watch) -> None:
    sim = watch(logs=False)
    assert said(sim) == ("False", "NoPayloadLog")
    assert "InferenceService tumours logs no predictions: set its spec.payloadLog" in told(sim)
    assert joins(sim) == []
    sim.edit("InferenceService", "tumours", payloadLog={"sampleRate": 0.1})
    sim.advance(300)
    assert said(sim) == ("True", "Joined")


def test_a_key_that_is_redacted_is_named(watch: Watch) -> None:
    sim = watch()
    sim.edit("InferenceService", "tumours", payloadLog={"sampleRate": 0.1, "redact": ["patient"]})
    sim.advance(120)
    assert said(sim) == ("False", "KeyRedacted")


def test_a_model_without_a_key_is_named(watch: Watch) -> None:
    sim = watch(seconds=0)
    sim.workloads.traffic.key = None
    sim.restart()
    sim.advance(120)
    assert said(sim) == ("False", "ModelWithoutKey")


def test_callers_that_send_no_key_are_named(watch: Watch) -> None:
    sim = watch(seconds=0)
    sim.workloads.traffic.keys_sent = False
    sim.advance(600)
    assert said(sim) == ("False", "NoKeySent")
    assert "callers must send the input 'patient'" in told(sim)


def test_a_log_that_is_empty_is_told(watch: Watch) -> None:
    sim = watch(delay="1h")
    assert said(sim) == ("False", "LogEmpty")


def test_a_join_that_fails_is_told_and_monitoring_goes_on(watch: Watch) -> None:
    sim = watch()
    sim.workloads.rule(JOINS, Ends(1, "ArtifactStoreUnavailable", "the store does not answer"))
    sim.advance(120)
    assert said(sim) == ("False", "ArtifactStoreUnavailable")
    assert "the store does not answer" in told(sim)
    assert said(sim, "PerformanceDegraded") == ("False", "WithinBound")
    before = sim.status("ModelMonitor", "tumours")["lastWindow"]["number"]
    sim.advance(600)
    assert sim.status("ModelMonitor", "tumours")["lastWindow"]["number"] > before
    assert said(sim, "PerformanceDegraded") == ("Unknown", "InsufficientLabels"), "a report is good for a season"
    sim.workloads.rule(JOINS, None)
    sim.advance(180)
    assert said(sim) == ("True", "Joined")
    assert said(sim, "PerformanceDegraded") == ("False", "WithinBound")


def test_a_join_that_cannot_succeed_is_not_repeated_with_the_same_data(watch: Watch) -> None:
    sim = watch(seconds=0)
    sim.workloads.rule(JOINS, Ends(42, "KeyNotFound", "no column 'patient'"))
    sim.advance(900)
    first = joins(sim)
    assert len(first) <= 2, "one for each revision's digest at most"
    assert said(sim) == ("False", "KeyNotFound")
    sim.workloads.rule(JOINS, None)
    stories.new_data(sim)
    sim.advance(120)
    assert said(sim) == ("True", "Joined")


def test_one_join_at_a_time(watch: Watch) -> None:
    sim = watch()
    sim.workloads.rule(JOINS, HANGS)
    before = len(joins(sim))
    sim.advance(1200)
    assert len(joins(sim)) == before + 1
    sim.workloads.rule(JOINS, None)
    sim.advance(120)
    assert said(sim) == ("True", "Joined")


def test_a_join_that_cannot_begin_is_told_and_makes_room_for_one_that_can(watch: Watch) -> None:
    sim = watch()
    sim.workloads.no_pods = "exceeded quota: small"
    sim.advance(300)
    assert said(sim) == ("False", "QuotaExceeded")
    before = joins(sim)
    resources = {"requests": {"memory": "64Mi"}}
    sim.edit("ModelMonitor", "tumours", performance={**PERFORMANCE, "labels": {**LABELS, "resources": resources}})
    sim.advance(60)
    (made,) = set(joins(sim)) - set(before)
    assert not sim.exists("Job", before[-1])
    (container,) = sim.get("Job", made)["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == resources
    sim.workloads.no_pods = ""
    sim.advance(180)
    assert said(sim) == ("True", "Joined")


def test_without_labels_the_jobs_go(watch: Watch) -> None:
    sim = watch()
    sim.edit("ModelMonitor", "tumours", performance={**PERFORMANCE, "labels": None})
    sim.advance(60)
    assert [name for name in sim.names("Job") if "-labels-" in name] == []
    assert said(sim) == ("", "")


def test_killed_after_every_write_each_step_is_joined_once(watch: Watch) -> None:
    sim = watch()
    clusters: list[tuple[str, Snapshot]] = []

    def remember() -> None:
        write = sim.operator.api.writes[-1]
        if " Event " not in write and len(clusters) < 60:
            clusters.append((write, sim.freeze()))

    sim.operator.api.after_write = remember
    sim.advance(130)
    assert sum(write.startswith("create Job") for write, _ in clusters) >= 2, [write for write, _ in clusters]
    expected = (said(sim), set(joins(sim)))
    for number, (write, cluster) in enumerate(clusters, 1):
        _check(cluster, sim.clock.seconds, expected, f"killed after write {number}: {write}")


def _check(cluster: Snapshot, until: float, expected: tuple[tuple[str, str], set[str]], when: str) -> None:
    """With a new operator that finds the cluster so, the same joins are made by the same time, each once."""
    sim = cluster.thaw()
    try:
        sim.advance(until - sim.clock.seconds)
        made = joins(sim)
        assert (said(sim), set(made)) == expected, when
        assert len(made) == len(set(made)), when
        for name in (name for name in sim.names("ConfigMap") if "-labels-" in name):
            assert Ref("Job", NAMESPACE, name) in sim.server.objects, when
    finally:
        sim.close()
