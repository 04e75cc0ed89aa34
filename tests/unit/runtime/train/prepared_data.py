"""Prepared dataset directories, in the layout that `prepare` writes, from a few arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.parquet as pq
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

Array = npt.NDArray[Any]

ARROW_TYPES = {
    "Float": pyarrow.float64(),
    "Integer": pyarrow.int64(),
    "Boolean": pyarrow.bool_(),
    "Category": pyarrow.string(),
    "String": pyarrow.string(),
    "Timestamp": pyarrow.timestamp("us", tz="UTC"),
}
ROLES = {"target": "Target", "key": "Key", "timestamp": "Timestamp", "weight": "Weight"}
SPLIT_DIGEST = "sha256:" + "5" * 64


def write_dataset(
    directory: Path,
    columns: Mapping[str, tuple[str, Sequence[Any]]],
    *,
    target: str,
    task: str = "Classification",
    test: float = 0.2,
    validation: float = 0.0,
    non_nullable: Sequence[str] = (),
    features: Sequence[str] | None = None,
    **facts: Any,
) -> Path:
    """`columns`: name to (ColumnType, values with None for missing). Splits by position after a fixed shuffle."""
    (directory / "data").mkdir(parents=True)
    roles = {facts[field]: role for field, role in ROLES.items() if facts.get(field)} | {target: "Target"}
    roles |= dict.fromkeys(facts.get("sensitive", ()), "Sensitive")
    names = [name for name in columns if name not in roles] if features is None else list(features)
    described = [
        describe(name, *columns[name], roles.get(name, "Feature"), name not in non_nullable) for name in columns
    ]
    table = pyarrow.table(
        {name: pyarrow.array(list(values), ARROW_TYPES[kind]) for name, (kind, values) in columns.items()}
    )
    write_splits(directory, table, test, validation)
    (directory / "columns.json").write_text(json.dumps(described))
    (directory / "profile.json").write_text(json.dumps({"columns": []}))
    document = {"task": task, "target": target, "features": names, "splitDigest": SPLIT_DIGEST, **facts}
    (directory / "dataset.json").write_text(json.dumps(document))
    return directory


def describe(name: str, kind: str, values: Sequence[Any], role: str, nullable: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": name, "type": kind, "role": role, "nullable": nullable}
    if kind == "Category":
        facts["categories"] = sorted({value for value in values if value})
    return facts


def write_splits(directory: Path, table: pyarrow.Table, test: float, validation: float) -> None:
    order = np.random.default_rng(0).permutation(len(table))
    cuts = [int(len(order) * test), int(len(order) * (test + validation))]
    for split, chosen in zip(("test", "validation", "train"), np.split(order, cuts), strict=True):
        if len(chosen):
            pq.write_table(table.take(np.sort(chosen)), directory / "data" / f"{split}.parquet")


def breast_cancer(directory: Path, **options: Any) -> Path:
    """569 rows, 30 floats, two classes; M is positive."""
    data = load_breast_cancer()
    columns: dict[str, tuple[str, Sequence[Any]]] = {
        name.replace(" ", "_"): ("Float", data.data[:, index].tolist()) for index, name in enumerate(data.feature_names)
    }
    columns["diagnosis"] = ("Category", ["MB"[value] for value in data.target])
    return write_dataset(directory, columns, target="diagnosis", classes=["B", "M"], **options)


def iris(directory: Path, **options: Any) -> Path:
    """150 rows, 4 floats, three classes."""
    data = load_iris()
    columns: dict[str, tuple[str, Sequence[Any]]] = {
        name: ("Float", data.data[:, index].tolist()) for index, name in enumerate(data.feature_names)
    }
    columns["species"] = ("Category", [str(data.target_names[value]) for value in data.target])
    return write_dataset(directory, columns, target="species", **options)


def diabetes(directory: Path, **options: Any) -> Path:
    """442 rows, 10 floats, a number to predict."""
    data = load_diabetes()
    columns: dict[str, tuple[str, Sequence[Any]]] = {
        name: ("Float", data.data[:, index].tolist()) for index, name in enumerate(data.feature_names)
    }
    columns["progression"] = ("Float", data.target.tolist())
    return write_dataset(directory, columns, target="progression", task="Regression", **options)


def mixed_columns(rows: int, seed: int = 0) -> dict[str, tuple[str, list[Any]]]:
    """Every column type, with missing values, few and many categories, and numbers far from zero."""
    generator = np.random.default_rng(seed)
    amount = generator.lognormal(3, 1, rows)
    visits = generator.integers(0, 9, rows)
    stage = generator.choice(["I", "II", "III", "IV"], rows)
    city = np.array([f"city-{index:03d}" for index in generator.zipf(1.4, rows) % 90])
    seen = np.datetime64("2024-01-01", "us") + generator.integers(0, 300 * 86_400_000_000, rows)
    logit = (
        0.7 * np.log(amount)
        - 2
        + 0.8 * (stage == "IV")
        - 0.5 * (stage == "I")
        + 0.1 * visits
        + 0.3 * (city == "city-001")
    )
    outcome = generator.random(rows) < 1 / (1 + np.exp(-logit))
    gaps = generator.random((5, rows)) < 0.06
    return {
        "visit": ("String", [f"v{index}" for index in range(rows)]),
        "seen_at": ("Timestamp", seen.tolist()),
        "amount": ("Float", with_gaps(amount.tolist(), gaps[0])),
        "visits": ("Integer", with_gaps(visits.tolist(), gaps[1])),
        "epoch": ("Integer", (1_700_000_000 + generator.integers(0, 5000, rows)).tolist()),
        "smoker": ("Boolean", with_gaps((generator.random(rows) < 0.3).tolist(), gaps[2])),
        "stage": ("Category", with_gaps(stage.tolist(), gaps[3])),
        "city": ("Category", city.tolist()),
        "admitted": ("Timestamp", with_gaps((seen - np.timedelta64(3, "D")).tolist(), gaps[4])),
        "age_group": ("Category", generator.choice(["young", "old"], rows).tolist()),
        "importance": ("Float", generator.uniform(0.5, 2, rows).tolist()),
        "outcome": ("Category", ["yes" if value else "no" for value in outcome]),
        "cost": ("Float", (amount * (1 + visits) + generator.normal(0, 5, rows)).tolist()),
    }


def with_gaps(values: list[Any], gaps: Array) -> list[Any]:
    return [None if gap else value for value, gap in zip(values, gaps, strict=True)]


def mixed(directory: Path, rows: int = 1200, task: str = "Classification", **options: Any) -> Path:
    """A table of mixed columns with key, timestamp and a sensitive column."""
    columns = mixed_columns(rows)
    target, other = ("outcome", "cost") if task == "Classification" else ("cost", "outcome")
    columns = {name: column for name, column in columns.items() if name not in (other, "importance")}
    facts = {"key": "visit", "timestamp": "seen_at", "sensitive": ["age_group"], "non_nullable": ["epoch"]}
    return write_dataset(directory, columns, target=target, task=task, **(facts | options))
