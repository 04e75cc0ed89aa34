"""A Job that is told to go is gone at once, whatever it is busy with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from mainspring_runtime import stopping

# One step of Python that takes minutes, as the fit of a model does.
BUSY = "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"
IDLE = "import threading; threading.Event().wait()"
SECONDS = 20.0


@pytest.mark.parametrize("work", [BUSY, IDLE])
def test_sigterm_ends_a_job_at_once(work: str) -> None:
    script = f"from mainspring_runtime import stopping; stopping.exit_on_sigterm(); print('begun', flush=True); {work}"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            os.kill(process.pid, signal.SIGTERM)
            assert process.wait(SECONDS) == stopping.EXIT_TERMINATED
        finally:
            process.kill()


def test_other_signals_do_not_end_it() -> None:
    script = (
        "import os, signal; from mainspring_runtime import stopping; stopping.exit_on_sigterm();"
        "signal.signal(signal.SIGUSR1, lambda *_: print('still here', flush=True));"
        "os.kill(os.getpid(), signal.SIGUSR1)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stdout) == (0, "still here\n")
