"""Mounts: unmounting all below a directory, and removing a directory only when nothing is mounted in it."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from tests.cluster import command
from tests.cluster.errors import ClusterError

_ESCAPED = re.compile(r"\\([0-7]{3})")


def below(directory: Path, mountinfo: str) -> list[Path]:
    """The mount points at or below a directory, deepest first."""
    points = [Path(_unescaped(line.split()[4])) for line in mountinfo.splitlines()]
    inside = [point for point in points if point == directory or directory in point.parents]
    return sorted(inside, key=lambda point: len(point.parts), reverse=True)


def unmount_below(directory: Path) -> None:
    """Unmount everything at or below a directory."""
    for point in below(directory, _mountinfo()):
        # Lazily, as somebody may still look at a log in there.
        command.run(["umount", "--lazy", point])


def remove_tree(directory: Path) -> None:
    """Remove a directory; refuse while something is mounted in it, as that may be a directory of the machine."""
    left = below(directory, _mountinfo())
    if left:
        raise ClusterError(f"not removing {directory}: {left[0]} is still mounted; unmount it and try again")
    if directory.exists():
        shutil.rmtree(directory)


def overlay_works(directory: Path) -> bool:
    """Whether overlay file systems can be mounted on top of this directory's file system."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as name:
        parts = {part: Path(name, part) for part in ("lower", "upper", "work", "merged")}
        for part in parts.values():
            part.mkdir()
        options = f"lowerdir={parts['lower']},upperdir={parts['upper']},workdir={parts['work']}"
        works = command.succeeds(["mount", "-t", "overlay", "overlay", "-o", options, parts["merged"]])
        if works:
            command.run(["umount", parts["merged"]])
    return works


def _mountinfo() -> str:
    return Path("/proc/self/mountinfo").read_text()


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)
