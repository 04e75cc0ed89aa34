"""One reading after the other by a Prometheus that answers as it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mainspring.api.v1alpha1.modelmonitor import Prometheus as Source
from mainspring.controllers.scraping import Scraping
from mainspring.kube import prometheus
from mainspring.plan.common.objects import Ref
from mainspring.plan.modelmonitor.observed import Reading
from mainspring.plan.modelmonitor.promql import Selection
from mainspring.plan.modelmonitor.series import Sample
from tests.series import POD, START, counted, snapshot

MONITOR, SOURCE = Ref("ModelMonitor", "lab", "m"), Source(url="http://prometheus")
SELECTION = Selection("lab", "m-1", "m", "m-1")


@dataclass
class Told:
    """Answers with `now`, or with `before` when asked for a moment."""

    now: Sequence[Sample] = ()
    before: Sequence[Sample] = ()
    error: prometheus.PrometheusError | None = None
    asked: list[tuple[str, float | None]] = field(default_factory=list)

    async def query(self, url: str, expression: str, at: float | None = None) -> list[Sample]:
        self.asked.append((expression, at))
        if self.error is not None:
            raise self.error
        return [*(self.now if at is None else self.before)]


async def read(scraping: Scraping, *pods: str, rows: int = 5) -> Reading:
    return await scraping.read(MONITOR, SOURCE, SELECTION, pods, {POD: snapshot(rows)})


async def test_the_reference_is_asked_for_once() -> None:
    told = Told(counted(7))
    scraping = Scraping(told)
    for _ in range(3):
        assert (await read(scraping, POD)).reference is not None
    assert len(told.asked) == 4


async def test_a_process_before_a_restart_is_looked_up_at_the_moment_of_the_restart() -> None:
    told = Told(counted(2, started=START + 60), counted(9, at=None))
    reading = await read(Scraping(told), POD)
    assert {key: s.rows for key, s in reading.gone.items()} == {POD: 9}
    assert [at for _, at in told.asked if at is not None] == [START + 60]


async def test_a_last_word_is_kept_until_it_is_written_down() -> None:
    """The series may be forgotten before the state was written."""
    told = Told([*counted(9, at=None), *counted(1, "m-1-b")])
    scraping = Scraping(told)
    for _ in range(2):
        assert {key: s.rows for key, s in (await read(scraping, "m-1-b")).gone.items()} == {POD: 9}
        told.now = counted(1, "m-1-b")
    scraping.forget(MONITOR)
    assert {key: s.rows for key, s in (await read(scraping, "m-1-b")).gone.items()} == {POD: 5}


async def test_what_was_read_last_survives_an_answer_that_lags_behind() -> None:
    told = Told(counted(9))
    scraping = Scraping(told)
    await read(scraping, POD)
    told.now = counted(7)
    assert (await read(scraping, POD)).snapshots[POD].rows == 9


async def test_servers_of_an_earlier_version_are_named_as_what_somebody_has_to_change() -> None:
    older = [s for s in counted(7) if not s.labels.get("__name__", "").endswith("started_seconds")]
    reading = await read(Scraping(Told(older)), POD)
    assert reading.unsuitable is not None
    assert reading.unsuitable[0] == "NoCounters"
    assert "the next rollout" in reading.unsuitable[1]


async def test_pods_that_are_not_scraped_any_more_are_told_and_their_counts_kept() -> None:
    reading = await read(Scraping(Told(counted(9, at=None))), POD)
    assert reading.waiting is not None
    assert reading.waiting[0] == "NotScraped"
    assert reading.snapshots[POD].rows == 9


async def test_an_answer_without_a_reference_is_waited_for() -> None:
    without = [s for s in counted(7) if s.labels.get("__name__") != "mainspring_reference_rows"]
    reading = await read(Scraping(Told(without)), POD)
    assert reading.waiting is not None
    assert reading.waiting[0] == "NoReferenceSeries"


async def test_no_answer_is_waited_for_and_a_wrong_one_is_told() -> None:
    down = await read(Scraping(Told(error=prometheus.Unavailable("no answer within 10 s"))), POD)
    assert down.waiting is not None
    assert down.waiting[0] == "PrometheusUnavailable"
    wrong = await read(Scraping(Told(error=prometheus.Refused("it answers 404"))), POD)
    assert wrong.unsuitable == ("PrometheusRefused", "spec.prometheus.url: it answers 404: correct it")
