"""Clients that are not ours, each in its own environment, against a served model: conformance with the protocols."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from mainspring_runtime.model import predictor
from tests.interop import environments
from tests.unit.runtime.serve import artifact, process
from tests.unit.runtime.serve.process import Server
from tests.unit.runtime.train import prepared_data

CLIENTS = Path(__file__).parent / "clients"
GUIDE = Path(__file__).parents[2] / "docs/guides/predictions.md"
LIMIT_SECONDS = 120
COLUMNS: dict[str, tuple[str, list[Any]]] = {
    "amount": ("FP64", [31.5, 12.0, 7.25]),
    "visits": ("INT64", [2, 3, 0]),
    "epoch": ("INT64", [1_700_000_100, 1_700_000_200, 1_700_000_000]),
    "smoker": ("BOOL", [True, False, True]),
    "stage": ("BYTES", ["II", "I", "none of them"]),
    "city": ("BYTES", ["city-001", "Zürich", ""]),
    "admitted": ("BYTES", ["2024-02-03T04:05:06Z", "2024-02-03T05:05:06+01:00", ""]),
}
WIRE_INPUTS = [
    ["amount", "FP64"],
    ["visits", "FP64"],
    ["epoch", "INT64"],
    ["smoker", "FP64"],
    ["stage", "BYTES"],
    ["city", "BYTES"],
    ["admitted", "BYTES"],
]


class Served:
    """A server, the file that clients read their rows from, and the answers of the model itself."""

    def __init__(self, server: Server, root: Path, directory: Path) -> None:
        self.server = server
        self.rows = root / "rows.json"
        self.rows.write_text(json.dumps(COLUMNS))
        model = predictor.load(directory)
        dtypes = {"FP64": np.float64, "INT64": np.int64, "BYTES": object}
        columns = {
            column.name: np.array(COLUMNS[column.name][1], dtype=dtypes[column.datatype])
            for column in model.signature.inputs
        }
        found = model.predict(columns, ["predict", "predict_proba"])
        self.labels: list[str] = found["predict"].tolist()
        self.probabilities: list[list[float]] = found["predict_proba"].tolist()

    def ask(self, environment: str, script: str, address: str) -> dict[str, Any]:
        """What the client printed."""
        command = [environments.python(environment), CLIENTS / script, address, self.rows]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def answer(self, id: str | None) -> dict[str, Any]:
        return {"id": id, "predict": self.labels, "predict_proba": self.probabilities}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("served")
    version = artifact.train(prepared_data.mixed(root / "dataset", rows=400), root, "outcome")
    with process.start(version, root / "work") as server:
        server.wait_for("ready")
        yield Served(server, root, Path(version.uri.removeprefix("file://")))


@pytest.mark.timeout(1200)
def test_triton_s_client_gets_what_the_model_says_by_bytes_and_json_packed_and_plain(served: Served) -> None:
    found = served.ask("mlserver", "triton_client.py", f"127.0.0.1:{served.server.port}")
    assert [found.pop(name) for name in ("live", "ready", "model_ready", "version_ready")] == [True] * 4
    assert "binary_tensor_data" in found.pop("server")["extensions"]
    assert [[item["name"], item["datatype"]] for item in found.pop("model")["inputs"]] == WIRE_INPUTS
    assert found.pop("refused") == ["400", "input 'epoch' is missing: expected INT64 of shape [N] or [N, 1]"]
    assert found.pop("default outputs") == {"id": None, "predict": served.labels}
    with_id = {"binary=True", "binary=False"}
    assert found == {
        name: served.answer("a" if name in with_id else None) for name in (*with_id, "gzip", "deflate", "async")
    }


@pytest.mark.timeout(1200)
def test_the_guide_s_example_with_triton_s_client_runs(tmp_path: Path) -> None:
    example = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)[0]
    features = [name.replace(" ", "_") for name in load_breast_cancer().feature_names[:20]]
    dataset = prepared_data.breast_cancer(tmp_path / "dataset", features=features)
    version = artifact.train(dataset, tmp_path, "diagnosis")
    with process.start(version, tmp_path / "work", MAINSPRING_MODEL_NAME="numbers") as server:
        server.wait_for("ready")
        script = example.replace("localhost:8080", f"127.0.0.1:{server.port}") + "print(labels.shape)"
        command = [environments.python("mlserver"), "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    assert done.stdout == "(1000,)\n", done.stderr


@pytest.mark.timeout(1200)
def test_kserve_s_client_gets_what_the_model_says_by_v2_and_v1(served: Served) -> None:
    found = served.ask("kserve", "kserve_client.py", served.server.url(""))
    assert [found.pop(name) for name in ("live", "ready", "model_ready", "v1 model_ready")] == [True] * 4
    assert found == {
        "binary=True": served.answer("a"),
        "binary=False": served.answer("a"),
        "v1 objects": {"predictions": served.labels},
        "v1 lists": {"predictions": served.labels},
    }


@pytest.mark.timeout(1200)
def test_mlserver_s_codecs_write_requests_and_read_answers(served: Served) -> None:
    found = served.ask("mlserver", "mlserver_codecs.py", served.server.url(""))
    assert found == {
        "pandas": served.answer("a"),
        "columns": served.answer("a"),
        "metadata": {"name": "tumours", "inputs": WIRE_INPUTS},
    }
