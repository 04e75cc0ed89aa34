"""How the outcome of a Job is read, and what one is made of."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mainspring.api import contract
from mainspring.api.v1alpha1.common import PodTemplate
from mainspring.plan.common import jobs, objects, pods
from tests import builders

OWNER = builders.stored(builders.run())
NOW = builders.NOW


def finished(kind: str, reason: str = "") -> dict[str, Any]:
    done = {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": builders.at(1)}
    return builders.job("j", OWNER, startTime=builders.at(0), conditions=[done])


def pod(name: str = "main", created: float = 0, status: dict[str, Any] | None = None, **state: Any) -> dict[str, Any]:
    container = {"name": name, "image": "jobs:1", "imageID": "jobs@sha256:1", "state": state}
    metadata = {"name": f"p{created}", "creationTimestamp": builders.at(created)}
    return {"metadata": metadata, "status": {"containerStatuses": [container], **(status or {})}}


def ended(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "message": message, "reason": reason}}


def said(reason: str) -> str:
    return json.dumps({"outcome": "Failed", "reason": reason, "message": "m"})


def config_map(**data: str) -> dict[str, Any]:
    return {"metadata": {"name": "j"}, "data": {f"{key}.json": value for key, value in data.items()}}


@pytest.mark.parametrize(
    ("job", "its_pod", "reason"),
    [
        (finished("Failed"), pod(**ended(1, said("Unlucky"))), "Unlucky"),
        (finished("Failed", "DeadlineExceeded"), pod(**ended(1, said("Unlucky"))), "DeadlineExceeded"),
        (finished("Failed"), pod(**ended(137, reason="OOMKilled")), "OutOfMemory"),
        (finished("Failed"), pod(status={"reason": "Evicted", "message": "disk pressure"}), "Evicted"),
        (finished("Failed"), pod(**ended(3)), "ContainerFailed"),
        (finished("Failed"), pod(**ended(3, "no JSON")), "ContainerFailed"),
        (finished("Failed"), pod(**ended(3, '{"outcome": "Maybe"}')), "ContainerFailed"),
        (finished("Failed"), pod(**ended(3, '{"outcome": "Failed"}')), "ContainerFailed"),
        (finished("Failed"), pod(**ended(3, said("not one word"))), "ContainerFailed"),
        (finished("Failed"), None, "PodLost"),
    ],
)
def test_why_a_job_failed(job: dict[str, Any], its_pod: dict[str, Any] | None, reason: str) -> None:
    state = jobs.read_job(job, [its_pod] if its_pod else [], None)
    assert (state.state, state.outcome.reason) == ("Failed", reason)
    assert state.outcome.message


@pytest.mark.parametrize(
    ("types", "state"),
    [
        ([], "Running"),
        (["Complete"], "Succeeded"),
        (["Failed"], "Failed"),
        (["SuccessCriteriaMet"], "Running"),
        (["SuccessCriteriaMet", "Complete"], "Succeeded"),
        (["Suspended"], "Running"),
    ],
)
def test_the_state_of_a_job(types: list[str], state: str) -> None:
    conditions = [{"type": t, "status": "True", "lastTransitionTime": builders.at(1)} for t in types]
    assert jobs.read_job(builders.job("j", OWNER, conditions=conditions), [], None).state == state


def test_the_newest_pod_counts() -> None:
    old, new = pod(created=0, **ended(1, said("Old"))), pod(created=1, **ended(1, said("New")))
    assert jobs.read_job(finished("Failed"), [new, old], None).outcome.reason == "New"


def test_the_container_that_failed_counts() -> None:
    both = pod(**ended(0))
    both["status"]["initContainerStatuses"] = [{"name": "user", "state": ended(7)}]
    assert jobs.read_job(finished("Failed"), [both], None).exit_code == 7


@pytest.mark.parametrize(
    ("code", "reason", "permanent"), [(42, "X", True), (1, "X", False), (None, "DeadlineExceeded", True)]
)
def test_what_is_permanent(code: int | None, reason: str, permanent: bool) -> None:
    assert builders.job_state("j", OWNER, "Failed", exit_code=code, reason=reason).permanent == permanent


@pytest.mark.parametrize(
    ("job", "its_pods", "report", "unexplained"),
    [
        (finished("Complete"), [pod(**ended(0))], '{"a": 1}', False),
        (finished("Complete"), [pod(**ended(0))], "", True),
        (finished("Complete"), [], '{"a": 1}', True),
        (finished("Failed"), [pod(**ended(1))], "", False),
        (finished("Failed"), [pod()], "", True),
        (finished("Failed", "DeadlineExceeded"), [], "", False),
        (builders.job("j", OWNER), [], "", False),
    ],
)
def test_what_a_cache_may_not_have_seen_yet(
    job: dict[str, Any], its_pods: list[dict[str, Any]], report: str, unexplained: bool
) -> None:
    assert jobs.read_job(job, its_pods, config_map(report=report)).unexplained == unexplained


@pytest.mark.parametrize(
    ("its_pods", "refusals", "reason"),
    [
        ([], [], None),
        ([], ["exceeded quota: small"], "QuotaExceeded"),
        ([pod(waiting={"reason": "ImagePullBackOff", "message": "m"})], [], "ImagePullBackOff"),
        ([pod(waiting={"reason": "ErrImagePull", "message": "m"})], [], "ImagePullBackOff"),
        ([pod(waiting={"reason": "ContainerCreating"})], [], None),
        (
            [pod(status={"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]})],
            [],
            "Unschedulable",
        ),
        ([pod(running={})], [], None),
    ],
)
def test_why_a_job_does_not_run_yet(its_pods: list[dict[str, Any]], refusals: list[str], reason: str | None) -> None:
    waiting = jobs.read_job(builders.job("j", OWNER), its_pods, None, refusals).waiting
    assert (waiting.reason if waiting else None) == reason


@pytest.mark.parametrize(
    ("reason", "state"),
    [("ImagePullBackOff", "Stalled"), ("QuotaExceeded", "Stalled"), ("Unschedulable", "Reconciling")],
)
def test_what_somebody_has_to_correct_stalls(reason: str, state: str) -> None:
    assert jobs.Waiting(reason, "m").verdict("j").state == state


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"percent": 900, "stage": "x"}', '{"stage": "x"}'])
def test_damaged_progress_is_none(text: str) -> None:
    assert jobs.read_job(builders.job("j", OWNER), [], config_map(progress=text)).progress is None


def test_a_report_of_another_kind_is_none() -> None:
    state = jobs.read_job(finished("Complete"), [], config_map(report='{"identity": "x"}'))
    assert jobs.parse_report(state, contract.TrainReport) is None


@pytest.mark.parametrize(
    ("deadline", "started", "left"), [(None, None, None), ("10m", None, 600), ("10m", -4, 360), ("10m", -11, -60)]
)
def test_what_is_left_of_a_deadline(deadline: str | None, started: float | None, left: int | None) -> None:
    assert jobs.job_deadline(deadline, None if started is None else builders.at(started), NOW) == left


# ---- What a Job is made of


def request(**more: Any) -> jobs.JobRequest:
    task = contract.ArtifactRef(name="n", uri="u", digest="d")
    facts = {"owner": OWNER, "name": "j", "labels": {"a": "b"}, "image": "jobs:1", "command": "train", "task": task}
    return jobs.JobRequest(**{**facts, **more})


def job_of(settings: Any = builders.SETTINGS, **more: Any) -> dict[str, Any]:
    return jobs.build_job(request(**more), settings)[-1]


def test_an_attempt_is_one_job_that_never_starts_a_second_pod_but_for_eviction() -> None:
    spec = job_of()["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["podFailurePolicy"]["rules"][0]["onPodConditions"][0]["type"] == "DisruptionTarget"
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_a_job_may_write_its_own_report_and_nothing_else() -> None:
    _, _, role, binding, _ = jobs.build_job(request(), builders.SETTINGS)
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["j"], "verbs": ["get", "patch"]}
    ]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "j", "namespace": "lab"}]


def test_an_account_of_the_users_gets_that_right_as_well() -> None:
    template = PodTemplate(service_account_name="mine")
    _, _, _, binding, job = jobs.build_job(request(template=template), builders.SETTINGS)
    assert binding["subjects"][0]["name"] == "mine"
    assert job["spec"]["template"]["spec"]["serviceAccountName"] == "mine"


@pytest.mark.parametrize(("seconds", "expected"), [(None, None), (60, 60), (0, 1)])
def test_a_deadline_is_at_least_a_second(seconds: int | None, expected: int | None) -> None:
    assert job_of(deadline_seconds=seconds)["spec"].get("activeDeadlineSeconds") == expected


def test_equal_tasks_are_equal_bytes() -> None:
    assert jobs.build_job(request(), builders.SETTINGS) == jobs.build_job(request(), builders.SETTINGS)


# ---- Pods


def pod_of(template: PodTemplate | None = None, **settings: Any) -> dict[str, Any]:
    found: dict[str, Any] = job_of(replace(builders.SETTINGS, **settings), template=template)["spec"]["template"]
    return found


def test_what_the_installation_decides_is_on_every_pod() -> None:
    spec = pod_of(image_pull_secrets=("pull",), priority_class="low", ca_bundle="PEM", pod_env={"HTTP_PROXY": "p"})[
        "spec"
    ]
    assert spec["imagePullSecrets"] == [{"name": "pull"}]
    assert spec["priorityClassName"] == "low"
    env = {e["name"]: e.get("value") for e in spec["containers"][0]["env"]}
    assert env["HTTP_PROXY"] == "p"
    assert env["SSL_CERT_FILE"] == "/etc/mainspring/ca/ca.crt"
    assert {"name": "ca", "configMap": {"name": "mainspring-ca"}} in spec["volumes"]


def test_users_labels_never_replace_ours() -> None:
    found = pod_of(PodTemplate(labels={"a": "mine", "team": "x"}, annotations={"n": "1"}))["metadata"]
    assert found == {"labels": {"a": "b", "team": "x"}, "annotations": {"n": "1"}}


def test_the_users_allowed_settings_are_merged_in() -> None:
    template = PodTemplate(
        node_selector={"disk": "fast"},
        tolerations=[{"key": "gpu"}],
        env=[{"name": "A", "value": "1"}],
        env_from=[{"secretRef": {"name": "s"}}],
        volumes=[{"name": "v", "emptyDir": {}}],
        volume_mounts=[{"name": "v", "mountPath": "/v"}],
        priority_class_name="high",
    )
    spec = pod_of(template, priority_class="low")["spec"]
    assert (spec["nodeSelector"], spec["priorityClassName"]) == ({"disk": "fast"}, "high")
    assert {"name": "v", "emptyDir": {}} in spec["volumes"]
    main = spec["containers"][-1]
    assert main["env"][-1] == {"name": "A", "value": "1"}
    assert main["envFrom"][-1] == {"secretRef": {"name": "s"}}
    assert main["volumeMounts"][-1] == {"name": "v", "mountPath": "/v"}


@pytest.mark.parametrize(("uri", "optional"), [("s3://mine", True), ("", False)])
def test_credentials_may_come_from_elsewhere_only_with_a_store_of_the_users(uri: str, optional: bool) -> None:
    settings = replace(builders.SETTINGS, artifacts_uri=uri)
    assert pods.artifacts_env_from(settings)[0]["secretRef"]["optional"] == optional


def test_accounts_carry_the_annotations_of_the_installation() -> None:
    settings = replace(builders.SETTINGS, service_account_annotations={"role": "r"})
    account = pods.build_service_account(OWNER, "a", {}, settings)
    assert account["metadata"]["annotations"] == {"role": "r"}
    assert account["automountServiceAccountToken"] is False


def test_a_finished_job_tells_when() -> None:
    state = jobs.read_job(finished("Complete"), [pod(**ended(0))], None)
    assert (state.started_at, state.finished_at) == (builders.at(0), builders.at(1))
    assert objects.parse_time(state.finished_at or "") - NOW == timedelta(minutes=1)


@pytest.mark.parametrize(
    ("reason", "state"),
    [("ErrImagePull", "Stalled"), ("CreateContainerConfigError", "Stalled"), ("Unschedulable", "Reconciling")],
)
def test_what_somebody_has_to_correct_is_stalled(reason: str, state: str) -> None:
    waiting = jobs.read_job(builders.job("j", OWNER), [pod(waiting={"reason": reason, "message": "m"})], None).waiting
    assert waiting is not None
    assert waiting.verdict("j").state == state


# ---- A container that comes after the main one


def init_state(name: str, state: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "image": "jobs:1", "imageID": f"{name}@sha256:1", "state": state}


def signed_pod(main: dict[str, Any], last: dict[str, Any]) -> dict[str, Any]:
    statuses = {
        "initContainerStatuses": [init_state("check-signing-key", ended(0)), init_state("main", main)],
        "containerStatuses": [init_state("sign", last)],
    }
    return {"metadata": {"name": "p1", "creationTimestamp": builders.at(1)}, "status": statuses}


def test_the_image_is_that_of_the_main_container_wherever_it_stands() -> None:
    found = jobs.read_job(builders.job("j", OWNER), [signed_pod(ended(0), {"running": {}})], None)
    assert found.image_id == "main@sha256:1"


def test_why_the_main_container_failed_is_told_although_another_would_come_after_it() -> None:
    said = '{"outcome": "Failed", "reason": "InvalidTarget", "message": "no such column"}'
    failed = builders.job("j", OWNER, conditions=[{"type": "Failed", "status": "True", "lastTransitionTime": "now"}])
    found = jobs.read_job(failed, [signed_pod(ended(42, said), {"waiting": {"reason": "PodInitializing"}})], None)
    assert (found.outcome.reason, found.exit_code) == ("InvalidTarget", 42)


def test_a_secret_that_the_kubelet_has_not_read_in_time_is_no_missing_one() -> None:
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": builders.NOT_READ_IN_TIME}}
    assert jobs.read_job(builders.job("j", OWNER), [signed_pod(waiting, {})], None).waiting is None


def test_a_missing_secret_is_told_with_what_to_do() -> None:
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "signing-key" not found'}}
    found = jobs.read_job(builders.job("j", OWNER), [signed_pod(waiting, {})], None)
    assert found.waiting is not None
    assert found.waiting.verdict("j").message == (
        'Job j cannot run yet: CreateContainerConfigError: secret "signing-key" not found'
        " (create what it names, or correct the name; this is tried again by itself)"
    )
