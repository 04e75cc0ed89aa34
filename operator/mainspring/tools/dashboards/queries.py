"""Queries that several dashboards ask, over different series.

Series of servers carry the labels of their pod; those of the operator are told by one process at a time, whose own labels
change with each restart, so they are always put together by what they are about.
"""

from __future__ import annotations

SERVICE = "mainspring_dev_inference_service"
SECONDS = "mainspring_request_seconds"


def each(metric: str, labels: str, *by: str) -> str:
    """A gauge or counter of the operator, with these labels only."""
    return f"{_over('max', by)}({series(metric, labels)})"


def per_second(counter: str, labels: str, *by: str) -> str:
    return f"{_over('sum', by)}(rate({series(counter, labels)}[$__rate_interval]))"


def error_ratio(labels: str, *by: str) -> str:
    """Of requests that failed here, not of those that were refused for what they asked: 0 to 1."""
    failed = per_second("mainspring_requests_total", f'{labels},code=~"5.."', *by)
    total = per_second("mainspring_requests_total", labels, *by)
    return f"({failed} or 0 * {total}) / {total}"


def quantile(share: float, histogram: str, labels: str, *by: str) -> str:
    return f"histogram_quantile({share}, {per_second(f'{histogram}_bucket', labels, *by, 'le')})"


def gained(counter: str, labels: str, *by: str) -> str:
    """By how much it grew over the range of the dashboard, also across restarts of the operator."""
    return f"round(increase({each(counter, labels, *by)}[$__range:]))"


def distribution(metric: str, labels: str) -> str:
    """Shares of bins over the range of the dashboard."""
    counted = f"increase({series(metric, labels)}[$__range])"
    return f"sum by (bin) ({counted}) / scalar(sum({counted}))"


def reference(metric: str, labels: str) -> str:
    """Shares of bins in the reference, which each pod has."""
    expected = f"avg by (bin) ({series(metric, labels)})"
    return f"{expected} / scalar(sum({expected}))"


def series(metric: str, labels: str) -> str:
    return f"{metric}{{{labels}}}" if labels else metric


def _over(how: str, by: tuple[str, ...]) -> str:
    return f"{how} by ({', '.join(by)}) " if by else how
