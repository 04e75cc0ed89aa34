"""`kubectl port-forward` for the time of a `with` block."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.errors import CommandFailed
from tests.demo import release


@contextmanager
def port_forward(namespace: str, target: str, port: int) -> Iterator[str]:
    """The local base URL of a pod's or service's port; kubectl chooses a free local port and says which."""
    words = [release.kubectl_path(), "port-forward", "-n", namespace, target, f":{port}"]
    with subprocess.Popen(
        words, env=release.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            if not found:
                process.terminate()
                raise CommandFailed(f"{' '.join(words)}: {process.stderr.read() if process.stderr else line}")
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            process.terminate()
