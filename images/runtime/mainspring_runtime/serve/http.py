"""The little of HTTP that an inference server needs, on raw ASGI: read a JSON body, send a response, find a route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from mainspring_runtime.serve.errors import Headers, RequestError, closest
from mainspring_runtime.serve.wire import encode_error

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

JSON = b"application/json"
CLOSE = (b"connection", b"close")
DISCARD_FACTOR = 4


class Disconnected(Exception):
    """The caller went away before its request was complete; there is nobody to answer."""


class Response(msgspec.Struct, frozen=True, gc=False):
    """What goes back: the body is complete, so its length is known."""

    status: int
    body: bytes
    headers: Headers = ()
    content_type: bytes = JSON


Handler = Callable[[Scope, Receive], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """A path: its method (GET includes HEAD) and who answers."""

    method: str
    handler: Handler

    @property
    def methods(self) -> tuple[str, ...]:
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)


def find(routes: Mapping[str, Route], scope: Scope, what_is_here: str) -> Handler:
    """Who answers. Raises `RequestError` 404, which says `what_is_here`, or 405."""
    path, method = scope["path"], scope["method"]
    route = routes.get(path)
    if route is None:
        raise RequestError(404, f"there is nothing at {path}; {what_is_here}{closest(path, routes)}")
    if method not in route.methods:
        allow = ", ".join(route.methods)
        raise RequestError(405, f"{method} is not allowed for {path}; use {allow}", ((b"allow", allow.encode()),))
    return route.handler


def refusal(error: RequestError) -> Response:
    return Response(error.status, encode_error(error), error.headers)


async def respond(send: Send, response: Response, *, close: bool) -> None:
    """Send it. With `close` the caller is told to open another connection for its next request."""
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", b"%d" % len(response.body)),
        *response.headers,
    ]
    if close and CLOSE not in headers:
        headers.append(CLOSE)
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


async def read_json(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The body of a JSON request, at most `limit` bytes.

    Raises `RequestError` 413 or 415, and `Disconnected`.
    """
    headers = dict(scope["headers"])
    _require_json(headers)
    if _declared_length(headers) > limit:
        # Who asks first (Expect: 100-continue) gets the answer without sending; the others are read to the end, since
        # closing on them while they send would destroy the answer.
        if b"expect" not in headers:
            await _discard(receive, limit)
        raise too_large(limit)
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False) and message["type"] == "http.request" and len(body) <= limit:
        return body
    return await _read_on(message, receive, limit)


def too_large(limit: int) -> RequestError:
    return RequestError(413, f"the body is larger than {limit} bytes; send several requests", (CLOSE,))


def _require_json(headers: Mapping[bytes, bytes]) -> None:
    media_type = headers.get(b"content-type", JSON)
    if media_type != JSON and not _is_json(media_type):
        raise RequestError(415, f"content-type {_text(media_type)!r} is not supported; send application/json")
    if (encoding := headers.get(b"content-encoding", b"identity").lower()) != b"identity":
        raise RequestError(415, f"content-encoding {_text(encoding)!r} is not supported; send the JSON as it is")


def _is_json(media_type: bytes) -> bool:
    name, _, parameters = media_type.lower().partition(b";")
    charset = parameters.replace(b" ", b"").replace(b'"', b"")
    return name.strip() == JSON and charset in (b"", b"charset=utf-8")


def _declared_length(headers: Mapping[bytes, bytes]) -> int:
    return int(headers.get(b"content-length", b"0"))  # the HTTP parser has checked that it is a number


async def _read_on(message: Mapping[str, Any], receive: Receive, limit: int) -> bytes:
    """The rest of a body that came in pieces."""
    pieces: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise Disconnected
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        more = message.get("more_body", False)
        if size > limit:
            if more:
                await _discard(receive, limit)
            raise too_large(limit)
        if not more:
            return b"".join(pieces)
        message = await receive()


async def _discard(receive: Receive, limit: int) -> None:
    """Read what is still coming, within reason, so that the caller gets to read the answer."""
    size = 0
    while size <= DISCARD_FACTOR * limit:
        message = await receive()
        size += len(message.get("body", b""))
        if message["type"] == "http.disconnect":
            raise Disconnected
        if not message.get("more_body", False):
            return


def _text(value: bytes) -> str:
    return value.decode("latin-1")
