from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mainspring.api.v1alpha1.common import LABEL_MODEL_VERSION, LABEL_REVISION
from mainspring.api.v1alpha1.inferenceservice import InferenceServiceSpec
from mainspring.plan.common import objects
from mainspring.plan.common.plan import NOTHING, Plan
from mainspring.plan.inferenceservice import builders as service_builders
from mainspring.plan.inferenceservice import plan, splits, target
from mainspring.plan.inferenceservice.observed import Failure, Observed, Revision
from tests import builders, plans

NOW = builders.NOW
V1, V2 = builders.model_version(1, passed=True), builders.model_version(2, passed=True)
BROKEN = Failure("ModelNotLoadable", "unknown type", 3)


def observe(version: dict[str, Any] | None = V1, told: dict[str, Any] | None = None, **more: Any) -> Observed:
    obj = builders.stored(builders.service(**more.pop("spec", {})), told)
    name = version["metadata"]["name"] if version else None
    model = builders.stored(builders.model(), {"champion": name} if name else {})
    spec = InferenceServiceSpec.model_validate(objects.spec(obj))
    world = {"model": model, "version": version}
    return Observed(object=obj, spec=spec, settings=builders.SETTINGS, **{**world, **more})


def revision(
    version: dict[str, Any], ready: int = 1, size: int = 1, failure: Failure | None = None, **more: Any
) -> Revision:
    observed = observe(version, spec=more.pop("spec", {}))
    hash_ = service_builders.revision_hash(observed, version)
    made = service_builders.build_deployment(observed, version, hash_, size)
    status = {"observedGeneration": 1, "replicas": size, "updatedReplicas": size, "readyReplicas": ready}
    return Revision(
        {**builders.stored_child(made, minutes=more.pop("minutes", 0)), "status": {**status, **more}}, failure
    )


def revisions(*every: Revision) -> dict[str, Revision]:
    return {r.hash: r for r in every}


def stable(of: Revision) -> dict[str, Any]:
    """What status says while that revision serves."""
    ready = [builders.condition("Ready", "True", "Serving")]
    return {"stableRevision": of.hash, "stableVersion": of.version, "conditions": ready}


def make(observed: Observed, minutes: float = 0) -> Plan:
    return plan.make_plan(observed, NOW + timedelta(minutes=minutes))


def sizes(made: Plan) -> dict[str, int]:
    return {p.target.name: p.body["spec"]["replicas"] for p in made.patch if "spec" in p.body}


def selects(made: Plan) -> str:
    (service,) = [m for m in made.apply if m["kind"] == "Service"]
    return str(service["spec"]["selector"][LABEL_REVISION])


OLD, NEW = revision(V1), revision(V2)


def test_the_first_revision_comes_with_all_it_needs() -> None:
    made = make(observe())
    assert plans.applied(made) == ["ServiceAccount", "Service", "Deployment", "NetworkPolicy", "PodDisruptionBudget"]
    assert plans.verdict(made) == ("Reconciling", "Starting")
    assert plans.condition(made, "Available") == ("False", "NotServing")


def test_when_its_pods_are_ready_it_is_the_stable_one() -> None:
    made = make(observe(revisions=revisions(OLD)))
    assert made.status_first
    assert made.status is not None
    assert made.status["stableVersion"] == "tumours-v1"
    assert plans.verdict(made) == ("Ready", "Serving")
    assert [e.reason for e in made.events] == ["Promoted"]


def test_a_new_version_comes_up_beside_the_old_one() -> None:
    made = make(observe(V2, stable(OLD), revisions=revisions(OLD)))
    assert plans.applied(made)[2] == "Deployment"
    assert selects(made) == OLD.hash
    assert not sizes(made)
    assert plans.verdict(made) == ("Ready", "RollingOut")


