"""Any observation of any kind, for hypothesis: possible worlds, also those that nobody thought of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from mainspring.api import contract
from mainspring.api.splitting import ArmCounts, SplitSnapshot, StageCounts
from mainspring.api.v1alpha1.dataset import DatasetSpec
from mainspring.api.v1alpha1.datasetversion import CheckResult, SplitCounts
from mainspring.api.v1alpha1.inferenceservice import InferenceServiceSpec
from mainspring.api.v1alpha1.model import ModelSpec
from mainspring.api.v1alpha1.modelversion import ModelVersionSpec
from mainspring.api.v1alpha1.rollouts import Cause, Judgement, Outcome, Phase, RolloutStatus, Strategy
from mainspring.api.v1alpha1.scaling import Autoscaling
from mainspring.api.v1alpha1.trainingrun import MetricValue, TrainingRunSpec
from mainspring.plan.common import gates, objects, proving
from mainspring.plan.common.jobs import JobState
from mainspring.plan.dataset import builders as dataset_builders
from mainspring.plan.dataset import observed as dataset_observed
from mainspring.plan.dataset import trigger
from mainspring.plan.datasetversion import observed as datasetversion_observed
from mainspring.plan.inferenceservice import autoscaler, splits
from mainspring.plan.inferenceservice import builders as service_builders
from mainspring.plan.inferenceservice import observed as service_observed
from mainspring.plan.model import observed as model_observed
from mainspring.plan.modelversion import builders as version_builders
from mainspring.plan.modelversion import observed as version_observed
from mainspring.plan.trainingrun import observed as run_observed
from tests import builders

Draw = Any
NAMES = st.sampled_from(["a", "tumours", "x-1", "n" * 40, "a-" + "b" * 38])
STATES = st.sampled_from(["Running", "Succeeded", "Failed"])
TEMPLATES = st.sampled_from(
    [
        None,
        {"labels": {"team": "x", "app.kubernetes.io/managed-by": "me"}, "annotations": {"a": "b"}},
        {"env": [{"name": "A", "value": "1"}], "serviceAccountName": "mine", "nodeSelector": {"disk": "fast"}},
        {"volumes": [{"name": "v", "emptyDir": {}}], "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
    ]
)
ROLLOUTS = st.fixed_dictionaries(
    {},
    optional={
        "strategy": st.sampled_from(["Canary", "Shadow", "BlueGreen", "Immediate"]),
        "steps": st.sampled_from([[5], [0, 50], [5, 25, 50]]),
        "manual": st.booleans(),
        "onInconclusive": st.sampled_from(["Hold", "Promote", "Rollback"]),
        "maxDuration": st.sampled_from(["10s", "1h"]),
        "match": st.just({"headers": {"X-Cohort": "beta"}}),
        "stickyBy": st.sampled_from([{"header": "x-user"}, {"cookie": "uid"}]),
    },
)
SETTINGS = st.sampled_from(
    [
        builders.SETTINGS,
        builders.UPGRADED,
        replace(builders.SETTINGS, artifacts_uri="", ca_bundle="PEM", image_pull_secrets=("pull",), pod_env={"A": "b"}),
    ]
)


def present(**fields: Any) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def report_of(state: str, report: contract.ApiModel, draw: Draw) -> dict[str, Any]:
    """How a Job of that state ended."""
    if state == "Succeeded":
        return {"report": draw(st.sampled_from([report, None]))}
    code = draw(st.sampled_from([1, 42, None])) if state == "Failed" else None
    return {"exit_code": code, "reason": draw(st.sampled_from(["Unlucky", "DeadlineExceeded"])), "message": "no luck"}


# ---- Dataset


@st.composite
def datasets(draw: Draw) -> dataset_observed.Observed:
    spec = present(
        refresh=draw(st.sampled_from([None, {"schedule": "0 * * * *"}])),
        retain=draw(st.sampled_from([1, 10])),
        podTemplate=draw(TEMPLATES),
    )
    name = draw(NAMES)
    obj = builders.stored(builders.dataset(name, **spec), created=builders.at(-600))
    observed = dataset_observed.Observed(obj, DatasetSpec.model_validate(objects.spec(obj)), draw(SETTINGS))
    asked = trigger.current(obj, observed.spec, {}, builders.NOW)
    versions = tuple(_version(draw, name, number, asked) for number in range(draw(st.integers(0, 3))))
    attempt = draw(st.integers(0, 2))
    told = present(
        tried=asked if attempt else None,
        attempt=attempt or None,
        retryAt=draw(st.sampled_from([builders.at(-1), builders.at(1)])) if attempt else None,
        current=objects.name(versions[0]) if versions and draw(st.booleans()) else None,
        trigger=draw(st.sampled_from([None, asked])),
    )
    state = draw(st.sampled_from([None, "Running", "Succeeded", "Failed"]))
    observed = replace(observed, object={**obj, "status": told or {"observedGeneration": -1}}, versions=versions)
    if state is None:
        return observed
    job = dataset_builders.job_name(observed, asked, attempt)
    return replace(observed, jobs=(builders.job_state(job, obj, state, **report_of(state, _prepared(draw), draw)),))


def _version(draw: Draw, name: str, number: int, asked: str) -> dict[str, Any]:
    broken = draw(st.sampled_from([0, 3]))
    noted = draw(st.sampled_from(["", "", asked]))
    return builders.dataset_version(
        str(number), name, checks={"c": broken}, trigger=noted, created=builders.at(number - 60)
    )


def _prepared(draw: Draw) -> contract.PrepareReport:
    return contract.PrepareReport(
        identity=builders.digest("identity"),
        unchanged=draw(st.booleans()),
        digest=builders.digest(str(draw(st.integers(0, 4)))),
        uri="s3://artifacts/x",
        rows=9,
        splits=SplitCounts(train=5, test=4),
        checks=[CheckResult(name="c", passed=draw(st.booleans()), rows=1)],
    )


@st.composite
def dataset_versions(draw: Draw) -> datasetversion_observed.Observed:
    checks = draw(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, 2)))
    return datasetversion_observed.Observed(builders.dataset_version(dataset=draw(NAMES), checks=checks))


# ---- TrainingRun


@st.composite
def runs(draw: Draw) -> run_observed.Observed:
    container = draw(st.sampled_from([None, {"image": "team/trainer:1"}]))
    spec = present(
        suspend=draw(st.booleans()),
        retries=draw(st.integers(0, 2)),
        deadline=draw(st.sampled_from([None, "1m", "1h"])),
        ttlAfterFinished=draw(st.sampled_from([None, "1m", "1h"])),
        podTemplate=draw(TEMPLATES),
        container=container,
    )
    name, ended = draw(NAMES), draw(st.sampled_from([None, None, None, "Succeeded", "Failed"]))
    attempts = draw(st.integers(0, 3))
    told = [{"number": n, "job": f"{name}-train-{n}", "outcome": "Running"} for n in range(1, attempts + 1)]
    status = present(attempts=told or None, startTime=builders.at(-30) if told else None)
    obj = builders.stored(builders.run(name, **spec), status or None, annotations=present(finished=ended))
    every = tuple(_attempt(draw, obj, n, n == attempts) for n in range(1, attempts + 1) if draw(st.booleans()))
    data = builders.dataset_version(checks=draw(st.sampled_from([{}, {}, {"c": 3}])))
    return run_observed.Observed(
        object=obj,
        spec=TrainingRunSpec.model_validate(objects.spec(obj)),
        settings=draw(SETTINGS),
        jobs=every,
        dataset=draw(st.sampled_from([None, builders.stored(builders.dataset())])),
        dataset_version=draw(st.sampled_from([None, data, data])),
        model=draw(st.sampled_from([None, builders.stored(builders.model())])),
        model_version=draw(st.sampled_from([None, builders.model_version(1)])),
    )


def _attempt(draw: Draw, owner: objects.Object, number: int, last: bool) -> JobState:
    state = draw(STATES) if last else "Failed"
    name = f"{objects.name(owner)}-train-{number}"
    return builders.job_state(name, owner, state, **report_of(state, _trained(), draw))


def _trained() -> contract.TrainReport:
    return contract.TrainReport(
        digest=builders.digest("artifact"),
        uri="s3://artifacts/x",
        size=1,
        format="skops",
        task="Classification",
        metrics=[MetricValue(name="roc_auc", value=0.9)],
        primary="roc_auc",
    )


# ---- Model

SIGNATURES = st.sampled_from([None, None, {"publicKeySecret": "model-signing"}])
RECORDS = st.sampled_from(
    [
        "",
        "",
        proving.Record("first", builders.at(-5)).to_json(),
        proving.Record("first", builders.at(-5), "RolledBack", "too slow").to_json(),
        "damaged",
    ]
)
VERIFIED = st.sampled_from(["", gates.Signature("model-signing", "5" * 64).to_json(), "damaged"])


@st.composite
def model_versions_of(draw: Draw, most: int = 4) -> tuple[dict[str, Any], ...]:
    return tuple(_any_version(draw, n) for n in range(1, draw(st.integers(0, most)) + 1))


def _any_version(draw: Draw, number: int) -> dict[str, Any]:
    return builders.model_version(
        number,
        passed=draw(st.sampled_from([None, True, True, False])),
        promoted=draw(st.sampled_from(["", "", builders.at(-number)])),
        rejected=draw(st.sampled_from(["", "", "RolledBackByPin"])),
        created=builders.at(number - 60),
        signature=draw(VERIFIED),
        proving=draw(RECORDS),
    )


@st.composite
def models(draw: Draw) -> model_observed.Observed:
    versions = draw(model_versions_of())
    names = [objects.name(v) for v in versions]
    spec = present(
        aliases=draw(
            st.sampled_from([None, {"champion": n} if (n := draw(st.sampled_from([*names, "tumours-v9"]))) else None])
        ),
        promotion=present(
            mode=draw(st.sampled_from(["Automatic", "Automatic", "Manual"])),
            provenBy=draw(st.sampled_from([None, "first", "first", "other"])),
            candidateDeadline=draw(st.sampled_from(["1m", "24h"])),
        ),
        retain=draw(st.sampled_from([1, 20])),
        verification=draw(SIGNATURES),
    )
    champion = draw(st.sampled_from([None, *names, "tumours-v9"]))
    sent = {"version": draw(st.sampled_from([*names, "tumours-v9"])), "service": "first", "since": builders.at(-5)}
    told = present(champion=champion, proving=draw(st.sampled_from([None, sent, sent])))
    obj = builders.stored(builders.model(**spec), told or None)
    return model_observed.Observed(
        object=obj,
        spec=ModelSpec.model_validate(objects.spec(obj)),
        settings=draw(SETTINGS),
        versions=versions,
        unregistered=tuple(_unregistered(n) for n in range(draw(st.integers(0, 2)))),
        prover=draw(provers(names)),
        served=frozenset(draw(st.sets(st.sampled_from(["tumours-v1", "tumours-v2"])))),
    )


@st.composite
def provers(draw: Draw, names: list[str]) -> dict[str, Any] | None:
    """The service that proves candidates, with any verdicts on them."""
    version = draw(st.sampled_from([None, *names, "tumours-v9"]))
    if version is None:
        return None
    verdict = {
        "version": version,
        "revision": "a",
        "outcome": draw(st.sampled_from([*Outcome])),
        "time": builders.at(-1),
    }
    where = draw(st.sampled_from([{"name": "tumours"}, {"name": "tumours"}, {"name": "x"}, {"version": "tumours-v1"}]))
    stop = draw(st.sampled_from([False, False, True]))
    status = {"stableVersion": draw(st.sampled_from(["", version])), "rollouts": draw(st.sampled_from([[], [verdict]]))}
    return builders.stored(builders.service("first", model=where, stop=stop), {k: v for k, v in status.items() if v})


def _unregistered(number: int) -> dict[str, Any]:
    artifact = {"uri": "s3://x", "digest": builders.digest(f"run {number}"), "size": 1, "format": "skops"}
    return builders.stored(builders.run(f"run-{number}"), {"artifact": artifact, "lineage": {"datasetVersion": "gone"}})


@st.composite
def model_versions(draw: Draw) -> version_observed.Observed:
    number = draw(st.sampled_from([2, 9, 123456789]))
    obj = _any_version(draw, number)
    asked = draw(st.sampled_from([None, [{"name": "g", "metric": "roc_auc", "versusChampion": {}}]]))
    owner = builders.stored(builders.model(**present(gates=asked, verification=draw(SIGNATURES))))
    spec, champion = ModelSpec.model_validate(objects.spec(owner)), draw(st.sampled_from([None, _any_version(draw, 1)]))
    known = {"model": owner, "model_spec": spec, "champion": champion}
    observed = version_observed.Observed(
        object=obj,
        spec=ModelVersionSpec.model_validate(objects.spec(obj)),
        settings=draw(SETTINGS),
        doubt=draw(st.sampled_from(["", "", "tumours 2025-06-02T08:00:00Z"])),
        mismatch=draw(st.sampled_from(["", "", "other bytes"])),
        dataset_version=draw(st.sampled_from([None, builders.dataset_version()])),
        champion_dataset_version=draw(st.sampled_from([None, builders.dataset_version()])),
        **draw(st.sampled_from([known, known, {}])),
    )
    state = draw(st.sampled_from([None, "Running", "Succeeded", "Failed"]))
    if state is None or observed.model_spec is None:
        return observed
    rival = champion if gates.compares(spec.gates or ()) else None
    report = contract.EvaluateReport(digest=builders.digest("x"), size=1, format="skops")
    job = builders.job_state(
        version_builders.job_name(observed, rival, 0), obj, state, **report_of(state, report, draw)
    )
    return replace(observed, jobs=(job,))


# ---- InferenceService


EXPOSES: tuple[dict[str, Any] | None, ...] = (
    None,
    {"from": [{"podSelector": {}}]},
    {"gateway": {"name": "public"}, "hostnames": ["a.example.org"]},
)
AUTOSCALINGS: tuple[dict[str, Any] | None, ...] = (
    None,
    {"maxReplicas": 3, "metric": "CPU", "target": 70},
    {"minReplicas": 2, "maxReplicas": 3, "metric": "Concurrency", "target": 2},
)
LOADS = st.builds(
    service_observed.Loads,
    st.dictionaries(
        st.sampled_from(["a", "b"]),
        st.none() | st.builds(service_observed.Rate, st.floats(0, 9), st.floats(0, 9)),
    ),
    st.sampled_from([frozenset[str](), frozenset({"c"})]),
)


@st.composite
def services(draw: Draw) -> service_observed.Observed:
    versions = [_any_version(draw, n) for n in range(1, 5)]
    spec = present(
        replicas=draw(st.sampled_from([None, 0, 2])),
        stop=draw(st.booleans()),
        podTemplate=draw(TEMPLATES),
        expose=draw(st.sampled_from(EXPOSES)),
        rollout=draw(st.none() | ROLLOUTS),
        autoscaling=draw(st.sampled_from(AUTOSCALINGS)),
    )
    obj = builders.stored(builders.service(draw(NAMES), **spec))
    observed = service_observed.Observed(
        object=obj,
        spec=InferenceServiceSpec.model_validate(objects.spec(obj)),
        settings=draw(SETTINGS),
        version=draw(st.sampled_from([None, *versions])),
    )
    found = [_revision(draw, observed, v) for v in versions if draw(st.booleans())]
    wanted = objects.name(observed.version) if observed.version else None
    told = present(
        stableRevision=draw(st.sampled_from([None, "gone", *(r.hash for r in found)])),
        conditions=draw(st.sampled_from([None, [builders.condition("Ready", "True", "Serving")]])),
        rollout=_rollout(draw, found) if found and draw(st.booleans()) else None,
    )
    told_object = {**obj, "status": told}
    if found and draw(st.booleans()):
        notes = {f"mainspring.dev/{draw(st.sampled_from(['promote', 'abort']))}": draw(st.sampled_from(found)).hash}
        told_object["metadata"] = {**obj["metadata"], "annotations": notes}
    observed = replace(observed, object=told_object)
    return replace(
        observed,
        split=builders.stored_child(splits.build_config_map(observed, None)) if draw(st.booleans()) else None,
        candidate_service=builders.stored_child(splits.build_candidate_service(observed, "gone"))
        if draw(st.booleans())
        else None,
        counts=_counts(draw, found),
        model=builders.stored(
            builders.model(**present(verification=draw(SIGNATURES))), present(champion=wanted) or None
        ),
        revisions={r.hash: r for r in found},
        service=draw(st.sampled_from([None, *(service_builders.build_service(observed, r.hash) for r in found)])),
        loads=draw(LOADS),
        autoscaler=draw(st.sampled_from([None, *(_autoscaler(observed, r) for r in found)])),
        has_gateways=draw(st.booleans()),
    )


def _rollout(draw: Draw, found: list[service_observed.Revision]) -> dict[str, Any]:
    """Anything that may go on between two of them, or be left over from others."""
    candidate, stable = draw(st.sampled_from(found)), draw(st.sampled_from(found))
    phase = draw(st.sampled_from(list(Phase)))
    state = RolloutStatus(
        version=candidate.version,
        revision=candidate.hash,
        from_version=stable.version,
        from_revision=stable.hash,
        strategy=draw(st.sampled_from(list(Strategy))),
        cause=draw(st.sampled_from(list(Cause))),
        phase=phase,
        step=draw(st.integers(0, 1)),
        stage=draw(st.integers(0, 3)),
        weight=draw(st.sampled_from([0, 5, 50])),
        mirror=draw(st.sampled_from([0, 20, 100])),
        verdict=draw(st.sampled_from(list(Judgement))),
        forced=phase is Phase.PROMOTING and draw(st.booleans()),
        started_at=builders.at(-10),
        judged_since=draw(st.sampled_from([None, builders.at(-9)])),
        step_started_at=draw(st.sampled_from([None, builders.at(-8)])),
        held_since=builders.at(-5) if phase is Phase.HOLDING else None,
    )
    return state.to_dict()


def _counts(draw: Draw, found: list[service_observed.Revision]) -> service_observed.Counts:
    requests, errors = draw(st.integers(0, 5000)), draw(st.integers(0, 100))
    arm = ArmCounts(requests=requests, errors=min(errors, requests), seconds={30: requests})
    stages = [StageCounts(stage=n, stable=arm, candidate=arm) for n in range(draw(st.integers(0, 3)))]
    rollouts = [f"{r.hash}-{builders.at(-10)}" for r in found] or [""]
    said = SplitSnapshot(revision="r", epoch="e", rollout=draw(st.sampled_from(rollouts)), stages=stages)
    gone = said.model_copy(update={"epoch": "before"})
    return service_observed.Counts({"pod": said}, gone=draw(st.sampled_from([(), (gone,)])))


def _autoscaler(observed: service_observed.Observed, revision: service_observed.Revision) -> dict[str, Any]:
    policy = Autoscaling.model_validate(AUTOSCALINGS[1])
    return builders.stored_child(autoscaler.build_autoscaler(observed, policy, revision))


def _revision(draw: Draw, observed: service_observed.Observed, version: dict[str, Any]) -> service_observed.Revision:
    hash_ = service_builders.revision_hash(observed, version)
    size, ready = draw(st.sampled_from([0, 1, 2])), draw(st.sampled_from([0, 1, 2]))
    made = service_builders.build_deployment(observed, version, hash_, size)
    status = {"observedGeneration": 1, "replicas": size, "updatedReplicas": size, "readyReplicas": ready}
    failure = draw(st.sampled_from([None, None, service_observed.Failure("ModelNotLoadable", "unknown type", 3)]))
    return service_observed.Revision({**builders.stored_child(made), "status": status}, failure)
