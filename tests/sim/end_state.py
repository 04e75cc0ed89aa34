"""What a cluster has come to, without what may differ between two ways to get there: times, uids, versions.

Pods and Events are left out: pods follow from what is there, and an Event may be lost without loss of state.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from tests.sim.server import ApiServer

TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?(Z|\+00:00)")
NUMBER = re.compile(r"[0-9][0-9.,]* ?(%|of)|of [0-9][0-9,.]*")  # that a rollout was judged by
UID = re.compile(r"uid-[0-9]{6}")
FLEETING = ("resourceVersion", "generation", "uid", "creationTimestamp")
DECISIONS = ("Promoted", "RolledBack", "Failed", "Aborted", "Registered", "VersionCreated")


def of(server: ApiServer) -> dict[str, Any]:
    """Every object by name, comparable between runs."""
    uids = {objects.uid(obj): str(ref) for ref, obj in server.objects.items()}
    kept = {str(ref): obj for ref, obj in server.objects.items() if ref.kind not in ("Pod", "Event")}
    return {name: _timeless(obj, uids) for name, obj in sorted(kept.items())}


def _timeless(obj: Object, uids: Mapping[str, str]) -> Any:
    metadata = {k: v for k, v in obj["metadata"].items() if k not in FLEETING}
    text = json.dumps({**obj, "metadata": metadata}, sort_keys=True)
    value = json.loads(UID.sub(lambda found: uids.get(found[0], "gone"), TIME.sub("T", text)))
    value.get("status", {}).pop("lastLeadTimeSeconds", None)
    return _without_counts(value) if value["kind"] == "InferenceService" else value


def _without_counts(value: dict[str, Any]) -> dict[str, Any]:
    """When a rollout was judged is no part of where it ends, and so neither are the numbers that it was judged by."""
    status = value.get("status", {})
    for told in (status.get("heldBack", {}), *status.get("rollouts", ())):
        told.pop("metrics", None)
        told.pop("message", None)
        told["reason"] = told["reason"].partition(":")[0] if "reason" in told else ""
    for condition in status.get("conditions", ()):
        if condition["reason"] == "RolledBack":
            condition["message"] = ""
    return value


def decisions(server: ApiServer) -> dict[str, int]:
    """How often each decision was told as an Event."""
    events = (obj for ref, obj in server.objects.items() if ref.kind == "Event" and obj["reason"] in DECISIONS)
    return {f"{e['reason']}: {NUMBER.sub('N', e['message'])}": e["count"] for e in events}


def jobs_made(server: ApiServer) -> list[str]:
    """Every Job that was ever made: one that is made twice shows twice."""
    return sorted(str(ref) for ref in server.made if ref.kind == "Job")
