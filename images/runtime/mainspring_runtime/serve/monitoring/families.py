"""Metric families of counts that carry `model` and `version`, like all series of a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mainspring_runtime.serve.metrics import LABELS
from mainspring_runtime.serve.monitoring import bin_names, wire

Values = Mapping[tuple[str, ...], float]  # by the values of the labels


def counter(name: str, text: str, labels: Sequence[str], values: Values) -> Metric:
    """`labels` come behind model and version, whose values are in `values` with theirs."""
    family = CounterMetricFamily(name, text, labels=(*LABELS, *labels))
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def gauge(name: str, text: str, labels: Sequence[str], values: Values) -> Metric:
    """The same for what does not only grow."""
    family = GaugeMetricFamily(name, text, labels=(*LABELS, *labels))
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def prefixed(labels: Sequence[str], values: Values) -> Values:
    """With model and version in front."""
    return {(*labels, *key): value for key, value in values.items()}


class LabelledCollector(Collector):
    """Collects families of one model's version."""

    def __init__(self, model: str, version: str) -> None:
        self._labels = (model, version)

    def _counter(self, name: str, text: str, values: Values, labels: Sequence[str] = ()) -> Metric:
        return counter(name, text, labels, prefixed(self._labels, values))

    def _gauge(self, name: str, text: str, values: Values, labels: Sequence[str] = ()) -> Metric:
        return gauge(name, text, labels, prefixed(self._labels, values))


def prediction_bins(reference: wire.ReferencePrediction) -> list[str]:
    """Names of the bins of the watched output."""
    return bin_names.of_numbers(reference.edges) if reference.edges is not None else list(reference.classes or ())


def by_bin(names: Sequence[str], counts: Sequence[int]) -> Values:
    return {(name,): count for name, count in zip(names, counts, strict=True)}
