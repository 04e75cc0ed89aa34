"""Objects to send: the least that each kind needs, everything that it can hold, and another value for every field."""

from __future__ import annotations

from typing import Any

from mainspring.api.v1alpha1.common import API_VERSION

Manifest = dict[str, Any]

DIGEST = "sha256:" + 64 * "a"
OTHER_DIGEST = "sha256:" + 64 * "b"
TIME = "2026-01-31T06:00:00Z"
OTHER_TIME = "2026-02-28T06:00:00Z"

LEAST: dict[str, Manifest] = {
    "Dataset": {"source": {"sample": "wine"}, "target": "target"},
    "DatasetVersion": {
        "dataset": "d",
        "digest": DIGEST,
        "uri": "s3://b/d",
        "rows": 3,
        "task": "Regression",
        "target": "y",
        "splits": {"train": 2, "test": 1},
    },
    "TrainingRun": {"dataset": {"name": "d"}, "model": "m", "estimator": {"class": "sklearn.svm.SVC"}},
    "Model": {},
    "ModelVersion": {"model": "m", "number": 7, "artifact": {"uri": "s3://b/m", "digest": DIGEST}},
    "InferenceService": {"model": {"name": "m"}},
    "ModelMonitor": {"service": "m"},
}
NAMES = {"ModelVersion": "m-v7"}

POD_TEMPLATE: Manifest = {
    "labels": {"team": "a"},
    "annotations": {"note": "x"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "gpu", "operator": "Exists", "tolerationSeconds": 5}],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
    "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
    "envFrom": [{"configMapRef": {"name": "c"}}],
    "imagePullSecrets": [{"name": "pull"}],
    "priorityClassName": "high",
    "serviceAccountName": "own",
    "volumes": [{"name": "v", "emptyDir": {}}],
    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
}
RESOURCES = {"requests": {"cpu": 1, "memory": "512Mi"}, "limits": {"memory": "1Gi"}}

# Every field of the kinds whose spec is fixed, together; what excludes another field stands in APART.
FULL: dict[str, Manifest] = {
    "TrainingRun": {
        **LEAST["TrainingRun"],
        "evaluation": {"metrics": ["roc_auc"], "primary": "roc_auc"},
        "mustImprove": True,
        "seed": 7,
        "retries": 1,
        "deadline": "1h",
        "suspend": False,
        "ttlAfterFinished": "7d",
        "image": "team/runtime:1",
        "resources": RESOURCES,
        "podTemplate": POD_TEMPLATE,
    },
    "DatasetVersion": {
        **LEAST["DatasetVersion"],
        "identity": DIGEST,
        "size": 10,
        "labelledRows": 2,
        "newRows": {"since": "d-1", "rows": 1, "by": "Key", "total": 1},
        "invalidRows": 1,
        "splitDigest": DIGEST,
        "dataCut": TIME,
        "columnCount": 1,
        "columns": [{"name": "y", "type": "Float", "role": "Target"}],
        "checks": [{"name": "c", "passed": True}],
        "parents": [{"name": "p-1", "digest": DIGEST}],
        "image": "i:1",
        "refreshedAt": TIME,
    },
    "ModelVersion": {
        **LEAST["ModelVersion"],
        "runtimeImage": "i:1",
        "source": {"trainingRun": "r", "parameters": {"depth": 3}},
        "task": "Classification",
        "inputs": [{"name": "x", "datatype": "FP32"}],
        "outputs": [{"name": "predict", "datatype": "INT64"}],
        "metrics": [{"name": "accuracy", "value": 0.9}],
        "primary": "accuracy",
    },
}
# A field that cannot stand beside the others, with the rest of the spec that it needs.
APART: dict[str, dict[str, Manifest]] = {
    "TrainingRun": {
        "container": {"dataset": {"name": "d"}, "model": "m", "container": {"image": "i"}},
        "checkpoint": {
            "dataset": {"name": "d"},
            "model": "m",
            "container": {"image": "i"},
            "checkpoint": {"claim": "c"},
        },
    },
}
OTHER: dict[str, Manifest] = {
    "TrainingRun": {
        "dataset": {"name": "e"},
        "model": "n",
        "estimator": {"class": "sklearn.svm.SVR"},
        "evaluation": {"metrics": ["f1"], "primary": "f1"},
        "mustImprove": False,
        "seed": 8,
        "retries": 2,
        "deadline": "2h",
        "suspend": True,
        "ttlAfterFinished": "8d",
        "image": "team/runtime:2",
        "resources": {"requests": {"cpu": 2, "memory": "512Mi"}, "limits": {"memory": "1Gi"}},
        "podTemplate": {**POD_TEMPLATE, "affinity": {"podAffinity": {}}},
        "container": {"image": "j"},
        "checkpoint": {"claim": "d"},
    },
    "DatasetVersion": {
        "dataset": "e",
        "digest": OTHER_DIGEST,
        "identity": OTHER_DIGEST,
        "uri": "s3://b/e",
        "size": 11,
        "rows": 4,
        "labelledRows": 3,
        "newRows": {"since": "d-1", "rows": 2, "by": "Key", "total": 2},
        "invalidRows": 2,
        "task": "Classification",
        "target": "z",
        "splits": {"train": 1, "test": 2},
        "splitDigest": OTHER_DIGEST,
        "dataCut": OTHER_TIME,
        "columnCount": 2,
        "columns": [{"name": "y", "type": "Integer", "role": "Target"}],
        "checks": [{"name": "c", "passed": False}],
        "parents": [{"name": "p-1", "digest": OTHER_DIGEST}],
        "image": "i:2",
        "refreshedAt": OTHER_TIME,
    },
    "ModelVersion": {
        "model": "n",
        "number": 8,
        "artifact": {"uri": "s3://b/m", "digest": OTHER_DIGEST},
        "runtimeImage": "i:2",
        # As many keys under other names: CEL would take an object with unknown fields for unchanged.
        "source": {"trainingRun": "r", "parameters": {"width": 3}},
        "task": "Regression",
        "inputs": [{"name": "x", "datatype": "FP64"}],
        "outputs": [{"name": "predict", "datatype": "INT32"}],
        "metrics": [{"name": "accuracy", "value": 0.8}],
        "primary": "f1",
    },
}


def manifest(kind: str, namespace: str, spec: Manifest | None = None, name: str = "") -> Manifest:
    """An object of ours; by default the least that the kind needs."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name or NAMES.get(kind, "m"), "namespace": namespace},
        "spec": LEAST[kind] if spec is None else spec,
    }
