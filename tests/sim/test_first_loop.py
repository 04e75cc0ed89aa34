"""From four manifests to a served model."""

from __future__ import annotations

import itertools
import json

import pytest

from mainspring.api.v1alpha1 import BY_KIND
from mainspring.plan.common import objects
from tests import builders
from tests.sim import end_state, stories
from tests.sim.simulation import Simulation

USER_KINDS = ("Dataset", "TrainingRun", "Model", "InferenceService")
MANIFESTS = (builders.dataset(), builders.model(), builders.run(), builders.service())


def test_four_manifests_end_in_a_served_champion(sim: Simulation) -> None:
    sim.apply(*MANIFESTS)
    sim.settle()
    assert sim.condition("Dataset", "tumours") == ("True", "Current")
    assert sim.condition("TrainingRun", "forest") == ("True", "Succeeded")
    assert sim.status("Model", "tumours")["champion"] == "tumours-v1"
    assert sim.condition("ModelVersion", "tumours-v1") == ("True", "Champion")
    assert sim.condition("InferenceService", "tumours") == ("True", "Serving")
    assert sim.condition("InferenceService", "tumours", "Available") == ("True", "Serving")


def test_the_lineage_leads_from_the_version_back_to_the_data(sim: Simulation) -> None:
    sim.apply(*MANIFESTS)
    sim.settle()
    source = sim.get("ModelVersion", "tumours-v1")["spec"]["source"]
    data = sim.get("DatasetVersion", source["datasetVersion"])
    assert source["trainingRun"] == "forest"
    assert source["datasetDigest"] == data["spec"]["digest"]
    assert source["datasetUri"] == data["spec"]["uri"]
    assert source["splitDigest"] == data["spec"]["splitDigest"]


def test_a_version_serves_with_the_runtime_of_its_training(sim: Simulation) -> None:
    sim.apply(*MANIFESTS)
    sim.settle()
    (deployment,) = sim.server.select("Deployment")
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == builders.SETTINGS.runtime_image


def test_each_decision_is_told_once(sim: Simulation) -> None:
    sim.apply(*MANIFESTS)
    sim.settle()
    told = end_state.decisions(sim.server)
    assert sorted(text.split(":")[0] for text in told) == ["Promoted", "Promoted", "Registered", "VersionCreated"]
    assert set(told.values()) == {1}


def test_users_specs_and_annotations_stay_as_they_were_written(sim: Simulation) -> None:
    sim.apply(*MANIFESTS)
    before = {kind: json.dumps(sim.server.select(kind)[0]["spec"]) for kind in USER_KINDS}
    sim.settle()
    for kind in USER_KINDS:
        (after,) = sim.server.select(kind)
        assert json.dumps(after["spec"]) == before[kind]
        assert after["metadata"]["generation"] == 1
        assert set(objects.annotations_of(after)) <= {"mainspring.dev/finished"}
        assert "finalizers" not in after["metadata"]


def test_versions_have_a_label_and_no_owner(sim: Simulation) -> None:
    sim.apply(*MANIFESTS)
    sim.settle()
    for version in (*sim.server.select("DatasetVersion"), *sim.server.select("ModelVersion")):
        assert "ownerReferences" not in version["metadata"]
    assert objects.labels(sim.get("ModelVersion", "tumours-v1"))["mainspring.dev/model"] == "tumours"


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=lambda o: "".join(map(str, o)))
def test_the_order_of_the_manifests_does_not_matter(sim: Simulation, order: tuple[int, ...]) -> None:
    for number in order:
        sim.apply(MANIFESTS[number])
        sim.settle()
    assert sim.condition("InferenceService", "tumours") == ("True", "Serving")
    assert sim.status("Model", "tumours")["promotions"] == 1
    assert len(sim.made("Job")) == 3


def test_a_run_without_its_dataset_and_model_waits_and_says_for_what(sim: Simulation) -> None:
    sim.apply(builders.run())
    sim.settle()
    assert sim.condition("TrainingRun", "forest") == ("Unknown", "DatasetNotFound")
    sim.apply(builders.dataset())
    sim.settle()
    assert sim.condition("TrainingRun", "forest") == ("Unknown", "ModelNotFound")
    assert "Model tumours" in sim.message("TrainingRun", "forest")


def test_a_restart_over_idle_objects_writes_nothing() -> None:
    sim = stories.served()
    sim.settle()
    assert sim.operator.api.writes == []
    sim.advance(3600)
    assert sim.operator.api.writes == []
    sim.close()


def test_an_upgrade_of_the_operator_writes_nothing_and_restarts_nothing() -> None:
    sim = stories.served()
    before = dict(sim.server.objects)
    operator = sim.restart(builders.UPGRADED)
    sim.advance(3600)
    assert operator.api.writes == []
    assert sim.server.objects == before
    sim.close()


def test_after_an_upgrade_new_work_uses_the_new_images() -> None:
    sim = stories.served()
    sim.restart(builders.UPGRADED)
    stories.second_run(sim)
    sim.settle()
    images = {
        objects.name(d): d["spec"]["template"]["spec"]["containers"][0]["image"]
        for d in sim.server.select("Deployment")
    }
    assert sorted(images.values()) == ["runtime:1", "runtime:2"]
    assert sim.get("Job", "forest-2-train-1")["spec"]["template"]["spec"]["containers"][0]["image"] == "jobs:2"
    sim.close()


def test_every_kind_says_that_it_is_in_progress_before_the_operator_looked(sim: Simulation) -> None:
    sim.apply(*MANIFESTS)
    for kind in USER_KINDS:
        assert sim.server.select(kind)[0]["status"] == {"observedGeneration": -1}


def test_two_namespaces_do_not_know_each_other(sim: Simulation) -> None:
    sim.apply(*MANIFESTS)
    for manifest in MANIFESTS:
        sim.apply({**manifest, "metadata": {**manifest["metadata"], "namespace": "other"}})
    sim.settle()
    for kind in BY_KIND.keys() - {"ModelMonitor"}:
        assert len(sim.server.select(kind, "other")) == len(sim.server.select(kind, "lab")) == 1
