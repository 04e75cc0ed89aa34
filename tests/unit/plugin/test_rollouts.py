"""What people see of rollouts, and which object a rollback changes."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from mainspring.plan.common.objects import Object
from mainspring.plugin import rollouts
from mainspring.plugin.cluster import Cluster
from mainspring.plugin.commands import abort, promote, rollback, status
from mainspring.plugin.errors import PluginError
from tests import builders

METRICS = [
    {
        "name": "ErrorRate",
        "verdict": "Inconclusive",
        "stable": 0.005,
        "candidate": 0.0065,
        "limit": 0.02,
        "requests": 312,
        "needed": 1150,
        "looks": 5,
        "message": "0.65 % of 312 requests failed",
    },
    {"name": "Disagreement", "verdict": "Inconclusive", "candidate": 0.32, "requests": 40, "message": "not judged"},
    {"name": "basket", "verdict": "Passed", "candidate": 12.5, "limit": 20.0, "strikes": 0, "message": "12.5"},
]
GOING_ON = {
    "version": "tumours-v2",
    "revision": "bbb",
    "fromVersion": "tumours-v1",
    "fromRevision": "aaa",
    "strategy": "Canary",
    "cause": "Champion",
    "startedAt": builders.at(0),
    "phase": "Stepping",
    "step": 1,
    "weight": 25,
    "mirror": 20,
    "verdict": "Inconclusive",
    "metrics": METRICS,
    "message": "for 838 more requests",
    "counted": "{}",
    "countedOf": ["p/1"],
}
HELD = {
    "version": "tumours-v2",
    "revision": "bbb",
    "outcome": "RolledBack",
    "cause": "Champion",
    "reason": "ErrorRate",
    "message": "3 % of 1,000 requests failed",
    "metrics": METRICS[:1],
    "time": builders.at(1),
}
ROLLOUT = {"strategy": "Canary", "steps": [5, 25, 50]}


def service(model: dict[str, Any] | None = None, **facts: Any) -> Object:
    told = {"stableVersion": "tumours-v1", **facts}
    return builders.stored(builders.service(model=model or {"name": "tumours"}, rollout=ROLLOUT), told)


def listed(one: Object) -> dict[str, list[Object]]:
    return {overview.kind: [one] if overview.kind == "InferenceService" else [] for overview in status.OVERVIEWS}


def test_a_rollout_is_told_with_each_metric() -> None:
    lines = rollouts.described(service(rollout=GOING_ON))
    assert lines[:2] == [
        "InferenceService tumours: tumours-v2 instead of tumours-v1 (Canary, Stepping, step 2 of 3), Inconclusive;"
        " it gets 25 % of the requests and a copy of 20 % of the others",
        "  for 838 more requests",
    ]
    head, errors, disagreement, basket = (line.split() for line in lines[2:])
    assert head == ["METRIC", "VERDICT", "SEEN", "NEEDED", "STABLE", "CANDIDATE", "LIMIT"]
    assert errors == ["ErrorRate", "Inconclusive", "312", "1150", "0.5", "%", "0.65", "%", "+2", "%"]
    assert disagreement == ["Disagreement", "Inconclusive", "40", "-", "-", "32", "%", "-", "not", "judged"]
    assert basket[:7] == ["basket", "Passed", "-", "-", "-", "12.5", "20"]


def test_steps_are_told_only_while_there_are_some() -> None:
    (heading, *_) = rollouts.described(service(rollout={**GOING_ON, "phase": "Mirroring", "mirror": 100, "weight": 0}))
    assert "(Canary, Mirroring), Inconclusive; it gets 0 % of the requests and a copy of 100 % of the others" in heading


def test_what_was_not_taken_is_told_with_the_way_to_take_it() -> None:
    lines = rollouts.described(service(heldBack=HELD))
    assert lines[:2] == [
        "InferenceService tumours: tumours-v2 was not taken (RolledBack): 3 % of 1,000 requests failed",
        "  kubectl mainspring promote inf/tumours takes it all the same",
    ]
    assert "ErrorRate" in lines[-1]


def test_a_service_without_a_rollout_says_nothing_of_one() -> None:
    assert rollouts.described(service()) == []


def test_what_status_holds_cannot_move_the_cursor() -> None:
    lines = rollouts.described(service(heldBack={**HELD, "message": "a\x1b[2J\nb"}))
    assert "a\ufffd[2J b" in lines[0]


def test_the_namespace_shows_its_rollouts() -> None:
    text = status.as_text("lab", listed(service(rollout=GOING_ON, candidateVersion="tumours-v2")))
    table, rollout = (part.splitlines() for part in text.split("\n\n"))
    assert table[1].split()[:5] == ["tumours", "tumours-v1", "tumours-v2", "25", "Inconclusive"]
    assert rollout[0].startswith("InferenceService tumours: tumours-v2 instead of tumours-v1")


def test_programs_get_the_rollout_without_what_the_operator_keeps() -> None:
    (told,) = json.loads(status.as_json("lab", listed(service(rollout=GOING_ON))))["InferenceService"]
    assert told["rollout"]["metrics"][0]["needed"] == 1150
    assert not {"counted", "countedOf"} & told["rollout"].keys()
    (told,) = json.loads(status.as_json("lab", listed(service(heldBack=HELD))))["InferenceService"]
    assert told["heldBack"]["reason"] == "ErrorRate"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"rollout": GOING_ON}, "tumours-v2 (it is Inconclusive so far) takes all requests"),
        ({"rollout": {**GOING_ON, "verdict": "Passed"}}, "tumours-v2 takes all requests"),
        ({"heldBack": HELD}, "tumours-v2 (it was RolledBack) takes all requests"),
    ],
)
def test_promote_takes_what_is_rolled_out_or_was_not_taken(facts: dict[str, Any], words: str) -> None:
    wanted = promote.candidate(service(**facts))
    assert wanted["revision"] == "bbb"
    assert promote.told(wanted).startswith(words)


def test_without_a_rollout_there_is_nothing_to_decide() -> None:
    with pytest.raises(PluginError, match="nothing is rolled out and nothing was rolled back; it serves tumours-v1"):
        promote.candidate(service())
    with pytest.raises(PluginError, match=r"nothing is rolled out, it serves tumours-v1; .* rollback inf/tumours"):
        abort.under_way(service(heldBack=HELD))


def champion(*order: str, first: str | None = None) -> Object:
    why: dict[str, Any] = {"reason": "GatesPassed", "actor": "the operator", "time": builders.at(1)}
    moves = [{"version": version, "to": "Champion", **why} for version in order]
    if first:
        moves[0]["from"] = first
    told: dict[str, Any] = {"history": [*moves, {"version": "tumours-v9", "to": "Rejected", **why}]}
    told |= {"champion": order[-1]} if order else {}
    return builders.stored(builders.model(), told)


@pytest.mark.parametrize(
    ("order", "before"),
    [
        (["v1", "v2"], "v1"),
        (["v1", "v2", "v3"], "v2"),
        (["v1", "v2", "v1", "v3"], "v1"),
        (["v1", "v2", "v3", "v2"], "v1"),
    ],
)
def test_a_rollback_goes_to_the_champion_before_and_never_to_one_that_was_left(order: list[str], before: str) -> None:
    change = rollback.of_model(champion(*(f"tumours-{name}" for name in order)))
    assert (change.kind, change.name, change.version) == ("Model", "tumours", f"tumours-{before}")
    assert change.spec == {"aliases": {"champion": f"tumours-{before}"}}
    assert change.line == f"spec.aliases.champion: tumours-{before}"


def test_a_history_that_was_cut_still_names_what_was_before() -> None:
    assert rollback.of_model(champion("tumours-v8", first="tumours-v7")).version == "tumours-v7"


@pytest.mark.parametrize("order", [[], ["tumours-v1"], ["tumours-v1", "tumours-v2", "tumours-v1"]])
def test_the_first_champion_has_none_before(order: list[str]) -> None:
    with pytest.raises(PluginError, match=r"no champion before .*: set spec\.aliases\.champion"):
        rollback.of_model(champion(*order))


def taken(*order: str) -> list[dict[str, Any]]:
    """With one in between that was rolled back."""
    ended = [(version, "Promoted") for version in order]
    ended.insert(1, ("tumours-v9", "RolledBack"))
    return [{"version": v, "revision": v[-2:], "outcome": outcome, "time": builders.at(1)} for v, outcome in ended]


def test_a_pinned_service_goes_back_to_what_it_served() -> None:
    pinned = service({"version": "tumours-v5"}, stableVersion="tumours-v5", rollouts=taken("tumours-v3", "tumours-v5"))
    change = rollback.of_pinned(pinned)
    assert (change.kind, change.name) == ("InferenceService", "tumours")
    assert change.spec == {"model": {"version": "tumours-v3"}}
    with pytest.raises(PluginError, match=r"nothing served before tumours-v5: set spec\.model\.version"):
        rollback.of_pinned(service({"version": "tumours-v5"}, stableVersion="tumours-v5", rollouts=taken("tumours-v5")))


class Pool:
    """What the kubernetes library sends through; it keeps what was asked."""

    def __init__(self) -> None:
        self.asked: tuple[Any, ...] = ()

    def request(self, verb: str, url: str, **more: Any) -> SimpleNamespace:
        self.asked = (verb, url, more["headers"].get("Content-Type"), more["body"])
        return SimpleNamespace(status=200, data=b"{}")


def test_a_change_is_a_merge_patch_in_our_name_and_reading_sends_nothing() -> None:
    pool = Pool()
    transport: Any = SimpleNamespace(
        configuration=SimpleNamespace(host="https://api"),
        update_params_for_auth=lambda *_: None,
        rest_client=SimpleNamespace(pool_manager=pool),
    )
    connected = Cluster(transport, "lab")
    address = "https://api/apis/mainspring.dev/v1alpha1/namespaces/lab/inferenceservices/tumours"
    connected.patch("InferenceService", "tumours", {"metadata": {"annotations": {"a": None}}})
    named = f"{address}?fieldManager=kubectl-mainspring"
    assert pool.asked == ("PATCH", named, "application/merge-patch+json", '{"metadata": {"annotations": {"a": null}}}')
    connected.get("InferenceService", "tumours")
    assert pool.asked == ("GET", address, None, None)
