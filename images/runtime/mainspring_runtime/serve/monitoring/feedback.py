"""Labels that come back: checked, counted once, and never mixed between versions.

A label names its row by the token that was answered with the prediction. Each label is counted for the version that made
the prediction, which need not be the one that is served here: during a rollout a stable server gets the labels of the
candidate, and after it those of the version before. That works while both have the same task and classes; labels of a
version that means something else are refused.

A token counts once. The server knows the last `REMEMBERED` to twice as many tokens again, so a caller may repeat a request
that it got no answer to; it does not know what other servers, or the process before it, have counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from mainspring_runtime.model.signature import Label
from mainspring_runtime.serve.monitoring import wire
from mainspring_runtime.serve.monitoring.tokens import Clock, Signer, Stamp

REMEMBERED = 50_000  # tokens; at about 120 bytes each
TOKEN_DAYS = 90
DAY_SECONDS = 86_400
CLOCK_SKEW_SECONDS = 300  # between the nodes of a cluster
CONFUSION_CLASSES = 20  # with more, only right and wrong are told apart
OTHER_VERSIONS = 4

Given = Label | float | bool | None


class Refusal(StrEnum):
    """Why a label is not counted."""

    UNKNOWN_TOKEN = "UnknownToken"
    """The token was not made with this key for this model, or it was changed."""
    EXPIRED = "Expired"
    """The token is older than `TOKEN_DAYS`, or from the future."""
    OTHER_MEANING = "OtherMeaning"
    """The version that made the token has another task or other classes than the one served here."""
    TOO_MANY_VERSIONS = "TooManyVersions"
    """Labels of `OTHER_VERSIONS` other versions are being counted already."""
    NOT_A_CLASS = "NotAClass"
    """The label is none of the model's classes."""
    NOT_A_NUMBER = "NotANumber"
    """The label of a regression must be a finite number."""


class Outcome(StrEnum):
    """What became of a label that was not refused."""

    COUNTED = "Counted"
    REPEATED = "Repeated"


@dataclass(frozen=True)
class Meaning:
    """What predictions refer to; `digest` is that of `tokens.meaning_of`."""

    digest: bytes
    classes: Sequence[Label] | None
    positive: int | None = None
    score_bins: int = 0  # of the version served here


@dataclass
class Remembered:
    """The newest tokens, exactly, in bounded memory: two sets, of which the older one is dropped when the newer is full."""

    size: int
    newer: set[bytes] = field(default_factory=set)
    older: set[bytes] = field(default_factory=set)

    def __contains__(self, nonce: bytes) -> bool:
        return nonce in self.newer or nonce in self.older

    def add(self, nonce: bytes) -> None:
        if len(self.newer) >= self.size:
            self.older, self.newer = self.newer, set()
        self.newer.add(nonce)


class Feedback:
    """The labels that one server counted. Use from the event loop only."""

    def __init__(
        self, signer: Signer, version: str, meaning: Meaning, clock: Clock, remembered: int = REMEMBERED
    ) -> None:
        self._signer = signer
        self._version = version
        self._meaning = meaning
        self._clock = clock
        self._remembered = Remembered(remembered)
        self._index = label_index(meaning.classes)
        self.refusals = Counter[Refusal]()
        self.counts = self._new_counts()
        if meaning.score_bins:
            _start_scores(self.counts, meaning, meaning.score_bins)
        self.others: dict[str, wire.FeedbackCounts] = {}

    @property
    def classes(self) -> list[str]:
        """In the order of the confusion counts."""
        return [str(label) for label in self._meaning.classes or ()]

    def take(self, token: str, label: Given) -> Outcome | Refusal:
        """Count one label, if it can be."""
        outcome = self._judge(token, label)
        if isinstance(outcome, Refusal):
            self.refusals[outcome] += 1
            self.counts.refused += 1
        return outcome

    def _judge(self, token: str, label: Given) -> Outcome | Refusal:
        stamp = self._signer.read(token)
        if stamp is None:
            return Refusal.UNKNOWN_TOKEN
        if not -CLOCK_SKEW_SECONDS <= self._clock() - stamp.made <= TOKEN_DAYS * DAY_SECONDS:
            return Refusal.EXPIRED
        if stamp.meaning != self._meaning.digest:
            return Refusal.OTHER_MEANING
        counts = self._counts_of(stamp.version)
        if counts is None:
            return Refusal.TOO_MANY_VERSIONS
        return self._count(counts, stamp, label)

    def _counts_of(self, version: str) -> wire.FeedbackCounts | None:
        if version == self._version:
            return self.counts
        if version not in self.others and len(self.others) < OTHER_VERSIONS:
            self.others[version] = self._new_counts()
        return self.others.get(version)

    def _count(self, counts: wire.FeedbackCounts, stamp: Stamp, label: Given) -> Outcome | Refusal:
        actual = self._actual(label)
        if isinstance(actual, Refusal):
            return actual
        if stamp.nonce in self._remembered:
            counts.repeated += 1
            return Outcome.REPEATED
        self._remembered.add(stamp.nonce)
        counts.rows += 1
        if counts.errors is not None:
            counts.errors.add(stamp.prediction, actual)
        else:
            _count_class(counts, int(stamp.prediction), int(actual))
        if stamp.bins:
            self._count_score(counts, stamp, actual)
        return Outcome.COUNTED

    def _actual(self, label: Given) -> float | Refusal:
        """The place of a class, or the value."""
        if self._meaning.classes is not None:
            return next((self._index[text] for text in texts_of(label) if text in self._index), Refusal.NOT_A_CLASS)
        if isinstance(label, bool) or not isinstance(label, int | float) or not math.isfinite(label):
            return Refusal.NOT_A_NUMBER
        return float(label)

    def _count_score(self, counts: wire.FeedbackCounts, stamp: Stamp, actual: float) -> None:
        if counts.score_rows is None:
            _start_scores(counts, self._meaning, stamp.bins)
        if counts.score_rows is None or len(counts.score_rows) != stamp.bins:
            return  # a version that was made anew under the same number
        counts.score_rows[stamp.bin] += 1
        if counts.score_positives is not None:
            counts.score_positives[stamp.bin] += actual == self._meaning.positive

    def _new_counts(self) -> wire.FeedbackCounts:
        classes = self._meaning.classes
        if classes is None:
            return wire.FeedbackCounts(errors=wire.ErrorSums())
        if len(classes) > CONFUSION_CLASSES:
            return wire.FeedbackCounts(correct=0)
        return wire.FeedbackCounts(correct=0, confusion=[[0] * len(classes) for _ in classes])


def _start_scores(counts: wire.FeedbackCounts, meaning: Meaning, bins: int) -> None:
    counts.score_rows = [0] * bins
    if meaning.positive is not None:
        counts.score_positives = [0] * bins


def _count_class(counts: wire.FeedbackCounts, predicted: int, actual: int) -> None:
    counts.correct = (counts.correct or 0) + (predicted == actual)
    if counts.confusion is not None and predicted >= 0:
        counts.confusion[predicted][actual] += 1


def label_index(classes: Sequence[Label] | None) -> dict[str, float]:
    return {str(label): float(index) for index, label in enumerate(classes or ())}


def texts_of(label: Given) -> tuple[str, ...]:
    """What a label may be called among the classes: JSON has 1, 1.0, "1" and true where a data set had one of them."""
    match label:
        case None:
            return ()
        case bool():
            return ("true" if label else "false", str(int(label)))
        case float() if label.is_integer():
            return (str(int(label)),)
        case _:
            return (str(label),)
