"""What one server process is told (by its environment), and the limits it works within."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, TypeVar

import msgspec

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.serve import environment
from mainspring_runtime.serve.splitting.wire import SPLIT_DIR

DEFAULT_PORT = 8080
DEFAULT_INTERNAL_PORT = 8081
MIN_KEY_CHARACTERS = 16
BOOLEANS = {"true": True, "false": False}
STUCK_FACTOR = 3.0
INTERNAL_SECONDS = 2.0  # for an answer of the internal port, while the process ends
LAST_SECONDS = 1.0  # of a drain: for connections that the kernel had accepted


Struct = TypeVar("Struct", bound=msgspec.Struct)


@dataclass(frozen=True)
class Limits:
    """What keeps one server within its memory and its time. Times are in seconds."""

    batch_rows: int = 256  # one call of the predictor joins requests up to this many rows
    request_rows: int = 10_000
    body_bytes: int = 16 * 1024 * 1024
    queue_requests: int = 1_000
    queue_rows: int = 50_000
    request_seconds: float = 5.0  # from a complete request to its answer
    receive_seconds: float = 30.0  # from the first byte of a request to its last
    # Longer than the 600 s of the load balancers that keep connections longest: the side that reuses a connection must
    # also be the one that closes it, or a request crosses the closing on its way.
    idle_seconds: int = 620
    linger_seconds: float = 10.0  # while draining: idle connections may still send a request, which is answered
    flush_seconds: float = 5.0  # after draining: for the last part of the payload log
    final_seconds: float = 5.0  # after that: for whoever watches to fetch the last counts
    payload_bytes: int = 16 * 1024 * 1024  # of requests that are to be logged and are not written yet
    load_seconds: float = 600.0  # to fetch, load, prove and warm the model

    @property
    def stuck_seconds(self) -> float:
        """A prediction that runs longer is taken for one that never ends. Its callers were told long before."""
        return STUCK_FACTOR * self.request_seconds

    @property
    def drain_seconds(self) -> float:
        """The longest time from SIGTERM to the end of the process, in the order in which it is spent."""
        answering = math.ceil(self.request_seconds) + 2 * LAST_SECONDS
        internal = INTERNAL_SECONDS + 2 * LAST_SECONDS
        return self.linger_seconds + LAST_SECONDS + answering + self.flush_seconds + self.final_seconds + internal


class PayloadLog(msgspec.Struct, frozen=True, rename="camel"):
    """What to log of requests and answers: `mainspring.api.contract.PayloadLogSettings`."""

    uri: str
    sample_rate: float
    redact: tuple[str, ...] = ()
    part_seconds: float = 300.0
    part_rows: int = 10_000
    keep_seconds: float = 30 * 86_400.0


Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class Server(msgspec.Struct, frozen=True, rename="camel"):
    """What the user set of `Limits`: `mainspring.api.contract.ServerSettings`."""

    max_batch_rows: Count | None = None
    max_queue: Count | None = None
    max_rows: Count | None = None
    max_body_bytes: Count | None = None
    request_seconds: Seconds | None = None
    load_seconds: Seconds | None = None
    warmup: bool = True

    def limits(self, defaults: Limits) -> Limits:
        """`defaults` with what was set."""
        rows = self.max_rows or defaults.request_rows
        return replace(
            defaults,
            batch_rows=self.max_batch_rows or defaults.batch_rows,
            queue_requests=self.max_queue or defaults.queue_requests,
            request_rows=rows,
            queue_rows=max(defaults.queue_rows, rows),
            body_bytes=self.max_body_bytes or defaults.body_bytes,
            request_seconds=self.request_seconds or defaults.request_seconds,
            load_seconds=self.load_seconds or defaults.load_seconds,
        )


@dataclass(frozen=True)
class Verification:
    """Nothing is loaded that none of these keys (in PEM) has signed. `secret` is where they come from."""

    secret: str
    public_keys: str


@dataclass(frozen=True)
class Settings:
    """Which model to serve, and where."""

    model: str
    version: str
    uri: str
    digest: str
    trusted_types: tuple[str, ...] = ()
    allow_pickle: bool = False
    port: int = DEFAULT_PORT
    internal_port: int = DEFAULT_INTERNAL_PORT
    feedback_key: str | None = field(default=None, repr=False)
    payload_log: PayloadLog | None = None
    verification: Verification | None = None
    revision: str = ""  # of the service; without one no split is meant for this server
    split_dir: str = SPLIT_DIR
    server: Server = field(default_factory=Server)


def from_environment(env: Mapping[str, str]) -> Settings:
    """Read the settings. Raises `PermanentError("InvalidEnvironment")` naming the variable."""
    return Settings(
        model=_required(env, environment.MODEL_NAME),
        version=_required(env, environment.MODEL_VERSION),
        uri=_required(env, environment.MODEL_URI),
        digest=_required(env, environment.MODEL_DIGEST),
        trusted_types=_list(env, environment.TRUSTED_TYPES),
        allow_pickle=_boolean(env, environment.ALLOW_PICKLE),
        port=_port(env, environment.PORT, DEFAULT_PORT),
        internal_port=_port(env, environment.INTERNAL_PORT, DEFAULT_INTERNAL_PORT),
        feedback_key=_key(env, environment.FEEDBACK_KEY),
        payload_log=_json(env, environment.PAYLOAD_LOG, PayloadLog),
        verification=_verification(env),
        revision=env.get(environment.REVISION, ""),
        split_dir=env.get(environment.SPLIT_DIR) or SPLIT_DIR,
        server=_json(env, environment.SERVER, Server) or Server(),
    )


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise _invalid(name, "is not set")
    return value


def _key(env: Mapping[str, str], name: str) -> str | None:
    """A secret, so the message does not show it."""
    key = env.get(name) or None
    if key is not None and len(key) < MIN_KEY_CHARACTERS:
        raise _invalid(name, f"must have at least {MIN_KEY_CHARACTERS} characters, got {len(key)}")
    return key


def _verification(env: Mapping[str, str]) -> Verification | None:
    """An empty key is found where keys are read: it must not mean that none is asked for."""
    secret = env.get(environment.VERIFICATION_SECRET)
    return Verification(secret, env.get(environment.PUBLIC_KEY, "")) if secret else None


def _json(env: Mapping[str, str], name: str, kind: type[Struct]) -> Struct | None:
    text = env.get(name)
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise _invalid(name, f"is not what it should be: {error}") from error


def _list(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    text = env.get(name) or "[]"
    try:
        values = json.loads(text)
    except ValueError as error:
        raise _invalid(name, f"is not JSON: {error}") from error
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise _invalid(name, f"must be a JSON list of strings, got {text}")
    return tuple(values)


def _boolean(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name) or "false"
    if text not in BOOLEANS:
        raise _invalid(name, f"must be true or false, got {text!r}")
    return BOOLEANS[text]


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isascii() or not text.isdecimal() or not 0 <= int(text) <= 65535:
        raise _invalid(name, f"must be a port between 0 and 65535, got {text!r}")
    return int(text)


def _invalid(name: str, problem: str) -> PermanentError:
    return PermanentError("InvalidEnvironment", f"the environment variable {name} {problem}")
