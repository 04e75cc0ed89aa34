"""Labels from a Dataset: when a join is made, what it is told, and what its report comes to."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mainspring.api import contract
from mainspring.api.monitoring import FeedbackCounts, PayloadCounts, Reference, Snapshot
from mainspring.api.v1alpha1.common import (
    ANNOTATION_UNTIL,
    LABEL_DATASET_VERSION,
    LABEL_MODEL_VERSION,
    LABEL_NAME,
    NAME_MAX,
)
from mainspring.api.v1alpha1.modelmonitor import ModelMonitorSpec
from mainspring.plan.common import objects
from mainspring.plan.common.jobs import JobState
from mainspring.plan.modelmonitor import evaluation, labelling
from mainspring.plan.modelmonitor.labelling import Labelling
from mainspring.plan.modelmonitor.observed import Labelled, Observed, Reading
from mainspring.plan.modelmonitor.state import State
from mainspring.plan.modelmonitor.windows import Closed
from mainspring.plan.statistics.counts import WindowCounts
from tests import builders, monitored
from tests.builders import NOW
from tests.sim import builtin

LABELS = {"dataset": "tumours", "delay": "1h", "every": "15m"}
PERFORMANCE = {"metric": "accuracy", "minimum": 0.8, "minimumLabels": 100}
VERSION = "tumours-v1"
REFERENCE = monitored.reference(prediction=monitored.probabilities([0.5], [5, 5]), classes=["no", "yes"], key="patient")
COLUMNS = [{"name": name, "type": "String", "role": "Key"} for name in ("patient", "diagnosis")]
DATA = builders.dataset_version(columns=COLUMNS, columnCount=2)
CONFUSION = [[90, 10], [0, 100]]
REPORT = contract.JoinReport(
    rows=400, covers=True, predicted=[200, 200], feedback=FeedbackCounts(rows=200, confusion=CONFUSION)
)


def observe(labels: dict[str, Any] | None = None, service: dict[str, Any] | None = None, **labelled: Any) -> Observed:
    """All is there for a join; nothing was joined yet."""
    wanted = {key: value for key, value in {**LABELS, **(labels or {})}.items() if value is not None}
    monitor = builders.monitor(
        labelled.pop("name", "tumours"), season="24h", performance={**PERFORMANCE, "labels": wanted}
    )
    there = Labelled(
        dataset=builders.stored(builders.dataset(key="patient"), {"current": objects.name(DATA)}), version=DATA
    )
    return Observed(
        object=builders.stored(monitor),
        spec=ModelMonitorSpec.model_validate(monitor["spec"]),
        settings=builders.SETTINGS,
        service=builders.stored(builders.service(**({"payloadLog": {}} if service is None else service))),
        labelled=replace(there, **labelled),
    )


def decide(observed: Observed, minutes: float = 0, reference: Reference = REFERENCE) -> Labelling:
    return labelling.decide(observed, VERSION, reference, NOW + timedelta(minutes=minutes))


def job_of(made: Labelling) -> dict[str, Any]:
    (job,) = [child for child in made.apply if child["kind"] == "Job"]
    return dict(job)


def ended(
    made: Labelling, state: str = "Succeeded", report: contract.JoinReport | None = REPORT, **more: Any
) -> JobState:
    """The Job that was to be made, as it ended."""
    job = job_of(made)
    found = builders.job_state(job["metadata"]["name"], observe().object, state, report=report, **more)
    metadata = {
        **found.job["metadata"],
        "labels": job["metadata"]["labels"],
        "annotations": job["metadata"]["annotations"],
    }
    return replace(found, job={**found.job, "metadata": metadata})


def told(made: Labelling) -> tuple[str, str]:
    (condition,) = made.conditions
    return condition.status, condition.reason


def message(made: Labelling) -> str:
    return made.conditions[0].message


def test_a_join_is_told_all_that_it_needs() -> None:
    made = decide(observe())
    config_map, *_, job = made.apply
    task = contract.JoinTask.model_validate(json.loads(config_map["data"]["task.json"]))
    assert task == contract.JoinTask(
        namespace="lab",
        monitor="tumours",
        log="s3://artifacts/lab/payloads/tumours",
        model="m",
        version="m-1",
        digest=monitored.DIGEST,
        since=builders.at(-25 * 60),
        until=builders.at(-60),
        dataset=contract.ArtifactRef(name=objects.name(DATA), uri=DATA["spec"]["uri"], digest=DATA["spec"]["digest"]),
        key="patient",
        target="diagnosis",
        classes=["no", "yes"],
        positive="yes",
        score_bins=2,
    )
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["join"]
    assert objects.labels(job)[LABEL_MODEL_VERSION] == VERSION
    assert objects.labels(job)[LABEL_DATASET_VERSION] == objects.name(DATA)
    assert objects.annotations_of(job)[ANNOTATION_UNTIL] == builders.at(-60)
    assert told(made) == ("Unknown", "Joining")


@pytest.mark.parametrize("name", ["tumours", "n" * NAME_MAX])
def test_its_children_are_legal(name: str) -> None:
    for child in decide(observe(name=name)).apply:
        builtin.admit(builders.stored_child(child))
        assert len(objects.name(child)) <= 63
        assert objects.labels(child)[LABEL_NAME] == "join"


def test_a_step_has_one_name_whenever_it_is_asked_for() -> None:
    names = [job_of(decide(observe(), minutes))["metadata"]["name"] for minutes in (0, 7, 14.9)]
    assert len(set(names)) == 1
    assert job_of(decide(observe(), 15))["metadata"]["name"] not in names
    assert decide(observe(), 0).apply == decide(observe(), 14).apply


def test_new_data_is_joined_at_once() -> None:
    other = builders.dataset_version("other", columns=COLUMNS, columnCount=2)
    done = ended(decide(observe()))
    made = decide(observe(jobs=(done,), version=other))
    assert job_of(made)["metadata"]["name"] != done.name
    assert told(made) == ("True", "Joined")


def test_what_was_joined_stands_for_feedback() -> None:
    done = ended(decide(observe()))
    made = decide(observe(jobs=(done,)), 10)
    assert made.apply == ()
    assert made.joined is not None
    assert (made.joined.covers, made.joined.until) == (True, builders.at(-60))
    assert made.joined.counts.feedback == REPORT.feedback
    assert "200 of 400 logged predictions" in message(made)


def test_a_report_is_good_for_a_season() -> None:
    done = ended(decide(observe()))
    observed = observe(jobs=(done,))
    assert decide(observed, 24 * 60 - 15).joined is not None
    assert decide(observed, 24 * 60).joined is None


def test_a_report_about_another_version_says_nothing() -> None:
    done = ended(decide(observe()))
    made = labelling.decide(observe(jobs=(done,)), "tumours-v2", REFERENCE, NOW)
    assert made.joined is None
    assert told(made) == ("Unknown", "Joining")


def test_a_job_without_a_report_is_no_join() -> None:
    done = ended(decide(observe()), report=None)
    made = decide(observe(jobs=(done,)))
    assert made.joined is None
    assert made.apply == ()


def test_what_is_odd_about_a_join_is_told() -> None:
    odd = REPORT.model_copy(
        update={
            "without_key": 7,
            "ambiguous": 3,
            "unreadable": 2,
            "feedback": REPORT.feedback.model_copy(update={"refused": 5}),
        }
    )
    text = message(decide(observe(jobs=(ended(decide(observe()), report=odd),))))
    for part in (
        "7 without a key",
        "3 with several labels for their key",
        "5 with a label that is no class",
        "2 parts of the log cannot be read",
    ):
        assert part in text


def test_jobs_that_are_not_needed_go_with_all_they_had() -> None:
    old, last = ended(decide(observe(), -30)), ended(decide(observe(), -15))
    last = replace(last, job={**last.job, "metadata": {**last.job["metadata"], "creationTimestamp": builders.at(1)}})
    children = tuple(builders.stored_child(child) for child in decide(observe(), -30).apply[:-1])
    windows = builders.stored_child(
        {
            **children[0],
            "metadata": {**children[0]["metadata"], "name": "tumours-windows", "labels": {LABEL_NAME: "monitor"}},
        }
    )
    made = decide(observe(jobs=(old, last), job_children=(*children, windows)))
    gone = {target.name for target, _ in made.delete}
    assert gone == {old.name}
    assert {target.kind for target, _ in made.delete} == {"Job", "ConfigMap", "ServiceAccount", "Role", "RoleBinding"}


def snapshot(reason: str) -> Snapshot:
    found = monitored.snapshot(monitored.window(rows=1))
    return found.model_copy(update={"payloads": PayloadCounts(reason=reason)})


@pytest.mark.parametrize(
    ("labels", "service", "labelled", "reason", "says"),
    [
        ({}, {}, {}, "NoPayloadLog", "InferenceService tumours logs no predictions: set its spec.payloadLog"),
        ({}, {"payloadLog": {"redact": ["patient"]}}, {}, "KeyRedacted", "spec.payloadLog.redact"),
        ({}, {"payloadLog": {"keep": "25h"}}, {}, "KeptTooShortly", "spec.payloadLog.keep"),
        ({}, None, {"dataset": None}, "DatasetNotFound", "spec.performance.labels.dataset"),
        ({}, None, {"version": None}, "NoDatasetVersion", "Dataset tumours has no valid version yet"),
        ({}, None, {"dataset": builders.stored(builders.dataset(), {})}, "NoKey", "set its spec.key"),
        ({"key": "customer"}, None, {}, "KeyNotFound", "no column 'customer' (spec.performance.labels.key)"),
        (
            {},
            None,
            {"version": builders.dataset_version(task="Regression", columns=COLUMNS)},
            "OtherTask",
            "spec.performance.labels.dataset",
        ),
    ],
)
def test_what_stands_in_the_way_is_named(
    labels: dict[str, Any], service: dict[str, Any] | None, labelled: dict[str, Any], reason: str, says: str
) -> None:
    made = decide(observe(labels, service, **labelled))
    assert told(made) == ("False", reason)
    assert says in message(made)
    assert (made.apply, made.joined) == ((), None)


def test_a_model_that_takes_no_key_is_named() -> None:
    made = decide(observe(), reference=REFERENCE.model_copy(update={"key": None}))
    assert told(made) == ("False", "ModelWithoutKey")
    assert "train it anew" in message(made)


def test_a_log_that_servers_refuse_to_write_is_named() -> None:
    observed = replace(observe(), reading=Reading(snapshots={"pod": snapshot("spec.payloadLog.redact names nmae")}))
    assert told(decide(observed)) == ("False", "PayloadLogStopped")
    assert "names nmae" in message(decide(observed))


def test_of_columns_that_are_not_all_known_none_is_missed() -> None:
    data = builders.dataset_version(columns=COLUMNS, columnCount=500)
    assert job_of(decide(observe({"key": "customer"}, version=data)))


def test_a_failure_is_told_and_tried_again_with_the_next_step() -> None:
    failed = ended(decide(observe()), "Failed", None, exit_code=1, reason="ArtifactStoreDenied", message="no access")
    now = decide(observe(jobs=(failed,)), 5)
    assert told(now) == ("False", "ArtifactStoreDenied")
    assert "no access" in message(now)
    assert now.apply == ()
    assert job_of(decide(observe(jobs=(failed,)), 15))


def test_a_failure_that_would_repeat_waits_for_other_data_or_settings() -> None:
    failed = ended(decide(observe()), "Failed", None, exit_code=42, reason="KeyNotFound", message="no column")
    assert decide(observe(jobs=(failed,)), 15).apply == ()
    assert job_of(decide(observe({"delay": "2h"}, jobs=(failed,)), 15))
    upgraded = replace(observe(jobs=(failed,)), settings=builders.UPGRADED)
    assert job_of(decide(upgraded, 15))


# ---- What the counts are used for


def evaluated(joined: labelling.Joined | None) -> evaluation.Evaluation:
    """With feedback that says the opposite of the Dataset."""
    seen = monitored.window(rows=1000, predicted=[500, 500], prediction=[500, 500])
    window = monitored.labelled(seen, rows=1000, confusion=[[0, 500], [500, 0]])
    state = State(version=VERSION, digest=monitored.DIGEST, opened=builders.at(-60))
    closed = Closed(1, builders.at(-60), builders.at(0), window, enough=True)
    return evaluation.evaluate(observe().spec, state, closed, REFERENCE, joined)


def counts(feedback: FeedbackCounts) -> WindowCounts:
    return WindowCounts(digest=monitored.DIGEST, rows=400, columns=[], predicted=[200, 200], feedback=feedback)


GOOD = FeedbackCounts(rows=200, confusion=CONFUSION)
BAD = FeedbackCounts(rows=200, confusion=[[50, 50], [50, 50]])


def test_quality_is_that_of_the_dataset_and_not_of_feedback() -> None:
    found = evaluated(labelling.Joined(counts(GOOD), covers=True, until=builders.at(-60)))
    assert found.performance is not None
    assert (found.performance.value, found.performance.labels) == (0.95, 200)
    assert (found.performance.coverage, found.performance.until) == (0.5, builders.at(-60))
    assert found.recovered == {"PerformanceDegraded"}
    assert found.evidence == {}


def test_bad_quality_over_a_season_is_evidence() -> None:
    assert set(evaluated(labelling.Joined(counts(BAD), covers=True)).evidence) == {"PerformanceDegraded"}
    assert evaluated(labelling.Joined(counts(BAD), covers=False)).evidence == {}


def test_labels_that_come_for_one_class_alone_are_biased() -> None:
    found = evaluated(labelling.Joined(counts(FeedbackCounts(rows=160, confusion=[[150, 0], [5, 5]])), covers=True))
    assert found.performance is not None
    assert found.performance.biased


def test_without_a_join_nothing_is_known() -> None:
    found = evaluated(None)
    assert found.performance is not None
    assert (found.performance.value, found.performance.labels) == (None, 0)
    assert not found.evidence
    assert not found.recovered


def sliced(*names: str, service: dict[str, Any] | None = None) -> Observed:
    observed = observe(service=service)
    asked = observed.spec.performance
    assert asked is not None
    return replace(
        observed,
        spec=observed.spec.model_copy(update={"performance": asked.model_copy(update={"slices": [*names]})}),
    )


def test_slices_are_asked_of_the_join_and_told() -> None:
    reference = REFERENCE.model_copy(update={"columns": [monitored.categories("plan", ["basic"], [10])]})
    made = decide(sliced("plan", "plane"), reference=reference)
    task = json.loads(made.apply[0]["data"]["task.json"])
    assert task["slices"] == ["plan"]
    parts = [contract.SliceCounts(column="plan", category=name, rows=200, feedback=GOOD) for name in ("basic", None)]
    report = REPORT.model_copy(update={"slices": parts, "refused_slices": ["'x' has more than 20 values"]})
    asked = sliced("plan", "plane")
    known = replace(asked, labelled=replace(asked.labelled, jobs=(ended(made, report=report),)))
    found = decide(known, reference=reference)
    assert "slice 'plane' is no input of the model" in message(found)
    assert "slice 'x' has more than 20 values" in message(found)
    assert found.joined is not None
    told = evaluated(found.joined).performance
    assert told is not None
    assert told.slices is not None
    assert [(one.category, one.labels, one.value, one.degraded) for one in told.slices] == [
        ("basic", 200, 0.95, False),
        ("(missing)", 200, 0.95, False),
    ]


def test_a_slice_that_is_redacted_is_not_asked_for() -> None:
    reference = REFERENCE.model_copy(update={"columns": [monitored.categories("plan", ["basic"], [10])]})
    made = decide(sliced("plan", service={"payloadLog": {"redact": ["plan"]}}), reference=reference)
    assert json.loads(made.apply[0]["data"]["task.json"])["slices"] == []
