"""Reading a service's pods by a Prometheus that scrapes them: `spec.source` Prometheus.

One query for each reading; a second one when a process was restarted in its pod, for the last word of the one before;
and one for the reference of each version. What was read last is remembered here, since Prometheus forgets the series of
pods that are gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from mainspring.api.monitoring import Reference, Snapshot
from mainspring.api.v1alpha1.modelmonitor import Prometheus as Source
from mainspring.controllers.remembered import LastWords, References
from mainspring.kube import prometheus
from mainspring.kube.prometheus import Prometheus
from mainspring.plan.common.objects import Ref
from mainspring.plan.modelmonitor import promql, scraped, series
from mainspring.plan.modelmonitor.observed import Reading
from mainspring.plan.modelmonitor.promql import Selection

FIELD = "spec.prometheus.url"


class Scraping:
    def __init__(self, asked: Prometheus) -> None:
        self._prometheus = asked
        self._references = References()
        self._last = LastWords(Snapshot)  # by process

    def forget(self, monitor: Ref) -> None:
        self._last.forget(monitor)

    async def read(
        self, monitor: Ref, source: Source, selection: Selection, pods: Collection[str], seen: Mapping[str, Snapshot]
    ) -> Reading:
        """`pods` are those that Kubernetes has, `seen` what was read of each process and is written down."""
        known = scraped.newest(seen, self._last.of(monitor, seen))
        try:
            found = await self._read(source.url, selection, pods, known)
        except prometheus.Unavailable as error:
            text = f"Prometheus of {FIELD} cannot be read: {error}; what is counted meanwhile is read when it is back"
            return Reading(waiting=("PrometheusUnavailable", text))
        except prometheus.Refused as error:
            return Reading(unsuitable=("PrometheusRefused", f"{FIELD}: {error}: correct it"))
        # Also what is gone: it may have to be told again, until it is written down.
        self._last.keep(monitor, {**found.gone, **found.snapshots})
        return found

    async def _read(
        self, url: str, selection: Selection, pods: Collection[str], seen: Mapping[str, Snapshot]
    ) -> Reading:
        found = scraped.find(series.targets(await self._prometheus.query(url, promql.counts(selection))))
        if not found.snapshots:
            return _nothing(found, selection, pods)
        last_words = await self._last_words(url, selection, scraped.restarted(found, seen))
        try:
            reference = await self._reference(url, selection, found.snapshots)
        except series.SeriesError as error:
            return Reading(waiting=("NoReferenceSeries", f"{FIELD}: {error}"))
        except (ValueError, OverflowError):
            return Reading(waiting=("NoReferenceSeries", f"{FIELD}: the reference has values that are no counts"))
        reading = scraped.reading(found, pods, seen, last_words, reference)
        return replace(reading, waiting=_old(found, pods))

    async def _last_words(self, url: str, selection: Selection, restarted: Mapping[str, float]) -> dict[str, Snapshot]:
        """Of the processes before the ones that run in these pods now."""
        asked = [
            self._prometheus.query(url, promql.counts_of(selection, [pod]), at=started)
            for pod, started in restarted.items()
        ]
        samples = [sample for answer in await asyncio.gather(*asked) for sample in answer]
        return dict(scraped.find(series.targets(samples)).snapshots)

    async def _reference(self, url: str, selection: Selection, snapshots: Mapping[str, Snapshot]) -> Reference | None:
        """Of any pod: they all serve the same version."""
        pod, snapshot = next(iter(snapshots.items()))
        if known := self._references.get(snapshot.digest):
            return known
        samples = await self._prometheus.query(url, promql.reference(selection, pod))
        target = series.targets(samples).get(pod)
        return self._references.keep(snapshot.digest, series.reference(target)) if target else None


def _old(found: scraped.Found, pods: Collection[str]) -> tuple[str, str] | None:
    """Not one of the pods is scraped any more: what there is of them grows old."""
    if not pods or found.followed.intersection(pods):
        return None
    text = f"the Prometheus of {FIELD} has counts of this service, but scrapes none of its {len(pods)} pods any more: look at its targets; what is counted meanwhile is read when it does again"
    return "NotScraped", text


def _nothing(found: scraped.Found, selection: Selection, pods: Collection[str]) -> Reading:
    if found.problems:
        pod, why = next(iter(sorted(found.problems.items())))
        return Reading(unsuitable=("NoCounters", f"pod {pod}: {why}"))
    fixed: dict[str, Any] = {"namespace": selection.namespace, "pod": f"{selection.deployment}-…"}
    wanted = ", ".join(f"{name}={value!r}" for name, value in {**fixed, **selection.labels}.items())
    text = f"the Prometheus of {FIELD} has no series mainspring_rows_total with {wanted} ({len(pods)} pods are there): let it scrape port 8081 of the service's pods, with labels namespace and pod, or correct spec.prometheus.labels"
    return Reading(waiting=("NoSamples", text))
