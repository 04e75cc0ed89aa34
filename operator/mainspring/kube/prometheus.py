"""Asking a Prometheus for the present value of series, by `POST /api/v1/query`.

PrometheusError
├── Unavailable   no answer, too slow, or an error of its own: may be better next time
└── Refused       it answers, but not as a Prometheus that takes this query: somebody has to correct something
"""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, Field, ValidationError

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


class _Series(BaseModel):
    metric: dict[str, str]
    value: tuple[float, float]


class _Vector(BaseModel):
    resultType: Literal["vector"]  # noqa: N815
    result: list[_Series]


class _Success(BaseModel):
    status: Literal["success"]
    data: _Vector


class _Failure(BaseModel):
    errorType: Annotated[str, Field(max_length=64)] = ""  # noqa: N815


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
    try:
        kind = _Failure.model_validate_json(answer.body).errorType
    except ValidationError:
        kind = ""
    text = f"it answers {answer.status}" + (f" ({kind})" if kind in KNOWN_ERRORS else "")
    if answer.status in (401, 403):
        return Refused(f"{text}: it wants to know who asks, and the operator has no credentials for it")
    if 300 <= answer.status < 500 and answer.status not in (408, 422, 429):
        return Refused(f"{text}: is this the address of a Prometheus, without {PATH}?")
    return Unavailable(text)


def _samples(body: bytes) -> list[Sample]:
    try:
        found = _Success.model_validate_json(body).data.result
    except ValidationError:
        raise Refused("it answers with something else than a Prometheus does") from None
    return [Sample(series.metric, series.value[1]) for series in found]
