"""How often drift is found that is there, and that is not: 50 features, references of 455 to 10,000 rows; and what it costs.

    python -m tests.bench.bench_drift [--windows N] [--pairs N] [--seed N]

Goals: at most one false alarm in 1,000 windows; a shift of half a standard deviation of one feature found in two windows
of 1,000 rows in at least 95 % of cases; a window of 50 features from 10 servers judged within 10 ms of CPU. The usual
rules of thumb are applied to the same counts. With an interpreter that has Evidently in EVIDENTLY_PYTHON, its defaults
judge the same rows. Figures are printed, not asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from mainspring.api.monitoring import Reference, Snapshot
from mainspring.plan.statistics import counts, drift, quality
from mainspring.plan.statistics.counts import WindowCounts
from mainspring.plan.statistics.drift import FeatureDrift, Streak
from tests import monitored
from tests.bench import stream, table
from tests.bench.stream import Change, Stream

REFERENCES = (455, 1000, 3000, 10_000)
WINDOWS = (500, 1000, 5000)
WORLDS = 20  # references drawn for each case: one reference would be one opinion
SERVERS = 10
CHANGES = (
    Change("0.25 σ shift", shift=0.25),
    Change("0.5 σ shift", shift=0.5),
    Change("10 points move between categories", moved=0.10),
    Change("20 points move between categories", moved=0.20),
    Change("missing 2 % → 8 %", missing=0.08),
    Change("missing 2 % → 12 %", missing=0.12),
    Change("unseen 0 % → 3 %", unseen=0.03),
)
RULES_OF_THUMB: dict[str, Callable[[FeatureDrift], bool]] = {
    "chi-squared .05": lambda verdict: verdict.p < 0.05,
    "PSI 0.1": lambda verdict: verdict.psi > 0.1,
    "Jensen-Shannon 0.1": lambda verdict: verdict.js > 0.1,
    "one window": lambda verdict: verdict.exceeds,
    "the rule": lambda verdict: verdict.drifted,
}
EVIDENTLY = "EVIDENTLY_PYTHON"
ROWS_OF_CASE = ((1000, 500), (5000, 1000))
WINDOWS_OF_ROWS = 20


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--windows", type=int, default=1000, help="stationary windows for each case")
    parser.add_argument("--pairs", type=int, default=100, help="pairs of changed windows for each case")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    random = np.random.default_rng(arguments.seed)
    show_cost(random)
    show_false_alarms(random, arguments.windows)
    show_detection(random, arguments.pairs)
    if interpreter := os.environ.get(EVIDENTLY):
        show_evidently(random, interpreter)


def show_false_alarms(random: np.random.Generator, windows: int) -> None:
    columns = ["reference", "window", *RULES_OF_THUMB, "the rule, High", "data quality"]
    rows = [[n, m, *false_alarms(random, n, m, windows)] for n in REFERENCES for m in WINDOWS]
    table.show(f"windows with an alarm in 1,000 stationary ones ({windows} each)", columns, rows)


def false_alarms(random: np.random.Generator, reference_rows: int, rows: int, windows: int) -> list[float]:
    alarms: Counter[str] = Counter()
    for made in worlds(random, reference_rows):
        drawn = list(Stream(made, rows, random).windows(windows // WORLDS))
        for verdicts in judged(made.reference, drawn):
            alarms.update(name for name, rule in RULES_OF_THUMB.items() if any(map(rule, verdicts)))
        sensitive = judged(made.reference, drawn, drift.FLOORS["High"])
        alarms["the rule, High"] += sum(any(v.drifted for v in verdicts) for verdicts in sensitive)
        alarms["data quality"] += sum(any(f.degraded for f in findings(made.reference, window)) for window in drawn)
    judged_windows = WORLDS * (windows // WORLDS)
    return [1000 * alarms[name] / judged_windows for name in (*RULES_OF_THUMB, "the rule, High", "data quality")]


def worlds(random: np.random.Generator, rows: int) -> Iterator[stream.World]:
    return (stream.world(rows, random) for _ in range(WORLDS))


def judged(
    reference: Reference, windows: Iterable[WindowCounts], floor: float = drift.FLOORS["Normal"]
) -> Iterator[Sequence[FeatureDrift]]:
    streaks: dict[str, Streak] = {}
    for number, window in enumerate(windows):
        verdicts = drift.judge(reference, window, streaks, str(number), floor)
        streaks = drift.streaks_of(verdicts)
        yield verdicts


def findings(reference: Reference, window: WindowCounts) -> Sequence[quality.Finding]:
    return quality.judge(reference, window, quality.Allowed())


def show_detection(random: np.random.Generator, pairs: int) -> None:
    for rows in WINDOWS:
        cells = [[change.title, *(detected(random, change, n, rows, pairs) for n in REFERENCES)] for change in CHANGES]
        columns = ["change of one feature", *(f"reference {n}" for n in REFERENCES)]
        table.show(
            f"found within two windows of {rows} rows, % by drift / by data quality ({pairs} each)", columns, cells
        )


def detected(random: np.random.Generator, change: Change, reference_rows: int, rows: int, pairs: int) -> str:
    """Per cent of pairs of windows after the change in which the second one says so."""
    drifted = degraded = done = 0
    for made in worlds(random, reference_rows):
        drawn = list(Stream(made, rows, random, change).windows(2 * (pairs // WORLDS)))
        for windows in zip(drawn[::2], drawn[1::2], strict=True):
            drifted += any(verdict.drifted for verdict in list(judged(made.reference, windows))[-1])
            degraded += any(finding.degraded for window in windows for finding in findings(made.reference, window))
            done += 1
    return f"{100 * drifted / done:.1f} / {100 * degraded / done:.1f}"


def show_cost(random: np.random.Generator) -> None:
    """CPU time of one window of 50 features from 10 servers, from the answers' bytes to the verdicts."""
    made = stream.world(3000, random)
    windows = list(Stream(made, 1000, random).windows(2 * SERVERS))
    previous = {str(i): monitored.snapshot(window) for i, window in enumerate(windows[:SERVERS])}
    totals = [counts.added(one, other) for one, other in zip(windows[:SERVERS], windows[SERVERS:], strict=True)]
    current = {str(i): monitored.snapshot(total) for i, total in enumerate(totals)}
    answers = [snapshot.model_dump_json(by_alias=True) for snapshot in current.values()]
    window = counts.counted_since(previous, current)
    assert window is not None
    steps: dict[str, Callable[[], object]] = {
        f"read {SERVERS} answers ({sum(map(len, answers)) // 1024} KiB of JSON)": lambda: [
            Snapshot.model_validate_json(answer) for answer in answers
        ],
        "differences and sums": lambda: counts.counted_since(previous, current),
        "drift": lambda: drift.judge(made.reference, window, {}, "now"),
        "data quality": lambda: findings(made.reference, window),
    }
    cells = [[name, *milliseconds(step)] for name, step in steps.items()]
    table.show("CPU ms for one window", ["step", "median", "least"], cells)


