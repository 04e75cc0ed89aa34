"""A request as it came, to the bytes that the candidate gets; what it answers, to the response that the caller gets. Pure.

Bodies are never looked at. Only those headers go on that a model server reads or that tell one request from another in logs;
what a caller says of itself stays in the pod that it asked.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mainspring_runtime.serve.errors import Headers
from mainspring_runtime.serve.http import JSON, Request, Response
from mainspring_runtime.serve.splitting.choosing import REQUEST_ID
from mainspring_runtime.serve.splitting.outgoing import Received
from mainspring_runtime.serve.splitting.wire import SECONDS_HEADER
from mainspring_runtime.serve.wire import BINARY_HEADER

DESCRIBING = (b"content-type", b"content-encoding", BINARY_HEADER, REQUEST_ID, b"traceparent", b"tracestate")
ACCEPTED = b"accept-encoding"
# Of the connection between two servers, or made anew for each answer.
OWN = frozenset(
    (b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"date", b"server", SECONDS_HEADER)
)


def to_bytes(start: bytes, request: Request, *, packed: bool) -> bytes:
    """`start` is what all have in common: request line and first headers. `packed`: the answer may be compressed."""
    headers = request.headers
    names = (*DESCRIBING, ACCEPTED) if packed else DESCRIBING
    lines = [b"%s: %s\r\n" % (name, headers[name]) for name in names if name in headers]
    return b"%s%scontent-length: %d\r\n\r\n%s" % (start, b"".join(lines), len(request.body), request.body)


def make_start(target: bytes, host: str, headers: Mapping[bytes, bytes]) -> bytes:
    lines = b"".join([b"%s: %s\r\n" % header for header in headers.items()])
    name = f"[{host}]" if ":" in host else host  # an address of IPv6, as URLs have it
    return b"POST %s HTTP/1.1\r\nhost: %s\r\n%s" % (target, name.encode(), lines)


def to_response(received: Received) -> Response:
    content_type = JSON
    headers: Headers = ()
    for name, value in received.headers:
        if name == b"content-type":
            content_type = value
        elif name not in OWN:
            headers = (*headers, (name, value))
    return Response(received.status, received.body, headers, content_type)


def tell_seconds(response: Response, seconds: float) -> Response:
    """The response with what `seconds_of` reads."""
    return msgspec.structs.replace(response, headers=(*response.headers, (SECONDS_HEADER, b"%.6f" % seconds)))


def tells_seconds(received: Received) -> bool:
    """It is the answer of a server of ours to a request that was forwarded."""
    return any(name == SECONDS_HEADER for name, _ in received.headers)


def seconds_of(received: Received, round_trip: float) -> float:
    """How long the server had the request, by its own word; without one, how long it was away."""
    for name, value in received.headers:
        if name == SECONDS_HEADER:
            try:
                return float(value)
            except ValueError:
                break
    return round_trip
