"""Running other programs: always with a time limit, silent unless they fail."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster.errors import CommandFailed

MINUTE_SECONDS = 60.0
TAIL_LINES = 30
LINE_LENGTH = 300


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float = MINUTE_SECONDS,
) -> str:
    """Run a program and return its standard output; `env` is added to our own environment."""
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise CommandFailed(f"{words[0]} is not installed or not on PATH") from error
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"{_title(words)} did not end within {timeout:.0f} s") from error
    if done.returncode != 0:
        raise CommandFailed(_failure(words, done))
    return done.stdout


def succeeds(argv: Sequence[str | Path], *, timeout: float = MINUTE_SECONDS) -> bool:
    """Whether a program can be run and ends well."""
    try:
        run(argv, timeout=timeout)
    except CommandFailed:
        return False
    return True


def find(program: str) -> str | None:
    """The path of an installed program; /sbin counts, as PATH may lack it."""
    return shutil.which(program, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """The last lines of a text, indented for use in a message."""
    return "\n".join(f"    {line[:LINE_LENGTH]}" for line in text.strip().splitlines()[-lines:])


def _failure(words: Sequence[str], done: subprocess.CompletedProcess[str]) -> str:
    said = tail(done.stderr.strip() or done.stdout)
    return f"{_title(words)} failed with exit code {done.returncode}:\n{said}"


def _title(words: Sequence[str]) -> str:
    line = " ".join(words)
    return line if len(line) <= 120 else line[:117] + "..."
