"""The queries for the counts of one version's pods, and for its reference.

`last_over_time` instead of `increase` or `rate`: those extrapolate, and what is wanted is what the server said, to the
row. It also finds what a pod said last that is there no longer. Series that Prometheus still follows come a second time,
marked `sampled`: what was said by a pod that is not scraped any more is its last word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

RANGE = "15m"  # how long a pod's last word can be found; an epoch's, before a restart
SAMPLED = "sampled"  # the label of what Prometheus follows; its value is when it was scraped last

COUNTS = (
    "rows_total",
    "prediction_bin_total",
    "predicted_total",
    "feature_bin_total",
    "feature_(missing|unseen|out_of_range|coerced)_total",
    "feedback(_correct|_confusion|_error|_score_rows|_score_positives)?_total",
    "feedback_label_sum",
    "monitoring_(info|started_seconds|final)",
    "features_left_out",
)
REFERENCE = (
    "reference_rows",
    "prediction_(reference_rows|calibration)",
    "predicted_total",
    "feature_reference_(rows|missing|unseen|out_of_range)",
    "feature_(info|missing_total)",
    "monitoring_info",
)


@dataclass(frozen=True)
class Selection:
    """Whose series: pods of one Deployment. `labels` are further ones that they must have, such as those of a cluster."""

    namespace: str
    deployment: str
    model: str
    version: str
    labels: Mapping[str, str] = field(default_factory=dict)


def counts(of: Selection) -> str:
    """Everything that the pods have counted, each at its last scrape; and which of them are still scraped."""
    pods = f"{_literal(of.deployment)}-.+"
    rows = _selector(("rows_total",), of, pods)
    followed = f'label_replace(timestamp({rows}), "{SAMPLED}", "true", "", "")'
    return f"last_over_time({_selector(COUNTS, of, pods)}[{RANGE}]) or {followed}"


def counts_of(of: Selection, pods: Iterable[str]) -> str:
    """The same of pods with these names, without what is scraped."""
    return f"last_over_time({_selector(COUNTS, of, _alternatives(pods))}[{RANGE}])"


def reference(of: Selection, pod: str) -> str:
    """What this pod compares with."""
    return f"last_over_time({_selector(REFERENCE, of, _literal(pod))}[{RANGE}])"


def _selector(names: Iterable[str], of: Selection, pods: str) -> str:
    fixed = {"namespace": of.namespace, "model": of.model, "version": of.version}
    matchers = [f'__name__=~"mainspring_({"|".join(names)})"', f"pod=~{_quoted(pods)}"]
    matchers += [f"{name}={_quoted(value)}" for name, value in sorted({**of.labels, **fixed}.items())]
    return f"{{{','.join(matchers)}}}"


def _alternatives(names: Iterable[str]) -> str:
    return "|".join(_literal(name) for name in sorted(names))


def _literal(name: str) -> str:
    return re.escape(name).replace(r"\-", "-")


def _quoted(text: str) -> str:
    """A PromQL string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
