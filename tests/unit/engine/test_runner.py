"""What becomes of a reconcile that does not go well."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from prometheus_client import REGISTRY

from mainspring.engine import runner as engine
from mainspring.engine.runner import Runner
from mainspring.kube import errors
from mainspring.kube.store import Store
from mainspring.plan.common import conditions, objects
from mainspring.plan.common.objects import Object, Ref
from mainspring.plan.common.plan import Event, Notice, Plan
from tests import builders
from tests.sim.api import SimApi
from tests.sim.clock import Clock
from tests.sim.server import ApiServer

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]
KEY = Ref("Model", builders.NAMESPACE, "tumours")


@dataclass
class Seen:
    object: Object


@dataclass
class AnyController:
    """A kind whose plan is given by the test."""

    store: Store
    plan: Callable[[Object], Plan]
    kind: str = "Model"
    looked: list[Ref] = field(default_factory=list)

    def keys(self, obj: Object) -> Iterable[Ref]:
        return (objects.ref(obj),) if obj["kind"] == self.kind else ()

    async def observe(self, key: Ref) -> Seen | None:
        self.looked.append(key)
        obj = self.store.get(key)
        return Seen(obj) if obj is not None else None

    def make_plan(self, observed: Any, now: datetime) -> Plan:
        return self.plan(observed.object)


@dataclass
class Outbox:
    """Keeps what it is given, with the writes until then."""

    api: SimApi
    given: list[tuple[Ref, str, int]] = field(default_factory=list)

    def put(self, about: Ref, notices: Iterable[Notice], wake: Callable[[Ref], None]) -> None:
        self.given += [(about, notice.key, len(self.api.writes)) for notice in notices]
        wake(about)


class World:
    """An API server with one Model, and a runner whose plans are given."""

    def __init__(self, plan: Callable[[Object], Plan]) -> None:
        self.clock = clock = Clock()
        self.server, self.store = ApiServer(clock), Store()
        self.api = SimApi(self.server)
        self.controller = AnyController(self.store, plan)
        self.outbox = Outbox(self.api)
        self.runner = Runner(self.api, self.store, [self.controller], clock.now, self.outbox)
        self.store.put(self.server.create(builders.model()))

    async def outcome(self) -> tuple[str, float | None]:
        return await self.runner._guarded(KEY)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.server.get(KEY)["status"]
        return found


def raising(error: Exception) -> Callable[[Object], Plan]:
    def plan(_: Object) -> Plan:
        raise error

    return plan


def saying(obj: Object, **more: Any) -> Plan:
    status = conditions.build_status(obj, conditions.ready("Champion", "all is well"), builders.NOW, {})
    return Plan(status=status, **more)


def child(name: str = "child", owner: Object | None = None, kind: str = "ConfigMap") -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": builders.NAMESPACE}
    if owner is not None:
        metadata["ownerReferences"] = [objects.owner_reference(owner)]
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


async def test_a_plan_is_carried_out_and_the_key_sleeps_as_it_says() -> None:
    world = World(lambda obj: saying(obj, requeue_after=15))
    assert await world.outcome() == ("wrote", 15)
    assert await world.outcome() == ("unchanged", 15)
    assert objects.condition_is(world.server.get(KEY), "Ready")


async def test_notices_go_out_after_the_status_and_their_result_is_looked_at() -> None:
    world = World(lambda obj: saying(obj, notices=(Notice("k", {}, url="https://a"),)))
    await world.outcome()
    writes = [write for write in world.api.writes if write.startswith("status")]
    assert len(writes) == 1
    ((about, key, after),) = world.outbox.given
    assert (about, key) == (KEY, "k")
    assert after >= world.api.writes.index(writes[0]) + 1
    assert not world.runner.queue.idle


async def test_a_status_that_was_not_written_sends_nothing() -> None:
    world = World(lambda obj: saying(obj, notices=(Notice("k", {}, url="https://a"),)))
    world.server.merge(KEY, {"metadata": {"annotations": {"a": "b"}}})
    assert (await world.outcome())[0] == "conflict"
    assert world.outbox.given == []


async def test_an_object_that_is_gone_costs_nothing() -> None:
    world = World(saying)
    world.store.remove(world.server.get(KEY))
    assert await world.outcome() == ("gone", None)
    assert world.api.writes == []


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (errors.Conflict("old"), "conflict"),
        (errors.AlreadyExists("taken"), "conflict"),
        (errors.Transient("down"), "retry"),
        (errors.NotFound("gone"), "retry"),
        (TimeoutError(), "retry"),
        (ValueError("a bug"), "bug"),
    ],
)
async def test_whatever_goes_wrong_is_tried_again(error: Exception, outcome: str) -> None:
    world = World(raising(error))
    found, again = await world.outcome()
    assert found == outcome
    assert again is not None
    assert 0 < again <= 0.2


async def test_pauses_grow_with_every_failure_and_start_anew_after_a_success() -> None:
    plans: list[Callable[[Object], Plan]] = [raising(errors.Transient("down"))] * 10
    world = World(lambda obj: plans.pop()(obj) if plans else saying(obj))
    pauses = [(await world.outcome())[1] or 0 for _ in range(10)]
    assert pauses[9] > 10 * pauses[0]
    assert await world.outcome() == ("wrote", None)
    world.controller.plan = raising(errors.Transient("down"))
    assert ((await world.outcome())[1] or 0) <= 0.2


async def test_a_bug_is_counted_and_logged_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        await World(raising(ValueError("a bug"))).outcome()
    assert "Model lab/tumours: unexpected failure" in caplog.text
    assert "a bug" in caplog.text


async def test_the_first_bug_of_a_kind_is_an_increase() -> None:
    World(saying)
    assert REGISTRY.get_sample_value("mainspring_reconcile_bugs_total", {"kind": "Model"}) is not None


async def test_a_refusal_is_told_and_tried_again_after_minutes() -> None:
    world = World(lambda obj: saying(obj, apply=(child(owner=obj),)))
    no = errors.Refused("exceeded quota: small", 403)
    world.server.refusals.append(lambda verb, obj: no if obj["kind"] == "ConfigMap" else None)
    outcome, again = await world.outcome()
    assert outcome == "refused"
    assert again is not None
    assert 30 <= again <= 60
    assert world.status()["conditions"][1]["type"] == "Stalled"
    assert world.status()["conditions"][1]["reason"] == "QuotaExceeded"


async def test_a_lasting_refusal_is_written_once() -> None:
    world = World(lambda obj: saying(obj, apply=(child(owner=obj),), status_first=True))
    no = errors.Refused("exceeded quota: small", 403)
    world.server.refusals.append(lambda verb, obj: no if obj["kind"] == "ConfigMap" else None)
    await world.outcome()
    before = list(world.api.writes)
    pauses = []
    for _ in range(6):
        pauses.append((await world.outcome())[1] or 0)
        world.clock.tick(pauses[-1])
    assert world.api.writes == before
    assert 150 <= pauses[-1] <= 300


async def test_events_do_not_put_off_the_next_try_after_a_refusal() -> None:
    world = World(lambda obj: saying(obj, apply=(child(owner=obj),)))
    no = errors.Refused("exceeded quota: small", 403)
    world.server.refusals.append(lambda verb, obj: no if obj["kind"] == "ConfigMap" else None)
    first = (await world.outcome())[1] or 0
    world.clock.tick(10)
    assert (await world.outcome())[1] == pytest.approx(first - 10, abs=0.001)


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ("exceeded quota: x", 403, "QuotaExceeded"),
        ("violates PodSecurity", 403, "PodSecurityViolation"),
        ("namespace lab is being terminated", 403, "NamespaceTerminating"),
        ("not allowed", 403, "Forbidden"),
        ("spec: Invalid value", 422, "Invalid"),
    ],
)
async def test_a_refusal_has_a_reason(message: str, code: int, reason: str) -> None:
    world = World(lambda obj: saying(obj, apply=(child(owner=obj),)))
    no = errors.Refused(message, code)
    world.server.refusals.append(lambda verb, obj: no if obj["kind"] == "ConfigMap" else None)
    await world.outcome()
    assert objects.condition(world.server.get(KEY), "Ready")["reason"] == reason  # type: ignore[index]


async def test_a_strangers_name_is_told() -> None:
    world = World(lambda obj: saying(obj, apply=(child(owner=obj),)))
    world.server.create(child())
    assert (await world.outcome())[0] == "refused"
    assert objects.condition(world.server.get(KEY), "Stalled")["reason"] == "NameTaken"  # type: ignore[index]


async def test_what_was_not_the_verdict_stays_in_a_refused_status() -> None:
    def plan(obj: Object) -> Plan:
        extra = (conditions.Condition("Available", "True", "Serving", "text"),)
        status = conditions.build_status(obj, conditions.ready("A", "a"), builders.NOW, {"versions": 3}, extra)
        return Plan(status=status, apply=(child(owner=obj),))

    world = World(plan)
    world.server.create(child())
    await world.outcome()
    assert world.status()["versions"] == 3
    assert [c["type"] for c in world.status()["conditions"]] == ["Ready", "Stalled", "Available"]


async def test_a_decision_is_written_before_the_children() -> None:
    def plan(obj: Object) -> Plan:
        status = conditions.build_status(obj, conditions.ready("A", "a"), builders.NOW, {"lastNumber": 1})
        return Plan(status=status, status_first=True, apply=(child(owner=obj),), events=(Event("Promoted", "m"),))

    world = World(plan)
    await world.outcome()
    assert [write.split()[:2] for write in world.api.writes] == [
        ["status", "Model"],
        ["create", "Event"],
        ["create", "ConfigMap"],
        ["create", "Event"],
    ]


async def test_a_status_from_an_old_cache_is_refused() -> None:
    world = World(saying)
    world.server.merge(KEY, {"metadata": {"labels": {"team": "x"}}})
    assert (await world.outcome())[0] == "conflict"
    assert world.status() == {"observedGeneration": -1}


async def test_the_same_event_again_is_counted() -> None:
    world = World(lambda obj: Plan(delete=((Ref("Pod", "lab", "p"), "u"),), events=(Event("Told", "m"),)))
    for _ in range(3):
        await world.outcome()
    (event,) = world.server.select("Event")
    assert event["count"] == 3
    assert event["involvedObject"]["uid"] == objects.uid(world.server.get(KEY))


async def test_an_event_that_cannot_be_sent_harms_nobody() -> None:
    world = World(saying)
    ending = errors.Refused("namespace lab is being terminated", 403)
    world.server.refusals.append(lambda verb, obj: ending if obj["kind"] == "Event" else None)
    assert await world.outcome() == ("wrote", None)
    assert objects.condition_is(world.server.get(KEY), "Ready")


async def test_an_object_that_is_gone_when_its_status_is_written_leaves_the_cache() -> None:
    world = World(saying)
    world.server.delete(KEY)
    assert (await world.outcome())[0] == "retry"
    assert await world.outcome() == ("gone", None)


async def test_without_a_write_no_event_is_sent() -> None:
    world = World(lambda obj: Plan(events=(Event("Told", "m"),)))
    await world.outcome()
    assert world.server.select("Event") == []


async def test_a_new_verdict_is_told_as_an_event_and_a_new_text_is_not() -> None:
    texts = iter(["one", "two"])

    def plan(obj: Object) -> Plan:
        return Plan(status=conditions.build_status(obj, conditions.stalled("Bad", next(texts)), builders.NOW, {}))

    world = World(plan)
    await world.outcome()
    await world.outcome()
    assert [(e["reason"], e["type"], e["message"]) for e in world.server.select("Event")] == [("Bad", "Warning", "one")]


async def test_a_reconcile_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(saying)

    async def hang(key: Ref) -> Seen | None:
        await asyncio.sleep(10_000)
        return None

    monkeypatch.setattr(world.controller, "observe", hang)
    started = asyncio.get_running_loop().time()
    assert (await world.outcome())[0] == "retry"
    assert asyncio.get_running_loop().time() - started == pytest.approx(engine.RECONCILE_TIMEOUT_SECONDS)


async def test_a_worker_goes_on_after_a_failure_and_ends_with_the_queue() -> None:
    plans = [saying, raising(ValueError("a bug"))]
    world = World(lambda obj: plans.pop()(obj))
    worker = asyncio.ensure_future(world.runner.work())
    world.runner.enqueue(world.server.get(KEY))
    await asyncio.sleep(5)
    assert objects.condition_is(world.server.get(KEY), "Ready")
    assert len(world.controller.looked) == 2
    world.runner.queue.close()
    await worker


async def test_a_resync_looks_at_every_object_without_asking_the_server() -> None:
    world = World(saying)
    world.runner.resync()
    assert len(world.runner.queue) == 1
