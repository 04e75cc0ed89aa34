"""Asking a Prometheus for the present value of series, by `POST /api/v1/query`.

PrometheusError
├── Unavailable   no answer, too slow, or an error of its own: may be better next time
└── Refused       it answers, but not as a Prometheus that takes this query: somebody has to correct something
"""

from __future__ import annotations

import json
from typing import Protocol

from mainspring.kube import outgoing
from mainspring.kube.outgoing import Answer, Outgoing
from mainspring.plan.modelmonitor.series import Sample

TIMEOUT_SECONDS = 10.0
SERVER_TIMEOUT = "8s"  # then it gives up by itself, and says so
MAX_BYTES = 8 * 2**20  # 30,000 series: about 100 pods with 20 features
PATH = "/api/v1/query"
KNOWN_ERRORS = (
    "timeout",
    "canceled",
    "execution",
    "bad_data",
    "internal",
    "unavailable",
    "not_found",
    "too_many_requests",
)


class PrometheusError(Exception):
    """The messages hold nothing of what the other side answered."""


class Unavailable(PrometheusError):
    pass


class Refused(PrometheusError):
    pass


class Prometheus(Protocol):
    """`url` is where its paths begin. `at` is a moment in seconds since 1970, None now."""

    async def query(self, url: str, expression: str, at: float | None = None) -> list[Sample]: ...


class HttpPrometheus:
    def __init__(self, requests: Outgoing) -> None:
        self._requests = requests

    async def query(self, url: str, expression: str, at: float | None = None) -> list[Sample]:
        """The series of an instant query. Raises `PrometheusError`."""
        form = {"query": expression, "timeout": SERVER_TIMEOUT} | ({} if at is None else {"time": f"{at:.3f}"})
        try:
            answer = await self._requests.post(f"{url.rstrip('/')}{PATH}", TIMEOUT_SECONDS, MAX_BYTES, data=form)
        except outgoing.Unreachable as error:
            raise Unavailable(str(error)) from error
        except outgoing.Forbidden as error:
            raise Refused(str(error)) from error
        if answer.status != 200:
            raise _error(answer)
        return _samples(answer.body)


def _error(answer: Answer) -> PrometheusError:
    kind = _error_type(answer.body)
    text = f"it answers {answer.status}" + (f" ({kind})" if kind else "")
    if answer.status in (401, 403):
        return Refused(f"{text}: it wants to know who asks, and the operator has no credentials for it")
    if 300 <= answer.status < 500 and answer.status not in (408, 422, 429):
        return Refused(f"{text}: is this the address of a Prometheus, without {PATH}?")
    return Unavailable(text)


def _error_type(body: bytes) -> str:
    """One of those that a Prometheus has, or nothing."""
    try:
        kind = json.loads(body)["errorType"]
    except (ValueError, TypeError, KeyError):
        return ""
    return kind if kind in KNOWN_ERRORS else ""


def _samples(body: bytes) -> list[Sample]:
    try:
        data = json.loads(body)["data"]
        found = [_sample(series["metric"], series["value"]) for series in data["result"]]
        is_vector = data["resultType"] == "vector"
    except (ValueError, TypeError, KeyError, IndexError):
        is_vector = False
    if not is_vector:
        raise Refused("it answers with something else than a Prometheus does")
    return found


def _sample(labels: dict[str, str], value: list[str]) -> Sample:
    """By hand, as there may be thousands: pydantic takes five times as long. Raises ValueError for other types."""
    if type(labels) is not dict or not all(type(text) is str for text in labels.values()):
        raise ValueError("labels are texts")
    return Sample(labels, float(value[1]))
