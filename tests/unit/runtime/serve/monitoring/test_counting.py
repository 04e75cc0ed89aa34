"""What is counted of rows, against the code of training, which counted the reference."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.api.monitoring import Snapshot
from mainspring_runtime.serve.monitoring.profile import Profile
from mainspring_runtime.serve.tensors import Array
from tests.unit.runtime.serve.monitoring import watching
from tests.unit.runtime.serve.monitoring.watching import CLASSIFIED, Watching

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "radius": st.floats(-5, 25),
    "age": st.none() | st.floats(0, 120),
    "smoker": st.none() | st.sampled_from([0.0, 1.0]),
    "visits": st.integers(-2, 12),
    "insured": st.booleans(),
    "stage": st.sampled_from(["I", "II", "III", "", None]),
    "site": st.sampled_from(["here", "elsewhere"]),
    "seen": st.sampled_from(["2026-01-05T10:00:00Z", "2025-12-31T23:00:00-05:00", "2030-06-01T00:00:00.5Z", "", None]),
}
ROWS = st.lists(st.fixed_dictionaries(VALUES), min_size=1, max_size=40)


def as_columns(rows: Sequence[dict[str, Any]]) -> dict[str, Array]:
    """As training reads them."""
    columns = {name: [row[name] for row in rows] for name in VALUES}
    texts = {column.name for column in CLASSIFIED.inputs if column.datatype == "BYTES"}
    return {
        name: np.array([value or "" for value in values], dtype=object)
        if name in texts
        else np.array([np.nan if value is None else value for value in values])
        for name, values in columns.items()
    }


async def ask(requests: Sequence[Sequence[dict[str, Any]]], profile: Profile) -> Snapshot:
    """Send the requests at the same time, so that they share calls of the model."""
    async with watching.serving(profile) as served:
        await asyncio.gather(*(request(served, rows) for rows in requests))
        return await served.snapshot()


async def request(served: Watching, rows: Sequence[dict[str, Any]]) -> None:
    (await served.infer({name: [row[name] for row in rows] for name in VALUES})).raise_for_status()


def split(rows: Sequence[Any], sizes: Sequence[int]) -> list[Sequence[Any]]:
    parts = []
    for size in sizes:
        if rows:
            parts.append(rows[:size])
            rows = rows[size:]
    return [*parts, rows] if rows else parts


@settings(max_examples=40)
@given(ROWS, st.lists(st.integers(1, 9), max_size=9))
def test_rows_count_the_same_however_they_are_split_into_requests(rows: list[dict[str, Any]], sizes: list[int]) -> None:
    columns = as_columns(rows)
    document = watching.trained_profile(columns)
    with tempfile.TemporaryDirectory() as directory:
        profile = watching.read_profile(Path(directory), watching.trained_profile())
    snapshot = asyncio.run(ask(split(rows, sizes), profile))
    assert snapshot.rows == len(rows)
    for counted, expected in zip(snapshot.columns, document["features"], strict=True):
        # The newest rows of this profile are those of training and the ones that were sent.
        assert counted.name == expected["name"]
        assert counted.counts == added(expected.get("counts"))
        assert [counted.missing] == added({of: [rows] for of, rows in expected["missing"].items()})
        assert [counted.unseen] == added({of: [rows] for of, rows in expected.get("unseen", {}).items()}, [0])
        assert [counted.out_of_range] == added({of: [rows] for of, rows in expected.get("outOfRange", {}).items()}, [0])
    assert snapshot.prediction == added(document["prediction"]["counts"])
    assert_is_histogram(snapshot, columns, document)


def added(counts: dict[str, list[int]] | None, default: Sequence[int] = ()) -> list[int]:
    if not counts:
        return list(default)
    return (np.array(counts["newest"]) - np.array(counts["train"])).tolist()  # type: ignore[no-any-return]


def assert_is_histogram(snapshot: Snapshot, columns: dict[str, Array], document: dict[str, Any]) -> None:
    """The same once more by a function of NumPy's that shares nothing with ours."""
    for counted, feature in zip(snapshot.columns, document["features"], strict=True):
        if feature["kind"] in ("Float", "Integer", "Boolean"):
            values = columns[counted.name].astype(float)
            bounds = [-np.inf, *feature["edges"], np.inf]
            assert counted.counts == np.histogram(values[~np.isnan(values)], bounds)[0].tolist()


async def test_a_large_request_is_binned_in_parts_and_counted_whole(served: Watching) -> None:
    radii = np.random.default_rng(1).uniform(0, 20, 3_000)
    await served.infer(watching.rows(*radii.tolist()))
    snapshot = await served.snapshot()
    radius = snapshot.columns[0]
    edges = next(column.edges for column in (await served.reference()).columns if column.name == "radius")
    assert edges is not None
    assert radius.counts == np.histogram(radii, [-np.inf, *edges, np.inf])[0].tolist()
    assert snapshot.rows == sum(radius.counts) == 3_000
    assert snapshot.predicted == [int((radii <= 10).sum()), int((radii > 10).sum())]
    assert all(column.missing == 3_000 for column in snapshot.columns if column.name in ("age", "stage", "seen"))


async def test_a_value_of_another_datatype_is_counted_as_coerced_where_it_came(served: Watching) -> None:
    row = watching.rows(1.0, 2.0)
    inputs = [{"name": "visits", "shape": [2], "datatype": "FP64", "data": [1.0, 2.0]}]
    inputs += [{"name": "radius", "shape": [2], "datatype": "INT32", "data": [1, 2]}]
    inputs += [{"name": "insured", "shape": [2], "datatype": "BOOL", "data": row["insured"]}]
    inputs += [{"name": "site", "shape": [2], "datatype": "BYTES", "data": row["site"]}]
    (await served.public.post(watching.INFER, json={"inputs": inputs})).raise_for_status()
    coerced = {column.name: column.coerced for column in (await served.snapshot()).columns if column.coerced}
    assert coerced == {"radius": 2, "visits": 2}


async def test_nothing_is_counted_for_a_request_that_is_refused_or_fails(served: Watching) -> None:
    before = await served.snapshot()
    responses = [
        await served.infer(watching.rows(666.0)),
        await served.infer({"radius": [1.0]}),
        await served.infer(watching.rows(1.0), ["no such output"]),
        await served.infer(watching.rows(1.0) | {"visits": [1.5]}),
        await served.infer(watching.rows(*([1.0] * 10_001))),
    ]
    assert [response.status_code for response in responses] == [400, 400, 400, 400, 413]
    assert await served.snapshot() == before
    assert before.rows == 0


async def test_a_failing_request_takes_its_own_rows_only(served: Watching) -> None:
    await asyncio.gather(*(served.infer(watching.rows(radius)) for radius in (1.0, 666.0, 2.0, 666.0)))
    snapshot = await served.snapshot()
    assert (snapshot.rows, snapshot.predicted) == (2, [2, 0])


async def test_the_watched_output_is_counted_when_callers_ask_for_the_label_alone(served: Watching) -> None:
    response = await served.infer(watching.rows(2.0, 18.0))
    assert [output["name"] for output in response.json()["outputs"]] == ["predict"]
    assert served.predictor.asked == [("predict", "predict_proba")], "in one call of the model"
    snapshot = await served.snapshot()
    assert snapshot.prediction is not None
    assert (sum(snapshot.prediction), snapshot.predicted) == (2, [1, 1])
