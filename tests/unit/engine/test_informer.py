"""Lists, watches and what is told of them; the API server is a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from mainspring.engine.informer import ABSENT_LOOK_SECONDS, Events, Informer, Intake
from mainspring.kube import errors
from mainspring.kube.resources import BY_KIND, Resource
from mainspring.kube.store import Store
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object, Ref
from tests import builders

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]
LIST, OPEN = "list", "open"


def model(name: str, version: int, uid: str = "") -> dict[str, Any]:
    made = builders.stored(builders.manifest("Model", name, {}))
    made["metadata"] |= {"resourceVersion": str(version), "uid": uid or f"uid-{name}"}
    return made


def event(change: str, obj: Object) -> dict[str, Any]:
    return {"type": change, "object": obj}


EXPIRED = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}


class Script:
    """Answers the lists and watches in turn; after the last watch it is silent."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, ...]] = []

    def pages(self, resource: Resource, namespace: str, selector: str) -> Events:
        self.asked.append((LIST, resource.kind, namespace, selector))
        return self._answer()

    def watch(self, resource: Resource, namespace: str, selector: str, since: str) -> Events:
        self.asked.append(("watch", resource.kind, namespace, selector, since))
        return self._answer()

    async def _answer(self) -> Events:
        if not self.answers:
            await asyncio.Event().wait()
        for item in self.answers.pop(0):
            if isinstance(item, Exception):
                raise item
            if item == OPEN:
                await asyncio.Event().wait()
            yield item

    def watched_since(self) -> list[str]:
        return [asked[-1] for asked in self.asked if asked[0] == "watch"]


def page(version: int, *items: Object) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": str(version)}, "items": list(items)}


class World:
    def __init__(self, *answers: Any, optional: bool = False) -> None:
        self.script = Script(*answers)
        self.store = Store()
        self.told: list[str] = []
        self.intake = Intake(self.store, self._notice)
        resource = replace(BY_KIND["Model"], optional=optional)
        self.informer = Informer(self.script, self.intake, resource, builders.NAMESPACE, "a=b")

    def _notice(self, obj: Object) -> None:
        self.told.append(f"{objects.name(obj)}@{objects.resource_version(obj)}")

    def known(self) -> list[str]:
        found = self.store.select("Model", builders.NAMESPACE)
        return [f"{objects.name(obj)}@{objects.resource_version(obj)}" for obj in found]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.informer.run())
        await asyncio.sleep(60)  # of the loop's own time: until the script has nothing more to say
        yield
        task.cancel()
        await asyncio.wait({task})


async def test_everything_is_listed_in_pages_and_then_followed_from_there() -> None:
    world = World([page(10, model("a", 3)), page(10, model("b", 7))], [event("ADDED", model("c", 12)), OPEN])
    async with world.running():
        assert world.informer.is_listed.is_set()
        assert world.known() == ["a@3", "b@7", "c@12"]
    assert world.script.asked == [
        (LIST, "Model", builders.NAMESPACE, "a=b"),
        ("watch", "Model", builders.NAMESPACE, "a=b", "10"),
    ]


async def test_nothing_is_told_before_everything_was_listed_and_then_each_once() -> None:
    world = World([page(10, model("a", 3), model("b", 7))], [OPEN])
    async with world.running():
        assert world.told == []
        world.intake.open()
        assert sorted(world.told) == ["a@3", "b@7"]


async def test_changes_and_deletions_are_taken_over_and_told() -> None:
    world = World(
        [page(10, model("a", 3), model("b", 7))],
        [event("MODIFIED", model("a", 11)), event("DELETED", model("b", 12)), OPEN],
    )
    world.intake.open()
    async with world.running():
        assert world.known() == ["a@11"]
        assert world.told == ["a@3", "b@7", "a@11", "b@12"]


async def test_an_echo_of_our_own_write_is_told_although_the_cache_has_it() -> None:
    world = World([page(10)], [event("MODIFIED", model("a", 11)), OPEN])
    world.intake.open()
    world.store.put(model("a", 11))
    async with world.running():
        assert world.told == ["a@11"]


