"""The command of the operator's container."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from mainspring.plan.common import settings
from mainspring.wiring import process


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
    asyncio.run(process.run(found, int(os.environ.get("MAINSPRING_PROBES_PORT", "8080"))))
    return 0