@pytest.mark.parametrize(
    ("state", "switches"),
    [
        ({"ready": 2}, True),
        ({"ready": 1}, False),
        ({"ready": 2, "updatedReplicas": 1}, False),
        ({"ready": 2, "observedGeneration": 0}, False),
    ],
)
def test_the_switch_waits_for_every_pod(state: dict[str, Any], switches: bool) -> None:
    candidate = revision(V2, size=2, **state)
    made = make(observe(V2, stable(OLD), revisions=revisions(OLD, candidate), spec={"replicas": 2}))
    assert made.status_first == switches
    assert selects(made) == (candidate.hash if switches else OLD.hash)


def test_after_the_switch_the_old_revision_goes_to_zero() -> None:
    made = make(observe(V2, stable(OLD), revisions=revisions(OLD, NEW)))
    assert sizes(made) == {objects.name(OLD.deployment): 0}
    assert made.patch[0].field_manager == "mainspring-scale"
    assert made.status is not None
    assert made.status["rollouts"][-1]["outcome"] == "Promoted"


def test_a_crash_before_the_switch_of_the_service_is_made_up_for() -> None:
    made = make(observe(V2, stable(NEW), revisions=revisions(OLD, NEW)))
    assert selects(made) == NEW.hash
    assert sizes(made) == {objects.name(OLD.deployment): 0}


def test_a_failing_candidate_leaves_the_old_one_serving() -> None:
    failing = revision(V2, ready=0, failure=BROKEN)
    made = make(observe(V2, stable(OLD), revisions=revisions(OLD, failing)), minutes=5)
    assert plans.verdict(made) == ("Stalled", "ModelNotLoadable")
    assert plans.condition(made, "Available") == ("True", "Serving")
    assert selects(made) == OLD.hash
    assert made.status is not None
    assert made.status["lastFailure"] == {
        "version": "tumours-v2",
        "revision": failing.hash,
        "reason": "ModelNotLoadable",
        "message": "unknown type",
        "exitCode": 3,
        "time": builders.at(5),
    }


def test_a_failure_is_told_once() -> None:
    failing = revision(V2, ready=0, failure=BROKEN)
    world = revisions(OLD, failing)
    told = dict(make(observe(V2, stable(OLD), revisions=world), minutes=5).status or {})
    again = make(observe(V2, told, revisions=world), minutes=9)
    assert again.status is not None
    assert again.status["lastFailure"]["time"] == builders.at(5)
    assert len(again.status["rollouts"]) == 1


def test_a_return_to_a_kept_revision_is_a_rollback() -> None:
    told = {
        **stable(NEW),
        "rollouts": [{"version": "tumours-v1", "revision": OLD.hash, "outcome": "Promoted", "time": builders.at(0)}],
    }
    made = make(observe(V1, told, revisions=revisions(OLD, NEW)))
    assert made.status is not None
    assert made.status["rollouts"][-1]["reason"] == "ServedBefore"
    assert [e.reason for e in made.events] == ["Promoted"]


@pytest.mark.parametrize(("failure", "phase"), [(None, "Mirroring"), (BROKEN, None)], ids=["starting", "broken"])
def test_a_candidate_is_taken_without_steps_only_when_the_stable_revision_is_broken(
    failure: Failure | None, phase: str | None
) -> None:
    """Pods that start, after a stop or on another node, are there in a moment; a race with them would prove nothing."""
    old, new = revision(V1, ready=0, failure=failure), revision(V2)
    made = make(observe(V2, stable(old), spec={"rollout": {}}, revisions=revisions(old, new)))
    assert ((made.status or {}).get("rollout") or {}).get("phase") == phase
    assert ((made.status or {})["stableVersion"] == "tumours-v1") == (phase is not None)


def test_pods_of_a_candidate_that_never_start_do_not_hold_up_a_drain() -> None:
    """A budget over the pods of both would allow no eviction of a pod that serves as long as they are not ready."""
    old, new = revision(V1), revision(V2, ready=0)
    made = make(observe(V2, stable(old), revisions=revisions(old, new)))
    (budget,) = [m for m in made.apply if m["kind"] == "PodDisruptionBudget"]
    assert budget["spec"]["selector"]["matchLabels"][LABEL_REVISION] == old.hash


