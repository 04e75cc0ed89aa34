"""What Evidently's drift preset says, with its defaults, about the windows of `bench_drift`.

    python tests/bench/evidently_defaults.py rows.npz

A script for an interpreter of its own, since Evidently needs other versions of libraries than this project has (0.7 does not
import with pandas 3). Reads `known` [rows, columns] and `windows` [windows, rows, columns], prints a line of JSON: windows
in which the first column drifted, another one did, the dataset did; CPU milliseconds of a window, after one to warm up.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset


def main(path: str) -> None:
    """Print the line."""
    rows = np.load(path)
    names = [f"x{index}" for index in range(rows["known"].shape[1])]
    known = pd.DataFrame(rows["known"], columns=names)
    windows = [pd.DataFrame(values, columns=names) for values in rows["windows"]]
    drifted(known, windows[0])
    started = time.process_time()
    found = [drifted(known, window) for window in windows]
    cost = 1000 * (time.process_time() - started) / len(windows)
    counts = {
        "first": sum("x0" in columns for columns, _ in found),
        "others": sum(bool(columns - {"x0"}) for columns, _ in found),
        "dataset": sum(dataset for _, dataset in found),
    }
    print(json.dumps({**counts, "milliseconds": cost}))


def drifted(known: pd.DataFrame, window: pd.DataFrame) -> tuple[set[str], bool]:
    """The drifted columns, and whether there are enough of them to call the dataset drifted."""
    metrics = Report([DataDriftPreset()]).run(window, known).dict()["metrics"]
    total, *columns = metrics
    names = {metric["config"]["column"] for metric in columns if is_drift(metric)}
    if len(names) != total["value"]["count"]:
        raise SystemExit(f"Evidently counts {total['value']['count']} drifted columns, of which {len(names)} are known")
    return names, total["value"]["share"] >= total["config"]["drift_share"]


def is_drift(metric: dict[str, Any]) -> bool:
    """p-values are small when there is drift, distances are large."""
    value, limit = float(metric["value"]), metric["config"]["threshold"]
    return bool(value < limit if "p_value" in metric["config"]["method"] else value >= limit)


if __name__ == "__main__":
    main(sys.argv[1])
