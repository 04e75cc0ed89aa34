"""Jobs of ours: how one is built with its task and its right to report, and how its outcome is read.

A Job is one attempt (`backoffLimit: 0`); whether there is another is decided in the plan of its kind. Only pods that the
cluster took away (eviction, preemption, a lost node) are replaced by Kubernetes itself, so these are never charged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from mainspring.api import contract
from mainspring.api.v1alpha1.common import ApiModel, PodTemplate, Resources
from mainspring.plan.common import conditions, objects, pods, refusals
from mainspring.plan.common.conditions import Verdict
from mainspring.plan.common.objects import Manifest, Object
from mainspring.plan.common.settings import Settings

TERMINATION_GRACE_SECONDS = 30
# A reason as conditions have it; what a user's container leaves as its last words may be anything.
WORD = re.compile("[A-Z][A-Za-z0-9]{0,63}")


@dataclass(frozen=True)
class JobRequest:
    """What one Job shall do. `name` also names its ConfigMap, ServiceAccount and Role."""

    owner: Object
    name: str
    labels: Mapping[str, str]
    image: str
    command: str  # sub-command of the runtime
    task: ApiModel
    resources: Resources | None = None
    template: PodTemplate | None = None
    secret: str = pods.ARTIFACTS_SECRET
    extra_secret: str | None = None
    deadline_seconds: int | None = None
    init_containers: Sequence[Manifest] = ()
    last_container: Manifest | None = None  # runs when the main one, which then is an init container, ended well
    env: Sequence[Manifest] = ()
    volumes: Sequence[Manifest] = ()
    mounts: Sequence[Manifest] = ()


def build_job(request: JobRequest, settings: Settings) -> tuple[Manifest, ...]:
    """The Job with all it needs, the Job last: what is there before it cannot be missing when the pod starts."""
    return (
        _task_config_map(request),
        pods.build_service_account(request.owner, request.name, request.labels, settings),
        *_right_to_report(request),
        _job(request, settings),
    )


def _task_config_map(request: JobRequest) -> Manifest:
    data = {contract.TASK_KEY: contract.as_json(request.task)}
    return pods.child(request.owner, "v1", "ConfigMap", request.name, request.labels, data=data)


def _right_to_report(request: JobRequest) -> tuple[Manifest, Manifest]:
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [request.name], "verbs": ["get", "patch"]}
    ]
    account = request.template.service_account_name if request.template else None
    subject = {"kind": "ServiceAccount", "name": account or request.name, "namespace": objects.namespace(request.owner)}
    group = "rbac.authorization.k8s.io"
    role_ref = {"apiGroup": group, "kind": "Role", "name": request.name}
    return (
        pods.child(request.owner, f"{group}/v1", "Role", request.name, request.labels, rules=rules),
        pods.child(
            request.owner,
            f"{group}/v1",
            "RoleBinding",
            request.name,
            request.labels,
            roleRef=role_ref,
            subjects=[subject],
        ),
    )


def task_env(request_name: str, settings: Settings) -> list[Manifest]:
    """Environment by which our commands find their task and where to report."""
    return [
        *pods.common_env(settings),
        {"name": contract.ENV_TASK, "value": contract.TASK_PATH},
        {"name": contract.ENV_REPORT, "value": request_name},
        {"name": contract.ENV_NAMESPACE, "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
    ]


def own_container(request: JobRequest, settings: Settings, name: str, command: str, **body: Any) -> Manifest:
    """A container of the runtime image with task, credentials and the right to report."""
    mounts = [
        {"name": "task", "mountPath": contract.TASK_DIR, "readOnly": True},
        {"name": "token", "mountPath": pods.TOKEN_DIR, "readOnly": True},
        *pods.ca_mounts(settings),
        *request.mounts,
    ]
    env_from = pods.artifacts_env_from(settings, request.secret)
    if request.extra_secret:
        env_from += [
            {"prefix": contract.ENV_SOURCE_PREFIX, "secretRef": {"name": request.extra_secret, "optional": False}}
        ]
    return pods.build_container(
        request.image,
        settings,
        name=name,
        args=[command],
        env=[*task_env(request.name, settings), *request.env],
        envFrom=env_from,
        volumeMounts=mounts,
        **body,
    )


def _job(request: JobRequest, settings: Settings) -> Manifest:
    main = own_container(
        request,
        settings,
        pods.CONTAINER,
        request.command,
        resources=pods.resources_or(request.resources, "250m", "512Mi"),
    )
    first, last = list(request.init_containers), main
    if request.last_container is not None:
        first, last = [*first, main], request.last_container
    body = {"initContainers": first} if first else {}
    pod = pods.build_pod_spec(
        settings,
        [last],
        request.template,
        request.name,
        [*_job_volumes(request), *request.volumes],
        restartPolicy="Never",
        terminationGracePeriodSeconds=TERMINATION_GRACE_SECONDS,
        **body,
    )
    spec: Manifest = {
        "backoffLimit": 0,
        "podFailurePolicy": {
            "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
        },
        "template": {"metadata": pods.pod_metadata(request.labels, request.template), "spec": pod},
    }
    if request.deadline_seconds is not None:
        spec["activeDeadlineSeconds"] = max(request.deadline_seconds, 1)
    return pods.child(request.owner, "batch/v1", "Job", request.name, request.labels, spec=spec)


def _job_volumes(request: JobRequest) -> list[Manifest]:
    """The task, and a token that only our own containers mount: a user's container has no API rights."""
    token = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]
    task = {"name": request.name, "items": [{"key": contract.TASK_KEY, "path": contract.TASK_KEY}]}
    return [{"name": "task", "configMap": task}, {"name": "token", "projected": {"sources": token}}]


