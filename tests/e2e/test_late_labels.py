"""What was true comes in a table: joined to the payload log, it measures the predictions that callers got."""

from __future__ import annotations

import random
from typing import Any

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from tests.e2e import manifests
from tests.e2e.space import STEP_SECONDS, Space

ROWS, WRONG = 240, 0.1


def table() -> list[dict[str, Any]]:
    """What is heavy is `yes`, but for some."""
    rng, rows = random.Random(5), []
    for number in range(ROWS):
        weight = rng.uniform(0.0, 10.0)
        kind = (weight > 5) != (rng.random() < WRONG)
        paint = rng.choice(["red", "blue"])
        rows.append({"part": f"p-{number}", "weight": weight, "paint": paint, "kind": "yes" if kind else "no"})
    return rows


def loop(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lines = [",".join(rows[0]), *(",".join(str(value) for value in row.values()) for row in rows)]
    labels = {"dataset": "parts", "delay": "2s", "every": "15s"}
    performance = {"metric": "accuracy", "minimum": 0.5, "minimumLabels": 30, "labels": labels, "slices": ["paint"]}
    source = {"configMap": {"name": "parts", "key": "parts.csv"}}
    return [
        manifests.config_map("parts", **{"parts.csv": "\n".join(lines) + "\n"}),
        manifests.dataset("parts", source=source, target="kind", key="part", task="Classification"),
        manifests.model("parts"),
        manifests.run("first", data="parts", model="parts"),
        manifests.service("parts", "parts", payloadLog={"sampleRate": 1, "maxPartAge": "5s"}),
        manifests.monitor(
            "parts", "parts", season="1m", window={"length": "15s", "minimumRows": 100}, performance=performance
        ),
    ]


def ask(space: Space, rows: list[dict[str, Any]]) -> list[str]:
    """Predictions for all rows in one request, which has their keys with it."""
    kinds = {"part": "BYTES", "weight": "FP64", "paint": "BYTES"}
    inputs = [
        {"name": name, "datatype": kind, "shape": [len(rows)], "data": [row[name] for row in rows]}
        for name, kind in kinds.items()
    ]
    answer = space.api.through_service(space.name, "parts", "/v2/models/parts/infer", {"inputs": inputs})
    assert answer.status_code == 200, answer.text
    return [str(value) for value in answer.json()["outputs"][0]["data"]]


def test_labels_from_a_dataset_measure_what_callers_were_told(space: Space) -> None:
    rows = table()
    space.apply(*loop(rows))
    space.current("InferenceService", "parts", "Serving", seconds=2 * STEP_SECONDS)
    space.current("ModelMonitor", "parts", "Watching")
    right = [told == row["kind"] for told, row in zip(ask(space, rows), rows, strict=True)]

    def missing() -> str | None:
        ask(space, rows)
        monitor = space.get("ModelMonitor", "parts")
        joined = objects.condition(monitor, "LabelsJoined") or {}
        measured = _performance(monitor).get("labels", 0)
        return None if measured else f"labels to be joined; it is {joined.get('reason')}: {joined.get('message')}"

    space.until(missing, 3 * STEP_SECONDS)
    monitor = space.get("ModelMonitor", "parts")
    assert objects.condition_is(monitor, "LabelsJoined")
    assert objects.condition_is(monitor, "PerformanceDegraded", "False")
    # Every request had all rows, so the share of right answers is the same in any time.
    found = _performance(monitor)
    assert abs(found["value"] - sum(right) / ROWS) < 1e-4
    assert found["labels"] % ROWS == 0
    assert found["coverage"] == 1
    assert {(one["column"], one["category"]) for one in found["slices"]} == {("paint", "red"), ("paint", "blue")}


def _performance(monitor: Object) -> dict[str, Any]:
    return dict(objects.status(monitor).get("performance") or {})
