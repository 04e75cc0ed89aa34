from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mainspring.api import contract
from mainspring.api.v1alpha1.common import ANNOTATION_FAST_PATH
from mainspring.api.v1alpha1.model import ModelSpec
from mainspring.api.v1alpha1.modelversion import ComparedMetric, ModelVersionSpec
from mainspring.plan.common import gates, objects
from mainspring.plan.common.plan import NOTHING, Plan
from mainspring.plan.modelversion import builders as version_builders
from mainspring.plan.modelversion import plan
from mainspring.plan.modelversion.observed import Observed
from tests import builders, plans

NOW = builders.NOW
NOT_WORSE = {"name": "not-worse", "metric": "roc_auc", "versusChampion": {}}
CHAMPION = builders.model_version(1, passed=True, promoted=builders.at(-9))


def observe(version: dict[str, Any] | None = None, spec: dict[str, Any] | None = None, **more: Any) -> Observed:
    obj = version or builders.model_version(2)
    model = builders.stored(builders.model(**(spec or {})))
    known = {"model": model, "model_spec": ModelSpec.model_validate(objects.spec(model))}
    parsed = ModelVersionSpec.model_validate(objects.spec(obj))
    return Observed(object=obj, spec=parsed, settings=builders.SETTINGS, **{**known, **more})


def versus(version: dict[str, Any] | None = None, **more: Any) -> Observed:
    data = {
        "dataset_version": builders.dataset_version("new"),
        "champion_dataset_version": builders.dataset_version("old"),
    }
    return observe(version, {"gates": [NOT_WORSE]}, champion=CHAMPION, **{**data, **more})


def make(observed: Observed, minutes: float = 0) -> Plan:
    return plan.make_plan(observed, NOW + timedelta(minutes=minutes))


def with_job(observed: Observed, state: str, attempt: int = 0, **more: Any) -> Observed:
    assert observed.model_spec is not None
    asked = gates.asked_of(observed.object, observed.model_spec.gates)
    rival = observed.champion if gates.compares(asked) else None
    name = version_builders.job_name(observed, rival, attempt)
    return replace(observed, jobs=(*observed.jobs, builders.job_state(name, observed.object, state, **more)))


def report(*compared: ComparedMetric) -> contract.EvaluateReport:
    return contract.EvaluateReport(
        digest=builders.digest("artifact 2"), size=1, format="skops", compared=list(compared)
    )


def better(value: float) -> ComparedMetric:
    return ComparedMetric(
        metric="roc_auc", on="All", difference=value, lower=value - 0.01, upper=value + 0.01, rows=114
    )


def decision(made: Plan) -> dict[str, Any]:

    found: dict[str, Any] = json.loads(plans.notes(made)["tumours-v2"]["gates"])
    return found


def test_a_new_version_is_verified_first() -> None:
    made = make(observe())
    assert plans.verdict(made) == ("Reconciling", "Verifying")
    assert made.apply[-1]["metadata"]["name"].startswith("tumours-v2-eval-")


def test_a_version_waits_for_its_model() -> None:
    made = make(observe(model=None, model_spec=None))
    assert plans.verdict(made) == ("Reconciling", "ModelNotFound")


def test_verification_and_gates_are_decided_in_one_annotation_write() -> None:
    made = make(with_job(observe(), "Succeeded", report=report()))
    assert set(plans.notes(made)["tumours-v2"]) == {"gates", "verified"}
    assert decision(made)["passed"]
    assert made.status is None


@pytest.mark.parametrize(
    ("found", "note", "told"),
    [
        ({"fast_path": True}, "onnx", ("True", "OnnxRuntime")),
        ({"fast_path": False, "fallback_reason": "predict differs"}, "predict differs", ("False", "ScikitLearn")),
        ({"fast_path": False}, "it has no model.onnx", ("False", "ScikitLearn")),
    ],
)
def test_how_a_version_is_answered_is_kept_and_told(found: dict[str, Any], note: str, told: tuple[str, str]) -> None:
    made = make(with_job(observe(), "Succeeded", report=report().model_copy(update=found)))
    assert plans.notes(made)["tumours-v2"]["fast-path"] == note
    version = builders.model_version(2, passed=True)
    version["metadata"]["annotations"] |= {ANNOTATION_FAST_PATH: note}
    settled = make(observe(version))
    assert plans.condition(settled, "FastPath") == told
    assert plans.verdict(settled) == ("Ready", "Candidate"), "slow is not wrong"


