"""Children of an InferenceService: one Deployment per revision, and what is there once for the service.

A revision is named by a hash of what the *user* asked for and of the version, never of what this release of the operator
makes of it: upgrading the operator makes no new revision and restarts nothing.
"""

from __future__ import annotations

import json

from mainspring.api.contract import PUBLIC_KEY, PayloadLogSettings, ServerEnv, as_json
from mainspring.api.splitting import SPLIT_DIR
from mainspring.api.v1alpha1.common import (
    LABEL_COMPONENT,
    LABEL_MODEL,
    LABEL_MODEL_VERSION,
    LABEL_REVISION,
    LABEL_SERVICE,
)
from mainspring.api.v1alpha1.model import ModelSpec
from mainspring.api.v1alpha1.modelversion import ModelVersionSpec
from mainspring.plan.common import objects, payloads, pods
from mainspring.plan.common.objects import Manifest, Object
from mainspring.plan.inferenceservice import limits, target
from mainspring.plan.inferenceservice.observed import Observed

PORT = 8080
INTERNAL_PORT = 8081
REVISION_LETTERS = 8
SPLIT_VOLUME = "split"
COMPONENT = "serve"
SPREAD_OVER = ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
# What the usual configuration of a Prometheus without its operator looks for.
SCRAPE = {"prometheus.io/scrape": "true", "prometheus.io/port": str(INTERNAL_PORT), "prometheus.io/path": "/metrics"}


def revision_hash(observed: Observed, version: Object) -> str:
    spec = observed.spec
    inputs = {
        "version": objects.name(version),
        "digest": objects.spec(version)["artifact"]["digest"],
        "runtime": spec.runtime.to_dict() if spec.runtime else None,
        "resources": spec.resources.to_dict() if spec.resources else None,
        "podTemplate": spec.pod_template.to_dict() if spec.pod_template else None,
    }
    # What came later is left out when it is not set, so that no older revision changes its name.
    if (asked := target.verification(observed)) and not spec.runtime:
        inputs["verification"] = asked.to_dict()
    if spec.payload_log:
        inputs["payloadLog"] = spec.payload_log.to_dict()
    if spec.server and (told := spec.server.to_dict()):
        inputs["server"] = told
    return objects.stable_hash(inputs, REVISION_LETTERS)


def deployment_name(service: str, revision: str) -> str:
    return f"{service}-{revision}"


def account_name(service: str) -> str:
    return f"{service}-serving"


def split_name(service: str) -> str:
    """The ConfigMap that tells the stable pods what to do with requests."""
    return f"{service}-split"


def candidate_name(service: str) -> str:
    """The Service of the candidate's pods."""
    return f"{service}-candidate"


def service_labels(observed: Observed) -> dict[str, str]:
    name = objects.name(observed.object)
    return pods.standard_labels(COMPONENT, name, {LABEL_SERVICE: name})


def revision_labels(observed: Observed, version: Object, revision: str) -> dict[str, str]:
    return {
        **service_labels(observed),
        LABEL_REVISION: revision,
        LABEL_MODEL: objects.spec(version)["model"],
        LABEL_MODEL_VERSION: objects.name(version),
    }


