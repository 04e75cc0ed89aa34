"""InferenceServices: what serves, what is brought up beside it, and what happens when that does not work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from mainspring.api.v1alpha1.common import LABEL_REVISION
from mainspring.kube import errors
from mainspring.plan.common import objects
from tests import builders
from tests.sim import stories
from tests.sim.simulation import Simulation
from tests.sim.workloads import HANGS, Ends

BROKEN = Ends(3, "ModelNotLoadable", "the file has an unknown type")


@pytest.fixture
def lab() -> Iterator[Simulation]:
    """A cluster in which tumours-v1 is champion and served by two pods."""
    sim = stories.served()
    sim.settle()
    yield sim
    sim.close()


def second_version(sim: Simulation) -> None:
    stories.second_run(sim)
    sim.settle()


def selected(sim: Simulation) -> str:
    """The version to which the Service points."""
    selector = sim.get("Service", "tumours")["spec"]["selector"]
    (found,) = [
        d for d in sim.server.select("Deployment") if objects.labels(d)[LABEL_REVISION] == selector[LABEL_REVISION]
    ]
    return str(objects.annotations_of(found)["mainspring.dev/model-version"])


def sizes(sim: Simulation) -> dict[str, int]:
    """Replicas by version."""
    every = sim.server.select("Deployment")
    return {objects.annotations_of(d)["mainspring.dev/model-version"]: d["spec"]["replicas"] for d in every}


def status(sim: Simulation) -> dict[str, Any]:
    return dict(sim.status("InferenceService", "tumours"))


def test_a_service_follows_the_champion(lab: Simulation) -> None:
    second_version(lab)
    assert selected(lab) == "tumours-v2"
    assert sizes(lab) == {"tumours-v1": 0, "tumours-v2": 2}
    assert status(lab)["stableVersion"] == "tumours-v2"
    assert [(r["version"], r["outcome"]) for r in status(lab)["rollouts"]] == [
        ("tumours-v1", "Promoted"),
        ("tumours-v2", "Promoted"),
    ]


def test_the_old_revision_serves_at_full_size_until_the_new_one_is_ready(lab: Simulation) -> None:
    lab.workloads.rule("serve-tumours-v2", HANGS)
    second_version(lab)
    assert selected(lab) == "tumours-v1"
    assert sizes(lab) == {"tumours-v1": 2, "tumours-v2": 2}
    assert lab.condition("InferenceService", "tumours", "Available") == ("True", "Serving")
    assert status(lab)["candidateVersion"] == "tumours-v2"


def test_a_rollout_that_a_new_champion_caused_leaves_ready_alone(lab: Simulation) -> None:
    lab.workloads.rule("serve-tumours-v2", HANGS)
    second_version(lab)
    assert lab.condition("InferenceService", "tumours") == ("True", "RollingOut")


def test_a_rollout_that_the_spec_caused_is_in_progress(lab: Simulation) -> None:
    lab.workloads.rule("serve-tumours-v1", HANGS)
    lab.edit("InferenceService", "tumours", resources={"requests": {"memory": "1Gi"}})
    lab.settle()
    assert lab.condition("InferenceService", "tumours") == ("Unknown", "RollingOut")
    assert lab.condition("InferenceService", "tumours", "Available") == ("True", "Serving")
    lab.workloads.rule("serve-tumours-v1", None)
    lab.settle()
    assert lab.condition("InferenceService", "tumours") == ("True", "Serving")


def test_a_model_that_cannot_load_never_takes_the_place_of_one_that_works(lab: Simulation) -> None:
    lab.workloads.rule("serve-tumours-v2", BROKEN)
    second_version(lab)
    assert selected(lab) == "tumours-v1"
    assert lab.condition("InferenceService", "tumours", "Stalled") == ("True", "ModelNotLoadable")
    assert lab.condition("InferenceService", "tumours", "Available") == ("True", "Serving")
    assert "tumours-v1 keeps serving" in lab.message("InferenceService", "tumours")
    failure = status(lab)["lastFailure"]
    assert (failure["version"], failure["reason"], failure["exitCode"]) == ("tumours-v2", "ModelNotLoadable", 3)


def test_a_load_that_never_ends_is_told_and_the_old_one_serves(lab: Simulation) -> None:
    """Kubernetes alone would only say that pods did not become ready in time."""
    lab.workloads.rule("serve-tumours-v2", HANGS)
    second_version(lab)
    assert lab.condition("InferenceService", "tumours") == ("True", "RollingOut")
    said = "the model was not ready after 600 s: the server is loading the model from its files, which are all there"
    lab.workloads.rule("serve-tumours-v2", Ends(1, "LoadTimedOut", said))
    lab.settle()
    failure = status(lab)["lastFailure"]
    assert (failure["reason"], failure["message"], failure["exitCode"]) == ("LoadTimedOut", said, 1)
    assert selected(lab) == "tumours-v1"
    assert lab.condition("InferenceService", "tumours", "Available") == ("True", "Serving")
    lab.workloads.rule("serve-tumours-v2", None)
    lab.settle()
    assert selected(lab) == "tumours-v2"
    assert "lastFailure" not in status(lab)


def test_a_prediction_that_hung_is_told_until_the_pod_answers_again(lab: Simulation) -> None:
    said = Ends(1, "PredictionStuck", "a prediction of 1 rows has been running for 16 s")
    lab.workloads.rule("serve-tumours-v1", said)
    lab.settle()
    assert lab.condition("InferenceService", "tumours") == ("False", "PredictionStuck")
    assert status(lab)["lastFailure"]["reason"] == "PredictionStuck"
    lab.workloads.rule("serve-tumours-v1", None)
    lab.settle()
    assert lab.condition("InferenceService", "tumours") == ("True", "Serving")
    assert "lastFailure" not in status(lab)


def test_other_limits_of_the_server_make_a_new_revision_of_the_same_version(lab: Simulation) -> None:
    lab.edit("InferenceService", "tumours", server={"requestTimeout": "30s", "maxQueue": 10})
    lab.settle()
    assert len(lab.names("Deployment")) == 2
    (serving,) = [d for d in lab.server.select("Deployment") if d["spec"]["replicas"]]
    pod = serving["spec"]["template"]["spec"]
    told = {item["name"]: item.get("value") for item in pod["containers"][0]["env"]}
    assert json.loads(told["MAINSPRING_SERVER"]) == {"maxQueue": 10, "requestSeconds": 30.0}
    assert pod["terminationGracePeriodSeconds"] == 70
    assert lab.condition("InferenceService", "tumours") == ("True", "Serving")


@pytest.mark.parametrize(
    ("field", "value"),
    [("maxQueue", 0), ("maxBodySize", "2000Mi"), ("maxBodySize", "5m"), ("requestTimeout", "1d"), ("warmup", "no")],
)
def test_limits_that_mean_nothing_are_refused_by_the_schema(lab: Simulation, field: str, value: Any) -> None:
    with pytest.raises(errors.Refused, match=rf"spec\.server\.{field}"):
        lab.edit("InferenceService", "tumours", server={field: value})


def test_a_failed_rollout_is_told_once(lab: Simulation) -> None:
    lab.workloads.rule("serve-tumours-v2", BROKEN)
    second_version(lab)
    lab.advance(3600)
    assert [r["outcome"] for r in status(lab)["rollouts"]] == ["Promoted", "Failed"]


def test_a_model_that_never_loaded_is_stalled_and_not_available(sim: Simulation) -> None:
    sim.workloads.rule("serve-tumours-v1", BROKEN)
    stories.first_loop(sim)
    sim.settle()
    assert sim.condition("InferenceService", "tumours") == ("False", "ModelNotLoadable")
    assert sim.condition("InferenceService", "tumours", "Available") == ("False", "NotServing")


def test_after_a_failure_the_rollback_needs_no_new_pods(lab: Simulation) -> None:
    lab.workloads.rule("serve-tumours-v2", BROKEN)
    second_version(lab)
    pods = {p for p in lab.names("Pod") if p in lab.made("Pod") and "259f0795" not in p}
    stories.pin("tumours-v1")(lab)
    lab.settle()
    assert lab.condition("InferenceService", "tumours") == ("True", "Serving")
    assert sizes(lab) == {"tumours-v1": 2, "tumours-v2": 0}
    assert {p for p in lab.names("Pod") if p.startswith("tumours-7")} <= pods


def test_a_rollback_goes_to_the_kept_revision(lab: Simulation) -> None:
    second_version(lab)
    deployments = lab.names("Deployment")
    stories.pin("tumours-v1")(lab)
    lab.settle()
    assert lab.names("Deployment") == deployments
    assert selected(lab) == "tumours-v1"
    assert sizes(lab) == {"tumours-v1": 2, "tumours-v2": 0}
    assert status(lab)["rollouts"][-1]["reason"] == "ServedBefore"


def test_only_the_newest_old_revisions_are_kept(lab: Simulation) -> None:
    for number in range(2, 6):
        lab.apply(builders.run(f"forest-{number}", seed=number))
        lab.settle()
    assert sorted(sizes(lab)) == ["tumours-v3", "tumours-v4", "tumours-v5"]


def test_a_service_that_is_stopped_has_no_pods_and_is_ready(lab: Simulation) -> None:
    lab.edit("InferenceService", "tumours", stop=True)
    lab.settle()
    assert sizes(lab) == {"tumours-v1": 0}
    assert lab.condition("InferenceService", "tumours") == ("True", "Stopped")
    assert lab.condition("InferenceService", "tumours", "Available") == ("False", "NotServing")
    lab.edit("InferenceService", "tumours", stop=False)
    lab.settle()
    assert sizes(lab) == {"tumours-v1": 2}
    assert lab.condition("InferenceService", "tumours") == ("True", "Serving")
    assert len(status(lab)["rollouts"]) == 1


def test_a_stopped_service_that_starts_again_serves_the_champion_of_now(lab: Simulation) -> None:
    lab.edit("InferenceService", "tumours", stop=True)
    lab.settle()
    second_version(lab)
    assert set(sizes(lab).values()) == {0}
    lab.edit("InferenceService", "tumours", stop=False)
    lab.settle()
    assert selected(lab) == "tumours-v2"
    assert sizes(lab) == {"tumours-v1": 0, "tumours-v2": 2}


@pytest.mark.parametrize("replicas", [0, 1, 5])
def test_scaling_changes_the_number_of_pods_and_nothing_else(lab: Simulation, replicas: int) -> None:
    (before,) = lab.server.select("Deployment")
    lab.edit("InferenceService", "tumours", replicas=replicas)
    lab.settle()
    (after,) = lab.server.select("Deployment")
    assert after["spec"] == {**before["spec"], "replicas": replicas}
    assert lab.condition("InferenceService", "tumours") == ("True", "Serving")
    assert status(lab).get("readyReplicas", 0) == replicas


def test_replicas_are_owned_by_a_field_manager_of_their_own(lab: Simulation) -> None:
    lab.edit("InferenceService", "tumours", replicas=3)
    lab.settle()
    (target,) = [r for r in lab.server.objects if r.kind == "Deployment"]
    owners = [name for name, fields in lab.server.managers[target].items() if ("spec", "replicas") in fields]
    assert owners == ["mainspring-scale/Apply"]


def test_a_pod_that_is_lost_makes_it_scale_not_fail(lab: Simulation) -> None:
    lab.workloads.rule("serve-tumours-v1", HANGS)
    lab.delete("Pod", next(p for p in lab.names("Pod") if p.startswith("tumours-7")))
    lab.settle()
    assert lab.condition("InferenceService", "tumours") == ("Unknown", "Scaling")
    assert lab.condition("InferenceService", "tumours", "Available") == ("True", "Serving")


def test_a_strangers_service_is_never_taken_over(sim: Simulation) -> None:
    metadata = {"name": "tumours", "namespace": "lab"}
    stranger = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": {"app": "other"}}}
    before = sim.server.create(stranger)
    stories.first_loop(sim)
    sim.settle()
    assert sim.get("Service", "tumours") == before
    assert sim.condition("InferenceService", "tumours") == ("False", "NameTaken")
    assert sim.names("Deployment") == []
    sim.delete("Service", "tumours")
    sim.advance(400)
    assert sim.condition("InferenceService", "tumours") == ("True", "Serving")


def test_pods_that_a_quota_refuses_are_explained_and_heal(sim: Simulation) -> None:
    stories.first_loop(sim)
    sim.server.refusals.append(_no_quota_once_a_deployment_is_there(sim))
    sim.settle()
    assert sim.condition("InferenceService", "tumours") == ("False", "QuotaExceeded")
    sim.workloads.no_pods = ""
    sim.settle()
    assert sim.condition("InferenceService", "tumours") == ("True", "Serving")


def _no_quota_once_a_deployment_is_there(sim: Simulation) -> Any:
    def look(verb: str, obj: Any) -> None:
        if obj["kind"] == "Deployment":
            sim.workloads.no_pods = 'pods "x" is forbidden: exceeded quota: small'

    return look


def test_other_bytes_found_by_a_server_make_the_version_unusable_for_good(lab: Simulation) -> None:
    found = Ends(42, "ArtifactDigestMismatch", "model.skops is not what its digest says")
    lab.workloads.rule("serve-tumours-v2", found)
    second_version(lab)
    assert lab.condition("ModelVersion", "tumours-v2", "ArtifactVerified") == ("False", "ArtifactDigestMismatch")
    assert lab.condition("InferenceService", "tumours") == ("False", "ArtifactDigestMismatch")
    assert sizes(lab) == {"tumours-v1": 2, "tumours-v2": 0}
    assert selected(lab) == "tumours-v1"
    stories.pin("tumours-v1")(lab)
    lab.settle()
    assert lab.condition("InferenceService", "tumours") == ("True", "Serving")
    lab.server.wipe_status(stories.OUR_KINDS)
    lab.restart()
    lab.settle()
    assert lab.condition("ModelVersion", "tumours-v2", "ArtifactVerified") == ("False", "ArtifactDigestMismatch")


def test_a_service_can_stay_on_one_version(lab: Simulation) -> None:
    lab.apply(builders.service("fixed", model={"version": "tumours-v1"}))
    second_version(lab)
    assert lab.status("InferenceService", "fixed")["stableVersion"] == "tumours-v1"
    assert lab.condition("InferenceService", "fixed") == ("True", "Serving")


def test_a_service_can_follow_another_alias(lab: Simulation) -> None:
    lab.apply(builders.service("trial", model={"name": "tumours", "alias": "trial"}))
    second_version(lab)
    assert lab.condition("InferenceService", "trial") == ("Unknown", "AliasNotFound")
    lab.edit("Model", "tumours", aliases={"trial": "tumours-v1"})
    lab.settle()
    assert lab.status("InferenceService", "trial")["stableVersion"] == "tumours-v1"


def test_a_service_whose_model_is_deleted_goes_on_serving(lab: Simulation) -> None:
    lab.delete("Model", "tumours")
    lab.settle()
    assert selected(lab) == "tumours-v1"
    assert sizes(lab) == {"tumours-v1": 2}
    assert lab.condition("InferenceService", "tumours", "Available") == ("True", "Serving")
    assert lab.condition("InferenceService", "tumours") == ("Unknown", "ModelNotFound")


def test_changed_settings_make_a_new_revision_of_the_same_version(lab: Simulation) -> None:
    lab.edit("InferenceService", "tumours", podTemplate={"nodeSelector": {"disk": "fast"}})
    lab.settle()
    assert len(lab.names("Deployment")) == 2
    assert lab.condition("InferenceService", "tumours") == ("True", "Serving")


def test_another_number_of_replicas_makes_no_new_revision(lab: Simulation) -> None:
    lab.edit("InferenceService", "tumours", replicas=4)
    lab.settle()
    assert len(lab.names("Deployment")) == 1


def test_who_may_reach_it_can_be_narrowed_and_widened_again(lab: Simulation) -> None:
    peers = [{"podSelector": {"matchLabels": {"app": "web"}}}]
    lab.edit("InferenceService", "tumours", expose={"from": peers})
    lab.settle()
    assert lab.get("NetworkPolicy", "tumours")["spec"]["ingress"][0]["from"][:-1] == peers
    lab.edit("InferenceService", "tumours", expose=None)
    lab.settle()
    assert "from" not in lab.get("NetworkPolicy", "tumours")["spec"]["ingress"][0]


def test_a_service_that_somebody_bent_is_straightened(lab: Simulation) -> None:
    lab.server.merge(objects.Ref("Service", "lab", "tumours"), {"spec": {"selector": {LABEL_REVISION: "other"}}})
    lab.settle()
    assert selected(lab) == "tumours-v1"


def test_a_deployment_that_somebody_deleted_comes_back(lab: Simulation) -> None:
    (name,) = lab.names("Deployment")
    lab.delete("Deployment", name)
    lab.settle()
    assert lab.names("Deployment") == [name]
    assert lab.condition("InferenceService", "tumours") == ("True", "Serving")


def test_a_pod_template_that_somebody_changed_is_left_alone(lab: Simulation) -> None:
    (name,) = lab.names("Deployment")
    note = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}
    lab.server.merge(objects.Ref("Deployment", "lab", name), {"spec": {"template": note}})
    before = lab.get("Deployment", name)["spec"]["template"]
    lab.settle()
    assert lab.get("Deployment", name)["spec"]["template"] == before


def test_a_deleted_service_takes_its_children_along(lab: Simulation) -> None:
    lab.delete("InferenceService", "tumours")
    lab.settle()
    for kind in ("Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget"):
        assert lab.names(kind) == []
    assert "tumours-serving" not in lab.names("ServiceAccount")
