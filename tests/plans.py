"""What tests ask of a plan."""

from __future__ import annotations

from typing import Any

from mainspring.plan.common import objects
from mainspring.plan.common.plan import Plan


def verdict(plan: Plan) -> tuple[str, str]:
    """Ready, Reconciling or Stalled, and the reason."""
    found = {c["type"]: c for c in (plan.status or {}).get("conditions", ())}
    for state in ("Reconciling", "Stalled"):
        if state in found:
            assert found[state]["reason"] == found["Ready"]["reason"]
            return state, found[state]["reason"]
    assert found["Ready"]["status"] == "True"
    return "Ready", found["Ready"]["reason"]


def message(plan: Plan) -> str:
    return str(next(c["message"] for c in (plan.status or {})["conditions"] if c["type"] == "Ready"))


def condition(plan: Plan, kind: str) -> tuple[str, str]:
    found: dict[str, Any] = next(c for c in (plan.status or {})["conditions"] if c["type"] == kind)
    return found["status"], found["reason"]


def applied(plan: Plan) -> list[str]:
    """Kinds in the order in which they are applied."""
    return [manifest["kind"] for manifest in plan.apply]


def notes(plan: Plan) -> dict[str, dict[str, str]]:
    """Annotations that the plan writes, by object, without their prefix."""
    found: dict[str, dict[str, str]] = {}
    for patch in plan.patch:
        for key, value in patch.body.get("metadata", {}).get("annotations", {}).items():
            found.setdefault(patch.target.name, {})[key.rpartition("/")[2]] = value
    return found


def deleted(plan: Plan) -> list[str]:
    return [f"{target.kind} {target.name}" for target, _ in plan.delete]


def is_silent(plan: Plan, obj: objects.Object) -> bool:
    """It would write nothing."""
    quiet = not (plan.apply or plan.patch or plan.delete)
    return quiet and (plan.status is None or dict(plan.status) == dict(objects.status(obj)))
