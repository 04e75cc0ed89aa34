"""The closed loop of the example, with nobody typing: the world changes, quality falls, a new model takes over and it
recovers. The operator is killed ten times on the way, and it makes no difference."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import pytest

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from tests.cluster import wait
from tests.demo import closed_loop, release
from tests.e2e.conftest import SpaceMaker
from tests.e2e.control_plane import IN_TURN, ControlPlane
from tests.e2e.space import STEP_SECONDS, Space

CHANGE_SECONDS = 180  # till then the usual has to be known, on a busy machine and with the operator killed now and then
RECOVER_SECONDS = 900.0
KILLS, PAUSES = 10, (10.0, 45.0)


class Mishaps:
    """SIGKILLs at random times, until all are done; the times follow from a seed that is told."""

    def __init__(self, control_plane: ControlPlane, killer: Space) -> None:
        self._control_plane = control_plane
        self._killer = killer
        seed = random.SystemRandom().randrange(10_000)
        print(f"the times of the kills follow from seed {seed}")
        self._random = random.Random(seed)
        self.kills = 0
        self._next = self._later()

    def during(self, check: wait.Check) -> wait.Check:
        """The same check, with a kill before it when one is due."""

        def checked() -> str | None:
            if self.kills < KILLS and time.monotonic() > self._next:
                self._control_plane.kill(self._killer)
                # The kubelet waits longer before each restart of the same pod: a new one starts at once.
                self._control_plane.replace()
                self.kills += 1
                self._next = self._later()
            return check()

        return checked

    def _later(self) -> float:
        return time.monotonic() + self._random.uniform(*PAUSES)


@IN_TURN
@pytest.mark.timeout(2400)
def test_quality_recovers_with_nobody_typing_however_often_the_operator_dies(
    space: Space, make_space: SpaceMaker, control_plane: ControlPlane
) -> None:
    killer = make_space("killer", "privileged")
    control_plane.start_killer(killer)
    image = control_plane.variable("MAINSPRING_JOBS_IMAGE")
    world = closed_loop.manifests(image, space.name, CHANGE_SECONDS)
    space.apply(*(obj for obj in world if obj["kind"] != "Namespace"))
    mishaps = Mishaps(control_plane, killer)
    until(space, mishaps, "Ready", "True", "Watching", 4 * STEP_SECONDS)
    # While nothing has changed, nothing is found.
    until(space, mishaps, "PerformanceDegraded", "False", "WithinBound", 2 * STEP_SECONDS)
    assert condition(space, "DriftDetected")["status"] == "False"

    until(space, mishaps, "DriftDetected", "True", "FeaturesDrifted", CHANGE_SECONDS + 2 * STEP_SECONDS)
    # Of a window that is half old and half new, predictions may tell sooner than the feature behind them.
    space.until(mishaps.during(lambda: None if names_the_feature(space) else "temperature to be named"), STEP_SECONDS)
    until(space, mishaps, "PerformanceDegraded", "True", "BelowBound", 2 * STEP_SECONDS)

    def missing() -> str | None:
        monitor = space.get("ModelMonitor", "machines")
        status = objects.status(monitor)
        version = status.get("version")
        told = objects.condition(monitor, "PerformanceDegraded") or {}
        recovered = version != "machines-v1" and told.get("reason") == "WithinBound" and "need" not in status
        return None if recovered else f"quality to recover; {version}: {told.get('message')}; {retrain(monitor)}"

    space.until(mishaps.during(missing), RECOVER_SECONDS)
    # What is normal now becomes what windows are compared with, and the monitor turns green.
    until(space, mishaps, "DriftDetected", "False", "NoDrift", 4 * STEP_SECONDS)
    space.until(mishaps.during(lambda: None if mishaps.kills == KILLS else f"{KILLS} kills"), 4 * STEP_SECONDS)
    report = " ".join(read_report(space).split())
    assert f"ModelVersion {assert_retrained_once(space)} came of it, proved better, and took over" in report, report
    # From the first answer on, no request has failed.
    (caller,) = space.api.list("Pod", space.name, labelSelector="app=world")
    assert "request failed" not in space.api.log(caller, "world")


def names_the_feature(space: Space) -> bool:
    return "temperature" in condition(space, "DriftDetected").get("message", "")


def read_report(space: Space) -> str:
    """As a user reads it: by the command line, with a kubeconfig."""
    words = ["report", "mon/machines", "-n", space.name, "-o", "text"]
    program = "from mainspring.plugin.main import main; raise SystemExit(main())"
    called = [sys.executable, "-c", program, *words]
    done = subprocess.run(called, env=release.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_retrained_once(space: Space) -> str:
    """The version that took over."""
    entries = objects.status(space.get("ModelMonitor", "machines"))["retrains"]
    (promoted,) = (entry for entry in entries if entry["outcome"] == "Promoted")
    assert promoted["reason"] == "PerformanceDegraded"
    assert promoted["version"] == objects.status(space.get("Model", "machines"))["champion"]
    # Data is tried once for each need, and each run trains once.
    assert max(Counter(entry["datasetVersion"] for entry in entries).values()) == 1
    runs = {objects.name(run): run for run in space.every("TrainingRun")}
    assert runs.keys() == {"machines-first"} | {entry["run"] for entry in entries}
    attempts = {name: [a["outcome"] for a in objects.status(run)["attempts"]] for name, run in runs.items()}
    assert set(map(tuple, attempts.values())) == {("Succeeded",)}, attempts
    return str(promoted["version"])


def condition(space: Space, kind: str) -> dict[str, Any]:
    return dict(objects.condition(space.get("ModelMonitor", "machines"), kind) or {})


def until(space: Space, mishaps: Mishaps, kind: str, status: str, reason: str, seconds: float) -> None:
    def missing() -> str | None:
        told = condition(space, kind)
        found = (told.get("status"), told.get("reason"))
        expected = f"{kind} to be {status} {reason}"
        return None if found == (status, reason) else f"{expected}; it is {found}: {told.get('message')}"

    space.until(mishaps.during(missing), seconds)


def retrain(monitor: Object) -> str:
    told = objects.condition(monitor, "RetrainTriggered") or {}
    return f"{told.get('reason')}: {told.get('message')}"
