"""`POST /v2/models/{model}/feedback`: the JSON of labels, and of what became of them.

{"feedback": [{"token": "…", "label": "yes"}, …]}      or one object: {"token": "…", "label": "yes"}
"""

from __future__ import annotations

from collections import Counter

import msgspec

from mainspring_runtime.serve import wire
from mainspring_runtime.serve.errors import RequestError, bad_request
from mainspring_runtime.serve.http import Response
from mainspring_runtime.serve.monitoring.feedback import Feedback, Given, Outcome, Refusal

MAX_BYTES = 1024 * 1024
MAX_LABELS = 1_000  # a few milliseconds of the event loop
SHOWN_PROBLEMS = 10
MESSAGES = {
    Refusal.UNKNOWN_TOKEN: "the token is not one of this model's, or it was changed",
    Refusal.EXPIRED: "the token is too old",
    Refusal.OTHER_MEANING: "the token is of a version with another task or other classes",
    Refusal.TOO_MANY_VERSIONS: "labels of too many other versions are counted already",
    Refusal.NOT_A_CLASS: "the label is none of the model's classes",
    Refusal.NOT_A_NUMBER: "the label must be a finite number",
}


class Item(msgspec.Struct, frozen=True):
    """A row's token and what turned out to be true of it."""

    token: str
    label: Given


class Body(msgspec.Struct, frozen=True):
    """Both forms of a request."""

    feedback: list[Item] | Item | None = None
    token: str | None = None
    label: Given = None


class Problem(msgspec.Struct, frozen=True):
    """A label that was not counted, by its place in the request."""

    index: int
    reason: str
    message: str


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    counted: int
    repeated: int
    refused: int
    problems: list[Problem] = []  # the first ones
    error: str | None = None


_DECODER = msgspec.json.Decoder(Body)


def decode(body: bytes) -> list[Item]:
    """The labels of a request. Raises `RequestError` 400, or 413 for more than `MAX_LABELS`."""
    try:
        found = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_request(f"the body is not feedback: {error}") from error
    items = _items(found)
    if not items:
        raise bad_request('no feedback: expected {"feedback": [{"token": "…", "label": …}]}')
    if len(items) > MAX_LABELS:
        raise RequestError(
            413, f"{len(items)} labels in one request; the limit is {MAX_LABELS}, so send several requests"
        )
    return items


def _items(body: Body) -> list[Item]:
    if isinstance(body.feedback, Item):
        return [body.feedback]
    if body.feedback is None and body.token is not None:
        return [Item(body.token, body.label)]
    return body.feedback or []


def count(feedback: Feedback, items: list[Item]) -> Response:
    """Count each label, and answer what became of them: 200, or 400 when all of them were refused."""
    outcomes = [feedback.take(item.token, item.label) for item in items]
    refused = [(index, outcome) for index, outcome in enumerate(outcomes) if isinstance(outcome, Refusal)]
    none_taken = len(refused) == len(outcomes)
    tally = Counter(outcomes)
    answer = Answer(
        counted=tally[Outcome.COUNTED],
        repeated=tally[Outcome.REPEATED],
        refused=len(refused),
        problems=[Problem(index, reason, MESSAGES[reason]) for index, reason in refused[:SHOWN_PROBLEMS]],
        error=f"no label was taken: {MESSAGES[refused[0][1]]}" if none_taken else None,
    )
    return Response(400 if none_taken else 200, wire.encode(answer))
