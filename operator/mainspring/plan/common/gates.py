"""The verdict of gates as it is kept on a ModelVersion: a decision, so it lives in an annotation and survives its status."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ValidationError

from mainspring.api.v1alpha1.common import (
    ANNOTATION_GATES,
    ANNOTATION_PROMOTED_AT,
    ANNOTATION_REJECTED,
    ANNOTATION_SIGNATURE,
    ANNOTATION_VERIFIED,
)
from mainspring.api.v1alpha1.dataset import Task
from mainspring.api.v1alpha1.model import ComparisonMode, Gate, Verification, VersusChampion
from mainspring.api.v1alpha1.modelversion import ComparedMetric, GateResult, ModelVersionSpec
from mainspring.api.v1alpha1.trainingrun import Metric
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object

MUST_IMPROVE = "must-improve"
CORRUPT = "Mismatch"  # instead of the digest in the annotation `verified`


@dataclass(frozen=True)
class Decision:
    """What was decided, about which gates (by hash) and against which champion (empty: none was needed)."""

    gates: str
    champion: str
    passed: bool
    results: tuple[GateResult, ...] = ()
    compared: tuple[ComparedMetric, ...] = ()

    def to_json(self) -> str:
        value = {
            "gates": self.gates,
            "champion": self.champion,
            "passed": self.passed,
            "results": [r.to_dict() for r in self.results],
            "compared": [c.to_dict() for c in self.compared],
        }
        return json.dumps(value, sort_keys=True)


def asked_of(version: Object, gates: Sequence[Gate] | None) -> list[Gate]:
    """The Model's gates, and one more for a version whose run must improve on the champion."""
    spec = ModelVersionSpec.model_validate(objects.spec(version))
    if not (spec.source and spec.source.must_improve):
        return list(gates or ())
    usual = Metric.R2 if spec.task is Task.REGRESSION else Metric.ACCURACY
    better = VersusChampion(mode=ComparisonMode.BETTER)
    return [*(gates or ()), Gate(name=MUST_IMPROVE, metric=spec.primary or usual, versus_champion=better)]


def hash_of(gates: Sequence[Gate]) -> str:
    return objects.stable_hash([gate.to_dict() for gate in gates])


def decision(version: Object) -> Decision | None:
    text = objects.annotations_of(version).get(ANNOTATION_GATES)
    try:
        return _parse(json.loads(text)) if text else None
    except (ValueError, KeyError, TypeError, ValidationError):
        return None  # damaged by somebody's edit: it is decided anew


def _parse(value: dict[str, Any]) -> Decision:
    return Decision(
        gates=value["gates"],
        champion=value["champion"],
        passed=bool(value["passed"]),
        results=tuple(GateResult.model_validate(r) for r in value.get("results", ())),
        compared=tuple(ComparedMetric.model_validate(c) for c in value.get("compared", ())),
    )


def is_verified(version: Object, asked: Verification | None) -> bool:
    """Its bytes were checked against the digest that its spec names, and nobody has found others since.

    With `asked`, which is what the Model asks for, its signature was verified too, with the key that is asked for now.
    """
    digest: str = objects.spec(version)["artifact"]["digest"]
    if objects.annotations_of(version).get(ANNOTATION_VERIFIED) != digest:
        return False
    if asked is None:
        return True
    found = signature(version)
    return found is not None and found.secret == asked.public_key_secret


@dataclass(frozen=True)
class Signature:
    """A signature that was verified: with which key (its fingerprint), and the Secret that the key is in.

    `doubt` is what a server had said against the signature before, and was looked into; empty when there was nothing.
    """

    secret: str
    key: str
    doubt: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def signature(version: Object) -> Signature | None:
    text = objects.annotations_of(version).get(ANNOTATION_SIGNATURE)
    try:
        return Signature(**json.loads(text)) if text else None
    except (ValueError, TypeError):
        return None  # damaged by somebody's edit: it is verified anew


def is_corrupt(version: Object) -> bool:
    """A server found other bytes than the digest stands for. Never taken back: a new version has to be published."""
    return objects.annotations_of(version).get(ANNOTATION_VERIFIED) == CORRUPT


def promoted_at(version: Object) -> str:
    return objects.annotations_of(version).get(ANNOTATION_PROMOTED_AT, "")


def rejected(version: Object) -> str:
    """Why it must never be promoted by the automation; empty otherwise."""
    return objects.annotations_of(version).get(ANNOTATION_REJECTED, "")


def is_out(version: Object) -> bool:
    """It will not become champion by itself."""
    judged = decision(version)
    failed = judged is not None and not judged.passed
    return bool(rejected(version)) or failed or objects.condition_is(version, "ArtifactVerified", "False")


def compares(gates: Sequence[Gate]) -> bool:
    return any(gate.versus_champion for gate in gates)


def number(version: Object) -> int:
    return int(objects.spec(version)["number"])
