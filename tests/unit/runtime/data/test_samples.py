"""The data sets of scikit-learn as the guide describes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring_runtime.data import samples
from tests.unit.runtime.data.preparing import Workshop

GUIDE = Path(__file__).parents[4] / "docs/guides/samples.md"


@pytest.mark.parametrize(
    ("name", "rows", "features", "target", "task", "labels"),
    [
        ("breast_cancer", 569, 30, "diagnosis", "Classification", ["B", "M"]),
        ("diabetes", 442, 10, "progression", "Regression", None),
        ("iris", 150, 4, "species", "Classification", ["setosa", "versicolor", "virginica"]),
        ("wine", 178, 13, "cultivar", "Classification", ["class_0", "class_1", "class_2"]),
        ("digits", 1797, 64, "digit", "Classification", list(range(10))),
    ],
)
def test_a_sample_is_prepared_without_a_failed_check(
    workshop: Workshop, name: str, rows: int, features: int, target: str, task: str, labels: list[object] | None
) -> None:
    made = workshop.prepare({"source": {"sample": name}, "target": target, "task": task})
    assert (made.report.rows, made.report.column_count) == (rows, features + 1)
    assert made.facts()["classes"] == labels
    assert all(check.passed and not check.message for check in made.report.checks)
    assert {column.type for column in made.report.columns if column.role == "Feature"} == {"Float"}


@pytest.mark.parametrize("name", sorted(samples.SAMPLES))
def test_the_guide_names_target_and_columns(name: str) -> None:
    table = samples.table(name)
    [line] = [line for line in GUIDE.read_text().splitlines() if line.startswith(f"| `{name}` |")]
    assert f"`{samples.SAMPLES[name].target}`" in line
    assert f"| {table.num_rows} |" in line
    section = GUIDE.read_text().split(f"## {name}\n")[1].split("\n## ")[0]
    if name != "digits":
        assert all(f"`{column}`" in section for column in table.column_names)


def test_malignant_is_m() -> None:
    table = samples.table("breast_cancer")
    assert table.column("diagnosis").to_pylist().count("M") == 212
    assert table.column("mean_radius")[0].as_py() == 17.99


def test_diabetes_has_original_units() -> None:
    assert samples.table("diabetes").column("age").to_pylist()[:3] == [59.0, 48.0, 72.0]


@pytest.mark.parametrize("name", sorted(samples.SAMPLES))
def test_column_names_need_no_quotes(name: str) -> None:
    assert all(column.isidentifier() for column in samples.table(name).column_names)
    assert all(column == column.lower() for column in samples.table(name).column_names)
