"""From a candidate to all requests, on the running test cluster: steps of 10 s at about 150 requests a second.

Needs a cluster with the release (`make install`). The client keeps its connections open and tries nothing again.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench import table
from tests.demo import release
from tests.e2e import api, manifests
from tests.e2e.control_plane import ControlPlane
from tests.e2e.messages import Messages
from tests.e2e.space import Space
from tests.e2e.traffic import Traffic

POLICY = {"steps": [5, 25, 50], "stepDuration": "10s"}
OTHER = {"class": manifests.LOGISTIC, "params": {"max_iter": 500, "C": 0.5}}
LONGEST_SECONDS = 300.0


def main() -> None:
    # A socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="cycle-"))
    try:
        with api.connect(folder) as connected:
            space = Space(connected, Messages(None), "cycle")
            space.create()
            try:
                _measure(space, ControlPlane(connected))
            finally:
                release.kubectl("delete", "namespace", space.name, "--wait=false")
    finally:
        shutil.rmtree(folder)


def _measure(space: Space, control_plane: ControlPlane) -> None:
    space.apply(manifests.dataset(), manifests.model(), manifests.run(), manifests.service(replicas=2, rollout=POLICY))
    space.current("InferenceService", "flowers", "Serving")
    traffic = Traffic(space, control_plane.variable("MAINSPRING_JOBS_IMAGE"))
    traffic.until_answered("1", 300)
    space.apply(manifests.run("second", estimator=OTHER))
    space.eventually(lambda: _service(space).get("candidateVersion") == "flowers-v2", "the candidate", LONGEST_SECONDS)
    began, before = time.monotonic(), traffic.counts()
    rows: list[list[Any]] = []

    def seen() -> bool:
        status = _service(space)
        rollout = status.get("rollout") or {}
        now = rollout.get("phase", status["rollouts"][-1]["outcome"]), rollout.get("weight", 100)
        if not rows or tuple(rows[-1][1:3]) != now:
            rows.append([f"{time.monotonic() - began:.0f}", *now, _told(rollout)])
        return "rollout" not in status

    space.eventually(seen, "the end of the rollout", LONGEST_SECONDS)
    seconds, after = time.monotonic() - began, traffic.end()
    rate = (after.sent - before.sent) / seconds
    title = f"{seconds:.0f} s at {rate:.0f} requests a second, {after.failed} of {after.sent} failed"
    table.show(title, ["after s", "phase", "weight", "judged so far"], rows)


def _told(rollout: dict[str, Any]) -> str:
    metrics = rollout.get("metrics") or ()
    return ", ".join(f"{m['name']} {m.get('requests', 0)} of {m.get('needed')}" for m in metrics)


def _service(space: Space) -> dict[str, Any]:
    return dict(space.get("InferenceService", "flowers")["status"])


if __name__ == "__main__":
    main()
