from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mainspring.api import contract
from mainspring.api.v1alpha1.trainingrun import MetricValue, TrainingRunSpec
from mainspring.plan.common import objects
from mainspring.plan.common.jobs import JobState
from mainspring.plan.common.plan import NOTHING, Plan
from mainspring.plan.trainingrun import plan, retry, status
from mainspring.plan.trainingrun.observed import Observed
from tests import builders, plans

NOW = builders.NOW
DATA = builders.dataset_version()


def observe(told: dict[str, Any] | None = None, jobs: tuple[JobState, ...] = (), **more: Any) -> Observed:
    obj = builders.stored(builders.run(**more.pop("spec", {})), told, annotations=more.pop("annotations", None))
    parsed = TrainingRunSpec.model_validate(objects.spec(obj))
    world = {
        "dataset": builders.stored(builders.dataset(), {"current": DATA["metadata"]["name"]}),
        "dataset_version": DATA,
        "model": builders.stored(builders.model()),
    }
    return Observed(object=obj, spec=parsed, settings=builders.SETTINGS, jobs=jobs, **{**world, **more})


RUN = observe().object


def job(attempt: int, state: str, **more: Any) -> JobState:
    return builders.job_state(f"forest-train-{attempt}", RUN, state, **more)


def failed(attempt: int, exit_code: int = 1, reason: str = "Unlucky") -> JobState:
    return job(attempt, "Failed", reason=reason, message="no luck", exit_code=exit_code)


def succeeded(attempt: int = 1) -> JobState:
    report = contract.TrainReport(
        digest=builders.digest("artifact"),
        model_digest=builders.digest("model"),
        uri="s3://artifacts/lab/models/tumours/1",
        size=2000,
        format="skops",
        task="Classification",
        metrics=[MetricValue(name="roc_auc", value=0.9934, lower=0.981, upper=0.999, rows=114)],
        primary="roc_auc",
        threads=2,
        libraries={"scikit-learn": "1.7"},
    )
    return job(attempt, "Succeeded", report=report)


def make(observed: Observed, minutes: float = 0) -> Plan:
    return plan.make_plan(observed, NOW + timedelta(minutes=minutes))


def test_the_data_and_the_attempt_are_decided_before_the_job_is_made() -> None:
    made = make(observe())
    assert made.status_first
    assert made.status is not None
    assert made.status["lineage"]["datasetVersion"] == DATA["metadata"]["name"]
    assert made.status["attempts"] == [
        {"number": 1, "job": "forest-train-1", "outcome": "Running", "charged": True, "reason": "", "message": ""}
    ]
    assert made.apply[-1]["metadata"]["name"] == "forest-train-1"
    assert plans.applied(made)[-1] == "Job"


@pytest.mark.parametrize(
    ("world", "state", "reason"),
    [
        ({"dataset": None, "dataset_version": None}, "Reconciling", "DatasetNotFound"),
        ({"dataset_version": None}, "Reconciling", "DatasetNotReady"),
        ({"model": None}, "Reconciling", "ModelNotFound"),
        ({"dataset_version": builders.dataset_version(checks={"no-empty": 1})}, "Stalled", "DatasetVersionInvalid"),
        ({"dataset_version": builders.dataset_version(dataset="other")}, "Stalled", "InvalidReference"),
    ],
)
def test_what_is_missing_is_named(world: dict[str, Any], state: str, reason: str) -> None:
    made = make(observe(**world))
    assert plans.verdict(made) == (state, reason)
    assert not made.apply


def test_a_pinned_version_that_is_not_there_is_waited_for() -> None:
    spec = {"dataset": {"name": "tumours", "version": "tumours-0"}}
    made = make(observe(spec=spec, dataset_version=None))
    assert plans.verdict(made) == ("Reconciling", "DatasetVersionNotFound")


