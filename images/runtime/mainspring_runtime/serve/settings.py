"""What one server process is told (by its environment), and the limits it works within."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.serve import environment

DEFAULT_PORT = 8080
DEFAULT_INTERNAL_PORT = 8081
MIN_KEY_CHARACTERS = 16
BOOLEANS = {"true": True, "false": False}


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


class PayloadLog(msgspec.Struct, frozen=True, rename="camel"):
    """What to log of requests and answers: `mainspring.api.contract.PayloadLogSettings`."""

    uri: str
    sample_rate: float
    redact: tuple[str, ...] = ()
    part_seconds: float = 300.0
    part_rows: int = 10_000
    keep_seconds: float = 30 * 86_400.0


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
        payload_log=_payload_log(env, environment.PAYLOAD_LOG),
        verification=_verification(env),
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


def _payload_log(env: Mapping[str, str], name: str) -> PayloadLog | None:
    text = env.get(name)
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=PayloadLog)
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
