"""The verdict of `helm install --wait`, Flux and others, for every kind: healthy, in progress, broken."""

from __future__ import annotations

import pytest

from tests import builders, kstatus
from tests.sim import runtime, stories
from tests.sim.simulation import Simulation
from tests.sim.workloads import HANGS, Ends

NAMES = {
    "Dataset": "tumours",
    "TrainingRun": "forest",
    "Model": "tumours",
    "ModelVersion": "tumours-v1",
    "InferenceService": "tumours",
}
BROKEN = {
    "Dataset": ("tumours-prepare-*", Ends(42, "InvalidTarget", "no such column")),
    "TrainingRun": ("forest-train-*", Ends(42, "InvalidParameter", "no such parameter")),
    "ModelVersion": ("tumours-v1-eval-*", Ends(42, "ArtifactDigestMismatch", "other bytes")),
    "InferenceService": ("serve-tumours-v1", Ends(3, "ModelNotLoadable", "unknown type")),
}


def verdict(sim: Simulation, kind: str, name: str = "") -> str:
    return kstatus.verdict(sim.get(kind, name or NAMES[kind]))


@pytest.mark.parametrize("kind", NAMES)
def test_healthy_is_current(sim: Simulation, kind: str) -> None:
    stories.first_loop(sim)
    sim.settle()
    assert verdict(sim, kind) == kstatus.CURRENT


def test_a_healthy_dataset_version_is_current(sim: Simulation) -> None:
    stories.first_loop(sim)
    sim.settle()
    assert verdict(sim, "DatasetVersion", sim.names("DatasetVersion")[0]) == kstatus.CURRENT


@pytest.mark.parametrize("kind", ["Dataset", "TrainingRun", "Model", "InferenceService"])
def test_before_the_first_look_it_is_in_progress(sim: Simulation, kind: str) -> None:
    stories.first_loop(sim)
    assert verdict(sim, kind) == kstatus.IN_PROGRESS


def test_versions_are_in_progress_before_the_first_look(sim: Simulation) -> None:
    digest = runtime.digest("imported")
    facts = builders.dataset_version()["spec"]
    data = builders.manifest("DatasetVersion", "tumours-1", facts)
    sim.apply(builders.version(1, artifact={"uri": "s3://elsewhere/1", "digest": digest}), data)
    assert verdict(sim, "ModelVersion") == kstatus.IN_PROGRESS
    assert verdict(sim, "DatasetVersion", "tumours-1") == kstatus.IN_PROGRESS


@pytest.mark.parametrize("kind", BROKEN)
def test_while_it_works_it_is_in_progress(sim: Simulation, kind: str) -> None:
    sim.workloads.rule(BROKEN[kind][0], HANGS)
    stories.first_loop(sim)
    sim.settle()
    assert verdict(sim, kind) == kstatus.IN_PROGRESS


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_is_failed(sim: Simulation, kind: str) -> None:
    sim.workloads.rule(*BROKEN[kind])
    stories.first_loop(sim)
    sim.settle()
    assert verdict(sim, kind) == kstatus.FAILED


def test_a_model_with_a_wrong_pin_is_failed(sim: Simulation) -> None:
    sim.apply(builders.model(aliases={"champion": "tumours-v9"}))
    sim.settle()
    assert verdict(sim, "Model") == kstatus.FAILED


def test_a_model_whose_pin_is_not_verified_yet_is_in_progress(sim: Simulation) -> None:
    sim.workloads.rule("tumours-v1-eval-*", HANGS)
    stories.first_loop(sim)
    sim.edit("Model", "tumours", aliases={"champion": "tumours-v1"})
    sim.settle()
    assert verdict(sim, "Model") == kstatus.IN_PROGRESS


def test_a_dataset_version_with_failed_checks_is_failed(sim: Simulation) -> None:
    sim.workloads.runtime.broken_checks["no-empty"] = 3
    sim.apply(builders.dataset(checks=[{"name": "no-empty", "sql": "SELECT * FROM dataset WHERE radius IS NULL"}]))
    sim.settle()
    assert verdict(sim, "DatasetVersion", sim.names("DatasetVersion")[0]) == kstatus.FAILED
    assert verdict(sim, "Dataset") == kstatus.FAILED


@pytest.mark.parametrize(
    ("kind", "name", "change"),
    [
        ("Dataset", "tumours", {"retain": 3}),
        ("Model", "tumours", {"owner": "somebody"}),
        ("InferenceService", "tumours", {"replicas": 3}),
        ("TrainingRun", "forest", {"ttlAfterFinished": "1h"}),
    ],
)
def test_a_changed_spec_is_in_progress_until_it_was_looked_at(
    sim: Simulation, kind: str, name: str, change: dict[str, object]
) -> None:
    stories.first_loop(sim)
    sim.settle()
    sim.edit(kind, name, **change)
    assert verdict(sim, kind) == kstatus.IN_PROGRESS
    sim.settle()
    assert verdict(sim, kind) == kstatus.CURRENT


@pytest.mark.parametrize("kind", ["TrainingRun", "InferenceService"])
def test_what_is_stopped_on_purpose_is_current(sim: Simulation, kind: str) -> None:
    sim.apply(builders.dataset(), builders.model(), builders.run(suspend=True), builders.service(stop=True))
    sim.settle()
    assert verdict(sim, kind) == kstatus.CURRENT


def test_a_model_without_versions_and_a_rejected_version_are_current(sim: Simulation) -> None:
    sim.apply(builders.model(gates=[stories.AUC]))
    sim.settle()
    assert verdict(sim, "Model") == kstatus.CURRENT
    digest = runtime.digest("imported")
    sim.apply(builders.version(1, artifact={"uri": "s3://elsewhere/1", "digest": digest}))
    sim.settle()
    assert sim.condition("ModelVersion", "tumours-v1") == ("True", "Rejected")
    assert verdict(sim, "ModelVersion") == kstatus.CURRENT


def test_a_deleted_object_is_terminating() -> None:
    obj = builders.dataset()
    assert kstatus.verdict({**obj, "metadata": {**obj["metadata"], "deletionTimestamp": "now"}}) == kstatus.TERMINATING
