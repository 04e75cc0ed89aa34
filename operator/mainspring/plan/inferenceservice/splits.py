"""How the stable pods learn what to do with requests: one ConfigMap, and a word to the kubelet that it has changed."""

from __future__ import annotations

from mainspring.api import splitting
from mainspring.api.contract import as_json
from mainspring.api.splitting import ANNOTATION_SPLIT, SPLIT_KEY, Split
from mainspring.plan.common import objects, pods
from mainspring.plan.common.objects import Manifest, Object, Ref
from mainspring.plan.common.plan import Patch, annotate
from mainspring.plan.inferenceservice import builders
from mainspring.plan.inferenceservice.observed import Observed, Revision

SPLIT_MANAGER = "mainspring-split"
NOTHING = Split(revision="", rollout="", host="", port=0, candidate_revision="")  # no pod is of no revision


def can_split(revision: Revision) -> bool:
    """Its pods mount the ConfigMap: not those of a foreign image, nor those of an operator that did not know it yet."""
    template = objects.spec(revision.deployment).get("template", {}).get("spec", {})
    return any(volume.get("name") == builders.SPLIT_VOLUME for volume in template.get("volumes") or ())


def digest(split: Split | None) -> str:
    return splitting.digest(as_json(split or NOTHING).encode())


def children(observed: Observed, split: Split | None, candidate: str) -> tuple[Manifest, ...]:
    """The Service of the candidate, and the ConfigMap, once there was one. `candidate`: its revision, if there is one."""
    service = (build_candidate_service(observed, candidate),) if candidate else ()
    told = split is not None or observed.split is not None
    return (*service, build_config_map(observed, split)) if told else service


def build_config_map(observed: Observed, split: Split | None) -> Manifest:
    name = objects.name(observed.object)
    data = {SPLIT_KEY: as_json(split or NOTHING)}
    labels = builders.service_labels(observed)
    return pods.child(observed.object, "v1", "ConfigMap", builders.split_name(name), labels, data=data)


def build_candidate_service(observed: Observed, revision: str) -> Manifest:
    """Where the stable pods send what the candidate shall answer; it may be tried by hand, too."""
    manifest = builders.build_service(observed, revision)
    manifest["metadata"]["name"] = builders.candidate_name(objects.name(observed.object))
    return manifest


def candidate_host(observed: Observed) -> str:
    """The address of the candidate's Service, and not its name: that of a rollout before lives on in caches of DNS."""
    service, found = observed.object, observed.candidate_service
    name = f"{builders.candidate_name(objects.name(service))}.{objects.namespace(service)}.svc"
    address = objects.spec(found).get("clusterIP") if found is not None and not objects.is_deleting(found) else None
    return str(address or name)


def patches(observed: Observed, stable: Revision | None, split: Split | None) -> tuple[Patch, ...]:
    """The kubelet brings a changed ConfigMap into a pod at once when the pod itself changes, else within a minute."""
    wanted = digest(split)
    found = [pod for pod in (stable.pods if stable else ()) if _must_be_told(observed, pod, split is not None, wanted)]
    return tuple(annotate(objects.ref(p), objects.uid(p), {ANNOTATION_SPLIT: wanted}, SPLIT_MANAGER) for p in found)


def _must_be_told(observed: Observed, pod: Object, splits: bool, wanted: str) -> bool:
    """A pod that has never heard of a split and needs none is left alone, as is one that started with the right one."""
    told = objects.annotations_of(pod).get(ANNOTATION_SPLIT)
    if objects.is_deleting(pod) or told == wanted or not (told or splits):
        return False
    said = observed.counts.snapshots.get(objects.name(pod))
    return told is not None or said is None or said.applied != wanted


def surplus(observed: Observed, candidate: str) -> tuple[tuple[Ref, str], ...]:
    """The candidate's Service, when there is no candidate any more."""
    found = observed.candidate_service
    return () if candidate or found is None else ((objects.ref(found), objects.uid(found)),)
