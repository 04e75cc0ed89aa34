"""Labels: what is counted, once, and what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from mainspring_runtime.model.signature import Label
from mainspring_runtime.serve.monitoring import feedback as labels
from mainspring_runtime.serve.monitoring.feedback import Feedback, Meaning, Outcome, Refusal
from mainspring_runtime.serve.monitoring.profile import Profile
from mainspring_runtime.serve.monitoring.tokens import HEAD, Signer
from tests.unit.runtime.serve.monitoring import watching
from tests.unit.runtime.serve.monitoring.watching import FEEDBACK, KEY, TOKEN, Watching

SIGNER = Signer(KEY, "tumours")
DIGEST = b"same"
NOW = 1_800_000_000


class Desk:
    """Feedback of one server, and tokens of any."""

    def __init__(self, classes: list[Label] | None, positive: int | None = None, remembered: int = 50) -> None:
        self.now = float(NOW)
        meaning = Meaning(DIGEST, classes, positive, score_bins=4)
        self.feedback = Feedback(SIGNER, "3", meaning, lambda: self.now, remembered)
        self._made = 0

    def token(self, prediction: float, place: int = 0, *, version: str = "3", bins: int = 4, **other: Any) -> str:
        self._made += 1
        nonce = self._made.to_bytes(8, "big")
        head = HEAD.pack(1, other.get("made", NOW), prediction, place, bins, other.get("meaning", DIGEST), nonce)
        return SIGNER.sign(head + version.encode())


@pytest.fixture
def desk() -> Desk:
    return Desk(["B", "M"], positive=1)


def test_a_label_enters_the_confusion_counts_and_the_bin_of_its_score(desk: Desk) -> None:
    for prediction, place, label in ((1, 3, "M"), (1, 2, "B"), (0, 0, "B"), (0, 0, "M"), (0, 1, "B")):
        assert desk.feedback.take(desk.token(prediction, place), label) is Outcome.COUNTED
    counts = desk.feedback.counts
    assert (counts.rows, counts.correct, counts.confusion) == (5, 3, [[2, 1], [1, 1]])
    assert (counts.score_rows, counts.score_positives) == ([2, 1, 1, 1], [1, 0, 0, 1])
    assert counts.errors is None


def test_errors_of_a_regression_are_summed() -> None:
    desk = Desk(None)
    generator = np.random.default_rng(0)
    predicted, actual = generator.normal(size=50), generator.normal(size=50)
    for prediction, label in zip(predicted.tolist(), actual.tolist(), strict=True):
        assert desk.feedback.take(desk.token(prediction), label) is Outcome.COUNTED
    sums = desk.feedback.counts.errors
    assert sums is not None
    errors = predicted - actual
    found = (sums.rows, sums.absolute, sums.squared, sums.fourth, sums.labels, sums.labels_squared)
    expected = (50, abs(errors).sum(), (errors**2).sum(), (errors**4).sum(), actual.sum(), (actual**2).sum())
    assert found == pytest.approx(expected)
    assert desk.feedback.counts.confusion is None


def test_with_many_classes_only_right_and_wrong_are_told_apart() -> None:
    desk = Desk(list(range(labels.CONFUSION_CLASSES + 1)))
    desk.feedback.take(desk.token(20), 20)
    desk.feedback.take(desk.token(20), 19)
    counts = desk.feedback.counts
    assert (counts.rows, counts.correct, counts.confusion, counts.score_positives) == (2, 1, None, None)


def test_a_token_counts_once(desk: Desk) -> None:
    token = desk.token(1)
    assert [desk.feedback.take(token, label) for label in ("M", "M", "B")] == ["Counted", "Repeated", "Repeated"]
    assert (desk.feedback.counts.rows, desk.feedback.counts.repeated, desk.feedback.counts.correct) == (1, 2, 1)


def test_a_label_that_was_refused_may_be_corrected(desk: Desk) -> None:
    token = desk.token(1)
    assert [desk.feedback.take(token, label) for label in ("X", "M")] == [Refusal.NOT_A_CLASS, Outcome.COUNTED]


def test_the_newest_tokens_are_remembered_in_bounded_memory() -> None:
    desk = Desk(["B", "M"], remembered=10)
    tokens = [desk.token(1) for _ in range(40)]
    for token in tokens:
        desk.feedback.take(token, "M")
    assert all(desk.feedback.take(token, "M") is Outcome.REPEATED for token in tokens[-10:])
    assert desk.feedback.take(tokens[0], "M") is Outcome.COUNTED, "long forgotten"


@pytest.mark.parametrize(
    ("change", "label", "refusal"),
    [
        ({"made": NOW - 91 * 86_400}, "M", Refusal.EXPIRED),
        ({"made": NOW + 3_600}, "M", Refusal.EXPIRED),
        ({"meaning": b"else"}, "M", Refusal.OTHER_MEANING),
        ({}, "malignant", Refusal.NOT_A_CLASS),
        ({}, None, Refusal.NOT_A_CLASS),
        ({}, 1, Refusal.NOT_A_CLASS),
    ],
)
def test_what_cannot_be_counted_is_refused_with_its_reason(
    desk: Desk, change: dict[str, Any], label: labels.Given, refusal: Refusal
) -> None:
    assert desk.feedback.take(desk.token(1, **change), label) is refusal
    assert (desk.feedback.counts.rows, desk.feedback.counts.refused) == (0, 1)
    assert desk.feedback.refusals == {refusal: 1}


@pytest.mark.parametrize("label", ["many", None, True, float("inf"), float("nan")])
def test_the_label_of_a_regression_must_be_a_number(label: labels.Given) -> None:
    desk = Desk(None)
    assert desk.feedback.take(desk.token(1), label) is Refusal.NOT_A_NUMBER


@pytest.mark.parametrize(
    ("classes", "label", "actual"),
    [([0, 1], 1, 1), ([0, 1], 1.0, 1), ([0, 1], "1", 1), ([0, 1], True, 1), (["false", "true"], False, 0)],
)
def test_a_class_may_be_named_in_every_type_that_json_has(
    classes: list[Label], label: labels.Given, actual: int
) -> None:
    desk = Desk(classes)
    assert desk.feedback.take(desk.token(actual), label) is Outcome.COUNTED
    assert desk.feedback.counts.correct == 1


def test_labels_of_another_version_are_counted_for_that_version(desk: Desk) -> None:
    desk.feedback.take(desk.token(1, 6, version="4", bins=7), "M")
    desk.feedback.take(desk.token(1, version="3"), "B")
    (other,) = desk.feedback.others.values()
    assert (other.rows, other.correct, other.score_rows) == (1, 1, [0, 0, 0, 0, 0, 0, 1])
    assert (desk.feedback.counts.rows, desk.feedback.counts.correct) == (1, 0)


def test_other_versions_are_bounded(desk: Desk) -> None:
    outcomes = [desk.feedback.take(desk.token(1, version=str(version)), "M") for version in range(10, 16)]
    assert outcomes == [*["Counted"] * labels.OTHER_VERSIONS, *["TooManyVersions"] * 2]
    assert desk.feedback.take(desk.token(1, version="10"), "M") is Outcome.COUNTED


def test_scores_in_other_bins_under_the_same_number_are_left_out(desk: Desk) -> None:
    assert desk.feedback.take(desk.token(1, 9, bins=10), "M") is Outcome.COUNTED
    assert (desk.feedback.counts.rows, desk.feedback.counts.score_rows) == (1, [0, 0, 0, 0])


async def send(served: Watching, body: Any) -> httpx.Response:
    return await served.public.post(FEEDBACK, json=body)


async def test_labels_sent_with_the_tokens_of_an_answer_are_counted(served: Watching) -> None:
    tokens = await served.tokens(2.0, 18.0, 19.0)
    pairs = zip(tokens, ("B", "M", "B"), strict=True)
    answer = await send(served, {"feedback": [{"token": token, "label": label} for token, label in pairs]})
    assert (answer.status_code, answer.json()) == (200, {"counted": 3, "repeated": 0, "refused": 0})
    snapshot, reference = await served.snapshot(), await served.reference()
    assert snapshot.feedback is not None
    assert snapshot.feedback.confusion == [[1, 0], [1, 1]]
    assert reference.prediction is not None
    assert reference.prediction.edges is not None
    places = np.searchsorted(reference.prediction.edges, [0.1, 0.9, 0.95], side="right")
    bins = len(reference.prediction.edges) + 1
    assert snapshot.feedback.score_rows == np.bincount(places, minlength=bins).tolist()
    assert snapshot.feedback.score_positives == np.bincount(places[1:2], minlength=bins).tolist()


async def test_one_label_may_come_alone(served: Watching) -> None:
    first, second = await served.tokens(2.0, 3.0)
    for body in ({"token": first, "label": "B"}, {"feedback": {"token": second, "label": "B"}}):
        assert (await send(served, body)).json() == {"counted": 1, "repeated": 0, "refused": 0}


async def test_what_was_not_counted_is_said_by_its_place(served: Watching) -> None:
    good, bad = await served.tokens(2.0, 3.0)
    entries = [(good, "B"), ("forged", "B"), (good, "M"), (bad, "X")]
    body = {"feedback": [{"token": token, "label": label} for token, label in entries]}
    answer = await send(served, body)
    assert answer.status_code == 200
    assert answer.json() == {
        "counted": 1,
        "repeated": 1,
        "refused": 2,
        "problems": [
            {
                "index": 1,
                "reason": "UnknownToken",
                "message": "the token is not one of this model's, or it was changed",
            },
            {"index": 3, "reason": "NotAClass", "message": "the label is none of the model's classes"},
        ],
    }
    refused = await send(served, {"token": "forged", "label": "B"})
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("no label was taken: the token is not one of this model's")


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b"{", 400, "the body is not feedback"),
        (b'{"feedback": [{"token": 1, "label": "B"}]}', 400, "the body is not feedback"),
        (b'{"feedback": [{"token": "t"}]}', 400, "missing required field `label`"),
        (b'{"feedback": []}', 400, "no feedback: expected"),
        (b"{}", 400, "no feedback: expected"),
        (
            b'{"feedback": [' + b'{"token": "", "label": 1},' * 1000 + b'{"token": "", "label": 1}]}',
            413,
            "limit is 1000",
        ),
        (b" " * (1024 * 1024 + 1), 413, "larger than 1048576 bytes"),
    ],
)
async def test_a_body_that_is_no_feedback_is_refused(
    served: Watching, content: bytes, status: int, message: str
) -> None:
    answer = await served.public.post(FEEDBACK, content=content)
    assert (answer.status_code, message in answer.json()["error"]) == (status, True), answer.text
    assert served.parts.tallies.requests == {200: 0}, "requests for predictions are counted, nothing else"


async def test_a_token_is_an_output_like_any_other(served: Watching) -> None:
    metadata = (await served.public.get("/v2/models/tumours")).json()
    assert metadata["outputs"][-1] == {"name": TOKEN, "datatype": "BYTES", "shape": [-1], "parameters": {}}
    assert metadata["parameters"]["default_outputs"] == ["predict"]
    answer = await served.infer(watching.rows(2.0, 18.0), [TOKEN, "predict"])
    token, label = answer.json()["outputs"]
    assert (token["name"], token["datatype"], token["shape"], len(set(token["data"]))) == (TOKEN, "BYTES", [2], 2)
    assert label["data"] == ["B", "M"]


async def test_without_a_key_there_is_neither_token_nor_feedback(profile: Profile) -> None:
    async with watching.serving(profile) as served:
        assert "unknown output 'feedback_token'" in (await served.infer(watching.rows(1.0), [TOKEN])).json()["error"]
        answer = await send(served, {"token": "t", "label": "B"})
        assert answer.status_code == 404
        assert answer.json()["error"] == "this server takes no feedback, since MAINSPRING_FEEDBACK_KEY is not set"
        assert (await served.snapshot()).feedback is None
        assert "mainspring_feedback" not in await served.metrics()


async def test_any_server_takes_the_tokens_of_any_other(profile: Profile) -> None:
    async with watching.serving(profile, KEY) as first, watching.serving(profile, KEY, version="4") as second:
        token, other = (await first.tokens(2.0))[0], (await second.tokens(2.0))[0]
        body = {"feedback": [{"token": token, "label": "B"}, {"token": other, "label": "B"}]}
        assert (await send(second, body)).json() == {"counted": 2, "repeated": 0, "refused": 0}
        snapshot = await second.snapshot()
        assert snapshot.feedback is not None
        assert (snapshot.feedback.rows, {of: counts.rows for of, counts in snapshot.other_feedback.items()}) == (
            1,
            {"3": 1},
        )


async def test_a_version_without_a_profile_takes_labels_all_the_same(tmp_path: Path) -> None:
    async with watching.serving(Profile(reason="the version has no profile.json"), KEY) as served:
        (token,) = await served.tokens(18.0)
        assert (await send(served, {"token": token, "label": "B"})).status_code == 200
        counts = (await served.snapshot()).feedback
        assert counts is not None
        assert (counts.confusion, counts.score_rows) == ([[0, 0], [1, 0]], None)


async def test_requests_with_and_without_tokens_do_not_disturb_each_other(served: Watching) -> None:
    plain, signed = await asyncio.gather(
        served.infer(watching.rows(2.0)), served.infer(watching.rows(18.0), [TOKEN, "predict"])
    )
    assert [output["name"] for output in plain.json()["outputs"]] == ["predict"]
    assert signed.json()["outputs"][1]["data"] == ["M"]
    assert (await served.snapshot()).predicted == [1, 1]
