from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.payloads import Source
from tests.unit.runtime.labels.logs import SOURCE, Lab, Said

LABELS = {"a": "yes", "b": "no", "c": "yes", "d": "no"}
HOURS = 3600.0


def test_predictions_and_labels_meet_by_their_key(lab: Lab) -> None:
    lab.write(Said("a", "yes", bin=1), Said("b", "yes", bin=1), Said("c", "no"), Said("e", "no"), Said(None, "no"))
    report = lab.join(lab.data(LABELS))
    assert (report.rows, report.without_key, report.ambiguous, report.predicted) == (5, 1, 0, [3, 2])
    feedback = report.feedback
    assert (feedback.rows, feedback.refused, feedback.correct) == (3, 0, 1)
    assert feedback.confusion == [[0, 1], [1, 1]]
    assert (feedback.score_rows, feedback.score_positives) == ([1, 2], [1, 1])


def test_a_join_that_is_repeated_gives_the_same_report(lab: Lab) -> None:
    lab.write(Said("a", "yes"), Said("b", "yes"))
    made = lab.data(LABELS)
    assert lab.join(made) == lab.join(made)


def test_a_label_that_comes_late_counts_when_it_comes(lab: Lab) -> None:
    lab.write(Said("a", "yes"), Said("z", "no"))
    assert lab.join(lab.data(LABELS)).feedback.rows == 1
    report = lab.join(lab.data({**LABELS, "z": "no"}))
    assert (report.feedback.rows, report.feedback.correct) == (2, 2)


def test_rows_that_wait_for_their_label_are_not_labelled(lab: Lab) -> None:
    lab.write(Said("a", "yes"), Said("z", "no"))
    assert lab.join(lab.data({**LABELS, "z": None})).feedback.rows == 1


def test_held_out_rows_are_labels_like_all_others(lab: Lab) -> None:
    labels = {f"key-{number}": "yes" if number % 2 else "no" for number in range(100)}
    lab.write(*(Said(key, "yes") for key in labels))
    made = lab.data(labels, split={"test": 0.3, "by": "Hash"})
    assert made.report.splits is not None
    assert made.report.splits.test > 0
    assert lab.join(made).feedback.rows == 100


def test_only_predictions_of_the_time_count(lab: Lab) -> None:
    lab.write(Said("a", "yes", second=-13 * HOURS), Said("b", "no", second=-12 * HOURS), number=1)
    lab.write(Said("c", "yes", second=11.99 * HOURS), Said("d", "no", second=12 * HOURS), number=2)
    report = lab.join(lab.data(LABELS))
    assert (report.rows, report.predicted, report.covers) == (2, [1, 1], True)


def test_a_log_that_began_in_the_time_does_not_cover_it(lab: Lab) -> None:
    lab.write(Said("a", "yes"))
    lab.write(Said("a", "yes", second=-100 * HOURS), source=Source("churn", "6", SOURCE.digest))
    assert not lab.join(lab.data(LABELS)).covers


def test_another_version_and_another_artifact_of_the_same_number_are_left_out(lab: Lab) -> None:
    lab.write(Said("a", "yes"))
    lab.write(Said("b", "yes"), source=Source("churn", "8", SOURCE.digest))
    lab.write(Said("c", "yes"), source=Source("churn", "7", "sha256:" + "cd" * 32))
    assert lab.join(lab.data(LABELS)).rows == 1


def test_a_request_that_was_repeated_is_one_prediction(lab: Lab) -> None:
    lab.write(Said("a", "yes", request="r"), Said("a", "yes", request="r", second=1), Said("b", "yes", request="r"))
    assert lab.join(lab.data(LABELS)).rows == 2


def test_a_key_that_was_predicted_twice_has_its_label_twice(lab: Lab) -> None:
    lab.write(Said("a", "yes"), Said("a", "no", second=60))
    assert lab.join(lab.data(LABELS)).feedback.confusion == [[0, 1], [0, 1]]


def test_a_key_with_several_labels_has_none(lab: Lab) -> None:
    lab.write(Said("1", "yes"), Said("2", "yes"))
    columns: dict[str, Any] = {"id": [1, 1, 2], "x": [1.0, 2.0, 3.0], "y": ["yes", "no", "yes"]}
    report = lab.join(lab.workshop.prepare_rows(columns))
    assert (report.rows, report.ambiguous, report.feedback.rows) == (2, 1, 1)


def test_keys_that_are_integers_are_told_apart_by_their_text(lab: Lab) -> None:
    lab.write(Said("17", "yes"), Said("-3", "no"))
    assert lab.join(lab.data({17: "yes", -3: "no", 170: "no"})).feedback.correct == 2


