"""`profile.json` of the served version: read once, checked against the signature, and turned into the reference.

The file is written by training (`train/profile.py` describes it). A server never refuses to serve because of it: a
version without a profile, or with one that this release cannot read, is served all the same and says why nothing but
rows is counted.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mainspring_runtime.model.signature import Label, Signature
from mainspring_runtime.serve.monitoring import wire

FILE = "profile.json"
FORMAT = 1
NEWEST, TRAIN = "newest", "train"


class Feature(msgspec.Struct, frozen=True, rename="camel"):
    """One column; dictionaries have one entry per reference (train, newest)."""

    name: str
    kind: str
    missing: dict[str, int]
    counts: dict[str, list[int]] = {}
    unseen: dict[str, int] = {}
    out_of_range: dict[str, int] = {}
    edges: list[float] | None = None
    minimum: float | None = None
    maximum: float | None = None
    categories: list[str] | None = None
    importance: float | None = None  # the greater, the earlier a column gets its series in Prometheus

    @property
    def bins(self) -> int:
        """How many: one more than edges or categories, none for a String."""
        inner = self.edges if self.edges is not None else self.categories
        return 0 if inner is None else len(inner) + 1


class Calibration(msgspec.Struct, frozen=True):
    """Of all training rows, by bin."""

    predicted: list[float]
    positives: list[int]


class Prediction(msgspec.Struct, frozen=True):
    """The watched output; `positive` is the class whose probability it is."""

    output: str
    source: str
    rows: dict[str, int]
    counts: dict[str, list[int]]
    edges: list[float] | None = None
    classes: list[Label] | None = None
    positive: Label | None = msgspec.field(default=None, name="class")
    threshold: float | None = None
    calibration: Calibration | None = None

    @property
    def bins(self) -> int:
        return len(self.edges) + 1 if self.edges is not None else len(self.classes or ())


class Content(msgspec.Struct, frozen=True):
    """The file."""

    rows: dict[str, int]
    features: list[Feature]
    prediction: Prediction | None = None


class Header(msgspec.Struct, frozen=True):
    """What every format has."""

    format: int


@dataclass(frozen=True)
class Profile:
    """What there is to count. With a `reason` there is nothing but rows."""

    rows_of: str = TRAIN
    rows: int = 0
    features: tuple[Feature, ...] = ()
    prediction: Prediction | None = None
    reason: str | None = None


def read(directory: Path, signature: Signature) -> Profile:
    """The profile of the version in `directory`. Never raises for what the file holds: see `Profile.reason`."""
    try:
        content = (directory / FILE).read_bytes()
    except FileNotFoundError:
        return Profile(reason=f"the version has no {FILE}")
    try:
        return _parse(content, signature)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, KeyError) as error:
        return Profile(reason=f"{FILE} cannot be read: {error}")


def _parse(text: bytes, signature: Signature) -> Profile:
    found = msgspec.json.decode(text, type=Header).format
    if found != FORMAT:
        raise ValueError(f"it has format {found}; this server reads format {FORMAT}")
    content = msgspec.json.decode(text, type=Content)
    rows_of = NEWEST if NEWEST in content.rows else TRAIN
    kinds = {column.name: column.kind for column in signature.inputs}
    for feature in content.features:
        _check_feature(feature, kinds, rows_of)
    if content.prediction is not None:
        _check_prediction(content.prediction, signature)
    return Profile(rows_of, content.rows[rows_of], tuple(content.features), content.prediction)


def _check_feature(feature: Feature, kinds: dict[str, str], rows_of: str) -> None:
    name = feature.name
    if kinds.get(name) != feature.kind:
        raise ValueError(f"it has a {feature.kind} {name!r}, the signature has {kinds.get(name, 'no such input')}")
    if (feature.categories is not None) != (feature.kind == "Category"):
        raise ValueError(f"categories of {name!r} do not go with its kind, {feature.kind}")
    if (feature.edges is None) != (feature.kind in ("Category", "String")):
        raise ValueError(f"edges of {name!r} do not go with its kind, {feature.kind}")
    _check_edges(name, feature.edges)
    if feature.bins and len(feature.counts[rows_of]) != feature.bins:
        raise ValueError(f"{name!r} has {len(feature.counts[rows_of])} counts for {feature.bins} bins")


def _check_prediction(prediction: Prediction, signature: Signature) -> None:
    if prediction.output not in signature.output_names:
        raise ValueError(f"the watched output {prediction.output!r} is none of the signature")
    if (prediction.edges is None) == (prediction.classes is None):
        raise ValueError("the watched output needs either edges or classes")
    if prediction.positive is not None and prediction.positive not in (signature.classes or ()):
        raise ValueError(f"the watched class {prediction.positive!r} is none of the signature")
    _check_edges(prediction.output, prediction.edges)
    if any(len(counts) != prediction.bins for counts in prediction.counts.values()):
        raise ValueError(f"the counts of {prediction.output!r} are not as many as its bins")


def _check_edges(name: str, edges: list[float] | None) -> None:
    edges = edges or []
    if not all(map(math.isfinite, edges)) or any(right <= left for left, right in itertools.pairwise(edges)):
        raise ValueError(f"the edges of {name!r} do not rise")


def build_reference(profile: Profile, signature: Signature, model: str, version: str, digest: str) -> wire.Reference:
    """What `GET /monitor/reference` answers."""
    return wire.Reference(
        model=model,
        version=version,
        digest=digest,
        rows_of=profile.rows_of,
        rows=profile.rows,
        reason=profile.reason,
        columns=[_column(feature, profile.rows_of) for feature in profile.features],
        prediction=None if profile.prediction is None else _prediction(profile.prediction, profile.rows_of),
        task=signature.task if signature.has_labels else None,
        classes=_texts(signature.classes),
        key=signature.key,
    )


def _column(feature: Feature, rows_of: str) -> wire.ReferenceColumn:
    return wire.ReferenceColumn(
        name=feature.name,
        kind=feature.kind,
        edges=feature.edges,
        categories=feature.categories,
        counts=feature.counts.get(rows_of, []),
        missing=feature.missing[rows_of],
        unseen=feature.unseen.get(rows_of, 0),
        out_of_range=feature.out_of_range.get(rows_of, 0),
    )


def _prediction(found: Prediction, rows_of: str) -> wire.ReferencePrediction:
    # The newest rows have no predictions when training rows have none: held-out ones stand in for both.
    predicted_of = rows_of if rows_of in found.counts else TRAIN
    return wire.ReferencePrediction(
        output=found.output,
        source=found.source,
        rows=found.rows[predicted_of],
        counts=found.counts[predicted_of],
        edges=found.edges,
        classes=_texts(found.classes),
        positive=None if found.positive is None else str(found.positive),
        threshold=found.threshold,
        calibration=_calibration(found),
    )


def _calibration(found: Prediction) -> wire.Calibration | None:
    if found.calibration is None:
        return None
    return wire.Calibration(found.counts[TRAIN], found.calibration.predicted, found.calibration.positives)


def _texts(labels: list[Label] | tuple[Label, ...] | None) -> list[str] | None:
    return None if labels is None else [str(label) for label in labels]
