"""Two servers and a caller on real sockets, in the event loop that production uses: a stable pod, and whatever is asked to be a candidate."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httptools
import numpy as np
import uvloop

from mainspring.api.contract import as_json
from mainspring.api.splitting import ArmCounts, Split, SplitSnapshot, StageCounts
from mainspring_runtime.serve.executing import ShortCallsAtOnce
from mainspring_runtime.serve.http import Request, Response, Route, Router
from mainspring_runtime.serve.inference import InferenceApp
from mainspring_runtime.serve.listener import Listener, bind
from mainspring_runtime.serve.metrics import Tallies
from mainspring_runtime.serve.settings import Limits
from mainspring_runtime.serve.splitting.splitting import Splitting
from mainspring_runtime.serve.tensors import Array
from tests.unit.runtime.serve.fakes import LIMITS, SETTINGS, SumPredictor, served_model

STABLE, CANDIDATE = "tumours-old", "tumours-new"
INFER = "/v2/models/tumours/infer"
PREDICT = "/v1/models/tumours:predict"
PATIENCE_SECONDS = 60
# A request timeout. Half of it, which is the candidate's, is soon over; no busy machine stands still for so long.
BRIEF_SECONDS = 2.0


class Shifted(SumPredictor):
    """Adds something to each answer, so that one sees whose it is; `of` says to which rows, by the first number."""

    def __init__(self, shift: float, of: Callable[[Array], Array] | None = None) -> None:
        super().__init__()
        self._shift = shift
        self._of = of

    def predict(self, columns: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        chosen = np.ones(len(columns["radius"])) if self._of is None else self._of(columns["radius"])
        found = super().predict(columns, outputs)
        return {
            name: values + self._shift * chosen.reshape(-1, *[1] * (values.ndim - 1)) for name, values in found.items()
        }


class Pod:
    """A model server on a port. It applies what `apply` writes, at once."""

    def __init__(
        self, directory: Path, revision: str, predictor: SumPredictor, limits: Limits, thread: ThreadPoolExecutor
    ) -> None:
        self.directory = directory
        self.predictor = predictor
        self.tallies = Tallies()
        self.splitting = Splitting(revision, str(directory), "1.0", self.tallies, limits)
        settings = replace(SETTINGS, revision=revision)
        self.app = InferenceApp(settings, limits, self.tallies, self.splitting)
        self.app.model = served_model(predictor, ShortCallsAtOnce(thread), limits, self.tallies)
        self.splitting.outputs = self.app.model.default_outputs
        self.listener = Listener(self.app.router, bind(0), limits)

    @property
    def port(self) -> int:
        return self.listener.port

    def write(self, content: bytes) -> None:
        """As the kubelet does: another file in its place."""
        new = self.directory / "new"
        new.write_bytes(content)
        new.rename(self.directory / "split.json")

    def apply(self, split: Split | None) -> None:
        if split is None:
            (self.directory / "split.json").unlink()
        else:
            self.write(as_json(split).encode())
        self.splitting.look()

    def snapshot(self) -> SplitSnapshot:
        return SplitSnapshot.model_validate_json(self.splitting.snapshot())

    @property
    def counts(self) -> StageCounts:
        """Of the newest stage."""
        return self.snapshot().stages[-1]


class Scripted:
    """A candidate that answers as it is told, and remembers what it was asked."""

    def __init__(self, answer: Callable[[Request], Response | None]) -> None:
        self.asked: list[Request] = []
        self._answer = answer
        routes = {path: Route("POST", self._take, LIMITS.body_bytes, True) for path in (INFER, PREDICT)}
        self.listener = Listener(Router(routes, "this is a test"), bind(0), LIMITS)

    @property
    def port(self) -> int:
        return self.listener.port

    def _take(self, request: Request) -> Response | None:
        self.asked.append(request)
        return self._answer(request)


class Answer:
    """Parses one response."""

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.complete = False
        self.parser = httptools.HttpResponseParser(self)

    @property
    def status(self) -> int:
        return int(self.parser.get_status_code())

    @property
    def value(self) -> float:
        """The first one of the first output."""
        return float(json.loads(self.body)["outputs"][0]["data"][0])

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name] = value

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


@dataclass
class Caller:
    """One connection, which is opened anew when the server closes it."""

    port: int
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None

    async def post(self, body: bytes, path: str = INFER, **headers: str) -> Answer:
        """Header names with `_` for `-`."""
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        await self.send(
            f"POST {path} HTTP/1.1\r\nhost: x\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body
        )
        return await self.receive()

    async def send(self, content: bytes) -> None:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(content)

    async def receive(self) -> Answer:
        assert self.reader is not None
        answer = Answer()
        while not answer.complete:
            data = await self.reader.read(1 << 20)
            assert data, "the server closed the connection without an answer"
            answer.parser.feed_data(data)
        if answer.headers.get(b"connection") == b"close":
            await self.close()
        return answer

    async def ask(self, *values: float, **headers: str) -> Answer:
        return await self.post(rows(values or (1.0,)), **headers)

    async def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def rows(values: Iterable[float], **rest: Any) -> bytes:
    """A v2 request of a row for each."""
    data = [number for value in values for number in (value, 0.0)]
    tensor = {"name": "x", "shape": [len(data) // 2, 2], "datatype": "FP64", "data": data}
    return json.dumps({"inputs": [tensor], **rest}).encode()


class Scene:
    """The pods of one test."""

    def __init__(self, root: Path, stack: AsyncExitStack) -> None:
        self._root = root
        self._stack = stack
        self._thread = stack.enter_context(ThreadPoolExecutor(1))

    async def pod(
        self, name: str, predictor: SumPredictor | None = None, revision: str | None = None, **limits: Any
    ) -> Pod:
        directory = self._root / name
        directory.mkdir()
        found = replace(LIMITS, **{"linger_seconds": 0.2, **limits})
        pod = Pod(directory, name if revision is None else revision, predictor or SumPredictor(), found, self._thread)
        self._stack.callback(pod.splitting.close)
        await self.listen(pod.listener)
        return pod

    async def scripted(self, answer: Callable[[Request], Response | None]) -> Scripted:
        found = Scripted(answer)
        await self.listen(found.listener)
        return found

    async def listen(self, listener: Listener) -> None:
        listening = asyncio.create_task(listener.listen())
        await listener.started.wait()

        async def end() -> None:
            listener.stop()
            await listening

        self._stack.push_async_callback(end)

    def later(self, end: Callable[[], object]) -> None:
        """At the end of the test."""
        self._stack.callback(end)

    def caller(self, pod: Pod) -> Caller:
        found = Caller(pod.port)
        self._stack.push_async_callback(found.close)
        return found

    async def both(self, weight: int = 100, shift: float = 1000.0, **split: Any) -> tuple[Pod, Pod]:
        """A stable pod that splits, and a candidate whose answers are so much higher."""
        candidate = await self.pod(CANDIDATE, Shifted(shift))
        stable = await self.pod(STABLE)
        stable.apply(split_to(candidate.port, weight=weight, **split))
        return stable, candidate


def split_to(port: int, **fields: Any) -> Split:
    defaults = {"revision": STABLE, "rollout": "r1", "host": "127.0.0.1", "candidate_revision": CANDIDATE}
    return Split.model_validate({**defaults, "port": port, **fields})


def total(counts: ArmCounts) -> tuple[int, int]:
    """Requests and errors."""
    return counts.requests, counts.errors


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until it is so; the scene has a deadline."""
    while not condition():  # noqa: ASYNC110 - what is waited for is the state of somebody else's sockets
        await asyncio.sleep(0)


def play(root: Path, scenario: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), AsyncExitStack() as stack:
            await scenario(Scene(root, stack))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