def test_however_many_failed_since_a_version_that_served_before_comes_back_at_once() -> None:
    """Status remembers ten rollouts; what was taken last and the one before are always among them."""
    old, now, bad = revision(V1, ready=0, size=0), revision(V2), {"outcome": "RolledBack", "time": builders.at(-1)}
    taken = [
        {"version": r.version, "revision": r.hash, "outcome": "Promoted", "time": builders.at(-9)} for r in (old, now)
    ]
    failed = [{"version": f"tumours-v{n}", "revision": f"r{n}", **bad} for n in range(3, 11)]
    spec = {"rollout": {}}
    third = builders.model_version(11, passed=True)
    told = {**stable(now), "rollouts": [*taken, *failed]}
    broken = revision(third, ready=0, failure=BROKEN, spec=spec)
    ended = make(observe(third, told, spec=spec, revisions=revisions(old, now, broken))).status
    assert ended is not None
    assert [r["version"] for r in ended["rollouts"]][:2] == ["tumours-v1", "tumours-v2"]
    assert (len(ended["rollouts"]), ended["rollouts"][-1]["version"]) == (10, "tumours-v11")
    back = make(observe(V1, {**told, "rollouts": ended["rollouts"]}, spec=spec, revisions=revisions(old, now)))
    assert sizes(back) == {objects.name(old.deployment): 1}
    assert "rollout" not in (back.status or {})


def test_a_kept_revision_is_scaled_up_and_not_made_again() -> None:
    kept = revision(V1, ready=0, size=0)
    made = make(observe(V1, stable(NEW), revisions=revisions(kept, NEW)))
    assert "Deployment" not in plans.applied(made)
    assert sizes(made) == {objects.name(kept.deployment): 1}


def test_scaling_patches_replicas_and_nothing_else() -> None:
    made = make(observe(V1, stable(OLD), revisions=revisions(OLD), spec={"replicas": 3}))
    assert [p.body for p in made.patch] == [{"spec": {"replicas": 3}}]
    assert plans.verdict(made) == ("Reconciling", "Scaling")


def test_lost_pods_are_scaling_as_long_as_one_answers() -> None:
    two = {"replicas": 2}
    one = revision(V1, ready=1, size=2, failure=BROKEN, spec=two)
    assert plans.verdict(make(observe(V1, stable(one), revisions=revisions(one), spec=two))) == (
        "Reconciling",
        "Scaling",
    )
    none = revision(V1, ready=0, size=2, failure=BROKEN, spec=two)
    made = make(observe(V1, stable(none), revisions=revisions(none), spec=two))
    assert plans.verdict(made) == ("Stalled", "ModelNotLoadable")


def test_a_stopped_service_has_no_pods_and_keeps_its_place() -> None:
    made = make(observe(V1, stable(OLD), revisions=revisions(OLD), spec={"stop": True}))
    assert sizes(made) == {objects.name(OLD.deployment): 0}
    assert plans.verdict(made) == ("Ready", "Stopped")
    assert made.status is not None
    assert made.status["stableVersion"] == "tumours-v1"


@pytest.mark.parametrize("replicas", [None, 0, 3])
def test_the_size_is_one_unless_said(replicas: int | None) -> None:
    spec = {} if replicas is None else {"replicas": replicas}
    made = make(observe(spec=spec))
    (deployment,) = [child for child in made.apply if child["kind"] == "Deployment"]
    assert deployment["spec"]["replicas"] == (1 if replicas is None else replicas)


def test_old_revisions_beyond_two_go_oldest_first() -> None:
    kept = [revision(builders.model_version(n, passed=True), ready=0, size=0, minutes=n) for n in (3, 4, 5, 6)]
    made = make(observe(V1, stable(OLD), revisions=revisions(OLD, *kept)))
    assert plans.deleted(made) == [f"Deployment {objects.name(r.deployment)}" for r in kept[:2]]


