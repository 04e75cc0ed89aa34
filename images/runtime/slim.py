"""Remove from an environment what no running program reads: test suites, type stubs, headers, debug information.

Run as the last part of the build step that installed the libraries, so that what it
removes never reaches an image layer.
"""

from __future__ import annotations

import shutil
import struct
import sys
from pathlib import Path

# numpy.testing and sklearn's own `_test` helpers stay: libraries import them.
TEST_DIRECTORIES = ("tests", "test")
# Of onnxruntime we use inference only; its Python module does not link the C library that lies beside it.
UNUSED = (
    "onnxruntime/capi/libonnxruntime.so.*",
    "onnxruntime/datasets",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
)
# Packages whose modules import something from their own test directory.
KEEP_TESTS = frozenset({"onnx"})
# Of an ELF file of 64 bits, little-endian: where its header says where its tables are, and an entry of the first of them.
ELF = b"\x7fELF\x02\x01"
PROGRAM_TABLE = struct.Struct("<32xQ14xHH")  # offset, size of an entry, entries
SEGMENT = struct.Struct("<8xQ16xQ")  # offset and size in the file
SECTION_TABLE = ((0x28, 8), (0x3A, 6))  # its offset; size of an entry, entries, and the one with the names
LEFTOVERS = ("*.pyi", "*.pxd", "*.pyx", "*.c", "*.cpp", "*.h", "*.hpp", "*.a")


def main(environment: str) -> None:
    """Slim the environment at this path."""
    packages = next(Path(environment, "lib").glob("python3.*")) / "site-packages"
    before = _size(packages)
    for path in [*_tests(packages), *_matches(packages, UNUSED), *_leftovers(packages)]:
        _remove(path)
    for library in packages.rglob("*.so*"):
        strip(library)
    print(f"slimmed {packages} from {before} to {_size(packages)} MiB")


def strip(library: Path) -> None:
    """Cut off what follows the last segment that is loaded: symbols and debug information (12 of 13 MiB of uvloop).

    The loader goes by the segments. The table of the sections goes too, which only linkers and debuggers read.
    """
    content = library.read_bytes()
    if not content.startswith(ELF):
        return
    start, size, count = PROGRAM_TABLE.unpack_from(content)
    segments = [SEGMENT.unpack_from(content, start + number * size) for number in range(count)]
    kept = bytearray(content[: max(offset + length for offset, length in segments)])
    if len(kept) == len(content):
        return  # so that the next image layer does not hold it once more
    for offset, length in SECTION_TABLE:
        kept[offset : offset + length] = bytes(length)
    library.write_bytes(kept)


def _tests(packages: Path) -> list[Path]:
    found = [path for name in TEST_DIRECTORIES for path in packages.rglob(name) if path.is_dir()]
    return [path for path in found if path.relative_to(packages).parts[0] not in KEEP_TESTS]


def _leftovers(packages: Path) -> list[Path]:
    return [path for pattern in LEFTOVERS for path in packages.rglob(pattern)]


def _matches(packages: Path, patterns: tuple[str, ...]) -> list[Path]:
    return [path for pattern in patterns for path in packages.glob(pattern)]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        # It may have gone with a directory above it.
        path.unlink(missing_ok=True)


def _size(directory: Path) -> int:
    return sum(path.lstat().st_size for path in directory.rglob("*") if path.is_file()) // 2**20


if __name__ == "__main__":
    main(sys.argv[1])
