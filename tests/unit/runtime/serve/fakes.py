"""A signature with every kind of column, and a predictor that shows what it was given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np

from mainspring_runtime.model.signature import Column, Output, Signature
from mainspring_runtime.serve import predicting, tables
from mainspring_runtime.serve.batching import Batcher
from mainspring_runtime.serve.metadata import encode_metadata
from mainspring_runtime.serve.metrics import Tallies
from mainspring_runtime.serve.predicting import Outputs
from mainspring_runtime.serve.served import ServedModel
from mainspring_runtime.serve.settings import Limits, Settings
from mainspring_runtime.serve.tensors import Array

SETTINGS = Settings(
    model="tumours", version="3", uri="file:///nowhere/", digest="sha256:" + "0" * 64, port=0, internal_port=0
)
LIMITS = Limits()

RADIUS = Column("radius", "FP64", nullable=False, kind="Float")
AGE = Column("age", "FP64", nullable=True, kind="Integer")
SMOKER = Column("smoker", "FP64", nullable=True, kind="Boolean")
VISITS = Column("visits", "INT64", nullable=False, kind="Integer")
INSURED = Column("insured", "BOOL", nullable=False, kind="Boolean")
STAGE = Column("stage", "BYTES", nullable=True, kind="Category", categories=("I", "II"))
SITE = Column("site", "BYTES", nullable=False, kind="String")
SEEN = Column("seen", "BYTES", nullable=True, kind="Timestamp")

OUTPUTS = (Output("predict", "FP64", (-1,)), Output("predict_proba", "FP64", (-1, 2)))


def signature(*columns: Column) -> Signature:
    return Signature(inputs=columns, outputs=OUTPUTS, classes=("B", "M"))


MIXED = signature(RADIUS, AGE, SMOKER, VISITS, INSURED, STAGE, SITE, SEEN)
NUMBERS = signature(RADIUS, AGE)


class SumPredictor:
    """`predict` is the sum of a row's numbers, `predict_proba` [sum, -sum]; rows whose `radius` is 666 break it."""

    def __init__(self, of: Signature = NUMBERS) -> None:
        self.signature = of
        self.path = "onnx"
        self.platform = "onnxruntime_onnx"
        self.only_computes = False
        self.fallback_reason: str | None = None
        self.calls: list[int] = []  # rows of each call
        self.error: Callable[[], BaseException] = lambda: ValueError("radius 666 is not possible")

    def predict(self, columns: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        assert set(columns) == {column.name for column in self.signature.inputs}
        numbers = np.array([values for values in columns.values() if values.dtype != object], dtype=np.float64)
        total = np.nansum(numbers, axis=0)
        self.calls.append(len(total))
        if (columns["radius"] == 666).any():
            raise self.error()
        results = {"predict": total, "predict_proba": np.stack([total, -total], axis=1)}
        return {name: results[name] for name in outputs}


class HeldExecutor(Executor):
    """Runs nothing until it is told to: `calls` are the arguments of what was submitted."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._futures: list[Future[Any]] = []

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        assert not self._futures or self._futures[-1].done(), "one prediction at a time"
        self.calls.append((function, *args))
        self._futures.append(Future())
        return self._futures[-1]

    async def complete(self) -> None:
        """Run the last submitted call and let the event loop see its end."""
        function, *args = self.calls[-1]
        future = asyncio.get_running_loop().create_future()
        try:
            self._futures[-1].set_result(function(*args))
        except (ValueError, ZeroDivisionError) as error:
            self._futures[-1].set_exception(error)
        asyncio.get_running_loop().call_soon(future.set_result, None)
        await future


def served_model(
    predictor: SumPredictor, executor: Executor, limits: Limits, tallies: Tallies, outputs: Outputs = ("predict",)
) -> ServedModel:
    """The predictor behind a batcher, as a server has it; `outputs` are those of who asks for none."""
    schema = tables.compile_schema(predictor.signature)
    return ServedModel(
        name=SETTINGS.model,
        version=SETTINGS.version,
        schema=schema,
        default_outputs=outputs,
        outputs=frozenset(predictor.signature.output_names),
        batcher=Batcher(predicting.make_predict(predictor, schema), executor, limits, tallies),
        metadata=encode_metadata(SETTINGS, predictor.signature, predictor.platform),
    )
