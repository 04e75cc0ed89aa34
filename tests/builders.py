"""Small builders of objects, valid against the CRDs. Users' manifests first, then what an API server would store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from mainspring.api import contract
from mainspring.api.v1alpha1 import common
from mainspring.api.v1alpha1.common import API_VERSION
from mainspring.api.v1alpha1.model import ModelSpec
from mainspring.plan.common import objects
from mainspring.plan.common.gates import Decision, hash_of
from mainspring.plan.common.jobs import JobState
from mainspring.plan.common.objects import Manifest, Object
from mainspring.plan.common.settings import Settings
from tests.sim import schemas

NAMESPACE = "lab"
NOW = datetime(2025, 6, 2, 8, 0, tzinfo=UTC)
SETTINGS = Settings(
    runtime_image="runtime:1", jobs_image="jobs:1", namespace="mainspring-system", artifacts_uri="s3://artifacts"
)
UPGRADED = Settings(
    runtime_image="runtime:2", jobs_image="jobs:2", namespace="mainspring-system", artifacts_uri="s3://artifacts"
)
NOT_READ_IN_TIME = "failed to sync secret cache: timed out waiting for the condition"  # a kubelet that is busy
FOREST = "sklearn.ensemble.RandomForestClassifier"


def manifest(kind: str, name: str, spec: dict[str, Any], **metadata: Any) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, **metadata},
        "spec": spec,
    }


def dataset(name: str = "tumours", **spec: Any) -> Manifest:
    return manifest("Dataset", name, {"source": {"sample": "breast_cancer"}, "target": "diagnosis", **spec})


def run(name: str = "forest", **spec: Any) -> Manifest:
    estimator = {} if "container" in spec else {"estimator": {"class": FOREST}}
    return manifest("TrainingRun", name, {"dataset": {"name": "tumours"}, "model": "tumours", **estimator, **spec})


def model(name: str = "tumours", **spec: Any) -> Manifest:
    return manifest("Model", name, spec)


def service(name: str = "tumours", **spec: Any) -> Manifest:
    return manifest("InferenceService", name, {"model": {"name": "tumours"}, **spec})


def monitor(name: str = "tumours", **spec: Any) -> Manifest:
    """Windows of a minute, a season of three, a retrain of the forest when accuracy falls below 0.8; None leaves a field out."""
    usual = {
        "service": "tumours",
        "window": {"length": "60s", "minimumRows": 200},
        "season": "3m",
        "performance": {"metric": "accuracy", "minimum": 0.8, "minimumLabels": 100},
        "retrain": {
            "template": {"spec": run(seed=2)["spec"]},
            "minimumNewRows": 100,
            "refreshEvery": "2m",
            "cooldown": "5m",
        },
    }
    return manifest("ModelMonitor", name, {k: v for k, v in {**usual, **spec}.items() if v is not None})


def version(number: int = 1, model: str = "tumours", **spec: Any) -> Manifest:
    """A ModelVersion that somebody imports."""
    return manifest("ModelVersion", f"{model}-v{number}", {"model": model, "number": number, **spec})


def at(minutes: float) -> str:
    """A time so many minutes after NOW."""
    return objects.format_time(NOW + timedelta(minutes=minutes))


def digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def stored(
    made: Manifest,
    status: Mapping[str, Any] | None = None,
    *,
    annotations: Mapping[str, str] | None = None,
    created: str = "",
    generation: int = 1,
) -> dict[str, Any]:
    """As the API server has it: with uid and defaults. Raises Refused for what it would not take."""
    metadata = {
        **made["metadata"],
        "uid": f"uid-of-{made['kind']}-{made['metadata']['name']}",
        "resourceVersion": "1000",
        "generation": generation,
        "creationTimestamp": created or objects.format_time(NOW),
    }
    notes = {f"{common.GROUP}/{key}": value for key, value in (annotations or {}).items()}
    if notes:
        metadata["annotations"] = notes
    return schemas.admit({**made, "metadata": metadata, **({"status": dict(status)} if status is not None else {})})


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": 1,
        "lastTransitionTime": objects.format_time(NOW),
    }


def dataset_version(
    text: str = "data", dataset: str = "tumours", *, trigger: str = "", created: str = "", **spec: Any
) -> dict[str, Any]:
    """A snapshot whose digest is that of `text`; `checks` given as {name: rows that break it}."""
    found = digest(text)
    if "checks" in spec:
        spec["checks"] = [{"name": n, "passed": not rows, "rows": rows} for n, rows in spec["checks"].items()]
    facts = {
        "dataset": dataset,
        "digest": found,
        "uri": f"s3://artifacts/lab/datasets/{dataset}/{found[7:]}",
        "rows": 569,
        "task": "Classification",
        "target": "diagnosis",
        "splits": {"train": 455, "test": 114},
        "splitDigest": digest("split"),
        **spec,
    }
    made = manifest("DatasetVersion", f"{dataset}-{found[7:17]}", facts)
    return stored(made, annotations={"trigger": trigger} if trigger else None, created=created)


def roc_auc(value: float) -> dict[str, Any]:
    return {"name": "roc_auc", "value": value, "lower": value - 0.01, "upper": value + 0.01, "rows": 114}


def model_version(
    number: int = 1,
    *,
    passed: bool | None = None,
    verified: bool | None = None,
    champion: str = "",
    promoted: str = "",
    rejected: str = "",
    signature: str = "",
    proving: str = "",
    created: str = "",
    status: Mapping[str, Any] | None = None,
    model: Object | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A version; with `passed` its gates were judged (against `champion`), by the gates of `model` or none."""
    found = digest(f"artifact {number}")
    facts = {
        "artifact": {"uri": f"s3://artifacts/lab/models/tumours/{found[7:]}", "digest": found, "size": 2000},
        "source": {"trainingRun": f"run-{number}", "trainingRunUid": f"uid-{number}", "datasetVersion": "tumours-1"},
        "metrics": [roc_auc(0.95)],
        "primary": "roc_auc",
        **spec,
    }
    notes = {"promoted-at": promoted, "rejected": rejected, "signature": signature, "proving": proving}
    if passed is not None:
        notes["gates"] = Decision(_gates_hash(model), champion, passed).to_json()
    if verified if verified is not None else passed is not None:
        notes["verified"] = facts["artifact"]["digest"]
    kept = {key: value for key, value in notes.items() if value}
    return stored(version(number, **facts), status, annotations=kept, created=created)


