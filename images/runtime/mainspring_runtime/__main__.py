"""`python -m mainspring_runtime <command>`: run one command and explain how it ended.

A `JobError` becomes a termination message and an exit code. Anything else is a bug of ours: it reaches `sys.excepthook`,
is reported as `InternalError` with its traceback on stderr, and Python itself exits with 1 (`EXIT_RETRYABLE`).
A command is imported only when it is asked for, so the server never loads what only Jobs need.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import NoReturn

from mainspring_runtime import stopping
from mainspring_runtime.errors import JobError, PermanentError, RetryableError

COMMANDS = {
    "prepare": "mainspring_runtime.data.prepare",
    "train": "mainspring_runtime.train.command",
    "fetch": "mainspring_runtime.train.command",
    "publish": "mainspring_runtime.train.command",
    "check-signing-key": "mainspring_runtime.signing.command",
    "sign": "mainspring_runtime.signing.command",
    "evaluate": "mainspring_runtime.evaluate.command",
    "join": "mainspring_runtime.labels.command",
    "serve": "mainspring_runtime.serve.command",
    "package": "mainspring_runtime.package.command",
}
USAGE = f"usage: python -m mainspring_runtime {{{','.join(COMMANDS)}}} [argument ...]"
EXIT_USAGE = 2


def main(argv: Sequence[str]) -> int:
    """Run `argv[0]` with `main(argv)` of its module; returns the exit code of the process."""
    if not argv or argv[0] not in COMMANDS:
        print(USAGE, file=sys.stderr)
        return EXIT_USAGE
    try:
        importlib.import_module(COMMANDS[argv[0]]).main(list(argv))
    except JobError as error:
        return fail(error)
    except MemoryError:
        return fail(RetryableError("OutOfMemory", "the process ran out of memory; raise spec.resources.limits.memory"))
    return 0


def fail(error: JobError) -> int:
    """Explain the failure on stderr and in the termination message; returns the exit code."""
    # Imported late: the server needs the API types only when it has something to explain.
    from mainspring.api.contract import EXIT_PERMANENT, EXIT_RETRYABLE
    from mainspring_runtime import reporting

    print(f"{error.reason}: {error.message}", *error.details, sep="\n  ", file=sys.stderr, flush=True)
    reporting.finish(reporting.failure(error))
    return EXIT_PERMANENT if isinstance(error, PermanentError) else EXIT_RETRYABLE


def report_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A `sys.excepthook`: what nobody caught."""
    traceback.print_exception(kind, error, trace)
    if issubclass(kind, Exception):
        fail(RetryableError("InternalError", f"{kind.__name__}: {error}"))


def leave(code: int) -> NoReturn:
    """End now: a download, a load or a prediction may go on in a thread that nothing can stop, and Python waits for it."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.excepthook = report_bug
    if sys.argv[1:2] == ["serve"]:  # it answers what it has begun before it ends
        leave(main(sys.argv[1:]))
    stopping.exit_on_sigterm()
    sys.exit(main(sys.argv[1:]))
