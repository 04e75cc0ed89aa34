"""`rollback inf/NAME`: the version before serves again.

A service that follows a Model gets it by a pin of the Model's champion, which also keeps newer versions from coming; one
that is pinned itself by another pin. Either is a line of a spec: where that is kept in Git, it belongs there.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from mainspring.plugin import arguments, rollouts
from mainspring.plugin.cluster import Cluster
from mainspring.plugin.errors import PluginError
from mainspring.plugin.rollouts import KIND


@dataclass(frozen=True)
class Change:
    """A spec that is to be another: `line` is how it stands in Git."""

    kind: str
    name: str
    spec: Mapping[str, Any]
    line: str
    version: str
    instead_of: str


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "rollback",
        parents=[common],
        help="serve the version before",
        description="Pins the version that served before: of the Model that the service follows, else of the service.",
    )
    parser.add_argument("service", help="an InferenceService, as inf/NAME")
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace) -> int:
    name = arguments.object_name(asked.service, KIND)
    cluster = arguments.connect(asked)
    change = decide(cluster, cluster.get(KIND, name))
    if cluster.find("ModelVersion", change.version) is None:
        raise PluginError(f"ModelVersion {change.version}, which was there before, does not exist any more")
    cluster.patch(change.kind, change.name, {"spec": change.spec})
    place = f"{change.kind} {change.name}"
    text = f"{change.version} instead of {change.instead_of}: {place} has {change.line} now"
    arguments.write(f"inferenceservice/{name}: {text}; if it is managed in Git, this belongs there\n", None)
    return 0


def decide(cluster: Cluster, service: Object) -> Change:
    """Raises PluginError when nothing was there before, or it is not for this command to say."""
    name = objects.name(service)
    if going_on := rollouts.going_on(service):
        raise PluginError(
            f"inferenceservice/{name}: {going_on['version']} is being rolled out; end that: abort inf/{name}"
        )
    model: Mapping[str, Any] = objects.spec(service)["model"]
    if alias := model.get("alias"):
        raise PluginError(f"inferenceservice/{name} follows alias {alias} of Model {model['name']}: set it there")
    if "version" in model:
        return of_pinned(service)
    return of_model(cluster.get("Model", model["name"]))


def of_pinned(service: Object) -> Change:
    """By the rollouts that its status remembers, the last ten."""
    name, status = objects.name(service), objects.status(service)
    serving = status.get("stableVersion", "")
    taken = [r["version"] for r in status.get("rollouts") or () if r["outcome"] == "Promoted"]
    version = before(taken, serving)
    if version is None:
        raise PluginError(f"inferenceservice/{name}: nothing served before {serving or 'now'}: set spec.model.version")
    line = f"spec.model.version: {version}"
    return Change(KIND, name, {"model": {"version": version}}, line, version, serving)


def of_model(model: Object) -> Change:
    """By the history of its champion, the last fifty moves."""
    name, status = objects.name(model), objects.status(model)
    champion = status.get("champion", "")
    version = before(champions(status), champion)
    if version is None:
        raise PluginError(f"Model {name} has had no champion before {champion or 'now'}: set spec.aliases.champion")
    line = f"spec.aliases.champion: {version}"
    return Change("Model", name, {"aliases": {"champion": version}}, line, version, champion)


def champions(status: Mapping[str, Any]) -> list[str]:
    """In order; the first move that is remembered may name the one before it."""
    moves = [entry for entry in status.get("history") or () if entry.get("to") == "Champion"]
    first = moves[0].get("from") if moves else None
    return [*([first] if first else ()), *(entry["version"] for entry in moves)]


def before(order: Sequence[str], current: str) -> str | None:
    """What was there when the current one came for the first time: after a rollback that is not the one it replaced."""
    if current not in order:
        return order[-1] if order else None
    place = order.index(current)
    return order[place - 1] if place else None
