"""What a prediction costs by path: scikit-learn against ONNX Runtime, for the same version and the same rows.

    python -m tests.bench.bench_predict [--seconds 0.5] [--rounds 5]

One row and 1,000 rows, on one thread; bare models get a matrix of numbers (30 columns), the others mixed columns with
`preprocessing: Auto` inside the graph. The paths take turns, and the ratio is the median over the rounds, so that a busy
machine slows both. Figures are printed, not asserted.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mainspring_runtime import threads
from mainspring_runtime.model import predictor, sample
from mainspring_runtime.model.encoding import Array
from mainspring_runtime.model.predictor import Predictor
from tests.bench import table
from tests.unit.runtime.train import prepared_data, tasks

ROWS = (1, 1000)
ESTIMATORS: dict[str, dict[str, Any]] = {
    "logistic regression": {"class_": "sklearn.linear_model.LogisticRegression", "params": {"max_iter": 5000}},
    "forest of 100 trees": {"class_": "sklearn.ensemble.RandomForestClassifier"},
    "histogram boosting": {"class_": "sklearn.ensemble.HistGradientBoostingClassifier"},
}
MICROSECONDS = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        datasets = {
            "None": prepared_data.breast_cancer(root / "numbers"),
            "Auto": prepared_data.mixed(root / "mixed", rows=2000),
        }
        rows = [
            line
            for preprocessing, dataset in datasets.items()
            for name, estimator in ESTIMATORS.items()
            for line in measure(name, preprocessing, root, dataset, estimator, options.seconds, options.rounds)
        ]
    table.show(
        "µs a prediction, on one thread", ("model", "preprocessing", "rows", "scikit-learn", "onnx", "ratio"), rows
    )


def measure(
    name: str, preprocessing: str, root: Path, dataset: Path, estimator: Mapping[str, Any], seconds: float, rounds: int
) -> list[tuple[object, ...]]:
    """A line for each number of rows."""
    directory = tasks.directory_of(tasks.train(root, dataset, preprocessing=preprocessing, **estimator))
    paths = [predictor.load(directory, threads=1, path=path) for path in ("sklearn", "onnx")]
    drawn = sample.read_sample(directory, paths[0].signature)
    assert drawn is not None
    lines: list[tuple[object, ...]] = []
    for count in ROWS:
        columns = _repeated(drawn.columns, count)
        with threads.limited(1):
            taken = [[_time(found, columns, seconds) for found in paths] for _ in range(rounds)]
        slow, fast = (statistics.median(column) * MICROSECONDS for column in zip(*taken, strict=True))
        lines.append((name, preprocessing, count, slow, fast, statistics.median(one / other for one, other in taken)))
    return lines


def _repeated(columns: Mapping[str, Array], count: int) -> dict[str, Array]:
    return {name: np.resize(values, count) for name, values in columns.items()}


def _time(found: Predictor, columns: Mapping[str, Array], seconds: float) -> float:
    """Seconds a call, over at least so many seconds, after one call to warm up."""
    found.predict(columns)
    started, calls = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < seconds:
        found.predict(columns)
        calls += 1
    return elapsed / calls


if __name__ == "__main__":
    main()
