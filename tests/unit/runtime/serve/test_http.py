from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring_runtime.serve import http
from mainspring_runtime.serve.errors import RequestError
from mainspring_runtime.serve.http import Request, Response, Route, Router
from mainspring_runtime.serve.wire import BINARY_HEADER

LIMIT = 1000


def _unused(request: Request) -> Response:
    raise NotImplementedError


class Nobody:
    def respond(self, request: Request, response: Response) -> None:
        raise AssertionError


JSON_ONLY = Route("POST", _unused, LIMIT)
TENSORS = Route("POST", _unused, LIMIT, binary=True)


def headers(**values: str) -> dict[bytes, bytes]:
    return {name.replace("_", "-").encode(): value.encode() for name, value in values.items()}


def request(body: bytes, **values: str) -> Request:
    return Request(Nobody(), headers(**values), body)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"'],
)
def test_json_in_utf_8_is_accepted(content_type: str) -> None:
    http.require_acceptable(JSON_ONLY, headers(content_type=content_type))
    http.require_acceptable(JSON_ONLY, {})


@pytest.mark.parametrize(
    ("given_headers", "message"),
    [
        (
            {"content_type": "application/x-www-form-urlencoded"},
            "'application/x-www-form-urlencoded' is not supported; send application/json",
        ),
        ({"content_type": "application/octet-stream"}, "'application/octet-stream' is not supported"),
        ({"content_type": "application/json; charset=latin-1"}, "charset=latin-1' is not supported"),
        ({"content_encoding": "br"}, "content-encoding 'br' is not supported; send gzip, deflate or the body as it is"),
    ],
)
def test_anything_else_is_415(given_headers: dict[str, str], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        http.require_acceptable(JSON_ONLY, headers(**given_headers))
    assert caught.value.status == 415
    assert message in caught.value.message


def test_a_body_with_tensors_may_have_another_type_where_tensors_are_taken() -> None:
    sent = headers(content_type="application/octet-stream") | {BINARY_HEADER: b"10"}
    http.require_acceptable(TENSORS, sent)
    with pytest.raises(RequestError, match="octet-stream"):
        http.require_acceptable(JSON_ONLY, sent)


def test_a_declared_length_above_the_limit_is_413_and_ends_the_connection() -> None:
    http.require_acceptable(JSON_ONLY, headers(content_length="1000"))
    with pytest.raises(RequestError, match="larger than 1000 bytes") as caught:
        http.require_acceptable(JSON_ONLY, headers(content_length="1001"))
    assert (caught.value.status, caught.value.headers) == (413, ((b"connection", b"close"),))


def test_a_response_says_its_length_and_whether_the_connection_ends() -> None:
    response = Response(200, b"{}", ((b"allow", b"GET"),))
    assert http.encode_head(response, b"now", close=False) == (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\ndate: now\r\nallow: GET\r\n\r\n"
    )
    assert http.encode_head(response, b"now", close=True).endswith(b"allow: GET\r\nconnection: close\r\n\r\n")
    refused = http.encode_head(http.refusal(http.too_large(1)), b"now", close=True)
    assert refused.startswith(b"HTTP/1.1 413 Request Entity Too Large\r\n")
    assert refused.count(b"connection: close\r\n") == 1


def test_get_includes_head_and_post_nothing_else() -> None:
    assert Route("GET", _unused).methods == ("GET", "HEAD")
    assert Route("POST", _unused).methods == ("POST",)


@pytest.mark.parametrize(
    "target", [b"/a/b c", b"/a/b%20c", b"/a/b%20c?x=1&y=/other", b"http://host:80/a/b%20c", b"/a/b%20c#part"]
)
def test_a_route_is_found_however_its_path_is_written(target: bytes) -> None:
    route = Route("GET", _unused)
    assert Router({"/a/b c": route}, "").find(b"GET", target) is route


@given(st.binary(max_size=40))
def test_any_target_is_a_route_or_404(target: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        Router({"/a": Route("GET", _unused)}, "nothing").find(b"POST", target)
    assert caught.value.status in (404, 405)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("GZIP", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)],
)
def test_a_body_is_unpacked(encoding: str, pack: object) -> None:
    body = b'{"inputs": []}'
    assert callable(pack)
    assert http.plain_body(request(pack(body), content_encoding=encoding), LIMIT) == body
    assert http.plain_body(request(body), LIMIT) == body


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"plain", 400, "the body is not gzip: Error"),
        (gzip.compress(b"abc", mtime=0)[:-4], 400, "ends too early"),
        (b"", 400, "ends too early"),
        (gzip.compress(b"abc", mtime=0) + b"more", 400, "goes on after its end"),
        (gzip.compress(bytes(LIMIT + 1), mtime=0), 413, "larger than 1000 bytes when unpacked"),
        (gzip.compress(bytes(50_000_000), mtime=0), 413, "larger than 1000 bytes when unpacked"),
    ],
)
def test_a_body_that_cannot_be_unpacked_is_refused_within_bounds(body: bytes, status: int, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        http.plain_body(request(body, content_encoding="gzip"), LIMIT)
    assert (caught.value.status, message in caught.value.message) == (status, True), caught.value.message


LARGE = Response(200, b"[" + b"1.5," * 10_000 + b"1]")


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", b"gzip"),
        ("deflate, gzip;q=0.5", b"gzip"),
        ("Deflate", b"deflate"),
        ("gzip;q=0, deflate", b"deflate"),
        ("br, zstd", None),
        ("gzip; q=0.000", None),
    ],
)
def test_a_large_answer_is_packed_as_the_caller_accepts(accepted: str, encoding: bytes | None) -> None:
    response = http.packed(request(b"", accept_encoding=accepted), LARGE)
    if encoding is None:
        assert response is LARGE
        return
    assert (b"content-encoding", encoding) in response.headers
    assert zlib.decompress(response.body, wbits=47) == LARGE.body


def test_a_small_answer_or_one_for_a_caller_that_does_not_ask_is_sent_as_it_is() -> None:
    small = Response(200, b"{}")
    assert http.packed(request(b"", accept_encoding="gzip"), small) is small
    assert http.packed(request(b""), LARGE) is LARGE
