"""TrainingRuns: attempts, ends that stay ends, and what becomes of the Jobs."""

from __future__ import annotations

import pytest

from mainspring.kube import errors
from tests import builders
from tests.sim.simulation import Simulation
from tests.sim.workloads import HANGS, Ends

HOUR = 3600.0
FAILS = Ends(1, "Unlucky", "try again")


@pytest.fixture
def lab(sim: Simulation) -> Simulation:
    """A cluster with data and a Model."""
    sim.apply(builders.dataset(), builders.model())
    sim.settle()
    return sim


def attempts(sim: Simulation, run: str = "forest") -> list[tuple[int, str]]:
    return [(a["number"], a["outcome"]) for a in sim.status("TrainingRun", run).get("attempts", ())]


def trained(sim: Simulation) -> list[str]:
    return [name for name in sim.made("Job") if "-train-" in name]


def test_a_failed_attempt_is_followed_by_another(lab: Simulation) -> None:
    lab.workloads.rule("forest-train-1", FAILS)
    lab.apply(builders.run())
    lab.settle()
    assert lab.condition("TrainingRun", "forest") == ("Unknown", "Retrying")
    lab.advance(20)
    assert lab.condition("TrainingRun", "forest") == ("True", "Succeeded")
    assert attempts(lab) == [(1, "Failed"), (2, "Succeeded")]


def test_a_run_fails_after_its_last_retry(lab: Simulation) -> None:
    lab.workloads.rule("forest-train-*", FAILS)
    lab.apply(builders.run(retries=2))
    lab.advance(HOUR)
    assert lab.condition("TrainingRun", "forest") == ("False", "Unlucky")
    assert lab.condition("TrainingRun", "forest", "Stalled") == ("True", "Unlucky")
    assert attempts(lab) == [(1, "Failed"), (2, "Failed"), (3, "Failed")]
    assert lab.message("TrainingRun", "forest") == "after 3 attempts: try again"


def test_a_permanent_failure_is_not_tried_again(lab: Simulation) -> None:
    lab.workloads.rule("forest-train-*", Ends(42, "InvalidParameter", "n_estimators must be positive"))
    lab.apply(builders.run(retries=5))
    lab.advance(HOUR)
    assert len(trained(lab)) == 1
    assert lab.condition("TrainingRun", "forest") == ("False", "InvalidParameter")
    assert lab.status("TrainingRun", "forest")["attempts"][0]["exitCode"] == 42


def test_a_failed_run_stays_failed(lab: Simulation) -> None:
    lab.workloads.rule("forest-train-*", Ends(42, "InvalidParameter", "no"))
    lab.apply(builders.run())
    lab.settle()
    lab.workloads.rule("forest-train-*", None)
    lab.server.wipe_status(["TrainingRun"])
    lab.restart()
    lab.advance(HOUR)
    assert len(trained(lab)) == 1
    assert lab.condition("TrainingRun", "forest") == ("False", "InvalidParameter")


def test_out_of_memory_says_what_to_raise(lab: Simulation) -> None:
    lab.workloads.rule("forest-train-*", Ends(137, kubernetes_reason="OOMKilled"))
    lab.apply(builders.run(retries=0))
    lab.settle()
    assert lab.condition("TrainingRun", "forest") == ("False", "OutOfMemory")
    assert "spec.resources.limits.memory" in lab.message("TrainingRun", "forest")


def test_an_end_without_a_word_points_to_the_log(lab: Simulation) -> None:
    lab.workloads.rule("forest-train-*", Ends(3))
    lab.apply(builders.run(retries=0))
    lab.settle()
    assert lab.condition("TrainingRun", "forest") == ("False", "ContainerFailed")
    assert "kubectl logs -n lab job/forest-train-1" in lab.message("TrainingRun", "forest")


def test_a_good_end_without_a_report_fails_the_run(lab: Simulation) -> None:
    lab.workloads.rule("forest-train-*", Ends(reports=False))
    lab.apply(builders.run())
    lab.settle()
    assert lab.condition("TrainingRun", "forest") == ("False", "ReportMissing")
    assert lab.names("ModelVersion") == []


