"""The simulated API server behaves like the real one, as far as the operator can tell."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring.kube import errors
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Ref
from tests import builders
from tests.sim.clock import Clock
from tests.sim.server import ApiServer

MODEL = Ref("Model", "lab", "tumours")


@pytest.fixture
def server() -> ApiServer:
    return ApiServer(Clock())


def config_map(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "lab"}, "data": data}


def status(version: str = "", **fields: Any) -> dict[str, Any]:
    metadata = {"name": "tumours", "namespace": "lab", **({"resourceVersion": version} if version else {})}
    return {"apiVersion": "mainspring.dev/v1alpha1", "kind": "Model", "metadata": metadata, "status": fields}


def test_a_new_object_has_uid_version_generation_and_defaults(server: ApiServer) -> None:
    made = server.create(builders.model())
    assert objects.uid(made)
    assert objects.generation(made) == 1
    assert made["spec"]["promotion"] == {"mode": "Automatic", "candidateDeadline": "24h"}
    assert made["status"] == {"observedGeneration": -1}


def test_a_name_is_given_once(server: ApiServer) -> None:
    server.create(builders.model())
    with pytest.raises(errors.AlreadyExists):
        server.create(builders.model())


def test_generation_counts_changes_of_the_spec_only(server: ApiServer) -> None:
    server.create(builders.model())
    server.merge(MODEL, {"metadata": {"labels": {"a": "b"}}})
    server.apply_status(status(versions=1))
    assert objects.generation(server.get(MODEL)) == 1
    server.merge(MODEL, {"spec": {"retain": 3}})
    assert objects.generation(server.get(MODEL)) == 2


def test_a_write_that_changes_nothing_makes_no_new_version(server: ApiServer) -> None:
    made = server.create(builders.model())
    assert server.merge(MODEL, {"spec": {"retain": 20}}) == made
    assert len(server.log["Model"]) == 1


def test_status_and_spec_are_written_apart(server: ApiServer) -> None:
    server.create({**builders.model(), "status": {"versions": 9}})
    assert server.get(MODEL)["status"] == {"observedGeneration": -1}
    server.apply_status({**status(versions=1), "spec": {"retain": 1}})
    assert server.get(MODEL)["spec"]["retain"] == 20


def test_a_fenced_status_needs_the_version_of_now(server: ApiServer) -> None:
    old = objects.resource_version(server.create(builders.model()))
    server.merge(MODEL, {"metadata": {"labels": {"a": "b"}}})
    with pytest.raises(errors.Conflict):
        server.apply_status(status(old, versions=1))
    server.apply_status(status(objects.resource_version(server.get(MODEL)), versions=1))


def test_fields_that_a_manager_dropped_are_removed(server: ApiServer) -> None:
    server.create(builders.model())
    server.apply_status(status(versions=1, promotions=2), "m")
    server.apply_status(status(versions=1), "m")
    assert server.get(MODEL)["status"] == {"versions": 1, "observedGeneration": -1}


def test_conditions_are_merged_by_type(server: ApiServer) -> None:
    ready, stalled = builders.condition("Ready", "True", "A"), builders.condition("Stalled", "True", "A")
    server.create(builders.model())
    server.apply_status(status(conditions=[ready, stalled]), "m")
    server.apply_status(status(conditions=[ready]), "m")
    assert server.get(MODEL)["status"]["conditions"] == [ready]


def test_what_two_managers_own_stays_until_both_dropped_it(server: ApiServer) -> None:
    for manager in ("one", "two"):
        server.apply(config_map(a="1"), manager)
    server.apply(config_map(), "one")
    assert server.get(Ref("ConfigMap", "lab", "c"))["data"] == {"a": "1"}
    server.apply(config_map(), "two")
    assert not server.get(Ref("ConfigMap", "lab", "c")).get("data")


def test_a_forced_conflict_takes_the_field_over(server: ApiServer) -> None:
    server.apply(config_map(a="1"), "one")
    server.apply(config_map(a="2"), "two")
    server.apply(config_map(), "one")
    assert server.get(Ref("ConfigMap", "lab", "c"))["data"] == {"a": "2"}


def test_what_was_created_is_not_removed_by_an_apply_that_does_not_name_it(server: ApiServer) -> None:
    server.create(config_map(a="1", b="2"), "mainspring")
    server.apply(config_map(a="1"), "mainspring")
    assert server.get(Ref("ConfigMap", "lab", "c"))["data"] == {"a": "1", "b": "2"}


@pytest.mark.parametrize("exists", [True, False])
def test_an_apply_with_a_uid_hits_that_very_object(server: ApiServer, exists: bool) -> None:
    if exists:
        server.create(config_map())
    wanted = config_map(a="1")
    wanted["metadata"]["uid"] = "another"
    with pytest.raises(errors.Conflict):
        server.apply(wanted)


@pytest.mark.parametrize(
    "wrong",
    [
        builders.model("UPPER"),
        builders.model("n" * 41),
        builders.model(retain=0),
        builders.model(gates=[{"metric": "roc_auc"}]),
        builders.dataset(source={"sample": "unheard-of"}),
        {**builders.version(2, artifact={"uri": "s3://x", "digest": "sha256:1"})},
        builders.manifest("ModelVersion", "tumours-v2", {"model": "tumours", "number": 3, "artifact": {"uri": "u"}}),
        {key: value for key, value in builders.run().items() if key != "spec"},
    ],
)
def test_impossible_objects_are_refused(server: ApiServer, wrong: dict[str, Any]) -> None:
    with pytest.raises(errors.Refused):
        server.create(wrong)


def test_an_impossible_status_is_refused(server: ApiServer) -> None:
    server.create(builders.model())
    with pytest.raises(errors.Refused):
        server.apply_status(status(versions="many"))


def test_unknown_fields_are_pruned(server: ApiServer) -> None:
    made = server.create(builders.model(nonsense=1))
    assert "nonsense" not in made["spec"]


def test_a_runs_spec_is_immutable_but_for_what_may_change(server: ApiServer) -> None:
    server.create(builders.run())
    target = Ref("TrainingRun", "lab", "forest")
    server.merge(target, {"spec": {"suspend": True, "ttlAfterFinished": "1h"}})
    with pytest.raises(errors.Refused, match="immutable"):
        server.merge(target, {"spec": {"seed": 7}})


def test_children_follow_their_owner(server: ApiServer) -> None:
    owner = server.create(builders.model())
    child = config_map()
    child["metadata"]["ownerReferences"] = [objects.owner_reference(owner)]
    server.create(child)
    assert not server.collect_garbage()
    server.delete(MODEL)
    assert server.collect_garbage()
    assert server.objects == {}


def test_a_deletion_names_the_very_object(server: ApiServer) -> None:
    server.create(builders.model())
    with pytest.raises(errors.Conflict):
        server.delete(MODEL, "another")


def test_watches_tell_everything_in_order(server: ApiServer) -> None:
    server.create(builders.model())
    server.merge(MODEL, {"spec": {"retain": 3}})
    server.delete(MODEL)
    assert [change.type for change in server.log["Model"]] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [int(objects.resource_version(change.object)) for change in server.log["Model"]]
    assert versions == sorted(set(versions))


def test_what_was_read_stays_as_it_was(server: ApiServer) -> None:
    before = server.create(builders.model())
    copy = {**before, "spec": {**before["spec"]}}
    server.merge(MODEL, {"spec": {"retain": 3}})
    assert before == copy


@pytest.mark.parametrize("name", ["1abc", "n" * 64])
def test_a_service_needs_a_stricter_name(server: ApiServer, name: str) -> None:
    metadata = {"name": name, "namespace": "lab"}
    with pytest.raises(errors.Refused):
        server.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": []}})
