"""Where the parts of a payload log are: who writes them, who reads them, and who deletes them agree on it here.

`<root>/<date>/<model>/<version>-<letters of its digest>/<first>-<last>-<process>-<number>.parquet`

`first` and `last` are when the first and the last row of a part were answered, in microseconds since 1970; the date is
that of the first. So a name alone says whether a part is of a time, or too old, and deleting old parts needs no index,
may be done by any number of processes, and may be interrupted. Imports obstore and nothing heavier.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import obstore
from obstore.store import ObjectStore

MICROSECONDS = 1_000_000
DIGEST_LETTERS = 12
LONGEST_PART = timedelta(days=1)  # a part begins less than so long before its last row
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NAME = re.compile(r"([0-9]{16})-([0-9]{16})-[0-9a-f]+-[0-9]+\.parquet")


@dataclass(frozen=True, order=True)
class Part:
    """One file, by its path below the root. Times in microseconds since 1970."""

    first: int
    last: int
    path: str


@dataclass(frozen=True)
class Source:
    """Whose rows they are: a version of a model, by its digest."""

    model: str
    version: str
    digest: str

    @property
    def directory(self) -> str:
        return f"{self.model}/{self.version}-{self.digest.removeprefix('sha256:')[:DIGEST_LETTERS]}"

    def path(self, first: int, last: int, process: str, number: int) -> str:
        return f"{day(first)}/{self.directory}/{first:016d}-{last:016d}-{process}-{number}.parquet"


def day(moment: int) -> str:
    """The date in UTC of microseconds since 1970."""
    return datetime.fromtimestamp(moment // MICROSECONDS, UTC).date().isoformat()


def between(store: ObjectStore, source: Source, since: int, until: int) -> list[Part]:
    """Parts of the source that may have rows answered in [since, until), by time."""
    first = date.fromisoformat(day(since)) - LONGEST_PART
    dates = [found for found in _dates(store) if first.isoformat() <= found <= day(until)]
    found = [part for name in dates for part in _parts(store, f"{name}/{source.directory}/")]
    return sorted(part for part in found if part.last >= since and part.first < until)


def began_by(store: ObjectStore, source: Source, moment: int) -> bool:
    """Whether the source has rows answered up to then: what follows is all there is, not only what was logged later."""
    dates = sorted((found for found in _dates(store) if found <= day(moment)), reverse=True)
    return any(part.first <= moment for name in dates for part in _parts(store, f"{name}/{source.directory}/"))


def delete_before(store: ObjectStore, moment: int) -> int:
    """Delete the parts, of all sources, that have no row answered later; how many there were.

    What has not the name of a part is left alone. One that somebody else has just deleted is none.
    """
    old = [name for name in _dates(store) if name <= day(moment)]
    return sum(_delete(store, part) for name in old for part in _parts(store, f"{name}/") if part.last < moment)


def _delete(store: ObjectStore, part: Part) -> bool:
    try:
        obstore.delete(store, part.path)
    except FileNotFoundError:
        return False
    return True


def _dates(store: ObjectStore) -> list[str]:
    found = obstore.list_with_delimiter(store)["common_prefixes"]
    return sorted(name for prefix in found if _DATE.fullmatch(name := prefix.strip("/")))


def _parts(store: ObjectStore, prefix: str) -> Iterator[Part]:
    for batch in obstore.list(store, prefix):
        for meta in batch:
            if named := _NAME.fullmatch(meta["path"].rpartition("/")[2]):
                yield Part(int(named[1]), int(named[2]), meta["path"])
