"""Who answers in the middle of a rollout: exactly the share that was asked for, and each user and cohort the same revision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e import artifacts
from tests.e2e.control_plane import ControlPlane
from tests.e2e.space import STEP_SECONDS, Space
from tests.e2e.traffic import Traffic

REQUESTS = 10_000
# A share is exact for each hundred requests to a pod, and counting begins and ends in the middle of a hundred.
SLACK = 0.01
USERS = [f"user-{number}" for number in range(60)]
TIMES = 3
COHORT = {"x-cohort": "beta"}


def policy(weight: int) -> dict[str, Any]:
    return {
        "steps": [weight],
        "stepDuration": "10m",
        "match": {"headers": COHORT},
        "stickyBy": {"header": "x-user"},
        # Nothing is to be found out about the candidate, however busy the machine is.
        "analysis": {"maxErrorRateIncrease": 0.5, "maxSlowShareIncrease": 0.5},
    }


def begin(space: Space, candidate: Path, number: int, weight: int) -> None:
    space.change("InferenceService", "flowers", rollout=policy(weight))
    artifacts.import_version(space, candidate, number)

    def is_applied() -> bool:
        """By every stable pod."""
        state = space.rollout()
        return state.get("weight") == weight and state["version"] == f"flowers-v{number}" and "stepStartedAt" in state

    space.eventually(is_applied, f"{weight} % of the requests to flowers-v{number}", STEP_SECONDS)


def test_a_share_is_exact_and_nobody_is_sent_to_and_fro(
    space: Space, flower_model: Path, control_plane: ControlPlane
) -> None:
    artifacts.serve_imported(space, flower_model, replicas=2)
    space.current("InferenceService", "flowers", "Serving", says=["2 pods"])
    traffic = Traffic(space, control_plane.variable("MAINSPRING_JOBS_IMAGE"), pause=0)
    traffic.until_answered("1")
    for number, weight in enumerate((5, 25, 50), 2):
        begin(space, flower_model, number, weight)
        before = traffic.counts()
        traffic.until_answered("1", round((1 + SLACK) * REQUESTS * (1 - weight / 100)))
        after = traffic.counts()
        answered = {version: after.versions[version] - before.versions.get(version, 0) for version in after.versions}
        assert sum(answered.values()) >= REQUESTS
        assert answered[str(number)] / sum(answered.values()) == pytest.approx(weight / 100, abs=SLACK), answered
    assert traffic.end().failed == 0

    seen = [[space.answering(headers={"x-user": user}) for user in USERS] for _ in range(TIMES)]
    assert seen == [seen[0]] * TIMES
    assert set(seen[0]) == {"1", "4"}
    assert {space.answering(headers={"x-user": user, **COHORT}) for user in USERS} == {"4"}
