"""Stopping, going on, giving up and trying again, as a run's spec says."""

from __future__ import annotations

import textwrap

from mainspring.plan.common import objects
from tests.e2e import manifests
from tests.e2e.control_plane import ControlPlane
from tests.e2e.space import Space

WAITS = textwrap.dedent(
    """
    import signal, sys
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.pause()
    """
)
FOREST = {"class": "sklearn.ensemble.RandomForestClassifier", "params": {"n_estimators": 300}}


def test_suspend_deadline_and_retries(space: Space, control_plane: ControlPlane) -> None:
    image = control_plane.variable("MAINSPRING_JOBS_IMAGE")

    def container(script: str) -> dict[str, object]:
        return {"image": image, "command": ["python", "-c", script]}

    space.apply(
        manifests.dataset(),
        manifests.model(),
        manifests.run("paused", suspend=True),
        manifests.run("stopped", estimator=FOREST),
        manifests.run("slow", container=container(WAITS), deadline="15s"),
        manifests.run("failing", container=container("import sys; sys.exit(3)"), retries=1),
        manifests.run("no-image", container={"image": "localhost/mainspring/no-such-image:1"}),
        manifests.run("unknown", estimator={"class": "sklearn.ensemble.RandomForest"}),
        manifests.run("wrong", estimator={"class": manifests.LOGISTIC, "params": {"C": "much"}}),
    )
    stop_and_go_on(space)

    space.failed("TrainingRun", "slow", "DeadlineExceeded", ["spec.deadline"])
    failed = space.failed(
        "TrainingRun",
        "failing",
        "ContainerFailed",
        ["after 2 attempts", "exit code 3", "kubectl logs"],
    )
    assert [a["outcome"] for a in failed["status"]["attempts"]] == ["Failed", "Failed"]
    assert [a["exitCode"] for a in failed["status"]["attempts"]] == [3, 3]

    space.failed(
        "TrainingRun", "no-image", "ImagePullBackOff", ["no-image-train-1", "localhost/mainspring/no-such-image:1"]
    )

    # Trying again would not help: one attempt, and the field is named.
    unknown = space.failed(
        "TrainingRun",
        "unknown",
        "UnknownEstimator",
        ["spec.estimator.class", "sklearn.ensemble.RandomForestClassifier"],
    )
    wrong = space.failed("TrainingRun", "wrong", "InvalidParameters", ["spec.estimator.params", "C"])
    assert len(unknown["status"]["attempts"]) == len(wrong["status"]["attempts"]) == 1

    space.current("TrainingRun", "paused", "Suspended")
    assert not space.every("Job", training_run="paused")
    space.change("TrainingRun", "paused", suspend=False)
    space.current("TrainingRun", "paused", "Succeeded")


def stop_and_go_on(space: Space) -> None:
    """A suspended run gives its room back at once and then goes on as the same attempt."""
    space.until_running(training_run="stopped")
    space.change("TrainingRun", "stopped", suspend=True)
    space.current("TrainingRun", "stopped", "Suspended")
    space.until_gone("Pod", training_run="stopped")
    space.change("TrainingRun", "stopped", suspend=False)
    run = space.current("TrainingRun", "stopped", "Succeeded")
    assert [(a["number"], a["outcome"]) for a in run["status"]["attempts"]] == [(1, "Succeeded")]
    assert len(space.every("Job", training_run="stopped")) == 1
    assert objects.spec(space.every("Job", training_run="stopped")[0])["suspend"] is False