def test_a_lost_status_finds_what_the_service_selects() -> None:
    service = service_builders.build_service(observe(), OLD.hash)
    made = make(observe(V2, {}, revisions=revisions(OLD), service=service))
    assert made.status is not None
    assert made.status["stableVersion"] == "tumours-v1"
    assert selects(made) == OLD.hash


def test_a_lost_status_does_not_take_a_revision_for_stable_that_never_served() -> None:
    starting = revision(V1, ready=0)
    service = service_builders.build_service(observe(), starting.hash)
    made = make(observe(V1, {}, revisions=revisions(starting), service=service))
    assert plans.verdict(made) == ("Reconciling", "Starting")


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ([builders.condition("Ready", "True", "Serving")], ("Ready", "RollingOut")),
        ([{**builders.condition("Ready", "True", "Serving"), "observedGeneration": 0}], ("Reconciling", "RollingOut")),
        (
            [builders.condition("Ready", "Unknown", "X"), builders.condition("Reconciling", "True", "X")],
            ("Reconciling", "RollingOut"),
        ),
        (
            [builders.condition("Ready", "False", "X"), builders.condition("Stalled", "True", "X")],
            ("Reconciling", "RollingOut"),
        ),
    ],
)
def test_only_a_rollout_that_a_new_champion_caused_leaves_ready_alone(
    told: list[dict[str, Any]], verdict: tuple[str, str]
) -> None:
    starting = revision(V2, ready=0)
    made = make(observe(V2, {**stable(OLD), "conditions": told}, revisions=revisions(OLD, starting)))
    assert plans.verdict(made) == verdict


def test_a_settled_service_writes_nothing_but_what_is_compared_first() -> None:
    told = dict(make(observe(revisions=revisions(OLD))).status or {})
    again = make(observe(V1, told, revisions=revisions(OLD)), minutes=60)
    assert again.status == told
    assert not again.patch
    assert not again.delete
    assert not again.events


def test_a_deleted_service_is_left_alone() -> None:
    observed = observe()
    gone = {**observed.object, "metadata": {**observed.object["metadata"], "deletionTimestamp": "now"}}
    assert make(replace(observed, object=gone)) == NOTHING


# ---- What to serve


@pytest.mark.parametrize(
    ("reference", "status", "wanted"),
    [
        ({"version": "tumours-v7"}, {}, "tumours-v7"),
        ({"name": "tumours"}, {"champion": "tumours-v2"}, "tumours-v2"),
        ({"name": "tumours", "alias": "champion"}, {"champion": "tumours-v2"}, "tumours-v2"),
        ({"name": "tumours", "alias": "x"}, {"champion": "tumours-v2", "aliases": {"x": "tumours-v1"}}, "tumours-v1"),
        ({"name": "tumours", "alias": "x"}, {"champion": "tumours-v2"}, ""),
        ({"name": "tumours"}, {}, ""),
    ],
)
def test_which_version_is_wanted(reference: dict[str, str], status: dict[str, Any], wanted: str) -> None:
    spec = InferenceServiceSpec.model_validate({"model": reference})
    assert target.wanted_version("tumours", spec, builders.stored(builders.model(), status)) == wanted


def test_a_fixed_version_needs_no_model() -> None:
    assert (
        target.wanted_version("tumours", InferenceServiceSpec.model_validate({"model": {"version": "a-v1"}}), None)
        == "a-v1"
    )


UNVERIFIED = builders.model_version(1)
CORRUPT = builders.model_version(
    1, status={"conditions": [builders.condition("ArtifactVerified", "False", "Bad", "bytes")]}
)


