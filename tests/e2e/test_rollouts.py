"""Rollouts under load: good ones are taken, bad ones are rolled back by themselves, and no request fails on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from tests.e2e import artifacts, candidates
from tests.e2e.conftest import SpaceMaker
from tests.e2e.control_plane import IN_TURN, ControlPlane
from tests.e2e.space import STEP_SECONDS, Space
from tests.e2e.traffic import Traffic

# What is much worse is found quickly: a few dozen requests tell.
QUICK = {
    "steps": [30],
    "stepDuration": "2s",
    "maxHold": "30s",
    "analysis": {"maxErrorRateIncrease": 0.3, "maxSlowShareIncrease": 0.4, "maxDisagreement": 0.3},
}


@pytest.fixture
def killer(make_space: SpaceMaker, control_plane: ControlPlane) -> Space:
    space = make_space("killer", "privileged")
    control_plane.start_killer(space)
    return space


@pytest.fixture
def traffic(space: Space, flower_model: Path, control_plane: ControlPlane) -> Iterator[Traffic]:
    """Version 1 serves, and is asked all the time; in the end no request has failed."""
    artifacts.serve_imported(space, flower_model)
    started = Traffic(space, control_plane.variable("MAINSPRING_JOBS_IMAGE"))
    started.until_answered("1")
    yield started
    last = started.end()
    assert last.failed == 0, f"{last.failed} of {last.sent} requests failed: {last.errors}"


def status(space: Space) -> dict[str, Any]:
    return dict(space.get("InferenceService", "flowers")["status"])


def until_weight(space: Space, weight: int, version: str = "") -> None:
    """Until the candidate has that share; of that version, where one comes after another."""

    def reached() -> bool:
        now = space.rollout()
        return now.get("weight") == weight and version in ("", now["version"])

    space.eventually(reached, f"{weight} % of the requests for {version or 'the candidate'}", 2 * STEP_SECONDS)


def until_ended(space: Space, version: str, outcome: str, seconds: float = 2 * STEP_SECONDS) -> dict[str, Any]:
    """The last rollout, once it is one of that version."""

    def check() -> str | None:
        last = status(space)["rollouts"][-1]
        said = objects.condition(space.get("InferenceService", "flowers"), "Ready") or {}
        ended = (last["version"], last["outcome"]) == (version, outcome) and not space.rollout()
        return None if ended else f"{version} to be {outcome}; {last}; {said.get('message')}"

    space.until(check, seconds)
    return dict(status(space)["rollouts"][-1])


def pods_of(space: Space, revision: str) -> list[Object]:
    return [p for p in space.every("Pod", revision=revision) if not objects.is_deleting(p)]


@IN_TURN
def test_a_good_candidate_takes_over_step_by_step(
    space: Space, traffic: Traffic, flower_model: Path, control_plane: ControlPlane, killer: Space
) -> None:
    """Meanwhile the operator is killed at every step, the service is scaled up and down, and a node drains a pod."""
    policy = {
        "steps": [10, 50],
        # Longer than the kubelet may need to say that the operator is back, or a step would pass unseen.
        "stepDuration": "10s",
        "analysis": {"maxErrorRateIncrease": 0.1, "maxSlowShareIncrease": 0.2},
    }
    space.change("InferenceService", "flowers", rollout=policy)
    space.current("InferenceService", "flowers", "Serving")
    artifacts.import_version(space, flower_model, number=2)
    until_weight(space, 10)
    control_plane.kill(killer)
    space.change("InferenceService", "flowers", replicas=2)
    until_weight(space, 50)
    control_plane.kill(killer)
    stable = status(space)["stableRevision"]
    space.api.evict(pods_of(space, stable)[0])
    space.change("InferenceService", "flowers", replicas=1)
    until_ended(space, "flowers-v2", "Promoted")
    traffic.until_answered("2", 200)
    assert space.current("InferenceService", "flowers", "Serving")["status"]["stableVersion"] == "flowers-v2"
    assert not space.exists("Service", "flowers-candidate")
    # Callers that keep a connection open move on when the old pods go.
    space.until_gone("Pod", revision=stable)
    before = traffic.counts().versions
    traffic.until_answered("2", 200)
    assert traffic.counts().versions["1"] == before["1"]


def test_bad_candidates_are_rolled_back_by_themselves(
    space: Space, traffic: Traffic, flower_model: Path, control_plane: ControlPlane, killer: Space, tmp_path: Path
) -> None:
    space.change("InferenceService", "flowers", rollout=QUICK)
    space.change("Model", "flowers", allowPickle=True)

    artifacts.import_version(space, candidates.other_inputs(tmp_path / "inputs"), number=2)
    assert until_ended(space, "flowers-v2", "RolledBack")["reason"].startswith("ErrorRate")
    kept = space.current("InferenceService", "flowers", "RolledBack", says=["flowers-v1 keeps serving"])
    assert objects.condition_is(kept, "Available")

    artifacts.import_version(space, candidates.slow(tmp_path / "slow"), number=3)
    # On a busy machine some of its answers come too late altogether.
    assert until_ended(space, "flowers-v3", "RolledBack")["reason"].startswith(("SlowShare", "ErrorRate"))

    artifacts.import_version(space, candidates.other_answers(tmp_path / "answers"), number=4)
    assert until_ended(space, "flowers-v4", "RolledBack")["reason"].startswith("Disagreement")

    # It dies in the middle, again and again: nobody answers for it but the stable pods.
    space.change("InferenceService", "flowers", rollout={**QUICK, "stepDuration": "60s"})
    artifacts.import_version(space, flower_model, number=5)
    until_weight(space, 30)
    revision = space.rollout()["revision"]

    def dead() -> bool:
        for pod in pods_of(space, revision):
            control_plane.try_to_kill(killer, pod)
        return not space.rollout()

    space.eventually(dead, "the end of the rollout", STEP_SECONDS)
    assert until_ended(space, "flowers-v5", "RolledBack")["reason"].startswith(("ErrorRate", "ContainerFailed"))

    # Settings with which no pod comes up: one ends again and again, one is never placed.
    space.change("InferenceService", "flowers", resources={"limits": {"memory": "24Mi"}})
    says = ["spec.resources.limits.memory", "flowers-v1 keeps serving"]
    space.failed("InferenceService", "flowers", "Failed", says, seconds=STEP_SECONDS)
    nowhere = {"nodeSelector": {"mainspring.dev/nowhere": "true"}}
    space.change("InferenceService", "flowers", resources=None, podTemplate=nowhere)
    space.failed("InferenceService", "flowers", "Unschedulable", ["flowers-v1 keeps serving"], heals=True)
    space.failed("InferenceService", "flowers", "Failed", ["NotReady", "flowers-v1 keeps serving"])
    assert traffic.counts().versions.keys() <= {"1", "3", "4", "5"}


def test_people_and_newer_versions_end_a_rollout(space: Space, traffic: Traffic, flower_model: Path) -> None:
    space.change("InferenceService", "flowers", rollout={"steps": [20], "stepDuration": "10m"})
    artifacts.import_version(space, flower_model, number=2)
    until_weight(space, 20)
    space.annotate("InferenceService", "flowers", abort=space.rollout()["revision"])
    until_ended(space, "flowers-v2", "Aborted")

    artifacts.import_version(space, flower_model, number=3)
    until_weight(space, 20)
    traffic.until_answered("3", 20)
    artifacts.import_version(space, flower_model, number=4)
    until_weight(space, 20, "flowers-v4")
    outcomes = [(r["version"], r["outcome"]) for r in status(space)["rollouts"]]
    assert outcomes[-1] == ("flowers-v3", "Superseded")
    space.annotate("InferenceService", "flowers", promote=space.rollout()["revision"])
    until_ended(space, "flowers-v4", "Promoted")
    traffic.until_answered("4")

    # What served before comes back at once.
    space.change("Model", "flowers", aliases={"champion": "flowers-v1"})
    assert until_ended(space, "flowers-v1", "Promoted")["reason"] == "ServedBefore"
    traffic.until_answered("1")


def test_a_stable_pod_that_is_killed_costs_only_what_was_in_flight(
    space: Space, flower_model: Path, control_plane: ControlPlane, killer: Space
) -> None:
    """In the middle of a rollout; a client that tries once more after a moment sees nothing of it."""
    artifacts.serve_imported(space, flower_model)
    space.change("InferenceService", "flowers", replicas=2, rollout={"steps": [20], "stepDuration": "10m"})
    space.current("InferenceService", "flowers", "Serving", says=["2 pods"])
    traffic = Traffic(space, control_plane.variable("MAINSPRING_JOBS_IMAGE"), retries=1)
    traffic.until_answered("1")
    artifacts.import_version(space, flower_model, number=2)
    until_weight(space, 20)
    traffic.until_answered("2", 20)
    control_plane.kill_pod(killer, pods_of(space, status(space)["stableRevision"])[0])
    traffic.until_answered("1", 300)
    last = traffic.end()
    assert last.failed == 0, last
    # Each of the four clients has at most one request in flight on that pod.
    assert last.tries_failed <= 4, last
