"""`status`: the loop of a namespace at a glance, from data to monitors."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mainspring.plan.common import conditions, objects
from mainspring.plan.common.objects import Object
from mainspring.plugin import arguments, rollouts, tables
from mainspring.plugin.cluster import Cluster

RUNS_SHOWN = 10
KEPT = frozenset({"counted", "countedOf"})

Found = Mapping[str, Sequence[Object]]


@dataclass(frozen=True)
class Overview:
    """How one kind is shown: what stands in each column, beside name and readiness."""

    kind: str
    columns: Mapping[str, Callable[[Object], Any]]
    newest: int | None = None  # only so many, by age


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "status",
        parents=[common],
        help="the loop of a namespace at a glance",
        description="Shows datasets, runs, models, services and monitors of a namespace, and what each waits for;"
        " of a service that is rolled out also what each metric says.",
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: text")
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace) -> int:
    cluster = arguments.connect(asked)
    found = collect(cluster)
    arguments.write((as_json if asked.output == "json" else as_text)(cluster.namespace, found), None)
    return 0


def collect(cluster: Cluster) -> Found:
    """By kind. Raises PluginError."""
    return {overview.kind: _newest(cluster.every(overview.kind), overview.newest) for overview in OVERVIEWS}


def _newest(every: list[Object], count: int | None) -> list[Object]:
    if count is None:
        return every
    return sorted(every, key=lambda obj: str(obj["metadata"].get("creationTimestamp", "")))[-count:]


def as_text(namespace: str, found: Found) -> str:
    if not any(found.values()):
        return f"nothing of Mainspring is in namespace {namespace}: choose another with -n\n"
    shown = [overview for overview in OVERVIEWS if found[overview.kind]]
    parts = [tables.aligned(*_table(overview, found[overview.kind])) for overview in shown]
    decided = [rollouts.described(service) for service in found["InferenceService"]]
    waiting = [line for overview in shown for line in _waiting(found[overview.kind], overview.kind)]
    return "\n\n".join("\n".join(part) for part in [*parts, *decided, waiting] if part) + "\n"


def _table(overview: Overview, every: Sequence[Object]) -> tuple[Sequence[str], Iterable[Sequence[str]]]:
    head = (overview.kind.upper(), *overview.columns, "READY", "REASON")
    return head, [(objects.name(obj), *_cells(overview, obj), *_readiness(obj)) for obj in every]


def _cells(overview: Overview, obj: Object) -> Iterable[str]:
    for value_of in overview.columns.values():
        value = value_of(obj)
        yield "-" if value is None or value == "" else str(value)


def _readiness(obj: Object) -> tuple[str, str]:
    found = objects.condition(obj, conditions.READY) or {}
    return str(found.get("status", "-")), str(found.get("reason", "-"))


def _waiting(every: Iterable[Object], kind: str) -> Iterable[str]:
    """A sentence for each object that is not ready."""
    for obj in every:
        found = objects.condition(obj, conditions.READY)
        if found is not None and found["status"] != "True":
            yield tables.safe(f"{kind} {objects.name(obj)}: {found.get('message', '')}")


def as_json(namespace: str, found: Found) -> str:
    kinds = {overview.kind: [_facts(overview, obj) for obj in found[overview.kind]] for overview in OVERVIEWS}
    return json.dumps({"namespace": namespace, **kinds}, indent=2) + "\n"


def _facts(overview: Overview, obj: Object) -> dict[str, Any]:
    shown = {column.lower(): value_of(obj) for column, value_of in overview.columns.items()}
    ready, reason = _readiness(obj)
    return {"name": objects.name(obj), **shown, "ready": ready, "reason": reason, **_rollout(obj)}


def _rollout(obj: Object) -> dict[str, Any]:
    """What goes on, without what the operator alone reads, and what was not taken; of services."""
    told = {"rollout": rollouts.going_on(obj), "heldBack": rollouts.held_back(obj)}
    return {name: {k: v for k, v in facts.items() if k not in KEPT} for name, facts in told.items() if facts}


def _status(*path: str) -> Callable[[Object], Any]:
    """What stands at this place in status; None for nothing."""

    def value(obj: Object) -> Any:
        found: Any = objects.status(obj)
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    return value


def _condition(kind: str, field: str = "status") -> Callable[[Object], Any]:
    return lambda obj: (objects.condition(obj, kind) or {}).get(field)


def _pods(obj: Object) -> str:
    status = objects.status(obj)
    return f"{status.get('readyReplicas', 0)}/{status.get('replicas', 0)}"


def _need(obj: Object) -> str | None:
    need = objects.status(obj).get("need")
    return f"{need['reason']} since {need['since']}" if need else None


OVERVIEWS = (
    Overview("Dataset", {"CURRENT": _status("current"), "ROWS": _status("rows"), "CHECKED": _status("lastChecked")}),
    Overview(
        "TrainingRun",
        {"PHASE": _status("phase"), "METRIC": _status("primary"), "VERSION": _status("modelVersion")},
        RUNS_SHOWN,
    ),
    Overview(
        "Model",
        {"CHAMPION": _status("champion"), "CANDIDATE": _status("candidate"), "VERSIONS": _status("versions")},
    ),
    Overview(
        "InferenceService",
        {
            "VERSION": _status("stableVersion"),
            "CANDIDATE": _status("candidateVersion"),
            "WEIGHT": _status("rollout", "weight"),
            "VERDICT": _status("rollout", "verdict"),
            "PODS": _pods,
            "URL": _status("url"),
        },
    ),
    Overview(
        "ModelMonitor",
        {
            "VERSION": _status("version"),
            "DRIFT": _condition("DriftDetected"),
            "DEGRADED": _condition("PerformanceDegraded"),
            "QUALITY": _status("performance", "value"),
            "RETRAIN": _condition("RetrainTriggered", "reason"),
            "NEED": _need,
        },
    ),
)
