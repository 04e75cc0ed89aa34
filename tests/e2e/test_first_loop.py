"""The examples as a user applies them: data, training, registry, service, and predictions equal to scikit-learn's."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml

from mainspring.plan.common.objects import Manifest
from mainspring_runtime.data import samples
from tests import kstatus
from tests.demo import chapters, release
from tests.demo.forward import port_forward
from tests.e2e.space import STEP_SECONDS, Space

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def read(folder: str) -> list[Manifest]:
    """Everything but the Namespace: a journey has its own."""
    texts = [path.read_text() for path in sorted((EXAMPLES / folder).glob("*.yaml"))]
    found = [obj for text in texts for obj in yaml.safe_load_all(text)]
    return [obj for obj in found if obj["kind"] != "Namespace"]


@pytest.mark.parametrize(
    ("folder", "name", "sample", "target"),
    [
        ("01-first-loop", "tumours", "breast_cancer", "diagnosis"),
        ("02-regression", "diabetes", "diabetes", "progression"),
    ],
)
def test_an_example_serves_what_scikit_learn_predicts(
    space: Space, folder: str, name: str, sample: str, target: str
) -> None:
    objects = read(folder)
    space.apply(*objects)
    # As a script would wait: `kubectl wait` knows nothing about our kinds.
    version = f"modelversion/{name}-v1"
    wait("--for=create", version, space=space)
    targets = [f"{obj['kind'].lower()}/{obj['metadata']['name']}" for obj in objects]
    wait("--for=condition=Ready", version, *targets, space=space)
    space.current("InferenceService", name, "Serving")
    for kind in ("Dataset", "DatasetVersion", "TrainingRun", "Model", "ModelVersion", "InferenceService"):
        assert {kstatus.verdict(obj) for obj in space.every(kind)} == {kstatus.CURRENT}, kind
    chapters.predictions(space.name, name, f"{name}-v1", samples.table(sample), target)
    every_form_gets_the_same_answer(space, name, samples.table(sample).drop_columns([target]))


def every_form_gets_the_same_answer(space: Space, name: str, table: Any) -> None:
    """Columns as JSON, one tensor as bytes, and rows by v1, packed: through the Service, to a real pod."""
    rows = table.slice(0, 100)
    columns = {column: rows.column(column).to_pylist() for column in rows.column_names}
    shape = [rows.num_rows, rows.num_columns]
    matrix = np.array(list(columns.values()), dtype="<f8").T
    described = {"name": "x", "shape": shape, "datatype": "FP64", "parameters": {"binary_data_size": matrix.nbytes}}
    head = json.dumps({"inputs": [described]}).encode()
    inputs = [{"name": n, "shape": shape[:1], "datatype": "FP64", "data": v} for n, v in columns.items()]
    infer, predict = f"/v2/models/{name}/infer", f"/v1/models/{name}:predict"
    with port_forward(space.name, f"service/{name}", 8080) as url, httpx.Client(base_url=url, timeout=30.0) as client:
        expected = client.post(infer, json={"inputs": inputs}).json()["outputs"][0]["data"]
        sizes = {"inference-header-content-length": str(len(head))}
        binary = client.post(infer, content=head + matrix.tobytes(), headers=sizes).json()
        instances = gzip.compress(json.dumps({"instances": matrix.tolist()}).encode())
        v1 = client.post(predict, content=instances, headers={"content-encoding": "gzip"}).json()
    assert binary["outputs"][0]["data"] == expected
    assert v1 == {"predictions": expected}


def wait(*words: str, space: Space) -> None:
    release.kubectl("wait", *words, "-n", space.name, f"--timeout={STEP_SECONDS:.0f}s", timeout=STEP_SECONDS + 10.0)
