"""A DatasetVersion is a fact: its plan only tells what its spec says."""

from __future__ import annotations

from datetime import datetime

from mainspring.api.v1alpha1.datasetversion import DatasetVersionSpec
from mainspring.plan.common import checks, conditions, objects
from mainspring.plan.common.conditions import Condition, Verdict
from mainspring.plan.common.plan import NOTHING, Plan
from mainspring.plan.datasetversion.observed import Observed


def make_plan(observed: Observed, now: datetime) -> Plan:
    version = observed.object
    if objects.is_deleting(version):
        return NOTHING
    every = checks.results(version)
    failed = sum(not check.passed for check in every)
    told = checks.describe_failed(version) or f"all {len(every)} checks passed"
    valid = Condition("Valid", "False" if failed else "True", "ChecksFailed" if failed else "ChecksPassed", told)
    status = conditions.build_status(version, _verdict(observed, told, failed), now, {"failedChecks": failed}, (valid,))
    return Plan(status=status)


def _verdict(observed: Observed, told: str, failed: int) -> Verdict:
    if failed:
        return conditions.stalled("ChecksFailed", f"{told}; it never becomes current")
    spec = DatasetVersionSpec.model_validate(objects.spec(observed.object))
    waiting = spec.rows - (spec.rows if spec.labelled_rows is None else spec.labelled_rows)
    late = f", {waiting} without a target yet" if waiting else ""
    told = f"{spec.rows} rows: {spec.splits.train} for training, {spec.splits.test} held out{late}"
    return conditions.ready("Valid", told)
