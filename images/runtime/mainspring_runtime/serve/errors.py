"""A request that is not answered with a prediction: the HTTP status and a sentence for the caller."""

from __future__ import annotations

from collections.abc import Iterable

RETRY_AFTER = (b"retry-after", b"1")  # seconds; a queue that is full now is empty a second later, or the server is dead

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


def unavailable(message: str) -> RequestError:
    """Nothing is wrong with the request; the same one may succeed in a second."""
    return RequestError(503, message, (RETRY_AFTER,))


def closest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` when a known name is similar, else nothing."""
    # Imported late: only requests that are refused need it.
    from difflib import get_close_matches

    matches = get_close_matches(name, list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""
