"""Telling people: notices are sent in the background, a few at a time, each at most once at a time.

Nothing here is remembered for good: what must be told stands in status, and what became of it is asked for by whoever
writes that. Addresses come from the Secret `mainspring-alerts` of the namespace or from the spec; they and the answers
stay in here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import prometheus_client

from mainspring.kube import errors, outgoing, secrets
from mainspring.kube.client import Api
from mainspring.kube.outgoing import Answer
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Ref
from mainspring.plan.common.plan import Delivery, Notice
from mainspring.plan.common.pods import ALERTS_SECRET

AT_ONCE = 32
TIMEOUT_SECONDS = 10.0
ANSWER_BYTES = 64 * 1024  # that nobody reads
RETRY_AFTER_MAX_SECONDS = 3600.0
LATER = frozenset({408, 425, 429})  # of 4xx, those that may be better next time
KEPT = 128  # deliveries of one object

NOTICES = prometheus_client.Counter(
    "mainspring_notices_total", "Messages to webhooks, by what became of them: taken, failed or refused.", ["outcome"]
)

Clock = Callable[[], datetime]

log = logging.getLogger("mainspring.webhooks")


class Poster(Protocol):
    async def post(self, url: str, timeout_seconds: float, max_bytes: int, **request: Any) -> Answer: ...


class NoAddress(Exception):
    """The Secret or its key is missing."""


class Webhooks:
    def __init__(self, api: Api, requests: Poster, clock: Clock) -> None:
        self._api = api
        self._requests = requests
        self._clock = clock
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._sending: dict[tuple[Ref, str], asyncio.Task[None]] = {}
        self._done: dict[Ref, dict[str, Delivery]] = {}

    def deliveries(self, about: Ref) -> Mapping[str, Delivery]:
        """What became of the notices of this object, each the last time, by key."""
        return dict(self._done.get(about, {}))

    def forget(self, about: Ref) -> None:
        self._done.pop(about, None)

    def put(self, about: Ref, notices: Iterable[Notice], wake: Callable[[Ref], None]) -> None:
        """Sends what is not being sent already, and whose last result is known. Never waits."""
        for notice in notices:
            last = self._done.get(about, {}).get(notice.key)
            unheard = last is not None and objects.format_time(last.at) > notice.attempted_at
            if (about, notice.key) not in self._sending and not unheard:
                task = asyncio.get_running_loop().create_task(self._send(about, notice, wake))
                self._sending[about, notice.key] = task

    async def close(self) -> None:
        """What has not been taken by now is sent by the next operator."""
        tasks = [*self._sending.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, about: Ref, notice: Notice, wake: Callable[[Ref], None]) -> None:
        try:
            async with self._slots:
                found = await self._deliver(about.namespace, notice)
        finally:
            del self._sending[about, notice.key]
        done = self._done.setdefault(about, {})
        done.pop(notice.key, None)
        done[notice.key] = found
        for old in [*done][:-KEPT]:
            del done[old]
        NOTICES.labels("taken" if found.taken else "refused" if found.final else "failed").inc()
        if not found.taken:
            log.warning("%s: a notice was not taken: %s", about, found.error)
        wake(about)

    async def _deliver(self, namespace: str, notice: Notice) -> Delivery:
        try:
            url = await self._address(namespace, notice)
            headers = {"Idempotency-Key": notice.key}
            answer = await self._requests.post(url, TIMEOUT_SECONDS, ANSWER_BYTES, json=notice.body, headers=headers)
        except outgoing.Forbidden as error:
            return self._failed(str(error), final=True)
        except (outgoing.Unreachable, NoAddress) as error:
            return self._failed(str(error))
        except errors.KubeError as error:
            return self._failed(f"Secret {ALERTS_SECRET} cannot be read: {type(error).__name__}")
        return self._judged(answer)

    async def _address(self, namespace: str, notice: Notice) -> str:
        url = notice.url if notice.url is not None else await self._secret(namespace, notice.url_key or "")
        return url if not notice.path or url.endswith(notice.path) else url.rstrip("/") + notice.path

    async def _secret(self, namespace: str, key: str) -> str:
        try:
            found = await self._api.get(Ref("Secret", namespace, ALERTS_SECRET))
        except errors.NotFound:
            raise NoAddress(f"there is no Secret {ALERTS_SECRET}: create it with the key {key}") from None
        value = secrets.text(found, key).strip()
        if not value:
            raise NoAddress(f"the Secret {ALERTS_SECRET} has no key {key}: add it, or correct webhook.urlKey")
        return value

    def _judged(self, answer: Answer) -> Delivery:
        if 200 <= answer.status < 300:
            return Delivery(self._clock(), taken=True)
        if 300 <= answer.status < 400:
            return self._failed(f"it answers {answer.status}: redirects are not followed", final=True)
        final = answer.status < 500 and answer.status not in LATER
        return self._failed(f"it answers {answer.status}", final, self._retry_after(answer))

    def _failed(self, error: str, final: bool = False, retry_after: float = 0.0) -> Delivery:
        return Delivery(self._clock(), taken=False, final=final, error=error, retry_after=retry_after)

    def _retry_after(self, answer: Answer) -> float:
        """Seconds, which the header says in seconds or as a date; 0 without it."""
        told = answer.headers.get("Retry-After", "").strip()
        if told.isdecimal():
            return min(float(told), RETRY_AFTER_MAX_SECONDS)
        try:
            until = parsedate_to_datetime(told)
        except ValueError:
            return 0.0
        left = (until.replace(tzinfo=until.tzinfo or UTC) - self._clock()).total_seconds()
        return min(max(left, 0.0), RETRY_AFTER_MAX_SECONDS)
