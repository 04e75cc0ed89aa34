"""HTTP as handlers see it: a complete request in, a complete response out, and a table of routes. No I/O."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

import httptools
import msgspec

from mainspring_runtime.serve.errors import Headers, RequestError, closest
from mainspring_runtime.serve.load import Load
from mainspring_runtime.serve.wire import BINARY_HEADER, encode_error

JSON = b"application/json"
CLOSE = (b"connection", b"close")
STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
# Level 1: the caller is most often one switch away. Below the limit, packing costs more than sending.
GZIP_LEVEL = 1
GZIP_MIN_BYTES = 16 * 1024
ENCODINGS = {b"gzip": zlib.MAX_WBITS | 16, b"deflate": zlib.MAX_WBITS}


class Response(msgspec.Struct, frozen=True, gc=False):
    """What goes back: the body is complete, so its length is known."""

    status: int
    body: bytes
    headers: Headers = ()
    content_type: bytes = JSON


class Answering(Protocol):
    """Where the answer to a request goes."""

    def respond(self, request: Request, response: Response) -> None: ...


class Request:
    """A request with its whole body, as it came: `headers` by lower-case name, `body` perhaps compressed.

    `on_gone` is called once if the caller goes away before the answer.
    """

    __slots__ = ("_answering", "body", "headers", "is_head", "keep_alive", "on_gone", "refusal", "route")

    def __init__(
        self,
        answering: Answering,
        headers: Mapping[bytes, bytes],
        body: bytes,
        *,
        route: Route | None = None,
        refusal: RequestError | None = None,
        is_head: bool = False,
        keep_alive: bool = True,
    ) -> None:
        self._answering = answering
        self.headers = headers
        self.body = body
        self.route = route
        self.refusal = refusal
        self.is_head = is_head
        self.keep_alive = keep_alive
        self.on_gone: Callable[[], object] | None = None

    def respond(self, response: Response) -> None:
        """Answer later, when the handler returned None. Does nothing if the caller went away."""
        self._answering.respond(self, response)


Handler = Callable[[Request], Response | None]  # None: `Request.respond` will be called. May raise `RequestError`


@dataclass(frozen=True, slots=True)
class Route:
    """A path: its method (GET includes HEAD), who answers, and what its body may be."""

    method: str
    handler: Handler
    max_bytes: int = 0  # of the body, as it is sent
    binary: bool = False  # may be another type than JSON when the header of the binary tensors is there
    on_refused: Callable[[int], None] | None = None  # is told the status when the handler never sees the request
    load: Load | None = None  # its requests are counted there while they are answered

    @property
    def methods(self) -> tuple[str, ...]:
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)


class Router:
    """Finds who answers. A route is a whole path, since all names are known from the start."""

    def __init__(self, routes: Mapping[str, Route], what_is_here: str) -> None:
        self._routes = routes
        self._by_target = {path.encode(): route for path, route in routes.items()}
        self._what_is_here = what_is_here

    def find(self, method: bytes, target: bytes) -> Route:
        """Raises `RequestError` 404, which says what is here, or 405."""
        route = self._by_target.get(target)
        if route is None:
            path = path_of(target)
            route = self._routes.get(path)
            if route is None:
                raise RequestError(
                    404, f"there is nothing at {path}; {self._what_is_here}{closest(path, self._routes)}"
                )
        if method.decode() not in route.methods:
            allow = ", ".join(route.methods)
            message = f"{method.decode()} is not allowed for {path_of(target)}; use {allow}"
            raise RequestError(405, message, ((b"allow", allow.encode()),))
        return route


def path_of(target: bytes) -> str:
    """The path of a request target, decoded, without its query."""
    from urllib.parse import unquote

    try:
        path = httptools.parse_url(target).path
    except httptools.HttpParserInvalidURLError:
        path = target
    return unquote((path or b"/").decode("latin-1"))


def refusal(error: RequestError) -> Response:
    return Response(error.status, encode_error(error), error.headers)


def encode_head(response: Response, date: bytes, *, close: bool) -> bytes:
    """Status line and headers. With `close` the caller is told to open another connection for its next request."""
    head = b"%scontent-type: %s\r\ncontent-length: %d\r\ndate: %s\r\n" % (
        STATUS_LINES[response.status],
        response.content_type,
        len(response.body),
        date,
    )
    headers = response.headers
    if close and CLOSE not in headers:
        headers = (*headers, CLOSE)
    return head + b"".join([b"%s: %s\r\n" % header for header in headers]) + b"\r\n"


def require_acceptable(route: Route, headers: Mapping[bytes, bytes]) -> None:
    """Refuse what is known to be wrong before the body is there. Raises `RequestError` 413 or 415."""
    media_type = headers.get(b"content-type", JSON)
    if media_type != JSON and route.max_bytes and not (route.binary and BINARY_HEADER in headers):
        _require_json(media_type)
    # The HTTP parser has checked that it is a number.
    if int(headers.get(b"content-length", b"0")) > route.max_bytes > 0:
        raise too_large(route.max_bytes)
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.lower() not in (b"identity", *ENCODINGS):
        raise RequestError(
            415, f"content-encoding {_text(encoding)!r} is not supported; send gzip, deflate or the body as it is"
        )


def too_large(limit: int) -> RequestError:
    return RequestError(413, f"the body is larger than {limit} bytes; send several requests", (CLOSE,))


def plain_body(request: Request, limit: int) -> bytes:
    """The body without its compression, at most `limit` bytes. Raises `RequestError` 400 or 413."""
    encoding = request.headers.get(b"content-encoding")
    if encoding is None or (wbits := ENCODINGS.get(encoding.lower())) is None:
        return request.body
    unpacker = zlib.decompressobj(wbits)
    try:
        body = unpacker.decompress(request.body, limit + 1)
    except zlib.error as error:
        raise RequestError(400, f"the body is not {_text(encoding)}: {error}") from error
    if len(body) > limit:
        raise RequestError(413, f"the body is larger than {limit} bytes when unpacked; send several requests")
    if not unpacker.eof or unpacker.unused_data:
        problem = "ends too early" if not unpacker.eof else "goes on after its end"
        raise RequestError(400, f"the body is not {_text(encoding)}: it {problem}")
    return body


def packed(request: Request, response: Response) -> Response:
    """The response, compressed if it is large and the caller takes that."""
    if len(response.body) < GZIP_MIN_BYTES or (accepted := request.headers.get(b"accept-encoding")) is None:
        return response
    encoding = next((name for name in ENCODINGS if name in _accepted(accepted)), None)
    if encoding is None:
        return response
    packer = zlib.compressobj(GZIP_LEVEL, wbits=ENCODINGS[encoding])
    headers = (*response.headers, (b"content-encoding", encoding), (b"vary", b"accept-encoding"))
    return msgspec.structs.replace(response, body=packer.compress(response.body) + packer.flush(), headers=headers)


def _accepted(header: bytes) -> Collection[bytes]:
    """The codings of an Accept-Encoding header, without those of quality 0."""
    found = []
    for item in header.lower().split(b","):
        name, _, quality = item.replace(b" ", b"").partition(b";q=")
        if quality.rstrip(b"0") not in (b"0.", b"0") and quality != b"0":
            found.append(name)
    return found


def _require_json(media_type: bytes) -> None:
    name, _, parameters = media_type.lower().partition(b";")
    charset = parameters.replace(b" ", b"").replace(b'"', b"")
    if name.strip() != JSON or charset not in (b"", b"charset=utf-8"):
        raise RequestError(415, f"content-type {_text(media_type)!r} is not supported; send application/json")


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def join(pieces: Sequence[bytes]) -> bytes:
    """A body from its pieces; most have one."""
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
