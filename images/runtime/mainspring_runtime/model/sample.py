"""`sample.npz`: synthetic rows and the answers to them that a loaded model must give again.

Arrays are named `input_<i>` in the order of the signature and `output_<name>`; strings are fixed-width unicode, so that
nothing is unpickled. The rows are drawn column by column (see `train.synthetic`): none of them is a row of the data.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model.encoding import Array, Columns
from mainspring_runtime.model.signature import Signature

FILE = "sample.npz"
PROBABILITY_TOLERANCE = 1e-5
VALUE_TOLERANCE = 1e-4  # as a share of the range of the expected values
CONSTANT_TOLERANCE = 1e-6  # relative, when all expected values are equal


@dataclass(frozen=True)
class Sample:
    """`columns` by input name, `expected` by output name; N rows each."""

    columns: Columns
    expected: Columns


def write_sample(directory: Path, signature: Signature, sample: Sample) -> None:
    """Write `sample.npz`; equal samples give equal bytes."""
    arrays = {f"input_{index}": sample.columns[column.name] for index, column in enumerate(signature.inputs)}
    arrays |= {f"output_{name}": values for name, values in sample.expected.items()}
    np.savez_compressed(
        directory / FILE, allow_pickle=False, **{name: _storable(array) for name, array in arrays.items()}
    )


def read_sample(directory: Path, signature: Signature) -> Sample | None:
    """The sample, or None when the version has none. Raises `PermanentError("InvalidSample")`."""
    path = directory / FILE
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: _usable(archive[name]) for name in archive.files}
        columns = {column.name: arrays[f"input_{index}"] for index, column in enumerate(signature.inputs)}
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise PermanentError("InvalidSample", f"{FILE} does not fit signature.json: {error}") from error
    prefix = "output_"
    return Sample(
        columns, {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    )


def difference(expected: Mapping[str, Array], actual: Mapping[str, Array]) -> str | None:
    """What differs beyond tolerance, as a sentence; None when nothing does. Labels must be equal."""
    for name, wanted in expected.items():
        problem = _difference(name, wanted, actual[name])
        if problem is not None:
            return f"{name} {problem}"
    return None


def _difference(name: str, wanted: Array, got: Array) -> str | None:
    if wanted.shape != got.shape:
        return f"has shape {list(got.shape)} instead of {list(wanted.shape)}"
    if wanted.dtype.kind != "f":
        wrong = int(np.count_nonzero(wanted != got))
        return f"differs in {wrong} of {len(wanted)} rows" if wrong else None
    known = np.isfinite(wanted)
    # NaN and the infinities must be the same ones; only between other numbers there is a distance.
    if not np.array_equal(wanted[~known], got[~known], equal_nan=True) or not np.isfinite(got[known]).all():
        return "has NaN or infinity in other places"
    wanted, got = wanted[known], got[known]
    if wanted.size == 0:
        return None
    gap, tolerance = np.abs(wanted - got).max(), _tolerance(name, wanted)
    return None if gap <= tolerance else f"differs by up to {gap:.3g}; {tolerance:.3g} is tolerated"


def _tolerance(name: str, wanted: Array) -> float:
    if name.startswith("predict_proba"):
        return PROBABILITY_TOLERANCE
    spread = float(np.ptp(wanted))
    return VALUE_TOLERANCE * spread if spread else CONSTANT_TOLERANCE * float(np.abs(wanted).max())


def _storable(array: Array) -> Array:
    return array.astype(np.str_) if array.dtype == object else array


def _usable(array: Array) -> Array:
    return array.astype(object) if array.dtype.kind == "U" else array
