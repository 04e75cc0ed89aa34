"""The guide for callers, tried on a model like the one that it describes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas
import pytest

from tests.unit.runtime.serve import artifact, process
from tests.unit.runtime.train import prepared_data

GUIDE = Path(__file__).parents[4] / "docs" / "guides" / "predictions.md"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    root = tmp_path_factory.mktemp("churn")
    generator = np.random.default_rng(0)
    visits, plans = generator.integers(0, 20, 200), generator.choice(["basic", "plus", "pro"], 200)
    spend = generator.uniform(5, 90, 200).tolist()
    columns = {
        "monthly_spend": ("Float", [None, None, *spend[2:]]),
        "visits": ("Integer", visits.tolist()),
        "plan": ("Category", [None, *plans.tolist()[1:]]),
        "autopay": ("Boolean", (generator.random(200) < 0.5).tolist()),
        "churned": ("Category", ["yes" if few else "no" for few in visits < 8]),
    }
    dataset = prepared_data.write_dataset(
        root / "dataset", columns, target="churned", non_nullable=["visits", "autopay"]
    )
    version = artifact.train(dataset, root, "churned")
    environment = {
        "MAINSPRING_MODEL_NAME": "churn",
        "MAINSPRING_MODEL_VERSION": "7",
        "MAINSPRING_FEEDBACK_KEY": "a key of the tests",
    }
    with process.start(version, root / "work", **environment) as server:
        server.wait_for("ready")
        with httpx.Client(base_url=server.url("")) as client:
            yield client


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(), re.DOTALL)


def exchanges() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Requests with the answers that follow them."""
    documents = [json.loads(block) for block in blocks("json")]
    return list(zip(documents[::2], documents[1::2], strict=True))


def predictions() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [exchange for exchange in exchanges() if "inputs" in exchange[0]]


@pytest.mark.parametrize(("request_body", "answer"), predictions())
def test_every_request_of_the_guide_is_answered_as_it_says(
    client: httpx.Client, request_body: dict[str, Any], answer: dict[str, Any]
) -> None:
    response = client.post("/v2/models/churn/infer", json=request_body)
    assert response.is_success == ("error" not in answer)
    assert without_values(response.json()) == without_values(answer)


def test_the_labels_of_the_guide_are_taken_as_it_says(client: httpx.Client) -> None:
    (wanted,) = (body for body, _ in predictions() if {"name": "feedback_token"} in body.get("outputs", ()))
    ((labels, answer),) = (exchange for exchange in exchanges() if "feedback" in exchange[0])
    tokens = iter(client.post("/v2/models/churn/infer", json=wanted).json()["outputs"][1]["data"])
    sent = [entry | {"token": next(tokens)} if entry["token"].endswith("…") else entry for entry in labels["feedback"]]
    assert client.post("/v2/models/churn/feedback", json={"feedback": sent}).json() == answer


def without_values(answer: dict[str, Any]) -> dict[str, Any]:
    """Predicted numbers and labels depend on the model; everything else does not."""
    outputs = [output | {"data": len(output["data"])} for output in answer.get("outputs", [])]
    return answer | {"outputs": outputs}


def test_the_v1_request_of_the_guide_is_answered_as_it_says(client: httpx.Client) -> None:
    (request,) = re.findall(r":predict -d '(.*?)'", GUIDE.read_text())
    (answer,) = re.findall(r"answers `(.*?)`", GUIDE.read_text())
    response = client.post("/v1/models/churn:predict", json=json.loads(request))
    assert response.is_success
    assert response.json().keys() == json.loads(answer).keys()
    assert response.json()["predictions"][0] in ("yes", "no")


def test_the_guide_s_python_runs(client: httpx.Client) -> None:
    _, first, frame_to_inputs = blocks("python")  # the first one is for a client that is not installed here
    names: dict[str, Any] = {}
    exec(first.replace("http://localhost:8080", str(client.base_url)), names)
    assert set(names["labels"]) <= {"yes", "no"}
    frame = pandas.DataFrame(
        {"monthly_spend": [1.5, None], "visits": [3, 4], "plan": ["basic", None], "autopay": [True, False]}
    )
    names = {"client": client, "frame": frame}
    exec(frame_to_inputs, names)
    response = client.post("/v2/models/churn/infer", json={"inputs": names["inputs"]})
    assert response.json()["outputs"][0]["shape"] == [2]
