"""What one server does with requests while its service rolls something out: read from a file, told on the internal port.

The pods of the revision that the file names apply it, all others leave it alone. Counts are kept by stage for as long as
the file speaks of the same rollout, and after it speaks of none, so that the last of them can be read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

from mainspring_runtime.serve import wire as protocol
from mainspring_runtime.serve.http import Response
from mainspring_runtime.serve.lastword import LastWord
from mainspring_runtime.serve.metrics import Tallies
from mainspring_runtime.serve.predicting import Outputs
from mainspring_runtime.serve.settings import Limits
from mainspring_runtime.serve.splitting import messages, wire
from mainspring_runtime.serve.splitting.budget import Budget
from mainspring_runtime.serve.splitting.division import Division, Lane
from mainspring_runtime.serve.splitting.file import SplitFile
from mainspring_runtime.serve.splitting.mirror import Mirror
from mainspring_runtime.serve.splitting.tallies import SplitTallies
from mainspring_runtime.serve.splitting.wire import Split, StageCounts

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
MOST_CONNECTIONS = 64  # to the candidate, besides those for copies
MOST_STAGES = 256  # the oldest are forgotten first


class Splitting:
    """One for each process. `division` is None while there is nothing to split. Use from the event loop only."""

    def __init__(self, revision: str, directory: str, epoch: str, tallies: Tallies, limits: Limits) -> None:
        self.division: Division | None = None
        self.tallies = SplitTallies()
        self.outputs: Outputs = ()  # the model's default ones, when it is loaded
        self._last_word = LastWord()
        self._revision = revision
        self._epoch = epoch
        self._limits = limits
        self._budget = Budget(tallies.request_seconds, limits.request_seconds)
        self._file = SplitFile(directory)
        self._rollout = ""
        self._stages: dict[int, StageCounts] = {}
        self._leaving: list[Division] = []  # those under way still get their answers

    # What it applies.

    async def watch(self) -> None:
        """Look at the file, and tidy up, until cancelled."""
        while True:
            self.look()
            self._budget.renew()
            for division in self._divisions():
                division.lane.pool.sweep()
                division.mirror.pool.sweep()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Apply what the file says now."""
        before = self._file.reason
        if self._file.look():
            self._apply(self._wanted())
        if self._file.reason is not None and self._file.reason != before:
            logger.warning("%s; what was applied before stays", self._file.reason)

    def _wanted(self) -> Split | None:
        """What the file says, if it is meant for this pod."""
        split = self._file.split
        return split if split is not None and self._revision and split.revision == self._revision else None

    def _apply(self, split: Split | None) -> None:
        former = self.division
        if split is None:
            self.division = None
            if former is not None:
                logger.info("requests are split no more")
        else:
            self.division = self._divide(split, former)
            shares = f"{split.weight} % of requests, copies of {split.mirror} % of the others"
            logger.info("revision %s gets %s (%s)", split.candidate_revision, shares, split.rollout)
        if former is not None and (self.division is None or self.division.lane is not former.lane):
            former.lane.pool.close()
            former.mirror.pool.close()
            self._leaving = [division for division in self._leaving if division.is_busy] + [former]

    def _divide(self, split: Split, former: Division | None) -> Division:
        """Within a rollout the connections stay, and what was learnt of the candidate."""
        counts = self._stage(split)
        if former is not None and _way(former.split) == _way(split):
            lane, mirror = former.lane, former.mirror
        else:
            lane = Lane(split, MOST_CONNECTIONS)
            mirror = Mirror(split, self._limits.request_seconds, lambda: self.outputs)
        return Division(split, counts, lane, mirror, self._budget, self.tallies)

    def _stage(self, split: Split) -> StageCounts:
        if split.rollout != self._rollout:
            self._rollout, self._stages = split.rollout, {}
        counts = self._stages.setdefault(split.stage, StageCounts(split.stage))
        while len(self._stages) > MOST_STAGES:
            self._stages.pop(min(self._stages))
        return counts

    def _divisions(self) -> Iterator[Division]:
        if self.division is not None:
            yield self.division
        yield from self._leaving

    # What it tells.

    def note_copy(self, response: Response, seconds: float) -> Response:
        """Of a request that another pod mirrors to this one."""
        self.tallies.shadow[response.status] += 1
        return messages.tell_seconds(response, seconds)

    def snapshot(self) -> bytes:
        """The answer to `GET /split/snapshot`."""
        self._last_word.heard()
        return protocol.encode(
            wire.SplitSnapshot(
                revision=self._revision,
                epoch=self._epoch,
                final=self._last_word.final,
                applied=self._file.digest,
                reason=self._file.reason,
                rollout=self._rollout,
                stages=self.stages,
            )
        )

    @property
    def reason(self) -> str | None:
        """Why what is there is not applied."""
        return self._file.reason

    @property
    def stages(self) -> list[StageCounts]:
        return list(self._stages.values())

    # How it ends.

    def drain(self) -> None:
        """From now on forwarded requests have to be quick: the pod's own answer must come before it ends."""
        self._budget.hurry()

    async def hold(self, seconds: float) -> None:
        """Nothing changes any more: wait for whoever fetches snapshots."""
        await self._last_word.hold(seconds)

    def close(self) -> None:
        """Nobody is answered any more."""
        for division in self._divisions():
            division.lane.pool.abort()
            division.mirror.pool.abort()


def _way(split: Split) -> tuple[object, ...]:
    """While these are the same, so is what is at the other end, and how it is compared."""
    return split.host, split.port, split.candidate_revision, split.rollout, split.tolerance
