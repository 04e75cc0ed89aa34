"""The command of the operator's container."""

from __future__ import annotations

import gc
import logging
import os
import sys

import uvloop

from mainspring.plan.common import settings
from mainspring.wiring import process

# Allocations between two runs of Python's garbage collector; with its default it runs a few times for each event.
GC_ALLOCATIONS = 20_000


def main() -> int:
    logging.basicConfig(
        level=os.environ.get("MAINSPRING_LOG_LEVEL", "INFO").upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    # kopf tells every handler call; one line per reconcile that changed something is ours.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        found = settings.from_env(os.environ)
    except settings.SettingsError as error:
        print(f"mainspring: {error}", file=sys.stderr)
        return 2
    gc.freeze()  # what was imported lives as long as the process
    gc.set_threshold(GC_ALLOCATIONS)
    uvloop.run(process.run(found, int(os.environ.get("MAINSPRING_PROBES_PORT", "8080"))))
    return 0
