"""What the demonstration shows, chapter by chapter, each with its own check."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.csv

from mainspring_runtime import artifacts
from mainspring_runtime.data import samples
from mainspring_runtime.model import predictor
from tests.cluster.errors import ClusterError
from tests.cluster.progress import say
from tests.demo import release, store, story
from tests.demo.forward import port_forward
from tests.demo.story import Character

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
WAIT_SECONDS = 420.0
ROWS = 6


class DemoFailed(ClusterError):
    """Something did not come out as it must."""


def first_loop() -> dict[str, float]:
    """Data → training → version → champion → service → predictions."""
    space = "first-loop"
    say("kubectl apply -f examples/01-first-loop/   (cell samples: malignant or benign?)")
    release.kubectl("apply", "-f", str(EXAMPLES / "01-first-loop"))
    cast = [
        Character("dataset", "tumours"),
        Character("trainingrun", "tumours-forest"),
        Character("modelversion", "tumours-v1", "Champion"),
        Character("model", "tumours", "Champion"),
        Character("inferenceservice", "tumours", "Serving"),
    ]
    took = story.follow(space, cast, WAIT_SECONDS)
    predictions(space, "tumours", "tumours-v1", samples.table("breast_cancer"), "diagnosis")
    return took


def from_store() -> dict[str, float]:
    """The same data as a CSV file in the S3 store, as a user's own data would be."""
    space, key = "first-loop", "uploads/tumours.csv"
    say(f"putting a CSV into the store: s3://ns-{space}/{key}")
    store.put(space, key, _csv())
    release.kubectl("apply", "-f", str(EXAMPLES / "01-first-loop" / "csv"))
    cast = [
        Character("dataset", "tumours-csv"),
        Character("trainingrun", "tumours-logistic"),
        Character("modelversion", "tumours-v2"),
        Character("inferenceservice", "tumours", "Serving"),
    ]
    return story.follow(space, cast, WAIT_SECONDS)


def regression() -> dict[str, float]:
    space = "regression"
    say("kubectl apply -f examples/02-regression/   (how far will diabetes have gone in a year?)")
    release.kubectl("apply", "-f", str(EXAMPLES / "02-regression"))
    cast = [
        Character("dataset", "diabetes"),
        Character("trainingrun", "diabetes-ridge"),
        Character("model", "diabetes", "Champion"),
        Character("inferenceservice", "diabetes", "Serving"),
    ]
    took = story.follow(space, cast, WAIT_SECONDS)
    predictions(space, "diabetes", "diabetes-v1", samples.table("diabetes"), "progression")
    return took


def predictions(space: str, service: str, version: str, table: Any, target: str) -> None:
    """Asks the service over HTTP, and scikit-learn with the very model that the version names; they must agree."""
    rows = table.take([number * (table.num_rows // ROWS) for number in range(ROWS)])
    columns = {name: rows.column(name).to_pylist() for name in rows.column_names if name != target}
    inputs = [{"name": n, "datatype": "FP64", "shape": [ROWS], "data": v} for n, v in columns.items()]
    with port_forward(space, f"service/{service}", 8080) as url:
        answer = httpx.post(f"{url}/v2/models/{service}/infer", json={"inputs": inputs}, timeout=30.0)
    if answer.status_code != 200:
        raise DemoFailed(f"the service answered {answer.status_code}: {answer.text}")
    served = answer.json()["outputs"][0]["data"]
    expected = _by_scikit_learn(space, version, columns)
    say(f"  POST /v2/models/{service}/infer with {ROWS} rows:")
    for row, (got, want, truth) in enumerate(zip(served, expected, rows.column(target).to_pylist(), strict=True)):
        say(f"    row {row}: served {_shown(got):>8}   scikit-learn {_shown(want):>8}   true {_shown(truth):>8}")
    if not _agree(served, expected):
        raise DemoFailed("the service and scikit-learn do not agree")
    say("  the service and scikit-learn agree on every row")


def _by_scikit_learn(space: str, version: str, columns: dict[str, list[float]]) -> list[Any]:
    """Fetches the version's artifact, checked by its digest, and predicts with its scikit-learn model alone."""
    text = release.kubectl("get", "modelversion", version, "-n", space, "-o", "json")
    artifact = json.loads(text)["spec"]["artifact"]
    with tempfile.TemporaryDirectory() as folder, store.access(space):
        artifacts.fetch(artifact["uri"], artifact["digest"], Path(folder))
        model = predictor.load(Path(folder), path="sklearn")
        arrays = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
        return list(model.predict(arrays)["predict"])


def _agree(served: list[Any], expected: list[Any]) -> bool:
    if isinstance(served[0], str):
        return served == [str(e) for e in expected]
    return bool(np.allclose(served, np.asarray(expected, dtype=float), rtol=1e-4))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else f"{float(value):.2f}"


def _csv() -> bytes:
    """The breast cancer data as a CSV file."""
    text = io.BytesIO()
    pyarrow.csv.write_csv(samples.table("breast_cancer"), text)
    return text.getvalue()
