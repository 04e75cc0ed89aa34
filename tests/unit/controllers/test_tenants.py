"""What a namespace gets before its pods can work, and what is taken away."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest

from mainspring.controllers import tenants
from mainspring.controllers.tenants import Tenants
from mainspring.kube import errors
from mainspring.kube.store import Store
from mainspring.kube.storeadmin import Credentials
from mainspring.plan.common.objects import Ref
from tests import builders
from tests.sim.api import SimApi
from tests.sim.clock import Clock
from tests.sim.server import ApiServer

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]
EMBEDDED = replace(builders.SETTINGS, artifacts_uri="", store_endpoint="http://store:7070")
SECRET = Ref("Secret", "lab", "mainspring-artifacts")
FEEDBACK = Ref("Secret", "lab", "mainspring-feedback")
ROOT = Ref("Secret", "mainspring-system", "mainspring-store")


@dataclass
class Admin:
    """The store's admin API, which may be down for a while."""

    failures: int = 0
    accounts: list[tuple[str, str]] = field(default_factory=list)

    async def ensure_account(self, account: Credentials, bucket: str, now: datetime) -> None:
        if self.failures:
            self.failures -= 1
            raise errors.Transient("the artifact store does not answer")
        self.accounts.append((account.access_key, bucket))


class World:
    def __init__(self, settings: Any = EMBEDDED, failures: int = 0) -> None:
        self.server, self.store, self.admin = ApiServer(Clock()), Store(), Admin(failures)
        self.api = SimApi(self.server)
        root = Credentials("root", "secret")
        embedded = settings.embedded_store
        admin: Any = self.admin if embedded else None
        self.tenants = Tenants(self.api, self.store, settings, admin, root if embedded else None)

    def add(self) -> None:
        self.store.put(self.server.create(builders.model()))
        self.tenants.notice("lab")

    def remove(self) -> None:
        self.store.remove(self.server.get(Ref("Model", "lab", "tumours")))
        self.tenants.notice("lab")

    async def settle(self, seconds: float = 5) -> None:
        worker = asyncio.ensure_future(self.tenants.work())
        await asyncio.sleep(seconds)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


def values(secret: dict[str, Any]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


async def test_a_namespace_with_an_object_of_ours_gets_an_account_and_its_credentials() -> None:
    world = World()
    world.add()
    await world.settle()
    assert world.admin.accounts == [("ns-lab", "ns-lab")]
    found = values(world.server.get(SECRET))
    assert (found["AWS_ACCESS_KEY_ID"], found["AWS_ENDPOINT_URL"]) == ("ns-lab", "http://store:7070")


async def test_what_is_served_is_not_served_again() -> None:
    world = World()
    world.add()
    await world.settle()
    world.tenants.notice("lab")
    await world.settle()
    assert len(world.admin.accounts) == 1
    assert world.api.writes == ["apply Secret lab/mainspring-feedback", "apply Secret lab/mainspring-artifacts"]


async def test_credentials_that_somebody_deleted_come_back_with_the_next_resync() -> None:
    world = World()
    world.add()
    await world.settle()
    world.server.delete(SECRET)
    world.tenants.resync()
    await world.settle()
    assert SECRET in world.server.objects


async def test_a_users_own_secret_is_never_written_nor_removed() -> None:
    world = World()
    metadata = {"name": SECRET.name, "namespace": "lab"}
    mine = world.server.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"a": "Yg=="}})
    world.add()
    await world.settle()
    world.remove()
    await world.settle()
    assert world.server.get(SECRET) == mine
    assert world.admin.accounts == []


async def test_the_credentials_go_with_the_last_object() -> None:
    world = World()
    world.add()
    await world.settle()
    world.remove()
    await world.settle()
    assert SECRET not in world.server.objects


async def test_a_store_that_is_down_is_waited_for() -> None:
    world = World(failures=5)
    world.add()
    await world.settle(120)
    assert len(world.admin.accounts) == 1
    assert SECRET in world.server.objects


async def test_with_a_store_of_the_users_only_the_feedback_key_is_made() -> None:
    world = World(builders.SETTINGS)
    world.add()
    await world.settle()
    assert world.api.writes == ["apply Secret lab/mainspring-feedback"]
    world.remove()
    await world.settle()
    assert FEEDBACK not in world.server.objects


async def test_a_feedback_key_is_made_once_and_never_changed() -> None:
    world = World()
    world.add()
    await world.settle()
    made = world.server.get(FEEDBACK)
    assert len(values(made)["key"]) == 64
    world.tenants.resync()
    await world.settle()
    assert world.server.get(FEEDBACK) == made


async def test_a_ca_bundle_is_laid_into_the_namespace() -> None:
    world = World(replace(builders.SETTINGS, ca_bundle="PEM"))
    world.add()
    await world.settle()
    assert world.server.get(Ref("ConfigMap", "lab", "mainspring-ca"))["data"] == {"ca.crt": "PEM"}


async def test_the_root_key_is_made_when_it_is_missing_and_kept_afterwards() -> None:
    api = SimApi(ApiServer(Clock()))
    first = await tenants.root_credentials(api, EMBEDDED)
    assert len(first.secret_key) == 40
    assert await tenants.root_credentials(api, EMBEDDED) == first
    assert len(api.writes) == 1
