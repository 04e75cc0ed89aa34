"""A request that is not answered with a prediction: the HTTP status and a sentence for the caller."""

from __future__ import annotations

import math
from collections.abc import Iterable

GONE_STATUS = 499  # of a request whose caller went away before the answer
RETRY_SECONDS = 1, 60  # the least and the most that a caller is told to wait

Headers = tuple[tuple[bytes, bytes], ...]


class RequestError(Exception):
    """Raised anywhere while a request is handled; `inference` turns it into `{"error": message}`."""

    def __init__(self, status: int, message: str, headers: Headers = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


def bad_request(message: str) -> RequestError:
    """The request must change; the message names the input, what was expected and what came."""
    return RequestError(400, message)


def unavailable(message: str, seconds: float = 0.0) -> RequestError:
    """Nothing is wrong with the request; the same one may succeed in `seconds`, which are told in whole ones."""
    least, most = RETRY_SECONDS
    wait = min(max(math.ceil(seconds), least), most)
    return RequestError(503, message, ((b"retry-after", b"%d" % wait),))


def closest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` when a known name is similar, else nothing."""
    # Imported late: only requests that are refused need it.
    from difflib import get_close_matches

    matches = get_close_matches(name, list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""
