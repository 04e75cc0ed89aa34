"""Who gets the candidate: exact shares, and users that stay where they are."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring_runtime.serve.splitting.choosing import Arm, Chooser, Turns
from mainspring_runtime.serve.splitting.wire import Split
from tests.unit.runtime.serve.splitting.pods import Scene, play

REQUESTS = 10_000


def chooser(weight: int, candidate: str = "new", **fields: Any) -> Chooser:
    return Chooser(Split("old", "r", "host", 1, candidate, weight=weight, **fields))


def shares(found: Chooser, requests: list[dict[bytes, bytes]]) -> Counter[Arm]:
    return Counter(found.choose(headers) for headers in requests)


@pytest.mark.parametrize("weight", [0, 1, 5, 25, 50, 99, 100])
def test_the_share_of_requests_without_an_id_is_exact(weight: int) -> None:
    found = shares(chooser(weight), [{}] * REQUESTS)
    assert found[Arm.CANDIDATE] == weight * REQUESTS / 100


@pytest.mark.parametrize("weight", [5, 25, 50])
@pytest.mark.parametrize(("header", "fields"), [(b"x-request-id", {}), (b"x-user", {"sticky_header": "x-user"})])
def test_the_share_by_hash_is_within_a_point(weight: int, header: bytes, fields: dict[str, Any]) -> None:
    found = shares(chooser(weight, **fields), [{header: b"key-%d" % number} for number in range(REQUESTS)])
    assert found[Arm.CANDIDATE] == pytest.approx(weight * REQUESTS / 100, abs=REQUESTS / 100)


@given(percent=st.integers(0, 100), start=st.integers(0, 99), seed=st.integers())
def test_each_block_of_a_hundred_turns_has_just_so_many_and_no_run_of_hundred_has_more_than_two_blocks_may(
    percent: int, start: int, seed: int
) -> None:
    turns = Turns(percent, random.Random(seed).sample)
    drawn = [turns.next() for _ in range(300)]
    assert [sum(drawn[place : place + 100]) for place in (0, 100, 200)] == [percent] * 3
    assert sum(drawn[start : start + 100]) <= 2 * percent


def test_turns_do_not_fall_in_step_with_a_caller_that_repeats_itself() -> None:
    """Twenty different questions, asked over and over: each goes to the candidate about as often as any other."""
    turns = Turns(5, random.Random(1).sample)
    seen = Counter(place % 20 for place in range(100_000) if turns.next())
    assert len(seen) == 20
    assert max(seen.values()) < 1.5 * min(seen.values())


def test_no_two_blocks_are_drawn_alike() -> None:
    turns = Turns(50)
    blocks = [tuple(turns.next() for _ in range(100)) for _ in range(5)]
    assert len(set(blocks)) == 5


STICKY = {
    "header": ({"sticky_header": "x-user"}, lambda key: {b"x-user": key}),
    "cookie": ({"sticky_cookie": "user"}, lambda key: {b"cookie": b"other=1; user=%s; user2=9" % key}),
    "request id": ({}, lambda key: {b"x-request-id": key}),
}


@pytest.mark.parametrize("by", STICKY)
def test_as_the_weight_rises_each_key_moves_once_and_never_back(by: str) -> None:
    fields, headers = STICKY[by]
    keys = [b"user-%d" % number for number in range(500)]
    steps = [0, 1, 5, 25, 50, 75, 99, 100]
    moved = {key: [chooser(weight, **fields).choose(headers(key)) is Arm.CANDIDATE for weight in steps] for key in keys}
    for history in moved.values():
        assert history == sorted(history)
    assert all(not history[0] and history[-1] for history in moved.values())


@given(key=st.binary(min_size=1), weights=st.lists(st.integers(1, 100), min_size=2, max_size=10))
def test_a_key_is_with_the_candidate_from_one_weight_on(key: bytes, weights: list[int]) -> None:
    drawn = {weight: chooser(weight, sticky_header="x").choose({b"x": key}) for weight in weights}
    for less, more in itertools.combinations(sorted(drawn), 2):
        assert drawn[less] is Arm.STABLE or drawn[more] is Arm.CANDIDATE


def test_another_candidate_begins_with_other_users() -> None:
    keys = [{b"x-user": b"user-%d" % number} for number in range(2000)]
    first, second = (
        {key[b"x-user"] for key in keys if chooser(10, name, sticky_header="x-user").choose(key) is Arm.CANDIDATE}
        for name in ("new", "newer")
    )
    assert len(first & second) < 0.3 * len(first)


def test_a_request_without_the_sticky_value_goes_by_its_id_or_its_turn() -> None:
    found = shares(chooser(50, sticky_cookie="user"), [{b"cookie": b"users=1; xuser=2"}] * 100)
    assert found[Arm.CANDIDATE] == 50
    by_id = shares(chooser(50, sticky_header="x-user"), [{b"x-request-id": b"a"}] * 100)
    assert len(by_id) == 1


@pytest.mark.parametrize("cookie", [b"user=a", b"x=1; user=a", b"x=1;user=a ;y=2", b"x=1, user=a", b"user=a; user=b"])
def test_a_cookie_is_found_wherever_it_is(cookie: bytes) -> None:
    found = chooser(50, sticky_cookie="user")
    same = chooser(50, sticky_header="x-user")
    assert found.choose({b"cookie": cookie}) is same.choose({b"x-user": b"a"})


def test_headers_that_match_go_to_the_candidate_whatever_the_weight() -> None:
    match = {"x-cohort": "beta", "x-region": "eu"}
    for weight in (0, 5, 100):
        found = chooser(weight, match=match, sticky_header="x-user")
        all_of_them = {b"x-cohort": b"beta", b"x-region": b"eu", b"x-user": b"1"}
        assert found.choose(all_of_them) is Arm.MATCHED
        assert found.choose({b"x-cohort": b"beta"}) is not Arm.MATCHED
        assert found.choose({**all_of_them, b"x-region": b"us"}) is not Arm.MATCHED


@pytest.mark.parametrize("weight", [5, 25, 50])
def test_of_ten_thousand_requests_over_the_network_the_candidate_answers_its_share(tmp_path: Path, weight: int) -> None:
    async def scenario(scene: Scene) -> None:
        stable, candidate = await scene.both(weight=weight)
        caller = scene.caller(stable)
        values = Counter([(await caller.ask(1.0)).value for _ in range(REQUESTS)])
        wanted = weight * REQUESTS / 100
        counts = stable.counts
        assert (counts.candidate.requests, counts.stable.requests) == (wanted, REQUESTS - wanted)
        assert sum(counts.candidate.seconds.values()) + counts.candidate.errors >= wanted
        assert values[1001.0] == wanted - counts.candidate.errors
        assert candidate.tallies.requests[200] >= values[1001.0]

    play(tmp_path, scenario)


def test_matching_requests_are_counted_apart(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stable, _ = await scene.both(weight=0, match={"x-cohort": "beta"})
        caller = scene.caller(stable)
        assert (await caller.ask(1.0, X_Cohort="beta")).value == 1001.0
        assert (await caller.ask(1.0)).value == 1.0
        counts = stable.counts
        assert [arm.requests for arm in (counts.matched, counts.candidate, counts.stable)] == [1, 0, 1]

    play(tmp_path, scenario)