def build_deployment(observed: Observed, version: Object, revision: str, replicas: int) -> Manifest:
    name = objects.name(observed.object)
    labels = revision_labels(observed, version, revision)
    template = observed.spec.pod_template
    pod = pods.build_pod_spec(
        observed.settings,
        [_server(observed, version, revision)],
        template,
        account_name(name),
        [] if observed.spec.runtime else [_split_volume(name)],
        terminationGracePeriodSeconds=limits.grace_seconds(observed.spec),
        topologySpreadConstraints=_spread(name, revision),
    )
    spec: Manifest = {
        "replicas": replicas,
        "revisionHistoryLimit": 0,
        "progressDeadlineSeconds": limits.progress_deadline_seconds(observed.spec),
        "selector": {"matchLabels": {LABEL_SERVICE: name, LABEL_REVISION: revision}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {"metadata": pods.pod_metadata(labels, template, _notes(observed)), "spec": pod},
    }
    manifest = pods.child(observed.object, "apps/v1", "Deployment", deployment_name(name, revision), labels, spec=spec)
    manifest["metadata"]["annotations"] = {LABEL_MODEL_VERSION: objects.name(version)}
    return manifest


def _split_volume(service: str) -> Manifest:
    """Optional: there is no ConfigMap before the first rollout."""
    return {"name": SPLIT_VOLUME, "configMap": {"name": split_name(service), "optional": True}}


def _split_mount() -> Manifest:
    return {"name": SPLIT_VOLUME, "mountPath": SPLIT_DIR, "readOnly": True}


def _spread(service: str, revision: str) -> list[Manifest]:
    """Over nodes and zones as well as it goes; a pod that cannot be placed so is placed all the same."""
    pods_of_it = {"matchLabels": {LABEL_SERVICE: service, LABEL_REVISION: revision}}
    return [
        {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": pods_of_it}
        for key in SPREAD_OVER
    ]


def _notes(observed: Observed) -> dict[str, str]:
    """An image of the user's own has its metrics wherever it has them, and the user may say otherwise of ours."""
    if observed.spec.runtime or not observed.settings.scrape_annotations:
        return {}
    given = (observed.spec.pod_template.annotations if observed.spec.pod_template else None) or {}
    return {key: value for key, value in SCRAPE.items() if key not in given}


def _server(observed: Observed, version: Object, revision: str) -> Manifest:
    settings = observed.settings
    return pods.build_container(
        image(observed, version),
        settings,
        # An image of the user's own is started its own way; ours takes the sub-command.
        args=None if observed.spec.runtime else ["serve"],
        env=[
            *pods.common_env(settings),
            *_server_env(observed, version, revision),
            *_feedback_env(observed),
            *_payload_env(observed),
            *_verification_env(observed),
            *limits.build_env(observed.spec),
        ],
        envFrom=pods.artifacts_env_from(settings),
        ports=_ports(observed),
        resources=pods.resources_or(observed.spec.resources, "100m", "256Mi"),
        volumeMounts=[*pods.ca_mounts(settings), *([] if observed.spec.runtime else [_split_mount()])],
        startupProbe=_probe("/v2/health/live", 1, 60),
        readinessProbe=_probe("/v2/health/ready", 1, 3),
        livenessProbe=_probe("/v2/health/live", 10, 3),
        # Kubelet sleeps while the endpoint is being withdrawn everywhere; only then does the server begin to drain.
        lifecycle={"preStop": {"sleep": {"seconds": limits.PRE_STOP_SECONDS}}},
    )


def _ports(observed: Observed) -> list[Manifest]:
    """A PodMonitor scrapes whoever has a port of the name `internal`: not an image of the user's own."""
    inference = {"name": "http", "containerPort": PORT}
    internal = {"name": "internal", "containerPort": INTERNAL_PORT}
    return [inference] if observed.spec.runtime else [inference, internal]


def image(observed: Observed, version: Object) -> str:
    """The user's override, else the one recorded in the version, else this release's."""
    if observed.spec.runtime:
        return observed.spec.runtime.image
    recorded: str | None = objects.spec(version).get("runtimeImage")
    return recorded or observed.settings.runtime_image


def _server_env(observed: Observed, version: Object, revision: str) -> list[Manifest]:
    facts = ModelVersionSpec.model_validate(objects.spec(version))
    model = ModelSpec.model_validate(objects.spec(observed.model)) if observed.model is not None else ModelSpec()
    values = {
        ServerEnv.MODEL_NAME: facts.model,
        ServerEnv.MODEL_VERSION: str(facts.number),
        ServerEnv.MODEL_URI: facts.artifact.uri,
        ServerEnv.MODEL_DIGEST: facts.artifact.digest,
        ServerEnv.TRUSTED_TYPES: json.dumps(model.trusted_types or []),
        ServerEnv.ALLOW_PICKLE: "true" if model.allow_pickle else "false",
        ServerEnv.REVISION: revision,
        ServerEnv.PORT: str(PORT),
        ServerEnv.INTERNAL_PORT: str(INTERNAL_PORT),
    }
    return [{"name": str(key), "value": value} for key, value in values.items()]


def _feedback_env(observed: Observed) -> list[Manifest]:
    """An image of the user's own knows nothing of our feedback."""
    if observed.spec.runtime:
        return []
    return [pods.secret_env(str(ServerEnv.FEEDBACK_KEY), pods.FEEDBACK_SECRET, pods.FEEDBACK_SECRET_KEY)]


def _verification_env(observed: Observed) -> list[Manifest]:
    """An image of the user's own verifies nothing; its version was verified when it was registered."""
    asked = target.verification(observed)
    if asked is None or observed.spec.runtime:
        return []
    secret = asked.public_key_secret
    return [
        {"name": str(ServerEnv.VERIFICATION_SECRET), "value": secret},
        pods.secret_env(str(ServerEnv.PUBLIC_KEY), secret, PUBLIC_KEY),
    ]


def _payload_env(observed: Observed) -> list[Manifest]:
    wanted = observed.spec.payload_log
    if wanted is None or observed.spec.runtime:
        return []
    settings = PayloadLogSettings(
        uri=payloads.log_uri(observed.settings, objects.namespace(observed.object), objects.name(observed.object)),
        sample_rate=wanted.sample_rate,
        redact=wanted.redact or [],
        part_seconds=objects.parse_duration(wanted.max_part_age).total_seconds(),
        part_rows=wanted.max_part_rows,
        keep_seconds=objects.parse_duration(wanted.keep).total_seconds(),
    )
    return [{"name": str(ServerEnv.PAYLOAD_LOG), "value": as_json(settings)}]


def _probe(path: str, period: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def build_service(observed: Observed, revision: str | None) -> Manifest:
    """Selects one revision, or the pods of all; switching it is the promotion."""
    name = objects.name(observed.object)
    spec = {
        "selector": _pods_of(observed, revision),
        "ports": [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}],
    }
    return pods.child(observed.object, "v1", "Service", name, service_labels(observed), spec=spec)


def _pods_of(observed: Observed, revision: str | None) -> dict[str, str]:
    """A selector of all pods has a label of its own: what is only left out would not be seen as a change."""
    which = {LABEL_REVISION: revision} if revision else {LABEL_COMPONENT: COMPONENT}
    return {LABEL_SERVICE: objects.name(observed.object), **which}


def build_disruption_budget(observed: Observed, revision: str | None) -> Manifest:
    """Of the pods that serve: those of a candidate that never become ready must not hold up the drain of a node."""
    name = objects.name(observed.object)
    spec = {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": _pods_of(observed, revision)},
    }
    return pods.child(observed.object, "policy/v1", "PodDisruptionBudget", name, service_labels(observed), spec=spec)


def build_network_policy(observed: Observed) -> Manifest:
    """Inference from anywhere unless `expose.from`; the internal port only from the operator and the monitoring."""
    name = objects.name(observed.object)
    peers = observed.spec.expose.from_ if observed.spec.expose else None
    # During a rollout the stable pods ask those of the candidate.
    own = [{"podSelector": {"matchLabels": {LABEL_SERVICE: name}}}] if peers else []
    inference: Manifest = {"ports": [{"port": PORT, "protocol": "TCP"}], "from": [*(peers or []), *own]}
    namespaces = sorted({observed.settings.namespace, *observed.settings.monitoring_namespaces})
    match = {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": namespaces}]}
    internal = {"ports": [{"port": INTERNAL_PORT, "protocol": "TCP"}], "from": [{"namespaceSelector": match}]}
    spec = {
        "podSelector": {"matchLabels": {LABEL_SERVICE: name}},
        "policyTypes": ["Ingress"],
        "ingress": [inference, internal],
    }
    return pods.child(
        observed.object, "networking.k8s.io/v1", "NetworkPolicy", name, service_labels(observed), spec=spec
    )


def build_account(observed: Observed) -> Manifest:
    name = account_name(objects.name(observed.object))
    return pods.build_service_account(observed.object, name, service_labels(observed), observed.settings)
