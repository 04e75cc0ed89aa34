"""What one server knows of its model's health, and what it tells whoever watches: the state behind the internal port."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from mainspring_runtime.serve import wire as protocol
from mainspring_runtime.serve.errors import unavailable
from mainspring_runtime.serve.lastword import LastWord
from mainspring_runtime.serve.monitoring import wire
from mainspring_runtime.serve.monitoring.counters import Counters
from mainspring_runtime.serve.monitoring.feedback import Feedback
from mainspring_runtime.serve.monitoring.profile import Profile


@dataclass(frozen=True)
class Watched:
    """All that is there once a model is loaded; without a key there is no feedback, without a log no payloads."""

    reference: wire.Reference
    profile: Profile
    counters: Counters
    feedback: Feedback | None = None
    payloads: Callable[[], wire.PayloadCounts] | None = None


class Monitor:
    """One for each process. `watched` is None while the model loads."""

    def __init__(self) -> None:
        self.watched: Watched | None = None
        # To the microsecond: the epoch. A number, because Prometheus carries it as the value of a series.
        self.started_seconds = round(time.time(), 6)
        self.epoch = f"{self.started_seconds:.6f}"
        self.started = datetime.fromtimestamp(self.started_seconds, UTC).isoformat(timespec="seconds")
        self._last_word = LastWord()

    @property
    def final(self) -> bool:
        """Nobody is answered any more, and counts do not change."""
        return self._last_word.final

    def reference(self) -> bytes:
        """The answer to `GET /monitor/reference`. Raises `RequestError` 503 while the model loads."""
        return protocol.encode(self._loaded().reference)

    def snapshot(self) -> bytes:
        """The answer to `GET /monitor/snapshot`, with everything up to now. Raises `RequestError` 503."""
        watched = self._loaded()
        watched.counters.settle()
        encoded = protocol.encode(self._build(watched))
        self._last_word.heard()
        return encoded

    def _build(self, watched: Watched) -> wire.Snapshot:
        reference, counters, feedback = watched.reference, watched.counters, watched.feedback
        return wire.Snapshot(
            model=reference.model,
            version=reference.version,
            digest=reference.digest,
            epoch=self.epoch,
            started=self.started,
            final=self.final,
            reason=reference.reason,
            rows=counters.rows,
            columns=counters.columns(),
            prediction=counters.prediction(),
            predicted=counters.predicted(),
            feedback=None if feedback is None else feedback.counts,
            other_feedback={} if feedback is None else feedback.others,
            payloads=None if watched.payloads is None else watched.payloads(),
        )

    def _loaded(self) -> Watched:
        if self.watched is None:
            raise unavailable("the model is still being loaded")
        return self.watched

    async def hold(self, seconds: float) -> None:
        """Nothing changes any more: wait for whoever fetches snapshots."""
        await self._last_word.hold(seconds)