async def test_a_stream_that_ends_is_followed_from_where_it_was() -> None:
    world = World(
        [page(10, model("a", 3))],
        [event("MODIFIED", model("a", 11)), event("BOOKMARK", {"metadata": {"resourceVersion": "15"}})],
        [event("MODIFIED", model("a", 16)), errors.Transient("cut")],
        [OPEN],
    )
    async with world.running():
        assert world.known() == ["a@16"]
    assert world.script.watched_since() == ["10", "15", "16"]
    assert [asked[0] for asked in world.script.asked].count(LIST) == 1


@pytest.mark.parametrize("gone", [EXPIRED, errors.Gone("too old")], ids=["in the stream", "as the answer"])
async def test_after_too_long_a_cut_everything_is_listed_anew_and_what_went_is_forgotten(gone: Any) -> None:
    world = World(
        [page(10, model("a", 3), model("b", 7), model("c", 8))],
        [gone],
        [page(30, model("a", 25), model("c", 8))],
        [OPEN],
    )
    world.intake.open()
    async with world.running():
        assert world.known() == ["a@25", "c@8"]
        # c is as it was: nobody has to look at it.
        assert world.told == ["a@3", "b@7", "c@8", "a@25", "b@7"]
    assert world.script.watched_since() == ["10", "30"]


async def test_what_was_made_after_a_list_is_not_taken_for_gone() -> None:
    world = World([page(10, model("a", 3))], [OPEN])
    world.store.put(model("ours", 12))
    async with world.running():
        assert world.known() == ["a@3", "ours@12"]


async def test_a_successor_of_the_same_name_replaces_what_went_unseen() -> None:
    world = World([page(10, model("a", 3))], [errors.Gone("")], [page(30, model("a", 28, uid="another"))], [OPEN])
    async with world.running():
        found = world.store.get(Ref("Model", builders.NAMESPACE, "a"))
        assert found is not None
        assert objects.uid(found) == "another"


async def test_a_list_that_fails_is_tried_again() -> None:
    world = World([errors.Transient("no")], [page(5, model("a", 1)), errors.Gone("the pages ran out")], [page(9)])
    async with world.running():
        assert world.known() == []
    assert world.script.watched_since() == ["9"]


async def test_the_kinds_that_kopf_watches_are_listed_until_it_works() -> None:
    world = World([errors.Transient("no")], [errors.Transient("no")], [page(5, model("a", 1))])
    await world.informer.list_until_done()
    assert world.known() == ["a@1"]


def _bare(obj: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}


async def test_items_of_a_list_get_the_kind_that_the_list_leaves_out() -> None:
    world = World([page(10, _bare(model("a", 3)))], [OPEN])
    async with world.running():
        found = world.store.get(Ref("Model", builders.NAMESPACE, "a"))
        assert found is not None
        assert (found["kind"], found["apiVersion"]) == ("Model", "mainspring.dev/v1alpha1")


UNKNOWN = errors.NotFound("404 page not found", 404)


async def test_a_kind_that_the_cluster_does_not_have_holds_nobody_up_and_is_found_when_it_comes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World([UNKNOWN], [page(10, model("a", 3))], [OPEN], optional=True)
    world.intake.open()
    task = asyncio.create_task(world.informer.run())
    await world.informer.is_listed.wait()
    assert not world.store.serves("Model")
    await asyncio.sleep(2 * ABSENT_LOOK_SECONDS)
    assert world.store.serves("Model")
    assert world.told == ["a@3"]
    assert caplog.records == []
    task.cancel()


async def test_a_kind_that_is_removed_takes_its_objects_along() -> None:
    world = World([page(10, model("a", 3))], [UNKNOWN], [UNKNOWN], optional=True)
    world.intake.open()
    async with world.running():
        assert world.known() == []
        assert world.told == ["a@3", "a@3"]
        assert not world.store.serves("Model")


async def test_a_kind_that_must_be_there_is_waited_for() -> None:
    world = World([UNKNOWN], [UNKNOWN], [page(10, model("a", 3))], [OPEN])
    async with world.running():
        assert world.known() == ["a@3"]
        assert world.store.serves("Model")