# What does not pass by itself: somebody has to correct an image, make a Secret or make room. Kubernetes tries on meanwhile.
BLOCKING = frozenset(
    {
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "QuotaExceeded",
        "PodSecurityViolation",
        "PodsRefused",
    }
)


@dataclass(frozen=True)
class Waiting:
    """Why a Job that was started does not run."""

    reason: str
    message: str

    def verdict(self, job: str) -> Verdict:
        text = f"Job {job} cannot run yet: {self.reason}: {self.message}"
        return (
            conditions.stalled(self.reason, text)
            if self.reason in BLOCKING
            else conditions.reconciling("PodWaiting", text)
        )


@dataclass(frozen=True)
class JobState:
    """One Job with what its pods said, sorted by meaning."""

    job: Object
    state: str  # Running | Succeeded | Failed
    outcome: contract.Outcome
    exit_code: int | None = None
    started_at: str | None = None
    finished_at: str | None = None
    image_id: str | None = None
    waiting: Waiting | None = None  # no pod yet, image not pulled, unschedulable
    report: Mapping[str, Any] = field(default_factory=dict)
    progress: contract.ProgressReport | None = None

    @property
    def name(self) -> str:
        return objects.name(self.job)

    @property
    def unexplained(self) -> bool:
        """It has ended, and what it left behind is not there (or not there yet)."""
        if self.state == "Succeeded":
            return not self.report or self.image_id is None
        return self.state == "Failed" and self.exit_code is None and self.outcome.reason != "DeadlineExceeded"

    @property
    def permanent(self) -> bool:
        return self.exit_code == contract.EXIT_PERMANENT or self.outcome.reason == "DeadlineExceeded"


def read_job(
    job: Object, its_pods: Sequence[Object], config_map: Object | None, refused: Sequence[str] = ()
) -> JobState:
    """Puts Job, pods and report together. `refused`: messages of Events that say why no pod could be made."""
    pod = objects.newest(its_pods)
    terminated = _terminated(pod)
    state = _job_state(job)
    data = (config_map or {}).get("data") or {}
    return JobState(
        job=job,
        state=state,
        outcome=_outcome(job, pod, terminated, state),
        exit_code=terminated.get("exitCode"),
        started_at=objects.status(job).get("startTime"),
        finished_at=_finished_at(job),
        image_id=_image_id(pod),
        waiting=_waiting(pod, refused) if state == "Running" else None,
        report=_json_object(data.get(contract.REPORT_KEY)),
        progress=_progress(data.get(contract.PROGRESS_KEY)),
    )


def parse_report(state: JobState, report: type[ApiModel]) -> Any | None:
    """The report as its type; None when it is missing or not one."""
    try:
        return report.model_validate(state.report)
    except ValidationError:
        return None


def explain(outcome: contract.Outcome) -> str:
    """The message, with the named offenders that it does not name itself."""
    more = [detail for detail in outcome.details if detail not in outcome.message]
    return f"{outcome.message} ({'; '.join(more)})" if more else outcome.message


