"""`report mon/NAME`: what a monitor knows about its model, as a page, as text, or as JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from mainspring.plan.modelmonitor import builders, records
from mainspring.plugin import arguments
from mainspring.plugin.cluster import Cluster
from mainspring.plugin.errors import Forbidden
from mainspring.plugin.report import build, page, plain
from mainspring.plugin.report.facts import Report
from mainspring.plugin.report.sources import Sources

RENDERERS: dict[str, Callable[[Report], str]] = {
    "html": page.render,
    "text": plain.render,
    "json": lambda report: report.model_dump_json(by_alias=True, exclude_none=True, indent=2) + "\n",
}
Found = TypeVar("Found")


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "report",
        parents=[common],
        help="what a monitor knows about its model, as a page to hand on",
        description="Writes a report about a watched model: how it is, what changed, and what was done about it.",
    )
    parser.add_argument("monitor", help="a ModelMonitor, as mon/NAME")
    parser.add_argument("-o", "--output", choices=sorted(RENDERERS), default="html", help="default: html")
    parser.add_argument(
        "--output-file",
        metavar="FILE",
        help="where to; default: standard output, and for html on a terminal NAME-report.html",
    )
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace) -> int:
    name = arguments.object_name(asked.monitor, "ModelMonitor")
    sources = collect(arguments.connect(asked), name, datetime.now(UTC))
    report = build.build_report(sources)
    path = asked.output_file
    if path is None and asked.output == "html" and sys.stdout.isatty():
        path = f"{name}-report.html"
    arguments.write(RENDERERS[asked.output](report), path)
    return 0


def collect(cluster: Cluster, name: str, now: datetime) -> Sources:
    """Raises PluginError when there is no such monitor. What else may not be read becomes a gap in the report."""
    monitor = cluster.get("ModelMonitor", name)
    gaps: list[str] = []
    kept = _allowed(gaps, lambda: cluster.find("ConfigMap", builders.history_name(name)))
    service = _allowed(gaps, lambda: cluster.find("InferenceService", str(objects.spec(monitor)["service"])))
    version = _allowed(gaps, lambda: cluster.find("ModelVersion", objects.status(monitor).get("version")))
    model = _allowed(gaps, lambda: cluster.find("Model", objects.spec(version or {}).get("model")))
    return Sources(
        monitor=monitor,
        now=now,
        service=service,
        model=model,
        version=version,
        runs=_runs(cluster, monitor, gaps),
        windows=tuple(records.read(kept)),
        last=records.read_last(kept),
        gaps=tuple(gaps),
    )


def _runs(cluster: Cluster, monitor: Object, gaps: list[str]) -> tuple[Object, ...]:
    """Those that its status names."""
    names = [str(entry["run"]) for entry in objects.status(monitor).get("retrains") or ()]
    every = (_allowed(gaps, partial(cluster.find, "TrainingRun", name)) for name in names)
    return tuple(run for run in every if run is not None)


def _allowed(gaps: list[str], ask: Callable[[], Found | None]) -> Found | None:
    try:
        return ask()
    except Forbidden as error:
        gaps.append(f"This could not be read: {error}")
        return None
