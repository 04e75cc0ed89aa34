"""`wrk` as the client of every server: one thread, on a core of its own; what it says is read by `parse`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.serving import machine
from tests.cluster import command

CONNECTIONS = 16
GRACE_SECONDS = 60.0
MARK = "measured "
SCRIPT = """
local file = io.open({path}, "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
file:close()
{headers}
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{mark}{{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d}}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
"""


class NotAnswered(Exception):
    """Some requests failed: their figures would say nothing."""


@dataclass(frozen=True)
class Request:
    """What is sent again and again."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


@dataclass(frozen=True)
class Answers:
    """What came of it."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def run(url: str, request: Request, seconds: int, connections: int = CONNECTIONS) -> Answers:
    """Keep so many connections busy. Raises `NotAnswered` for anything but 2xx."""
    with tempfile.TemporaryDirectory() as directory:
        body, lua = Path(directory, "body"), Path(directory, "script.lua")
        body.write_bytes(request.body)
        lua.write_text(script(body, request.headers))
        words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(lua), url]
        return parse(command.run(machine.pinned(words, machine.cores()[1]), timeout=seconds + GRACE_SECONDS))


def script(body: Path, headers: Mapping[str, str]) -> str:
    """Lua, with the body in a file: it may hold any bytes."""
    lines = [f"wrk.headers[{quoted(name)}] = {quoted(value)}" for name, value in headers.items()]
    return SCRIPT.format(path=quoted(str(body)), headers="\n".join(lines), mark=MARK)


def quoted(text: str) -> str:
    return json.dumps(text)


def parse(output: str) -> Answers:
    """The figures in what `wrk` printed. Raises `NotAnswered` when a request failed, or there was none."""
    line = next((line for line in output.splitlines() if line.startswith(MARK)), None)
    if line is None:
        raise NotAnswered(f"wrk ended without figures:\n{output}")
    found = json.loads(line.removeprefix(MARK))
    if found["refused"] or found["broken"] or not found["requests"]:
        raise NotAnswered(
            f"{found['refused']} of {found['requests']} answers were errors, {found['broken']} connections failed"
        )
    return Answers(found["requests"], found["microseconds"] / 1e6, found["p50"] / 1e3, found["p99"] / 1e3)
