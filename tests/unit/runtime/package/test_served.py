"""Packaged models of each kind through the whole server: fetched, verified, loaded, asked over HTTP, and counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from mainspring.api.monitoring import Reference, Snapshot
from mainspring_runtime import artifacts
from mainspring_runtime.model import methods
from mainspring_runtime.serve import loading, server
from tests.unit.runtime.package import packing
from tests.unit.runtime.package.kinds import BY_NAME, Kind
from tests.unit.runtime.package.packing import Packed
from tests.unit.runtime.serve.fakes import LIMITS, SETTINGS

MODEL = "/v2/models/tumours"
SERVED = (
    "columns by name",
    "text classifier",
    "multi-output forest",
    "several values",
    "lightgbm",
    "k-means",
    "sparse one-hot",
    "texts to texts",
    "density",
    "isolation forest",
)


@asynccontextmanager
async def served(root: Path, kind: Kind) -> AsyncIterator[tuple[Packed, httpx.AsyncClient, str]]:
    """The version, a client of the inference port, and the address of the internal one: all but the process itself."""
    packed = packing.pack(root, kind.fitted(), kind.rows())
    published = artifacts.publish(packed.made.directory, (root / "store").as_uri())
    settings = replace(SETTINGS, uri=published.uri, digest=published.digest, feedback_key="a key of the tests")
    parts = server.assemble(settings, LIMITS)
    listening = [asyncio.create_task(listener.listen()) for listener in (parts.public, parts.internal)]
    server.start_answering(parts, server.compile_model(parts, loading.load(settings, root / "served", 1)))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{parts.public.port}") as client:
            yield packed, client, f"http://127.0.0.1:{parts.internal.port}/monitor"
    finally:
        for listener, task in zip((parts.public, parts.internal), listening, strict=True):
            listener.stop()
            await task
        parts.executor.shutdown()


@pytest.mark.parametrize("name", SERVED)
async def test_each_kind_is_served(tmp_path: Path, name: str) -> None:
    kind = BY_NAME[name]
    async with served(tmp_path, kind) as (packed, client, internal):
        some = packed.rows[:7]
        body = packing.request(packed.predictor, some, tuple(kind.outputs))
        answer = await client.post(f"{MODEL}/infer", json=body)
        assert answer.status_code == 200, answer.text
        assert differences(packed, kind.form(some), answer.json()["outputs"]) == {}
        plain = (await client.post(f"{MODEL}/infer", json={"inputs": body["inputs"]})).json()["outputs"]
        assert [output["name"] for output in plain] == [next(iter(kind.outputs))]
        snapshot = Snapshot.model_validate((await client.get(f"{internal}/snapshot")).json())
        assert snapshot.rows == 14
        reference = Reference.model_validate((await client.get(f"{internal}/reference")).json())
        assert reference.reason is None
        assert {column.name for column in reference.columns} == {
            column.name for column in packed.predictor.signature.inputs
        }


def differences(packed: Packed, given: Any, outputs: list[dict[str, Any]]) -> dict[str, Any]:
    """Outputs of an answer that are not what the estimator gives."""
    wrong = {}
    of = {method.output: method for method in packed.made.document.methods}
    for output in outputs:
        method = of[output["name"]]
        expected = methods.dense(methods.part_of(methods.call(packed.estimator, method.name, given), method))
        if output["shape"] != list(expected.shape) or not same(output, expected):
            wrong[output["name"]] = (output, expected)
    return wrong


def same(output: dict[str, Any], expected: Any) -> bool:
    """-inf, the logarithm of a probability of 0, is null: JSON has no word for it."""
    if output["datatype"] != "FP64":
        return bool(output["data"] == expected.ravel().tolist())
    found = np.array([np.nan if value is None else value for value in output["data"]], dtype=np.float64)
    flat = np.where(np.isfinite(expected), expected, np.nan).ravel()
    return np.allclose(found, flat, rtol=1e-4, atol=1e-5, equal_nan=True)


async def test_metadata_tell_what_a_model_is(tmp_path: Path) -> None:
    async with served(tmp_path, BY_NAME["k-means"]) as (_, client, _internal):
        told = (await client.get(MODEL)).json()
        assert told["platform"] == "sklearn_skops"
        assert told["parameters"] == {"task": "Clustering", "default_outputs": ["predict"]}
        assert told["outputs"] == [
            {"name": "predict", "datatype": "INT64", "shape": [-1], "parameters": {}},
            {"name": "transform", "datatype": "FP64", "shape": [-1, 3],
             "parameters": {"columns": ["kmeans0", "kmeans1", "kmeans2"]}},
        ]  # fmt: skip


async def test_there_is_no_feedback_on_what_has_no_label(tmp_path: Path) -> None:
    async with served(tmp_path, BY_NAME["isolation forest"]) as (_, client, _internal):
        answer = await client.post(f"{MODEL}/feedback", json={"token": "x", "label": "y"})
        assert answer.status_code == 404
        assert "does not predict one class or value a row" in answer.json()["error"]


async def test_feedback_counts_for_a_packaged_classifier(tmp_path: Path) -> None:
    async with served(tmp_path, BY_NAME["columns by name"]) as (packed, client, internal):
        body = packing.request(packed.predictor, packed.rows[:3], ("predict", "feedback_token"))
        answer = await client.post(f"{MODEL}/infer", json=body)
        labels, tokens = (output["data"] for output in answer.json()["outputs"])
        entries = [{"token": token, "label": label} for token, label in zip(tokens, labels, strict=True)]
        counted = await client.post(f"{MODEL}/feedback", json={"feedback": entries})
        assert counted.json()["counted"] == 3
        snapshot = Snapshot.model_validate((await client.get(f"{internal}/snapshot")).json())
        assert snapshot.feedback is not None
        assert snapshot.feedback.correct == 3


async def test_a_category_that_the_estimator_refuses_is_the_callers_error(tmp_path: Path) -> None:
    async with served(tmp_path, BY_NAME["strict categories"]) as (packed, client, _):
        odd = packed.rows[:1].assign(stage="IV")
        answer = await client.post(f"{MODEL}/infer", json=packing.request(packed.predictor, odd, ("predict",)))
        assert answer.status_code == 400
        assert "unknown categories" in answer.json()["error"]
