"""The status of a TrainingRun: what its attempts and its report say."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mainspring.api import contract
from mainspring.api.v1alpha1.trainingrun import Attempt, Lineage, MetricValue, ResultArtifact, Signature
from mainspring.plan.common import jobs, objects, pods
from mainspring.plan.common.jobs import JobState
from mainspring.plan.common.objects import Object
from mainspring.plan.trainingrun import builders, retry
from mainspring.plan.trainingrun.observed import Observed

ATTEMPTS_MAX = 50


def known(observed: Observed) -> dict[str, Any]:
    """The fields as they are now, without the conditions; what was decided is read off the Jobs when it was lost."""
    status = objects.status(observed.object)
    facts = {k: v for k, v in status.items() if k not in ("conditions", "observedGeneration", "retryAt")}
    if "lineage" in facts or observed.dataset_version is None or not observed.jobs:
        return facts
    first = observed.jobs[0]
    image = pods.main_container(objects.spec(first.job)["template"]["spec"])["image"]
    lineage = _lineage(observed, observed.dataset_version, image)
    return facts | {"lineage": lineage, "startTime": facts.get("startTime") or first.started_at}


def attempts(observed: Observed) -> list[dict[str, Any]]:
    """Attempts told before, brought up to date from the Jobs that still exist; at most 50, the newest."""
    before = {a["number"]: a for a in objects.status(observed.object).get("attempts") or ()}
    for job in observed.jobs:
        before[jobs_attempt(job)] = _attempt(job)
    return [before[number] for number in sorted(before)][-ATTEMPTS_MAX:]


def jobs_attempt(job: JobState) -> int:
    return int(job.name.rsplit("-", 1)[-1])


def _attempt(job: JobState) -> dict[str, Any]:
    failed = job.state == "Failed"
    return Attempt(
        number=jobs_attempt(job),
        job=job.name,
        outcome=job.state,
        charged=not failed or retry.is_charged(job),
        reason=job.outcome.reason if failed else "",
        message=job.outcome.message[:1024] if failed else "",
        exit_code=job.exit_code if failed else None,
        start_time=job.started_at,
        completion_time=job.finished_at,
    ).to_dict()


def decided(observed: Observed, version: Object, attempt: int, now: datetime) -> dict[str, Any]:
    """Written before the Job is made: which data, which image, which attempt."""
    facts = known(observed)
    started = {
        "number": attempt,
        "job": builders.job_name(objects.name(observed.object), attempt),
        "outcome": "Running",
    }
    others = [a for a in attempts(observed) if a["number"] != attempt]
    return facts | {
        "phase": "Pending",
        "lineage": _lineage(observed, version, builders.image(observed)),
        "attempts": [*others, Attempt.model_validate(started).to_dict()][-ATTEMPTS_MAX:],
        "startTime": facts.get("startTime") or objects.format_time(now),
    }


def _lineage(observed: Observed, version: Object, image: str) -> dict[str, Any]:
    return Lineage(
        dataset_version=objects.name(version),
        dataset_digest=objects.spec(version)["digest"],
        image=image,
        parameters=observed.spec.estimator.params if observed.spec.estimator else None,
        seed=observed.spec.seed,
    ).to_dict()


def progress(observed: Observed, job: JobState, now: datetime) -> dict[str, Any] | None:
    """Percent, stage, and the end if it goes on at this pace. The estimate changes only with the percentage."""
    if job.progress is None:
        return None
    shown: dict[str, Any] = {"percent": job.progress.percent, "stage": job.progress.stage}
    before = objects.status(observed.object).get("progress") or {}
    if before.get("percent") == shown["percent"]:
        return shown | ({"eta": before["eta"]} if "eta" in before else {})
    if job.started_at and 0 < job.progress.percent < 100:
        started = objects.parse_time(job.started_at)
        shown["eta"] = objects.format_time(started + (now - started) * (100 / job.progress.percent))
    return shown


def result(observed: Observed, job: JobState) -> dict[str, Any] | None:
    """Artifact, metrics, signature and the rest of the lineage from the report; None when there is no valid one."""
    report: contract.TrainReport | None = jobs.parse_report(job, contract.TrainReport)
    if report is None:
        return None
    facts = known(observed)
    lineage = facts.get("lineage") or {}
    more = Lineage(image_id=job.image_id, threads=report.threads, libraries=report.libraries or None).to_dict()
    return facts | {
        "phase": "Registering",
        "progress": {"percent": 100, "stage": "published"},
        "artifact": ResultArtifact.model_validate(report.model_dump()).to_dict(),
        "signature": Signature(task=report.task, inputs=report.inputs, outputs=report.outputs).to_dict(),
        "metrics": [m.to_dict() for m in report.metrics] or None,
        "primary": primary_text(report),
        "notes": report.notes[:32] or None,
        "lineage": lineage | more,
        "attempts": attempts(observed),
        "completionTime": job.finished_at,
    }


def primary_text(report: contract.TrainReport) -> str | None:
    """`roc_auc 0.9934 [0.981, 0.999]`."""
    found = next((m for m in report.metrics if m.name == report.primary), None)
    return metric_text(found) if found else None


def metric_text(metric: MetricValue) -> str:
    interval = (
        f" [{metric.lower:.4g}, {metric.upper:.4g}]" if metric.lower is not None and metric.upper is not None else ""
    )
    return f"{metric.name} {metric.value:.4g}{interval}"