def test_a_decided_attempt_without_a_job_is_made_under_its_number() -> None:
    attempts = [{"number": 1, "job": "forest-train-1", "outcome": "Running"}]
    made = make(observe({"attempts": attempts, "startTime": builders.at(0)}))
    assert made.apply[-1]["metadata"]["name"] == "forest-train-1"


def test_a_lost_job_of_a_told_attempt_does_not_give_its_number_again() -> None:
    attempts = [{"number": 3, "job": "forest-train-3", "outcome": "Failed"}]
    assert make(observe({"attempts": attempts})).apply[-1]["metadata"]["name"] == "forest-train-4"


def test_a_running_attempt_is_left_alone() -> None:
    made = make(observe(jobs=(job(1, "Running"),)))
    assert not made.apply
    assert not made.patch
    assert plans.verdict(made) == ("Reconciling", "Training")


def test_the_stage_is_told() -> None:
    running = job(1, "Running", progress=contract.ProgressReport(percent=40, stage="fitting"))
    made = make(observe(jobs=(running,)), minutes=4)
    assert made.status is not None
    assert made.status["progress"] == {"percent": 40, "stage": "fitting", "eta": "2025-06-02T08:10:00Z"}
    assert "fitting" in plans.message(made)


def test_the_estimated_end_changes_only_with_the_percentage() -> None:
    running = job(1, "Running", progress=contract.ProgressReport(percent=40, stage="fitting"))
    first = make(observe(jobs=(running,)), minutes=4).status
    again = observe(dict(first or {}), jobs=(running,))
    assert make(again, minutes=6).status == first


@pytest.mark.parametrize(
    ("suspend", "suspended", "patched"), [(True, False, [True]), (False, True, [False]), (True, True, [])]
)
def test_the_job_follows_suspend(suspend: bool, suspended: bool, patched: list[bool]) -> None:
    made = make(observe(jobs=(job(1, "Running", suspended=suspended),), spec={"suspend": suspend}))
    assert [p.body["spec"]["suspend"] for p in made.patch] == patched
    assert plans.verdict(made)[0] == ("Ready" if suspend else "Reconciling")


def test_a_suspended_run_starts_nothing() -> None:
    made = make(observe(spec={"suspend": True}))
    assert plans.verdict(made) == ("Ready", "Suspended")
    assert not made.apply


def test_a_retry_waits_for_its_time() -> None:
    made = make(observe(jobs=(failed(1),)), minutes=1)
    assert plans.verdict(made) == ("Reconciling", "Retrying")
    assert made.requeue_after == 10
    assert made.status is not None
    assert made.status["retryAt"] == "2025-06-02T08:01:10Z"


def test_a_retry_is_the_next_attempt() -> None:
    made = make(observe(jobs=(failed(1),)), minutes=2)
    assert made.apply[-1]["metadata"]["name"] == "forest-train-2"
    assert made.status is not None
    assert [a["outcome"] for a in made.status["attempts"]] == ["Failed", "Running"]


@pytest.mark.parametrize(
    ("jobs", "retries", "ended"),
    [
        ((failed(1),), 0, True),
        ((failed(1),), 1, False),
        ((failed(1), failed(2)), 1, True),
        ((failed(1, exit_code=42),), 9, True),
        ((failed(1, reason="DeadlineExceeded"),), 9, True),
    ],
)
def test_when_a_run_is_given_up(jobs: tuple[JobState, ...], retries: int, ended: bool) -> None:
    assert retry.is_exhausted(jobs, retries) == ended
    made = make(observe(jobs=jobs, spec={"retries": retries}), minutes=1)
    assert (plans.verdict(made)[0] == "Stalled") == ended


def test_the_end_is_written_to_status_before_it_is_annotated() -> None:
    made = make(observe(jobs=(failed(1, exit_code=42),)))
    assert made.status_first
    assert plans.notes(made) == {"forest": {"finished": "Failed"}}
    assert plans.message(made) == "no luck"


