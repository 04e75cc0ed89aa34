"""Monitors with a past: the operator's own plan, run window by window over counts that tell a story.

What comes of it is what an API server would hold: the monitor with its status, the ConfigMap of its history, and the
runs and versions around it. Counts follow from shares with a little noise, always the same.
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from mainspring.api.monitoring import (
    ColumnCounts,
    ErrorSums,
    FeedbackCounts,
    Reference,
    ReferenceColumn,
    ReferencePrediction,
    Snapshot,
)
from mainspring.api.v1alpha1.modelmonitor import ModelMonitorSpec
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Manifest, Object
from mainspring.plan.modelmonitor import builders as made
from mainspring.plan.modelmonitor import plan, records
from mainspring.plan.modelmonitor import state as states
from mainspring.plan.modelmonitor.observed import Observed, Reading
from mainspring.plugin.report.sources import Sources
from tests import builders
from tests.builders import NOW

SERVICE = builders.stored(builders.service())
ROWS = 1200  # of a window
REFERENCE_ROWS = 4000
MINUTES = 15
NUMBERS = {
    "mean_radius": [8.5, 10.2, 11.7, 13.0, 14.4, 16.1, 18.9, 22.4],
    "mean_texture": [12.0, 15.5, 18.2, 21.0, 24.6],
    "worst_area": [300.0, 480.0, 690.0, 1020.0, 1650.0],
    "smoothness": [0.08, 0.09, 0.1, 0.11],
    "age": [29.5, 39.5, 49.5, 59.5, 69.5],
    "visits": [0.5, 1.5, 2.5, 4.5],
    "blood_pressure": [100.0, 112.0, 121.0, 135.0],
    "weight": [52.0, 61.0, 70.0, 82.0],
}
CATEGORIES = {
    "stage": ["I", "II", "III", "IV"],
    "hospital": ["North", "South", "East", "West", "University", "Lakeside", "Children’s"],
    "referral": ["doctor", "emergency", "screening"],
}


@dataclass
class Life:
    """A monitor of `tumours` that goes through windows; `columns` are by name, their counts shares of rows."""

    spec: Mapping[str, Any] = field(default_factory=dict)
    regression: bool = False
    columns: list[ReferenceColumn] = field(default_factory=lambda: usual_columns())
    at: datetime = NOW
    version: int = 1
    status: dict[str, Any] = field(default_factory=dict)
    memory: Manifest | None = None
    history: Manifest | None = None
    runs: list[dict[str, Any]] = field(default_factory=list)
    versions: list[dict[str, Any]] = field(default_factory=list)
    total: Snapshot | None = None
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    def __post_init__(self) -> None:
        self.versions.append(_version(1, self.at))
        self._step(None)

    @property
    def monitor(self) -> Object:
        """Valid against the CRD."""
        return builders.stored(self.manifest, self.status)

    @functools.cached_property
    def manifest(self) -> dict[str, Any]:
        usual = {"window": {"length": f"{MINUTES}m", "minimumRows": 200}, "season": "2h"}
        if self.regression:
            usual["performance"] = {"metric": "mean_absolute_error", "maximum": 5.0, "minimumLabels": 100}
        return builders.stored(builders.monitor(**{**usual, **self.spec}))

    def go(
        self,
        windows: int,
        accuracy: float = 0.95,
        change: Callable[[str, list[float]], list[float]] = lambda _, shares: shares,
        missing: Mapping[str, float] | None = None,
        unseen: Mapping[str, float] | None = None,
        rows: int = ROWS,
        labelled: float = 0.4,
    ) -> Life:
        """So many windows in which requests come with these shares."""
        for _ in range(windows):
            swing = 1 + 0.25 * math.sin(2 * math.pi * self.at.hour / 24)
            self.at += timedelta(minutes=MINUTES)
            self._step((int(rows * swing), accuracy, change, missing or {}, unseen or {}, labelled))
        return self

    def retrain(self, outcome: str, message: str, rows: int = 640) -> Life:
        """A TrainingRun with its end; a promoted version is served from now on."""
        number = len(self.versions) + 1
        made_a_version = outcome in ("Promoted", "Rejected")
        status = {"modelVersion": f"tumours-v{number}"} if made_a_version else {}
        self.runs.append(self._run(outcome, message, rows, status))
        if made_a_version:
            self.versions.append(_version(number, self.at, outcome))
        if outcome == "Promoted":
            self.version, self.total = number, None
        self._step(None)
        return self

    def _run(self, outcome: str, message: str, rows: int, status: Mapping[str, Any]) -> dict[str, Any]:
        number = len(self.runs) + 1
        dataset = {"name": "tumours", "version": objects.name(builders.dataset_version(f"data {number}"))}
        notes = {
            "retrain-reason": "PerformanceDegraded",
            "retrain-message": message,
            "retrain-need": objects.format_time(self.at - timedelta(minutes=30)),
            "retrain-champion": f"tumours-v{self.version}",
            "retrain-new-rows": str(rows),
            "retrain-number": str(number),
            "finished": "Failed" if outcome == "Failed" else "Succeeded",
        }
        run = builders.run(f"tumours-{number}", dataset=dataset)
        return builders.stored(run, status, annotations=notes, created=objects.format_time(self.at))

    def relearn(self, change: Callable[[str, list[float]], list[float]]) -> Life:
        """The reference of the next version knows the change."""
        self.columns = [
            c.model_copy(update={"counts": [round(s * REFERENCE_ROWS) for s in change(c.name, _shares(c))]})
            for c in self.columns
        ]
        return self

    def reference(self) -> Reference:
        classes = None if self.regression else ["benign", "malignant"]
        return Reference(
            model="tumours",
            version=str(self.version),
            digest=f"sha256:{self.version}",
            rows_of="newest",
            rows=REFERENCE_ROWS,
            columns=self.columns,
            prediction=self._prediction(),
            task="Regression" if self.regression else "Classification",
            classes=classes,
        )

    def _prediction(self) -> ReferencePrediction:
        if self.regression:
            edges = [10.0, 20.0, 30.0, 40.0, 55.0]
            counts = [600, 700, 900, 800, 600, 400]
            return ReferencePrediction(output="predict", source="OutOfFold", rows=4000, edges=edges, counts=counts)
        return ReferencePrediction(
            output="predict_proba",
            source="OutOfFold",
            rows=REFERENCE_ROWS,
            edges=[0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9],
            counts=[1500, 500, 300, 200, 200, 300, 400, 600],
            positive="malignant",
            threshold=0.5,
        )

    def _step(self, said: Any) -> None:
        if said is not None:
            self.total = self._counted(*said)
        snapshot = self.total or self._counted(0, 1.0, lambda _, s: s, {}, {}, 0.0)
        self.total = snapshot
        observed = self._observed(Reading(snapshots={"pod": snapshot}, reference=self.reference()))
        found = plan.make_plan(observed, self.at)
        self.status = dict(found.status or self.status)
        for manifest in found.apply:
            name = manifest["metadata"]["name"]
            if name == made.memory_name("tumours"):
                self.memory = manifest
            if name == made.history_name("tumours"):
                self.history = manifest

    def _observed(self, reading: Reading) -> Observed:
        monitor = {**self.manifest, "status": self.status}  # not checked against the schema until it is asked for
        data = builders.dataset_version("data")
        current = self.versions[self.version - 1]
        return Observed(
            object=monitor,
            spec=ModelMonitorSpec.model_validate(objects.spec(monitor)),
            settings=builders.SETTINGS,
            state=states.read(self.memory),
            history=self.history,
            service={**SERVICE, "status": {"stableVersion": objects.name(current)}},
            version=current,
            model=self.model(),
            versions=tuple(self.versions),
            dataset=builders.stored(builders.dataset(), {"current": objects.name(data)}),
            dataset_versions=(data,),
            runs=tuple(self.runs),
            reading=reading,
        )

    def model(self) -> Object:
        words = {"owner": "oncology-ml@example.org", "description": "Malignant or benign, from a cell sample"}
        return builders.stored(builders.model(**words), {"champion": f"tumours-v{self.version}"})

    def _counted(
        self,
        rows: int,
        accuracy: float,
        change: Callable[[str, list[float]], list[float]],
        missing: Mapping[str, float],
        unseen: Mapping[str, float],
        labelled: float,
    ) -> Snapshot:
        before = self.total
        columns = [self._column(c, rows, change, missing, unseen, before) for c in self.columns]
        watched = self._prediction()
        prediction = self._spread(rows, change("", [n / sum(watched.counts) for n in watched.counts]))
        return Snapshot(
            model="tumours",
            version=str(self.version),
            digest=f"sha256:{self.version}",
            epoch=str(self.version),
            started=objects.format_time(NOW),
            rows=rows + (before.rows if before else 0),
            columns=columns,
            prediction=_added(prediction, before.prediction if before else None),
            predicted=None
            if self.regression
            else _added([sum(prediction[:4]), sum(prediction[4:])], before and before.predicted),
            feedback=self._feedback(int(rows * labelled), accuracy, before.feedback if before else None),
        )

    def _column(
        self,
        column: ReferenceColumn,
        rows: int,
        change: Callable[[str, list[float]], list[float]],
        missing: Mapping[str, float],
        unseen: Mapping[str, float],
        before: Snapshot | None,
    ) -> ColumnCounts:
        gone, new = int(rows * missing.get(column.name, 0.0)), int(rows * unseen.get(column.name, 0.0))
        counts = self._spread(rows - gone - new, change(column.name, _shares(column)))
        if column.categories is not None:
            counts[-1] += new
        past = next((c for c in before.columns if c.name == column.name), None) if before else None
        known = past or ColumnCounts(name=column.name, counts=[0] * len(counts))
        return ColumnCounts(
            name=column.name,
            counts=_added(counts, known.counts),
            missing=gone + known.missing,
            unseen=new + known.unseen,
        )

    def _spread(self, rows: int, shares: Sequence[float]) -> list[int]:
        noisy = [max(0.0, rows * s + math.sqrt(rows * s * (1 - s)) * self.chance.gauss(0, 1)) for s in shares]
        counts = [round(n * rows / (sum(noisy) or 1)) for n in noisy]
        counts[counts.index(max(counts))] += rows - sum(counts)
        return counts

    def _feedback(self, labels: int, accuracy: float, before: FeedbackCounts | None) -> FeedbackCounts:
        if self.regression:
            error = 20 * (1 - accuracy) + 2 * self.chance.random()
            past = before.errors if before and before.errors else None
            sums = {"absolute": labels * error, "squared": labels * error**2 * 1.6, "fourth": labels * error**4 * 4}
            sums |= {"labels": labels * 30.0, "labels_squared": labels * 1200.0}
            values = {name: value + (getattr(past, name) if past else 0.0) for name, value in sums.items()}
            total = labels + (before.rows if before else 0)
            return FeedbackCounts(rows=total, errors=ErrorSums(rows=total, **values))
        right = min(labels, max(0, round(labels * accuracy + math.sqrt(labels * 0.05) * self.chance.gauss(0, 1))))
        new = [[right // 2, (labels - right) // 2], [labels - right - (labels - right) // 2, right - right // 2]]
        old = before.confusion if before and before.confusion else [[0, 0], [0, 0]]
        total = [[a + b for a, b in zip(x, y, strict=True)] for x, y in zip(new, old, strict=True)]
        return FeedbackCounts(rows=sum(map(sum, total)), confusion=total)

    def sources(self, **changes: Any) -> Sources:
        found = Sources(
            monitor=self.monitor,
            now=self.at,
            service=builders.stored(builders.service(), {}),
            model=self.model(),
            version=self.versions[self.version - 1],
            runs=tuple(self.runs),
            windows=tuple(records.read(self.history)),
            last=records.read_last(self.history),
        )
        return replace(found, **changes)


def _added(counts: Sequence[int], before: Sequence[int] | None) -> list[int]:
    return [a + b for a, b in zip(counts, before or [0] * len(counts), strict=True)]


def _shares(column: ReferenceColumn) -> list[float]:
    return [n / (sum(column.counts) or 1) for n in column.counts]


def _version(number: int, at: datetime, outcome: str = "Promoted") -> dict[str, Any]:
    moment = objects.format_time(at)
    promoted, rejected = (moment, "") if outcome == "Promoted" else ("", "GatesFailed")
    found = builders.model_version(number, passed=outcome == "Promoted", promoted=promoted, rejected=rejected)
    source = {"trainingRun": f"run-{number}", "datasetVersion": objects.name(builders.dataset_version("data"))}
    return {**found, "spec": {**found["spec"], "source": source}}


def usual_columns() -> list[ReferenceColumn]:
    numbers = [
        ReferenceColumn(
            name=name,
            kind="Integer" if name in ("age", "visits") else "Float",
            edges=edges,
            counts=_bell(len(edges) + 1),
        )
        for name, edges in NUMBERS.items()
    ]
    known = [
        ReferenceColumn(name=name, kind="Category", categories=values, counts=[*_falling(len(values)), 0])
        for name, values in CATEGORIES.items()
    ]
    return [*numbers, *known]


def _bell(size: int) -> list[int]:
    weights = [math.exp(-(((place + 0.5) / size - 0.5) ** 2) * 8) for place in range(size)]
    return _whole(weights)


def _falling(size: int) -> list[int]:
    return _whole([1 / (place + 1.5) for place in range(size)])


def _whole(weights: Sequence[float]) -> list[int]:
    counts = [round(REFERENCE_ROWS * weight / sum(weights)) for weight in weights]
    counts[0] += REFERENCE_ROWS - sum(counts)
    return counts


def hotter(name: str, shares: list[float]) -> list[float]:
    """Three features and the prediction move up; the others stay."""
    if name not in ("mean_radius", "worst_area", "stage", ""):
        return shares
    size = len(shares) - (1 if name == "stage" else 0)
    moved = [share * (0.35 + 1.5 * place / size) for place, share in enumerate(shares[:size])]
    return [*(share / sum(moved) for share in moved), *shares[size:]]


MESSAGE = "accuracy 0.812 [0.796, 0.827] on 3840 rows, minimum 0.9"


def fresh() -> Life:
    return Life()


def steady() -> Life:
    return Life(
        spec={"performance": {"metric": "accuracy", "minimum": 0.9, "minimumLabels": 100, "estimate": True}}
    ).go(60)


def drifting() -> Life:
    """Since five hours things are different, one column arrives half empty, and there is nothing yet to learn from."""
    asked = {"performance": {"metric": "accuracy", "minimum": 0.9, "minimumLabels": 100}}
    life = Life(spec=asked).go(60)
    return life.go(20, 0.8, hotter, missing={"weight": 0.14}, unseen={"hospital": 0.06})


def recovered() -> Life:
    """A first retrain was no better, the second one is."""
    asked = {"performance": {"metric": "accuracy", "minimum": 0.9, "minimumLabels": 100}}
    life = Life(spec=asked).go(50).go(20, 0.81, hotter).retrain("Rejected", MESSAGE, 512)
    return life.go(12, 0.8, hotter).relearn(hotter).retrain("Promoted", MESSAGE, 1480).go(50, 0.95)


def regression() -> Life:
    return Life(regression=True).go(40, 0.9).go(9, 0.6, hotter)


ODD_NAMES = (
    "<script>alert('x')</script>",
    "</style><style>body{display:none}</style>",
    '" onload="alert(1)',
    "a & b &amp; c",
    "ein sehr langer Name, der in keiner Spalte Platz findet und trotzdem lesbar bleiben muss, " + "x" * 36,
    "温度センサー（入口）",
    "حرارة الماء",
    "🌡️ temperature",
    "\u202egnp.exe",
    "tab\there",
    "prediction",
    "x" * 128,
    "",
)


def odd() -> Life:
    """Fifty features with names of all sorts, and categories likewise."""
    names = [name for name in ODD_NAMES if name] + [f"feature_{n:02}" for n in range(38)]
    numbers = [
        ReferenceColumn(name=n, kind="Float", edges=[-1e9, 0.0, 1e-9, 12345678.9], counts=_bell(5)) for n in names
    ]
    odd_values = ReferenceColumn(
        name="kinds", kind="Category", categories=[n or "(empty)" for n in ODD_NAMES] * 2, counts=[*_falling(26), 0]
    )

    def move(name: str, shares: list[float]) -> list[float]:
        return (
            list(reversed(shares))
            if name == "kinds"
            else [*shares[1:], shares[0]]
            if name[:1] in '<"a温ح🌡x'
            else shares
        )

    return Life(columns=[*numbers, odd_values]).go(8).go(4, 0.7, move)


STORIES: dict[str, Callable[[], Life]] = {
    "fresh": fresh,
    "steady": steady,
    "drifting": drifting,
    "recovered": recovered,
    "regression": regression,
    "odd": odd,
}
