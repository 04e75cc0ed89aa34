"""Jobs and Deployments come to life here, one step at a time: the controllers and the kubelet of a small cluster.

Everything goes well unless a rule says otherwise. A rule is a pattern of names (`forest-train-*`) with what happens;
the rule that was added last counts.
"""

from __future__ import annotations

import copy
import fnmatch
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from mainspring.api import contract
from mainspring.api.v1alpha1.common import LABEL_MODEL_VERSION
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object, Ref
from tests.sim.runtime import Runtime
from tests.sim.server import ApiServer
from tests.sim.traffic import Traffic, joined


@dataclass(frozen=True)
class Ends:
    """How the container of a Job ends, or that of a server."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""
    reports: bool = True
    kubernetes_reason: str = "Error"

    def termination_message(self) -> str:
        outcome = {
            "outcome": "Failed" if self.exit_code else "Succeeded",
            "reason": self.reason,
            "message": self.message,
        }
        return json.dumps(outcome) if self.reason or not self.exit_code else ""


class Hangs:
    """Runs until the rule changes; a server never becomes ready."""


@dataclass(frozen=True)
class Waits:
    """The kubelet cannot start the container yet."""

    reason: str
    message: str


Behaviour = Ends | Hangs | Waits | None
HANGS = Hangs()


@dataclass
class Workloads:
    server: ApiServer
    runtime: Runtime = field(default_factory=Runtime)
    traffic: Traffic = field(default_factory=Traffic)
    no_pods: str = ""  # why pods cannot be made, e.g. a quota's message
    _rules: list[tuple[str, Behaviour]] = field(default_factory=list)

    def rule(self, pattern: str, behaviour: Behaviour) -> None:
        """`None` lets it go well again."""
        self._rules.append((pattern, behaviour))

    def copy(self, server: ApiServer) -> Workloads:
        runtime, traffic = copy.deepcopy(self.runtime), copy.deepcopy(self.traffic)
        return replace(self, server=server, runtime=runtime, traffic=traffic, _rules=list(self._rules))

    def _behaviour(self, name: str) -> Behaviour:
        return next((b for pattern, b in reversed(self._rules) if fnmatch.fnmatch(name, pattern)), None)

    def act(self) -> bool:
        """One step of everything that can make one; True if something changed."""
        before = self.server.version
        self.server.collect_garbage()
        for job in self.server.select("Job"):
            self._job(job)
        for deployment in self.server.select("Deployment"):
            self._deployment(deployment)
        self.traffic.splits.go_on(self.server)
        return self.server.version != before

    def next_deadline(self) -> float | None:
        """When the next running Job reaches its activeDeadlineSeconds, in seconds of the clock."""
        open_ = [j for j in self.server.select("Job") if not _finished(j) and "activeDeadlineSeconds" in j["spec"]]
        left = [self._seconds_left(j) for j in open_ if objects.status(j).get("startTime")]
        return self.server.clock.seconds + min(left) if left else None

    def _seconds_left(self, job: Object) -> float:
        started = objects.parse_time(objects.status(job)["startTime"])
        end = started + timedelta(seconds=objects.spec(job)["activeDeadlineSeconds"])
        return (end - self.server.clock.now()).total_seconds()

    # ---- Jobs

    def _job(self, job: Object) -> None:
        pods = self._pods_of(job)
        if _finished(job):
            return
        if objects.spec(job).get("suspend"):
            self._suspend(job, pods)
        elif not objects.status(job).get("startTime"):
            self._job_status(job, {"startTime": self.server.clock.text()})
        elif "activeDeadlineSeconds" in objects.spec(job) and self._seconds_left(job) <= 0:
            self._remove(pods)
            self._end_job(job, "Failed", "DeadlineExceeded")
        elif not pods:
            self._start_pod(job)
        else:
            self._run(job, pods[-1])

    def _suspend(self, job: Object, pods: list[Object]) -> None:
        self._remove(pods)
        if not objects.condition_is(job, "Suspended"):
            self._job_status(job, {"startTime": None, "active": None, "conditions": [self._condition("Suspended")]})

    def _start_pod(self, job: Object) -> None:
        if self.no_pods:
            self._warn(job, self.no_pods)
            return
        name = objects.name(job)
        number = sum(r.kind == "Pod" and r.name.startswith(name) for r in self.server.made)
        labels = {
            **job["spec"]["template"]["metadata"]["labels"],
            "job-name": name,
            "batch.kubernetes.io/job-name": name,
        }
        self._create_pod(job, f"{name}-{number}", labels, "Running")
        self._job_status(job, {"active": 1, "conditions": None})

    def _warn(self, job: Object, message: str) -> None:
        target = objects.ref(job)
        name = f"{target.name}.failedcreate"
        if Ref("Event", target.namespace, name) in self.server.objects:
            return
        about = {"kind": "Job", "name": target.name, "namespace": target.namespace, "uid": objects.uid(job)}
        metadata = {"name": name, "namespace": target.namespace}
        event = {"apiVersion": "v1", "kind": "Event", "metadata": metadata, "involvedObject": about}
        self.server.create(
            {**event, "reason": "FailedCreate", "message": message, "lastTimestamp": self.server.clock.text()}
        )

    def _run(self, job: Object, pod: Object) -> None:
        behaviour = self._behaviour(objects.name(job))
        if objects.status(pod).get("reason") == "Evicted":
            self._remove([pod])
        elif isinstance(behaviour, Waits):
            self._wait(pod, behaviour)
        elif isinstance(behaviour, Ends):
            self._end(job, pod, behaviour)
        elif behaviour is None:
            self._end(job, pod, Ends())

    def _wait(self, pod: Object, how: Waits) -> None:
        waiting = {"waiting": {"reason": how.reason, "message": how.message}}
        self._pod_status(pod, "False", waiting, 0)

    def _end(self, job: Object, pod: Object, how: Ends) -> None:
        if how.exit_code == 0 and how.reports:
            self._report(job)
        terminated = {
            "exitCode": how.exit_code,
            "reason": "Completed" if how.exit_code == 0 else how.kubernetes_reason,
            "message": how.termination_message(),
        }
        statuses = [{"name": "main", "imageID": "jobs@sha256:1", "state": {"terminated": terminated}}]
        phase = "Failed" if how.exit_code else "Succeeded"
        self.server.merge(objects.ref(pod), {"status": {"phase": phase, "containerStatuses": statuses}})
        self._end_job(job, "Failed" if how.exit_code else "Complete", "BackoffLimitExceeded" if how.exit_code else "")

    def _report(self, job: Object) -> None:
        target = Ref("ConfigMap", objects.namespace(job), objects.name(job))
        task = json.loads(self.server.get(target)["data"][contract.TASK_KEY])
        joins = task["kind"] == "join"
        made = joined(self.server, self.traffic, task).to_dict() if joins else self.runtime.report(task)
        report = json.dumps(made)
        self.server.merge(target, {"data": {contract.REPORT_KEY: report}})

    def _end_job(self, job: Object, how: str, reason: str) -> None:
        done = {**self._condition(how), "reason": reason}
        self._job_status(job, {"active": None, "conditions": [done]})

    def _job_status(self, job: Object, status: dict[str, Any]) -> None:
        self.server.merge(objects.ref(job), {"status": status})

    def progress(self, job: str, percent: int, namespace: str = "lab") -> None:
        """What a running training tells of itself."""
        text = json.dumps({"percent": percent, "stage": "fitting"})
        self.server.merge(Ref("ConfigMap", namespace, job), {"data": {contract.PROGRESS_KEY: text}})

    def evict(self, job: str, namespace: str = "lab") -> None:
        """The node takes the pod away; the Job controller will replace it."""
        pod = self._pods_of(self.server.get(Ref("Job", namespace, job)))[-1]
        status = {"phase": "Failed", "reason": "Evicted", "conditions": [self._condition("DisruptionTarget")]}
        self.server.merge(objects.ref(pod), {"status": status})

    # ---- Deployments

    def _deployment(self, deployment: Object) -> None:
        pods = self._pods_of(deployment)
        wanted = objects.spec(deployment)["replicas"]
        self._remove(pods[wanted:])
        if not self.no_pods:
            for _ in range(wanted - len(pods)):
                self._serving_pod(deployment)
        for pod in pods[:wanted]:
            self._serve(deployment, pod)
        self._deployment_status(deployment, wanted)

    def _serving_pod(self, deployment: Object) -> None:
        number = sum(r.kind == "Pod" and r.name.startswith(objects.name(deployment)) for r in self.server.made)
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        self._create_pod(deployment, f"{objects.name(deployment)}-{number}", labels, "Running")

    def _serve(self, deployment: Object, pod: Object) -> None:
        version = objects.annotations_of(deployment)[LABEL_MODEL_VERSION]
        behaviour = self._behaviour(f"serve-{version}")
        if isinstance(behaviour, Hangs):
            return
        if isinstance(behaviour, Waits):
            self._wait(pod, behaviour)
            return
        if behaviour is None:
            self._pod_status(pod, "True", {"running": {}}, 0)
            return
        ended = {"exitCode": behaviour.exit_code, "reason": behaviour.kubernetes_reason}
        said = {"terminated": {**ended, "message": behaviour.termination_message()}}
        self._pod_status(pod, "False", {"waiting": {"reason": "CrashLoopBackOff"}}, 3, said)

    def _pod_status(
        self, pod: Object, ready: str, state: dict[str, Any], restarts: int, last: dict[str, Any] | None = None
    ) -> None:
        container = {"name": "main", "state": state, "restartCount": restarts, "lastState": last or {}}
        conditions = [{"type": "Ready", "status": ready}]
        status = {"phase": "Running", "conditions": conditions, "containerStatuses": [container]}
        self.server.merge(objects.ref(pod), {"status": status})

    def _deployment_status(self, deployment: Object, wanted: int) -> None:
        pods = self._pods_of(deployment)
        status: dict[str, Any] = {
            "observedGeneration": objects.generation(deployment),
            "replicas": len(pods),
            "updatedReplicas": len(pods),
            "readyReplicas": sum(objects.condition_is(pod, "Ready") for pod in pods) or None,
            "conditions": None,
        }
        if self.no_pods and len(pods) < wanted:
            status["conditions"] = [{"type": "ReplicaFailure", "status": "True", "message": self.no_pods}]
        self.server.merge(objects.ref(deployment), {"status": status})

    # ---- Pods

    def _pods_of(self, owner: Object) -> list[Object]:
        pods = self.server.select("Pod", objects.namespace(owner))
        return [pod for pod in pods if objects.is_controlled_by(pod, owner)]

    def _create_pod(self, owner: Object, name: str, labels: dict[str, str], phase: str) -> None:
        metadata = {
            "name": name,
            "namespace": objects.namespace(owner),
            "labels": labels,
            "ownerReferences": [objects.owner_reference(owner)],
        }
        number = sum(r.kind == "Pod" for r in self.server.made)
        status = {"phase": phase, "podIP": f"10.0.{number // 256}.{number % 256}"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status}
        self.server.create(pod)

    def _remove(self, pods: Iterable[Object]) -> None:
        for pod in pods:
            self.server.delete(objects.ref(pod))

    def _condition(self, kind: str) -> dict[str, Any]:
        return {"type": kind, "status": "True", "lastTransitionTime": self.server.clock.text()}


def _finished(job: Object) -> bool:
    return objects.condition_is(job, "Complete") or objects.condition_is(job, "Failed")
