"""What the operator reaches outside the cluster: a Prometheus that scrapes the model servers, and receivers of webhooks.

This Prometheus knows the selectors of a query, and nothing else of its language: what comes is the last scrape of each
series that is selected, and that is what the operator asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from mainspring.kube import outgoing, prometheus
from mainspring.kube.outgoing import Answer
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from mainspring.plan.modelmonitor.series import NAME, SAMPLED, Sample
from tests import series
from tests.sim.clock import EPOCH
from tests.sim.server import ApiServer
from tests.sim.traffic import Post, Scrape, SimServers, Traffic

SCRAPE_SECONDS = 15
RANGE_SECONDS = 900
MATCHER = re.compile(r'(\w+)(=~|=)"((?:[^"\\]|\\.)*)"')


class SimPrometheus:
    def __init__(self, server: ApiServer, traffic: Traffic) -> None:
        self._server = server
        self._traffic = traffic
        self._servers = SimServers(server, traffic)

    async def query(self, url: str, expression: str, at: float | None = None) -> list[Sample]:
        if self._traffic.prometheus == "down":
            raise prometheus.Unavailable("no answer within 10 s")
        if self._traffic.prometheus == "foreign":
            raise prometheus.Refused("it answers 404: is this the address of a Prometheus, without /api/v1/query?")
        if self._traffic.prometheus == "idle":
            return []
        if "{" not in expression:
            return [Sample({}, value) for value in self._traffic.numbers.get(expression, ())]
        if self._traffic.prometheus == "up":
            await self._scrape()
        selector = expression[expression.index("{") : expression.index("}") + 1]
        wanted = [
            (name, re.compile(value if kind == "=~" else re.escape(value))) for name, kind, value in _matchers(selector)
        ]
        samples = [s for s in self._samples() if all(p.fullmatch(s.labels.get(n, "")) for n, p in wanted if n != NAME)]
        names = dict(wanted)[NAME]
        return [s for s in samples if SAMPLED in s.labels or names.fullmatch(s.labels[NAME])]

    async def _scrape(self) -> None:
        """Of every pod that is there, at the last moment of its round."""
        now = int(self._server.clock.seconds) // SCRAPE_SECONDS * SCRAPE_SECONDS
        for pod in self._server.select("Pod"):
            if objects.labels(pod).get("mainspring.dev/inference-service") and _is_up(pod, now):
                found = self._servers.scraped(pod, now)
                self._traffic.scrapes[objects.name(pod)] = Scrape(float(now), objects.uid(pod), *found)

    def _samples(self) -> Iterator[Sample]:
        there = {objects.name(pod) for pod in self._server.select("Pod")}
        for name, scrape in self._traffic.scrapes.items():
            if self._server.clock.seconds - scrape.at > RANGE_SECONDS:
                continue
            target = {"namespace": "lab", "pod": name, "job": "pods"}
            started = (EPOCH + timedelta(seconds=scrape.started)).timestamp()
            yield from series.of_snapshot(scrape.snapshot, scrape.reference, started, target)
            yield from series.of_reference(scrape.reference, target)
            if name in there and self._traffic.prometheus == "up":
                yield series.followed(target, scrape.snapshot, scrape.at)


def _matchers(selector: str) -> Iterable[tuple[str, str, str]]:
    return [(name, kind, value.replace("\\\\", "\\")) for name, kind, value in MATCHER.findall(selector)]


def _is_up(pod: Object, now: float) -> bool:
    return bool(objects.status(pod).get("podIP")) and (objects.created_at(pod) - EPOCH).total_seconds() <= now


class SimPoster:
    """Keeps what it is sent; answers as the traffic says, by address."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    async def post(self, url: str, timeout_seconds: float, max_bytes: int, **request: Any) -> Answer:
        status = self._traffic.receivers.get(url, 200)
        if status == 0:
            raise outgoing.Unreachable(f"no answer within {timeout_seconds:g} s")
        self._traffic.inbox.append(Post(url, request["headers"]["Idempotency-Key"], request["json"], status))
        return Answer(status, {}, b"")
