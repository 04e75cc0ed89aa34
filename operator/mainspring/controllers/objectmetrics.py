"""What objects say in numbers, as Prometheus metrics. Controllers tell it whenever they have looked at one."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mainspring.plan.common.figures import Family, Figure
from mainspring.plan.common.objects import Ref


class ObjectCollector(Collector):
    def __init__(self) -> None:
        self._told: dict[Ref, tuple[Figure, ...]] = {}

    def tell(self, of: Ref, figures: Iterable[Figure]) -> None:
        """In place of what was told of it before."""
        self._told[of] = tuple(figures)

    def forget(self, of: Ref) -> None:
        self._told.pop(of, None)

    def collect(self) -> Iterable[Metric]:
        families: dict[Family, CounterMetricFamily | GaugeMetricFamily] = {}
        for figure in (figure for figures in self._told.values() for figure in figures):
            if figure.family not in families:
                families[figure.family] = _begin(figure.family)
            families[figure.family].add_metric(figure.labels, figure.value)
        return families.values()


def _begin(family: Family) -> CounterMetricFamily | GaugeMetricFamily:
    make = CounterMetricFamily if family.counter else GaugeMetricFamily
    return make(family.name, family.text, labels=family.labels)


COLLECTOR = ObjectCollector()
REGISTRY.register(COLLECTOR)
