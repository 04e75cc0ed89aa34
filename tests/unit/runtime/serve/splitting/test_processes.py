"""Two real servers with a real model."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from mainspring.api.splitting import SNAPSHOT_PATH, SPLIT_KEY, SplitSnapshot
from mainspring_runtime.serve import environment
from tests.unit.runtime.serve import contracts, process
from tests.unit.runtime.serve.artifact import Version
from tests.unit.runtime.serve.process import Server
from tests.unit.runtime.serve.splitting.pods import CANDIDATE, STABLE, split_to
from tests.unit.runtime.serve.test_process import INFER, request

REQUESTS = 300


class Pair:
    """A stable server and a candidate of version 4; half of the requests are split."""

    def __init__(self, version: Version, root: Path, stack: ExitStack) -> None:
        self.candidate = self._start(version, root / CANDIDATE, stack, "4")
        self.candidate.wait_for("ready")
        directory = root / STABLE / "split"
        directory.mkdir(parents=True)
        (directory / SPLIT_KEY).write_bytes(contracts.as_json(split_to(self.candidate.port, weight=50)))
        self.stable = self._start(version, root / STABLE, stack, "3")
        self.stable.wait_for("ready")

    def _start(self, version: Version, root: Path, stack: ExitStack, number: str) -> Server:
        told = {
            environment.MODEL_VERSION: number,
            environment.REVISION: root.name,
            environment.SPLIT_DIR: str(root / "split"),
        }
        return stack.enter_context(process.start(version, root / "work", **told))

    def ask(self, client: httpx.Client) -> Any:
        """The version that answered."""
        answer = client.post(self.stable.url(INFER), json=request())
        assert answer.status_code == 200
        return answer.json()["model_version"]

    def snapshot(self) -> SplitSnapshot:
        return SplitSnapshot.model_validate(httpx.get(self.stable.internal_url(SNAPSHOT_PATH)).json())


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_a_candidate_that_goes_away_under_way_fails_no_request(version: Version, tmp_path: Path, end: str) -> None:
    with ExitStack() as stack, httpx.Client() as client:
        pair = Pair(version, tmp_path, stack)
        before = [pair.ask(client) for _ in range(100)]
        assert {number: before.count(number) for number in set(before)} == {"3": 50, "4": 50}
        getattr(pair.candidate.process, end)()
        meanwhile = []
        while pair.candidate.process.poll() is None:
            meanwhile.append(pair.ask(client))
        assert {pair.ask(client) for _ in range(REQUESTS)} == {"3"}
        counts = pair.snapshot().stages[0]
        assert counts.candidate.requests + counts.stable.requests == 100 + len(meanwhile) + REQUESTS
        assert REQUESTS / 2 - 50 <= counts.candidate.errors <= (len(meanwhile) + REQUESTS) / 2 + 50
        # What takes longer than a tenth of a second is a timeout, and on a busy machine something does.
        assert set(counts.candidate.failures) <= {"unreachable", "unavailable", "broken", "timeout"}


def test_a_stable_server_that_drains_tells_its_last_counts(version: Version, tmp_path: Path) -> None:
    with ExitStack() as stack, httpx.Client() as client:
        pair = Pair(version, tmp_path, stack)
        assert not pair.snapshot().final
        pair.ask(client)
        pair.stable.terminate()
        pair.stable.wait_for("draining")
        answers = [pair.ask(client)]  # the answer sends its caller away
        client.close()
        pair.stable.wait_for("holding for a last snapshot")
        told = pair.snapshot()
        assert told.final
        assert told.stages[0].candidate.requests + told.stages[0].stable.requests == 1 + len(answers)
        assert told.stages[0].candidate.errors == 0
        assert pair.stable.process.wait(30) == 0