def test_after_several_attempts_their_number_is_told() -> None:
    made = make(observe(jobs=(failed(1), failed(2), failed(3))))
    assert plans.message(made) == "after 3 attempts: no luck"


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 10), (2, 20), (3, 40), (6, 300), (20, 300)])
def test_pauses_double_up_to_five_minutes(attempt: int, seconds: int) -> None:
    every = [failed(n) for n in range(1, attempt + 1)]
    assert retry.next_try(every, NOW) == NOW + timedelta(minutes=1, seconds=seconds)


def test_what_is_left_of_the_deadline_is_that_of_the_job() -> None:
    told = {"startTime": builders.at(0)}
    made = make(observe(told, jobs=(failed(1),), spec={"deadline": "10m"}), minutes=4)
    assert made.apply[-1]["spec"]["activeDeadlineSeconds"] == 360


def test_a_passed_deadline_ends_the_run_without_another_attempt() -> None:
    told = {"startTime": builders.at(0)}
    made = make(observe(told, jobs=(failed(1),), spec={"deadline": "10m"}), minutes=11)
    assert plans.verdict(made) == ("Stalled", "DeadlineExceeded")
    assert not made.apply
    assert made.status is not None
    assert [a["outcome"] for a in made.status["attempts"]] == ["Failed"]


def test_a_published_model_waits_to_be_registered() -> None:
    made = make(observe(jobs=(succeeded(),)))
    assert plans.verdict(made) == ("Reconciling", "Registering")
    assert made.status is not None
    assert made.status["artifact"]["digest"] == builders.digest("artifact")
    assert made.status["primary"] == "roc_auc 0.9934 [0.981, 0.999]"
    assert made.status["lineage"]["threads"] == 2


def test_the_registered_version_ends_the_run() -> None:
    version = builders.model_version(1, source={"trainingRunUid": objects.uid(RUN)})
    made = make(observe(jobs=(succeeded(),), model_version=version))
    assert plans.verdict(made) == ("Ready", "Succeeded")
    assert made.status is not None
    assert made.status["modelVersion"] == "tumours-v1"
    assert plans.notes(made) == {"forest": {"finished": "Succeeded"}}
    assert plans.message(made).startswith("ModelVersion tumours-v1 was registered")


def test_a_reproduced_version_ends_the_run_and_says_so() -> None:
    made = make(observe(jobs=(succeeded(),), model_version=builders.model_version(1)))
    assert plans.verdict(made) == ("Ready", "Succeeded")
    assert "was reproduced" in plans.message(made)


def test_a_good_end_without_a_report_is_a_failure() -> None:
    made = make(observe(jobs=(job(1, "Succeeded"),)))
    assert plans.verdict(made) == ("Stalled", "ReportMissing")


def test_a_finished_run_writes_nothing() -> None:
    told = dict(make(observe(jobs=(failed(1, exit_code=42),))).status or {})
    again = observe(told, jobs=(failed(1, exit_code=42),), annotations={"finished": "Failed"})
    assert plans.is_silent(make(again, minutes=600), again.object)


def test_a_finished_run_does_not_run_again_when_its_status_is_lost() -> None:
    made = make(observe({}, annotations={"finished": "Failed"}))
    assert not made.apply
    assert plans.verdict(made) == ("Stalled", "TrainingFailed")


def test_the_verdict_of_a_finished_run_follows_the_generation() -> None:
    told = dict(make(observe(jobs=(failed(1, exit_code=42),))).status or {})
    again = observe(told, annotations={"finished": "Failed"})
    newer = replace(again, object={**again.object, "metadata": {**again.object["metadata"], "generation": 2}})
    made = make(newer)
    assert made.status is not None
    assert made.status["observedGeneration"] == 2
    assert plans.verdict(made) == ("Stalled", "Unlucky")


