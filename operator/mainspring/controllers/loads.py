"""What the pods of a service have to do, asked of their servers: for autoscaling by Concurrency or RequestsPerSecond.

Servers count since their start, so it takes two readings of one to know anything. The one before is remembered here and
nowhere else: an operator that was started anew knows after two looks what it needs, and until then nothing shrinks.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from mainspring.api.load import Load
from mainspring.controllers import addresses
from mainspring.controllers.asking import Asking
from mainspring.kube.servers import Servers
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object, Ref
from mainspring.plan.inferenceservice import observed
from mainspring.plan.inferenceservice.observed import Rate

SHORTEST_SECONDS = 2.0  # two readings that are nearer say little of a load


@dataclass(frozen=True)
class _Known:
    """`before` is the reading from which the next rate counts."""

    before: Load
    rate: Rate | None = None


class LoadReader:
    def __init__(self, asked: Servers) -> None:
        self._servers = asked
        self._asking = Asking()
        self._known: dict[Ref, dict[str, _Known]] = {}  # by service and by pod

    def forget(self, service: Ref) -> None:
        self._known.pop(service, None)

    async def read(self, service: Ref, pods: Collection[Object]) -> observed.Loads:
        """Of those among the pods that are ready."""
        asked = {objects.name(pod): pod for pod in pods if _is_asked(pod)}
        answers = await self._asking.each(asked.values(), self._servers.load)
        before = self._known.get(service, {})
        known = {
            name: _compared(before.get(name), answer)
            for name, answer in zip(asked, answers, strict=True)
            if isinstance(answer, Load)
        }
        self._known[service] = known
        return observed.Loads({name: item.rate for name, item in known.items()}, frozenset(asked.keys() - known.keys()))


def _is_asked(pod: Object) -> bool:
    return addresses.is_up(pod) and objects.condition_is(pod, "Ready") and not objects.is_deleting(pod)


def _compared(known: _Known | None, now: Load) -> _Known:
    if known is None or known.before.epoch != now.epoch:
        return _Known(now)
    seconds = now.seconds - known.before.seconds
    if seconds < SHORTEST_SECONDS:
        return known
    rate = Rate(
        concurrency=max(now.busy_seconds - known.before.busy_seconds, 0.0) / seconds,
        requests_per_second=max(now.requests - known.before.requests, 0) / seconds,
    )
    return _Known(now, rate)
