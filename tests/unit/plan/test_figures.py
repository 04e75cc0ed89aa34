"""What objects say in numbers. Statuses are those that the plans write; see also tests/sim and tests/prometheus."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from mainspring.api.v1alpha1.inferenceservice import InferenceServiceSpec
from mainspring.api.v1alpha1.modelmonitor import ModelMonitorSpec
from mainspring.plan.common import objects
from mainspring.plan.common.figures import Family, Figure
from mainspring.plan.common.objects import Ref
from mainspring.plan.inferenceservice import figures as service_figures
from mainspring.plan.inferenceservice.observed import Observed
from mainspring.plan.model import figures as model_figures
from mainspring.plan.modelmonitor import figures as monitor_figures
from tests import builders

FAMILIES = (*model_figures.FAMILIES, *monitor_figures.FAMILIES, *service_figures.FAMILIES)
NEED = {"reason": "PerformanceDegraded", "since": builders.at(0), "champion": "tumours-v1", "message": "0.7"}
RETRAINS = [
    {"run": "a", "reason": "PerformanceDegraded", "time": builders.at(1), "outcome": "Failed"},
    {"run": "b", "reason": "DriftDetected", "time": builders.at(2), "outcome": "Running"},
]

Told = dict[tuple[Family, tuple[str, ...]], float]


def told(figures: Iterable[Figure]) -> Told:
    """By family and the labels behind namespace and name."""
    found = list(figures)
    for figure in found:
        assert len(figure.labels) == len(figure.family.labels)
        assert figure.labels[:2] == ("lab", "tumours")
    keys = [(figure.family, figure.labels[2:]) for figure in found]
    assert len(keys) == len(set(keys)), "Prometheus refuses a scrape with the same series twice"
    return dict(zip(keys, (figure.value for figure in found), strict=True))


def of_monitor(status: dict[str, Any], **spec: Any) -> Told:
    made = ModelMonitorSpec.model_validate(builders.stored(builders.monitor(**spec))["spec"])
    return told(monitor_figures.figures_of(Ref("ModelMonitor", "lab", "tumours"), made, status))


def of_model(status: dict[str, Any]) -> Told:
    return told(model_figures.figures_of(Ref("Model", "lab", "tumours"), status))


def of_service(status: dict[str, Any], version: objects.Object | None = None, **spec: Any) -> Told:
    obj = builders.stored(builders.service(**spec))
    observed = Observed(
        object=obj,
        spec=InferenceServiceSpec.model_validate(obj["spec"]),
        settings=builders.SETTINGS,
        version=version,
        dataset_version=builders.dataset_version(created=builders.at(-5)),
    )
    return told(service_figures.figures_of(observed, status))


def test_names_are_those_of_open_metrics() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        assert family.name.startswith("mainspring_")
        assert not family.name.endswith(("_total", "_count", "_sum", "_bucket", "_milliseconds", "_percent"))
        assert family.labels[0] == "namespace"


def test_a_monitor_tells_what_its_status_says() -> None:
    found = of_monitor(
        {
            "conditions": [
                builders.condition("DriftDetected", "True", "FeaturesDrifted"),
                builders.condition("PerformanceDegraded", "Unknown", "InsufficientLabels"),
                builders.condition("RetrainTriggered", "False", "WaitingForLabels"),
            ],
            "pods": 2,
            "drifted": 1,
            "features": [{"name": "radius", "psi": 0.4, "distance": 0.2}],
            "performance": {"metric": "accuracy", "value": 0.9, "lower": 0.8, "coverage": 0.5, "estimatedUpper": 0.95},
            "lastWindow": {"rows": 300, "labels": 20, "end": builders.at(3)},
            "lostRowsAtMost": 7,
            "need": NEED,
            "retrained": {"PerformanceDegraded": 21, "DriftDetected": 1},
            "retrains": RETRAINS,
            "lastNeed": {**NEED, "until": builders.at(4), "outcome": "Replaced"},
        }
    )
    assert found[monitor_figures.PODS_READ, ("tumours",)] == 2
    assert found[monitor_figures.FINDINGS["DriftDetected"], ()] == 1
    assert found[monitor_figures.DRIFT_SCORE, ("radius", "psi")] == 0.4
    assert found[monitor_figures.QUALITIES[""], ("accuracy", "measured")] == 0.9
    assert found[monitor_figures.QUALITIES["lower"], ("accuracy", "measured")] == 0.8
    assert found[monitor_figures.QUALITIES["upper"], ("accuracy", "estimated")] == 0.95
    assert found[monitor_figures.BOUND, ("accuracy", "minimum")] == 0.8
    assert found[monitor_figures.COVERAGE, ()] == 0.5
    assert found[monitor_figures.WINDOW_LABELS, ()] == 20
    assert found[monitor_figures.LOST_ROWS, ()] == 7
    assert found[monitor_figures.NEED, ("PerformanceDegraded",)] == builders.NOW.timestamp()
    assert found[monitor_figures.DECISION, ("WaitingForLabels",)] == 1
    assert found[monitor_figures.RETRAINS, ("PerformanceDegraded",)] == 21
    last = (monitor_figures.LAST_RETRAIN, ("DriftDetected", "Running"))
    assert found[last] == builders.NOW.timestamp() + 120
    assert found[monitor_figures.RESTORE, ("Replaced",)] == 240


def test_what_a_monitor_does_not_know_is_not_told() -> None:
    found = of_monitor({"conditions": [builders.condition("PerformanceDegraded", "Unknown", "InsufficientLabels")]})
    assert {family for family, _ in found} == {
        monitor_figures.PODS_READ,
        monitor_figures.BOUND,
        monitor_figures.LOST_ROWS,
        monitor_figures.RETRAINS,
    }
    assert found[monitor_figures.PODS_READ, ("tumours",)] == 0
    assert found[monitor_figures.RETRAINS, ("PerformanceDegraded",)] == 0, "else the first one is no increase"


def test_a_suspended_monitor_is_not_one_that_cannot_read() -> None:
    assert monitor_figures.PODS_READ not in {family for family, _ in of_monitor({}, suspend=True)}


def test_a_model_tells_how_its_champion_changed() -> None:
    moves = [{"version": f"tumours-v{number}", "to": "Champion"} for number in (1, 2, 1)]
    found = of_model({"promotions": 60, "rollbacks": 4, "lastLeadTimeSeconds": 90, "history": moves, "versions": 2})
    assert found == {
        (model_figures.PROMOTIONS, ()): 60,
        (model_figures.ROLLBACKS, ()): 4,
        (model_figures.LEAD_TIME, ()): 90,
        (model_figures.FAILURES, ()): 0.5,
        (model_figures.VERSIONS, ()): 2,
        (model_figures.REJECTED, ()): 0,
        (model_figures.REFUSED, ()): 0,
    }


def test_a_model_tells_what_is_being_proved_and_how_long_that_took() -> None:
    going = {"version": "tumours-v3", "service": "first", "since": builders.at(0)}
    found = of_model({"proving": going, "rejectedByRollout": 2, "lastProvingSeconds": 90})
    assert found[model_figures.REFUSED, ()] == 2
    assert found[model_figures.PROVING_TIME, ()] == 90
    assert found[model_figures.PROVING_SINCE, ("first", "tumours-v3")] == builders.NOW.timestamp()


def test_a_model_without_a_champion_has_counters_at_zero() -> None:
    assert set(of_model({})) == {
        (family, ())
        for family in (
            model_figures.PROMOTIONS,
            model_figures.ROLLBACKS,
            model_figures.VERSIONS,
            model_figures.REJECTED,
            model_figures.REFUSED,
        )
    }


def serving(*rollouts: tuple[str, str, float], available: str = "True") -> dict[str, Any]:
    entries = [{"version": v, "outcome": outcome, "time": builders.at(minutes)} for v, outcome, minutes in rollouts]
    conditions = [builders.condition("Available", available, "Serving")]
    return {"conditions": conditions, "stableVersion": "tumours-v2", "readyReplicas": 3, "rollouts": entries}


def version() -> dict[str, Any]:
    return builders.model_version(2, source={"datasetVersion": "tumours-1", "startedAt": builders.at(-1)})


def test_a_service_tells_how_long_its_version_took_to_come() -> None:
    found = of_service(serving(("tumours-v1", "Promoted", 0), ("tumours-v2", "Promoted", 2)), version())
    assert found == {
        (service_figures.AVAILABLE, ()): 1,
        (service_figures.PODS_READY, ()): 3,
        (service_figures.INFO, ("tumours", "tumours-v2")): 1,
        (service_figures.LAST_ROLLOUT, ("tumours-v2", "Promoted")): builders.NOW.timestamp() + 120,
        (service_figures.LEAD_TIME, ("data",)): 7 * 60,
        (service_figures.LEAD_TIME, ("training",)): 3 * 60,
        (service_figures.FAILURES, ()): 0.0,
    }


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (serving(("tumours-v2", "RolledBack", 2)), version()),  # brought back
        (serving(("tumours-v2", "Promoted", 2)), builders.model_version(3)),  # another one is on its way
        (serving(("tumours-v2", "Promoted", 2)), None),
    ],
)
def test_no_lead_time_is_told_of_what_did_not_just_come(status: dict[str, Any], wanted: objects.Object | None) -> None:
    assert service_figures.LEAD_TIME not in {family for family, _ in of_service(status, wanted)}


def test_a_service_whose_pods_do_not_answer_is_told_apart_from_one_that_should_not_answer() -> None:
    down = serving(("tumours-v2", "Promoted", 2), available="False")
    assert of_service(down)[service_figures.AVAILABLE, ()] == 0
    assert (service_figures.AVAILABLE, ()) not in of_service(down, stop=True)
    assert (service_figures.AVAILABLE, ()) not in of_service({"conditions": down["conditions"]})


METRICS = [
    {"name": "ErrorRate", "verdict": "Inconclusive", "stable": 0.005, "candidate": 0.01, "limit": 0.02, "requests": 300, "needed": 1200},
    {"name": "Disagreement", "verdict": "Inconclusive", "candidate": 0.3, "requests": 50},
    {"name": "basket", "verdict": "Passed", "candidate": 12.0, "limit": 20.0, "strikes": 0},
]  # fmt: skip
UNDER_WAY = {
    "version": "tumours-v3",
    "fromVersion": "tumours-v2",
    "strategy": "Canary",
    "phase": "Stepping",
    "step": 1,
    "weight": 25,
    "mirror": 20,
    "verdict": "Inconclusive",
    "metrics": METRICS,
    "startedAt": builders.at(4),
}


def test_a_service_tells_how_many_rollouts_ended() -> None:
    found = of_service({**serving(), "rolloutsEnded": {"Promoted": 12, "RolledBack": 1}})
    told = {labels: value for (family, labels), value in found.items() if family is service_figures.ROLLOUTS}
    assert told == {("Promoted",): 12, ("RolledBack",): 1}


def test_a_service_tells_how_its_rollout_goes() -> None:
    known = serving(("tumours-v2", "Promoted", 2))
    found = of_service({**known, "rollout": UNDER_WAY})
    more = {key: value for key, value in found.items() if key not in of_service(known)}
    assert more == {
        (service_figures.GOING_ON, ("tumours-v3", "tumours-v2", "Canary", "Stepping", "Inconclusive")): 1,
        (service_figures.STARTED, ()): builders.NOW.timestamp() + 240,
        (service_figures.STEP, ()): 2,
        (service_figures.WEIGHT, ()): 0.25,
        (service_figures.COPIED, ()): 0.2,
        (service_figures.EVIDENCE, ()): 0.25,
        (service_figures.VERDICT, ("ErrorRate", "Inconclusive")): 1,
        (service_figures.VERDICT, ("Disagreement", "Inconclusive")): 1,
        (service_figures.VERDICT, ("basket", "Passed")): 1,
        (service_figures.SEEN, ("ErrorRate",)): 300,
        (service_figures.SEEN, ("Disagreement",)): 50,
        (service_figures.NEEDED, ("ErrorRate",)): 1200,
        (service_figures.BAD, ("ErrorRate", "stable")): 0.005,
        (service_figures.BAD, ("ErrorRate", "candidate")): 0.01,
        (service_figures.BAD, ("Disagreement", "candidate")): 0.3,
    }


def test_where_nobody_counts_no_share_of_the_evidence_is_told() -> None:
    found = of_service({**serving(("tumours-v2", "Promoted", 2)), "rollout": {**UNDER_WAY, "metrics": []}})
    assert service_figures.EVIDENCE not in {family for family, _ in found}


def test_a_service_tells_what_it_keeps_back_and_how_long_its_users_had_it() -> None:
    status = serving(("tumours-v2", "Promoted", 2), ("tumours-v3", "RolledBack", 9))
    status["rollouts"][-1]["startedAt"] = builders.at(4)
    held = {"version": "tumours-v3", "outcome": "RolledBack", "reason": "ErrorRate", "time": builders.at(9)}
    found = of_service({**status, "heldBack": held})
    told = (service_figures.HELD_BACK, ("tumours-v3", "RolledBack", "ErrorRate"))
    assert found[told] == builders.NOW.timestamp() + 540
    assert found[service_figures.LAST_ROLLOUT_TIME, ("RolledBack",)] == 300
    assert found[service_figures.FAILURES, ()] == 0.5
