"""Reads that several controllers share. All come from the cache, but for one: why a Job cannot make its pod."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from mainspring.api.v1alpha1.common import LABEL_MANAGED_BY
from mainspring.kube.client import Api
from mainspring.kube.store import Store
from mainspring.plan.common import jobs, objects
from mainspring.plan.common.jobs import JobState
from mainspring.plan.common.objects import Object, Ref

JOB_CHILDREN = ("ConfigMap", "ServiceAccount", "Role", "RoleBinding")
NO_POD_AFTER = timedelta(seconds=5)


async def read_jobs(api: Api, store: Store, owner: Object) -> tuple[JobState, ...]:
    """The owner's Jobs with their pods and reports, oldest first."""
    found = sorted(
        store.children(owner, "Job"), key=lambda j: (j["metadata"].get("creationTimestamp", ""), objects.name(j))
    )
    return tuple([await _read_job(api, store, job) for job in found])


async def _read_job(api: Api, store: Store, job: Object) -> JobState:
    its_pods = store.children(job, "Pod")
    config_map = store.get(Ref("ConfigMap", objects.namespace(job), objects.name(job)))
    refusals = await _refusals(api, job) if not its_pods and _is_podless(job) else []
    return jobs.read_job(job, its_pods, config_map, refusals)


def _is_podless(job: Object) -> bool:
    """It should have a pod by now; the Job itself does not say why it has none."""
    status = objects.status(job)
    if status.get("conditions") or status.get("active") or objects.spec(job).get("suspend"):
        return False
    return datetime.now(UTC) - objects.created_at(job) > NO_POD_AFTER


async def _refusals(api: Api, job: Object) -> list[str]:
    selector = f"involvedObject.uid={objects.uid(job)},reason=FailedCreate"
    events = await api.list_objects("Event", objects.namespace(job), fieldSelector=selector)
    events.sort(key=lambda e: e.get("lastTimestamp") or e.get("eventTime") or "")
    return [str(event.get("message", "")) for event in events]


def job_children(store: Store, owner: Object) -> tuple[Object, ...]:
    return tuple(child for kind in JOB_CHILDREN for child in store.children(owner, kind))


def by_label(obj: Object, kind: str, label: str) -> Iterable[Ref]:
    """The key named by a label of a child of ours."""
    found = objects.labels(obj)
    if found.get(LABEL_MANAGED_BY) == "mainspring" and label in found:
        return (Ref(kind, objects.namespace(obj), found[label]),)
    return ()


def owner_key(obj: Object, kind: str) -> Iterable[Ref]:
    owner = objects.controller(obj)
    if owner is not None and owner["kind"] == kind:
        return (Ref(kind, objects.namespace(obj), owner["name"]),)
    return ()