@pytest.mark.parametrize(
    ("world", "state", "reason"),
    [
        ({"version": None, "model": None}, "Reconciling", "ModelNotFound"),
        ({"version": None}, "Reconciling", "NoChampion"),
        ({"version": UNVERIFIED}, "Reconciling", "ModelVersionNotVerified"),
        ({"version": CORRUPT}, "Stalled", "Bad"),
        ({"version": None, "spec": {"model": {"version": "tumours-v9"}}}, "Reconciling", "ModelVersionNotFound"),
        ({"version": None, "spec": {"model": {"name": "tumours", "alias": "x"}}}, "Reconciling", "AliasNotFound"),
    ],
)
def test_why_there_is_nothing_to_serve(world: dict[str, Any], state: str, reason: str) -> None:
    made = make(observe(**world))
    assert plans.verdict(made) == (state, reason)
    assert not made.apply


def test_nobody_is_told_to_be_serving_whose_pods_are_not_ready() -> None:
    down = revision(V1, ready=0)
    made = make(observe(CORRUPT, stable(down), revisions=revisions(down)))
    assert "keeps serving" not in plans.message(made)


def test_what_serves_goes_on_serving_when_there_is_nothing_else() -> None:
    made = make(observe(CORRUPT, {**stable(OLD), "candidateVersion": "tumours-v2"}, revisions=revisions(OLD, NEW)))
    assert selects(made) == OLD.hash
    assert sizes(made) == {objects.name(NEW.deployment): 0}
    assert "tumours-v1 keeps serving" in plans.message(made)
    assert made.status is not None
    assert "candidateVersion" not in made.status


# ---- Revisions and their pods


def hash_of(version: dict[str, Any] = V1, **spec: Any) -> str:
    return service_builders.revision_hash(observe(version, spec=spec), version)


def test_a_revision_is_what_the_user_asked_for_and_the_version() -> None:
    different = {
        hash_of(),
        hash_of(V2),
        hash_of(resources={"requests": {"cpu": "1"}}),
        hash_of(podTemplate={"labels": {"a": "b"}}),
        hash_of(runtime={"image": "triton:1"}),
    }
    assert len(different) == 5


def test_size_exposure_and_release_make_no_revision() -> None:
    observed = replace(observe(), settings=builders.UPGRADED)
    same = {hash_of(), hash_of(replicas=5), hash_of(stop=True), hash_of(expose={"from": []})}
    assert same == {service_builders.revision_hash(observed, V1)}


def container(observed: Observed, version: dict[str, Any] = V1) -> dict[str, Any]:
    made = service_builders.build_deployment(observed, version, "abc", 1)
    found: dict[str, Any] = made["spec"]["template"]["spec"]["containers"][0]
    return found


def test_the_image_is_the_versions_own() -> None:
    recorded = builders.model_version(1, runtimeImage="runtime:0")
    assert container(observe(recorded), recorded)["image"] == "runtime:0"
    assert container(observe())["image"] == "runtime:1"
    assert container(observe(recorded, spec={"runtime": {"image": "triton:1"}}), recorded)["image"] == "triton:1"


def test_a_foreign_runtime_is_started_its_own_way() -> None:
    assert "args" not in container(observe(spec={"runtime": {"image": "triton:1"}}))
    assert container(observe())["args"] == ["serve"]


def scraped(**spec: Any) -> dict[str, str]:
    """The annotations of the pods, where annotations are what Prometheus goes by."""
    observed = replace(observe(spec=spec), settings=replace(builders.SETTINGS, scrape_annotations=True))
    metadata = service_builders.build_deployment(observed, V1, "abc", 1)["spec"]["template"]["metadata"]
    found: dict[str, str] = metadata.get("annotations", {})
    return found


def test_annotations_say_where_the_metrics_are_if_nothing_else_does() -> None:
    assert scraped() == service_builders.SCRAPE
    assert (
        "annotations" not in service_builders.build_deployment(observe(), V1, "abc", 1)["spec"]["template"]["metadata"]
    )


def test_a_user_may_say_otherwise_and_always_does_of_an_image_of_their_own() -> None:
    assert scraped(podTemplate={"annotations": {"prometheus.io/scrape": "false"}})["prometheus.io/scrape"] == "false"
    assert scraped(runtime={"image": "triton:1"}) == {}
    assert [p["name"] for p in container(observe(spec={"runtime": {"image": "triton:1"}}))["ports"]] == ["http"]
    assert [p["name"] for p in container(observe())["ports"]] == ["http", "internal"]


