"""Remove from an environment what no running program reads: test suites, type stubs, headers, build leftovers.

Run as the last part of the build step that installed the libraries, so that what it
removes never reaches an image layer.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

# numpy.testing and sklearn's own `_test` helpers stay: libraries import them.
TEST_DIRECTORIES = ("tests", "test")
# Packages whose modules import something from their own test directory.
KEEP_TESTS = frozenset({"onnx"})
LEFTOVERS = ("*.pyi", "*.pxd", "*.pyx", "*.c", "*.cpp", "*.h", "*.hpp", "*.a")


def main(environment: str) -> None:
    """Slim the environment at this path."""
    packages = next(Path(environment, "lib").glob("python3.*")) / "site-packages"
    before = _size(packages)
    for directory in [path for name in TEST_DIRECTORIES for path in packages.rglob(name)]:
        if directory.is_dir() and directory.relative_to(packages).parts[0] not in KEEP_TESTS:
            shutil.rmtree(directory)
    for file in [path for pattern in LEFTOVERS for path in packages.rglob(pattern)]:
        file.unlink()
    print(f"slimmed {packages} from {before} to {_size(packages)} MiB")


def _size(directory: Path) -> int:
    return sum(path.lstat().st_size for path in directory.rglob("*") if path.is_file()) // 2**20


if __name__ == "__main__":
    main(sys.argv[1])
