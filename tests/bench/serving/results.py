"""From rounds of measurements to medians, ratios and goals. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

ONNX, SKLEARN, KSERVE, MLSERVER = "mainspring, ONNX", "mainspring, scikit-learn", "KServe", "MLServer"
PEERS = (KSERVE, MLSERVER)
COLUMNS = (
    "model",
    "server",
    "RPS",
    "p50 ms",
    "p99 ms",
    "CPU µs/request",
    "ready s",
    "RSS MiB",
    *(f"{what} × {peer}" for peer in PEERS for what in ("RPS", "CPU")),
)


@dataclass(frozen=True)
class Sample:
    """One round of one server: requests a second, milliseconds, and CPU microseconds a request of all its processes."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


@dataclass(frozen=True)
class Measured:
    """All rounds of one server with one model; the servers took turns, so round n is comparable between them."""

    model: str
    server: str
    samples: Sequence[Sample]
    ready_seconds: float
    resident_mib: float

    def median(self, field: str) -> float:
        return float(statistics.median(getattr(sample, field) for sample in self.samples))


@dataclass(frozen=True)
class Ratios:
    """Of one server to another: how many times as many requests, how many times less CPU; the rest as shares."""

    rate: float
    cpu: float
    p99: float
    ready: float
    resident: float


@dataclass(frozen=True)
class Goal:
    """What should come out: `found` at least (or at most) `wanted`."""

    name: str
    wanted: float
    found: float
    at_least: bool = True

    @property
    def met(self) -> bool:
        return self.found >= self.wanted if self.at_least else self.found <= self.wanted

    def row(self) -> tuple[object, ...]:
        return self.name, f"{'≥' if self.at_least else '≤'} {self.wanted:g}", self.found, "yes" if self.met else "NO"


def ratios(one: Measured, other: Measured) -> Ratios:
    """Medians over the rounds of the ratio within a round, so that a busy machine counts little."""
    return Ratios(
        rate=_within_rounds(one, other, lambda mine, its: mine.rate / its.rate),
        cpu=_within_rounds(one, other, lambda mine, its: its.cpu_us / mine.cpu_us),
        p99=_within_rounds(one, other, lambda mine, its: mine.p99_ms / its.p99_ms),
        ready=one.ready_seconds / other.ready_seconds,
        resident=one.resident_mib / other.resident_mib,
    )


def _within_rounds(one: Measured, other: Measured, of: Callable[[Sample, Sample], float]) -> float:
    return statistics.median(of(mine, its) for mine, its in zip(one.samples, other.samples, strict=True))


def compared(found: Sequence[Measured]) -> dict[str, dict[str, Ratios]]:
    """For one model: by each server of ours, its ratios to each of the others."""
    peers = {measured.server: measured for measured in found if measured.server in PEERS}
    return {
        measured.server: {name: ratios(measured, peer) for name, peer in peers.items()}
        for measured in found
        if measured.server not in PEERS
    }


def by_model(found: Iterable[Measured]) -> dict[str, list[Measured]]:
    groups: dict[str, list[Measured]] = {}
    for measured in found:
        groups.setdefault(measured.model, []).append(measured)
    return groups


def rows(found: Sequence[Measured]) -> list[tuple[object, ...]]:
    """For a table with `COLUMNS`."""
    lines = []
    for group in by_model(found).values():
        all_ratios = compared(group)
        lines += [_row(measured, all_ratios.get(measured.server, {})) for measured in group]
    return lines


def _row(measured: Measured, its: Mapping[str, Ratios]) -> tuple[object, ...]:
    shown = [f"{getattr(its[peer], what):.1f}" if peer in its else "" for peer in PEERS for what in ("rate", "cpu")]
    figures = [measured.median(field) for field in ("rate", "p50_ms", "p99_ms", "cpu_us")]
    return measured.model, measured.server, *figures, measured.ready_seconds, measured.resident_mib, *shown


def as_json(found: Sequence[Measured]) -> list[dict[str, Any]]:
    """Medians, rounds and ratios of every server."""
    described = []
    for group in by_model(found).values():
        all_ratios = compared(group)
        for measured in group:
            its = {peer: asdict(each) for peer, each in all_ratios.get(measured.server, {}).items()}
            medians = {field: measured.median(field) for field in ("rate", "p50_ms", "p99_ms", "cpu_us")}
            described.append({**asdict(measured), "medians": medians, "ratios": its})
    return described


def goals(found: Sequence[Measured]) -> list[Goal]:
    """What the model server has to show beside KServe's, for the models that were measured."""
    made: list[Goal] = []
    for model, group in by_model(found).items():
        its = {server: each[KSERVE] for server, each in compared(group).items() if KSERVE in each}
        if ONNX in its:
            wanted = 60.0 if model.startswith("forest") else 10.0
            made.append(Goal(f"{model}: RPS, ONNX", wanted, its[ONNX].rate))
            made.append(Goal(f"{model}: p99, ONNX", 1.0, its[ONNX].p99, at_least=False))
        if SKLEARN in its and model.startswith("forest"):
            made.append(Goal(f"{model}: RPS, scikit-learn", 8.0, its[SKLEARN].rate))
    return made + ready_goals(found)


def ready_goals(found: Sequence[Measured]) -> list[Goal]:
    """Start to ready: medians over the models."""
    times = {
        server: [measured.ready_seconds for measured in found if measured.server == server]
        for server in (ONNX, SKLEARN, KSERVE)
    }
    if not times[KSERVE]:
        return []
    of_kserve = statistics.median(times[KSERVE])
    return [
        Goal(f"start to ready, {server}", 0.5, statistics.median(times[server]) / of_kserve, at_least=False)
        for server in (ONNX, SKLEARN)
        if times[server]
    ]
