"""Judging one version: each gate compares an interval, never a point.

NonInferior passes if the one-sided lower 95 % bound of (candidate − champion) is at least −margin. NotWorse fails only if
the upper bound is below −margin. Better passes if the lower bound is above 0. A bound on a metric fails only if the whole interval lies on the wrong side.
"""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.api.v1alpha1.model import ComparisonMode, Gate, VersusChampion
from mainspring.api.v1alpha1.modelversion import ComparedMetric, GateResult, ModelVersionSpec
from mainspring.api.v1alpha1.trainingrun import MetricValue
from mainspring.plan.common import quantity

PASSED, FAILED, INCONCLUSIVE = "Passed", "Failed", "Inconclusive"


def judge(
    gates: Sequence[Gate], spec: ModelVersionSpec, compared: Sequence[ComparedMetric], champion: str
) -> tuple[GateResult, ...]:
    """A verdict for each gate. `compared` answers those that compare, in their order; `champion` is empty when there is
    none to compare with."""
    answers = iter(compared)
    return tuple(_judge(gate, spec, next(answers, None) if gate.versus_champion else None, champion) for gate in gates)


def _judge(gate: Gate, spec: ModelVersionSpec, found: ComparedMetric | None, champion: str) -> GateResult:
    if gate.artifact_size:
        return _size(gate, spec)
    if gate.versus_champion:
        return _versus(gate, gate.versus_champion, found, champion)
    return _bound(gate, spec)


def _size(gate: Gate, spec: ModelVersionSpec) -> GateResult:
    assert gate.artifact_size is not None
    limit, size = quantity.parse(gate.artifact_size.maximum), spec.artifact.size
    if size is None or limit is None:
        return _result(gate, INCONCLUSIVE, "the artifact's size is not known")
    verdict = PASSED if size <= limit else FAILED
    return _result(gate, verdict, f"artifact {quantity.readable_bytes(size)}, maximum {gate.artifact_size.maximum}")


def _bound(gate: Gate, spec: ModelVersionSpec) -> GateResult:
    found = next((m for m in spec.metrics or () if m.name == gate.metric), None)
    if found is None:
        return _result(
            gate, INCONCLUSIVE, f"{gate.metric} was not measured: add it to spec.evaluation.metrics of the run"
        )
    low, high = _interval(found)
    text = f"{gate.metric} {found.value:.4g} [{low:.4g}, {high:.4g}] on {found.rows or '?'} rows"
    if gate.minimum is not None and high < gate.minimum:
        return _result(gate, FAILED, f"{text}, minimum {gate.minimum:g}")
    if gate.maximum is not None and low > gate.maximum:
        return _result(gate, FAILED, f"{text}, maximum {gate.maximum:g}")
    return _result(gate, PASSED, f"{text}, {_bounds(gate)}")


def _interval(metric: MetricValue) -> tuple[float, float]:
    low = metric.value if metric.lower is None else metric.lower
    high = metric.value if metric.upper is None else metric.upper
    return low, high


def _bounds(gate: Gate) -> str:
    parts = [
        f"minimum {gate.minimum:g}" if gate.minimum is not None else "",
        f"maximum {gate.maximum:g}" if gate.maximum is not None else "",
    ]
    return ", ".join(p for p in parts if p)


def _versus(gate: Gate, rule: VersusChampion, found: ComparedMetric | None, champion: str) -> GateResult:
    if not champion:
        return _result(gate, PASSED, "there is no champion to compare with")
    if found is None or found.inconclusive or found.lower is None or found.upper is None:
        why = found.inconclusive if found and found.inconclusive else "it was not compared"
        return _result(gate, INCONCLUSIVE, f"{gate.metric} against {champion}: {why}")
    text = (
        f"{gate.metric} against {champion}: {found.difference:+.4g} [{found.lower:+.4g}, {found.upper:+.4g}] on {found.rows} {found.on.lower()} rows, "
        f"{_asked(rule)}, smallest detectable difference {found.smallest_detectable or 0:.2g}"
    )
    return _result(gate, PASSED if _passes(rule, found.lower, found.upper) else FAILED, text)


def _passes(rule: VersusChampion, lower: float, upper: float) -> bool:
    if rule.mode == ComparisonMode.BETTER:
        return lower > 0
    if rule.mode == ComparisonMode.NON_INFERIOR:
        return lower >= -rule.margin
    return upper >= -rule.margin


def _asked(rule: VersusChampion) -> str:
    return "must be above 0" if rule.mode == ComparisonMode.BETTER else f"margin {rule.margin:g}"


def _result(gate: Gate, verdict: str, message: str) -> GateResult:
    return GateResult(name=gate.name, verdict=verdict, message=message[:512])
