from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mainspring.api import contract
from mainspring.api.v1alpha1.dataset import DatasetSpec
from mainspring.api.v1alpha1.datasetversion import CheckResult, NewRows, SplitCounts
from mainspring.plan.common import objects
from mainspring.plan.common.plan import NOTHING, Plan
from mainspring.plan.dataset import builders as dataset_builders
from mainspring.plan.dataset import plan, trigger
from mainspring.plan.dataset.observed import Observed
from tests import builders, plans

NOW = builders.NOW


def observe(status: dict[str, Any] | None = None, **more: Any) -> Observed:
    spec = more.pop("spec", {})
    obj = builders.stored(builders.dataset(**spec), status, annotations=more.pop("annotations", None))
    parsed = DatasetSpec.model_validate(objects.spec(obj))
    return Observed(object=obj, spec=parsed, settings=builders.SETTINGS, **more)


def make(observed: Observed, minutes: float = 0) -> Plan:
    return plan.make_plan(observed, NOW + timedelta(minutes=minutes))


def asked(observed: Observed) -> str:
    return trigger.current(observed.object, observed.spec, {}, NOW)


def job_name(observed: Observed, attempt: int = 0) -> str:
    return dataset_builders.job_name(observed, asked(observed), attempt)


def report(text: str = "data", **more: Any) -> contract.PrepareReport:
    facts: dict[str, Any] = {
        "identity": builders.digest("identity"),
        "digest": builders.digest(text),
        "uri": "s3://artifacts/x",
        "rows": 569,
        "splits": SplitCounts(train=455, test=114),
    }
    return contract.PrepareReport(**{**facts, **more})


def with_job(observed: Observed, state: str, attempt: int = 0, **more: Any) -> Observed:
    job = builders.job_state(job_name(observed, attempt), observed.object, state, **more)
    return replace(observed, jobs=(*observed.jobs, job))


def test_a_new_dataset_starts_its_job_after_all_that_the_pod_needs() -> None:
    made = make(observe())
    assert plans.applied(made) == ["ConfigMap", "ServiceAccount", "Role", "RoleBinding", "Job"]
    assert plans.verdict(made) == ("Reconciling", "Preparing")
    assert made.requeue_after


def test_the_task_names_destination_image_and_time() -> None:
    task = make(observe()).apply[0]["data"]["task.json"]
    parsed = contract.PrepareTask.model_validate_json(task)
    assert parsed.destination == "s3://artifacts/lab/datasets/tumours"
    assert parsed.image == "jobs:1"
    assert parsed.refreshed_at == "2025-06-02T08:00:00Z"
    assert parsed.previous is None


def test_the_next_preparation_is_told_of_the_current_version() -> None:
    current = builders.dataset_version(identity=builders.digest("identity"))
    observed = observe({"current": current["metadata"]["name"]}, versions=(current,))
    task = contract.PrepareTask.model_validate_json(make(observed).apply[0]["data"]["task.json"])
    assert task.previous_identity == builders.digest("identity")
    assert task.previous is not None
    assert task.previous.digest == current["spec"]["digest"]


@pytest.mark.parametrize(("new", "total"), [(None, 0), ({"since": "d-0", "rows": 5, "by": "Key", "total": 70}, 70)])
def test_the_next_preparation_goes_on_counting_new_rows(new: dict[str, Any] | None, total: int) -> None:
    current = builders.dataset_version(**({"newRows": new} if new else {}))
    observed = observe({"current": current["metadata"]["name"]}, versions=(current,))
    task = contract.PrepareTask.model_validate_json(make(observed).apply[0]["data"]["task.json"])
    assert task.previous_total == total


def test_a_version_tells_what_is_new_in_it() -> None:
    new = NewRows(since="tumours-0123456789", rows=23, by="Timestamp", total=90)
    made = make(with_job(observe(), "Succeeded", report=report(labelled_rows=560, new_rows=new)))
    (version,) = made.apply
    assert version["spec"]["labelledRows"] == 560
    assert version["spec"]["newRows"] == new.to_dict()
    (event,) = made.events
    assert event.message.endswith("with 569 rows, 23 newly labelled since tumours-0123456789")


def test_a_deleted_dataset_is_left_alone() -> None:
    observed = observe()
    gone = {**observed.object, "metadata": {**observed.object["metadata"], "deletionTimestamp": "now"}}
    assert make(replace(observed, object=gone)) == NOTHING


def test_a_wrong_schedule_stalls() -> None:
    assert plans.verdict(make(observe(spec={"refresh": {"schedule": "0 99 * * *"}}))) == ("Stalled", "InvalidSchedule")


def test_inputs_without_a_version_are_waited_for() -> None:
    spec = {"inputs": [{"name": "h", "dataset": "hospitals"}]}
    made = make(observe(spec=spec, inputs={"hospitals": None}))
    assert plans.verdict(made) == ("Reconciling", "InputsNotReady")
    assert not made.apply


def test_a_running_job_is_left_alone() -> None:
    made = make(with_job(observe(), "Running"))
    assert not made.apply
    assert plans.verdict(made) == ("Reconciling", "Preparing")


