"""The benchmarks: `python -m tests.bench` runs all, with names only those; `--list` names them.

A benchmark is a module `bench_<name>` of this package with a `main()` that prints a small table; each runs in a process
of its own. `python -m tests.bench.bench_<name> --help` shows its options. Figures are printed, never asserted: machines
are shared. Those that install other people's servers or take long run only by name.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from pathlib import Path

PREFIX = "bench_"
BY_NAME = frozenset({"cycle", "peers", "soak"})  # `make bench-serve`, `make bench-soak`; cycle needs a cluster


def main() -> int:
    """The number of benchmarks that failed."""
    known = found()
    usual = [name for name in known if name not in BY_NAME]
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Run the benchmarks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(usual)}")
    parser.add_argument("--list", action="store_true", help="only say which there are")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(known)):
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(known)}")
    if options.list:
        for name, about in known.items():
            print(f"{name:12} {about}")
        return 0
    return sum(run(name) for name in options.names or usual)


def found() -> dict[str, str]:
    """Names and first lines of the docstrings."""
    modules = sorted(Path(__file__).parent.glob(f"{PREFIX}*.py"))
    return {path.stem.removeprefix(PREFIX): _about(path) for path in modules}


def _about(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]


def run(name: str) -> bool:
    """Whether it failed."""
    print(f"\n== {name}", flush=True)
    return subprocess.run([sys.executable, "-m", f"tests.bench.{PREFIX}{name}"], check=False).returncode != 0


if __name__ == "__main__":
    sys.exit(main())
