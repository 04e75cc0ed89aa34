"""Create-or-apply, on the simulated API server."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring.kube import apply, errors
from mainspring.kube.store import Store
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from tests import builders
from tests.sim.api import SimApi
from tests.sim.clock import Clock
from tests.sim.server import ApiServer


class World:
    def __init__(self) -> None:
        self.server, self.store = ApiServer(Clock()), Store()
        self.api = SimApi(self.server)
        self.owner = self.server.create(builders.model())

    async def ensure(self, manifest: dict[str, Any]) -> bool:
        return await apply.ensure(self.api, self.store, manifest)

    def verbs(self) -> list[str]:
        return [write.split()[0] for write in self.api.writes]


def config_map(owner: Object | None, **data: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "child", "namespace": "lab"}
    if owner is not None:
        metadata["ownerReferences"] = [objects.owner_reference(owner)]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def test_what_is_absent_is_created() -> None:
    world = World()
    assert await world.ensure(config_map(world.owner, a="1"))
    assert world.verbs() == ["create"]
    assert world.store.get(objects.ref(config_map(None))) is not None


async def test_what_holds_already_is_not_written() -> None:
    world = World()
    await world.ensure(config_map(world.owner, a="1"))
    assert not await world.ensure(config_map(world.owner, a="1"))
    assert world.verbs() == ["create"]


async def test_what_differs_is_applied() -> None:
    world = World()
    await world.ensure(config_map(world.owner, a="1"))
    assert await world.ensure(config_map(world.owner, a="2"))
    assert world.verbs() == ["create", "apply"]
    assert world.server.get(objects.ref(config_map(None)))["data"] == {"a": "2"}


async def test_what_the_cache_does_not_know_yet_is_found() -> None:
    world = World()
    world.server.create(config_map(world.owner, a="1"))
    assert not await world.ensure(config_map(world.owner, a="1"))
    assert world.verbs() == []


@pytest.mark.parametrize("cached", [True, False])
async def test_a_strangers_object_is_never_written(cached: bool) -> None:
    world = World()
    stranger = world.server.create(config_map(None, a="mine"))
    if cached:
        world.store.put(stranger)
    with pytest.raises(errors.NameTaken, match="ConfigMap child exists and does not belong to this object"):
        await world.ensure(config_map(world.owner, a="1"))
    assert world.server.get(objects.ref(stranger)) == stranger


async def test_what_a_deleted_object_of_the_same_name_left_is_waited_for() -> None:
    world = World()
    await world.ensure(config_map(world.owner, a="1"))
    world.server.delete(objects.ref(world.owner))
    successor = world.server.create(builders.model())
    with pytest.raises(errors.Transient, match="is still being removed"):
        await world.ensure(config_map(successor, a="1"))


async def test_an_update_does_not_hit_a_successor() -> None:
    world = World()
    await world.ensure(config_map(world.owner, a="1"))
    world.server.delete(objects.ref(config_map(None)))
    world.server.create(config_map(world.owner, a="1"))
    with pytest.raises(errors.Conflict):
        await world.ensure(config_map(world.owner, a="2"))


async def test_jobs_are_made_once_and_never_changed() -> None:
    world = World()
    metadata = {"name": "j", "namespace": "lab", "ownerReferences": [objects.owner_reference(world.owner)]}
    pod = {"spec": {"containers": [{"name": "main", "image": "a"}]}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": pod}}
    assert await world.ensure(job)
    assert not await world.ensure({**job, "spec": {"template": {"spec": {"containers": []}}}})
    assert world.verbs() == ["create"]


def version(text: str) -> dict[str, Any]:
    return builders.version(1, artifact={"uri": "s3://x", "digest": builders.digest(text)})


async def test_a_version_that_is_there_already_is_ours() -> None:
    world = World()
    world.server.create(version("a"))
    assert not await world.ensure(version("a"))


async def test_a_version_of_that_name_with_other_facts_is_somebody_elses() -> None:
    world = World()
    world.server.create(version("b"))
    with pytest.raises(errors.AlreadyExists):
        await world.ensure(version("a"))


async def test_an_object_that_vanishes_in_between_is_tried_again() -> None:
    world = World()
    taken = errors.AlreadyExists("taken", 409)
    world.server.refusals.append(lambda verb, obj: taken)
    with pytest.raises(errors.Transient, match="vanished"):
        await world.ensure(config_map(world.owner))


async def test_a_service_stops_selecting_by_a_label_that_is_no_longer_desired() -> None:
    world = World()
    made = {**config_map(world.owner), "kind": "Service"}
    del made["data"]
    await world.ensure({**made, "spec": {"selector": {"service": "a", "revision": "1"}}})
    assert await world.ensure({**made, "spec": {"selector": {"service": "a", "component": "serve"}}})
    assert world.server.get(objects.ref(made))["spec"]["selector"] == {"service": "a", "component": "serve"}
    assert not await world.ensure({**made, "spec": {"selector": {"service": "a", "component": "serve"}}})
