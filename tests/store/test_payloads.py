"""The payload log and the join in a real S3 store."""

from __future__ import annotations

from pathlib import Path

import obstore

from mainspring_runtime import payloads, stores
from mainspring_runtime.payloads import MICROSECONDS
from mainspring_runtime.serve.payloads.store_sink import StoreSink
from tests.unit.runtime.data.preparing import Workshop
from tests.unit.runtime.labels.logs import NOON, SOURCE, Lab, Said

DAY = 86_400 * MICROSECONDS
AT_NOON = int(NOON.timestamp() * MICROSECONDS)


def test_logged_predictions_meet_their_labels(bucket: str, tmp_path: Path) -> None:
    lab = Lab(tmp_path, f"s3://{bucket}/team/payloads/churn", Workshop(tmp_path))
    made = lab.data({"a": "yes", "b": "no", "c": "yes"})
    assert lab.join(made).rows == 0
    lab.write(Said("a", "yes", bin=1), Said("b", "yes", bin=1), number=1)
    lab.write(Said("c", "no", second=60), Said(None, "no", second=61), number=2)
    lab.write(Said("a", "no", second=-86_400), number=3)
    report = lab.join(made)
    assert (report.rows, report.covers, report.without_key) == (4, True, 1)
    assert report.feedback.confusion == [[0, 1], [1, 1]]
    assert lab.join(made) == report


def test_old_parts_are_deleted_once(bucket: str) -> None:
    uri = f"s3://{bucket}/team/payloads/churn"
    sink = StoreSink(uri)
    for days in (-31, -30, -1):
        moment = AT_NOON + days * DAY
        sink.put(SOURCE.path(moment, moment, "00ff", 1), b"rows")
    obstore.put(stores.open_store(uri), "2020-01-01/notes.txt", b"mine")
    assert sink.delete_before(AT_NOON - 29 * DAY) == 2
    assert StoreSink(uri).delete_before(AT_NOON - 29 * DAY) == 0
    store = stores.open_store(uri)
    assert len(payloads.between(store, SOURCE, AT_NOON - 40 * DAY, AT_NOON)) == 1
    assert obstore.get(store, "2020-01-01/notes.txt").bytes() == b"mine"