@pytest.mark.parametrize(
    "change", [{"resources": {"requests": {"memory": "1Gi"}}}, {"podTemplate": {"labels": {"a": "b"}}}]
)
def test_a_job_with_other_pod_settings_is_replaced(change: dict[str, Any]) -> None:
    stuck = with_job(observe(), "Running").jobs
    made = make(observe(spec=change, jobs=stuck))
    assert plans.applied(made)[-1] == "Job"
    assert plans.deleted(made) == [f"Job {stuck[0].name}"]


def test_a_good_end_makes_the_version_and_tells_it() -> None:
    observed = observe()
    made = make(with_job(observed, "Succeeded", report=report()))
    (version,) = made.apply
    assert version["metadata"]["name"] == f"tumours-{builders.digest('data')[7:17]}"
    assert version["metadata"]["annotations"]["mainspring.dev/trigger"] == asked(observed)
    assert "ownerReferences" not in version["metadata"]
    assert plans.verdict(made) == ("Ready", "Current")
    assert [e.reason for e in made.events] == ["VersionCreated"]


def test_a_version_that_is_known_is_marked_and_not_made_again() -> None:
    known = builders.dataset_version("data")
    made = make(with_job(observe(versions=(known,)), "Succeeded", report=report()))
    assert not made.apply
    assert not made.events
    assert plans.notes(made)[known["metadata"]["name"]]["trigger"]


def test_a_version_that_breaks_a_check_does_not_become_current() -> None:
    good = builders.dataset_version("old")
    broken = report(checks=[CheckResult(name="no-empty", passed=False, rows=3)])
    made = make(with_job(observe({"current": good["metadata"]["name"]}, versions=(good,)), "Succeeded", report=broken))
    assert [m["kind"] for m in made.apply] == ["DatasetVersion"]
    assert made.status is not None
    assert made.status["current"] == good["metadata"]["name"]
    assert plans.verdict(made) == ("Stalled", "ChecksFailed")


def test_unchanged_data_answers_the_trigger() -> None:
    current = builders.dataset_version()
    observed = observe({"current": current["metadata"]["name"]}, versions=(current,))
    made = make(with_job(observed, "Succeeded", report=report(unchanged=True)))
    assert not made.apply
    assert plans.notes(made)[current["metadata"]["name"]] == {"trigger": asked(observed)}
    assert made.status is not None
    assert made.status["trigger"] == asked(observed)
    assert plans.verdict(made) == ("Ready", "Current")


def test_an_answered_trigger_starts_nothing() -> None:
    observed = observe()
    version = builders.dataset_version(trigger=asked(observed))
    made = make(replace(observed, versions=(version,)))
    assert not made.apply
    assert plans.verdict(made) == ("Ready", "Current")


def test_a_passing_failure_is_tried_again_after_a_while() -> None:
    made = make(with_job(observe(), "Failed", reason="SourceUnreachable", exit_code=1))
    assert plans.verdict(made) == ("Stalled", "SourceUnreachable")
    assert made.status is not None
    assert (made.status["attempt"], made.status["retryAt"]) == (1, "2025-06-02T08:00:10Z")
    assert made.requeue_after == 10


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 20), (2, 40), (5, 320), (6, 600), (20, 600)])
def test_the_pause_doubles_up_to_ten_minutes(attempt: int, seconds: int) -> None:
    observed = observe()
    status = {"tried": asked(observed), "attempt": attempt}
    made = make(with_job(observe(status), "Failed", attempt, reason="X", exit_code=1))
    assert made.requeue_after == seconds


def test_before_its_time_no_retry_is_made() -> None:
    observed = observe()
    again = observe({"tried": asked(observed), "attempt": 1, "retryAt": builders.at(1)})
    assert make(again) == Plan(requeue_after=60)
    assert "Job" in plans.applied(make(again, minutes=1))


def test_attempts_of_another_trigger_do_not_count() -> None:
    made = make(observe({"tried": "another", "attempt": 5, "retryAt": builders.at(10)}))
    assert "Job" in plans.applied(made)


def test_a_lasting_failure_waits_for_a_change() -> None:
    made = make(with_job(observe(), "Failed", reason="InvalidTarget", exit_code=42))
    assert plans.verdict(made) == ("Stalled", "InvalidTarget")
    assert made.requeue_after is None
    assert "mainspring.dev/refresh" in plans.message(made)


def test_a_good_end_without_a_report_is_tried_again() -> None:
    made = make(with_job(observe(), "Succeeded"))
    assert plans.verdict(made) == ("Stalled", "ReportMissing")
    assert made.requeue_after == 10


def test_old_jobs_go_with_all_that_they_needed_even_after_a_crash_in_between() -> None:
    observed = observe()
    orphan = builders.job("tumours-prepare-gone", observed.object)
    made = make(replace(observed, job_children=({**orphan, "kind": "Role"},)))
    assert plans.deleted(made) == ["Role tumours-prepare-gone"]


