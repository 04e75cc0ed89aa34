"""What objects say in numbers, as Prometheus sees it."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from mainspring.controllers.objectmetrics import ObjectCollector
from mainspring.plan.common.figures import Family
from mainspring.plan.common.objects import Ref

ONE, OTHER = Ref("Model", "lab", "one"), Ref("Model", "lab", "other")
LABELS = ("namespace", "model")
SIZE = Family("size_bytes", "How large.", LABELS)
MOVES = Family("moves", "How often.", LABELS, counter=True)


@pytest.fixture
def collector() -> ObjectCollector:
    made = ObjectCollector()
    made.tell(ONE, [*SIZE("lab", "one", value=3), *MOVES("lab", "one", value=1)])
    made.tell(OTHER, SIZE("lab", "other", value=5))
    return made


def value(collector: ObjectCollector, name: str, model: str) -> float | None:
    registry = CollectorRegistry()
    registry.register(collector)
    return registry.get_sample_value(name, {"namespace": "lab", "model": model})


def test_a_family_has_the_samples_of_all_objects(collector: ObjectCollector) -> None:
    (size, moves) = collector.collect()
    assert [sample.value for sample in size.samples] == [3, 5]
    assert (size.type, moves.type) == ("gauge", "counter")
    assert value(collector, "moves_total", "one") == 1


def test_what_is_told_takes_the_place_of_what_was_told_before(collector: ObjectCollector) -> None:
    collector.tell(ONE, SIZE("lab", "one", value=4))
    assert value(collector, "size_bytes", "one") == 4
    assert value(collector, "moves_total", "one") is None


def test_an_object_that_is_gone_is_forgotten(collector: ObjectCollector) -> None:
    collector.forget(ONE)
    collector.forget(ONE)
    assert value(collector, "size_bytes", "one") is None
    assert value(collector, "size_bytes", "other") == 5


def test_a_value_that_is_not_known_has_no_sample() -> None:
    assert list(SIZE("lab", "one", value=None)) == []
