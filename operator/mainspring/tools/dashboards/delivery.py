"""How well new models reach production: the four key metrics of delivery, over models."""

from __future__ import annotations

from mainspring.tools.dashboards.grafana import Dashboard, Panel, Query, Variable, stat
from mainspring.tools.dashboards.queries import each, gained

SPACES = 'namespace=~"$namespace"'
MODEL, SERVICE, MONITOR = (("namespace", name) for name in ("model", "service", "monitor"))
NAMED = "{{namespace}}/{{model}}"

LEAD = each("mainspring_lead_time_seconds", SPACES, *MODEL)
SERVED = each("mainspring_served_lead_time_seconds", SPACES, *SERVICE, "since")
FAILED = each("mainspring_change_failure_ratio", SPACES, *MODEL)
RESTORED = each("mainspring_time_to_restore_seconds", SPACES, *MONITOR, "outcome")
NOT_TAKEN = each("mainspring_rollout_failure_ratio", SPACES, *SERVICE)
PROMOTED = gained("mainspring_promotions_total", SPACES, *MODEL)

KEY = (
    stat(
        "Deployments",
        f"sum({PROMOTED})",
        width=6,
        text="How often a champion changed, over the range of the dashboard, rollbacks included.",
    ),
    stat(
        "Lead time",
        f"avg({LEAD})",
        "s",
        width=6,
        text="From the start of a training until its version is champion: mean of the last change of each model.",
    ),
    stat(
        "Change failure",
        f"avg({FAILED})",
        "percentunit",
        width=6,
        text="Of the last changes of a champion, at most fifty, the share that was taken back or that its rollout did not take: mean over models.",
    ),
    stat(
        "Time to restore",
        f"avg({RESTORED})",
        "s",
        width=6,
        text="From a need for a new model until another one was served, or all was well by itself: mean of the last of each monitor.",
    ),
)
MODELS = (
    Panel("Deployments", [Query(PROMOTED, NAMED, instant=True)], "bargauge", width=12),
    Panel(
        "Rollbacks",
        [Query(gained("mainspring_rollbacks_total", SPACES, *MODEL), NAMED, instant=True)],
        "bargauge",
        width=12,
    ),
    Panel("Lead time to champion", [Query(LEAD, NAMED)], unit="s", width=12),
    Panel(
        "Lead time to the first answer",
        [Query(SERVED, "{{namespace}}/{{service}} since {{since}}")],
        unit="s",
        width=12,
        text="Since the data was there, and since the training began.",
    ),
    Panel("Changes that were taken back", [Query(FAILED, NAMED)], unit="percentunit", width=12),
    Panel(
        "Rollouts that failed",
        [Query(NOT_TAKEN, "{{namespace}}/{{service}}")],
        unit="percentunit",
        width=12,
        text="Of the last ten of each service, those that were rolled back, aborted or taken back.",
    ),
    Panel(
        "Rollouts",
        [
            Query(
                gained("mainspring_rollouts_total", SPACES, *SERVICE, "outcome"),
                "{{namespace}}/{{service}} {{outcome}}",
                instant=True,
            )
        ],
        "bargauge",
        width=12,
        text="That ended, over the range of the dashboard.",
    ),
    Panel(
        "How long the last rollout took",
        [
            Query(
                each("mainspring_last_rollout_seconds", SPACES, *SERVICE, "outcome"),
                "{{namespace}}/{{service}} {{outcome}}",
            )
        ],
        unit="s",
        width=12,
        text="RolledBack: so long a bad version had a part of the requests, at most.",
    ),
    Panel("Time to restore", [Query(RESTORED, "{{namespace}}/{{monitor}} {{outcome}}")], unit="s", width=12),
)
WORK = (
    Panel(
        "Retrains",
        [
            Query(
                gained("mainspring_retrains_total", SPACES, *MONITOR, "reason"),
                "{{namespace}}/{{monitor}} {{reason}}",
                instant=True,
            )
        ],
        "bargauge",
        text="That monitors started, over the range of the dashboard.",
    ),
    Panel("Versions", [Query(each("mainspring_model_versions", SPACES, *MODEL), NAMED)]),
    Panel(
        "Versions that did not pass",
        [Query(each("mainspring_model_versions_rejected", SPACES, *MODEL), NAMED)],
        text="Of those that are kept.",
    ),
)
DASHBOARD = Dashboard(
    "delivery",
    "Delivery",
    "Deployment frequency, lead time, change failures and time to restore, of models.",
    [Variable("namespace", "label_values(mainspring_promotions_total, namespace)", all=True)],
    [("Four key metrics", KEY), ("By model", MODELS), ("What goes into it", WORK)],
    since="now-30d",
)
