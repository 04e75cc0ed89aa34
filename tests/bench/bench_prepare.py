"""How much `prepare` costs: 1 M rows × 20 columns from Parquet (and, for information, from CSV), in a pod of 512 MiB.

    python -m tests.bench.bench_prepare [--rows N]

Prints CPU seconds and peak memory; the goal is at most 5 s of CPU for profile and checks, and 400 MB in all. Each
measurement is a process of its own, since the peak of a process never goes down. Figures are printed, not asserted: the
machine is shared.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from mainspring.api import contract
from mainspring.api.v1alpha1.dataset import DatasetSpec
from mainspring_runtime.data.limits import MIB, Limits
from mainspring_runtime.data.prepare import prepare
from mainspring_runtime.data.sources import Places

ROWS = 1_000_000
POD = Limits(cpus=2, memory_bytes=512 * MIB)
CHECKS = (
    "SELECT * FROM dataset WHERE f0 > 100",
    "SELECT * FROM dataset WHERE c0 NOT IN ('red', 'green', 'blue', 'black')",
    "SELECT c1, count(*) FROM dataset GROUP BY c1 HAVING count(*) < 10",
    "SELECT 1 FROM dataset HAVING avg(f1) > 1",
)
CASES = {
    "Parquet, with a key": ("rows.parquet", "customer_id", False),
    "Parquet, with a key, compared with a version before": ("rows.parquet", "customer_id", True),
    "Parquet, without a key": ("rows.parquet", None, False),
    "CSV, with a key": ("rows.csv", "customer_id", False),
}


@dataclass
class Stages:
    """CPU seconds of this process at the start of each stage."""

    started: list[tuple[str, float]] = field(default_factory=list)

    def say(self, _: int, stage: str) -> None:
        self.started.append((stage, cpu_seconds()))

    def seconds(self) -> dict[str, float]:
        following = [*self.started[1:], ("end", cpu_seconds())]
        return {
            stage: round(later - start, 2) for (stage, start), (_, later) in zip(self.started, following, strict=True)
        }


def main() -> None:
    """Make the rows once, then measure each case in its own process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--measure", nargs=3, metavar=("FILE", "KEY", "STORE"), help=argparse.SUPPRESS)
    parser.add_argument("--previous", type=contract.ArtifactRef.model_validate_json, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        file, key, store = arguments.measure
        print(json.dumps(measure(Path(file), key or None, Path(store), arguments.previous)))
        return
    with tempfile.TemporaryDirectory() as directory:
        run(
            [
                sys.executable,
                "-c",
                f"from tests.bench.bench_prepare import *; make_rows(Path({directory!r}), {arguments.rows})",
            ]
        )
        for name, (file, key, again) in CASES.items():
            case = [sys.executable, "-m", "tests.bench.bench_prepare", "--measure", f"{directory}/{file}", key or ""]
            case.append(f"{directory}/store")
            if again:
                case += ["--previous", json.dumps(json.loads(run(case).splitlines()[-1])["made"])]
            print_case(name, run(case))


def run(command: Sequence[str]) -> str:
    """Standard output of a process that must succeed."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def print_case(name: str, output: str) -> None:
    result = json.loads(output.splitlines()[-1])
    stages = result["stages"]
    print(f"{name}: {result['rows']} rows × {result['columns']} columns")
    print(
        f"  profile and checks {stages['Profiling'] + stages['Checking']:.2f} s CPU, all {sum(stages.values()):.2f} s CPU, peak {result['peak_mb']} MB"
    )
    print(f"  {stages}")


def make_rows(directory: Path, rows: int) -> None:
    """20 columns: a key, 14 floats with 2 % missing, 2 integers, 2 categories and the target."""
    random = np.random.default_rng(1)
    columns = {"customer_id": pa.array(random.permutation(rows))}
    columns |= {
        f"f{i}": pa.array(np.where(random.random(rows) < 0.02, np.nan, random.normal(size=rows)), from_pandas=True)
        for i in range(14)
    }
    columns |= {f"n{i}": pa.array(random.integers(0, 1000, rows)) for i in range(2)}
    columns |= {
        f"c{i}": pa.array(np.array(["red", "green", "blue", "black"])[random.integers(0, 4, rows)]) for i in range(2)
    }
    columns["label"] = pa.array(np.array(["no", "yes"])[random.integers(0, 2, rows)])
    table = pa.table(columns)
    pq.write_table(table, directory / "rows.parquet", row_group_size=100_000)
    pacsv.write_csv(table, directory / "rows.csv")


def measure(file: Path, key: str | None, store: Path, previous: contract.ArtifactRef | None) -> dict[str, object]:
    """Prepare the file in this process; `previous` is a version to be compared with."""
    features = None if key else {"exclude": ["customer_id"]}
    checks = [{"name": f"check-{number}", "sql": sql} for number, sql in enumerate(CHECKS)]
    spec = {"source": {"uri": file.as_uri()}, "target": "label", "key": key, "features": features, "checks": checks}
    stages = Stages()
    with tempfile.TemporaryDirectory() as work:
        task = contract.PrepareTask(
            namespace="bench",
            dataset="rows",
            spec=DatasetSpec.model_validate(spec),
            destination=store.as_uri(),
            image="bench",
            refreshed_at="2026-01-01T00:00:00Z",
            previous=previous,
        )
        report = prepare(task, Places(Path(work)), POD, stages.say)
    made = {"name": "previous", "uri": report.uri, "digest": report.digest}
    facts = {"rows": report.rows, "columns": report.column_count, "made": made}
    return {"stages": stages.seconds(), "peak_mb": peak_mb(), **facts}


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