def _job_state(job: Object) -> str:
    if objects.condition_is(job, "Complete") or objects.condition_is(job, "SuccessCriteriaMet"):
        return "Succeeded" if objects.condition_is(job, "Complete") else "Running"
    return "Failed" if objects.condition_is(job, "Failed") else "Running"


def _finished_at(job: Object) -> str | None:
    done = objects.condition(job, "Complete") or objects.condition(job, "Failed")
    return str(done["lastTransitionTime"]) if done and done.get("status") == "True" else None


def _terminated(pod: Object | None) -> Mapping[str, Any]:
    """The container that ended the pod: the first that failed, else the main one."""
    states = [status.get("state") or {} for status in _statuses(pod)]
    ended: list[Mapping[str, Any]] = [state["terminated"] for state in states if "terminated" in state]
    failed = [t for t in ended if t.get("exitCode")]
    return (failed or ended[-1:] or [{}])[0]


def _outcome(job: Object, pod: Object | None, terminated: Mapping[str, Any], state: str) -> contract.Outcome:
    if state == "Succeeded":
        return _parsed(terminated.get("message")) or contract.Outcome(outcome="Succeeded")
    failed = objects.condition(job, "Failed") or {}
    if failed.get("reason") == "DeadlineExceeded":
        return _failure(
            "DeadlineExceeded", "it ran longer than spec.deadline: raise that or spec.resources in a new run"
        )
    parsed = _parsed(terminated.get("message"))
    if parsed and parsed.message and WORD.fullmatch(parsed.reason):
        return parsed
    if terminated.get("reason") == "OOMKilled":
        return _failure("OutOfMemory", "it used more memory than its limit: raise spec.resources.limits.memory")
    if pod is not None and objects.status(pod).get("reason"):
        return _failure(
            str(objects.status(pod)["reason"]), str(objects.status(pod).get("message", "the pod was stopped"))
        )
    if terminated:
        code = terminated.get("exitCode")
        hint = f"kubectl logs -n {objects.namespace(job)} job/{objects.name(job)} --all-containers"
        return _failure("ContainerFailed", f"it ended with exit code {code}: see `{hint}`")
    return _failure("PodLost", "its pod vanished before it said why")


def _failure(reason: str, message: str) -> contract.Outcome:
    return contract.Outcome(outcome="Failed", reason=reason, message=message)


def _parsed(message: str | None) -> contract.Outcome | None:
    value = _json_object(message)
    try:
        return contract.Outcome.model_validate(value) if value else None
    except ValidationError:
        return None


def _waiting(pod: Object | None, told: Sequence[str]) -> Waiting | None:
    """Why nothing runs yet; None when something does."""
    if pod is None:
        return Waiting(refusals.pod_reason(told[-1]), refusals.pod_message(told[-1])) if told else None
    for status in _statuses(pod):
        waiting = (status.get("state") or {}).get("waiting") or {}
        message = str(waiting.get("message", status.get("image", "")))
        starting = waiting.get("reason") in (None, "ContainerCreating", "PodInitializing")
        if not starting and not refusals.passes_by_itself(message):
            reason = refusals.waiting_reason(waiting["reason"])
            return Waiting(reason, refusals.explain(reason, message))
    scheduled = objects.condition(pod, "PodScheduled")
    if scheduled and scheduled.get("status") == "False":
        return Waiting(str(scheduled.get("reason", "Unschedulable")), str(scheduled.get("message", "")))
    return None


def _image_id(pod: Object | None) -> str | None:
    found = [s.get("imageID") for s in _statuses(pod) if s.get("name") == pods.CONTAINER]
    return found[0] if found and found[0] else None


def _statuses(pod: Object | None) -> list[Mapping[str, Any]]:
    """Of all containers, in the order in which they run."""
    told = objects.status(pod) if pod else {}
    return [*(told.get("initContainerStatuses") or ()), *(told.get("containerStatuses") or ())]


def _json_object(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _progress(text: str | None) -> contract.ProgressReport | None:
    value = _json_object(text)
    try:
        return contract.ProgressReport.model_validate(value) if value else None
    except ValidationError:
        return None


def job_deadline(deadline: str | None, started_at: str | None, now: datetime) -> int | None:
    """Seconds that are left of the whole run's deadline."""
    if deadline is None:
        return None
    total = objects.parse_duration(deadline).total_seconds()
    used = (now - objects.parse_time(started_at)).total_seconds() if started_at else 0.0
    return int(total - used)
