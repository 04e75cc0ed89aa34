"""Children of a Dataset: the preparation Job, and the DatasetVersion that comes of it."""

from __future__ import annotations

from typing import Any

from mainspring.api import contract
from mainspring.api.v1alpha1.common import (
    ANNOTATION_TRIGGER,
    API_VERSION,
    LABEL_DATASET,
    LABEL_MANAGED_BY,
    LABEL_PART_OF,
)
from mainspring.api.v1alpha1.datasetversion import DatasetVersionSpec, Parent
from mainspring.plan.common import jobs, objects, pods
from mainspring.plan.common.objects import Manifest, Object
from mainspring.plan.dataset.observed import Observed

DIGEST_LETTERS = 10


def job_name(observed: Observed, trigger: str, attempt: int) -> str:
    """Another one for other resources or another pod template: a Job that is stuck for want of these must be replaced."""
    spec = observed.spec
    pod = [given.to_dict() if given else None for given in (spec.resources, spec.pod_template)]
    suffix = objects.stable_hash([trigger, attempt, pod], 8)
    return f"{objects.name(observed.object)}-prepare-{suffix}"


def build_prepare_job(
    observed: Observed, trigger: str, attempt: int, refreshed_at: str, current: Object | None
) -> tuple[Manifest, ...]:
    spec, name = observed.spec, job_name(observed, trigger, attempt)
    volumes, mounts = _source_volume(observed)
    request = jobs.JobRequest(
        owner=observed.object,
        name=name,
        labels=pods.standard_labels(
            "prepare", objects.name(observed.object), {LABEL_DATASET: objects.name(observed.object)}
        ),
        image=observed.settings.jobs_image,
        command="prepare",
        task=_task(observed, refreshed_at, current),
        resources=spec.resources,
        template=spec.pod_template,
        extra_secret=spec.source.credentials_secret,
        volumes=volumes,
        mounts=mounts,
    )
    return jobs.build_job(request, observed.settings)


def _task(observed: Observed, refreshed_at: str, current: Object | None) -> contract.PrepareTask:
    facts = DatasetVersionSpec.model_validate(objects.spec(current)) if current else None
    previous = (
        contract.ArtifactRef(name=objects.name(current), uri=facts.uri, digest=facts.digest)
        if current and facts
        else None
    )
    return contract.PrepareTask(
        namespace=objects.namespace(observed.object),
        dataset=objects.name(observed.object),
        spec=observed.spec,
        inputs=[_input(observed, item.name, item.dataset) for item in observed.spec.inputs or ()],
        destination=destination(observed),
        image=observed.settings.jobs_image,
        refreshed_at=refreshed_at,
        previous_identity=facts.identity if facts else None,
        previous=previous,
        previous_total=facts.new_rows.total if facts and facts.new_rows else 0,
    )


def _input(observed: Observed, table: str, dataset: str) -> contract.ArtifactRef:
    version = observed.inputs[dataset]
    assert version is not None  # the plan waits until every input has a version
    return contract.ArtifactRef(name=table, uri=version["spec"]["uri"], digest=version["spec"]["digest"])


def destination(observed: Observed) -> str:
    root = observed.settings.artifact_root(objects.namespace(observed.object))
    return f"{root}/datasets/{objects.name(observed.object)}"


def _source_volume(observed: Observed) -> tuple[list[Manifest], list[Manifest]]:
    source = observed.spec.source
    if source.config_map:
        items = [{"key": source.config_map.key, "path": source.config_map.key}]
        # Optional, so that the Job can say what is missing; without it the pod would wait for ever and nobody would know.
        config_map = {"name": source.config_map.name, "items": items, "optional": True}
        volume: Manifest = {"name": "source", "configMap": config_map}
        return [volume], [{"name": "source", "mountPath": contract.SOURCE_DIR, "readOnly": True}]
    if source.claim:
        volume = {"name": "source", "persistentVolumeClaim": {"claimName": source.claim, "readOnly": True}}
        return [volume], [{"name": "source", "mountPath": contract.CLAIM_DIR, "readOnly": True}]
    return [], []


def version_name(dataset: str, digest: str) -> str:
    """Named by its content: making it twice makes it once."""
    return f"{dataset}-{digest.removeprefix('sha256:')[:DIGEST_LETTERS]}"


def build_version(
    observed: Observed, report: contract.PrepareReport, trigger: str, refreshed_at: str | None
) -> Manifest:
    """A DatasetVersion; it belongs to nobody, so it outlives its Dataset and any loss of status."""
    dataset = objects.name(observed.object)
    facts: dict[str, Any] = {
        "dataset": dataset,
        "task": observed.spec.task,
        "target": observed.spec.target,
        "parents": _parents(observed),
        "image": observed.settings.jobs_image,
        "refreshed_at": refreshed_at,
        **report.model_dump(exclude={"unchanged"}, exclude_none=True),
    }
    spec = DatasetVersionSpec.model_validate(facts)
    return {
        "apiVersion": API_VERSION,
        "kind": "DatasetVersion",
        "metadata": {
            "name": version_name(dataset, spec.digest),
            "namespace": objects.namespace(observed.object),
            "labels": {LABEL_DATASET: dataset, LABEL_MANAGED_BY: "mainspring", LABEL_PART_OF: "mainspring"},
            "annotations": {ANNOTATION_TRIGGER: trigger},
        },
        "spec": spec.to_dict(),
    }


def _parents(observed: Observed) -> list[Parent] | None:
    found = [v for v in observed.inputs.values() if v is not None]
    return [Parent(name=objects.name(v), digest=v["spec"]["digest"]) for v in found] or None
