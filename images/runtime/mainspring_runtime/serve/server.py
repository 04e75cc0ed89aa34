"""The life of the process: ports open at once, the model in a thread, answers until SIGTERM, then the drain."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from mainspring_runtime.errors import RetryableError
from mainspring_runtime.model.signature import Output
from mainspring_runtime.serve import loading, predicting, tables, warming
from mainspring_runtime.serve.batching import Batcher, Observe
from mainspring_runtime.serve.executing import ShortCallsAtOnce
from mainspring_runtime.serve.inference import InferenceApp
from mainspring_runtime.serve.internal import InternalApp
from mainspring_runtime.serve.listener import Listener, bind
from mainspring_runtime.serve.loading import Loaded, Progress
from mainspring_runtime.serve.metadata import encode_metadata
from mainspring_runtime.serve.metrics import ModelInfo, ServerCollector, Tallies, make_registry
from mainspring_runtime.serve.monitoring import compiling
from mainspring_runtime.serve.monitoring.monitor import Monitor, Watched
from mainspring_runtime.serve.monitoring.series import MonitoringCollector
from mainspring_runtime.serve.payloads import compiling as payload_logs
from mainspring_runtime.serve.payloads.log import Log
from mainspring_runtime.serve.predicting import Predicted, Predictor
from mainspring_runtime.serve.served import ServedModel
from mainspring_runtime.serve.settings import INTERNAL_SECONDS, Limits, Settings
from mainspring_runtime.serve.splitting.series import SplittingCollector
from mainspring_runtime.serve.splitting.splitting import Splitting

logger = logging.getLogger(__name__)

MODEL_DIR = "model"


@dataclass(frozen=True)
class Parts:
    """What one server is made of."""

    settings: Settings
    limits: Limits
    tallies: Tallies
    collector: ServerCollector
    monitor: Monitor
    splitting: Splitting
    app: InferenceApp
    public: Listener
    internal: Listener
    executor: ThreadPoolExecutor  # one thread: it loads, then predicts


def assemble(settings: Settings, limits: Limits) -> Parts:
    """Open both ports and put the parts together; nothing runs yet."""
    tallies = Tallies()
    collector = ServerCollector(settings.model, settings.version, tallies)
    monitor = Monitor()
    splitting = Splitting(settings.revision, settings.split_dir, monitor.epoch, tallies, limits)
    named = settings.model, settings.version
    registry = make_registry(collector, MonitoringCollector(*named, monitor), SplittingCollector(*named, splitting))
    app = InferenceApp(settings, limits, tallies, splitting)
    internal = replace(limits, request_seconds=INTERNAL_SECONDS)
    return Parts(
        settings=settings,
        limits=limits,
        tallies=tallies,
        collector=collector,
        monitor=monitor,
        splitting=splitting,
        app=app,
        public=Listener(app.router, bind(settings.port), limits),
        internal=Listener(
            InternalApp(registry, monitor, splitting, tallies.load).router, bind(settings.internal_port), internal
        ),
        executor=ThreadPoolExecutor(1, thread_name_prefix="predict"),
    )


async def serve(settings: Settings, limits: Limits, work_dir: Path, threads: int) -> None:
    """Serve until SIGTERM or SIGINT. When it returns or raises, threads may still be at work that nothing can stop.

    Raises what loading raises, and `RetryableError`: LoadTimedOut, or PredictionStuck when a prediction did not end.
    """
    stop = _stop_on_signals()
    parts = assemble(settings, limits)
    listening = [asyncio.create_task(listener.listen()) for listener in (parts.public, parts.internal)]
    splitting = asyncio.create_task(parts.splitting.watch())
    logger.info("listening on ports %d (inference) and %d (internal)", parts.public.port, parts.internal.port)
    try:
        await _load_and_answer(parts, stop, work_dir / MODEL_DIR, threads)
    finally:
        # The internal port is the last to go: the counters can be read to the end, when no request changes them.
        await _end(parts.public, listening[0])
        splitting.cancel()
        parts.splitting.close()
        await _flush(parts)
        await asyncio.gather(*(counts.hold(limits.final_seconds) for counts in (parts.monitor, parts.splitting)))
        await _end(parts.internal, listening[1])
    if (stuck := parts.app.stuck) is not None:
        remedy = "the model hangs on some input, or spec.server.requestTimeout is too short for it"
        raise RetryableError("PredictionStuck", f"{stuck}: {remedy}")


async def _end(listener: Listener, task: asyncio.Task[None]) -> None:
    listener.stop()
    await task


async def _load_and_answer(parts: Parts, stop: asyncio.Event, directory: Path, threads: int) -> None:
    progress = Progress()
    preparing = asyncio.create_task(_prepare(parts, progress, directory, threads))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((preparing, stopped), timeout=parts.limits.load_seconds, return_when=asyncio.FIRST_COMPLETED)
    if not preparing.done():
        preparing.cancel()
        if stop.is_set():
            return
        stopped.cancel()
        raise progress.timed_out(parts.limits.load_seconds)
    start_answering(parts, preparing.result())
    await stopped
    await _drain(parts)


async def _prepare(parts: Parts, progress: Progress, directory: Path, threads: int) -> Compiled:
    loop, settings = asyncio.get_running_loop(), parts.settings
    loaded = await loop.run_in_executor(parts.executor, loading.load, settings, directory, threads, progress)
    compiled = compile_model(parts, loaded)
    if settings.server.warmup and loaded.sample is not None:
        progress.stage = "answering requests with the version's own sample"
        await warming.warm_up(settings, parts.limits, compiled.served, loaded.predictor.signature, loaded.sample)
    return compiled


@dataclass(frozen=True)
class Compiled:
    """A model with everything around it, ready to answer."""

    served: ServedModel
    watched: Watched
    info: ModelInfo


def compile_model(parts: Parts, loaded: Loaded) -> Compiled:
    """Everything that is made once for a model."""
    predictor, settings = loaded.predictor, parts.settings
    schema = tables.compile_schema(predictor.signature)
    watched, tokens = compiling.compile_monitoring(settings, predictor.signature, loaded.profile, schema)
    signature = predictor.signature
    if tokens is not None:
        signature = replace(signature, outputs=(*signature.outputs, Output(tokens.name, "BYTES", (-1,))))
    log, payloads = payload_logs.compile_log(settings, parts.limits, predictor.signature, loaded.profile, schema)
    needed = (*watched.counters.outputs, *(log.outputs if log is not None else ()))
    predict = predicting.make_predict(predictor, schema, needed, tokens)
    observe = _observers(watched.counters.observe, log)
    served = ServedModel(
        name=settings.model,
        version=settings.version,
        schema=schema,
        default_outputs=tuple(signature.default_outputs),
        outputs=frozenset(signature.output_names),
        batcher=Batcher(predict, _executor(parts, predictor), parts.limits, parts.tallies, observe=observe),
        metadata=encode_metadata(settings, signature, predictor.platform),
        feedback=watched.feedback,
        log=log,
    )
    info = ModelInfo(predictor.path, predictor.fallback_reason or "")
    return Compiled(served, replace(watched, payloads=payloads), info)


def start_answering(parts: Parts, compiled: Compiled) -> None:
    """From here on the server is ready."""
    parts.monitor.watched = compiled.watched
    parts.collector.info = compiled.info
    if compiled.served.log is not None:
        compiled.served.log.start()
    parts.splitting.outputs = compiled.served.default_outputs
    parts.app.model = compiled.served
    # The model stays for good: without it, a full collection has little to walk through between two requests.
    gc.collect()
    gc.freeze()
    logger.info("ready")


def _executor(parts: Parts, predictor: Predictor) -> Executor:
    return ShortCallsAtOnce(parts.executor) if predictor.only_computes else parts.executor


def _observers(count: Observe, log: Log | None) -> Observe:
    if log is None:
        return count

    def both(predicted: Predicted, answered: Sequence[bool]) -> None:
        count(predicted, answered)
        log.observe(predicted, answered)

    return both


async def _flush(parts: Parts) -> None:
    model = parts.app.model
    if model is not None and model.log is not None:
        await model.log.close(parts.limits.flush_seconds)


async def _drain(parts: Parts) -> None:
    started = time.monotonic()
    logger.info("draining")
    parts.app.draining = True
    parts.splitting.drain()
    await parts.public.drain()
    logger.info("drained in %.1f s", time.monotonic() - started)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
