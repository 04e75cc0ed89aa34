"""`prepare`: read the source, clean, check, split, profile and publish one dataset version."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow

from mainspring.api import contract
from mainspring.api.v1alpha1.datasetversion import MAX_COLUMNS, SplitCounts
from mainspring_runtime import artifacts, reporting
from mainspring_runtime.data import (
    checks,
    engine,
    export,
    history,
    identity,
    inputs,
    limits,
    newrows,
    profile,
    reading,
    schema,
    sources,
    split,
    statements,
    validity,
    version,
    writing,
)
from mainspring_runtime.data.engine import Connection
from mainspring_runtime.data.sources import Places

Say = Callable[[int, str], None]


def main(argv: Sequence[str]) -> None:
    """The command: task in, report and outcome out."""
    parser = argparse.ArgumentParser(prog=argv[0], description="Prepare one dataset version.")
    parser.add_argument(
        "--work", type=Path, default=Path(contract.WORK_DIR), help="directory for downloads and results"
    )
    parser.add_argument(
        "--source", type=Path, default=Path(contract.SOURCE_DIR), help="directory with the keys of a ConfigMap source"
    )
    places = Places(**vars(parser.parse_args(argv[1:])))
    made = prepare(reporting.load_task(contract.PrepareTask), places, limits.current(), reporting.progress)
    reporting.report(made)
    reporting.finish(contract.Outcome(outcome="Succeeded", digest=made.digest))


def prepare(task: contract.PrepareTask, places: Places, allowed: limits.Limits, say: Say) -> contract.PrepareReport:
    """Make and publish the version, or find that nothing has changed. Raises `JobError`."""
    schema.require_sensible(task.spec.columns or [])
    places.clear()
    say(0, "Looking at the source")
    with sources.credentials():
        source = sources.open_source(task.spec.source, places)
        made_from = identity.identity_of(task, source.versions())
        if made_from == task.previous_identity:
            return contract.PrepareReport(unchanged=True, identity=made_from)
        say(5, "Fetching")
        files = source.fetch()
    # By default one for each CPU of the node.
    pyarrow.set_cpu_count(allowed.cpus)
    previous = history.load(task.previous, task.spec, places.previous)
    newrows.fetch(task.previous, previous.earlier, task.spec, places.previous)
    tables = inputs.fetch(task.inputs, places.inputs)
    # On one thread a sum of floats or a LIMIT gives the same result each time.
    threads = 1 if task.spec.prepare else allowed.threads
    with engine.connect(
        places.work, allowed, threads=threads, files=[file.path.resolve() for file in files]
    ) as connection:
        inputs.create_views(connection, tables)
        report = make(connection, task, places, files, previous, say)
    say(90, "Publishing")
    published = artifacts.publish(places.version, task.destination)
    say(100, "Done")
    return report.model_copy(
        update={"identity": made_from, "digest": published.digest, "uri": published.uri, "size": published.size}
    )


def make(
    connection: Connection,
    task: contract.PrepareTask,
    places: Places,
    files: Sequence[reading.SourceFile],
    previous: history.Previous,
    say: Say,
) -> contract.PrepareReport:
    """From local files to the directory `places.version`; the report lacks what only publishing can tell."""
    spec = task.spec
    say(20, "Reading")
    format_ = reading.format_of([file.name for file in files], None if spec.source.sample else spec.source.format)
    reading.load(connection, files, format_, schema.textual(spec, previous.pins))
    say(35, "Preparing")
    statements.prepare(connection, spec.prepare or [])
    resolved = schema.resolve(connection, spec, previous.pins)
    valid = validity.apply(connection, spec, resolved)
    say(50, "Splitting")
    split.limit_window(connection, spec)
    splitter = split.make_splitter(connection, spec, resolved.features, previous)
    made = _write(connection, task, places, resolved, splitter)
    classes = export.classes_of(made)
    say(70, "Profiling")
    summaries = profile.summarise(made)
    export.write(places.version, made, summaries, splitter, classes)
    say(80, "Checking")
    results = checks.run(made, summaries, datetime.fromisoformat(task.refreshed_at).astimezone(UTC))
    return contract.PrepareReport(
        identity="",
        rows=made.rows + made.written.rows[split.UNLABELLED],
        labelled_rows=made.rows,
        new_rows=newrows.count(made, task, previous.earlier, places.previous),
        invalid_rows=valid.invalid_rows,
        columns=export.column_profiles(made, summaries)[:MAX_COLUMNS],
        column_count=len(summaries),
        splits=SplitCounts(**{side: made.written.rows[side] for side in made.sides}),
        split_digest=splitter.digest,
        checks=results,
        data_cut=export.data_cut(made),
    )


def _write(
    connection: Connection,
    task: contract.PrepareTask,
    places: Places,
    resolved: schema.Schema,
    splitter: split.Splitter,
) -> version.Version:
    """Write the rows of each side, free what was parsed, and open the result."""
    sides = [side for side in split.SIDES if side != split.VALIDATION or task.spec.split.validation]
    places.rows.mkdir(parents=True)
    files = {side: places.rows / f"{side}.parquet" for side in sides}
    written = writing.write(connection, splitter, resolved, files, places.buckets)
    reading.release(connection)
    if not written.rows[split.UNLABELLED]:
        files.pop(split.UNLABELLED).unlink()
    return version.open_version(connection, task.spec, resolved, written, files)
