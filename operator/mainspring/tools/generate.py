"""Everything that is generated and committed, in one place: `python -m mainspring.tools generate [--check]`.

A generator is a function that returns texts by their path in the repository. The directories in `OWNED` hold nothing
but generated files, so a file there that no generator names belongs to a kind that is gone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mainspring.tools import argocdgen, crdgen, dashboards, docgen, rbacgen

REPOSITORY = Path(__file__).resolve().parents[3]
OWNED = ("crds", "charts/mainspring/templates/crds", "charts/mainspring/dashboards", "docs/api")


def generated(root: Path) -> dict[str, str]:
    """All generated texts by path; what they quote (examples, Argo CD's Lua) is read from `root`."""
    return {
        **crdgen.files(),
        **rbacgen.files(),
        **argocdgen.files(root),
        **dashboards.files(),
        **docgen.files(root / "examples"),
    }


def stale(root: Path, texts: Mapping[str, str]) -> list[str]:
    """Paths whose content is not what would be generated now, and generated files that no longer should be there."""
    changed = [path for path, text in texts.items() if _content(root / path) != text]
    return sorted(changed + _left_over(root, texts))


def write(root: Path, texts: Mapping[str, str]) -> list[str]:
    """Bring the files up to date and return the paths that changed."""
    changed = stale(root, texts)
    for path in changed:
        target = root / path
        if path in texts:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(texts[path], encoding="utf-8")
        else:
            target.unlink()
    return changed


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    texts = generated(options.root)
    if not options.check:
        for path in write(options.root, texts):
            print(path)
        return 0
    paths = stale(options.root, texts)
    for path in paths:
        print(f"stale: {path}", file=sys.stderr)
    if paths:
        print("run `python -m mainspring.tools generate`", file=sys.stderr)
    return 1 if paths else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mainspring.tools", description="Write all generated files.")
    parser.add_argument("command", choices=["generate"])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 and name the files that are stale")
    parser.add_argument("--root", type=Path, default=REPOSITORY, help="the repository")
    return parser


def _content(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _left_over(root: Path, texts: Mapping[str, str]) -> list[str]:
    present = (path for owned in OWNED for path in (root / owned).glob("*") if path.is_file())
    return [name for path in present if (name := path.relative_to(root).as_posix()) not in texts]
