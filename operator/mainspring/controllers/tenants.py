"""What a namespace needs before its pods can work: credentials of the artifact store, and the CA bundle.

A Secret `mainspring-artifacts` without our label is the user's own and is never written. Ours goes with the last object
of ours in the namespace. Not a kind of its own: it has no spec and no status, and pods that wait for it say so.
"""

from __future__ import annotations

import base64
import logging
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from mainspring.api.v1alpha1.common import LABEL_MANAGED_BY, LABEL_PART_OF
from mainspring.engine import backoff
from mainspring.engine.workqueue import WorkQueue
from mainspring.kube import errors
from mainspring.kube.client import Api
from mainspring.kube.resources import OURS
from mainspring.kube.store import Store
from mainspring.kube.storeadmin import Credentials, StoreAdmin, derive
from mainspring.plan.common import compare, objects
from mainspring.plan.common.objects import Manifest, Ref
from mainspring.plan.common.pods import ARTIFACTS_SECRET, CA_CONFIG_MAP, FEEDBACK_SECRET, FEEDBACK_SECRET_KEY
from mainspring.plan.common.settings import Settings, bucket_name

log = logging.getLogger("mainspring.tenants")
FEEDBACK_KEY_BYTES = 32
LABELS = {LABEL_MANAGED_BY: "mainspring", LABEL_PART_OF: "mainspring"}


async def root_credentials(api: Api, settings: Settings) -> Credentials:
    """The embedded store's root key, made when it is missing; the store's pod waits for it."""
    target = Ref("Secret", settings.namespace, settings.store_root_secret)
    try:
        found = await api.get(target)
    except errors.NotFound:
        made = {"ROOT_ACCESS_KEY": "mainspring", "ROOT_SECRET_KEY": secrets.token_hex(20)}
        # By apply, not POST: RBAC can restrict the creation of a Secret by its name only there.
        found = await api.apply(_secret(target, made))
    data = found.get("data") or {}
    return Credentials(_decoded(data["ROOT_ACCESS_KEY"]), _decoded(data["ROOT_SECRET_KEY"]))


def _secret(target: Ref, values: dict[str, str]) -> Manifest:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    metadata = {"name": target.name, "namespace": target.namespace, "labels": LABELS}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


class Tenants:
    """A queue of namespaces with a single worker; every change of an object of ours asks for its namespace once."""

    def __init__(
        self, api: Api, store: Store, settings: Settings, admin: StoreAdmin | None, root: Credentials | None
    ) -> None:
        self.queue: WorkQueue[str] = WorkQueue()
        self._api = api
        self._store = store
        self._settings = settings
        self._admin = admin
        self._root = root
        self._served: set[str] = set()
        self._failures: dict[str, int] = {}

    def notice(self, namespace: str) -> None:
        """An object of ours appeared, changed or went. Must not fail or wait."""
        if (namespace in self._served) != self._is_used(namespace):
            self.queue.add(namespace)

    def resync(self) -> None:
        """Makes good what somebody deleted meanwhile: Secrets are not watched."""
        for namespace in self._served:
            self.queue.add(namespace)

    async def work(self) -> None:
        while (namespace := await self.queue.get()) is not None:
            try:
                await self._step(namespace)
            finally:
                self.queue.done(namespace)

    async def _step(self, namespace: str) -> None:
        try:
            await (self.serve(namespace) if self._is_used(namespace) else self.leave(namespace))
            self._failures.pop(namespace, None)
        except errors.KubeError as error:
            self._failures[namespace] = self._failures.get(namespace, 0) + 1
            level = logging.WARNING if self._failures[namespace] > 3 else logging.INFO
            log.log(level, "namespace %s: artifact store access will be tried again: %s", namespace, error)
            self.queue.add_after(namespace, backoff.delay(self._failures[namespace], limit=30.0))

    def _is_used(self, namespace: str) -> bool:
        return any(self._store.has(resource.kind, namespace) for resource in OURS)

    async def serve(self, namespace: str) -> None:
        """The account first, then the Secret: whoever has the Secret can use it."""
        if self._settings.ca_bundle:
            await self._apply(self._ca(namespace))
        await self._ensure_feedback_key(namespace)
        if self._admin is not None and self._root is not None and await self._is_ours(namespace):
            account = derive(self._root, namespace)
            await self._admin.ensure_account(account, bucket_name(namespace), datetime.now(UTC))
            await self._apply(self._credentials(namespace, account))
        self._served.add(namespace)

    async def leave(self, namespace: str) -> None:
        """Nothing of ours is left: the credentials go, the data in the bucket stays."""
        names = (ARTIFACTS_SECRET, FEEDBACK_SECRET) if self._admin is not None else (FEEDBACK_SECRET,)
        for name in names:
            if await self._is_ours(namespace, name):
                target = Ref("Secret", namespace, name)
                with suppress(errors.NotFound):
                    await self._api.delete(target, objects.uid(await self._api.get(target)))
        self._served.discard(namespace)

    async def _ensure_feedback_key(self, namespace: str) -> None:
        """What servers sign feedback tokens with: made once and never changed, or tokens that are out lose their worth."""
        target = Ref("Secret", namespace, FEEDBACK_SECRET)
        try:
            await self._api.get(target)
        except errors.NotFound:
            await self._api.apply(_secret(target, {FEEDBACK_SECRET_KEY: secrets.token_hex(FEEDBACK_KEY_BYTES)}))

    async def _is_ours(self, namespace: str, name: str = ARTIFACTS_SECRET) -> bool:
        """Absent, or made by us."""
        try:
            found = await self._api.get(Ref("Secret", namespace, name))
        except errors.NotFound:
            return True
        return objects.labels(found).get(LABEL_MANAGED_BY) == "mainspring"

    async def _apply(self, manifest: Manifest) -> None:
        try:
            live = await self._api.get(objects.ref(manifest))
        except errors.NotFound:
            await self._api.apply(manifest)
            return
        if not compare.holds(live, manifest):
            await self._api.apply(manifest)

    def _credentials(self, namespace: str, account: Credentials) -> Manifest:
        values = {
            "AWS_ACCESS_KEY_ID": account.access_key,
            "AWS_SECRET_ACCESS_KEY": account.secret_key,
            "AWS_ENDPOINT_URL": self._settings.store_endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }
        return _secret(Ref("Secret", namespace, ARTIFACTS_SECRET), values)

    def _ca(self, namespace: str) -> dict[str, Any]:
        metadata = {"name": CA_CONFIG_MAP, "namespace": namespace, "labels": LABELS}
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {"ca.crt": self._settings.ca_bundle},
        }