def test_jobs_go_with_all_that_they_needed_when_their_time_has_come() -> None:
    spec = {"ttlAfterFinished": "1h"}
    told = dict(make(observe(jobs=(failed(1, exit_code=42),), spec=spec)).status or {})
    child = {**builders.job("forest-train-1", RUN), "kind": "ConfigMap"}
    again = observe(
        told, jobs=(failed(1, exit_code=42),), spec=spec, job_children=(child,), annotations={"finished": "Failed"}
    )
    assert make(again, minutes=2).requeue_after == 59 * 60
    assert plans.deleted(make(again, minutes=62)) == ["Job forest-train-1", "ConfigMap forest-train-1"]


def test_what_a_crash_left_of_the_jobs_goes_as_well() -> None:
    spec = {"ttlAfterFinished": "1h"}
    told = dict(make(observe(jobs=(failed(1, exit_code=42),), spec=spec)).status or {})
    child = {**builders.job("forest-train-1", RUN), "kind": "ConfigMap"}
    again = observe(told, spec=spec, job_children=(child,), annotations={"finished": "Failed"})
    assert plans.deleted(make(again, minutes=62)) == ["ConfigMap forest-train-1"]


def test_a_deleted_run_is_left_alone() -> None:
    gone = {**RUN, "metadata": {**RUN["metadata"], "deletionTimestamp": "now"}}
    assert make(replace(observe(), object=gone)) == NOTHING


def test_a_lost_lineage_is_read_off_the_jobs() -> None:
    facts = status.known(observe({}, jobs=(job(1, "Running"),)))
    assert facts["lineage"]["datasetVersion"] == DATA["metadata"]["name"]
    assert facts["lineage"]["image"] == "jobs:1"
    assert facts["startTime"] == builders.at(0)


def test_at_most_fifty_attempts_are_told() -> None:
    told = [{"number": n, "job": f"forest-train-{n}", "outcome": "Failed"} for n in range(1, 51)]
    found = status.attempts(observe({"attempts": told}, jobs=(failed(51),)))
    assert [found[0]["number"], found[-1]["number"], len(found)] == [2, 51, 50]


# ---- The Job


def task(made: Plan) -> contract.TrainTask:
    return contract.TrainTask.model_validate_json(made.apply[0]["data"]["task.json"])


def test_the_task_names_data_model_and_destination() -> None:
    found = task(make(observe()))
    assert found.dataset.artifact.digest == DATA["spec"]["digest"]
    assert found.destination == "s3://artifacts/lab/models/tumours"
    assert (found.run, found.attempt, found.image) == ("forest", 1, "jobs:1")


def test_a_runs_own_image_is_used() -> None:
    made = make(observe(spec={"image": "team/runtime@sha256:1"}))
    assert made.apply[-1]["spec"]["template"]["spec"]["containers"][0]["image"] == "team/runtime@sha256:1"
    assert made.status is not None
    assert made.status["lineage"]["image"] == "team/runtime@sha256:1"


def test_a_users_container_stands_between_fetch_and_publish() -> None:
    spec = {
        "container": {"image": "team/trainer:1", "command": ["train"], "args": ["--fast"]},
        "checkpoint": {"claim": "scratch"},
        "resources": {"limits": {"memory": "2Gi"}},
        "podTemplate": {"env": [{"name": "A", "value": "1"}]},
    }
    pod = make(observe(spec=spec)).apply[-1]["spec"]["template"]["spec"]
    fetch, user = pod["initContainers"]
    assert (fetch["args"], user["command"], user["args"], pod["containers"][0]["args"]) == (
        ["fetch"],
        ["train"],
        ["--fast"],
        ["publish"],
    )
    assert user["resources"] == {"limits": {"memory": "2Gi"}}
    names = {e["name"] for e in user["env"]}
    assert {"MAINSPRING_INPUT", "MAINSPRING_OUTPUT", "MAINSPRING_CHECKPOINT", "MAINSPRING_EVENTS", "A"} <= names
    assert {"name": "checkpoint", "mountPath": "/checkpoint"} in user["volumeMounts"]


def test_without_a_claim_there_is_no_checkpoint() -> None:
    pod = make(observe(spec={"container": {"image": "team/trainer:1"}})).apply[-1]["spec"]["template"]["spec"]
    assert "MAINSPRING_CHECKPOINT" not in {e["name"] for e in pod["initContainers"][1]["env"]}


