"""A whole server without a network: both applications, a small classifier, and the profile of its training rows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from mainspring.api.monitoring import Reference, Snapshot
from mainspring_runtime.model.signature import Output, Signature
from mainspring_runtime.prepared import DatasetColumn, Rows
from mainspring_runtime.serve import server
from mainspring_runtime.serve.loading import Loaded
from mainspring_runtime.serve.monitoring import profile as profiles
from mainspring_runtime.serve.monitoring.profile import Profile
from mainspring_runtime.serve.settings import Limits, PayloadLog
from mainspring_runtime.serve.tensors import Array
from mainspring_runtime.train import profile as training
from mainspring_runtime.train.profile import Scored, Watched
from tests.unit.runtime.serve import fakes
from tests.unit.runtime.serve.wired import Wired

KEY = "a key of the tests, long enough"
INFER = "/v2/models/tumours/infer"
FEEDBACK = "/v2/models/tumours/feedback"
TOKEN = "feedback_token"

CLASSIFIED = Signature(
    inputs=fakes.MIXED.inputs,
    outputs=(Output("predict", "BYTES", (-1,)), Output("predict_proba", "FP64", (-1, 2))),
    classes=("B", "M"),
    key="patient",
)
COLUMNS = [DatasetColumn(column.name, column.kind, "Feature", column.nullable) for column in CLASSIFIED.inputs]
PROBABILITY = Watched("predict_proba", "M", 0.5, ("B", "M"))


class Classifier(fakes.SumPredictor):
    """The probability of M is `radius / 20`; rows whose radius is 666 break it."""

    def __init__(self) -> None:
        super().__init__(CLASSIFIED)
        self.asked: list[tuple[str, ...]] = []

    def predict(self, columns: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        self.asked.append(tuple(outputs))
        if (columns["radius"] == 666).any():
            raise ValueError("radius 666 is not possible")
        score = scores(columns)
        labels = np.where(score > 0.5, "M", "B").astype(object)
        results = {"predict": labels, "predict_proba": np.stack([1 - score, score], axis=1)}
        return {name: results[name] for name in outputs}


def scores(columns: Mapping[str, Array]) -> Array:
    return np.clip(columns["radius"] / 20, 0, 1)


def training_columns(rows: int = 200) -> dict[str, Array]:
    generator = np.random.default_rng(0)
    day = np.datetime64("2026-01-01T00:00:00") + generator.integers(0, 30 * 86400, rows).astype("timedelta64[s]")
    columns: dict[str, Array] = {
        "radius": generator.uniform(0, 20, rows),
        "age": np.where(generator.random(rows) < 0.1, np.nan, generator.integers(20, 90, rows).astype(float)),
        "smoker": np.where(generator.random(rows) < 0.1, np.nan, (generator.random(rows) < 0.3).astype(float)),
        "visits": generator.integers(0, 9, rows),
        "insured": generator.random(rows) < 0.5,
        "stage": generator.choice(np.array(["I", "II", ""], dtype=object), rows),
        "site": generator.choice(np.array(["here", "there"], dtype=object), rows),
        "seen": np.array([f"{moment}Z" for moment in day], dtype=object),
    }
    return columns


def as_rows(columns: Mapping[str, Array], year: int) -> Scored:
    """For the code of training, which is what the server must agree with."""
    count = len(columns["radius"])
    at = np.full(count, np.datetime64(f"{year}-01-01", "us"))
    rows = Rows(dict(columns), np.where(scores(columns) > 0.5, "M", "B").astype(object), timestamp=at)
    return Scored(rows, scores(columns))


def trained_profile(later: Mapping[str, Array] | None = None) -> dict[str, Any]:
    """The content of `profile.json`; its newest rows are those of training and `later` ones."""
    others = [] if later is None else [as_rows(later, 2027)]
    return training.build(COLUMNS, as_rows(training_columns(), 2026), others, PROBABILITY)


def read_profile(directory: Path, document: Any, signature: Signature = CLASSIFIED) -> Profile:
    (directory / "profile.json").write_text(json.dumps(document))
    return profiles.read(directory, signature)


@dataclass
class Watching:
    """The server, and clients of both of its ports."""

    parts: server.Parts
    predictor: Classifier
    public: httpx.AsyncClient
    internal: httpx.AsyncClient

    async def infer(
        self,
        columns: Mapping[str, Sequence[Any]],
        outputs: Sequence[str] = (),
        request: str | None = None,
        patient: Sequence[str | int | None] | None = None,
    ) -> httpx.Response:
        datatypes = {column.name: column.datatype for column in CLASSIFIED.inputs}
        inputs = [
            {"name": name, "shape": [len(values)], "datatype": datatypes[name], "data": list(values)}
            for name, values in columns.items()
        ]
        if patient is not None:
            datatype = "BYTES" if all(isinstance(value, str) for value in patient) else "INT64"
            inputs.append({"name": "patient", "shape": [len(patient)], "datatype": datatype, "data": list(patient)})
        wanted = [{"name": name} for name in outputs]
        return await self.public.post(INFER, json={"id": request, "inputs": inputs, "outputs": wanted})

    async def tokens(self, *radii: float) -> list[str]:
        answer = await self.infer(rows(*radii), [TOKEN])
        tokens: list[str] = answer.raise_for_status().json()["outputs"][0]["data"]
        return tokens

    async def snapshot(self) -> Snapshot:
        response = await self.internal.get("/monitor/snapshot")
        return Snapshot.model_validate_json(response.raise_for_status().content)

    async def reference(self) -> Reference:
        response = await self.internal.get("/monitor/reference")
        return Reference.model_validate_json(response.raise_for_status().content)

    async def metrics(self) -> str:
        return (await self.internal.get("/metrics")).text


def rows(*radii: float) -> dict[str, list[Any]]:
    """Valid rows that differ by their radius; nullable columns are left out, and so missing."""
    count = len(radii)
    return {"radius": list(radii), "visits": [1] * count, "insured": [True] * count, "site": ["here"] * count}


@asynccontextmanager
async def serving(
    profile: Profile,
    key: str | None = None,
    limits: Limits = fakes.LIMITS,
    version: str = "3",
    payload_log: PayloadLog | None = None,
) -> AsyncIterator[Watching]:
    settings = replace(fakes.SETTINGS, feedback_key=key, version=version, payload_log=payload_log)
    parts = server.assemble(settings, limits)
    predictor = Classifier()
    server.start_answering(parts, server.compile_model(parts, Loaded(predictor, profile)))
    public, internal = (
        httpx.AsyncClient(transport=Wired(listener.shared.router, limits), base_url="http://test")
        for listener in (parts.public, parts.internal)
    )
    try:
        async with public, internal:
            yield Watching(parts, predictor, public, internal)
    finally:
        parts.executor.shutdown()
        for listener in (parts.public, parts.internal):
            listener.stop()
