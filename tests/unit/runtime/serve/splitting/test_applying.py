"""The mounted file, what is applied of it, and what is told."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest

from mainspring.api import splitting as contract
from mainspring.api.splitting import Split, SplitSnapshot
from mainspring_runtime.serve.splitting import wire
from mainspring_runtime.serve.splitting.outgoing import Pool
from mainspring_runtime.serve.splitting.splitting import MOST_STAGES
from tests.unit.runtime.serve import contracts
from tests.unit.runtime.serve.splitting.pods import (
    BRIEF_SECONDS,
    CANDIDATE,
    STABLE,
    Pod,
    Scene,
    play,
    split_to,
    total,
    until,
)

ROLLOUTS = 200
STRUCTS = ("Split", "ArmCounts", "StageCounts", "SplitSnapshot")


@pytest.mark.parametrize("name", STRUCTS)
def test_a_struct_has_the_fields_types_and_defaults_of_the_contract(name: str) -> None:
    counted = name == "StageCounts"
    contracts.require_same(getattr(contract, name), getattr(wire, name), defaults=not counted)


def test_the_constants_are_those_of_the_contract() -> None:
    names = ["SPLIT_KEY", "SPLIT_DIR", "SNAPSHOT_PATH", "FORMAT", "SECONDS_BOUNDS"]
    names += ["FORWARDED_HEADER", "SHADOW_HEADER", "SECONDS_HEADER"]
    for name in names:
        assert getattr(wire, name) == getattr(contract, name)
    assert wire.digest(b"x") == contract.digest(b"x")


def test_without_a_file_nothing_is_split(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable = await scene.pod(STABLE)
        stable.splitting.look()
        assert stable.splitting.division is None
        assert stable.snapshot() == SplitSnapshot(revision=STABLE, epoch="1.0")

    play(tmp_path, scenario)


def test_a_changed_file_is_applied_by_itself_and_told(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable = await scene.pod(STABLE)
        watching = asyncio.create_task(stable.splitting.watch())
        for weight in (5, 25):
            split = split_to(1, weight=weight)
            stable.write(contracts.as_json(split))
            await told(stable, wire.digest(contracts.as_json(split)))
            assert stable.splitting.division is not None
            assert stable.splitting.division.split.weight == weight
        (stable.directory / "split.json").unlink()
        await until(lambda: stable.splitting.division is None)
        assert stable.snapshot().applied == ""
        watching.cancel()

    play(tmp_path, scenario)


def test_a_file_that_the_kubelet_exchanges_is_seen(tmp_path: Path) -> None:
    """As a mounted ConfigMap: the file is a link into a directory that is a link."""

    def mount(directory: Path, name: str, weight: int) -> None:
        (directory / name).mkdir()
        (directory / name / "split.json").write_bytes(contracts.as_json(split_to(1, weight=weight)))
        (directory / "..new").symlink_to(name)
        (directory / "..new").rename(directory / "..data")

    async def scenario(scene: Scene) -> None:
        stable = await scene.pod(STABLE)
        mount(stable.directory, "..2026_1", 5)
        (stable.directory / "split.json").symlink_to("..data/split.json")
        for name, weight in (("..2026_2", 25), ("..2026_3", 50)):
            stable.splitting.look()
            mount(stable.directory, name, weight)
            stable.splitting.look()
            assert stable.splitting.division is not None
            assert stable.splitting.division.split.weight == weight

    play(tmp_path, scenario)


async def told(pod: Pod, digest: str) -> None:
    await until(lambda: pod.snapshot().applied == digest)


def test_a_file_that_is_there_at_the_start_is_applied_at_once(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable = await scene.pod(STABLE)
        stable.write(contracts.as_json(split_to(1, weight=5)))
        watching = asyncio.create_task(stable.splitting.watch())
        await asyncio.sleep(0)
        assert stable.splitting.division is not None
        watching.cancel()

    play(tmp_path, scenario)


@pytest.mark.parametrize("revision", [CANDIDATE, "", "tumours-other"])
def test_a_split_of_another_revision_is_read_and_left_alone(tmp_path: Path, revision: str) -> None:
    async def scenario(scene: Scene) -> None:
        pod = await scene.pod(STABLE)
        split = split_to(0, revision=revision, weight=100, host="")
        pod.apply(split)
        assert pod.splitting.division is None
        told = pod.snapshot()
        assert (told.applied, told.reason) == (wire.digest(contracts.as_json(split)), None)

    play(tmp_path, scenario)


def test_a_server_without_a_revision_applies_nothing(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        pod = await scene.pod("nameless", revision="")
        pod.apply(split_to(1, revision="", weight=100))
        assert pod.splitting.division is None

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "is not a split: Input data was truncated"),
        (b"{}", "is not a split: Object missing required field `revision`"),
        (contracts.as_json(split_to(1, weight=101)), "Expected `int` <= 100 - at `$.weight`"),
        (contracts.as_json(split_to(1, format=2)), "format 2 is not known; this server knows 1"),
    ],
)
def test_what_cannot_be_read_leaves_the_former_split_and_says_why(tmp_path: Path, content: bytes, problem: str) -> None:
    async def scenario(scene: Scene) -> None:
        stable, _ = await scene.both(weight=100)
        before = stable.snapshot().applied
        stable.write(content)
        stable.splitting.look()
        told = stable.snapshot()
        assert told.applied == before
        assert problem in (told.reason or "")
        assert (await scene.caller(stable).ask(1.0)).value == 1001.0
        stable.apply(split_to(1, weight=0))
        assert stable.snapshot().reason is None

    play(tmp_path, scenario)


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable = await scene.pod(STABLE)
        (stable.directory / "split.json").mkdir()
        stable.splitting.look()
        assert "cannot be read: Is a directory" in (stable.snapshot().reason or "")

    play(tmp_path, scenario)


def test_counts_are_kept_by_stage_and_begin_anew_with_another_rollout(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable, candidate = await scene.both(weight=100, stage=1)
        caller = scene.caller(stable)
        await caller.ask(1.0)

        def split(**fields: object) -> Split:
            return split_to(candidate.port, **fields)

        stable.apply(split(weight=0, stage=2))
        await caller.ask(1.0)
        stable.apply(split(weight=100, stage=1))
        await caller.ask(1.0)
        seen = {stage.stage: (stage.candidate.requests, stage.stable.requests) for stage in stable.snapshot().stages}
        assert seen == {1: (2, 0), 2: (0, 1)}
        stable.apply(None)
        assert (stable.snapshot().rollout, len(stable.snapshot().stages)) == ("r1", 2)
        await caller.ask(1.0)
        assert sum(stage.stable.requests for stage in stable.snapshot().stages) == 1, "there is no split"
        stable.apply(split(rollout="r2", weight=100))
        told = stable.snapshot()
        assert (told.rollout, [total(stage.candidate) for stage in told.stages]) == ("r2", [(0, 0)])

    play(tmp_path, scenario)


def test_a_request_counts_for_the_stage_in_which_it_was_drawn(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        candidate = await scene.scripted(lambda _request: None)
        stable = await scene.pod(STABLE, request_seconds=BRIEF_SECONDS)
        stable.apply(split_to(candidate.port, weight=100, stage=1))
        asking = asyncio.create_task(scene.caller(stable).ask(1.0))
        await until(lambda: bool(candidate.asked))
        stable.apply(split_to(candidate.port, weight=0, stage=2))
        assert (await asking).value == 1.0
        first, second = stable.snapshot().stages
        assert (total(first.candidate), total(second.candidate)) == ((1, 1), (0, 0))

    play(tmp_path, scenario)


def test_stages_without_end_do_not_fill_the_memory(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable = await scene.pod(STABLE)
        for stage in range(MOST_STAGES + 5):
            stable.apply(split_to(1, stage=stage))
        assert [stage.stage for stage in stable.snapshot().stages] == list(range(5, MOST_STAGES + 5))

    play(tmp_path, scenario)


def test_connections_stay_within_a_rollout_and_not_beyond(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable, candidate = await scene.both(weight=100)
        caller = scene.caller(stable)
        await caller.ask(1.0)
        (first,) = candidate.listener.shared.connections
        stable.apply(split_to(candidate.port, weight=99, stage=1))
        await caller.ask(1.0)
        assert set(candidate.listener.shared.connections) == {first}
        stable.apply(split_to(candidate.port, weight=100, candidate_revision="tumours-newer", rollout="r2"))
        await until(lambda: not candidate.listener.shared.connections)

    play(tmp_path, scenario)


def test_candidates_that_come_and_go_leave_nothing_behind(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable, candidate = await scene.both(weight=50, mirror=100)
        caller = scene.caller(stable)
        await caller.ask(1.0)
        tasks = len(asyncio.all_tasks())
        for number in range(ROLLOUTS):
            stable.apply(split_to(candidate.port, rollout=f"r{number}", weight=50, mirror=100))
            for _ in range(2):
                await caller.ask(1.0)
        stable.apply(None)
        await until(lambda: not candidate.listener.shared.connections)
        assert len(asyncio.all_tasks()) <= tasks
        assert _living(Pool) <= 4, "two of the last one, and of the one before if it was busy"

    play(tmp_path, scenario)


def _living(kind: type) -> int:
    gc.collect()
    return sum(isinstance(found, kind) for found in gc.get_objects())
