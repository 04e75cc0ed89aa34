"""A fitted estimator and example rows to a packaged version, as a user would make it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import pandas

from mainspring_runtime.model import methods, predictor
from mainspring_runtime.model.predictor import Predictor
from mainspring_runtime.package import packaging
from mainspring_runtime.package.packaging import Made, Request

Array = npt.NDArray[Any]
ROWS = 120


def numbers(rows: int = ROWS, seed: int = 0) -> pandas.DataFrame:
    """Three columns of floats."""
    return pandas.DataFrame(np.random.default_rng(seed).normal(size=(rows, 3)), columns=["a", "b", "c"])


def mixed(rows: int = ROWS, seed: int = 0) -> pandas.DataFrame:
    """Floats with a category and whole numbers."""
    generator = np.random.default_rng(seed + 1)
    stage = generator.choice(["I", "II", "III"], rows)
    return numbers(rows, seed).assign(stage=stage, visits=generator.integers(0, 6, rows))


def texts(rows: int = ROWS) -> pandas.DataFrame:
    """One column of free text."""
    generator = np.random.default_rng(2)
    words = ["good", "bad", "late", "broken", "nice", "soon"]
    return pandas.DataFrame({"review": [" ".join(generator.choice(words, 7)) for _ in range(rows)]})


def labels(rows: int = ROWS) -> Array:
    return np.where(numbers(rows)["a"].to_numpy() > 0, "yes", "no").astype(object)


def grades(rows: int = ROWS) -> Array:
    return np.array(["low", "middle", "high"], dtype=object)[np.digitize(numbers(rows)["b"].to_numpy(), [-0.5, 0.5])]


def values(rows: int = ROWS) -> Array:
    frame = numbers(rows)
    return np.asarray(2 * frame["a"] + frame["b"])


@dataclass(frozen=True)
class Packed:
    """A version in a directory, loaded as a server loads it, and what it was made of."""

    made: Made
    predictor: Predictor
    estimator: Any
    rows: pandas.DataFrame

    def differences(self, rows: pandas.DataFrame, given: Any) -> dict[str, str]:
        """Outputs that are not what the estimator answers to `given`, which are the same rows in the form that it takes."""
        found = self.predictor.predict(columns_of(self.predictor, rows), self.predictor.signature.output_names)
        wrong = {}
        for method in self.made.document.methods:
            expected = methods.dense(methods.part_of(methods.call(self.estimator, method.name, given), method))
            if problem := _problem(found[method.output], expected):
                wrong[method.output] = problem
        return wrong


def _problem(found: Array, expected: Array) -> str | None:
    if found.shape != expected.shape:
        return f"shape {found.shape} instead of {expected.shape}"
    if found.dtype.kind == "f":
        same = np.allclose(found, expected.astype(np.float64), rtol=1e-4, atol=1e-5, equal_nan=True)
    else:
        same = bool((found == expected).all())
    return None if same else f"{found[:3]} instead of {expected[:3]}"


def pack(root: Path, estimator: Any, rows: pandas.DataFrame, *, keep_pickle: bool = False, **options: Any) -> Packed:
    """Save, package and load."""
    model, example = root / "model.joblib", root / "rows.parquet"
    joblib.dump(estimator, model)
    rows.to_parquet(example)
    made = packaging.make(Request(model, example, allow_pickle=True, **options), root / "work", 1)
    return Packed(made, predictor.load(made.directory, allow_pickle=keep_pickle), estimator, rows)


def columns_of(loaded: Predictor, rows: pandas.DataFrame) -> dict[str, Array]:
    """As the server makes them of a request."""
    found: dict[str, Array] = {}
    for column in loaded.signature.inputs:
        series = rows[column.name]
        match column.datatype:
            case "BYTES":
                found[column.name] = series.astype(object).where(series.notna(), "").to_numpy(dtype=object)
            case "FP64":
                found[column.name] = series.to_numpy(dtype=np.float64)
            case "INT64":
                found[column.name] = series.to_numpy(dtype=np.int64)
            case _:
                found[column.name] = series.to_numpy(dtype=np.bool_)
    return found


def request(loaded: Predictor, rows: pandas.DataFrame, outputs: Sequence[str]) -> dict[str, Any]:
    """The same rows as a request of the Open Inference Protocol."""
    inputs = [
        {"name": column.name, "shape": [len(rows)], "datatype": column.datatype, "data": rows[column.name].tolist()}
        for column in loaded.signature.inputs
    ]
    return {"inputs": inputs, "outputs": [{"name": name} for name in outputs]}
