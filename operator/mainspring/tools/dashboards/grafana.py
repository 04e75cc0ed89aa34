"""The part of Grafana's dashboard model that is used here: variables, annotations, and panels on a grid of 24 columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

SCHEMA_VERSION = 39
COLUMNS = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
GREEN_RED = (("green", None), ("red", 1))
RED_GREEN = (("red", None), ("green", 1))
YES_NO = {0: "no", 1: "yes"}

# How answers are read, by kind of panel; others draw series.
FORMATS = {"table": "table", "barchart": "table", "heatmap": "heatmap"}
MOST_CELLS = 100  # in a row of a status history, which refuses to draw more than it has pixels for

Thresholds = Sequence[tuple[str, float | None]]


@dataclass(frozen=True)
class Query:
    """`legend` may name labels: {{pod}}. `instant`: the values of now alone."""

    expr: str
    legend: str = ""
    instant: bool = False


@dataclass(frozen=True)
class Panel:
    """`width` of 24 columns. `options` and `custom` go into the panel as Grafana wants them."""

    title: str
    queries: Sequence[Query]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 8
    text: str = ""
    thresholds: Thresholds = ()
    names: Mapping[int, str] = field(default_factory=dict)  # what a value is called
    options: Json = field(default_factory=dict)
    custom: Json = field(default_factory=dict)
    transformations: Sequence[Json] = ()


@dataclass(frozen=True)
class Variable:
    """`query` is a `label_values(…)`. `all`: several values, or all, for use with =~."""

    name: str
    query: str
    all: bool = False
    hidden: bool = False


@dataclass(frozen=True)
class Annotation:
    """Marks at the times, in milliseconds, that the series have as values."""

    name: str
    expr: str
    title: str


@dataclass(frozen=True)
class Dashboard:
    """`name` is that of its file. `rows` have a title and panels, which wrap at 24 columns."""

    name: str
    title: str
    text: str
    variables: Sequence[Variable]
    rows: Sequence[tuple[str, Sequence[Panel]]]
    annotations: Sequence[Annotation] = ()
    since: str = "now-6h"


def stat(title: str, expr: str, unit: str = "short", **more: Any) -> Panel:
    """One number, of now."""
    options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "none"}
    options |= more.pop("options", {})
    legend = more.pop("legend", "")
    return Panel(
        title, [Query(expr, legend, instant=True)], "stat", unit, more.pop("width", 4), options=options, **more
    )


def table(title: str, expr: str, *hidden: str, width: int = 12, unit: str = "short", text: str = "") -> Panel:
    """The labels of the series of now; `hidden` columns are left out."""
    left_out = dict.fromkeys(("Time", *hidden), True)
    organize = {"id": "organize", "options": {"excludeByName": left_out, "renameByName": {"Value": "value"}}}
    return Panel(title, [Query(expr, instant=True)], "table", unit, width, text, transformations=[organize])


def to_json(dashboard: Dashboard) -> Json:
    """As Grafana imports it."""
    return {
        "uid": f"mainspring-{dashboard.name}",
        "title": f"Mainspring / {dashboard.title}",
        "description": dashboard.text,
        "tags": ["mainspring"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": dashboard.since, "to": "now"},
        "links": [_other_dashboards()],
        "templating": {"list": [_datasource(), *(_variable(variable) for variable in dashboard.variables)]},
        "annotations": {"list": [_annotation(annotation) for annotation in dashboard.annotations]},
        "panels": _panels(dashboard.rows),
    }


def _other_dashboards() -> Json:
    return {"type": "dashboards", "title": "Mainspring", "tags": ["mainspring"], "asDropdown": True, "keepTime": True}


def _datasource() -> Json:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}}


def _variable(variable: Variable) -> Json:
    made: Json = {
        "name": variable.name,
        "label": variable.name.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": variable.query, "refId": variable.name},
        "definition": variable.query,
        "refresh": 2,  # when the time range changes
        "sort": 1,
        "hide": 2 if variable.hidden else 0,
        "current": {},
    }
    everything = {"text": ["All"], "value": ["$__all"]}
    several = {"multi": True, "includeAll": True, "allValue": ".*", "current": everything}
    return made | (several if variable.all else {})


def _annotation(annotation: Annotation) -> Json:
    return {
        "name": annotation.name,
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "purple",
        "expr": annotation.expr,
        "titleFormat": annotation.title,
        "useValueForTime": True,
        "step": "60s",
    }


def _panels(rows: Iterable[tuple[str, Sequence[Panel]]]) -> list[Json]:
    made: list[Json] = []
    top = 0
    for title, panels in rows:
        made.append({"type": "row", "title": title, "collapsed": False, "panels": [], **_place(0, top, COLUMNS, 1)})
        top += 1
        for line in _lines(panels):
            made += _line(line, top)
            top += max(_height(panel) for panel in line)
    return [{"id": number, **panel} for number, panel in enumerate(made, 1)]


def _lines(panels: Sequence[Panel]) -> Iterable[list[Panel]]:
    """As many in a line as have room."""
    line: list[Panel] = []
    for panel in panels:
        if sum(other.width for other in line) + panel.width > COLUMNS:
            yield line
            line = []
        line.append(panel)
    yield line


def _line(panels: Iterable[Panel], top: int) -> Iterable[Json]:
    left = 0
    for panel in panels:
        yield {**_panel(panel), **_place(left, top, panel.width, _height(panel))}
        left += panel.width


def _height(panel: Panel) -> int:
    return 4 if panel.kind == "stat" else 8


def _place(left: int, top: int, width: int, height: int) -> Json:
    return {"gridPos": {"x": left, "y": top, "w": width, "h": height}}


def _panel(panel: Panel) -> Json:
    made: Json = {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "targets": [_target(panel.kind, query, chr(ord("A") + place)) for place, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": panel.options,
    }
    if panel.transformations:
        made["transformations"] = list(panel.transformations)
    return made | ({"maxDataPoints": MOST_CELLS} if panel.kind == "status-history" else {})


def _defaults(panel: Panel) -> Json:
    steps = [{"color": color, "value": value} for color, value in panel.thresholds] or [
        {"color": "blue", "value": None}
    ]
    names = {str(value): {"text": text, "index": place} for place, (value, text) in enumerate(panel.names.items())}
    return {
        "unit": panel.unit,
        "custom": panel.custom,
        "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "thresholds" if panel.thresholds else "palette-classic"},
        "mappings": [{"type": "value", "options": names}] if names else [],
    }


def _target(kind: str, query: Query, letter: str) -> Json:
    return {
        "refId": letter,
        "datasource": SOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": query.instant,
        "range": not query.instant,
        "format": FORMATS.get(kind, "time_series"),
    }
