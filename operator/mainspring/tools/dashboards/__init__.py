"""Grafana dashboards, written as rows of panels; each module holds one. A query stands once: here, not in the JSON."""

from __future__ import annotations

import json

from mainspring.tools.dashboards import delivery, fleet, grafana, model, service

DIRECTORY = "charts/mainspring/dashboards"
DASHBOARDS = (fleet.DASHBOARD, service.DASHBOARD, model.DASHBOARD, delivery.DASHBOARD)


def files() -> dict[str, str]:
    """The JSON of every dashboard by path."""
    return {
        f"{DIRECTORY}/{dashboard.name}.json": json.dumps(grafana.to_json(dashboard), indent=1) + "\n"
        for dashboard in DASHBOARDS
    }
