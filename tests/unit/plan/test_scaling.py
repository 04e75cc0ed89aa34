"""How many pods: by the servers' own figures, and by an autoscaler of Kubernetes that is left alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.api.v1alpha1.inferenceservice import InferenceServiceSpec
from mainspring.api.v1alpha1.scaling import RECENT_MAX, Autoscaling
from mainspring.plan.common import objects
from mainspring.plan.inferenceservice import builders as service_builders
from mainspring.plan.inferenceservice import scaling
from mainspring.plan.inferenceservice.observed import Loads, Observed, Rate
from tests import builders, plans
from tests.chance import OFTEN
from tests.unit.plan.test_inferenceservice import (
    NEW,
    NOW,
    OLD,
    V1,
    V2,
    make,
    observe,
    revision,
    revisions,
    sizes,
    stable,
)

CONCURRENCY: dict[str, Any] = {"minReplicas": 1, "maxReplicas": 10, "metric": "Concurrency", "target": 4}
CPU: dict[str, Any] = {"minReplicas": 2, "maxReplicas": 6, "metric": "CPU", "target": 70}


class Service:
    """One service through time: its status is what was decided before."""

    def __init__(self, pods: int = 1, **policy: Any) -> None:
        self.spec = {"autoscaling": CONCURRENCY | policy}
        self.policy = Autoscaling.model_validate(self.spec["autoscaling"])
        self.revision = revision(V1, ready=pods, size=pods)
        self.told: dict[str, Any] = {}

    def observed(self, loads: Loads) -> Observed:
        told = stable(self.revision) | ({"scaling": self.told} if self.told else {})
        return observe(told=told, spec=dict(self.spec), revisions=revisions(self.revision), loads=loads)

    def decide(self, loads: Loads, seconds: float = 0) -> int:
        """The pods that are wanted so long after NOW."""
        now = NOW + timedelta(seconds=seconds)
        found = scaling.decide(self.observed(loads), self.policy, self.revision, now)
        self.told = found.to_dict()
        return found.desired


def busy(*concurrency: float | None, silent: Iterable[str] = ()) -> Loads:
    """By pod; requests a second are ten times as many. None: it was asked for the first time."""
    rates = {f"pod-{n}": None if c is None else Rate(c, 10 * c) for n, c in enumerate(concurrency)}
    return Loads(rates, frozenset(silent))


@pytest.mark.parametrize(
    ("policy", "load", "pods"),
    [
        ({}, busy(3.0), 1),
        ({}, busy(4.0), 1),
        ({}, busy(4.1), 2),
        ({}, busy(4.0, 4.0, 4.1), 4),
        ({}, busy(0.0, 0.0, 0.0), 3),  # the delay has only begun
        ({}, busy(40.0, 40.0, 40.0), 6),  # at most twice as many
        ({"maxReplicas": 4}, busy(40.0, 40.0, 40.0), 4),
        ({"minReplicas": 5}, busy(0.1, 0.1, 0.1), 5),
        ({"metric": "RequestsPerSecond", "target": 100}, busy(41.0), 2),  # 410 a second need 5
        ({"behaviour": {"scaleDownDelay": "0s"}}, busy(0.1, 0.1, 0.1), 1),
    ],
)
def test_the_number_of_pods_follows_the_load(policy: dict[str, Any], load: Loads, pods: int) -> None:
    assert Service(len(load.rates), **policy).decide(load) == pods


def test_a_rise_doubles_at_most_every_fifteen_seconds() -> None:
    one, load = Service(), busy(38.0)
    assert [one.decide(load, seconds) for seconds in (0, 5, 14, 15, 20, 31, 46)] == [2, 2, 2, 4, 4, 8, 10]


def test_pods_go_when_none_of_them_was_needed_for_the_whole_delay() -> None:
    one = Service(4, behaviour={"scaleDownDelay": "60s"})
    assert one.decide(busy(4, 4, 4, 4), 1) == 4
    assert one.decide(busy(1, 1, 1, 1), 30) == 4
    # In between two were needed for a moment.
    assert one.decide(busy(2, 2, 2, 2), 40) == 4
    assert one.decide(busy(1, 1, 1, 0), 61) == 4, "times are rounded up to a tenth of the delay"
    assert one.decide(busy(1, 1, 1, 0), 67) == 2
    assert one.decide(busy(1, 0), 107) == 1


@pytest.mark.parametrize(
    "unknown",
    [busy(), busy(None), busy(0.1, None), busy(0.1, silent={"pod-1"})],
    ids=["none", "first", "new", "silent"],
)
def test_a_pod_whose_load_is_not_known_keeps_all_of_them(unknown: Loads) -> None:
    one = Service(2, behaviour={"scaleDownDelay": "20s"})
    assert [one.decide(unknown, seconds) for seconds in (0, 100, 200)] == [2, 2, 2]
    assert one.decide(busy(0.1, 0.1), 210) == 2, "only now the delay begins"
    assert one.decide(busy(0.1, 0.1), 230) == 1


def test_what_the_others_have_to_do_is_enough_to_grow() -> None:
    assert Service(2).decide(busy(9.0, silent={"pod-1"})) == 3


def test_status_is_written_ten_times_a_delay_and_no_more() -> None:
    """Of a load that trembles, while nothing has to be done."""
    one, told = Service(2, behaviour={"scaleDownDelay": "300s"}), []
    for second in range(0, 300, 5):
        one.decide(busy(2.0 + 0.02 * (second % 10), 2.2), second)
        told.append(str(one.told))
    assert len(set(told)) <= 11


LOADS = st.builds(
    lambda known, silent: busy(*known, silent=silent),
    st.lists(st.none() | st.floats(0, 100), max_size=4),
    st.sampled_from([(), ("pod-9",)]),
)
STEPS = st.lists(st.tuples(LOADS, st.floats(1, 60)), min_size=1, max_size=30)


@OFTEN
@given(steps=STEPS, pods=st.integers(1, 12), delay=st.sampled_from(["0s", "7s", "5m", "1h"]))
def test_however_the_load_goes_the_laws_hold(steps: list[tuple[Loads, float]], pods: int, delay: str) -> None:
    one, now = Service(pods, minReplicas=2, behaviour={"scaleDownDelay": delay}), 0.0
    rises: list[tuple[float, int]] = []
    before = scaling.stable_size(one.observed(busy()), one.revision, NOW)
    for load, pause in steps:
        now += pause
        desired = one.decide(load, now)
        assert 2 <= desired <= 10
        complete = bool(load.rates) and None not in load.rates.values() and not load.silent
        assert complete or desired >= before, "missing figures never take a pod away"
        rises = [(at, size) for at, size in rises if now - at < 15]
        assert desired <= 4 * min([before, *(size for _, size in rises)]), "two windows of a rise may meet"
        assert len(one.told["recent"]) <= RECENT_MAX
        again = dict(one.told)
        assert one.decide(load, now) == desired
        assert one.told == again, "to look twice changes nothing"
        rises.append((now, before))
        before = desired


@OFTEN
@given(needs=st.lists(st.tuples(st.integers(1, 50), st.floats(0.5, 90)), min_size=1, max_size=60))
def test_what_was_needed_within_the_delay_is_never_forgotten(needs: list[tuple[int, float]]) -> None:
    delay, now, recent = timedelta(seconds=120), NOW, []
    every: list[tuple[datetime, int]] = []
    for pods, pause in needs:
        now += timedelta(seconds=pause)
        every.append((now, pods))
        recent = scaling.remember(recent, pods, now, delay)
        most = max(p for at, p in every if now - at < delay)
        late = max(p for at, p in every if now - at < 1.1 * delay + timedelta(seconds=1))
        assert most <= max(item.pods for item in recent) <= late
        assert len(recent) <= 14


def test_an_operator_that_was_started_anew_goes_on_where_it_was() -> None:
    """Its figures begin with the second look; what was decided is in status."""
    one = Service(1)
    assert one.decide(busy(38.0)) == 2
    assert one.decide(busy(), 1) == 2
    assert one.decide(busy(19.0, 19.0), 16) == 4


def autoscaler(target: str, **status: Any) -> dict[str, Any]:
    made = builders.manifest("HorizontalPodAutoscaler", "tumours", {"scaleTargetRef": {"name": target}})
    conditions = [builders.condition(kind, "True", "Fine") for kind in ("AbleToScale", "ScalingActive")]
    return {**made, "metadata": {**made["metadata"], "uid": "uid-hpa"}, "status": {"conditions": conditions, **status}}


def by_cpu(pods: int = 3, **more: Any) -> Observed:
    serving = revision(V1, ready=pods, size=pods)
    more = {"autoscaler": autoscaler(objects.name(serving.deployment)), **more}
    others = more.pop("others", ())
    return observe(
        told=more.pop("told", stable(serving)),
        spec={"autoscaling": CPU},
        revisions=revisions(serving, *others),
        **more,
    )


def child(plan: Any, kind: str) -> Mapping[str, Any]:
    (found,) = [m for m in plan.apply if m["kind"] == kind]
    spec: Mapping[str, Any] = found["spec"]
    return spec


def test_the_autoscaler_targets_the_deployment_that_serves() -> None:
    made = make(by_cpu(autoscaler=None))
    spec = child(made, "HorizontalPodAutoscaler")
    assert spec["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": objects.name(OLD.deployment),
    }
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 6)
    assert spec["metrics"] == [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
    ]
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300
    assert spec["behavior"]["scaleDown"]["selectPolicy"] == "Max"


def test_what_the_autoscaler_decides_is_left_alone() -> None:
    observed = by_cpu(pods=5)
    assert sizes(make(observed)) == {}
    assert scaling.stable_size(observed, revision(V1, size=5), NOW) == 5
    assert scaling.is_left_alone(observed, revision(V1, size=5))


def test_one_that_was_stopped_begins_with_the_least() -> None:
    """An autoscaler leaves a Deployment without pods alone, so nobody else would."""
    assert sizes(make(by_cpu(pods=0))) == {objects.name(OLD.deployment): 2}


def test_a_new_revision_begins_with_as_many_pods_as_the_old_one_has() -> None:
    made = make(by_cpu(pods=5, version=V2))
    assert child(made, "Deployment")["replicas"] == 5
    assert child(made, "HorizontalPodAutoscaler")["scaleTargetRef"]["name"] == objects.name(OLD.deployment)


def test_while_another_revision_has_pods_nothing_is_scaled_down() -> None:
    made = make(by_cpu(pods=5, version=V2, others=(revision(V2, ready=0, size=5),)))
    assert child(made, "HorizontalPodAutoscaler")["behavior"]["scaleDown"]["selectPolicy"] == "Disabled"


def test_the_autoscaler_turns_with_the_service_and_the_old_revision_goes() -> None:
    made = make(by_cpu(pods=3, version=V2, others=(revision(V2, ready=3, size=3),)))
    assert child(made, "HorizontalPodAutoscaler")["scaleTargetRef"]["name"] == objects.name(NEW.deployment)
    assert sizes(made) == {objects.name(OLD.deployment): 0}


def test_growing_by_itself_leaves_ready_alone() -> None:
    serving = revision(V1, ready=2, size=4)
    observed = observe(told=stable(serving), spec={"autoscaling": CPU}, revisions=revisions(serving))
    assert plans.verdict(make(observed)) == ("Ready", "Scaling")


def test_a_cluster_without_figures_says_so() -> None:
    failing = autoscaler(objects.name(OLD.deployment))
    failing["status"]["conditions"][1] |= {
        "status": "False",
        "reason": "FailedGetResourceMetric",
        "message": "no metrics",
    }
    made = make(by_cpu(autoscaler=failing))
    assert plans.condition(made, "AutoscalingActive") == ("False", "FailedGetResourceMetric")
    assert "kubectl top pods" in str(made.status)
    assert plans.verdict(made) == ("Ready", "Serving")


def test_silent_servers_are_named() -> None:
    observed = Service(2).observed(busy(1.0, silent={"pod-1"}))
    made = make(observed)
    assert plans.condition(made, "AutoscalingActive") == ("False", "FiguresMissing")
    assert "pod-1" in str(made.status)
    assert made.requeue_after == scaling.LOOK_SECONDS


@pytest.mark.parametrize("spec", [{"replicas": 2}, {"autoscaling": CONCURRENCY}])
def test_an_autoscaler_that_is_no_longer_wanted_goes(spec: dict[str, Any]) -> None:
    left = autoscaler(objects.name(OLD.deployment))
    made = make(observe(told=stable(OLD), spec=spec, revisions=revisions(OLD), autoscaler=left))
    assert plans.deleted(made) == ["HorizontalPodAutoscaler tumours"]


def test_a_stopped_service_has_no_pods_whoever_decided_before() -> None:
    serving = revision(V1, ready=3, size=3)
    observed = observe(
        told=stable(serving) | {"scaling": {"metric": "CPU", "target": 70, "desired": 3}},
        spec={"autoscaling": CPU, "stop": True},
        revisions=revisions(serving),
        autoscaler=autoscaler(objects.name(serving.deployment)),
    )
    made = make(observed)
    assert sizes(made) == {objects.name(serving.deployment): 0}
    assert "scaling" not in (made.status or {})


def test_pods_are_spread_over_nodes_and_zones_unless_the_user_says_how() -> None:
    spread = _spread({})
    assert [one["topologyKey"] for one in spread] == list(service_builders.SPREAD_OVER)
    assert {one["whenUnsatisfiable"] for one in spread} == {"ScheduleAnyway"}
    own: dict[str, Any] = {"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}
    assert _spread({"topologySpreadConstraints": [own]}) == [own]
    assert _spread({"topologySpreadConstraints": []}) == []


def _spread(template: dict[str, Any]) -> list[dict[str, Any]]:
    observed = observe(spec={"podTemplate": template} if template else {})
    assert isinstance(observed.spec, InferenceServiceSpec)
    pod = service_builders.build_deployment(observed, V1, "abc", 1)["spec"]["template"]["spec"]
    found: list[dict[str, Any]] = pod["topologySpreadConstraints"]
    return found