def test_a_label_that_is_no_class_is_refused(lab: Lab) -> None:
    lab.write(Said("a", "yes"), Said("b", "no"))
    report = lab.join(lab.data({"a": "yes", "b": "perhaps", "c": "no"}))
    assert (report.feedback.rows, report.feedback.refused) == (1, 1)


@pytest.mark.parametrize(("labels", "classes"), [([True, False], ["0", "1"]), ([1, 0], ["0", "1"])])
def test_labels_have_the_names_that_feedback_gives_them(lab: Lab, labels: list[object], classes: list[str]) -> None:
    lab.write(Said("a", "1"), Said("b", "1"))
    report = lab.join(lab.data(dict(zip("ab", labels, strict=True))), classes=classes, positive="1")
    assert report.feedback.confusion == [[0, 0], [1, 1]]


def test_a_model_without_scores_has_no_score_bins(lab: Lab) -> None:
    lab.write(Said("a", "yes"))
    feedback = lab.join(lab.data(LABELS), positive=None, score_bins=0).feedback
    assert (feedback.score_rows, feedback.score_positives) == (None, None)


def test_errors_of_a_regression_are_summed(lab: Lab) -> None:
    lab.write(Said("a", 1.5), Said("b", 3.0), Said("c", 9.0))
    made = lab.data({"a": 1.0, "b": 5.0}, task="Regression")
    report = lab.join(made, classes=None, positive=None, score_bins=0)
    assert (report.rows, report.predicted, report.feedback.rows) == (3, None, 2)
    errors = report.feedback.errors
    assert errors is not None
    assert (errors.absolute, errors.squared, errors.fourth) == (2.5, 4.25, 16.0625)
    assert (errors.labels, errors.labels_squared) == (6.0, 26.0)
    assert errors.moments is not None
    assert (errors.moments.third, errors.moments.squared_errors_labels) == (126.0, 20.25)


def test_a_log_that_was_never_written_to_is_empty(lab: Lab) -> None:
    report = lab.join(lab.data(LABELS))
    assert (report.rows, report.covers, report.predicted, report.feedback.rows) == (0, False, [0, 0], 0)


def test_a_part_that_is_broken_is_left_out_and_counted(lab: Lab, tmp_path: Path) -> None:
    broken = lab.write(Said("a", "yes"), number=1)
    lab.write(Said("b", "no"), number=2)
    (tmp_path / "log" / broken).write_bytes(b"PAR1 and so on")
    report = lab.join(lab.data(LABELS))
    assert (report.rows, report.unreadable) == (1, 1)


def test_a_dataset_without_the_key_is_named(lab: Lab) -> None:
    lab.write(Said("a", "yes"))
    with pytest.raises(PermanentError, match=r"no column 'customer'; correct spec\.performance\.labels\.key"):
        lab.join(lab.data(LABELS), key="customer")


def test_slices_are_counted_by_value(lab: Lab) -> None:
    lab.write(Said("a", "yes", plan="pro"), Said("b", "yes", plan="pro"), Said("c", "yes"), Said("d", "no", plan=None))
    report = lab.join(lab.data(LABELS), slices=["a plan", "visits"])
    found = {(one.column, one.category): (one.rows, one.feedback.confusion) for one in report.slices}
    assert found == {
        ("a plan", "pro"): (2, [[0, 0], [1, 1]]),
        ("a plan", "basic"): (1, [[0, 0], [0, 1]]),
        ("a plan", None): (1, [[1, 0], [0, 0]]),
        ("visits", "1.0"): (4, [[1, 0], [1, 2]]),
    }
    assert report.feedback.rows == 4


def test_slices_of_a_regression_have_their_own_errors(lab: Lab) -> None:
    lab.write(Said("a", 1.5, plan="pro"), Said("b", 3.0))
    report = lab.join(
        lab.data({"a": 1.0, "b": 5.0}, task="Regression"), classes=None, positive=None, score_bins=0, slices=["a plan"]
    )
    errors = {one.category: one.feedback.errors for one in report.slices}
    assert {name: found and found.absolute for name, found in errors.items()} == {"pro": 0.5, "basic": 2.0}


def test_a_column_with_many_values_is_no_slice(lab: Lab) -> None:
    lab.write(*(Said("a", "yes", visits=float(number)) for number in range(21)))
    report = lab.join(lab.data(LABELS), slices=["visits"])
    assert report.slices == []
    assert report.refused_slices == ["'visits' has more than 20 values and cannot be a slice"]
    lab.write(*(Said("a", "yes", visits=float(number) or None) for number in range(21)))
    assert len(lab.join(lab.data(LABELS), slices=["visits"]).slices) == 21
