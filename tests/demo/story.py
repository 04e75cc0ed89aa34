"""Telling what happens to some objects while it happens, from their own conditions, until all are ready."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.cluster import wait
from tests.cluster.errors import ClusterError
from tests.cluster.progress import say
from tests.demo import release

Json = dict[str, Any]


class StoryFailed(ClusterError):
    """An object stalled, or was not ready in time; the message is its own."""


@dataclass(frozen=True)
class Character:
    """An object to follow. `until`: the reason of Ready that counts; empty: any Ready=True."""

    kind: str
    name: str
    until: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def follow(namespace: str, cast: Sequence[Character], seconds: float) -> dict[str, float]:
    """Prints each change of what the objects say; returns when each was ready, in seconds from the start."""
    started = time.monotonic()
    told: dict[Character, str] = {}
    done: dict[str, float] = {}

    def check() -> str | None:
        missing = []
        for one in cast:
            obj = get(namespace, one)
            ready = condition(obj, "Ready")
            line = f"{ready.get('reason', 'Pending')}: {ready.get('message', 'not looked at yet')}"
            if told.get(one) != line:
                told[one] = line
                say(f"  {one!s:<34} {line}")
            if _is_done(one, ready):
                done.setdefault(str(one), time.monotonic() - started)
                continue
            missing.append(str(one))
            if condition(obj, "Stalled").get("status") == "True":
                raise StoryFailed(f"{one} stalled: {line}")
        return f"not ready: {', '.join(missing)}" if missing else None

    try:
        wait.until(check, seconds)
    except wait.StillWaiting as error:
        raise StoryFailed(f"after {seconds:.0f} s {error}; see: kubectl get mainspring,pods -n {namespace}") from error
    return done


def get(namespace: str, one: Character) -> Json:
    text = release.kubectl("get", one.kind, one.name, "-n", namespace, "-o", "json", "--ignore-not-found")
    found: Json = json.loads(text) if text.strip() else {}
    return found


def condition(obj: Json, kind: str) -> Json:
    """Empty while there is none."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == kind), {})


def _is_done(one: Character, ready: Json) -> bool:
    return ready.get("status") == "True" and one.until in ("", ready.get("reason"))
