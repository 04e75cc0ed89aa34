from __future__ import annotations

from pathlib import Path

import obstore
import pytest
from obstore.store import LocalStore, ObjectStore

from mainspring_runtime import payloads
from mainspring_runtime.payloads import Source

DAY = 86_400 * payloads.MICROSECONDS
NOW = 20_000 * DAY  # 2024-10-04
CHURN = Source("churn", "7", "sha256:" + "ab" * 32)
OTHER = Source("churn", "8", "sha256:" + "cd" * 32)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return LocalStore(prefix=tmp_path, mkdir=True)


def put(store: ObjectStore, first: float, last: float, source: Source = CHURN) -> str:
    """A part of rows answered so many days after NOW."""
    path = source.path(int(NOW + first * DAY), int(NOW + last * DAY), "00ff", 1)
    obstore.put(store, path, b"rows")
    return path


def between(store: ObjectStore, since: float, until: float, source: Source = CHURN) -> list[str]:
    found = payloads.between(store, source, int(NOW + since * DAY), int(NOW + until * DAY))
    return [part.path for part in found]


def test_a_path_says_when_and_of_what() -> None:
    assert CHURN.path(NOW, NOW + 5, "00ff", 3) == (
        "2024-10-04/churn/7-abababababab/1728000000000000-1728000000000005-00ff-3.parquet"
    )


def test_parts_that_touch_a_time_are_found_in_order(store: ObjectStore) -> None:
    put(store, -3.0, -2.1)
    across, inside, late = put(store, -2.0, -0.9), put(store, -0.8, -0.7), put(store, -0.2, 0.3)
    put(store, 0.0, 0.1)
    put(store, -0.5, -0.4, OTHER)
    assert between(store, -1.0, 0.0) == [across, inside, late]


def test_a_log_that_is_empty_has_no_parts(store: ObjectStore) -> None:
    assert between(store, -1.0, 0.0) == []
    assert payloads.delete_before(store, NOW) == 0
    assert not payloads.began_by(store, CHURN, NOW)


def test_a_source_began_with_its_first_row(store: ObjectStore) -> None:
    put(store, -9.0, -9.0, OTHER)
    put(store, -1.5, -1.0)
    assert payloads.began_by(store, CHURN, int(NOW - 1.4 * DAY))
    assert not payloads.began_by(store, CHURN, int(NOW - 1.6 * DAY))


def test_old_parts_of_every_source_go_and_nothing_else(store: ObjectStore, tmp_path: Path) -> None:
    put(store, -31.0, -30.5)
    put(store, -31.0, -30.5, OTHER)
    kept = put(store, -30.5, -29.9)
    for stranger in ("2024-01-01/readme.txt", "notes/2024.parquet", f"2024-01-01/{CHURN.directory}/mine.parquet"):
        obstore.put(store, stranger, b"not ours")
    assert payloads.delete_before(store, NOW - 30 * DAY) == 2
    assert payloads.delete_before(store, NOW - 30 * DAY) == 0
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {kept, "2024-01-01/readme.txt", "notes/2024.parquet", f"2024-01-01/{CHURN.directory}/mine.parquet"}
