"""What users read when something is not as it should be, collected over all journeys: they are reviewed as a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class Messages:
    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: set[str] = set()

    def add(self, kind: str, verdict: str, condition: Mapping[str, str]) -> None:
        self.add_line(f"{kind} {verdict} {condition.get('reason')}: {condition.get('message')}")

    def add_line(self, line: str) -> None:
        """Appends at once, so that an interrupted run leaves what it saw."""
        if self._path is None or line in self._seen:
            return
        self._seen.add(line)
        with self._path.open("a") as page:
            page.write(line + "\n")
