"""Where things are kept: one cache for all checkouts, outside any of them.

<cache>/bin/<tool>/<key>/          programs built from source
<cache>/images/                    container image layers
<cache>/clusters/<name>/<profile>/ the state of one cluster
"""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
REPO = PACKAGE.parent.parent


def cache() -> Path:
    """The cache directory of the project for this user."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "mainspring"


def clusters() -> Path:
    """The directory that holds one directory for each cluster."""
    return cache() / "clusters"
