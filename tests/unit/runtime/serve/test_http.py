from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from mainspring_runtime.serve import http
from mainspring_runtime.serve.errors import RequestError
from mainspring_runtime.serve.http import Disconnected, Response, Route

LIMIT = 10
DISCONNECT = {"type": "http.disconnect"}


class Body:
    """An ASGI `receive` that gives these pieces, and counts how often it was asked."""

    def __init__(self, *pieces: bytes, disconnect: bool = False) -> None:
        self.asked = 0
        self._messages = self._make(pieces, disconnect)

    def _make(self, pieces: tuple[bytes, ...], disconnect: bool) -> Iterator[Mapping[str, Any]]:
        for index, piece in enumerate(pieces):
            yield {"type": "http.request", "body": piece, "more_body": disconnect or index < len(pieces) - 1}
        yield DISCONNECT

    async def __call__(self) -> Mapping[str, Any]:
        self.asked += 1
        return next(self._messages)


def scope(**headers: str) -> dict[str, Any]:
    return {"headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]}


@pytest.mark.parametrize("pieces", [(b"0123456789",), (b"01234", b"56789"), (b"", b"0123456789", b"")])
async def test_a_body_may_come_in_pieces(pieces: tuple[bytes, ...]) -> None:
    assert await http.read_json(scope(), Body(*pieces), LIMIT) == b"0123456789"


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"'],
)
async def test_json_in_utf_8_is_accepted(content_type: str) -> None:
    assert await http.read_json(scope(content_type=content_type), Body(b"{}"), LIMIT) == b"{}"


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (
            {"content_type": "application/x-www-form-urlencoded"},
            "'application/x-www-form-urlencoded' is not supported; send application/json",
        ),
        ({"content_type": "application/octet-stream"}, "'application/octet-stream' is not supported"),
        ({"content_type": "application/json; charset=latin-1"}, "charset=latin-1' is not supported"),
        ({"content_encoding": "gzip"}, "content-encoding 'gzip' is not supported"),
    ],
)
async def test_anything_else_is_415(headers: dict[str, str], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        await http.read_json(scope(**headers), Body(b"{}"), LIMIT)
    assert caught.value.status == 415
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("headers", "pieces", "asked"),
    [
        ({"content_length": "11"}, (b"01234567890",), 1),
        ({"content_length": "11"}, (b"0123456", b"7890"), 2),
        ({}, (b"01234567890",), 1),
        ({}, (b"0123456", b"789", b"0", b"1"), 4),
        ({"content_length": "1000", "expect": "100-continue"}, (b"",), 0),
        ({"content_length": "1000"}, (b"0123456789",) * 100, 5),
    ],
)
async def test_a_body_above_the_limit_is_413_after_reading_what_the_caller_still_sends(
    headers: dict[str, str], pieces: tuple[bytes, ...], asked: int
) -> None:
    body = Body(*pieces)
    with pytest.raises(RequestError, match="larger than 10 bytes") as caught:
        await http.read_json(scope(**headers), body, LIMIT)
    assert (caught.value.status, caught.value.headers) == (413, ((b"connection", b"close"),))
    assert body.asked == asked


@pytest.mark.parametrize(("headers", "pieces"), [({}, ()), ({}, (b"01",)), ({"content_length": "99"}, (b"01",))])
async def test_a_caller_that_goes_away_ends_the_request(headers: dict[str, str], pieces: tuple[bytes, ...]) -> None:
    with pytest.raises(Disconnected):
        await http.read_json(scope(**headers), Body(*pieces, disconnect=True), LIMIT)


async def respond(response: Response, close: bool) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await http.respond(send, response, close=close)
    return sent


async def test_a_response_says_its_length_and_whether_the_connection_ends() -> None:
    start, body = await respond(Response(200, b"{}", ((b"allow", b"GET"),)), close=False)
    assert start["status"] == 200
    assert start["headers"] == [(b"content-type", b"application/json"), (b"content-length", b"2"), (b"allow", b"GET")]
    assert body["body"] == b"{}"
    start, _ = await respond(Response(200, b"{}"), close=True)
    assert start["headers"][-1] == (b"connection", b"close")
    start, _ = await respond(http.refusal(http.too_large(1)), close=True)
    assert start["headers"].count((b"connection", b"close")) == 1


async def _unused(scope: Any, receive: Any) -> Response:
    raise NotImplementedError


def test_get_includes_head_and_post_nothing_else() -> None:
    assert Route("GET", _unused).methods == ("GET", "HEAD")
    assert Route("POST", _unused).methods == ("POST",)