def milliseconds(step: Callable[[], object], times: int = 100) -> tuple[float, float]:
    """CPU time: the median of some runs, and the least, which other work on the machine disturbs less."""
    taken = []
    for _ in range(times):
        started = time.process_time_ns()
        step()
        taken.append((time.process_time_ns() - started) / 1e6)
    return float(np.median(taken)), min(taken)


def show_evidently(random: np.random.Generator, interpreter: str) -> None:
    """The same rows for both: 50 plain numbers, stationary, then with half a standard deviation in the first."""
    rows = []
    for reference_rows, window_rows in ROWS_OF_CASE:
        for shift in (0.0, 0.5):
            known = random.normal(size=(reference_rows, 50))
            windows = random.normal(size=(WINDOWS_OF_ROWS, window_rows, 50))
            windows[:, :, 0] += shift
            rows.append(
                [
                    reference_rows,
                    window_rows,
                    shift,
                    *by_rule(known, windows),
                    *by_evidently(known, windows, interpreter),
                ]
            )
    columns = ["reference", "window", "shift of x0, σ", "rule: x0", "rule: others", "rule: CPU ms"]
    columns += ["Evidently: x0", "Evidently: others", "Evidently: dataset", "Evidently: CPU ms"]
    table.show(f"of {WINDOWS_OF_ROWS} windows, those with an alarm", columns, rows)


def by_rule(known: stream.Shares, windows: stream.Shares) -> list[float]:
    """Windows in which x0 drifted, in which another did, and CPU ms of a window, with counting its rows."""
    started = time.process_time()
    edges = np.quantile(known, np.arange(1, stream.BINS) / stream.BINS, axis=0).T
    columns = [monitored.numbers(f"x{i}", edges[i].tolist(), stream.binned(known[:, i], edges[i])) for i in range(50)]
    counted = [
        monitored.window(*(monitored.column(f"x{i}", stream.binned(rows[:, i], edges[i])) for i in range(50)))
        for rows in windows
    ]
    alarms = [{v.name for v in verdicts if v.drifted} for verdicts in judged(monitored.reference(*columns), counted)]
    cost = 1000 * (time.process_time() - started) / len(windows)
    return [sum("x0" in found for found in alarms), sum(bool(found - {"x0"}) for found in alarms), cost]


def by_evidently(known: stream.Shares, windows: stream.Shares, interpreter: str) -> list[float]:
    """Windows in which x0 drifted, another did, the dataset did, and CPU ms of a window."""
    with tempfile.TemporaryDirectory() as directory:
        np.savez(Path(directory) / "rows.npz", known=known, windows=windows)
        script = Path(__file__).with_name("evidently_defaults.py")
        command = [interpreter, str(script), f"{directory}/rows.npz"]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = json.loads(output.splitlines()[-1])
    return [found["first"], found["others"], found["dataset"], found["milliseconds"]]


if __name__ == "__main__":
    main()
