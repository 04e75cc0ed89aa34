"""The closed loop with nobody typing: what the world is, what the monitor says, and how long each stage took."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import wait
from tests.cluster.progress import say
from tests.demo import release, story
from tests.demo.story import Character, Json, StoryFailed

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/03-closed-loop"
SPACE, IMAGE = "closed-loop", re.compile(r"image: mainspring/runtime-jobs:\S+")
CHANGE_SECONDS = 240
WAIT_SECONDS = 900.0
MONITOR = Character("modelmonitor", "machines")
TOLD = ("DriftDetected", "PerformanceDegraded", "RetrainTriggered")

NEXT = """
The loop closed by itself. What to look at next:

  kubectl describe mon machines -n closed-loop            what was found, and every retrain with its reason
  kubectl get events -n closed-loop --sort-by=.lastTimestamp
  kubectl get trainingruns,modelversions -n closed-loop
  kubectl describe mdl,inf machines -n closed-loop        how each version was rolled out, and why it became champion
  kubectl logs -n closed-loop deployment/world -f         what the world sees
  pip install '.[cli]' && kubectl mainspring report mon/machines -n closed-loop -o html --output-file machines.html
"""

Stage = tuple[str, Callable[[Json], bool]]


def manifests(image: str, namespace: str = SPACE, change_seconds: int = CHANGE_SECONDS) -> list[dict[str, Any]]:
    """The example, with the image that is there, in this namespace, and a world that changes so long after its start."""
    texts = [path.read_text() for path in sorted(EXAMPLE.glob("*.yaml"))]
    placed = IMAGE.sub(f"image: {image}", "\n---\n".join(texts).replace(SPACE, namespace))
    timed = placed.replace(f'value: "{CHANGE_SECONDS}"', f'value: "{change_seconds}"')
    return [obj for obj in yaml.safe_load_all(timed) if obj]


def run() -> None:
    """Applies the example and tells the story until quality has recovered. Raises `StoryFailed`."""
    release.kubectl("delete", "namespace", SPACE, "--ignore-not-found", "--timeout=120s", timeout=150.0)
    say("kubectl apply -f examples/03-closed-loop/   (machines that are run hotter after four minutes)")
    release.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests(_image())))
    reached = _follow(time.monotonic())
    say("seconds from `kubectl apply` until")
    for stage, seconds in reached.items():
        say(f"  {stage:<42} {seconds:4.0f}")
    _count_failures()
    print(NEXT)


def _image() -> str:
    """The operator knows which image its Jobs run."""
    words = ("get", "deployment", release.RELEASE, "-n", release.NAMESPACE, "-o", "json")
    container = json.loads(release.kubectl(*words))["spec"]["template"]["spec"]["containers"][0]
    return next(str(item["value"]) for item in container["env"] if item["name"] == "MAINSPRING_JOBS_IMAGE")


def _stages() -> list[Stage]:
    def said(kind: str, status: str) -> Callable[[Json], bool]:
        return lambda monitor: story.condition(monitor, kind).get("status") == status

    def served_anew(monitor: Json) -> bool:
        return bool(monitor.get("status", {}).get("version", "machines-v1") != "machines-v1")

    def triggered(monitor: Json) -> bool:
        return bool(monitor.get("status", {}).get("retrains"))

    return [
        ("the first version is served and watched", said("Ready", "True")),
        ("measured quality is found good", said("PerformanceDegraded", "False")),
        ("drift is found", said("DriftDetected", "True")),
        ("measured quality is found bad", said("PerformanceDegraded", "True")),
        ("a TrainingRun starts by itself", triggered),
        ("a better version is served", served_anew),
        ("its measured quality is found good", said("PerformanceDegraded", "False")),
        ("the monitor is green", lambda monitor: said("DriftDetected", "False")(monitor) and _is_green(monitor)),
    ]


def _is_green(monitor: Json) -> bool:
    return "need" not in monitor["status"]


def _follow(started: float) -> dict[str, float]:
    reached: dict[str, float] = {}
    left, told = _stages(), dict.fromkeys(TOLD, "")

    def check() -> str | None:
        monitor = story.get(SPACE, MONITOR)
        for kind in TOLD:
            found = story.condition(monitor, kind)
            line = f"{found.get('status')} {found.get('reason')}: {found.get('message')}" if found else ""
            if line.partition(":")[0] != told[kind].partition(":")[0]:
                told[kind] = line
                say(f"  {kind:<20} {line}")
        while left and left[0][1](monitor):
            reached[left.pop(0)[0]] = time.monotonic() - started
        return left[0][0] if left else None

    try:
        wait.until(check, WAIT_SECONDS)
    except wait.StillWaiting as missing:
        raise StoryFailed(
            f"after {WAIT_SECONDS:.0f} s still waiting until {missing}; see: kubectl describe mon -n {SPACE}"
        ) from missing
    return reached


def _count_failures() -> None:
    lines = release.kubectl("logs", "-n", SPACE, "deployment/world").splitlines()
    failed = sum("request failed" in line for line in lines)
    say(f"the world's last word: {lines[-1]}; requests that failed once the service was there: {failed}")
    if failed:
        raise StoryFailed(f"{failed} requests failed: kubectl logs -n {SPACE} deployment/world")
