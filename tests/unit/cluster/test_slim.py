"""Libraries without debug information: smaller, and the loader finds nothing missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop.loop

from images.runtime import slim


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """One that comes with its debug information, most of the file."""
    assert uvloop.loop.__file__ is not None
    return Path(shutil.copy2(uvloop.loop.__file__, tmp_path))


def load(path: Path) -> str:
    code = (
        "import importlib.util as u, sys; s = u.spec_from_file_location('uvloop.loop', sys.argv[1]);"
        "m = u.module_from_spec(s); s.loader.exec_module(m); l = m.Loop(); l.call_soon(l.stop); l.run_forever();"
        "l.close(); print('runs')"
    )
    return subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True, text=True).stdout


def test_a_library_without_its_debug_information_still_runs(library: Path) -> None:
    before = library.stat().st_size
    slim.strip(library)
    assert library.stat().st_size < before / 4
    assert load(library) == "runs\n"


def test_what_was_stripped_is_left_alone(library: Path) -> None:
    slim.strip(library)
    before = library.stat()
    slim.strip(library)
    assert library.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("content", [b"", b"/* GNU ld script */", b"\x7fELF\x01\x01"])
def test_what_is_no_library_of_64_bits_is_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "libc.so").write_bytes(content)
    slim.strip(tmp_path / "libc.so")
    assert (tmp_path / "libc.so").read_bytes() == content
