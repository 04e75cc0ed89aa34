"""What a ModelVersion does next: have its bytes verified, be judged by its Model's gates, say where it stands.

Both outcomes are decisions: each is annotated on the version (verified digest, gates), and everything in status can be
told anew from these. A version that was promoted once is not judged again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from mainspring.api import contract
from mainspring.api.v1alpha1.common import (
    ANNOTATION_FAST_PATH,
    ANNOTATION_GATES,
    ANNOTATION_SIGNATURE,
    ANNOTATION_VERIFIED,
)
from mainspring.api.v1alpha1.model import Gate
from mainspring.api.v1alpha1.modelversion import ComparedMetric, Comparison
from mainspring.api.v1alpha1.trainingrun import MetricValue
from mainspring.plan.common import conditions, gates, jobs, objects, proving
from mainspring.plan.common.conditions import Condition, Verdict
from mainspring.plan.common.jobs import JobState
from mainspring.plan.common.objects import Object, Ref
from mainspring.plan.common.plan import NOTHING, Patch, Plan, annotate
from mainspring.plan.modelversion import builders, fastpath, rolledout, signatures
from mainspring.plan.modelversion import gates as judging
from mainspring.plan.modelversion.observed import Observed
from mainspring.plan.modelversion.signatures import VERIFIED

DECISION_MANAGER = "mainspring-decision"
RETRY_FIRST_SECONDS = 10
RETRY_LIMIT_SECONDS = 300
RETRY_DOUBLINGS = 10  # by then either limit is reached; a version may wait to be signed for months
RETRY_ARCHIVED_SECONDS = 3600  # nobody waits for it
WAITING_LOOK_SECONDS = 15

CORRUPT_REASON = "ArtifactDigestMismatch"


def make_plan(observed: Observed, now: datetime) -> Plan:
    if objects.is_deleting(observed.object):
        return NOTHING
    if observed.mismatch or gates.is_corrupt(observed.object):
        return _corrupt(observed, now)
    if observed.model is None or observed.model_spec is None:
        text = f"waits for Model {observed.spec.model} (spec.model): create it, even with an empty spec"
        return _say(observed, now, conditions.reconciling("ModelNotFound", text))
    if name_problem := _name_problem(observed):
        return _say(observed, now, conditions.stalled("InvalidName", name_problem))
    if not _work_left(observed):
        return _settled(observed, now)
    return _evaluate(observed, now)


def _name_problem(observed: Observed) -> str:
    expected = f"{observed.spec.model}-v{observed.spec.number}"
    actual = objects.name(observed.object)
    return (
        ""
        if actual == expected
        else f"a ModelVersion is named <model>-v<number>: rename {actual} to {expected}, or correct spec.number"
    )


def _gates(observed: Observed) -> list[Gate]:
    return gates.asked_of(observed.object, observed.model_spec.gates) if observed.model_spec else []


def _is_judged_for_good(observed: Observed) -> bool:
    """Promoted once, rejected, or older than the champion: nobody asks its gates any more."""
    version, champion = observed.object, observed.champion
    if gates.promoted_at(version) or gates.rejected(version):
        return True
    return champion is not None and gates.number(champion) >= observed.spec.number


def _rival(observed: Observed) -> Object | None:
    """The champion to be compared with, if a gate asks for it."""
    champion = observed.champion
    if champion is None or objects.uid(champion) == objects.uid(observed.object):
        return None
    return champion if gates.compares(_gates(observed)) else None


def _is_decided(observed: Observed) -> bool:
    """The gates as they are now were judged, against the champion of now."""
    decision = gates.decision(observed.object)
    if decision is None:
        return False
    rival = _rival(observed)
    return decision.gates == gates.hash_of(_gates(observed)) and decision.champion == (
        objects.name(rival) if rival else ""
    )


def _work_left(observed: Observed) -> bool:
    if not signatures.is_verified(observed):
        return True
    return not _is_decided(observed) and not _is_judged_for_good(observed)


def _evaluate(observed: Observed, now: datetime) -> Plan:
    """One Job answers everything that is open; without a rival, a verified version is judged at once."""
    rival = _rival(observed) if not _is_judged_for_good(observed) else None
    if signatures.is_verified(observed) and rival is None:
        return _decide(observed, (), "")
    attempt = int(objects.status(observed.object).get("attempt", 0))
    name = builders.job_name(observed, rival, attempt)
    job = next((j for j in observed.jobs if j.name == name), None)
    if job is None:
        return _start(observed, rival, attempt, now)
    if job.state == "Running":
        return _running(observed, job, now)
    return _after(observed, job, rival, attempt, now)


def _start(observed: Observed, rival: Object | None, attempt: int, now: datetime) -> Plan:
    retry_at = objects.status(observed.object).get("retryAt") if attempt else None
    if retry_at and (wait := (objects.parse_time(retry_at) - now).total_seconds()) > 0:
        return Plan(requeue_after=wait)
    manifests = builders.build_evaluate_job(observed, rival, attempt)
    against = f" and compares it with {objects.name(rival)}" if rival else ""
    name = str(manifests[-1]["metadata"]["name"])
    verdict = conditions.reconciling("Verifying", f"Job {name} verifies the artifact{against}")
    plan = _say(observed, now, verdict, _retry_facts(observed), extra=signatures.lacking_before(observed))
    gone = _old_jobs(observed, name)
    return Plan(apply=manifests, delete=gone, status=plan.status, requeue_after=WAITING_LOOK_SECONDS)


def _running(observed: Observed, job: JobState, now: datetime) -> Plan:
    verifying = conditions.reconciling("Verifying", f"Job {job.name} verifies the artifact")
    verdict = job.waiting.verdict(job.name) if job.waiting else verifying
    extra = signatures.lacking_before(observed)
    return _say(observed, now, verdict, _retry_facts(observed), extra=extra, requeue=WAITING_LOOK_SECONDS)


def _after(observed: Observed, job: JobState, rival: Object | None, attempt: int, now: datetime) -> Plan:
    report: contract.EvaluateReport | None = (
        jobs.parse_report(job, contract.EvaluateReport) if job.state == "Succeeded" else None
    )
    if report is not None:
        if problem := signatures.unanswered(observed, job, report):
            return _not_verified(observed, now, "SignatureNotVerified", problem)
        compared = _complete(observed, report.compared, rival)
        notes = signatures.notes(observed, report) | fastpath.notes(report)
        return _decide(observed, compared, objects.name(rival) if rival else "", notes)
    if job.state == "Failed" and job.permanent:
        return _not_verified(observed, now, job.outcome.reason, job.outcome.message)
    return _retry(observed, job, attempt, now)


def _complete(observed: Observed, compared: list[ComparedMetric], rival: Object | None) -> tuple[ComparedMetric, ...]:
    """When the comparison could not even be asked for, say why instead of waiting for ever."""
    if rival is None or compared:
        return tuple(compared)
    mine, theirs = observed.dataset_version, observed.champion_dataset_version
    missing = objects.name(observed.object) if mine is None else objects.name(rival) if theirs is None else ""
    why = f"the DatasetVersion of {missing} is not known or is gone" if missing else "the report holds no comparison"
    wanted = [g for g in _gates(observed) if g.versus_champion and g.metric]
    return tuple(ComparedMetric(metric=g.metric, on=g.rows or "All", inconclusive=why) for g in wanted if g.metric)


def _decide(
    observed: Observed, compared: tuple[ComparedMetric, ...], champion: str, found: Mapping[str, str] | None = None
) -> Plan:
    """Judge, and write the decision onto the version: it is made once."""
    asked = _gates(observed)
    results = judging.judge(asked, observed.spec, compared, champion)
    passed = all(r.verdict == judging.PASSED for r in results)
    decision = gates.Decision(gates.hash_of(asked), champion, passed, results, compared)
    notes = {**(found or {}), ANNOTATION_VERIFIED: observed.spec.artifact.digest}
    if not _is_judged_for_good(observed):
        notes[ANNOTATION_GATES] = decision.to_json()
    # The next reconcile, which this write brings about, tells the decision in status.
    return Plan(patch=(_mark(observed, notes),))


def _mark(observed: Observed, notes: dict[str, str]) -> Patch:
    """Decisions are kept together: what this field manager did not name again would be removed."""
    before = objects.annotations_of(observed.object)
    ours = (ANNOTATION_GATES, ANNOTATION_VERIFIED, ANNOTATION_SIGNATURE, ANNOTATION_FAST_PATH)
    kept = {key: before[key] for key in ours if key in before}
    return annotate(objects.ref(observed.object), objects.uid(observed.object), kept | notes, DECISION_MANAGER)


def _retry(observed: Observed, job: JobState, attempt: int, now: datetime) -> Plan:
    limit = RETRY_ARCHIVED_SECONDS if _is_overtaken(observed) else RETRY_LIMIT_SECONDS
    wait = min(RETRY_FIRST_SECONDS * 2 ** min(attempt, RETRY_DOUBLINGS), limit)
    outcome = (
        job.outcome
        if job.state == "Failed"
        else contract.Outcome(outcome="Failed", reason="ReportMissing", message="the Job left no report")
    )
    text = f"attempt {attempt + 1} failed: {outcome.message}; next try in {wait} s"
    facts = {"attempt": attempt + 1, "retryAt": objects.format_time(now + timedelta(seconds=wait))}
    verdict = conditions.stalled(outcome.reason or "EvaluationFailed", text)
    extra = signatures.lacking(outcome) or signatures.lacking_before(observed)
    return _say(observed, now, verdict, facts, extra=extra, requeue=wait)


def _retry_facts(observed: Observed) -> dict[str, Any]:
    status = objects.status(observed.object)
    return {key: status[key] for key in ("attempt", "retryAt") if key in status}


def _corrupt(observed: Observed, now: datetime) -> Plan:
    """A decision: it outlives the report of the server that found it."""
    told = objects.condition(observed.object, VERIFIED) or {}
    before = told.get("message") if told.get("reason") == CORRUPT_REASON else ""
    found = f"{observed.mismatch}; publish the model again as a new version" if observed.mismatch else ""
    text = (
        before or found or "a server found other bytes than the digest says; publish the model again as a new version"
    )
    plan = _not_verified(observed, now, CORRUPT_REASON, text)
    return Plan(patch=(_mark(observed, {ANNOTATION_VERIFIED: gates.CORRUPT}),), status=plan.status, status_first=True)


def _not_verified(observed: Observed, now: datetime, reason: str, message: str) -> Plan:
    failed = Condition(VERIFIED, "False", reason or "NotVerified", message)
    return _say(observed, now, conditions.stalled(reason or "NotVerified", message), extra=(failed,))


def _settled(observed: Observed, now: datetime) -> Plan:
    """Verified and judged: say where it stands. Jobs but the newest go."""
    decision = gates.decision(observed.object)
    judged = (_gates_condition(decision),) if decision else ()
    extra = (signatures.verified(observed), *judged, *fastpath.conditions(observed.object))
    facts: dict[str, Any] = {}
    if decision:
        facts["gates"] = [r.to_dict() for r in decision.results] or None
        if decision.champion:
            facts["comparison"] = Comparison(champion=decision.champion, metrics=list(decision.compared)).to_dict()
    plan = _say(observed, now, _standing(observed, decision), facts, extra=extra)
    return Plan(status=plan.status, delete=_old_jobs(observed))


def _gates_condition(decision: gates.Decision) -> Condition:
    told = "; ".join(f"{r.name} {r.verdict.lower()}: {r.message}" for r in decision.results) or "the Model has no gates"
    if decision.passed:
        return Condition("GatesPassed", "True", "GatesPassed", told)
    failed = any(r.verdict == judging.FAILED for r in decision.results)
    return Condition("GatesPassed", "False", "GatesFailed" if failed else "GatesInconclusive", told)


def stage(observed: Observed) -> str:
    """Champion, Archived (was one, or was overtaken), Rejected or Candidate."""
    version, champion = observed.object, observed.champion
    if champion is not None and objects.uid(champion) == objects.uid(version):
        return "Champion"
    if gates.rejected(version):
        return "Rejected"
    if gates.promoted_at(version):
        return "Archived"
    decision = gates.decision(version)
    if decision is not None and not decision.passed:
        return "Rejected"
    return "Archived" if _is_overtaken(observed) else "Candidate"


def _is_overtaken(observed: Observed) -> bool:
    """A newer version became champion first."""
    return observed.champion is not None and gates.number(observed.champion) > observed.spec.number


def _standing(observed: Observed, decision: gates.Decision | None) -> Verdict:
    name, model = objects.name(observed.object), observed.spec.model
    where = stage(observed)
    was = "was champion of" if gates.promoted_at(observed.object) else "was overtaken by a newer version of"
    texts: Mapping[str, str] = {
        "Champion": f"{name} is the champion of Model {model}",
        "Archived": f"{name} {was} Model {model}; pin it with spec.aliases.champion to go to it",
        "Rejected": f"{name} is not promoted: {_why_rejected(observed, decision)}",
        "Candidate": f"{name} is verified and may become champion of Model {model}",
    }
    return conditions.ready(where, texts[where])


def _why_rejected(observed: Observed, decision: gates.Decision | None) -> str:
    if why := gates.rejected(observed.object):
        record = proving.record(observed.object)
        told = f" ({record.message})" if record and record.message else ""
        return f"{why}{told}; pin it with spec.aliases.champion to go to it all the same"
    bad = [r for r in decision.results if r.verdict != judging.PASSED] if decision else []
    return "; ".join(f"gate {r.name} {r.verdict.lower()}: {r.message}" for r in bad)


def _old_jobs(observed: Observed, next_job: str = "") -> tuple[tuple[Ref, str], ...]:
    """All but the newest, whose log somebody may want to read, and the one that is made now."""
    keep = (observed.jobs[-1].name if observed.jobs else "", next_job)
    every = (*(job.job for job in observed.jobs), *observed.job_children)
    return tuple((objects.ref(o), objects.uid(o)) for o in every if objects.name(o) not in keep)


def _primary(observed: Observed) -> str | None:
    found: MetricValue | None = next((m for m in observed.spec.metrics or () if m.name == observed.spec.primary), None)
    return f"{found.name} {found.value:.4g}" if found else None


def _say(
    observed: Observed,
    now: datetime,
    verdict: Verdict,
    facts: Mapping[str, Any] | None = None,
    *,
    extra: tuple[Condition, ...] = (),
    requeue: float | None = None,
) -> Plan:
    told = {"stage": stage(observed), "primary": _primary(observed), **(facts or {})}
    every = (*extra, *rolledout.conditions(observed))
    return Plan(status=conditions.build_status(observed.object, verdict, now, told, every), requeue_after=requeue)
