"""The results of a version's data checks, in words."""

from __future__ import annotations

from mainspring.api.v1alpha1.datasetversion import CheckResult, DatasetVersionSpec
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object


def results(version: Object) -> list[CheckResult]:
    return DatasetVersionSpec.model_validate(objects.spec(version)).checks or []


def is_valid(version: Object) -> bool:
    """A DatasetVersion whose checks all passed."""
    return all(check.get("passed") for check in objects.spec(version).get("checks") or ())


def describe_failed(version: Object) -> str:
    """Which checks failed and by how many rows."""
    return "; ".join(_describe(check) for check in results(version) if not check.passed)


def _describe(check: CheckResult) -> str:
    examples = f" (e.g. {', '.join(check.examples)})" if check.examples else ""
    what = f": {check.message}" if check.message else f" returned {check.rows} rows"
    return f'check "{check.name}"{what}{examples}'
