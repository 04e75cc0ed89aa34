"""What the server counts, and how Prometheus reads it.

Counting happens on the event loop alone, as does scraping, so plain integers do: 0.3 µs an observation where a
`prometheus_client.Histogram`, which locks and walks its buckets, takes 2 to 3 µs. `prometheus_client` still does the
registry and the exposition. All series carry `model` and `version`.

Time buckets: ten a decade (each 1.26 times the one before) from 100 µs to 10 s. Prometheus's defaults have three a decade
and start at 5 ms, where most of these requests have long been answered; finer ones would cost a series each in every pod.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from mainspring_runtime.serve.load import Load

SECONDS_BUCKETS = tuple(float(f"{10 ** (exponent / 10):.3g}") for exponent in range(-40, 11))
ROWS_BUCKETS = tuple(float(2**exponent) for exponent in range(15))
LABELS = ("model", "version")
MAX_REASON_CHARACTERS = 200


class Distribution:
    """A histogram: `counts[i]` observations at most `bounds[i]`, the last one above all bounds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, float]]:
        """(upper bound, observations up to it), as Prometheus wants them."""
        seen, buckets = 0, []
        for bound, count in zip((*self.bounds, math.inf), self.counts, strict=True):
            seen += count
            buckets.append(("+Inf" if bound == math.inf else repr(bound), float(seen)))
        return buckets


def _seconds() -> Distribution:
    return Distribution(SECONDS_BUCKETS)


@dataclass
class Tallies:
    """Everything counted since the start."""

    requests: Counter[int] = field(default_factory=lambda: Counter({200: 0}))  # by HTTP status, inference only
    request_seconds: Distribution = field(default_factory=_seconds)  # from the complete request to its answer
    queue_seconds: Distribution = field(default_factory=_seconds)  # in the queue, before the prediction
    batch_rows: Distribution = field(default_factory=lambda: Distribution(ROWS_BUCKETS))
    coerced_values: int = 0
    load: Load = field(default_factory=Load)


@dataclass
class ModelInfo:
    """How the loaded model runs; `path` is onnx or sklearn."""

    path: str
    fallback_reason: str


class ServerCollector(Collector):
    """Turns the tallies into metric families when Prometheus asks."""

    def __init__(self, model: str, version: str, tallies: Tallies) -> None:
        self._labels = (model, version)
        self._tallies = tallies
        self.info: ModelInfo | None = None  # until a model is loaded

    def collect(self) -> Iterable[Metric]:
        tallies = self._tallies
        yield self._requests()
        yield self._in_flight()
        yield self._histogram(
            "mainspring_request_seconds", "From a complete request to its answer.", tallies.request_seconds
        )
        yield self._histogram(
            "mainspring_queue_seconds", "Time a request waited for its prediction to start.", tallies.queue_seconds
        )
        yield self._histogram("mainspring_batch_rows", "Rows in one call of the model.", tallies.batch_rows)
        yield self._coercions()
        if self.info is not None:
            yield self._model_info(self.info)

    def _requests(self) -> Metric:
        family = CounterMetricFamily(
            "mainspring_requests", "Inference requests by HTTP status.", labels=(*LABELS, "code")
        )
        for code, count in sorted(self._tallies.requests.items()):
            family.add_metric((*self._labels, str(code)), count)
        return family

    def _in_flight(self) -> Metric:
        family = GaugeMetricFamily(
            "mainspring_requests_in_flight", "Inference requests that are being answered.", labels=LABELS
        )
        family.add_metric(self._labels, self._tallies.load.in_flight)
        return family

    def _histogram(self, name: str, text: str, values: Distribution) -> Metric:
        family = HistogramMetricFamily(name, text, labels=LABELS)
        family.add_metric(self._labels, values.cumulative(), values.total)
        return family

    def _coercions(self) -> Metric:
        text = "Input values that came in another datatype than the model's, and were converted without loss."
        family = CounterMetricFamily("mainspring_input_coercions", text, labels=LABELS)
        family.add_metric(self._labels, self._tallies.coerced_values)
        return family

    def _model_info(self, info: ModelInfo) -> Metric:
        family = GaugeMetricFamily(
            "mainspring_model_info",
            "1; path is the implementation that predicts, fallback_reason says why it is not the fastest one.",
            labels=(*LABELS, "path", "fallback_reason"),
        )
        family.add_metric((*self._labels, info.path, info.fallback_reason[:MAX_REASON_CHARACTERS]), 1)
        return family


def make_registry(*collectors: Collector) -> CollectorRegistry:
    """The server's own metrics and those of its process (CPU, memory, file descriptors)."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    ProcessCollector(registry=registry)
    return registry
