from __future__ import annotations

import itertools

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from mainspring_runtime.serve import metrics
from mainspring_runtime.serve.metrics import Distribution, ModelInfo, ServerCollector, Tallies

LABELS = {"model": "tumours", "version": "3"}


def scrape(collector: ServerCollector) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = generate_latest(metrics.make_registry(collector)).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def key(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted((LABELS | labels).items()))


def test_everything_counted_is_exposed_with_model_and_version() -> None:
    tallies = Tallies()
    collector = ServerCollector("tumours", "3", tallies)
    tallies.requests[400] += 2
    tallies.request_seconds.observe(0.0125)
    tallies.queue_seconds.observe(20.0)
    tallies.batch_rows.observe(3)
    tallies.coerced_values += 7
    collector.info = ModelInfo("sklearn", "the sample differs by 0.1")
    samples = scrape(collector)
    assert samples[key("mainspring_requests_total", code="200")] == 0, "there from the start, so that rates are right"
    assert samples[key("mainspring_requests_total", code="400")] == 2
    assert samples[key("mainspring_request_seconds_sum")] == 0.0125
    assert samples[key("mainspring_request_seconds_bucket", le="0.0126")] == 1
    assert samples[key("mainspring_request_seconds_bucket", le="0.01")] == 0
    assert samples[key("mainspring_queue_seconds_bucket", le="10.0")] == 0
    assert samples[key("mainspring_queue_seconds_bucket", le="+Inf")] == 1
    assert samples[key("mainspring_batch_rows_bucket", le="2.0")] == 0
    assert samples[key("mainspring_batch_rows_bucket", le="4.0")] == 1
    assert samples[key("mainspring_input_coercions_total")] == 7
    assert samples[key("mainspring_model_info", path="sklearn", fallback_reason="the sample differs by 0.1")] == 1
    assert samples[("process_cpu_seconds_total", ())] > 0


def test_there_is_no_model_info_before_a_model() -> None:
    assert not [
        name for name, _ in scrape(ServerCollector("tumours", "3", Tallies())) if name == "mainspring_model_info"
    ]


def test_time_buckets_grow_evenly_from_100_microseconds_to_10_seconds() -> None:
    bounds = metrics.SECONDS_BUCKETS
    assert (bounds[0], bounds[-1], len(bounds)) == (0.0001, 10.0, 51)
    growth = [later / earlier for earlier, later in itertools.pairwise(bounds)]
    assert min(growth) > 1.25
    assert max(growth) < 1.27


@pytest.mark.parametrize(("value", "index"), [(0.5, 0), (1.0, 0), (1.5, 1), (2.0, 1), (9.0, 2)])
def test_a_bound_belongs_to_its_bucket(value: float, index: int) -> None:
    distribution = Distribution((1.0, 2.0))
    distribution.observe(value)
    assert distribution.counts.index(1) == index
