"""What a rollout is judged by: read from the stable pods, from Prometheus where it was asked for, and from labels.

It remembers what each pod said last, so that one that goes away does not take its counts with it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from mainspring.api.monitoring import FeedbackCounts, Snapshot
from mainspring.api.splitting import SplitSnapshot
from mainspring.api.v1alpha1.inferenceservice import InferenceServiceSpec
from mainspring.api.v1alpha1.rollouts import Phase, RolloutStatus
from mainspring.controllers import addresses
from mainspring.controllers.asking import Asking
from mainspring.controllers.remembered import LastWords
from mainspring.kube import prometheus, servers
from mainspring.kube.prometheus import Prometheus
from mainspring.kube.servers import Servers
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Ref
from mainspring.plan.inferenceservice import queries
from mainspring.plan.inferenceservice.analysis import Labels
from mainspring.plan.inferenceservice.observed import Counts, Revision
from mainspring.plan.modelmonitor.series import Sample

NO_LABELS = Labels(0, 0)


class RolloutReader:
    def __init__(self, asked: Servers, prometheus: Prometheus) -> None:
        self._servers = asked
        self._prometheus = prometheus
        self._asking = Asking()
        self._last = LastWords(SplitSnapshot)  # by pod

    def forget(self, service: Ref) -> None:
        self._last.forget(service)

    async def read(
        self,
        service: Ref,
        spec: InferenceServiceSpec,
        state: RolloutStatus,
        stable: Revision | None,
        candidate: Revision | None,
    ) -> Counts:
        counts = await self._split(service, stable, state.counted_of or ())
        if spec.rollout is None or state.phase is Phase.STARTING or state.forced:
            return counts
        analysis = spec.rollout.analysis
        if analysis.max_quality_drop is not None and not state.same_model:
            of_stable, of_candidate = await self._labels(state, stable, candidate)
            counts = replace(counts, stable_labels=of_stable, candidate_labels=of_candidate)
        if analysis.queries and analysis.prometheus:
            filled = {q.name: queries.fill(q.query, service, state) for q in analysis.queries}
            readings, problem = await self._ask(analysis.prometheus, filled)
            counts = replace(counts, readings=readings, prometheus_problem=problem)
        return counts

    async def _split(self, service: Ref, stable: Revision | None, counted: Collection[str]) -> Counts:
        """Who does not answer now is taken by what it said last; who is no more, or started anew, has said its last.

        `counted`: processes whose last words are in status. They are forgotten here, since status does not name them for ever.
        """
        pods = {objects.name(pod): pod for pod in (stable.pods if stable else ()) if addresses.is_up(pod)}
        answers = await self._asking.each(pods.values(), self._servers.split)
        found = dict(zip(pods, answers, strict=True))
        said = {name: a for name, a in found.items() if isinstance(a, SplitSnapshot)}
        failed = {name: a for name, a in found.items() if isinstance(a, servers.ServerError)}
        known = self._last.of(service, self._last.names(service))
        last = {name: words for name, words in known.items() if words.epoch not in counted}
        gone = {
            # Of a container that started anew in its pod: told again until it is written down, as that of a pod that is gone.
            f"{name} {words.epoch}" if name in pods else name: words
            for name, words in last.items()
            if name not in pods or _is_another(said.get(name), words)
        }
        silent = {name: last[name] for name in failed if name in last}
        self._last.keep(service, {**said, **silent, **gone})
        foreign = [str(error) for error in failed.values() if isinstance(error, servers.Unsuitable)]
        return Counts(
            snapshots={**said, **silent},
            gone=tuple(gone.values()),
            unsuitable=f"the stable pods cannot split requests: {foreign[0]}" if foreign and not said else "",
        )

    async def _labels(
        self, state: RolloutStatus, stable: Revision | None, candidate: Revision | None
    ) -> tuple[dict[str, Labels], Labels | None]:
        """Of the stable version by process. A label may come to any pod; it says which version it is about."""
        pods = [pod for r in (stable, candidate) if r for pod in r.pods if addresses.is_up(pod)]
        answers = await self._asking.each(pods, self._servers.snapshot)
        said = [answer for answer in answers if isinstance(answer, Snapshot)]
        of_stable = {snapshot.epoch: _labels_of([snapshot], state.from_version) for snapshot in said}
        return {epoch: found or NO_LABELS for epoch, found in of_stable.items()}, _labels_of(said, state.version)

    async def _ask(self, url: str, filled: Mapping[str, str]) -> tuple[dict[str, float | None], str]:
        """Numbers by query, None where there is none or more than one; and what is the matter with Prometheus."""
        try:
            answers = await asyncio.gather(*(self._prometheus.query(url, query) for query in filled.values()))
        except (prometheus.Unavailable, prometheus.Refused) as error:
            return dict.fromkeys(filled), f"Prometheus of spec.rollout.analysis.prometheus: {error}"
        return {name: _number(samples) for name, samples in zip(filled, answers, strict=True)}, ""


def _number(samples: Sequence[Sample]) -> float | None:
    """A division of nothing by nothing is no number either."""
    return samples[0].value if len(samples) == 1 and not math.isnan(samples[0].value) else None


def _is_another(now: SplitSnapshot | None, before: SplitSnapshot) -> bool:
    return now is not None and now.epoch != before.epoch


def _labels_of(said: Iterable[Snapshot], version: str) -> Labels | None:
    number = version.rpartition("-v")[2]
    found = [_feedback(snapshot, number) for snapshot in said]
    counted = [f for f in found if f is not None and f.confusion]
    if not counted:
        return None
    right = sum(row[i] for f in counted for i, row in enumerate(f.confusion or ()))
    return Labels(right, sum(sum(row) for f in counted for row in f.confusion or ()))


def _feedback(snapshot: Snapshot, version: str) -> FeedbackCounts | None:
    return snapshot.feedback if snapshot.version == version else snapshot.other_feedback.get(version)