def test_the_server_is_told_what_it_may_load() -> None:
    model = builders.stored(builders.model(trustedTypes=["team.Scaler"], allowPickle=True))
    env = {e["name"]: e.get("value") for e in container(observe(model=model))["env"]}
    assert env["MAINSPRING_MODEL_DIGEST"] == V1["spec"]["artifact"]["digest"]
    assert env["MAINSPRING_TRUSTED_TYPES"] == '["team.Scaler"]'
    assert env["MAINSPRING_ALLOW_PICKLE"] == "true"


def test_only_the_inference_port_is_in_the_service() -> None:
    ports = service_builders.build_service(observe(), "abc")["spec"]["ports"]
    assert [p["port"] for p in ports] == [8080]


def test_the_internal_port_is_for_the_operator_and_the_monitoring() -> None:
    observed = replace(observe(), settings=replace(builders.SETTINGS, monitoring_namespaces=("metrics",)))
    inference, internal = service_builders.build_network_policy(observed)["spec"]["ingress"]
    assert (inference["ports"][0]["port"], inference["from"]) == (8080, [])
    match = internal["from"][0]["namespaceSelector"]["matchExpressions"][0]
    assert (internal["ports"][0]["port"], match["values"]) == (8081, ["mainspring-system", "metrics"])


def test_a_revisions_pods_are_told_apart_by_label() -> None:
    made = service_builders.build_deployment(observe(), V1, "abc", 1)
    assert made["spec"]["selector"]["matchLabels"] == {
        "mainspring.dev/inference-service": "tumours",
        LABEL_REVISION: "abc",
    }
    assert made["metadata"]["annotations"] == {LABEL_MODEL_VERSION: "tumours-v1"}


def signed_model(**spec: Any) -> dict[str, Any]:
    return builders.stored(builders.model(verification={"publicKeySecret": "model-signing"}, **spec))


def test_the_server_gets_the_public_key_and_nothing_else_of_the_secret() -> None:
    env = {e["name"]: e for e in container(observe(model=signed_model(signing={"privateKeySecret": "private"})))["env"]}
    assert env["MAINSPRING_VERIFICATION_SECRET"]["value"] == "model-signing"
    reference = env["MAINSPRING_PUBLIC_KEY"]["valueFrom"]["secretKeyRef"]
    assert reference == {"name": "model-signing", "key": "public.pem"}
    assert "private" not in str(env)


def test_asking_for_signatures_makes_a_revision_and_not_asking_changes_none() -> None:
    plain, asked = observe(), observe(model=signed_model())
    assert service_builders.revision_hash(plain, V1) == hash_of()
    assert service_builders.revision_hash(asked, V1) != hash_of()
    other = builders.stored(builders.model(verification={"publicKeySecret": "other"}))
    assert service_builders.revision_hash(observe(model=other), V1) != service_builders.revision_hash(asked, V1)


def test_an_image_of_the_users_own_is_told_nothing_of_signatures() -> None:
    spec = {"runtime": {"image": "triton:1"}}
    asked = observe(spec=spec, model=signed_model())
    assert "MAINSPRING_PUBLIC_KEY" not in {e["name"] for e in container(asked)["env"]}
    assert service_builders.revision_hash(asked, V1) == service_builders.revision_hash(observe(spec=spec), V1)


def test_stable_pods_are_told_the_address_of_the_candidate_once_it_has_one() -> None:
    """Its name would lead to the Service of the rollout before, for as long as somebody remembers that."""
    observed = observe(V2, stable(OLD), revisions=revisions(OLD))
    assert splits.candidate_host(observed) == "tumours-candidate.lab.svc"
    service = builders.stored_child(splits.build_candidate_service(observed, "abc"))
    service["spec"]["clusterIP"] = "10.96.0.7"
    assert splits.candidate_host(replace(observed, candidate_service=service)) == "10.96.0.7"
