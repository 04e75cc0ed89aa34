"""Rollouts: of candidates that are as good and of worse ones, how many are rolled back, and after how many requests."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from mainspring.api.v1alpha1.rollouts import Judgement
from mainspring.plan.inferenceservice import analysis
from mainspring.plan.statistics import sequential
from tests import canaries
from tests.bench import table
from tests.canaries import Case, Ended

SHARES = (0.05, 0.25, 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=1000, help="of each kind")
    parser.add_argument("--batch", type=int, default=750, help="requests between two judgements")
    options = parser.parse_args()
    show("candidates that are no worse", canaries.good_candidates(), options.rollouts, options.batch)
    show("candidates that are worse", canaries.bad_candidates(), options.rollouts, options.batch)
    show("smaller differences, and a large one", canaries.smaller_differences(), options.rollouts, options.batch)
    show_needed()


def show(title: str, cases: Iterable[Case], times: int, batch: int) -> None:
    rows = []
    for case in cases:
        started = time.process_time()
        ended = canaries.rollouts(case, times, batch=batch)
        rows.append([case.title, *row(ended), f"{1000 * (time.process_time() - started) / times:.0f}"])
    columns = [
        "candidate",
        "rolled back, %",
        "by",
        "promoted, %",
        "its requests: median",
        "90 %",
        "all requests: median",
    ]
    table.show(f"{title} ({times} rollouts each)", [*columns, "CPU ms a rollout"], rows)


def show_needed() -> None:
    """Requests of the candidate, by the stable version's rate, the increase to detect, and the candidate's share."""
    alpha = analysis.ALPHA / 2
    cells = [
        [f"{100 * base:g} %", f"+{100 * more:g}", *(sequential.needed(base, more, share, alpha) for share in SHARES)]
        for base in (0.0001, 0.005, 0.05, 0.1)
        for more in (0.01, 0.02, 0.05)
    ]
    columns = ["stable", "increase, points", *(f"its share {100 * share:g} %" for share in SHARES)]
    table.show("requests of the candidate that are needed, with two metrics", columns, cells)


def row(ended: Sequence[Ended]) -> list[object]:
    failed = [end for end in ended if end.verdict is Judgement.FAILED]
    by = Counter(end.by for end in failed)
    promoted = sum(end.verdict is Judgement.PASSED for end in ended)
    candidate = [end.candidate for end in ended]
    return [
        f"{100 * len(failed) / len(ended):.1f}",
        ", ".join(f"{name} {count}" for name, count in by.most_common()) or "-",
        f"{100 * promoted / len(ended):.1f}",
        *(int(np.quantile(candidate, share)) for share in (0.5, 0.9)),
        int(np.median([end.requests for end in ended])),
    ]


if __name__ == "__main__":
    main()
