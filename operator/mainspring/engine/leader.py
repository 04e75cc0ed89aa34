"""The leader's Lease: one process works, the others stand by. Its own loop, its own time-outs.

Two leaders for a moment are harmless (every write is fenced), so this saves work; it does not protect state.
Released on shutdown after the workers stopped, so that a successor starts at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from mainspring.engine import metrics
from mainspring.kube import errors

LEASE_SECONDS = 15
RENEW_SECONDS = 5.0
RETRY_SECONDS = 2.0

log = logging.getLogger("mainspring.leader")


class Requests(Protocol):
    async def request(self, verb: str, path: str, kind: str, body: dict[str, Any] | None = None) -> dict[str, Any]: ...


class Leader:
    def __init__(
        self, api: Requests, namespace: str, name: str, identity: str, clock: Callable[[], datetime] | None = None
    ) -> None:
        self._api = api
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._clock = clock or (lambda: datetime.now(UTC))
        self._renewed: datetime | None = None
        self._seen: tuple[str, datetime] = ("", self._clock())  # the other's Lease, and since when it has been that one

    async def acquire(self) -> None:
        """Returns once this process holds the Lease."""
        while not await self._try():  # noqa: ASYNC110  (only a clock can say when another's Lease ran out)
            await asyncio.sleep(RETRY_SECONDS)
        log.info("%s holds the Lease %s/%s", self._identity, self._namespace, self._name)
        metrics.LEADING.set(1)

    async def keep(self) -> None:
        """Renews for ever; returns when the Lease is lost, upon which the process must end."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            if not await self._try() and self._is_over():
                metrics.LEADING.set(0)
                log.error("the Lease was lost: ending, so that only one process works")
                return

    async def release(self) -> None:
        """Makes room for a successor."""
        try:
            lease = await self._read()
            if lease and lease["spec"].get("holderIdentity") == self._identity:
                await self._write(lease, holder="", seconds=1)
        except errors.KubeError as error:
            log.warning("the Lease could not be released; it runs out in %s s: %s", LEASE_SECONDS, error)
        metrics.LEADING.set(0)

    def _is_over(self) -> bool:
        return self._renewed is None or self._clock() - self._renewed > timedelta(seconds=LEASE_SECONDS)

    async def _try(self) -> bool:
        """Takes or renews the Lease; False when somebody else has it or the API server did not answer."""
        try:
            lease = await self._read()
            if lease is not None and not self._is_free(lease):
                return False
            await self._write(lease, self._identity, LEASE_SECONDS)
        except errors.KubeError as error:
            log.debug("Lease: %s", error)
            return False
        self._renewed = self._clock()
        return True

    def _is_free(self, lease: dict[str, Any]) -> bool:
        spec = lease.get("spec") or {}
        if spec.get("holderIdentity") in (None, "", self._identity):
            return True
        # By our own clock: the holder may be on a node where it is earlier or later.
        if lease["metadata"]["resourceVersion"] != self._seen[0]:
            self._seen = (lease["metadata"]["resourceVersion"], self._clock())
        return self._clock() - self._seen[1] > timedelta(seconds=spec.get("leaseDurationSeconds", LEASE_SECONDS))

    async def _read(self) -> dict[str, Any] | None:
        try:
            return await self._api.request("GET", f"{self._path}/{self._name}", "Lease")
        except errors.NotFound:
            return None

    async def _write(self, lease: dict[str, Any] | None, holder: str, seconds: int) -> None:
        """Fenced by resourceVersion: of two that try at once, one is refused."""
        now = self._clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before = (lease or {}).get("spec") or {}
        same = before.get("holderIdentity") == holder
        spec = {
            "holderIdentity": holder,
            "leaseDurationSeconds": seconds,
            "renewTime": now,
            "acquireTime": before.get("acquireTime", now) if same else now,
            "leaseTransitions": int(before.get("leaseTransitions") or 0) + (0 if same else 1),
        }
        metadata = {"name": self._name, "namespace": self._namespace}
        if lease is not None:
            metadata["resourceVersion"] = lease["metadata"]["resourceVersion"]
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
        if lease is None:
            await self._api.request("POST", self._path, "Lease", body)
        else:
            await self._api.request("PUT", f"{self._path}/{self._name}", "Lease", body)