def test_a_report_that_somebody_deleted_fails_the_run(lab: Simulation) -> None:
    lab.workloads.rule("forest-train-1", HANGS)
    lab.apply(builders.run())
    lab.settle()
    lab.delete("ConfigMap", "forest-train-1")
    lab.workloads.rule("forest-train-1", Ends(reports=False))
    lab.settle()
    assert lab.condition("TrainingRun", "forest") == ("False", "ReportMissing")


def test_the_deadline_ends_a_run_for_good(lab: Simulation) -> None:
    lab.workloads.rule("forest-train-*", HANGS)
    lab.apply(builders.run(deadline="10m", retries=5))
    lab.advance(HOUR)
    assert lab.condition("TrainingRun", "forest") == ("False", "DeadlineExceeded")
    assert len(trained(lab)) == 1


def test_the_deadline_counts_over_all_attempts(lab: Simulation) -> None:
    lab.workloads.rule("forest-train-*", HANGS)
    lab.apply(builders.run(deadline="10m", retries=5))
    lab.advance(400)
    lab.workloads.rule("forest-train-1", FAILS)
    lab.advance(30)
    left = lab.get("Job", "forest-train-2")["spec"]["activeDeadlineSeconds"]
    assert 150 < left < 200


def test_a_deadline_that_passes_between_attempts_starts_none(lab: Simulation) -> None:
    lab.workloads.rule("forest-train-*", FAILS)
    lab.apply(builders.run(deadline="30s", retries=9))
    lab.advance(HOUR)
    assert lab.condition("TrainingRun", "forest") == ("False", "DeadlineExceeded")
    assert {outcome for _, outcome in attempts(lab)} == {"Failed"}


def test_eviction_is_not_charged(lab: Simulation) -> None:
    lab.workloads.rule("forest-train-1", HANGS)
    lab.apply(builders.run(retries=0))
    lab.settle()
    lab.workloads.evict("forest-train-1")
    lab.settle()
    lab.workloads.rule("forest-train-1", None)
    lab.settle()
    assert lab.condition("TrainingRun", "forest") == ("True", "Succeeded")
    assert attempts(lab) == [(1, "Succeeded")]
    assert sum(name.startswith("forest-train-1") for name in lab.made("Pod")) == 2


def test_a_suspended_run_does_not_start(lab: Simulation) -> None:
    lab.apply(builders.run(suspend=True))
    lab.advance(HOUR)
    assert lab.condition("TrainingRun", "forest") == ("True", "Suspended")
    assert trained(lab) == []
    lab.edit("TrainingRun", "forest", suspend=False)
    lab.settle()
    assert lab.condition("TrainingRun", "forest") == ("True", "Succeeded")


def test_suspending_stops_the_pod_and_resuming_starts_it_in_the_same_job(lab: Simulation) -> None:
    lab.workloads.rule("forest-train-1", HANGS)
    lab.apply(builders.run())
    lab.settle()
    lab.edit("TrainingRun", "forest", suspend=True)
    lab.settle()
    assert lab.names("Pod") == [p for p in lab.names("Pod") if "prepare" in p]
    assert lab.condition("TrainingRun", "forest") == ("True", "Suspended")
    lab.workloads.rule("forest-train-1", None)
    lab.edit("TrainingRun", "forest", suspend=False)
    lab.settle()
    assert lab.condition("TrainingRun", "forest") == ("True", "Succeeded")
    assert trained(lab) == ["forest-train-1"]


def test_a_suspended_run_still_tells_what_its_last_attempt_came_to(lab: Simulation) -> None:
    lab.workloads.rule("forest-train-1", HANGS)
    lab.apply(builders.run())
    lab.settle()
    lab.operator.held_back = frozenset({"Job", "Pod"})
    lab.workloads.rule("forest-train-1", FAILS)
    lab.settle()
    lab.edit("TrainingRun", "forest", suspend=True)
    lab.operator.held_back = frozenset()
    lab.settle()
    assert attempts(lab) == [(1, "Failed")]


def test_jobs_are_removed_after_their_time(lab: Simulation) -> None:
    lab.apply(builders.run(ttlAfterFinished="10m"))
    lab.settle()
    assert "forest-train-1" in lab.names("Job")
    lab.advance(700)
    for kind in ("Job", "ConfigMap", "ServiceAccount", "Role", "RoleBinding", "Pod"):
        assert not [name for name in lab.names(kind) if name.startswith("forest-train")]
    assert lab.condition("TrainingRun", "forest") == ("True", "Succeeded")


