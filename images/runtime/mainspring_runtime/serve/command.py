"""`python -m mainspring_runtime serve`: told by its environment, see `environment`; a failure is explained by `__main__`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mainspring_runtime.serve import cpu, settings

WORK_DIR = Path("/work")
# How long the event loop waits for a thread that computes in Python: a part of the payload log, a model without ONNX.
SWITCH_SECONDS = 0.0005


def main(argv: Sequence[str]) -> None:
    """Serve until SIGTERM. Raises `JobError` when the model cannot be served."""
    arguments = _parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    configuration = settings.from_environment(os.environ)
    limits = configuration.server.limits(settings.Limits())
    threads = cpu.thread_count()
    cpu.limit_threads(threads)
    sys.setswitchinterval(SWITCH_SECONDS)
    # Imported late: the numeric libraries read the thread limit when they are imported.
    import uvloop

    from mainspring_runtime.serve import server

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve(configuration, limits, arguments.work_dir, threads))


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=argv[0], description="Serve one model version; everything else comes from the environment."
    )
    parser.add_argument(
        "--work-dir", type=Path, default=WORK_DIR, help="where the model is downloaded to (default: %(default)s)"
    )
    return parser.parse_args(argv[1:])
