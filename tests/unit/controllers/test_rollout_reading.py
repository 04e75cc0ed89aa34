"""What is read for a rollout, one look after the other, while pods come and go."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring.api.load import Load
from mainspring.api.monitoring import FeedbackCounts, Reference, Snapshot
from mainspring.api.splitting import ArmCounts, SplitSnapshot, StageCounts
from mainspring.api.v1alpha1.common import LABEL_REVISION
from mainspring.api.v1alpha1.inferenceservice import InferenceServiceSpec
from mainspring.api.v1alpha1.rollouts import CARRIED_MAX, Cause, Phase, RolloutStatus, Strategy
from mainspring.controllers.rollouts import RolloutReader
from mainspring.kube import servers
from mainspring.plan.common.objects import Object, Ref
from mainspring.plan.inferenceservice import evidence
from mainspring.plan.inferenceservice.analysis import Evidence, Labels
from mainspring.plan.inferenceservice.observed import Revision
from mainspring.plan.modelmonitor.series import Sample
from tests import builders

SERVICE = Ref("InferenceService", "lab", "tumours")
STATE = RolloutStatus(
    version="tumours-v2",
    revision="new",
    from_version="tumours-v1",
    from_revision="old",
    strategy=Strategy.CANARY,
    cause=Cause.SPEC,
    phase=Phase.STEPPING,
    started_at=builders.at(-10),
)
SPEC = InferenceServiceSpec.model_validate(
    {"model": {"name": "tumours"}, "rollout": {"analysis": {"maxQualityDrop": 0.02}}}
)


class Told:
    """Answers by address; who is not there is silent."""

    def __init__(self) -> None:
        self.splits: dict[str, SplitSnapshot] = {}
        self.labels: dict[str, tuple[int, int]] = {}  # right and all, of tumours-v1

    async def split(self, address: str) -> SplitSnapshot:
        return _found(self.splits, address)

    async def snapshot(self, address: str) -> Snapshot:
        right, rows = _found(self.labels, address)
        feedback = FeedbackCounts(rows=rows, confusion=[[right, rows - right], [0, 0]])
        facts = {"model": "tumours", "version": "1", "digest": "d", "epoch": address, "started": builders.at(-60)}
        return Snapshot.model_validate({**facts, "rows": rows, "columns": [], "feedback": feedback})

    async def reference(self, address: str) -> Reference:
        raise AssertionError(address)

    async def load(self, address: str) -> Load:
        raise AssertionError(address)

    async def query(self, url: str, expression: str, at: float | None = None) -> list[Sample]:
        raise AssertionError(expression)


def _found(every: dict[str, Any], address: str) -> Any:
    if address not in every:
        raise servers.Silent("it does not answer: TimeoutError")
    return every[address]


def pods(numbers: range) -> Revision:
    found = [
        {"kind": "Pod", "metadata": {"name": f"p{n}"}, "status": {"podIP": f"10.0.0.{n}", "phase": "Running"}}
        for n in numbers
    ]
    deployment: Object = {"kind": "Deployment", "metadata": {"name": "d", "labels": {LABEL_REVISION: "old"}}}
    return Revision(deployment, pods=tuple(found))


def said(epoch: str, requests: int) -> SplitSnapshot:
    stage = StageCounts(stage=0, stable=ArmCounts(requests=requests))
    return SplitSnapshot(revision="old", epoch=epoch, rollout=evidence.rollout_id(STATE), stages=[stage])


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def reader(told: Told) -> RolloutReader:
    return RolloutReader(told, told)


async def look(reader: RolloutReader, state: RolloutStatus, stable: Revision) -> tuple[RolloutStatus, Evidence]:
    counts = await reader.read(SERVICE, SPEC, state, stable, None)
    kept = evidence.remember_labels(evidence.keep(state, counts), counts)
    return kept, evidence.gather(kept, counts)


async def test_however_many_pods_go_the_counts_of_each_are_added_once(told: Told, reader: RolloutReader) -> None:
    many = range(2 * CARRIED_MAX + 20)
    told.splits = {f"10.0.0.{n}:8081": said(f"e{n}", 10) for n in many}
    state, found = await look(reader, STATE, pods(many))
    for _ in range(8):
        state, found = await look(reader, state, pods(range(0)))
    assert sum(stage.stable.requests for stage in found.stages) == 10 * len(many)
    assert len(state.counted_of or ()) == CARRIED_MAX


async def test_what_was_counted_comes_only_once_also_from_a_pod_that_is_there_again(
    told: Told, reader: RolloutReader
) -> None:
    """A node that was lost for a moment."""
    told.splits = {"10.0.0.1:8081": said("e1", 10)}
    state = STATE
    for there in (range(1, 2), range(0), range(0), range(1, 2), range(0), range(1, 2)):
        state, found = await look(reader, state, pods(there))
    assert sum(stage.stable.requests for stage in found.stages) == 10


async def test_only_labels_since_the_rollout_began_count(told: Told, reader: RolloutReader) -> None:
    told.labels = {"10.0.0.1:8081": (700, 1000)}
    state, found = await look(reader, STATE, pods(range(1, 2)))
    assert found.stable_labels is None
    told.labels = {"10.0.0.1:8081": (790, 1100)}
    _, found = await look(reader, state, pods(range(1, 2)))
    assert found.stable_labels == Labels(90, 100)


@pytest.mark.parametrize("trouble", ["silent", "gone", "started anew"])
async def test_labels_of_before_do_not_come_in_when_a_pod_goes_or_is_silent(
    told: Told, reader: RolloutReader, trouble: str
) -> None:
    """Before the rollout 70 % were right, since then 90 %."""
    told.labels = {f"10.0.0.{n}:8081": (700, 1000) for n in range(1, 4)}
    state, _ = await look(reader, STATE, pods(range(1, 4)))
    told.labels = {f"10.0.0.{n}:8081": (1420, 1800) for n in range(1, 4)}
    del told.labels["10.0.0.3:8081"]
    if trouble == "started anew":
        told.labels["10.0.0.4:8081"] = (0, 0)
    there = range(1, 5) if trouble == "started anew" else range(1, 4) if trouble == "silent" else range(1, 3)
    _, found = await look(reader, state, pods(there))
    assert found.stable_labels == Labels(1440, 1600)


async def test_last_words_are_told_again_until_they_are_written_down(told: Told, reader: RolloutReader) -> None:
    """A container started anew in its pod, and the plan that had its counts was lost to a conflict."""
    told.splits = {"10.0.0.1:8081": said("e1", 10)}
    await look(reader, STATE, pods(range(1, 2)))
    told.splits = {"10.0.0.1:8081": said("e2", 1)}
    await look(reader, STATE, pods(range(1, 2)))
    state, found = await look(reader, STATE, pods(range(1, 2)))
    assert sum(stage.stable.requests for stage in found.stages) == 11
    for _ in range(2):
        state, found = await look(reader, state, pods(range(1, 2)))
    assert sum(stage.stable.requests for stage in found.stages) == 11