def test_a_decided_version_says_where_it_stands() -> None:
    made = make(observe(builders.model_version(2, passed=True)))
    assert plans.verdict(made) == ("Ready", "Candidate")
    assert plans.condition(made, "ArtifactVerified") == ("True", "DigestMatches")
    assert plans.condition(made, "GatesPassed") == ("True", "GatesPassed")


@pytest.mark.parametrize(
    ("version", "champion", "stage"),
    [
        (builders.model_version(2, passed=True), None, "Candidate"),
        (builders.model_version(2, passed=True), CHAMPION, "Candidate"),
        (builders.model_version(2, passed=False), CHAMPION, "Rejected"),
        (builders.model_version(2, passed=True, rejected="RolledBackByPin"), CHAMPION, "Rejected"),
        (
            builders.model_version(2, passed=True, promoted=builders.at(-1), rejected="RolledBackByPin"),
            CHAMPION,
            "Rejected",
        ),
        (builders.model_version(2, passed=True, promoted=builders.at(-1)), CHAMPION, "Archived"),
        (builders.model_version(2, passed=True), builders.model_version(3, passed=True), "Archived"),
        (CHAMPION, CHAMPION, "Champion"),
    ],
)
def test_stages(version: dict[str, Any], champion: dict[str, Any] | None, stage: str) -> None:
    made = make(observe(version, champion=champion))
    assert plans.verdict(made) == ("Ready", stage)
    assert made.status is not None
    assert made.status["stage"] == stage


def test_one_job_verifies_and_compares() -> None:
    task = contract.EvaluateTask.model_validate_json(make(versus()).apply[0]["data"]["task.json"])
    assert task.comparison is not None
    assert task.comparison.champion.name == "tumours-v1"
    assert [m.metric for m in task.comparison.metrics] == ["roc_auc"]


def test_the_evaluation_has_the_image_of_the_training() -> None:
    version = builders.model_version(2, source={"image": "jobs:0"})
    job = make(observe(version)).apply[-1]
    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == "jobs:0"


@pytest.mark.parametrize(("value", "passed"), [(0.02, True), (-0.005, True), (-0.2, False)])
def test_the_comparison_decides(value: float, passed: bool) -> None:
    made = make(with_job(versus(), "Succeeded", report=report(better(value))))
    assert decision(made)["passed"] == passed
    assert decision(made)["champion"] == "tumours-v1"


IMPROVING = {"trainingRun": "drifted", "datasetVersion": "tumours-1", "mustImprove": True}


@pytest.mark.parametrize(("value", "passed"), [(0.02, True), (0.01, False), (-0.005, False)])
def test_a_version_that_must_improve_is_compared_once_more(value: float, passed: bool) -> None:
    """The bounds lie 0.01 below and above: not worse than the champion is not enough."""
    observed = versus(builders.model_version(2, source=IMPROVING))
    task = contract.EvaluateTask.model_validate_json(make(observed).apply[0]["data"]["task.json"])
    assert task.comparison is not None
    assert [(m.metric, m.on) for m in task.comparison.metrics] == [("roc_auc", None), ("roc_auc", None)]
    made = decision(make(with_job(observed, "Succeeded", report=report(better(value), better(value)))))
    assert [(r["name"], r["verdict"] == "Passed") for r in made["results"]] == [
        ("not-worse", True),
        ("must-improve", passed),
    ]
    assert made["passed"] == passed


def test_a_version_that_must_improve_is_compared_by_a_model_without_gates() -> None:
    observed = versus(builders.model_version(2, source=IMPROVING))
    assert observed.model_spec is not None
    bare = replace(observed, model_spec=observed.model_spec.model_copy(update={"gates": None}))
    assert decision(make(with_job(bare, "Succeeded", report=report(better(0.0)))))["passed"] is False


def test_another_champion_asks_for_another_job() -> None:
    decided = builders.model_version(2, passed=True, champion="tumours-v0", model=builders.model(gates=[NOT_WORSE]))
    made = make(versus(decided))
    assert plans.applied(made)[-1] == "Job"


