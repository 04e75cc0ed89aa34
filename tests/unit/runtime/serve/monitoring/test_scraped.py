"""What the operator makes of a server's metrics is what the server's own snapshot says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from mainspring.api.monitoring import ColumnCounts, ReferenceColumn, Snapshot
from mainspring.plan.modelmonitor import series
from mainspring.plan.modelmonitor.series import Sample, Target
from mainspring_runtime.model.signature import Signature
from mainspring_runtime.serve.monitoring import compiling
from mainspring_runtime.serve.monitoring.monitor import Monitor
from mainspring_runtime.serve.monitoring.profile import Profile
from mainspring_runtime.serve.monitoring.series import MonitoringCollector
from mainspring_runtime.serve.tables import compile_schema
from tests.unit.runtime.serve import fakes
from tests.unit.runtime.serve.monitoring import watching
from tests.unit.runtime.serve.monitoring.watching import FEEDBACK, Watching

POD = {"namespace": "lab", "pod": "tumours-1-a", "job": "pods"}


async def scraped(served: Watching) -> Target:
    """As Prometheus keeps it: the labels of the target, and none that are empty."""
    return target_of(text_string_to_metric_families(await served.metrics()))


def target_of(families: Iterable[Metric]) -> Target:
    samples = [
        Sample({k: v for k, v in {**POD, **sample.labels, "__name__": sample.name}.items() if v}, sample.value)
        for family in families
        for sample in family.samples
    ]
    return series.targets(samples)[POD["pod"]]


def by_name(columns: Sequence[Any]) -> list[Any]:
    return sorted(columns, key=lambda column: column.name)


def without_order(column: ColumnCounts | ReferenceColumn) -> dict[str, Any]:
    """Categories have no order in Prometheus."""
    told = column.to_dict()
    return told | {"counts": sorted(column.counts), "categories": sorted(told.get("categories") or [])}


async def use(served: Watching) -> None:
    asked = watching.rows(2.0, 18.0, 25.0, 9.0)
    tokens = (await served.infer(asked | {"stage": ["I", "IX", None, "II"]}, [watching.TOKEN])).json()["outputs"][0][
        "data"
    ]
    labels = [*zip(tokens[:3], "MMB", strict=True), (tokens[0], "M"), ("forged", "B")]
    body = {"feedback": [{"token": token, "label": label} for token, label in labels]}
    (await served.public.post(FEEDBACK, json=body)).raise_for_status()


async def test_the_snapshot_of_the_series_is_that_of_the_server(served: Watching) -> None:
    await use(served)
    told, said = series.snapshot(await scraped(served)), await served.snapshot()
    own = {"digest", "columns"}
    assert told.model_dump(exclude=own) == said.model_dump(exclude=own)
    assert [*map(without_order, told.columns)] == [*map(without_order, by_name(said.columns))]
    assert {c.name: c for c in told.columns}["radius"] == {c.name: c for c in said.columns}["radius"]
    assert told.rows == 4
    assert told.feedback is not None
    assert (told.feedback.rows, told.feedback.repeated, told.feedback.refused) == (3, 1, 1)


async def test_the_reference_of_the_series_is_that_of_the_server(served: Watching) -> None:
    told, said = series.reference(await scraped(served)), await served.reference()
    own = {"digest", "columns", "prediction"}
    assert told.model_dump(exclude=own) == said.model_dump(exclude=own)
    assert told.prediction is not None
    assert said.prediction is not None
    edges = {"edges"}
    assert told.prediction.model_dump(exclude=edges) == said.prediction.model_dump(exclude=edges)
    assert told.prediction.edges == pytest.approx(said.prediction.edges, rel=1e-3)
    for column, expected in zip(told.columns, by_name(said.columns), strict=True):
        assert (column.name, column.kind, column.missing) == (expected.name, expected.kind, expected.missing)
        assert sorted(column.counts) == sorted(expected.counts)
        assert sorted(column.categories or []) == sorted(expected.categories or [])
        assert (column.edges or []) == pytest.approx(expected.edges or [], rel=1e-3)
        if expected.edges is not None:
            assert column.counts == expected.counts, "in the order of the edges"


async def test_snapshot_and_reference_have_the_same_bins(served: Watching) -> None:
    await use(served)
    target = await scraped(served)
    snapshot, reference = series.snapshot(target), series.reference(target)
    assert snapshot.digest == reference.digest != (await served.snapshot()).digest
    for column, expected in zip(snapshot.columns, reference.columns, strict=True):
        assert (column.name, len(column.counts)) == (expected.name, len(expected.counts))
    stage = next(column for column in reference.columns if column.name == "stage")
    assert stage.categories is not None
    counted = next(column for column in snapshot.columns if column.name == "stage")
    assert counted.counts[stage.categories.index("I")] == 1


async def test_features_beyond_the_budget_are_absent_and_counted(profile: Profile) -> None:
    async with watching.serving(profile, watching.KEY) as served:
        before = series.snapshot(await scraped(served))
        target = target_of(MonitoringCollector("tumours", "3", served.parts.monitor, max_series=250).collect())
    snapshot, reference = series.snapshot(target), series.reference(target)
    assert series.left_out(target) == 8 - len(snapshot.columns) > 0
    assert [column.name for column in snapshot.columns] == [column.name for column in reference.columns]
    assert snapshot.digest == reference.digest != before.digest, (
        "what is counted of fewer features never mixes with more"
    )


async def test_a_server_that_does_not_say_when_it_started_is_named(served: Watching) -> None:
    target = await scraped(served)
    older = Target(target.pod, True, {k: v for k, v in target.series.items() if k != "monitoring_started_seconds"})
    with pytest.raises(series.SeriesError, match="of an earlier version"):
        series.snapshot(older)


async def test_the_sums_of_a_regression_come_back() -> None:
    settings = replace(fakes.SETTINGS, feedback_key=watching.KEY)
    signature = Signature(fakes.NUMBERS.inputs, fakes.NUMBERS.outputs[:1], task="Regression")
    monitor = Monitor()
    monitor.watched, _ = compiling.compile_monitoring(settings, signature, Profile(), compile_schema(signature))
    assert monitor.watched.feedback is not None
    counts = monitor.watched.feedback.counts
    assert counts.errors is not None
    for predicted, label in ((1.5, 1.0), (-2.25, 3.0), (1e6 / 3, -7.0)):
        counts.errors.add(predicted, label)
        counts.rows += 1
    told = series.snapshot(target_of(MonitoringCollector("tumours", "3", monitor).collect()))
    said = Snapshot.model_validate_json(monitor.snapshot())
    assert told.feedback == said.feedback
    assert told.feedback is not None
    assert told.feedback.errors is not None
    assert told.feedback.errors.moments is not None