def test_versions_beyond_retain_go_oldest_first_but_for_those_in_use() -> None:
    versions = tuple(builders.dataset_version(str(n), created=builders.at(n)) for n in range(4))
    names = [v["metadata"]["name"] for v in versions]
    observed = observe(spec={"retain": 1})
    status = {"trigger": asked(observed), "current": names[3]}
    made = make(observe(status, spec={"retain": 1}, versions=versions, in_use=frozenset({names[1]})))
    assert plans.deleted(made) == [f"DatasetVersion {names[0]}", f"DatasetVersion {names[2]}"]


def test_without_any_version_left_it_says_how_to_get_one() -> None:
    observed = observe()
    made = make(observe({"trigger": asked(observed)}))
    assert plans.verdict(made) == ("Stalled", "NoValidVersion")


def test_the_next_tick_wakes_it_up() -> None:
    spec = {"refresh": {"schedule": "0 9 * * *"}}
    version = builders.dataset_version(trigger=asked(observe(spec=spec)))
    made = make(observe(spec=spec, versions=(version,)))
    assert made.requeue_after == pytest.approx(3600.5)
    assert made.status is not None
    assert made.status["nextRefresh"] == "2025-06-02T09:00:00Z"


def test_a_settled_dataset_writes_nothing() -> None:
    observed = observe()
    version = builders.dataset_version(trigger=asked(observed))
    told = make(replace(observed, versions=(version,))).status
    again = observe(dict(told or {}), versions=(version,))
    assert plans.is_silent(make(again, minutes=60), again.object)


# ---- What asks for a preparation


@pytest.mark.parametrize(
    "change",
    [
        {"target": "label"},
        {"key": "id"},
        {"split": {"test": 0.3, "validation": 0.0, "by": "Hash"}},
        {"checks": [{"name": "c", "sql": "SELECT 1"}]},
        {"source": {"sample": "iris"}},
    ],
)
def test_a_change_of_the_data_asks(change: dict[str, Any]) -> None:
    assert asked(observe(spec=change)) != asked(observe())


@pytest.mark.parametrize("change", [{"retain": 3}, {"resources": {"requests": {"cpu": 1}}}, {"podTemplate": {}}])
def test_a_change_of_anything_else_does_not_ask(change: dict[str, Any]) -> None:
    assert asked(observe(spec=change)) == asked(observe())


def test_a_new_refresh_annotation_asks() -> None:
    assert asked(observe(annotations={"refresh": "now"})) != asked(observe())


def test_new_inputs_ask() -> None:
    observed = observe()
    first, second = (trigger.current(observed.object, observed.spec, {"h": d}, NOW) for d in ("1", "2"))
    assert first != second


@pytest.mark.parametrize(
    ("minutes", "tick"),
    [(0, None), (59, None), (61, "2025-06-02T09:00:00Z"), (24 * 60 + 61, "2025-06-03T09:00:00Z")],
)
def test_only_ticks_after_its_creation_count(minutes: float, tick: str | None) -> None:
    observed = observe(spec={"refresh": {"schedule": "0 9 * * *"}})
    found = trigger.last_tick(observed.object, observed.spec, NOW + timedelta(minutes=minutes))
    assert (objects.format_time(found) if found else None) == tick


def test_a_tick_in_the_second_of_its_creation_is_answered_by_the_first_preparation() -> None:
    observed = observe(spec={"refresh": {"schedule": "0 8 * * *"}})
    assert trigger.last_tick(observed.object, observed.spec, NOW + timedelta(minutes=1)) is None


@pytest.mark.parametrize(
    ("refresh", "says"),
    [
        ({"schedule": "0 3 * * *"}, None),
        ({"schedule": "a b c d e"}, "is not a cron expression"),
        ({"schedule": "0 3 * * *", "timeZone": "Mars/Olympus"}, "is not a known time zone"),
    ],
)
def test_a_schedule_is_checked(refresh: dict[str, str], says: str | None) -> None:
    problem = trigger.problem(observe(spec={"refresh": refresh}).spec)
    assert (problem is None) if says is None else (problem is not None and says in problem)


# ---- Builders


def test_a_config_map_source_is_mounted() -> None:
    spec = {"source": {"configMap": {"name": "numbers", "key": "rows.csv"}}}
    job = make(observe(spec=spec)).apply[-1]
    volumes = {v["name"]: v for v in job["spec"]["template"]["spec"]["volumes"]}
    found = volumes["source"]["configMap"]
    assert (found["name"], found["items"]) == ("numbers", [{"key": "rows.csv", "path": "rows.csv"}])


def test_a_claim_is_mounted_read_only() -> None:
    job = make(observe(spec={"source": {"uri": "file:///data/x.csv", "claim": "lake"}})).apply[-1]
    volumes = {v["name"]: v for v in job["spec"]["template"]["spec"]["volumes"]}
    assert volumes["source"]["persistentVolumeClaim"] == {"claimName": "lake", "readOnly": True}


def test_the_credentials_of_the_source_must_be_there() -> None:
    spec = {"source": {"uri": "s3://lake/x.csv", "credentialsSecret": "reader"}}
    container = make(observe(spec=spec)).apply[-1]["spec"]["template"]["spec"]["containers"][0]
    assert {"prefix": "SOURCE_", "secretRef": {"name": "reader", "optional": False}} in container["envFrom"]
