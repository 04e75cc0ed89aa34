"""How many pods the stable revision shall have.

By `replicas`, a number. By CPU or Memory, Kubernetes decides (`autoscaler`), and its number is left alone. By Concurrency
or RequestsPerSecond the operator decides, from what the servers say of themselves:

    needed   ceil(sum over the pods / target), within minReplicas and maxReplicas
    up       at once, but at most to double within 15 s
    down     to the most that was needed within scaleDownDelay
    unknown  a pod that does not answer may have any load: what the others have can raise the number, never lower it

The number and what was needed lately are in status, so an operator that was started anew goes on where it was. Times are
rounded up to a tenth of the delay: status is written that often and no more, and pods stay at most so much longer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mainspring.api.v1alpha1.scaling import (
    OF_RESOURCES,
    RECENT_MAX,
    Autoscaling,
    RecentSize,
    ScalingMetric,
    ScalingStatus,
)
from mainspring.plan.common import objects
from mainspring.plan.common.conditions import Condition
from mainspring.plan.inferenceservice import autoscaler
from mainspring.plan.inferenceservice.observed import Loads, Observed, Rate, Revision

CONDITION = "AutoscalingActive"
LOOK_SECONDS = 5.0
RISE = timedelta(seconds=15)
RISE_FACTOR = 2
GRANULES = 10  # of scaleDownDelay
SAME = 0.1  # figures that differ by less are not worth a write
ROUNDING = 1e-9  # 2.0000000001 pods are two


def stable_size(observed: Observed, stable: Revision | None, now: datetime) -> int:
    """Pods that the stable revision shall have, and a new one that takes its place."""
    spec = observed.spec
    if spec.stop:
        return 0
    if spec.autoscaling is None:
        return 1 if spec.replicas is None else spec.replicas
    if spec.autoscaling.metric in OF_RESOURCES:
        return _present(spec.autoscaling, stable)
    return decide(observed, spec.autoscaling, stable, now).desired


def is_left_alone(observed: Observed, revision: Revision) -> bool:
    """The HorizontalPodAutoscaler has its size. One at zero it would leave at zero for ever, so that one is ours."""
    found = observed.autoscaler
    if found is None or not autoscaler.is_wanted(observed) or observed.spec.stop or revision.replicas == 0:
        return False
    return bool(objects.spec(found)["scaleTargetRef"]["name"] == objects.name(revision.deployment))


def is_automatic(observed: Observed) -> bool:
    """Nobody asked for the number of pods that there is now."""
    return observed.spec.autoscaling is not None


def reads_servers(observed: Observed) -> bool:
    """The servers' own figures are needed."""
    policy = observed.spec.autoscaling
    return policy is not None and policy.metric not in OF_RESOURCES and not observed.spec.stop


def look_again(observed: Observed) -> float | None:
    """After so many seconds, if at all."""
    return LOOK_SECONDS if reads_servers(observed) else None


def facts(observed: Observed, stable: Revision | None, now: datetime) -> dict[str, Any]:
    """`status.scaling`."""
    policy = observed.spec.autoscaling
    if policy is None or observed.spec.stop:
        return {"scaling": None}
    if policy.metric in OF_RESOURCES:
        return {"scaling": _settled(before(observed), _of_autoscaler(observed, policy, stable)).to_dict()}
    return {"scaling": decide(observed, policy, stable, now).to_dict()}


def conditions(observed: Observed, stable: Revision | None) -> tuple[Condition, ...]:
    """Whether the number of pods follows the load."""
    policy = observed.spec.autoscaling
    if policy is None or stable is None or observed.spec.stop:
        return ()
    if policy.metric in OF_RESOURCES:
        return (autoscaler.condition(CONDITION, observed),)
    if silent := sorted(observed.loads.silent):
        text = f"{len(silent)} pods say nothing of their load ({silent[0]}): none is removed until they do; see their logs, and whether a NetworkPolicy keeps the operator from port 8081"
        return (Condition(CONDITION, "False", "FiguresMissing", text),)
    text = f"{policy.metric} is read from the servers; {policy.target} for each pod"
    return (Condition(CONDITION, "True", "FiguresRead", text),)


def before(observed: Observed) -> ScalingStatus | None:
    """What was decided last; of another metric only the number of pods counts."""
    told = objects.status(observed.object).get("scaling")
    return ScalingStatus.model_validate(told) if told else None