SIGNING = builders.stored(builders.model(signing={"privateKeySecret": "signing-key"}))
PRIVATE = ("MAINSPRING_PRIVATE_KEY", "MAINSPRING_PRIVATE_KEY_PASSWORD")


def signing_pod(**spec: Any) -> dict[str, Any]:
    found: dict[str, Any] = make(observe(spec=spec, model=SIGNING)).apply[-1]["spec"]["template"]["spec"]
    return found


def secrets_of(container: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Keys of the Secret with the private key that a container sees, and whether it starts without them."""
    references = [e["valueFrom"]["secretKeyRef"] for e in container["env"] if e["name"] in PRIVATE]
    return [(r["name"], r["key"], r.get("optional", False)) for r in references]


@pytest.mark.parametrize("spec", [{}, {"container": {"image": "team/trainer:1"}}, {"image": "team/runtime@sha256:1"}])
def test_only_the_first_and_the_last_container_see_the_private_key(spec: dict[str, Any]) -> None:
    template = {"env": [{"name": "A", "value": "1"}], "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    pod = signing_pod(**spec, podTemplate=template | {"volumes": [{"name": "v", "emptyDir": {}}]})
    check, *others, main = pod["initContainers"]
    (sign,) = pod["containers"]
    assert (check["args"], main["name"], sign["args"]) == (["check-signing-key"], "main", ["sign"])
    for container in (check, sign):
        assert secrets_of(container) == [("signing-key", "private.pem", False), ("signing-key", "password", True)]
        assert container["image"] == builders.SETTINGS.jobs_image
        assert {"name": "A", "value": "1"} not in container["env"]
        assert {"name": "v", "mountPath": "/v"} not in container["volumeMounts"]
    assert {"name": "A", "value": "1"} in main["env"]
    assert "signing-key" not in str((others, main, pod["volumes"]))


def test_signing_finds_the_files_of_a_users_container() -> None:
    (sign,) = signing_pod(container={"image": "team/trainer:1"})["containers"]
    assert {"name": "MAINSPRING_OUTPUT", "value": "/work/output"} in sign["env"]


def test_the_image_of_the_run_is_that_of_the_training() -> None:
    made = make(observe(spec={"image": "team/runtime@sha256:1"}, model=SIGNING))
    ran = replace(job(1, "Running"), job={**RUN, **made.apply[-1]})
    found = status.known(observe(jobs=(ran,), spec={"image": "team/runtime@sha256:1"}))
    assert found["lineage"]["image"] == "team/runtime@sha256:1"


def test_a_key_that_is_none_is_told_and_not_charged() -> None:
    """Nothing was trained yet; whoever corrects the Secret need not start the run anew."""
    bad = tuple(failed(n, reason="SigningKeyInvalid") for n in (1, 2, 3))
    waiting = make(observe(jobs=bad, spec={"retries": 0}, model=SIGNING), minutes=1)
    assert plans.verdict(waiting) == ("Stalled", "SigningKeyInvalid")
    assert waiting.status is not None
    assert [a["charged"] for a in waiting.status["attempts"]] == [False, False, False]
    again = make(observe(jobs=bad, spec={"retries": 0}, model=SIGNING), minutes=3)
    assert again.apply[-1]["metadata"]["name"] == "forest-train-4"


def test_a_key_that_stays_none_ends_the_run_at_last() -> None:
    bad = tuple(failed(n, reason="SigningKeyInvalid") for n in range(1, retry.UNCHARGED_MAX + 1))
    assert not retry.is_exhausted(bad[1:], 0)
    assert plans.verdict(make(observe(jobs=bad, model=SIGNING), minutes=9)) == ("Stalled", "SigningKeyInvalid")
    assert plans.notes(make(observe(jobs=bad, model=SIGNING), minutes=9)) == {"forest": {"finished": "Failed"}}
