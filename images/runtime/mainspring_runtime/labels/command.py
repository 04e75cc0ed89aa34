"""The command `join`: task in, counts out."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from mainspring.api import contract
from mainspring_runtime import reporting
from mainspring_runtime.data import engine, limits
from mainspring_runtime.labels import counting, known, predictions

Say = Callable[[int, str], None]


def main(argv: Sequence[str]) -> None:
    """Raises `JobError`."""
    parser = argparse.ArgumentParser(prog=argv[0], description="Join labels to logged predictions.")
    parser.add_argument(
        "--work", type=Path, default=Path(contract.WORK_DIR), help="directory for downloads (default: %(default)s)"
    )
    work = parser.parse_args(argv[1:]).work
    reporting.report(join(reporting.load_task(contract.JoinTask), work, limits.current(), reporting.progress))
    reporting.finish(contract.Outcome(outcome="Succeeded"))


def join(task: contract.JoinTask, work: Path, allowed: limits.Limits, say: Say) -> contract.JoinReport:
    """Raises `JobError`: KeyNotFound, OutOfMemory, or what a store can fail with."""
    parts, rows = work / "parts", work / "dataset"
    for directory in (parts, rows):
        shutil.rmtree(directory, ignore_errors=True)
    with engine.connect(work, allowed, threads=1, files=[]) as connection:
        say(5, "Reading the payload log")
        found = predictions.load(connection, task, parts)
        say(60, "Reading the labels")
        known.load(connection, task, rows)
        say(80, "Counting")
        counted = counting.count(connection, task)
    say(100, "Done")
    return counted.model_copy(update={"covers": found.covers, "unreadable": found.unreadable})
