"""The closed loop: change is noticed, data is asked for, a better model takes over, and all is well again."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from mainspring.plan.common import objects
from mainspring.plan.modelmonitor import records
from mainspring.plan.modelmonitor.records import Record
from tests import builders, kstatus
from tests.sim import stories
from tests.sim.simulation import Simulation, Snapshot
from tests.sim.workloads import HANGS

Serving = Callable[[], Simulation]
Watch = Callable[..., Simulation]


@pytest.fixture
def served(serving: Serving) -> Simulation:
    return serving()


@pytest.fixture
def watched(serving: Serving) -> Watch:
    """Makes clusters with a service that is watched, and has been for ten minutes."""

    def watch(**spec: Any) -> Simulation:
        sim = serving()
        sim.apply(builders.monitor(**spec))
        sim.advance(600)
        return sim

    return watch


def said(sim: Simulation, condition: str) -> tuple[str, str]:
    return sim.condition("ModelMonitor", "tumours", condition)


def history(sim: Simulation) -> list[Record]:
    return records.read(sim.get("ConfigMap", "tumours-history"))


def check_history(sim: Simulation, when: str = "") -> None:
    """Every window once, up to the last one."""
    numbers = [record.number for record in history(sim)]
    assert numbers == list(range(1, sim.status("ModelMonitor", "tumours")["lastWindow"]["number"] + 1)), when


def test_while_nothing_changes_nothing_is_done(watched: Watch) -> None:
    sim = watched()
    assert said(sim, "Ready") == ("True", "Watching")
    assert said(sim, "DriftDetected") == ("False", "NoDrift")
    assert said(sim, "QualityDegraded") == ("False", "WithinLimits")
    assert said(sim, "PerformanceDegraded") == ("False", "WithinBound")
    assert said(sim, "DataSufficient") == ("True", "EnoughRows")
    assert said(sim, "RetrainTriggered") == ("False", "NotNeeded")
    assert sim.names("TrainingRun") == ["forest"]
    assert sim.status("ModelMonitor", "tumours")["lastWindow"]["number"] >= 8


def test_the_loop_closes_by_itself(watched: Watch) -> None:
    sim = watched()
    sim.workloads.rule("tumours-*-train-*", HANGS)
    stories.change(sim)
    sim.advance(300)
    assert said(sim, "DriftDetected")[0] == "True"
    assert "radius" in sim.message("ModelMonitor", "tumours", "DriftDetected")
    assert said(sim, "PerformanceDegraded")[0] == "True"
    assert said(sim, "RetrainTriggered") == ("True", "Training")
    sim.workloads.rule("tumours-*-train-*", None)
    sim.advance(900)
    assert sim.status("Model", "tumours")["champion"] == "tumours-v2"
    assert sim.status("InferenceService", "tumours")["stableVersion"] == "tumours-v2"
    assert said(sim, "DriftDetected") == ("False", "NoDrift")
    assert said(sim, "PerformanceDegraded") == ("False", "WithinBound")
    assert said(sim, "RetrainTriggered") == ("False", "NotNeeded")
    status = sim.status("ModelMonitor", "tumours")
    assert "need" not in status
    (retrain,) = status["retrains"]
    assert (retrain["reason"], retrain["outcome"], retrain["version"]) == (
        "PerformanceDegraded",
        "Promoted",
        "tumours-v2",
    )
    check_history(sim)
    assert {record.version for record in history(sim)} == {"tumours-v1", "tumours-v2"}
    for told in ("DriftDetected", "PerformanceDegraded", "RetrainTraining", "RetrainPromoted", "RetrainReplaced"):
        assert len(sim.events("tumours", told)) == 1, told
    assert status["retrained"] == {"PerformanceDegraded": 1}
    assert (status["lastNeed"]["reason"], status["lastNeed"]["outcome"]) == ("PerformanceDegraded", "Replaced")
    assert retrain["time"] >= status["lastNeed"]["since"]
    run = sim.get("TrainingRun", retrain["run"])
    assert "accuracy" in objects.annotations_of(run)["mainspring.dev/retrain-message"]
    assert len(sim.made("TrainingRun")) == 2


def test_nothing_is_retrained_without_new_data(watched: Watch) -> None:
    sim = watched()
    sim.workloads.traffic.change(sim.server)
    sim.advance(3600)
    assert said(sim, "PerformanceDegraded")[0] == "True"
    assert said(sim, "RetrainTriggered") == ("False", "WaitingForLabels")
    assert "0 new labelled rows of 100" in sim.message("ModelMonitor", "tumours", "RetrainTriggered")
    assert sim.names("TrainingRun") == ["forest"]


def test_a_version_that_is_no_better_is_not_served_and_the_same_data_is_not_tried_again(watched: Watch) -> None:
    sim = watched()
    stories.change(sim)
    sim.workloads.runtime.better["tumours-v2"] = -0.2
    sim.advance(3600)
    assert sim.status("Model", "tumours")["champion"] == "tumours-v1"
    (retrain,) = sim.status("ModelMonitor", "tumours")["retrains"]
    assert retrain["outcome"] == "Rejected"
    assert said(sim, "RetrainTriggered") == ("False", "WaitingForLabels")
    assert "was tried already" in sim.message("ModelMonitor", "tumours", "RetrainTriggered")


def test_drift_alone_does_not_retrain(watched: Watch) -> None:
    sim = watched(performance=None)
    stories.change(sim)
    sim.advance(1800)
    assert said(sim, "DriftDetected")[0] == "True"
    assert said(sim, "RetrainTriggered") == ("False", "NotNeeded")


def test_drift_retrains_when_it_is_asked_to(watched: Watch) -> None:
    asked = builders.monitor()["spec"]["retrain"]
    sim = watched(performance=None, retrain={**asked, "triggers": ["DriftDetected"]})
    stories.change(sim)
    sim.advance(1800)
    assert sim.status("Model", "tumours")["champion"] == "tumours-v2"
    assert sim.status("ModelMonitor", "tumours")["retrains"][0]["reason"] == "DriftDetected"


def test_after_a_promotion_the_first_season_that_was_well_is_what_windows_are_compared_with(watched: Watch) -> None:
    sim = watched()
    sim.workloads.traffic.mixed = True
    stories.change(sim)
    seen: list[tuple[str, bool]] = []
    for _ in range(40):
        sim.advance(30)
        status = sim.status("ModelMonitor", "tumours")
        if status["version"] == "tumours-v2":
            seen.append((said(sim, "DriftDetected")[0], "baseline" in status))
    assert ("True", False) in seen, seen  # against what the new version learned from, the new normal looks different
    assert seen[-1] == ("False", True), seen
    baseline = sim.status("ModelMonitor", "tumours")["baseline"]
    sim.advance(600)
    assert sim.status("ModelMonitor", "tumours")["baseline"] == baseline
    assert len(sim.made("TrainingRun")) == 2


def test_a_daily_swing_drifts_against_training_but_retrains_nothing(watched: Watch) -> None:
    asked = builders.monitor()["spec"]["retrain"]
    sim = watched(season="16m", retrain={**asked, "triggers": ["DriftDetected", "PerformanceDegraded"]})
    sim.workloads.traffic.swing = 16 * 60.0
    sim.restart()
    found = set()
    for _ in range(96):
        sim.advance(30)
        found.add(said(sim, "DriftDetected")[0])
    assert found == {"True", "False"}
    assert sim.names("TrainingRun") == ["forest"]


def test_the_same_phase_of_a_swing_does_not_drift(served: Simulation) -> None:
    sim = served
    sim.workloads.traffic.swing = 16 * 60.0
    sim.apply(builders.monitor(season="16m", drift={"baseline": "SamePhase"}))
    sim.advance(600)
    assert said(sim, "DriftDetected") == ("Unknown", "LearningBaseline")
    sim.advance(600)
    for _ in range(64):
        sim.advance(30)
        assert said(sim, "DriftDetected") == ("False", "NoDrift"), sim.message(
            "ModelMonitor", "tumours", "DriftDetected"
        )


def test_a_schedule_retrains_when_there_is_new_data(watched: Watch) -> None:
    asked = builders.monitor()["spec"]["retrain"]
    sim = watched(retrain={**asked, "triggers": ["Schedule"], "schedule": "0 */2 * * *"})
    sim.workloads.runtime.content["tumours"] = "2"
    sim.advance(3 * 3600)
    status = sim.status("ModelMonitor", "tumours")
    (retrain,) = status["retrains"]
    assert (retrain["reason"], retrain["outcome"]) == ("Schedule", "Promoted")
    assert "need" not in status
    assert status["lastScheduleTime"]
    assert status["retrained"] == {"Schedule": 1}
    assert "lastNeed" not in status, "nothing was broken, so nothing was restored"


def test_a_schedule_that_is_no_cron_expression_is_named(served: Simulation) -> None:
    asked = builders.monitor()["spec"]["retrain"]
    served.apply(builders.monitor(retrain={**asked, "triggers": ["Schedule"], "schedule": "99 * * * *"}))
    served.settle()
    assert said(served, "Stalled") == ("True", "InvalidSchedule")
    assert "spec.retrain.schedule" in served.message("ModelMonitor", "tumours")


def test_a_service_that_does_not_exist_is_waited_for(served: Simulation) -> None:
    sim = served
    sim.apply(builders.monitor(service="nowhere"))
    sim.settle()
    assert said(sim, "Ready") == ("Unknown", "ServiceNotFound")
    assert "InferenceService nowhere" in sim.message("ModelMonitor", "tumours")


def test_a_model_without_a_reference_is_named(served: Simulation) -> None:
    served.workloads.traffic.no_profile = True
    served.apply(builders.monitor())
    served.settle()
    assert said(served, "Stalled") == ("True", "NoReference")
    assert "the version has no profile.json" in served.message("ModelMonitor", "tumours")


def test_every_verdict_is_one_of_kstatus(served: Simulation) -> None:
    served.apply(builders.monitor(service="nowhere"))
    assert kstatus.verdict(served.get("ModelMonitor", "tumours")) == kstatus.IN_PROGRESS
    served.settle()
    assert kstatus.verdict(served.get("ModelMonitor", "tumours")) == kstatus.IN_PROGRESS
    served.edit("ModelMonitor", "tumours", service="tumours")
    served.settle()
    assert kstatus.verdict(served.get("ModelMonitor", "tumours")) == kstatus.CURRENT
    served.workloads.traffic.foreign = True
    served.advance(60)
    assert kstatus.verdict(served.get("ModelMonitor", "tumours")) == kstatus.FAILED


def test_a_server_without_counters_is_named(served: Simulation) -> None:
    sim = served
    sim.workloads.traffic.foreign = True
    sim.apply(builders.monitor())
    sim.settle()
    assert said(sim, "Stalled") == ("True", "NoCounters")
    sim.workloads.traffic.foreign = False
    sim.advance(60)
    assert said(sim, "Ready") == ("True", "Watching")


def test_pods_that_do_not_answer_are_waited_for(served: Simulation) -> None:
    sim = served
    sim.workloads.traffic.down.add("tumours")
    sim.apply(builders.monitor())
    sim.settle()
    assert said(sim, "Ready") == ("Unknown", "NoAnswer")
    sim.workloads.traffic.down.clear()
    sim.advance(60)
    assert said(sim, "Ready") == ("True", "Watching")


def test_too_few_rows_are_no_pass(watched: Watch) -> None:
    sim = watched(window={"length": "60s", "minimumRows": 100_000, "maximumLength": "5m"})
    assert said(sim, "DataSufficient") == ("False", "TooFewRows")
    assert said(sim, "DriftDetected") == ("Unknown", "TooFewRows")


def test_a_suspended_monitor_does_nothing_and_goes_on_afterwards(watched: Watch) -> None:
    sim = watched(suspend=True)
    assert said(sim, "Ready") == ("True", "Suspended")
    assert not sim.exists("ConfigMap", "tumours-windows")
    sim.edit("ModelMonitor", "tumours", suspend=False)
    sim.advance(120)
    assert said(sim, "Ready") == ("True", "Watching")


def test_a_restart_in_the_middle_of_a_window_loses_no_row(watched: Watch) -> None:
    sim, other = watched(), watched()
    for one, restarts in ((sim, True), (other, False)):
        one.advance(25)
        if restarts:
            one.restart()
        one.advance(300)
    windows = [one.status("ModelMonitor", "tumours")["lastWindow"] for one in (sim, other)]
    assert windows[0]["rows"] > 0
    assert abs(windows[0]["rows"] - windows[1]["rows"]) <= 2 * 10 * 30


def test_the_history_is_that_of_an_operator_that_never_stopped(watched: Watch) -> None:
    """Windows touch each other, and no row is in two of them."""
    sim = watched()
    for _ in range(5):
        sim.advance(67)
        sim.restart()
    sim.advance(60)
    windows = history(sim)
    assert all(one.end == other.start for one, other in itertools.pairwise(windows))
    seconds = objects.parse_time(windows[-1].end) - objects.parse_time(windows[0].start)
    assert abs(sum(record.rows for record in windows) - 20 * seconds.total_seconds()) <= 2 * 10 * 30


def test_a_memory_that_was_lost_does_not_take_the_history_with_it(watched: Watch) -> None:
    sim = watched()
    before = len(history(sim))
    sim.delete("ConfigMap", "tumours-windows")
    sim.advance(300)
    starts = [record.start for record in history(sim)]
    assert len(starts) > before
    assert starts == sorted(set(starts))


def test_a_history_that_was_deleted_begins_anew(watched: Watch) -> None:
    sim = watched()
    sim.delete("ConfigMap", "tumours-history")
    sim.advance(90)
    assert 1 <= len(history(sim)) <= 2
    assert said(sim, "Ready") == ("True", "Watching")


def test_killed_after_every_write_it_retrains_exactly_once(watched: Watch) -> None:
    sim = watched()
    clusters: list[tuple[str, Snapshot]] = []

    def remember() -> None:
        write = sim.operator.api.writes[-1]
        if " Event " not in write:
            clusters.append((write, sim.freeze()))

    stories.change(sim)
    sim.operator.api.after_write = remember
    sim.advance(900)
    assert any(write.startswith("create TrainingRun") for write, _ in clusters), [write for write, _ in clusters]
    for number, (write, cluster) in enumerate(clusters, 1):
        _check_closed(cluster, f"killed after write {number}: {write}")


def _await_closed(sim: Simulation) -> None:
    """As long as it takes, and for another season: nothing may follow."""
    for _ in range(15):
        sim.advance(60)
        if sim.status("ModelMonitor", "tumours")["version"] == "tumours-v2":
            break
    sim.advance(240)


def _check_closed(cluster: Snapshot, when: str) -> None:
    """With a new operator that finds the cluster so, all comes to the same end."""
    sim = cluster.thaw()
    try:
        _await_closed(sim)
        assert sim.status("Model", "tumours")["champion"] == "tumours-v2", when
        assert sim.status("InferenceService", "tumours")["stableVersion"] == "tumours-v2", when
        assert len(sim.made("TrainingRun")) == 2, when
        assert said(sim, "RetrainTriggered") == ("False", "NotNeeded"), when
        assert said(sim, "PerformanceDegraded") == ("False", "WithinBound"), when
        assert [entry["outcome"] for entry in sim.status("ModelMonitor", "tumours")["retrains"]] == ["Promoted"], when
        check_history(sim, when)
    finally:
        sim.close()
