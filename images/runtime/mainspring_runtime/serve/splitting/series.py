"""The same counts for Prometheus, and what only it is told. Without a rollout there are none of these series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client.core import HistogramMetricFamily, Metric

from mainspring_runtime.serve.metrics import LABELS, MAX_REASON_CHARACTERS
from mainspring_runtime.serve.monitoring.families import LabelledCollector, Values
from mainspring_runtime.serve.splitting.choosing import Arm
from mainspring_runtime.serve.splitting.division import Division
from mainspring_runtime.serve.splitting.splitting import Splitting
from mainspring_runtime.serve.splitting.wire import StageCounts

ARMS = (*Arm, "mirrored")
ANSWERED = "answered"


class SplittingCollector(LabelledCollector):
    """Turns what was counted into metric families when Prometheus asks."""

    def __init__(self, model: str, version: str, splitting: Splitting) -> None:
        super().__init__(model, version)
        self._splitting = splitting

    def collect(self) -> Iterable[Metric]:
        splitting = self._splitting
        if splitting.tallies.shadow:
            copies: Values = {(str(code),): count for code, count in sorted(splitting.tallies.shadow.items())}
            yield self._counter("mainspring_shadow_requests", "Copies that were answered.", copies, ("code",))
        if splitting.stages:
            yield from self._counts(splitting.stages)
            yield self._forward_seconds()
        if splitting.division is not None:
            yield from self._applied(splitting.division)
        if splitting.reason is not None:
            text = "1; reason says why the split is not applied."
            reason = splitting.reason[:MAX_REASON_CHARACTERS]
            yield self._gauge("mainspring_split_problem", text, {(reason,): 1}, ("reason",))

    def _counts(self, stages: Iterable[StageCounts]) -> Iterable[Metric]:
        requests, rows, skipped = Counter[tuple[str, ...]](), Counter[tuple[str, ...]](), 0
        for stage in stages:
            requests.update(_outcomes(stage))
            rows.update({("disagreed",): stage.disagreed, ("agreed",): stage.compared - stage.disagreed})
            skipped += stage.skipped
        text = "Requests of the rollout by who was to answer them, and how that went."
        yield self._counter("mainspring_split_requests", text, requests, ("arm", "outcome"))
        text = "Rows that both revisions answered, and that were compared."
        yield self._counter("mainspring_split_compared_rows", text, rows, ("outcome",))
        text = "Copies that were not made, since too many were under way."
        yield self._counter("mainspring_split_skipped_copies", text, {(): skipped})

    def _applied(self, division: Division) -> Iterable[Metric]:
        split = division.split
        shares: Values = {("weight",): split.weight, ("mirror",): split.mirror}
        yield self._gauge("mainspring_split_percent", "Shares of requests that apply now.", shares, ("share",))
        text = "1; candidate is the revision that requests are forwarded to."
        told: Values = {(split.candidate_revision, split.rollout): 1}
        yield self._gauge("mainspring_split_info", text, told, ("candidate", "rollout"))
        text = "1 while nothing is sent, since the candidate did not answer."
        open_now: Values = {
            ("forward",): division.lane.breaker.is_open,
            ("mirror",): division.mirror.breaker.is_open,
        }
        yield self._gauge("mainspring_split_breaker_open", text, open_now, ("lane",))
        text = "After so many seconds this server answers itself."
        yield self._gauge("mainspring_split_budget_seconds", text, {(): division.budget.seconds})

    def _forward_seconds(self) -> Metric:
        text = "From a request that was sent to the candidate to its answer."
        seconds = self._splitting.tallies.forward_seconds
        family = HistogramMetricFamily("mainspring_forward_seconds", text, labels=LABELS)
        family.add_metric(self._labels, seconds.cumulative(), seconds.total)
        return family


def _outcomes(stage: StageCounts) -> dict[tuple[str, ...], int]:
    """By arm, and `answered` or the kind of the failure."""
    found: dict[tuple[str, ...], int] = {}
    for arm in ARMS:
        counts = getattr(stage, arm)
        found[arm, ANSWERED] = counts.requests - counts.errors
        found |= {(arm, kind): count for kind, count in counts.failures.items()}
    return found