def test_a_run_whose_jobs_are_gone_does_not_run_again_when_its_status_is_lost(lab: Simulation) -> None:
    lab.apply(builders.run(ttlAfterFinished="10m"))
    lab.advance(700)
    lab.server.wipe_status(["TrainingRun"])
    lab.restart()
    lab.advance(HOUR)
    assert len(trained(lab)) == 1
    assert lab.condition("TrainingRun", "forest") == ("True", "Succeeded")
    assert lab.status("TrainingRun", "forest")["modelVersion"] == "tumours-v1"


def test_jobs_stay_when_nothing_is_said(lab: Simulation) -> None:
    lab.apply(builders.run())
    lab.advance(100 * HOUR)
    assert "forest-train-1" in lab.names("Job")


def test_a_run_stays_with_the_data_that_it_began_with(lab: Simulation) -> None:
    before = lab.status("Dataset", "tumours")["current"]
    lab.workloads.rule("forest-train-1", FAILS)
    lab.apply(builders.run())
    lab.settle()
    lab.workloads.runtime.content["tumours"] = "2"
    lab.annotate("Dataset", "tumours", refresh="now")
    lab.settle()
    lab.advance(30)
    assert lab.status("Dataset", "tumours")["current"] != before
    assert lab.status("TrainingRun", "forest")["lineage"]["datasetVersion"] == before


def test_a_pinned_version_is_used_even_when_a_newer_one_is_current(lab: Simulation) -> None:
    old = lab.status("Dataset", "tumours")["current"]
    lab.workloads.runtime.content["tumours"] = "2"
    lab.annotate("Dataset", "tumours", refresh="now")
    lab.settle()
    lab.apply(builders.run(dataset={"name": "tumours", "version": old}))
    lab.settle()
    assert lab.get("ModelVersion", "tumours-v1")["spec"]["source"]["datasetVersion"] == old


def test_a_pin_on_a_version_that_is_not_there_waits(lab: Simulation) -> None:
    lab.apply(builders.run(dataset={"name": "tumours", "version": "tumours-0000000000"}))
    lab.settle()
    assert lab.condition("TrainingRun", "forest") == ("Unknown", "DatasetVersionNotFound")


def test_a_pin_on_another_datasets_version_is_an_error(lab: Simulation) -> None:
    other = lab.status("Dataset", "tumours")["current"]
    lab.apply(builders.run(dataset={"name": "hospitals", "version": other}))
    lab.settle()
    assert lab.condition("TrainingRun", "forest") == ("False", "InvalidReference")


def test_a_version_that_is_deleted_under_a_run_is_named(lab: Simulation) -> None:
    lab.workloads.rule("forest-train-1", FAILS)
    lab.apply(builders.run())
    lab.settle()
    data = lab.get("DatasetVersion", lab.status("Dataset", "tumours")["current"])
    lab.delete("DatasetVersion", data["metadata"]["name"])
    lab.advance(60)
    assert lab.condition("TrainingRun", "forest") == ("False", "DatasetVersionDeleted")


def test_a_job_that_somebody_deleted_is_the_same_attempt_once_more(lab: Simulation) -> None:
    lab.workloads.rule("forest-train-1", HANGS)
    lab.apply(builders.run(retries=0))
    lab.settle()
    lab.workloads.rule("forest-train-1", None)
    lab.delete("Job", "forest-train-1")
    lab.settle()
    assert attempts(lab) == [(1, "Succeeded")]
    assert trained(lab) == ["forest-train-1", "forest-train-1"]


def test_progress_is_shown_with_an_end_in_sight(lab: Simulation) -> None:
    lab.workloads.rule("forest-train-1", HANGS)
    lab.apply(builders.run())
    lab.settle()
    lab.clock.tick(100)
    lab.workloads.progress("forest-train-1", 50)
    lab.settle()
    progress = lab.status("TrainingRun", "forest")["progress"]
    assert (progress["percent"], progress["stage"]) == (50, "fitting")
    assert progress["eta"].startswith("2025-06-02T08:0")


def test_a_reproduced_model_registers_no_new_version(lab: Simulation) -> None:
    lab.apply(builders.run("first"))
    lab.settle()
    lab.apply(builders.run("second"))
    lab.settle()
    assert lab.names("ModelVersion") == ["tumours-v1"]
    assert lab.status("TrainingRun", "second")["modelVersion"] == "tumours-v1"
    assert "reproduced" in lab.message("TrainingRun", "second")


