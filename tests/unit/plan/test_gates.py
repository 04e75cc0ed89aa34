"""Judging a version, and keeping the verdict."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring.api.v1alpha1.model import Gate, Verification
from mainspring.api.v1alpha1.modelversion import ComparedMetric, ModelVersionSpec
from mainspring.plan.common import gates, objects
from mainspring.plan.modelversion import gates as judging
from tests import builders


def judge(gate: dict[str, Any], *compared: ComparedMetric, champion: str = "", **spec: Any) -> tuple[str, str]:
    version = builders.model_version(2, **spec)
    parsed = ModelVersionSpec.model_validate(objects.spec(version))
    (result,) = judging.judge([Gate.model_validate({"name": "g", **gate})], parsed, compared, champion)
    return result.verdict, result.message


def compared(lower: float | None, upper: float | None, **more: Any) -> ComparedMetric:
    middle = None if lower is None or upper is None else (lower + upper) / 2
    facts = {"metric": "roc_auc", "on": "All", "difference": middle, "lower": lower, "upper": upper, "rows": 114}
    return ComparedMetric.model_validate({**facts, **more})


@pytest.mark.parametrize(
    ("bound", "verdict"),
    [
        ({"minimum": 0.90}, "Passed"),
        ({"minimum": 0.955}, "Passed"),
        ({"minimum": 0.96}, "Passed"),
        ({"minimum": 0.961}, "Failed"),
        ({"maximum": 0.99}, "Passed"),
        ({"maximum": 0.945}, "Passed"),
        ({"maximum": 0.939}, "Failed"),
        ({"minimum": 0.9, "maximum": 1.0}, "Passed"),
    ],
)
def test_a_bound_fails_only_when_the_whole_interval_lies_outside(bound: dict[str, float], verdict: str) -> None:
    """The metric is 0.95 [0.94, 0.96]."""
    assert judge({"metric": "roc_auc", **bound})[0] == verdict


def test_without_an_interval_the_point_is_compared() -> None:
    metrics = [{"name": "roc_auc", "value": 0.95}]
    assert judge({"metric": "roc_auc", "minimum": 0.951}, metrics=metrics)[0] == "Failed"


def test_a_metric_that_was_not_measured_is_inconclusive() -> None:
    assert judge({"metric": "f1", "minimum": 0.5})[0] == "Inconclusive"


@pytest.mark.parametrize(
    ("mode", "lower", "upper", "verdict"),
    [
        ("NotWorse", -0.05, 0.01, "Passed"),
        ("NotWorse", -0.05, -0.01, "Passed"),
        ("NotWorse", -0.05, -0.011, "Failed"),
        ("NonInferior", -0.01, 0.05, "Passed"),
        ("NonInferior", -0.011, 0.05, "Failed"),
        ("Better", 0.001, 0.05, "Passed"),
        ("Better", 0.0, 0.05, "Failed"),
        ("Better", -0.001, 0.05, "Failed"),
    ],
)
def test_what_is_compared_with_the_champion_is_a_bound_of_the_interval(
    mode: str, lower: float, upper: float, verdict: str
) -> None:
    gate = {"metric": "roc_auc", "versusChampion": {"margin": 0.01, "mode": mode}}
    assert judge(gate, compared(lower, upper), champion="tumours-v1")[0] == verdict


def test_without_a_champion_the_comparison_passes() -> None:
    assert judge({"metric": "roc_auc", "versusChampion": {}})[0] == "Passed"


@pytest.mark.parametrize(
    "found", [(), (compared(None, None),), (compared(0.0, 0.1, inconclusive="12 rows are too few"),)]
)
def test_without_numbers_the_comparison_does_not_pass(found: tuple[ComparedMetric, ...]) -> None:
    verdict, message = judge({"metric": "roc_auc", "versusChampion": {}}, *found, champion="tumours-v1")
    assert verdict == "Inconclusive"
    assert "against tumours-v1" in message


def test_each_gate_is_judged_by_the_rows_that_it_asked_for() -> None:
    """The second asks for the default, which the comparison found to be Recent."""
    asked = [
        {"name": "all", "metric": "roc_auc", "rows": "All", "versusChampion": {}},
        {"name": "bound", "metric": "roc_auc", "minimum": 0.9},
        {"name": "default", "metric": "roc_auc", "versusChampion": {}},
    ]
    version = ModelVersionSpec.model_validate(objects.spec(builders.model_version(2)))
    found = (compared(0.0, 0.1), compared(-0.5, -0.4, on="Recent"))
    results = judging.judge([Gate.model_validate(gate) for gate in asked], version, found, "tumours-v1")
    assert [r.verdict for r in results] == ["Passed", "Passed", "Failed"]
    assert "on 114 recent rows" in results[2].message


def test_a_gate_that_asks_for_better_says_what_the_bound_must_be() -> None:
    gate = {"metric": "roc_auc", "versusChampion": {"mode": "Better"}}
    found = compared(-0.01, 0.05, on="Recent", smallestDetectable=0.04)
    assert judge(gate, found, champion="tumours-v1") == (
        "Failed",
        "roc_auc against tumours-v1: +0.02 [-0.01, +0.05] on 114 recent rows, must be above 0, "
        "smallest detectable difference 0.04",
    )


# ---- Which gates there are

IMPROVING = {"trainingRun": "drifted", "mustImprove": True}


def test_a_run_that_must_improve_adds_a_gate_to_those_of_the_model() -> None:
    model = [Gate.model_validate({"name": "g", "metric": "f1", "minimum": 0.5})]
    first, added = gates.asked_of(builders.model_version(2, source=IMPROVING), model)
    assert first == model[0]
    assert (added.name, added.metric, added.rows) == ("must-improve", "roc_auc", None)
    assert added.versus_champion is not None
    assert added.versus_champion.mode == "Better"


@pytest.mark.parametrize(("task", "metric"), [("Regression", "r2"), ("Classification", "accuracy"), (None, "accuracy")])
def test_without_a_primary_metric_the_usual_one_must_improve(task: str | None, metric: str) -> None:
    facts = {"artifact": _artifact(), "source": IMPROVING, **({"task": task} if task else {})}
    (added,) = gates.asked_of(builders.stored(builders.version(2, **facts)), None)
    assert added.metric == metric


@pytest.mark.parametrize("facts", [{}, {"source": {}}, {"source": {"trainingRun": "r", "mustImprove": False}}])
def test_other_versions_have_the_gates_of_the_model(facts: dict[str, Any]) -> None:
    assert gates.asked_of(builders.stored(builders.version(2, artifact=_artifact(), **facts)), []) == []


@pytest.mark.parametrize(
    ("maximum", "verdict"), [("2Ki", "Passed"), (2000, "Passed"), ("1999", "Failed"), ("1k", "Failed")]
)
def test_the_size_of_the_artifact_is_a_quantity(maximum: str | int, verdict: str) -> None:
    assert judge({"artifactSize": {"maximum": maximum}})[0] == verdict


def test_an_unknown_size_does_not_pass() -> None:
    artifact = {"uri": "s3://x", "digest": builders.digest("x")}
    assert judge({"artifactSize": {"maximum": "1Gi"}}, artifact=artifact)[0] == "Inconclusive"


def test_the_message_tells_value_interval_rows_and_bound() -> None:
    message = judge({"metric": "roc_auc", "minimum": 0.97})[1]
    assert message == "roc_auc 0.95 [0.94, 0.96] on 114 rows, minimum 0.97"


# ---- The decision as an annotation


def test_a_decision_survives_its_annotation() -> None:
    made = gates.Decision("hash", "tumours-v1", True, compared=(compared(0.0, 0.1),))
    version = builders.stored(builders.version(2, artifact=_artifact()), annotations={"gates": made.to_json()})
    assert gates.decision(version) == made


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"gates": 1}', '{"gates": "h", "champion": "", "passed": 1, "results": [1]}']
)
def test_a_damaged_decision_is_none(text: str) -> None:
    version = builders.stored(builders.version(2, artifact=_artifact()), annotations={"gates": text})
    assert gates.decision(version) is None


@pytest.mark.parametrize(
    ("note", "verified", "corrupt"),
    [
        (None, False, False),
        (builders.digest("x"), True, False),
        (builders.digest("y"), False, False),
        ("Mismatch", False, True),
    ],
)
def test_only_the_digest_of_the_spec_verifies(note: str | None, verified: bool, corrupt: bool) -> None:
    version = builders.stored(
        builders.version(2, artifact=_artifact()), annotations={"verified": note} if note else None
    )
    assert (gates.is_verified(version, None), gates.is_corrupt(version)) == (verified, corrupt)


def test_the_hash_of_gates_depends_on_what_they_ask() -> None:
    first = [Gate.model_validate({"name": "g", "metric": "f1", "minimum": m}) for m in (0.5, 0.6)]
    assert gates.hash_of(first[:1]) != gates.hash_of(first[1:])
    assert gates.hash_of([]) == gates.hash_of(())


def _artifact() -> dict[str, Any]:
    return {"uri": "s3://x", "digest": builders.digest("x")}


ASKED = Verification(public_key_secret="model-signing")


@pytest.mark.parametrize(
    ("signature", "verified"),
    [
        ("", False),
        ("{", False),
        ("[1]", False),
        ('{"unknown": 1}', False),
        (gates.Signature("model-signing", "5" * 64).to_json(), True),
        (gates.Signature("model-signing", "5" * 64, "tumours at noon").to_json(), True),
        (gates.Signature("other", "5" * 64).to_json(), False),
    ],
)
def test_a_signature_counts_when_it_was_verified_with_the_secret_of_now(signature: str, verified: bool) -> None:
    version = builders.model_version(2, verified=True, signature=signature)
    assert gates.is_verified(version, ASKED) == verified
    assert gates.is_verified(version, None)


def test_a_signature_does_not_make_up_for_other_bytes() -> None:
    signature = gates.Signature("model-signing", "5" * 64).to_json()
    assert not gates.is_verified(builders.model_version(2, verified=False, signature=signature), ASKED)
