"""Programs that are not ours, each in a virtual environment of its own: what they need may contradict what we need.

An environment is cached by its lock file, outside of any checkout. It is made under another name first and then renamed,
so an interrupted one is never taken for a finished one; scripts in `bin` name the old place, so run modules instead.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

from tests.cluster import hashing, lock, paths
from tests.cluster.progress import say

LOCKS = Path(__file__).parent / "locks"
INSTALL_LIMIT_SECONDS = 900


def python(name: str) -> Path:
    """The interpreter of the environment with what `locks/<name>.lock` lists; made if the cache lacks it."""
    wanted = LOCKS / f"{name}.lock"
    key = hashing.key(wanted.read_text(), platform.python_version(), platform.machine())
    home = paths.cache() / "interop" / key
    if not home.is_dir():
        with lock.held(home.parent / f"{key}.lock", f"installing {name}"):
            if not home.is_dir():
                _install(wanted, home)
    return home / "bin/python"


def _install(wanted: Path, home: Path) -> None:
    say(f"installing {wanted.stem} into an environment of its own")
    partial = home.with_name(f"{home.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    _run(sys.executable, "-m", "venv", str(partial))
    _run(
        str(partial / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(wanted)
    )
    partial.rename(home)


def _run(*command: str) -> None:
    subprocess.run(["nice", "-n", "10", *command], check=True, timeout=INSTALL_LIMIT_SECONDS)
