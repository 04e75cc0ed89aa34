"""Where a benchmark keeps its files, and the report that it leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster.progress import say


def below(root: Path, name: str) -> Path:
    """A new directory in `root`."""
    directory = root / name
    directory.mkdir()
    return directory


def write(path: Path, content: Mapping[str, Any]) -> None:
    """As JSON that a person can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    say(f"wrote {path}")
