"""Accepted and refused: one row for each rule of the schemas, and every refusal names the field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.apiserver import objects
from tests.apiserver.server import DRY_RUN, Refused, Server

ESTIMATOR = {"class": "sklearn.svm.SVC"}
CONTAINER = {"image": "team/trainer:1"}
COLUMN = {"name": "x", "type": "Float"}
NO_ESTIMATOR = {"dataset": {"name": "d"}, "model": "m"}
RUN = {**NO_ESTIMATOR, "estimator": {"class": "sklearn.svm.SVC"}}
ACCURACY = {"metric": "accuracy", "minimum": 0.9}
ALERT = {
    "name": "a",
    "webhook": {"url": "https://alerts.example.org/x?y=1"},
    "events": ["DriftDetected", "RetrainFailed"],
}
CONCURRENCY = {"maxReplicas": 3, "metric": "Concurrency", "target": 4}
GATE = {"name": "g", "metric": "roc_auc", "minimum": 0.9}


@dataclass(frozen=True)
class Case:
    """Fields on top of the least spec of a kind (None removes one); `says` is in the refusal, empty: accepted."""

    kind: str
    fields: dict[str, Any]
    says: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}-{'-'.join(self.says) or self.fields}"[:90]


def dataset(*says: str, **fields: Any) -> Case:
    return Case("Dataset", fields, says)


def source(*says: str, **fields: Any) -> Case:
    return Case("Dataset", {"source": fields}, says)


def column(*says: str, **fields: Any) -> Case:
    return Case("Dataset", {"columns": [{**COLUMN, **fields}]}, says)


def run(*says: str, **fields: Any) -> Case:
    return Case("TrainingRun", fields, says)


def estimator(*says: str, **fields: Any) -> Case:
    return Case("TrainingRun", {"estimator": {**ESTIMATOR, **fields}}, says)


def gate(*says: str, **fields: Any) -> Case:
    return Case("Model", {"gates": [{"name": "g", **fields}]}, says)


def model(*says: str, **fields: Any) -> Case:
    return Case("Model", fields, says)


def monitor(*words: str, **spec: Any) -> Case:
    return Case("ModelMonitor", spec, words)


def webhook(*says: str, **fields: Any) -> Case:
    return Case("ModelMonitor", {"alerts": [{**ALERT, "webhook": fields}]}, says)


def service(*says: str, **fields: Any) -> Case:
    return Case("InferenceService", fields, says)


ACCEPTED = (
    source(uri="s3://lake/tumours/", format="Parquet", credentialsSecret="lake"),
    source(uri="file:///data/x.csv", claim="data"),
    source(uri="gs://b/o.jsonl"),
    source(uri="https://example.org/x.csv"),
    source(configMap={"name": "c", "key": "x.csv"}),
    dataset(split={"by": "Group", "column": "patient"}),
    dataset(split={"by": "Time"}, timestamp="seen_at"),
    dataset(split={"test": 0.5, "validation": 0.4}),
    dataset(split={"test": 0.5}),
    dataset(window={"last": "90d"}, timestamp="seen_at"),
    dataset(features={"exclude": ["a"]}),
    dataset(positive="M", sensitive=["age"], weight="w", key="k"),
    dataset(refresh={"schedule": "0 3 * * *", "timeZone": "Europe/Berlin"}),
    dataset(inputs=[{"name": "hospitals", "dataset": "hospitals"}], prepare=[{"name": "p", "sql": "SELECT 1"}]),
    dataset(maxInvalidFraction=1, retain=100, showExamples=True),
    dataset(resources={"requests": {"cpu": "500m", "memory": "1.5Gi"}, "limits": {"cpu": 2}}),
    column(minimum=0, maximum=60, nullable=False),
    column(type="Category", allowed=["I", "II"]),
    run(estimator=None, container=CONTAINER, checkpoint={"claim": "c"}),
    run(estimator=None, container={**CONTAINER, "command": ["python"], "args": ["-m", "x"]}),
    run(image="team/runtime:1", deadline="1h30m", ttlAfterFinished="500ms"),
    run(dataset={"name": "d", "version": "d-1"}),
    run(seed=2147483647, retries=0),
    run(mustImprove=True),
    estimator(params={"n_estimators": 200, "deep": {"list": [1, {"a": None}]}}),
    estimator(preprocessing="None", calibrate=True),
    gate(metric="roc_auc", minimum=0.9, maximum=0.99),
    gate(metric="roc_auc", versusChampion={}, rows="Recent"),
    gate(metric="log_loss", versusChampion={"margin": 0, "mode": "NonInferior"}),
    gate(metric="r2", versusChampion={"mode": "Better"}, rows="Recent"),
    gate(artifactSize={"maximum": "200Mi"}),
    gate(artifactSize={"maximum": 1000000}),
    model(aliases={"champion": "m-v7"}, promotion={"mode": "Manual"}, trustedTypes=["a.B"]),
    service(model={"version": "m-v7"}),
    service(model={"name": "m", "alias": "blue"}, replicas=0, stop=True),
    service(payloadLog={"sampleRate": 0.05, "redact": ["name"], "maxPartAge": "1m", "keep": "90d"}),
    service(expose={"from": [{"namespaceSelector": {}}]}, runtime={"image": "triton"}),
    service(server={}),
    service(server={"maxBatchRows": 256, "maxQueue": 1000, "requestTimeout": "5s", "warmup": True}),
    service(server={"maxRows": 1_000_000, "maxBodySize": "1024Mi", "requestTimeout": "100ms", "loadTimeout": "6h"}),
    service(autoscaling=CONCURRENCY),
    service(autoscaling={"maxReplicas": 3, "target": 70}, runtime={"image": "triton"}),
    service(autoscaling={"maxReplicas": 3, "target": 70}, resources={"limits": {"cpu": "1"}}),
    service(autoscaling={**CONCURRENCY, "behaviour": {"scaleDownDelay": "0s"}}),
    service(expose={"gateway": {"name": "public", "namespace": "infra"}, "hostnames": ["*.example.org", "localhost"]}),
    service(server={"maxBodySize": "9999Ki", "requestTimeout": "10m", "loadTimeout": "1m30.5s", "warmup": False}),
    monitor(performance=ACCURACY, retrain={"template": {"spec": RUN}}),
    monitor(performance={**ACCURACY, "labels": {"dataset": "d", "key": "customer", "delay": "30d", "every": "6h"}}),
    monitor(performance={"metric": "mean_absolute_error", "maximum": 3}, window={"length": "1h"}, season="7d"),
    monitor(retrain={"template": {"spec": RUN}, "triggers": ["DriftDetected"], "budget": {"runs": 1}}, suspend=True),
    monitor(retrain={"template": {"spec": RUN}, "triggers": ["Schedule", "DriftDetected"], "schedule": "0 3 * * 1"}),
    monitor(drift={"baseline": "SamePhase"}),
    monitor(source="Prometheus", prometheus={"url": "http://prometheus.monitoring.svc:9090/prefix"}),
    monitor(source="Prometheus", prometheus={"url": "https://p.example.org", "labels": {"cluster": "a", "_x1": "b"}}),
    monitor(source="Direct", prometheus={"url": "http://p"}),
    monitor(
        alerts=[ALERT, {**ALERT, "name": "b", "webhook": {"urlKey": "chat", "format": "Slack"}, "resolved": False}]
    ),
    Case("ModelVersion", {"source": {"parameters": {"a": 1}, "libraries": {"numpy": "2"}}}),
)

REFUSED = (
    source("spec.source", "exactly one of uri, configMap, sample must be set"),
    source("spec.source", "exactly one of uri, configMap, sample", uri="s3://b/x", sample="wine"),
    source("spec.source", "uri must start with s3://", uri="ftp://b/x"),
    source("spec.source", "a file:// uri needs claim", uri="file:///data/x"),
    source("spec.source", "a file:// uri needs claim", uri="s3://b/x", claim="data"),
    source("spec.source.sample", sample="boston"),
    source("spec.source.format", uri="s3://b/x", format="XML"),
    source("spec.source.uri", uri=""),
    dataset("spec.target", "Required value", target=None),
    dataset("spec.task", task="Ranking"),
    dataset("split.column is required by: Group", split={"by": "Group"}),
    dataset("split.column is required by: Group", split={"column": "patient"}),
    dataset("split.by: Time needs spec.timestamp", split={"by": "Time"}),
    dataset("split.test + split.validation must be less than 1", split={"test": 0.5, "validation": 0.5}),
    dataset("spec.split.test", split={"test": 0}),
    dataset("spec.window needs spec.timestamp", window={"last": "90d"}),
    dataset("spec.window.last", window={"last": "90 days"}, timestamp="t"),
    dataset("spec.positive is only for task: Classification", positive="M", task="Regression"),
    dataset("spec.features", "exactly one of include, exclude", features={"include": ["a"], "exclude": ["b"]}),
    dataset("spec.features", "exactly one of include, exclude", features={}),
    dataset("inputs[].name must not be dataset", inputs=[{"name": "dataset", "dataset": "d"}]),
    dataset("spec.inputs[0].name", inputs=[{"name": "Hospitals", "dataset": "d"}]),
    dataset("spec.inputs[0].dataset", inputs=[{"name": "h", "dataset": "Hospitals"}]),
    dataset("spec.refresh.schedule", refresh={"schedule": "every day"}),
    dataset("spec.retain", retain=0),
    dataset("spec.maxInvalidFraction", maxInvalidFraction=1.1),
    dataset("spec.resources.requests.memory", resources={"requests": {"memory": "lots"}}),
    dataset("spec.sensitive", "must have at most 16 items", sensitive=[f"c{i}" for i in range(17)]),
    dataset("spec.checks[1]", "Duplicate value", checks=[{"name": "a", "sql": "x"}, {"name": "a", "sql": "y"}]),
    dataset("spec.prepare[1]", "Duplicate value", prepare=[{"name": "a", "sql": "x"}, {"name": "a", "sql": "y"}]),
    dataset("spec.columns[1]", "Duplicate value", columns=[COLUMN, COLUMN]),
    column("spec.columns[0]", "minimum must not be greater than maximum", minimum=2, maximum=1),
    column("spec.columns[0]", "minimum and maximum are only for type", type="String", minimum=1),
    column("spec.columns[0]", "allowed is only for type", allowed=["a"]),
    column("spec.columns[0].type", type="Number"),
    run("spec", "exactly one of estimator, container must be set", container=CONTAINER),
    run("spec", "exactly one of estimator, container must be set", estimator=None),
    run("spec.checkpoint is only for spec.container", checkpoint={"claim": "c"}),
    run("spec.image", "is only for spec.estimator", estimator=None, container=CONTAINER, image="i"),
    run("spec.dataset", "Required value", dataset=None),
    run("spec.model", model="Tumours"),
    run("spec.model", "Too long", model="m" * 41),
    run("spec.seed", seed=-1),
    run("spec.seed", seed=2147483648),
    run("spec.retries", retries=21),
    run("spec.deadline", deadline="1 hour"),
    run("spec.evaluation.primary", evaluation={"primary": "speed"}),
    estimator("spec.estimator.class", **{"class": "SVC"}),
    estimator("spec.estimator.threshold", threshold=0.4),
    estimator("spec.estimator.preprocessing", preprocessing="Scale"),
    estimator("spec.estimator.params", "must have at most 64 items", params={f"p{i}": 1 for i in range(65)}),
    gate("spec.gates[0]", "exactly one of metric, artifactSize"),
    gate("spec.gates[0]", "exactly one of metric, artifactSize", metric="r2", minimum=1, artifactSize={"maximum": 1}),
    gate("spec.gates[0]", "a metric gate needs minimum, maximum or versusChampion", metric="roc_auc"),
    gate("spec.gates[0]", "belong to a metric gate", artifactSize={"maximum": 1}, minimum=1),
    gate("spec.gates[0]", "versusChampion stands alone", metric="r2", versusChampion={}, minimum=1),
    gate("spec.gates[0]", "minimum must not be greater than maximum", metric="r2", minimum=1, maximum=0),
    gate("spec.gates[0]", "rows is only for versusChampion", metric="r2", minimum=1, rows="All"),
    gate("spec.gates[0].metric", metric="speed", minimum=1),
    gate("spec.gates[0].versusChampion.margin", metric="r2", versusChampion={"margin": -1}),
    gate("spec.gates[0].artifactSize.maximum", artifactSize={"maximum": "big"}),
    model("spec.gates[1]", "Duplicate value", gates=[GATE, GATE]),
    model("spec.promotion.mode", promotion={"mode": "Sometimes"}),
    model("spec.aliases.champion", aliases={"champion": "Tumours_v7"}),
    model("spec.retain", retain=501),
    service("spec.model", "set model.name", model={}),
    service("spec.model", "set model.name", model={"name": "m", "version": "m-v7"}),
    service("spec.model", "model.alias needs model.name", model={"version": "m-v7", "alias": "blue"}),
    service("spec.payloadLog.sampleRate", payloadLog={"sampleRate": 0}),
    service("spec.payloadLog.sampleRate", payloadLog={"sampleRate": 1.5}),
    service("spec.payloadLog.keep", payloadLog={"keep": "for ever"}),
    service("payloadLog needs Mainspring's own server", payloadLog={}, runtime={"image": "triton"}),
    service("spec.server.maxBatchRows", server={"maxBatchRows": 0}),
    service("spec.server.maxQueue", server={"maxQueue": 100_001}),
    service("spec.server.maxRows", server={"maxRows": 0}),
    service("spec.server.maxBodySize", server={"maxBodySize": "1025Mi"}),
    service("spec.server.maxBodySize", server={"maxBodySize": "16M"}),
    service("spec.server.requestTimeout", server={"requestTimeout": "1d"}),
    service("server.requestTimeout must be between 100ms and 10m", server={"requestTimeout": "99ms"}),
    service("server.requestTimeout must be between 100ms and 10m", server={"requestTimeout": "11m"}),
    service("server.loadTimeout must be between 1s and 6h", server={"loadTimeout": "500ms"}),
    service("server needs Mainspring's own server", server={}, runtime={"image": "triton"}),
    service("spec.replicas", replicas=-1),
    service("spec.replicas", replicas=1001),
    service("set replicas or autoscaling, not both", replicas=2, autoscaling=CONCURRENCY),
    service("autoscaling.maxReplicas must be at least", autoscaling={**CONCURRENCY, "minReplicas": 4}),
    service("spec.autoscaling.minReplicas", autoscaling={**CONCURRENCY, "minReplicas": 0}),
    service("spec.autoscaling.target", autoscaling={**CONCURRENCY, "target": 0}),
    service("spec.autoscaling.metric", autoscaling={**CONCURRENCY, "metric": "Pods"}),
    service("percent of resources.requests, at most 1000", autoscaling={"maxReplicas": 3, "target": 1001}),
    service(
        "scaleDownDelay must be between 0s and 1h",
        autoscaling={**CONCURRENCY, "behaviour": {"scaleDownDelay": "61m"}},
    ),
    service("needs Mainspring's own server", autoscaling=CONCURRENCY, runtime={"image": "triton"}),
    service(
        "autoscaling by CPU is in percent of resources.requests.cpu: set it",
        autoscaling={"maxReplicas": 3, "target": 70},
        resources={"requests": {"memory": "1Gi"}},
    ),
    service(
        "autoscaling by Memory is in percent of resources.requests.memory: set it",
        autoscaling={"maxReplicas": 3, "metric": "Memory", "target": 70},
        resources={"requests": {"cpu": "1"}},
    ),
    service("expose.hostnames needs expose.gateway", expose={"hostnames": ["a.example.org"]}),
    service("spec.expose.hostnames", expose={"gateway": {"name": "public"}, "hostnames": ["A.example.org"]}),
    service("spec.expose.gateway.name", expose={"gateway": {}}),
    service("spec.runtime.image", "Required value", runtime={}),
    monitor("spec.performance", "set minimum", performance={"metric": "accuracy"}),
    monitor("spec.performance", "set minimum", performance={"metric": "r2", "minimum": 0, "maximum": 1}),
    monitor("spec.performance.metric", performance={"metric": "speed", "minimum": 1}),
    monitor("spec.performance.labels.delay", performance={**ACCURACY, "labels": {"dataset": "d"}}),
    monitor("slices need labels from a Dataset", performance={**ACCURACY, "slices": ["plan"]}),
    monitor("spec.performance.labels.dataset", performance={**ACCURACY, "labels": {"delay": "1d"}}),
    monitor("spec.performance.labels.delay", performance={**ACCURACY, "labels": {"dataset": "d", "delay": "a day"}}),
    monitor("spec.retrain.template", "Required value", retrain={}),
    monitor("spec.retrain.template.spec", "exactly one of estimator", retrain={"template": {"spec": NO_ESTIMATOR}}),
    monitor("spec.retrain.triggers", retrain={"template": {"spec": RUN}, "triggers": []}),
    monitor("spec.retrain", "set schedule", retrain={"template": {"spec": RUN}, "triggers": ["Schedule"]}),
    monitor("spec.retrain", "set schedule", retrain={"template": {"spec": RUN}, "schedule": "0 3 * * 1"}),
    monitor("spec.retrain.schedule", retrain={"template": {"spec": RUN}, "schedule": "weekly"}),
    monitor("spec.retrain.maxAttempts", retrain={"template": {"spec": RUN}, "maxAttempts": 0}),
    monitor("spec.drift.baseline", drift={"baseline": "Yesterday"}),
    monitor("spec.window.minimumRows", window={"minimumRows": 10}),
    monitor("spec.season", season="a day"),
    monitor("spec", "spec.source Prometheus needs spec.prometheus.url: set it", source="Prometheus"),
    monitor("spec.source", source="Graphite"),
    monitor("spec.prometheus.url", "Required value", prometheus={}),
    monitor("spec.prometheus.url", prometheus={"url": "prometheus:9090"}),
    monitor("spec.prometheus.url", prometheus={"url": "http://user:word@prometheus"}),
    monitor("spec.prometheus.url", prometheus={"url": "file:///etc/passwd"}),
    monitor("spec.prometheus", "names of labels", prometheus={"url": "http://p", "labels": {'a="b",c': "d"}}),
    webhook("exactly one of url, urlKey must be set"),
    webhook("exactly one of url, urlKey must be set", url="https://a", urlKey="b"),
    webhook("put it into the Secret mainspring-alerts", url="https://hooks.slack.com/services/T0/B0/x"),
    webhook("spec.alerts[0].webhook.url", url="ftp://a"),
    webhook("spec.alerts[0].webhook.format", url="https://a", format="Email"),
    webhook("spec.alerts[0].webhook.urlKey", urlKey="a b"),
    monitor("spec.alerts[0].events", alerts=[{**ALERT, "events": []}]),
    monitor("spec.alerts[0].events", alerts=[{**ALERT, "events": ["Everything"]}]),
    monitor("spec.alerts[1]", "Duplicate value", alerts=[ALERT, ALERT]),
    monitor("spec.alerts", "at most 4 items", alerts=[{**ALERT, "name": name} for name in "abcde"]),
    Case("ModelVersion", {"artifact": {"uri": "s3://b/m"}}, ("spec.artifact.digest", "Required value")),
    Case("ModelVersion", {"artifact": {"uri": "s3://b/m", "digest": "sha256:abc"}}, ("spec.artifact.digest",)),
    Case("ModelVersion", {"number": 0}, ("spec.number",)),
    Case("DatasetVersion", {"columns": [{**COLUMN, "role": "Spare"}]}, ("spec.columns[0].role",)),
)


def spec_of(case: Case) -> dict[str, Any]:
    merged = {**objects.LEAST[case.kind], **case.fields}
    return {name: value for name, value in merged.items() if value is not None}


@pytest.mark.parametrize("case", ACCEPTED, ids=str)
def test_accepted(server: Server, namespace: str, case: Case) -> None:
    stored = server.create(objects.manifest(case.kind, namespace, spec_of(case)), **DRY_RUN)
    assert stored["spec"].keys() >= {name for name, value in case.fields.items() if value is not None}


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_refused(server: Server, namespace: str, case: Case) -> None:
    with pytest.raises(Refused) as refused:
        server.create(objects.manifest(case.kind, namespace, spec_of(case)), **DRY_RUN)
    assert refused.value.code == 422
    for words in case.says:
        assert words in str(refused.value)


@pytest.mark.parametrize("kind", ["Dataset", "TrainingRun", "Model", "InferenceService"])
@pytest.mark.parametrize("name", ["m" * 41, "7up", "a.b"])
def test_a_name_that_a_service_could_not_have_is_refused(server: Server, namespace: str, kind: str, name: str) -> None:
    with pytest.raises(Refused, match=r"metadata\.name must have at most 40 characters"):
        server.create(objects.manifest(kind, namespace, name=name), **DRY_RUN)


@pytest.mark.parametrize("kind", ["Dataset", "TrainingRun", "Model", "InferenceService"])
@pytest.mark.parametrize("name", ["m" * 40, "a", "a-1"])
def test_any_other_name_is_accepted(server: Server, namespace: str, kind: str, name: str) -> None:
    assert server.create(objects.manifest(kind, namespace, name=name), **DRY_RUN)["metadata"]["name"] == name


@pytest.mark.parametrize("name", ["m-v8", "m-v07", "n-v7", "m7", "mx-v7", "m-v7-v7"])
def test_a_version_is_named_after_its_model_and_number(server: Server, namespace: str, name: str) -> None:
    with pytest.raises(Refused, match=r"metadata\.name must be <spec\.model>-v<spec\.number>"):
        server.create(objects.manifest("ModelVersion", namespace, name=name), **DRY_RUN)


def test_the_longest_version_name_fits(server: Server, namespace: str) -> None:
    spec = {**objects.LEAST["ModelVersion"], "model": "m" * 40, "number": 2147483647}
    name = f"{'m' * 40}-v2147483647"
    assert server.create(objects.manifest("ModelVersion", namespace, spec, name), **DRY_RUN)
