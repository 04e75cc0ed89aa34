from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mainspring_runtime.model.signature import Column
from mainspring_runtime.serve import tensors
from mainspring_runtime.serve.errors import RequestError
from tests.unit.runtime.serve.fakes import AGE, INSURED, RADIUS, SEEN, SITE, SMOKER, STAGE, VISITS

NAN = float("nan")


@pytest.mark.parametrize(
    ("column", "datatype", "values", "expected", "coerced"),
    [
        (RADIUS, "FP64", [1.5, 2], [1.5, 2.0], 0),
        (RADIUS, "FP32", [1.5], [1.5], 0),
        (RADIUS, "INT64", [3, -(2**53), 2**60], [3.0, -(2.0**53), 2.0**60], 3),
        (RADIUS, "UINT8", [3], [3.0], 1),
        (RADIUS, "FP64", [10**30], [1e30], 0),
        (AGE, "FP64", [1.0, None, "NaN"], [1.0, NAN, NAN], 0),
        (AGE, "INT32", [1, None], [1.0, NAN], 1),
        (SMOKER, "FP64", [0.0, 1, None], [0.0, 1.0, NAN], 0),
        (SMOKER, "BOOL", [True, False, None], [1.0, 0.0, NAN], 2),
        (VISITS, "INT64", [-(2**63), 2**63 - 1], [-(2**63), 2**63 - 1], 0),
        (VISITS, "INT64", [2.0], [2], 0),
        (VISITS, "FP64", [2.0, -0.0], [2, 0], 2),
        (INSURED, "BOOL", [True, False], [True, False], 0),
        (INSURED, "INT8", [1, 0], [True, False], 2),
        (STAGE, "BYTES", ["I", None, "unseen", ""], ["I", "", "unseen", ""], 0),
        (SITE, "BYTES", ["Zürich"], ["Zürich"], 0),
        (
            SEEN,
            "BYTES",
            ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5+02:00", None],
            ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5+02:00", ""],
            0,
        ),
    ],
)
def test_values_become_the_column_s_datatype(
    column: Column, datatype: str, values: list[Any], expected: list[Any], coerced: int
) -> None:
    array, count = tensors.to_array(column, datatype, values)
    np.testing.assert_array_equal(array, np.array(expected, dtype=array.dtype))
    assert (
        array.dtype == {"FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_, "BYTES": np.object_}[column.datatype]
    )
    assert count == coerced


@pytest.mark.parametrize(
    ("column", "datatype", "values", "message"),
    [
        (RADIUS, "BYTES", ["a"], "input 'radius': expected datatype FP64, got BYTES"),
        (RADIUS, "BOOL", [True], "input 'radius': expected datatype FP64, got BOOL"),
        (RADIUS, "FP65", [1.0], "input 'radius': expected datatype FP64, got FP65"),
        (RADIUS, "FP64", [1.0, "2"], "input 'radius', row 1: expected a number, got '2'"),
        (RADIUS, "FP64", [True], "input 'radius', row 0: expected a number, got True"),
        (RADIUS, "FP64", [[1.0]], "input 'radius', row 0: expected a number, got [1.0]"),
        (RADIUS, "FP64", [1.0, None], "row 1: expected a value, since the column is not nullable, got null"),
        (RADIUS, "FP64", ["NaN"], "row 0: expected a value, since the column is not nullable, got null"),
        (RADIUS, "FP64", [10**400], "row 0: expected a number that a 64-bit float can hold, got 1000"),
        (RADIUS, "INT64", [2**53 + 1], "row 0: expected an integer within ±2^53"),
        (RADIUS, "INT64", [1.5], "row 0: expected an integer within ±2^53"),
        (RADIUS, "INT64", [10**400], "row 0: expected an integer within ±2^53"),
        (AGE, "FP64", ["x"], "input 'age', row 0: expected a number or null, got 'x'"),
        (SMOKER, "FP64", [0.5], "input 'smoker', row 0: expected true, false, 1, 0 or null, got 0.5"),
        (VISITS, "FP64", [1.5], "input 'visits', row 0: expected an integer (a fraction would be lost), got 1.5"),
        (VISITS, "FP64", [1e300], "row 0: expected a 64-bit integer"),
        (VISITS, "UINT64", [2**63], "row 0: expected a 64-bit integer"),
        (VISITS, "INT64", [None], "row 0: expected an integer, got null"),
        (VISITS, "INT64", [True], "row 0: expected an integer, got True"),
        (INSURED, "BOOL", [1], "row 0: expected true or false, got 1"),
        (INSURED, "INT64", [2], "row 0: expected true, false, 1 or 0, got 2"),
        (INSURED, "BOOL", [None], "row 0: expected true or false, got null"),
        (INSURED, "FP64", [1.0], "input 'insured': expected datatype BOOL, got FP64"),
        (STAGE, "BYTES", [1], "input 'stage', row 0: expected a string or null, got 1"),
        (SITE, "BYTES", ["a", None], "row 1: expected a value, since the column is not nullable, got null"),
        (SITE, "BYTES", [""], "row 0: expected a value, since the column is not nullable, got ''"),
        (
            SEEN,
            "BYTES",
            ["yesterday"],
            "row 0: expected an RFC 3339 time such as 2026-01-31T12:00:00Z, got 'yesterday'",
        ),
        (SEEN, "BYTES", ["2026-01-31T12:00:00"], "row 0: expected an RFC 3339 time"),
        (SITE, "BYTES", [["x" * 100]], "got ['xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"),
    ],
)
def test_what_would_be_lost_or_guessed_is_refused(
    column: Column, datatype: str, values: list[Any], message: str
) -> None:
    with pytest.raises(RequestError) as caught:
        tensors.to_array(column, datatype, values)
    assert caught.value.status == 400
    assert message in caught.value.message


def test_only_a_nullable_input_may_be_left_out() -> None:
    np.testing.assert_array_equal(tensors.missing(AGE, 2), [NAN, NAN])
    assert tensors.missing(STAGE, 2).tolist() == ["", ""]
    with pytest.raises(RequestError, match="input 'radius' is missing: expected FP64 of shape"):
        tensors.missing(RADIUS, 2)
