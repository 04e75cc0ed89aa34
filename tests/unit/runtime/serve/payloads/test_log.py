"""A whole server with a payload log, into a store that a test holds in its hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mainspring_runtime.serve.monitoring.profile import Profile
from mainspring_runtime.serve.payloads import compiling, log
from mainspring_runtime.serve.settings import PayloadLog
from tests.unit.runtime.serve import fakes
from tests.unit.runtime.serve.monitoring import watching
from tests.unit.runtime.serve.monitoring.watching import Watching
from tests.unit.runtime.serve.payloads.sinks import Memory

EVERYTHING = PayloadLog("file:///nowhere", sample_rate=1.0)
AT_ONCE = PayloadLog("file:///nowhere", sample_rate=1.0, part_rows=1)


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Memory:
    found = Memory()
    monkeypatch.setattr(compiling, "StoreSink", lambda uri: found)
    monkeypatch.setattr(log, "PAUSE_SECONDS", (0.0, 0.0))
    return found


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return watching.read_profile(tmp_path, watching.trained_profile())


@asynccontextmanager
async def logging(
    profile: Profile, wanted: PayloadLog, limit: int = fakes.LIMITS.payload_bytes
) -> AsyncIterator[Watching]:
    limits = replace(fakes.LIMITS, payload_bytes=limit)
    async with watching.serving(profile, watching.KEY, limits, payload_log=wanted) as served:
        yield served
        await close(served)


async def close(served: Watching, seconds: float = 30.0) -> bool:
    model = served.parts.app.model
    assert model is not None
    return model.log is None or await model.log.close(seconds)


async def ask(served: Watching, columns: Mapping[str, list[Any]], request: str | None, **keys: Any) -> None:
    (await served.infer(columns, request=request, **keys)).raise_for_status()


async def test_a_part_has_what_was_asked_and_answered(sink: Memory, profile: Profile) -> None:
    async with logging(profile, EVERYTHING) as served:
        before = datetime.now(UTC)
        await ask(served, {**watching.rows(4.0, 16.0), "stage": ["I", None]}, "order-1", patient=[17, None])
        await ask(served, watching.rows(18.0), "order-2")
    first, second, third = sink.rows()
    time = first.pop("mainspring_time")
    assert before.replace(microsecond=0) <= time <= datetime.now(UTC)
    assert first == {
        "mainspring_request": "order-1",
        "mainspring_row": 0,
        "mainspring_model": "tumours",
        "mainspring_version": "3",
        "mainspring_key": "17",
        "mainspring_prediction": "B",
        "mainspring_score": 0.2,
        "mainspring_bin": first["mainspring_bin"],
        "radius": 4.0,
        "age": None,
        "smoker": None,
        "visits": 1,
        "insured": True,
        "stage": "I",
        "site": "here",
        "seen": None,
    }
    assert (second["mainspring_row"], second["mainspring_key"], second["stage"]) == (1, None, None)
    assert second["mainspring_bin"] > first["mainspring_bin"]
    assert (third["mainspring_request"], third["mainspring_row"]) == ("order-2", 0)


async def test_the_bin_is_the_one_that_feedback_is_counted_in(sink: Memory, profile: Profile) -> None:
    async with logging(profile, EVERYTHING) as served:
        await ask(served, watching.rows(7.0), "order-1")
        (token,) = await served.tokens(7.0)
        await served.public.post(watching.FEEDBACK, json={"token": token, "label": "M"})
        counted = (await served.snapshot()).feedback
    assert counted is not None
    assert counted.score_rows is not None
    assert counted.score_rows.index(1) == sink.rows()[0]["mainspring_bin"]


async def test_what_is_redacted_is_not_written(sink: Memory, profile: Profile) -> None:
    async with logging(profile, PayloadLog("", 1.0, redact=("site", "patient"))) as served:
        await ask(served, watching.rows(1.0), "order-1", patient=["secret"])
    _, table = sink.next()
    assert "site" not in table.column_names
    assert table["mainspring_key"].to_pylist() == [None]


async def test_a_name_to_redact_that_is_no_input_stops_the_log(sink: Memory, profile: Profile) -> None:
    """It may be a misspelt one, and then the column that was meant would be written."""
    async with logging(profile, PayloadLog("", 1.0, redact=("sight",))) as served:
        await ask(served, watching.rows(1.0), "order-1")
        told = (await served.snapshot()).payloads
        assert 'reason="spec.payloadLog.redact names sight' in await served.metrics()
    assert told is not None
    assert told.reason is not None
    assert "sight" in told.reason
    assert sink.parts.empty()


async def test_requests_that_were_not_chosen_are_not_logged(sink: Memory, profile: Profile) -> None:
    async with logging(profile, PayloadLog("", 0.5)) as served:
        for number in range(40):
            await ask(served, watching.rows(1.0), f"order-{number}")
    logged = {row["mainspring_request"] for row in sink.rows()}
    assert 0 < len(logged) < 40


async def test_requests_that_got_no_prediction_are_not_logged(sink: Memory, profile: Profile) -> None:
    async with logging(profile, EVERYTHING) as served:
        assert (await served.infer(watching.rows(666.0), request="broken")).status_code == 400
        await ask(served, watching.rows(1.0), "order-1")
    assert [row["mainspring_request"] for row in sink.rows()] == ["order-1"]


async def test_a_part_is_written_when_it_has_its_rows(sink: Memory, profile: Profile) -> None:
    async with logging(profile, PayloadLog("", 1.0, part_rows=2)) as served:
        await ask(served, watching.rows(1.0), "order-1")
        await ask(served, watching.rows(2.0), "order-2")
        path, table = sink.next()
        assert table.num_rows == 2
    assert path.split("/")[1:3] == ["tumours", "3-000000000000"]


async def test_a_part_is_written_when_it_is_old(sink: Memory, profile: Profile) -> None:
    async with logging(profile, PayloadLog("", 1.0, part_seconds=0.0)) as served:
        await ask(served, watching.rows(1.0), "order-1")
        assert sink.next()[1].num_rows == 1


async def test_parts_that_are_too_old_are_deleted(sink: Memory, profile: Profile) -> None:
    async with logging(profile, PayloadLog("", 1.0, keep_seconds=3600.0)):
        moment = sink.deleted_before.get(timeout=30.0)
    assert abs(moment / 1e6 - (datetime.now(UTC).timestamp() - 3600)) < 60


async def test_a_store_that_hangs_delays_nobody_and_takes_a_bounded_memory(sink: Memory, profile: Profile) -> None:
    sink.open.clear()
    async with logging(profile, AT_ONCE, limit=20_000) as served:
        await ask(served, watching.rows(1.0), "first")
        assert sink.entered.wait(30.0)
        for number in range(100):
            await ask(served, watching.rows(1.0), f"order-{number}")
        told = (await served.snapshot()).payloads
        assert told is not None
        assert told.written == 0
        assert 0 < told.dropped < 101
        assert served.parts.app.model is not None
        assert served.parts.app.model.log is not None
        assert not await close(served, seconds=0.0)
        dropped = f'mainspring_payload_rows_total{{model="tumours",outcome="dropped",version="3"}} {told.dropped}.0'
        assert dropped in await served.metrics()
        sink.open.set()
    assert sink.parts.qsize() + told.dropped == 101


async def test_a_part_that_was_not_written_is_tried_again(sink: Memory, profile: Profile) -> None:
    sink.broken = 3
    async with logging(profile, AT_ONCE) as served:
        await ask(served, watching.rows(1.0), "order-1")
        assert sink.next()[1].num_rows == 1
        assert await close(served)
        told = (await served.snapshot()).payloads
    assert told is not None
    assert (told.written, told.dropped, told.parts, told.failures) == (1, 0, 1, 3)


async def test_what_cannot_be_written_at_the_end_is_counted_as_dropped(sink: Memory, profile: Profile) -> None:
    sink.broken = 1_000_000
    async with logging(profile, EVERYTHING) as served:
        await ask(served, watching.rows(1.0, 2.0), "order-1")
        assert await close(served)
        told = (await served.snapshot()).payloads
    assert told is not None
    assert (told.written, told.dropped) == (0, 2)


async def test_a_model_without_a_profile_is_logged_all_the_same(sink: Memory) -> None:
    async with logging(Profile(reason="none"), EVERYTHING) as served:
        await ask(served, watching.rows(1.0), "order-1")
    (row,) = sink.rows()
    assert row["mainspring_prediction"] == "B"
    assert "mainspring_score" not in row
