from __future__ import annotations

from mainspring.plan.common.plan import NOTHING
from mainspring.plan.datasetversion import plan
from mainspring.plan.datasetversion.observed import Observed
from tests import builders, plans


def test_a_version_whose_checks_passed_is_valid() -> None:
    made = plan.make_plan(Observed(builders.dataset_version(checks={"a": 0, "b": 0})), builders.NOW)
    assert plans.verdict(made) == ("Ready", "Valid")
    assert plans.condition(made, "Valid") == ("True", "ChecksPassed")
    assert made.status is not None
    assert made.status["failedChecks"] == 0


def test_a_version_with_a_failed_check_names_it() -> None:
    made = plan.make_plan(Observed(builders.dataset_version(checks={"a": 0, "no-empty": 3})), builders.NOW)
    assert plans.verdict(made) == ("Stalled", "ChecksFailed")
    assert plans.condition(made, "Valid") == ("False", "ChecksFailed")
    assert 'check "no-empty" returned 3 rows' in plans.message(made)


def test_rows_that_wait_for_a_target_are_told() -> None:
    made = plan.make_plan(Observed(builders.dataset_version(rows=600, labelledRows=569)), builders.NOW)
    assert plans.message(made) == "600 rows: 455 for training, 114 held out, 31 without a target yet"


def test_what_was_told_is_not_told_again() -> None:
    version = builders.dataset_version()
    told = plan.make_plan(Observed(version), builders.NOW).status
    assert plan.make_plan(Observed({**version, "status": told}), builders.NOW).status == told


def test_a_deleted_version_is_left_alone() -> None:
    version = builders.dataset_version()
    gone = {**version, "metadata": {**version["metadata"], "deletionTimestamp": "now"}}
    assert plan.make_plan(Observed(gone), builders.NOW) == NOTHING