def _gates_hash(of: Object | None) -> str:
    return hash_of(ModelSpec.model_validate(objects.spec(of or model())).gates or ())


def job(name: str, owner: Object, labels: Mapping[str, str] | None = None, **status: Any) -> dict[str, Any]:
    """A Job of ours, as Kubernetes stores it."""
    metadata = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": f"uid-of-Job-{name}",
        "creationTimestamp": objects.format_time(NOW),
        "generation": 1,
        "labels": {common.LABEL_MANAGED_BY: "mainspring", **(labels or {})},
        "ownerReferences": [objects.owner_reference(owner)],
    }
    pod = {"spec": {"containers": [{"name": "main", "image": "jobs:1"}]}}
    spec = {"suspend": False, "template": pod}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec, "status": status}


def job_state(
    name: str,
    owner: Object,
    state: str = "Running",
    *,
    reason: str = "",
    message: str = "",
    exit_code: int | None = None,
    report: contract.ApiModel | None = None,
    labels: Mapping[str, str] | None = None,
    suspended: bool = False,
    **more: Any,
) -> JobState:
    """What is known of a Job: Running, Succeeded or Failed a minute after NOW."""
    found = job(name, owner, labels, startTime=objects.format_time(NOW))
    if suspended:
        found["spec"]["suspend"] = True
    ended = state != "Running"
    outcome = "Succeeded" if state == "Succeeded" or not ended else "Failed"
    return JobState(
        job=found,
        state=state,
        outcome=contract.Outcome(outcome=outcome, reason=reason, message=message),
        exit_code=exit_code,
        started_at=objects.format_time(NOW),
        finished_at=at(1) if ended else None,
        image_id="jobs@sha256:1" if ended else None,
        report=json.loads(contract.as_json(report)) if report else {},
        **more,
    )


def stored_child(made: Manifest, minutes: float = 0) -> dict[str, Any]:
    """A child of ours as the API server has it."""
    name = made["metadata"]["name"]
    facts = {"uid": f"uid-of-{made['kind']}-{name}", "generation": 1, "creationTimestamp": at(minutes)}
    return {**made, "metadata": {**made["metadata"], **facts, "resourceVersion": "1000"}}