def test_two_runs_that_make_the_same_model_at_once_register_it_once(lab: Simulation) -> None:
    lab.apply(builders.run("first"), builders.run("second"))
    lab.settle()
    assert lab.names("ModelVersion") == ["tumours-v1"]
    for run in ("first", "second"):
        assert lab.status("TrainingRun", run)["modelVersion"] == "tumours-v1"


def test_a_lost_report_of_a_reproduced_run_registers_nothing(lab: Simulation) -> None:
    lab.apply(builders.run("first"), builders.run("second"))
    lab.settle()
    lab.server.wipe_status(["TrainingRun"])
    lab.restart()
    lab.settle()
    assert lab.names("ModelVersion") == ["tumours-v1"]
    assert lab.status("TrainingRun", "second")["modelVersion"] == "tumours-v1"


def test_deleting_a_run_while_it_trains_removes_its_job_and_registers_nothing(lab: Simulation) -> None:
    lab.workloads.rule("forest-train-1", HANGS)
    lab.apply(builders.run())
    lab.settle()
    lab.delete("TrainingRun", "forest")
    lab.settle()
    assert not [name for name in lab.names("Job") if name.startswith("forest")]
    assert lab.names("ModelVersion") == []


def test_a_run_that_is_replaced_by_one_of_the_same_name_trains_again(lab: Simulation) -> None:
    lab.apply(builders.run())
    lab.settle()
    lab.delete("TrainingRun", "forest")
    lab.apply(builders.run(seed=2))
    lab.settle()
    assert not lab.events("forest", "NameTaken")
    assert lab.names("ModelVersion") == ["tumours-v1", "tumours-v2"]


def test_a_users_container_gets_its_data_and_has_no_rights(lab: Simulation) -> None:
    lab.apply(builders.run(container={"image": "team/trainer:1", "args": ["--fast"]}))
    lab.settle()
    pod = lab.get("Job", "forest-train-1")["spec"]["template"]["spec"]
    assert [c["name"] for c in pod["initContainers"]] == ["fetch", "user"]
    user = pod["initContainers"][1]
    assert "envFrom" not in user
    assert "token" not in [m["name"] for m in user["volumeMounts"]]
    assert lab.condition("TrainingRun", "forest") == ("True", "Succeeded")


def test_a_report_that_arrives_late_in_the_cache_is_not_taken_for_missing(lab: Simulation) -> None:
    lab.apply(builders.run())
    lab.operator.held_back = frozenset({"ConfigMap"})
    lab.settle()
    assert lab.condition("TrainingRun", "forest") == ("True", "Succeeded")


def test_an_exit_code_that_arrives_late_in_the_cache_still_counts(lab: Simulation) -> None:
    lab.workloads.rule("forest-train-*", Ends(42, "InvalidParameter", "no"))
    lab.apply(builders.run())
    lab.operator.held_back = frozenset({"Pod"})
    lab.advance(60)
    assert lab.condition("TrainingRun", "forest") == ("False", "InvalidParameter")
    assert len(trained(lab)) == 1


def test_jobs_refused_by_a_quota_stall_the_run_and_heal(lab: Simulation) -> None:
    full = errors.Refused('jobs "x" is forbidden: exceeded quota: small', 403, "Forbidden")
    lab.server.refusals.append(lambda verb, obj: full if obj["kind"] == "Job" else None)
    lab.apply(builders.run())
    lab.settle()
    assert lab.condition("TrainingRun", "forest") == ("False", "QuotaExceeded")
    assert "raise the ResourceQuota" in lab.message("TrainingRun", "forest")
    lab.server.refusals.clear()
    lab.advance(400)
    assert lab.condition("TrainingRun", "forest") == ("True", "Succeeded")
    assert attempts(lab) == [(1, "Succeeded")]


def test_a_lasting_refusal_is_said_once_and_does_not_flap(lab: Simulation) -> None:
    full = errors.Refused('jobs "x" is forbidden: exceeded quota: small', 403, "Forbidden")
    lab.server.refusals.append(lambda verb, obj: full if obj["kind"] == "Job" else None)
    lab.apply(builders.run())
    lab.settle()
    before = len(lab.operator.api.writes)
    lab.advance(HOUR)
    assert len(lab.operator.api.writes) == before
