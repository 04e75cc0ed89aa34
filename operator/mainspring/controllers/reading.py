"""Reads that several controllers share. They come from the cache; two about Jobs are asked of the API server itself.

Why a Job cannot make its pod stands only in Events, which are not watched. And how a Job ended decides for good, while
the watches of Jobs, pods and ConfigMaps know nothing of each other: what is missing from the cache is looked up first.
"""

from __future__ import annotations

from collections.abc import Iterable

from mainspring.api.v1alpha1.common import LABEL_MANAGED_BY
from mainspring.kube import errors
from mainspring.kube.client import Api
from mainspring.kube.store import Store
from mainspring.plan.common import jobs, objects
from mainspring.plan.common.jobs import JobState
from mainspring.plan.common.objects import Object, Ref

JOB_CHILDREN = ("ConfigMap", "ServiceAccount", "Role", "RoleBinding")


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
    state = jobs.read_job(job, its_pods, config_map, refusals)
    if not state.unexplained:
        return state
    return jobs.read_job(job, await _live_pods(api, job), await _live_config_map(api, job))


def _is_podless(job: Object) -> bool:
    """Its controller has looked at it and no pod came of it; the Job itself does not say why."""
    status = objects.status(job)
    if status.get("conditions") or status.get("active") or objects.spec(job).get("suspend"):
        return False
    return "startTime" in status


async def _live_pods(api: Api, job: Object) -> list[Object]:
    selector = f"job-name={objects.name(job)}"
    found = await api.list_objects("Pod", objects.namespace(job), labelSelector=selector)
    return [pod for pod in found if objects.is_controlled_by(pod, job)]


async def _live_config_map(api: Api, job: Object) -> Object | None:
    try:
        return await api.get(Ref("ConfigMap", objects.namespace(job), objects.name(job)))
    except errors.NotFound:
        return None


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


def find_version(versions: Iterable[Object], run: Object) -> Object | None:
    """The version of this run: made from it, or with the same modelDigest."""
    digest = (objects.status(run).get("artifact") or {}).get("modelDigest")
    reproduced = None
    for version in versions:
        if (objects.spec(version).get("source") or {}).get("trainingRunUid") == objects.uid(run):
            return version
        if digest and objects.spec(version)["artifact"].get("modelDigest") == digest:
            reproduced = reproduced or version
    return reproduced
