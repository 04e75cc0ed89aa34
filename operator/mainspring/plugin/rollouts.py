"""Rollouts of services as a person looks at them: what goes on, what was not taken, and what each metric says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from mainspring.plugin import tables

Facts = Mapping[str, Any]

KIND = "InferenceService"
METRIC = ("METRIC", "VERDICT", "SEEN", "NEEDED", "STABLE", "CANDIDATE", "LIMIT", "")


def going_on(service: Object) -> Facts | None:
    found: Facts | None = objects.status(service).get("rollout")
    return found


def held_back(service: Object) -> Facts | None:
    """What a rollout did not take, as long as it is still what the spec asks for."""
    found: Facts | None = objects.status(service).get("heldBack")
    return found


def described(service: Object) -> list[str]:
    """Lines about the rollout of a service, or about what it keeps back; none when there is neither."""
    facts = going_on(service) or held_back(service)
    if facts is None:
        return []
    heading = _going_on(service, facts) if "phase" in facts else _held_back(service, facts)
    metrics: Sequence[Facts] = facts.get("metrics") or ()
    table = tables.aligned(METRIC, [_row(metric) for metric in metrics]) if metrics else []
    return [*map(tables.safe, heading), *(f"  {line}" for line in table)]


def _going_on(service: Object, facts: Facts) -> Iterable[str]:
    name = objects.name(service)
    weight, mirror = facts.get("weight", 0), facts.get("mirror", 0)
    gets = f"{weight} % of the requests" + (f" and a copy of {mirror} % of the others" if mirror else "")
    yield (
        f"InferenceService {name}: {facts['version']} instead of {facts['fromVersion']} ({facts['strategy']},"
        f" {facts['phase']}{_step(service, facts)}), {facts.get('verdict', 'Inconclusive')}; it gets {gets}"
    )
    if facts.get("message"):
        yield f"  {facts['message']}"


def _step(service: Object, facts: Facts) -> str:
    """Only while there are steps."""
    steps = (objects.spec(service).get("rollout") or {}).get("steps") or ()
    if facts["phase"] != "Stepping" or not steps:
        return ""
    return f", step {facts.get('step', 0) + 1} of {len(steps)}"


def _held_back(service: Object, facts: Facts) -> Iterable[str]:
    name = objects.name(service)
    yield f"InferenceService {name}: {facts['version']} was not taken ({facts['outcome']}): {facts.get('message', '')}"
    yield f"  kubectl mainspring promote inf/{name} takes it all the same"


def _row(metric: Facts) -> list[str]:
    shares = [_share(metric, field) for field in ("stable", "candidate", "limit")]
    counts = [_text(metric.get(field)) for field in ("requests", "needed")]
    # Where there is a number that is needed, the columns say all that the message says.
    return [
        metric["name"],
        metric["verdict"],
        *counts,
        *shares,
        "" if "needed" in metric else metric.get("message", ""),
    ]


def _share(metric: Facts, field: str) -> str:
    """A query has numbers of its own; everything else is shares."""
    value = metric.get(field)
    if value is None or "strikes" in metric:
        return _text(value)
    return f"{'+' if field == 'limit' else ''}{100 * value:.3g} %"


def _text(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