def test_the_same_question_has_the_same_job() -> None:
    observed = versus()
    first, again, other = (version_builders.job_name(observed, CHAMPION, n) for n in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize("change", [{"trustedTypes": ["a.B"]}, {"allowPickle": True}])
def test_what_the_model_comes_to_allow_is_another_question(change: dict[str, Any]) -> None:
    names = {version_builders.job_name(observe(spec=spec), None, 0) for spec in ({}, change)}
    assert len(names) == 2


def test_without_the_champions_data_the_gates_are_inconclusive() -> None:
    made = make(with_job(versus(champion_dataset_version=None), "Succeeded", report=report()))
    assert decision(made)["results"][0]["verdict"] == "Inconclusive"
    assert "DatasetVersion of tumours-v1" in decision(made)["results"][0]["message"]


def test_a_version_that_was_promoted_is_not_judged_again() -> None:
    made = make(versus(builders.model_version(2, passed=True, promoted=builders.at(-1))))
    assert not made.apply
    assert plans.verdict(made) == ("Ready", "Archived")


def test_a_verified_version_is_judged_by_changed_gates_without_a_job() -> None:
    made = make(
        observe(
            builders.model_version(2, passed=True), {"gates": [{"name": "g", "metric": "roc_auc", "minimum": 0.99}]}
        )
    )
    assert not made.apply
    assert not decision(made)["passed"]


def test_a_permanent_failure_means_that_it_is_not_verified() -> None:
    made = make(with_job(observe(), "Failed", exit_code=42, reason="UntrustedTypes", message="list them"))
    assert plans.verdict(made) == ("Stalled", "UntrustedTypes")
    assert plans.condition(made, "ArtifactVerified") == ("False", "UntrustedTypes")


def test_after_a_failed_verification_a_good_one_counts() -> None:
    failed = {"conditions": [builders.condition("ArtifactVerified", "False", "UntrustedTypes")]}
    made = make(observe(builders.model_version(2, passed=True, status=failed)))
    assert plans.condition(made, "ArtifactVerified") == ("True", "DigestMatches")


def test_a_passing_failure_is_tried_again() -> None:
    made = make(with_job(observe(), "Failed", exit_code=1, reason="StoreUnreachable"))
    assert plans.verdict(made) == ("Stalled", "StoreUnreachable")
    assert made.status is not None
    assert (made.status["attempt"], made.status["retryAt"], made.requeue_after) == (1, "2025-06-02T08:00:10Z", 10)


def test_before_its_time_no_retry_is_made() -> None:
    told = {"attempt": 1, "retryAt": builders.at(1)}
    version = builders.model_version(2, status=told)
    assert make(observe(version)) == Plan(requeue_after=60)
    assert "Job" in plans.applied(make(observe(version), minutes=1))


def test_a_good_end_without_a_report_is_tried_again() -> None:
    assert plans.verdict(make(with_job(observe(), "Succeeded"))) == ("Stalled", "ReportMissing")


def test_other_bytes_found_by_a_server_are_a_decision() -> None:
    made = make(observe(builders.model_version(2, passed=True), mismatch="model.skops differs"))
    assert plans.condition(made, "ArtifactVerified") == ("False", "ArtifactDigestMismatch")
    assert plans.notes(made)["tumours-v2"]["verified"] == "Mismatch"
    assert plans.notes(made)["tumours-v2"]["gates"]
    assert "model.skops differs" in plans.message(made)


def test_that_decision_outlives_the_report_and_keeps_its_words() -> None:
    found = builders.model_version(2, passed=True)
    told = make(observe(found, mismatch="model.skops differs"))
    notes = {**found["metadata"]["annotations"], "mainspring.dev/verified": gates.CORRUPT}
    after = {**found, "status": told.status, "metadata": {**found["metadata"], "annotations": notes}}
    assert make(observe(after)).status == told.status


def test_a_version_of_another_name_says_how_it_must_be_called() -> None:
    version = builders.model_version(2)
    wrong = {**version, "metadata": {**version["metadata"], "name": "tumours-v3"}}
    assert plans.verdict(make(observe(wrong))) == ("Stalled", "InvalidName")


def test_jobs_but_the_newest_go() -> None:
    version = builders.model_version(2, passed=True)
    jobs = tuple(builders.job_state(f"tumours-v2-eval-{n}", version, "Succeeded") for n in (1, 2))
    orphan = {**builders.job("tumours-v2-eval-0", version), "kind": "Role"}
    made = make(observe(version, jobs=jobs, job_children=(orphan,)))
    assert plans.deleted(made) == ["Job tumours-v2-eval-1", "Role tumours-v2-eval-0"]


def test_a_settled_version_writes_nothing() -> None:
    version = builders.model_version(2, passed=True)
    told = dict(make(observe(version)).status or {})
    again = observe({**version, "status": told})
    assert plans.is_silent(make(again, minutes=60), again.object)


def test_a_deleted_version_is_left_alone() -> None:
    version = builders.model_version(2)
    gone = {**version, "metadata": {**version["metadata"], "deletionTimestamp": "now"}}
    assert make(observe(gone)) == NOTHING


# ---- Signatures

SIGNED = {"verification": {"publicKeySecret": "model-signing"}}
SIGNATURE = gates.Signature("model-signing", "5" * 64).to_json()
REASONS = sorted(contract.SIGNATURE_REASONS)


def signed_report(signed_by: str | None = "5" * 64) -> contract.EvaluateReport:
    return report().model_copy(update={"signed_by": signed_by})


def test_the_job_gets_the_public_key_of_the_secret() -> None:
    made = make(observe(spec=SIGNED))
    (main,) = made.apply[-1]["spec"]["template"]["spec"]["containers"]
    env = {e["name"]: e.get("valueFrom") for e in main["env"]}
    assert env["MAINSPRING_PUBLIC_KEY"] == {"secretKeyRef": {"name": "model-signing", "key": "public.pem"}}


def test_without_the_wish_the_job_is_that_of_older_releases() -> None:
    names = {objects.name(make(observe(spec=spec)).apply[-1]) for spec in ({}, SIGNED)}
    assert len(names) == 2
    assert objects.name(make(observe(doubt="tumours now")).apply[-1]) in names


def test_who_signed_is_decided_with_the_rest() -> None:
    made = make(with_job(observe(spec=SIGNED), "Succeeded", report=signed_report()))
    notes = plans.notes(made)["tumours-v2"]
    assert json.loads(notes["signature"]) == {"secret": "model-signing", "key": "5" * 64, "doubt": ""}
    assert notes["verified"] == builders.digest("artifact 2")


def test_a_verified_signature_is_told_with_its_key() -> None:
    made = make(observe(builders.model_version(2, passed=True, signature=SIGNATURE), SIGNED))
    assert plans.condition(made, "ArtifactVerified") == ("True", "SignatureVerified")


def test_a_version_that_was_verified_without_its_signature_is_verified_again() -> None:
    made = make(observe(builders.model_version(2, passed=True, promoted=builders.at(-9)), SIGNED))
    assert plans.verdict(made) == ("Reconciling", "Verifying")
    assert "Job" in plans.applied(made)


@pytest.mark.parametrize("reason", REASONS)
def test_what_a_signature_lacks_is_told_and_tried_again(reason: str) -> None:
    failed = with_job(observe(spec=SIGNED), "Failed", exit_code=1, reason=reason, message="model.skops at s3://x")
    made = make(failed)
    assert plans.verdict(made) == ("Stalled", reason)
    assert plans.condition(made, "ArtifactVerified") == ("False", reason)
    assert made.requeue_after == 10


def test_a_key_that_cannot_be_read_says_nothing_about_the_artifact() -> None:
    failed = with_job(
        observe(spec=SIGNED), "Failed", exit_code=1, reason="VerificationKeyInvalid", message="public.pem"
    )
    made = make(failed)
    assert plans.verdict(made) == ("Stalled", "VerificationKeyInvalid")
    assert "ArtifactVerified" not in {c["type"] for c in (made.status or {})["conditions"]}


@pytest.mark.parametrize("signed_by", [None, ""])
def test_a_report_that_names_no_key_proves_nothing(signed_by: str | None) -> None:
    made = make(with_job(observe(spec=SIGNED), "Succeeded", report=signed_report(signed_by)))
    assert plans.condition(made, "ArtifactVerified") == ("False", "SignatureNotVerified")
    assert not made.patch


def test_a_doubt_is_looked_into_once() -> None:
    version = builders.model_version(2, passed=True, signature=SIGNATURE)
    asked = observe(version, SIGNED, doubt="tumours now")
    assert "Job" in plans.applied(make(asked))
    notes = plans.notes(make(with_job(asked, "Succeeded", report=signed_report())))["tumours-v2"]
    after = builders.model_version(2, passed=True, signature=notes["signature"])
    assert plans.verdict(make(observe(after, SIGNED, doubt="tumours now"))) == ("Ready", "Candidate")
    assert plans.verdict(make(observe(after, SIGNED))) == ("Ready", "Candidate")
    assert "Job" in plans.applied(make(observe(after, SIGNED, doubt="tumours later")))