def _present(policy: Autoscaling, stable: Revision | None) -> int:
    return _within(policy, stable.replicas if stable else 0)


def _within(policy: Autoscaling, pods: int) -> int:
    return min(max(pods, policy.min_replicas), policy.max_replicas)


def _of_autoscaler(observed: Observed, policy: Autoscaling, stable: Revision | None) -> ScalingStatus:
    told = objects.status(observed.autoscaler or {})
    return ScalingStatus(
        metric=policy.metric,
        target=policy.target,
        desired=int(told.get("desiredReplicas") or _present(policy, stable)),
        measured=autoscaler.utilization(told),
        since=told.get("lastScaleTime"),
    )


def decide(observed: Observed, policy: Autoscaling, stable: Revision | None, now: datetime) -> ScalingStatus:
    told = before(observed)
    held = _within(policy, told.desired) if told else _present(policy, stable)
    need = _need(policy, observed.loads, held)
    delay = objects.parse_duration(policy.behaviour.scale_down_delay)
    # Who takes over knows nothing of the time before: the pods that there are may have been needed.
    known = (told.recent if told else None) or remember([], held, now, delay)
    recent = remember(known, need.pods, now, delay)
    going = _rise(told, now)
    rise = going or Rise(held, now)
    desired = min(held, max(item.pods for item in recent))
    if need.pods > held:
        desired = max(held, min(need.pods, RISE_FACTOR * rise.pods))
    risen = desired > held or going is not None
    made = ScalingStatus(
        metric=policy.metric,
        target=policy.target,
        desired=desired,
        measured=need.measured,
        since=told.since if told and told.desired == desired else objects.format_time(now),
        raised_from=rise.pods if risen else None,
        raised_at=objects.format_time(rise.at) if risen else None,
        recent=recent,
    )
    return _settled(told, made)


@dataclass(frozen=True)
class Rise:
    """The pods that there were when it began."""

    pods: int
    at: datetime


def _rise(told: ScalingStatus | None, now: datetime) -> Rise | None:
    """The one that goes on."""
    if told is None or told.raised_at is None or told.raised_from is None:
        return None
    at = objects.parse_time(told.raised_at)
    return Rise(told.raised_from, at) if now < at + RISE else None


@dataclass(frozen=True)
class Need:
    pods: int
    measured: float | None  # of all pods that said something


def _need(policy: Autoscaling, loads: Loads, held: int) -> Need:
    known = [_figure(policy.metric, rate) for rate in loads.rates.values() if rate is not None]
    if not known:
        return Need(held, None)
    measured = sum(known)
    pods = _within(policy, math.ceil(measured / policy.target - ROUNDING))
    complete = len(known) == len(loads.rates) and not loads.silent
    return Need(pods if complete else max(pods, held), round(measured, 3))


def _figure(metric: ScalingMetric, rate: Rate) -> float:
    return rate.concurrency if metric is ScalingMetric.CONCURRENCY else rate.requests_per_second


def remember(recent: Sequence[RecentSize], pods: int, now: datetime, delay: timedelta) -> list[RecentSize]:
    """What was needed within the delay, oldest first; only what is more than all that came after it can matter."""
    kept = [item for item in recent if item.pods > pods and objects.parse_time(item.at) + delay > now]
    at = objects.format_time(_rounded_up(now, delay))
    if kept and kept[-1].at == at:
        return kept
    return [*kept, RecentSize(at=at, pods=pods)][-RECENT_MAX:]


def _rounded_up(now: datetime, delay: timedelta) -> datetime:
    granule = max(delay.total_seconds() / GRANULES, LOOK_SECONDS)
    return datetime.fromtimestamp(math.ceil(math.ceil(now.timestamp() / granule) * granule), UTC)


def _settled(told: ScalingStatus | None, made: ScalingStatus) -> ScalingStatus:
    """As it was told, unless there is something to tell."""
    if told is None or not _is_same(told.measured, made.measured):
        return made
    return told if told.model_copy(update={"measured": made.measured}) == made else made


def _is_same(told: float | None, now: float | None) -> bool:
    if told is None or now is None:
        return told is now
    return abs(told - now) <= SAME * max(told, now)
