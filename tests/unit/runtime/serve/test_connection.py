"""HTTP/1.1 by bytes, on a connection without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring_runtime.serve.connection import MAX_WAITING, MAX_WAITING_BYTES, Connection, Shared
from mainspring_runtime.serve.errors import bad_request
from mainspring_runtime.serve.http import Request, Response, Route, Router
from tests.unit.runtime.serve.fakes import LIMITS
from tests.unit.runtime.serve.wired import MemoryTransport

LIMIT = 100
GET = b"GET /now HTTP/1.1\r\nhost: x\r\n\r\n"


def post(body: bytes, path: bytes = b"/echo", *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"POST %s HTTP/1.1\r\nhost: x\r\n%scontent-length: %d\r\n\r\n%s" % (path, lines, len(body), body)


class Answers:
    """What was written, parsed."""

    def __init__(self, content: bytes, heads: int = 0) -> None:
        self.seen: list[tuple[int, bytes]] = []
        self.headers: list[dict[bytes, bytes]] = []
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(content)

    def on_message_begin(self) -> None:
        self._body = b""
        self.headers.append({})

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[-1][name] = value

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.seen.append((self._parser.get_status_code(), self._body))


class Caller:
    """A connection, with routes that answer at once, when told to, or not at all."""

    def __init__(self, **limits: Any) -> None:
        self.later: list[Request] = []
        self.gone: list[Request] = []
        self.refused: list[int] = []
        routes = {
            "/now": Route("GET", lambda _request: Response(200, b'"now"')),
            "/echo": Route("POST", lambda request: Response(200, request.body), LIMIT, False, self.refused.append),
            "/later": Route("POST", self._later, LIMIT),
            "/large": Route("POST", lambda _request: Response(200, b""), MAX_WAITING_BYTES),
            "/bad": Route("GET", self._bad),
        }
        self.shared = Shared(Router(routes, "this is a test"), replace(LIMITS, **{"body_bytes": LIMIT, **limits}))
        self.connection = Connection(self.shared)
        self.transport = MemoryTransport(self.connection)

    def _later(self, request: Request) -> None:
        request.on_gone = lambda: self.gone.append(request)
        self.later.append(request)

    def _bad(self, _request: Request) -> Response:
        raise bad_request("not like this")

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            if not self.transport.is_closing():
                self.connection.data_received(piece)

    @property
    def answers(self) -> list[tuple[int, bytes]]:
        return Answers(self.transport.written).seen

    @property
    def statuses(self) -> list[int]:
        return [status for status, _ in self.answers]


def cut(content: bytes, places: Sequence[int]) -> list[bytes]:
    ends = [*sorted(place % (len(content) + 1) for place in places), len(content)]
    starts = [0, *ends[:-1]]
    return [content[start:end] for start, end in zip(starts, ends, strict=True)]


CHUNKED = b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


@given(st.lists(st.integers(0, 1000), max_size=8))
def test_however_the_bytes_arrive_the_answers_are_the_same_and_in_order(places: list[int]) -> None:
    async def scenario() -> None:
        caller = Caller()
        content = GET + post(b"one") + CHUNKED + GET + post(b"", b"/nowhere") + post(b"two")
        caller.send(*cut(content, places))
        answers = caller.answers
        assert [status for status, _ in answers] == [200, 200, 200, 200, 404, 200]
        assert [body for status, body in answers if status == 200] == [b'"now"', b"one", b"abcde", b'"now"', b"two"]
        assert not caller.transport.is_closing()

    asyncio.run(scenario())


METHODS = [b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE", b"PATCH", b"CONNECT", b"PRI", b"SOURCE", b""]


@given(st.sampled_from(METHODS), st.binary(max_size=200), st.lists(st.integers(0, 300), max_size=3))
def test_any_bytes_are_refused_or_wait_for_more(method: bytes, rest: bytes, places: list[int]) -> None:
    content = method + b" " + rest

    async def scenario() -> None:
        caller = Caller()
        caller.send(*cut(content, places))
        assert set(caller.statuses) <= {400, 404, 405}
        caller.transport.close()

    asyncio.run(scenario())


async def test_requests_behind_one_that_takes_its_time_wait() -> None:
    caller = Caller()
    caller.send(post(b"a", b"/later") + GET + post(b"b", b"/later") + GET)
    assert (caller.answers, len(caller.later), caller.transport.reading) == ([], 1, True)
    caller.later[0].respond(Response(200, b"1"))
    assert (caller.answers, len(caller.later)) == ([(200, b"1"), (200, b'"now"')], 2)
    caller.later[1].respond(Response(200, b"2"))
    assert [body for _, body in caller.answers] == [b"1", b'"now"', b"2", b'"now"']


@pytest.mark.parametrize(("count", "body"), [(MAX_WAITING, b""), (3, bytes(MAX_WAITING_BYTES // 2))])
async def test_nothing_more_is_read_while_many_wait(count: int, body: bytes) -> None:
    caller = Caller(body_bytes=MAX_WAITING_BYTES)
    caller.send(post(b"a", b"/later"), *[post(body, b"/large")] * (count - 1))
    assert caller.transport.reading
    caller.send(post(body, b"/large"))
    assert not caller.transport.reading
    caller.later[0].respond(Response(200, b"1"))
    assert (caller.statuses, caller.transport.reading) == ([200] * (count + 1), True)


async def test_a_request_is_answered_once() -> None:
    caller = Caller()
    caller.send(post(b"a", b"/later"))
    for number in (b"1", b"2"):
        caller.later[0].respond(Response(200, number))
    assert caller.answers == [(200, b"1")]


async def test_a_caller_that_goes_away_is_told_to_the_handler_and_nothing_is_written() -> None:
    caller = Caller()
    caller.send(post(b"a", b"/later") + GET)
    assert not caller.shared.unused.is_set()
    caller.connection.connection_lost(None)
    assert caller.gone == caller.later
    caller.later[0].respond(Response(200, b"1"))
    assert (caller.transport.written, caller.shared.unused.is_set()) == (b"", True)


async def test_answers_of_a_caller_that_does_not_read_are_not_piled_up() -> None:
    caller = Caller()
    caller.connection.pause_writing()
    caller.send(GET + GET)
    assert caller.answers == []
    caller.connection.resume_writing()
    assert caller.statuses == [200, 200]


async def test_head_has_the_headers_of_get_and_no_body() -> None:
    caller = Caller()
    caller.send(GET)
    expected = caller.transport.written.removesuffix(b'"now"')
    caller = Caller()
    caller.send(GET.replace(b"GET", b"HEAD"))
    assert caller.transport.written.split(b"date:")[0] == expected.split(b"date:")[0]
    assert caller.transport.written.endswith(b"\r\n\r\n")


async def test_answers_are_dated() -> None:
    caller = Caller()
    caller.send(GET)
    (headers,) = Answers(caller.transport.written).headers
    assert parsedate_to_datetime(headers[b"date"].decode()).tzinfo is not None


@pytest.mark.parametrize(
    ("request_", "closes"),
    [
        (GET, False),
        (b"GET /now HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", True),
        (b"GET /now HTTP/1.0\r\n\r\n", True),
        (b"GET /now HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", False),
    ],
)
async def test_the_connection_ends_when_the_caller_says_so(request_: bytes, closes: bool) -> None:
    caller = Caller()
    caller.send(request_)
    assert caller.statuses == [200]
    assert caller.transport.is_closing() == closes
    assert (b"connection: close" in caller.transport.written) == closes


async def test_nothing_is_answered_behind_the_end() -> None:
    caller = Caller()
    caller.shared.closing = True
    caller.send(GET + GET)
    assert (caller.statuses, caller.transport.is_closing()) == ([200], True)


async def test_who_asks_before_sending_is_told_to_go_on() -> None:
    caller = Caller()
    head, body = post(b"abc", b"/echo", b"expect: 100-continue").split(b"\r\n\r\n")
    caller.send(head + b"\r\n\r\n")
    assert caller.transport.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    caller.send(body)
    assert caller.transport.written.endswith(b"\r\n\r\nabc")


@pytest.mark.parametrize(("path", "length", "status"), [(b"/echo", 101, 413), (b"/nowhere", 5, 404), (b"/now", 5, 405)])
async def test_who_asks_before_sending_in_vain_gets_the_answer_at_once(path: bytes, length: int, status: int) -> None:
    caller = Caller()
    caller.send(b"POST %s HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: %d\r\n\r\n" % (path, length))
    assert (caller.statuses, caller.transport.is_closing()) == ([status], True)


async def test_a_body_above_the_limit_is_refused_after_reading_what_the_caller_still_sends() -> None:
    caller = Caller()
    caller.send(post(bytes(101))[:-1])
    assert caller.answers == []
    caller.send(b"\0")
    assert (caller.statuses, caller.transport.is_closing()) == ([413], True)
    assert caller.refused == [413]


@pytest.mark.parametrize("head", [b"content-length: 1000000", b"transfer-encoding: chunked"])
async def test_a_body_far_above_the_limit_is_not_read_to_its_end(head: bytes) -> None:
    caller = Caller()
    chunk = b"a0\r\n" + bytes(160) + b"\r\n"
    caller.send(b"POST /echo HTTP/1.1\r\nhost: x\r\n%s\r\n\r\n" % head, *([chunk] * 10))
    assert (caller.statuses, caller.transport.is_closing()) == ([413], True)


async def test_a_refused_request_leaves_the_connection_usable() -> None:
    caller = Caller()
    caller.send(post(b"abc", b"/nowhere"), post(b"abc", b"/now"), b"GET /bad HTTP/1.1\r\n\r\n")
    caller.send(post(b"abc", b"/echo", b"content-type: text/plain"), GET)
    assert caller.statuses == [404, 405, 400, 415, 200]


async def test_the_body_of_a_get_is_read_and_ignored() -> None:
    caller = Caller()
    caller.send(b"GET /now HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc", GET)
    assert caller.statuses == [200, 200]


async def test_what_is_not_http_is_said_and_ends_the_connection() -> None:
    caller = Caller()
    caller.send(GET + b"\x16\x03\x01 a TLS handshake\r\n\r\n")
    assert (caller.statuses, caller.transport.is_closing()) == ([200, 400], True)
    assert b"this is not HTTP/1.1" in caller.answers[1][1]


@pytest.mark.parametrize(
    "head",
    [
        b"POST /echo HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"POST /echo HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /echo HTTP/1.1\r\ntransfer-encoding: chunked, identity\r\n\r\nabc",
    ],
)
async def test_a_request_whose_end_is_ambiguous_is_refused(head: bytes) -> None:
    caller = Caller()
    caller.send(head)
    assert (caller.statuses, caller.transport.is_closing()) == ([400], True)


async def test_headers_without_end_are_refused() -> None:
    caller = Caller()
    caller.send(b"GET /now HTTP/1.1\r\n")
    for _ in range(10):
        caller.send(b"x-long: " + bytes(b"a" * 8_000) + b"\r\n")
    assert (caller.statuses, caller.transport.is_closing()) == ([431], True)


async def test_an_offer_of_http_2_is_ignored() -> None:
    offer = (b"connection: Upgrade, HTTP2-Settings", b"upgrade: h2c", b"http2-settings: AAEAAEAAAAIAAAABAAMAAABk")
    caller = Caller()
    caller.send(post(b"abc", b"/echo", *offer) + GET)
    caller.send(post(b"", b"/echo", *offer), *cut(post(b"de", b"/echo", *offer), range(0, 200, 7)))
    assert [body for _, body in caller.answers] == [b"abc", b'"now"', b"", b"de"]


async def test_a_tunnel_is_refused() -> None:
    caller = Caller()
    caller.send(b"CONNECT example.org:443 HTTP/1.1\r\nhost: example.org\r\n\r\n" + GET)
    assert (caller.statuses, caller.transport.is_closing()) == ([405], True)


async def test_repeated_headers_are_one_list() -> None:
    caller = Caller()
    caller.send(post(b"", b"/later", b"Accept-Encoding: br", b"accept-encoding: gzip"))
    assert caller.later[0].headers[b"accept-encoding"] == b"br, gzip"


async def test_only_connections_without_work_are_closed_when_idle_ones_are() -> None:
    idle, busy = Caller(), Caller()
    busy.send(post(b"a", b"/later"))
    for caller in (idle, busy):
        caller.connection.finish()
    assert (idle.transport.is_closing(), busy.transport.is_closing()) == (True, False)
