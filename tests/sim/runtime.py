"""What the pods of our Jobs would report: the same for the same input, so that a repetition shows.

`content` stands for the bytes of a Dataset's source; change it, and the next preparation finds new data.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from mainspring.api import contract
from mainspring.api.v1alpha1.datasetversion import CheckResult, NewRows, SplitCounts
from mainspring.api.v1alpha1.modelversion import ComparedMetric
from mainspring.api.v1alpha1.trainingrun import MetricValue, TensorSpec

ROWS = 569
NEW_ROWS = 100  # each time


def digest(*parts: Any) -> str:
    return f"sha256:{hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()}"


@dataclass
class Runtime:
    content: dict[str, str] = field(default_factory=dict)  # by Dataset
    broken_checks: dict[str, int] = field(default_factory=dict)  # check → rows that break it
    quality: dict[str, float] = field(default_factory=dict)  # roc_auc by TrainingRun
    signed_by: str | None = "5" * 64  # what `evaluate` finds out when it is asked; None: it is too old to look
    better: dict[str, float] = field(default_factory=dict)  # by ModelVersion: how much better than the champion
    slow: dict[str, str] = field(default_factory=dict)  # by ModelVersion: why it is not answered by ONNX Runtime

    def report(self, task: dict[str, Any]) -> dict[str, Any]:
        """The `report.json` of the command that has this `task.json`."""
        made = {"prepare": self._prepare, "train": self._train, "evaluate": self._evaluate}[task["kind"]](task)
        return made.to_dict()

    def _prepare(self, task: dict[str, Any]) -> contract.PrepareReport:
        content = self.content.get(task["dataset"], "1")
        data = {k: v for k, v in task["spec"].items() if k not in ("checks", "retain", "refresh")}
        found = digest("data", task["dataset"], content, data, task["inputs"], self._broken(task))
        identity = digest("identity", found, task["image"])
        if identity == task.get("previousIdentity"):
            return contract.PrepareReport(unchanged=True, identity=identity)
        return contract.PrepareReport(
            identity=identity,
            digest=found,
            uri=f"{task['destination']}/{found.removeprefix('sha256:')}",
            size=1000,
            rows=ROWS,
            labelled_rows=ROWS,
            new_rows=self._new_rows(task),
            splits=SplitCounts(train=455, test=114),
            split_digest=digest("split", task["spec"].get("split")),
            checks=[self._check(check["name"]) for check in task["spec"].get("checks") or ()],
            data_cut="2025-06-01T00:00:00Z",
        )

    def _new_rows(self, task: dict[str, Any]) -> NewRows | None:
        if not task.get("previous"):
            return None
        total = task["previousTotal"] + NEW_ROWS
        return NewRows(since=task["previous"]["name"], rows=NEW_ROWS, by="Count", total=total)

    def _broken(self, task: dict[str, Any]) -> list[str]:
        return [c["name"] for c in task["spec"].get("checks") or () if c["name"] in self.broken_checks]

    def _check(self, name: str) -> CheckResult:
        rows = self.broken_checks.get(name, 0)
        return CheckResult(name=name, passed=not rows, rows=rows)

    def _train(self, task: dict[str, Any]) -> contract.TrainReport:
        learned = [task["dataset"]["artifact"]["digest"], task["spec"].get("estimator"), task["spec"]["seed"]]
        made = digest("artifact", task["run"], learned)
        value = self.quality.get(task["run"], 0.99)
        return contract.TrainReport(
            digest=made,
            model_digest=digest("model", learned),
            uri=f"{task['destination']}/{made.removeprefix('sha256:')}",
            size=2000,
            format="skops",
            task=task["dataset"]["task"],
            metrics=[MetricValue(name="roc_auc", value=value, lower=value - 0.01, upper=value + 0.01, rows=114)],
            primary="roc_auc",
            inputs=[TensorSpec(name="radius", datatype="FP64")],
            outputs=[TensorSpec(name="predict", datatype="BYTES")],
            threads=1,
            libraries={"scikit-learn": "1.7"},
        )

    def _evaluate(self, task: dict[str, Any]) -> contract.EvaluateReport:
        asked = (task.get("comparison") or {}).get("metrics") or ()
        return contract.EvaluateReport(
            digest=task["artifact"]["digest"],
            size=2000,
            format="skops",
            compared=[self._compared(task["modelVersion"], item) for item in asked],
            signed_by=self.signed_by if task["model"]["spec"].get("verification") else None,
            fast_path=task["modelVersion"] not in self.slow,
            fallback_reason=self.slow.get(task["modelVersion"], ""),
        )

    def _compared(self, version: str, asked: dict[str, Any]) -> ComparedMetric:
        value = self.better.get(version, 0.02)
        return ComparedMetric(
            metric=asked["metric"],
            on=asked.get("on") or "All",
            difference=value,
            lower=value - 0.005,
            upper=value + 0.005,
            rows=114,
            smallest_detectable=0.01,
        )
