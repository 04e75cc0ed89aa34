"""What the model servers of the cluster have counted: a steady stream of requests, whose kind changes once.

Counts follow from the clock, so a server says the same whoever asks, and however often. A version that was trained after
the change knows it: its reference is another, and its predictions are right again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mainspring.api import contract
from mainspring.api.load import Load
from mainspring.api.monitoring import (
    ColumnCounts,
    FeedbackCounts,
    Reference,
    ReferenceColumn,
    ReferencePrediction,
    Snapshot,
)
from mainspring.api.splitting import SplitSnapshot
from mainspring.api.v1alpha1.common import LABEL_MODEL_VERSION, LABEL_REVISION
from mainspring.kube import servers
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object, Ref
from tests.sim.clock import EPOCH
from tests.sim.server import ApiServer
from tests.sim.splits import Splits

ROWS_PER_SECOND = 10.0
REFERENCE_ROWS = 2000
CLASSES = ["B", "M"]
# Shares of rows in the bins of `radius`, and of positive predictions: before the change and after it.
BINS = ((0.25, 0.25, 0.25, 0.25), (0.05, 0.15, 0.3, 0.5))
POSITIVE = (0.4, 0.7)


@dataclass(frozen=True)
class Scrape:
    """What Prometheus read of a pod last; `at` and `started` are seconds of the clock."""

    at: float
    uid: str
    started: float
    snapshot: Snapshot
    reference: Reference


@dataclass(frozen=True)
class Post:
    """What a webhook was sent, and what it answered."""

    url: str
    key: str
    body: Any
    status: int


@dataclass
class Traffic:
    changed_at: float | None = None  # seconds of the clock
    versions_that_know: set[str] = field(default_factory=set)
    accuracy: tuple[float, float] = (0.95, 0.6)  # of a version that does not know, before and after
    labelled: float = 0.5  # share of rows
    mixed: bool = False  # a version that knows learned from as many rows of before as of after
    swing: float = 0.0  # seconds: in the second half of every such time `radius` is as after the change
    down: set[str] = field(default_factory=set)  # services whose pods do not answer
    foreign: bool = False  # another server than ours
    no_profile: bool = False
    key: str | None = "patient"
    keys_sent: bool = True
    silent_users: bool = False  # nobody sends feedback
    prometheus: str = (
        "up"  # or down, foreign (something else answers), idle (it has nothing), stopped (it scrapes no more)
    )
    scrapes: dict[str, Scrape] = field(default_factory=dict)  # by pod, also of those that are gone
    numbers: dict[str, list[float]] = field(default_factory=dict)  # what Prometheus knows besides, by query
    load: tuple[float, float] = (0.0, 0.0)  # of a service: requests at the same time, and requests a second
    deaf: set[str] = field(default_factory=set)  # pods that do not tell their load
    receivers: dict[str, int] = field(default_factory=dict)  # what webhooks answer, by address; 0: nothing
    inbox: list[Post] = field(default_factory=list)
    splits: Splits = field(default_factory=Splits)

    def change(self, server: ApiServer) -> None:
        self.changed_at = server.clock.seconds

    def rows(self, begin: float, end: float) -> list[int]:
        """Between two moments of the clock: before the change, and after it."""
        change = end if self.changed_at is None else self.changed_at
        before, after = max(0.0, min(end, change) - begin), max(0.0, end - max(change, begin))
        return [int(ROWS_PER_SECOND * seconds) for seconds in (before, after)]

    def labels(self, rows: list[int]) -> list[int]:
        return [int(self.labelled * part) for part in rows]

    def confusion(self, labels: list[int], knows: bool) -> list[list[int]]:
        total = [[0, 0], [0, 0]]
        for index, count in enumerate(labels):
            accuracy = self.accuracy[0 if knows else index]
            for predicted, share in enumerate((1 - POSITIVE[index], POSITIVE[index])):
                right = int(count * share * accuracy)
                total[predicted][predicted] += right
                total[predicted][1 - predicted] += int(count * share) - right
        return total


@dataclass
class _Counted:
    since: float
    at: float = 0.0
    busy_seconds: float = 0.0
    requests: float = 0.0

    def __post_init__(self) -> None:
        self.at = self.since

    def add(self, now: float, concurrency: float, requests_per_second: float) -> None:
        """What came since the last time."""
        self.busy_seconds += concurrency * (now - self.at)
        self.requests += requests_per_second * (now - self.at)
        self.at = now


def _is_ready_beside(one: Object, other: Object) -> bool:
    return objects.condition_is(one, "Ready") and objects.labels(one).get(LABEL_REVISION) == objects.labels(other).get(
        LABEL_REVISION
    )


class SimServers:
    """Finds the pod by its address, as a network would."""

    def __init__(self, server: ApiServer, traffic: Traffic) -> None:
        self._server = server
        self._traffic = traffic
        self._counted: dict[str, _Counted] = {}  # by pod, since it was asked first

    async def snapshot(self, address: str) -> Snapshot:
        return self._snapshot(self._pod(address), self._server.clock.seconds)

    def scraped(self, pod: Object, at: float) -> tuple[float, Snapshot, Reference]:
        """When it started, and what it said at that moment."""
        started = (objects.created_at(pod) - EPOCH).total_seconds()
        return started, self._snapshot(pod, at), self._reference(pod)

    def _snapshot(self, pod: Object, now: float) -> Snapshot:
        version = self._version(pod)
        rows = self._rows(pod, now)
        total = sum(rows)
        knows = version in self._traffic.versions_that_know
        labels = self._traffic.labels(rows)
        return Snapshot(
            model="tumours",
            version=version.rpartition("-v")[2],
            digest=digest(version),
            epoch=objects.uid(pod),
            started=pod["metadata"]["creationTimestamp"],
            rows=total,
            columns=[
                ColumnCounts(
                    name="radius", counts=_spread(self._swung(pod, now) if self._traffic.swing else rows, BINS)
                )
            ],
            prediction=_spread(rows, [(1 - p, p) for p in POSITIVE]),
            predicted=_spread(rows, [(1 - p, p) for p in POSITIVE]),
            feedback=None
            if self._traffic.silent_users
            else FeedbackCounts(rows=sum(labels), confusion=self._traffic.confusion(labels, knows)),
        )

    async def reference(self, address: str) -> Reference:
        return self._reference(self._pod(address))

    async def split(self, address: str) -> SplitSnapshot:
        pod = self._pod(address)
        self._traffic.splits.go_on(self._server)
        return self._traffic.splits.snapshot(pod)

    async def load(self, address: str) -> Load:
        """The Service spreads what there is over the pods that are ready, as it is now since they were."""
        pod, now = self._pod(address), self._server.clock.seconds
        if objects.name(pod) in self._traffic.deaf:
            raise servers.Silent("/load does not answer: TimeoutError")
        pods = [p for p in self._server.select("Pod") if _is_ready_beside(p, pod)]
        told = self._counted.setdefault(objects.uid(pod), _Counted(now))
        told.add(now, *(figure / max(len(pods), 1) for figure in self._traffic.load))
        return Load(
            epoch=objects.uid(pod),
            seconds=now - told.since,
            requests=int(told.requests),
            in_flight=0,
            busy_seconds=told.busy_seconds,
        )

    def _reference(self, pod: Object) -> Reference:
        version = self._version(pod)
        which = int(version in self._traffic.versions_that_know)
        shares = BINS[which]
        share = POSITIVE[which]
        if which and self._traffic.mixed:
            shares = tuple((old + new) / 2 for old, new in zip(*BINS, strict=True))
        prediction = ReferencePrediction(
            output="predict",
            source="OutOfFold",
            rows=REFERENCE_ROWS,
            classes=CLASSES,
            counts=_spread([REFERENCE_ROWS], [(1 - share, share)]),
        )
        return Reference(
            model="tumours",
            version=version.rpartition("-v")[2],
            digest=digest(version),
            rows_of="train",
            rows=REFERENCE_ROWS,
            reason="the version has no profile.json" if self._traffic.no_profile else None,
            columns=[
                ReferenceColumn(
                    name="radius", kind="Float", edges=[1, 2, 3], counts=_spread([REFERENCE_ROWS], [shares])
                )
            ],
            prediction=prediction,
            task="Classification",
            classes=CLASSES,
            key=self._traffic.key,
        )

    def _pod(self, address: str) -> Object:
        if self._traffic.foreign:
            raise servers.Unsuitable("its server has no /monitor/snapshot")
        for pod in self._server.select("Pod"):
            if f"{objects.status(pod).get('podIP')}:8081" == address:
                if objects.labels(pod).get("mainspring.dev/inference-service") in self._traffic.down:
                    break
                return pod
        raise servers.Silent("/monitor/snapshot does not answer: TimeoutError")

    def _version(self, pod: Object) -> str:
        owner = objects.controller(pod)
        assert owner is not None
        deployment = self._server.get(Ref("Deployment", objects.namespace(pod), owner["name"]))
        return objects.annotations_of(deployment)[LABEL_MODEL_VERSION]

    def _rows(self, pod: Object, now: float) -> list[int]:
        """Before the change, and after it."""
        return self._traffic.rows(seconds_of(objects.created_at(pod)), now)

    def _swung(self, pod: Object, now: float) -> list[int]:
        """In the first halves of the swing, and in the second ones."""
        period = self._traffic.swing
        since = (objects.created_at(pod) - EPOCH).total_seconds()

        def late(seconds: float) -> float:
            return seconds // period * period / 2 + max(0.0, seconds % period - period / 2)

        second = late(now) - late(since)
        return [int(ROWS_PER_SECOND * part) for part in (now - since - second, second)]


def joined(server: ApiServer, traffic: Traffic, task: dict[str, Any]) -> contract.JoinReport:
    """What the Dataset says of logged predictions: those of one pod, from when the version was deployed first."""
    name = f"{task['model']}-v{task['version']}"
    deployed = [d for d in server.select("Deployment") if objects.annotations_of(d)[LABEL_MODEL_VERSION] == name]
    began = min(seconds_of(objects.created_at(d)) for d in deployed)
    since, until = (seconds_of(objects.parse_time(task[end])) for end in ("since", "until"))
    rows = traffic.rows(max(since, began), until)
    labels = traffic.labels(rows) if traffic.keys_sent else [0, 0]
    return contract.JoinReport(
        rows=sum(rows),
        covers=began <= since,
        without_key=0 if traffic.keys_sent else sum(rows),
        predicted=_spread(rows, [(1 - p, p) for p in POSITIVE]),
        feedback=FeedbackCounts(
            rows=sum(labels), confusion=traffic.confusion(labels, name in traffic.versions_that_know)
        ),
    )


def seconds_of(moment: datetime) -> float:
    return (moment - EPOCH).total_seconds()


def digest(version: str) -> str:
    return f"sha256:{version}"


def _spread(rows: list[int], shares: Any) -> list[int]:
    """Rows by bin, over the time before the change and after it."""
    bins = [0] * len(shares[0])
    for count, share in zip(rows, shares, strict=False):
        for index, part in enumerate(share):
            bins[index] += int(count * part)
    return bins
