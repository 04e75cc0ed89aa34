"""Requests that every server takes as they are: one tensor, or one named input for each column."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas

from tests.bench.serving.wrk import Request

# By these parameters MLServer and KServe make a data frame of the inputs; ours needs none, and ignores them.
FRAME = {"content_type": "pd"}
TEXT = {"content_type": "str"}


def tensor(rows: pandas.DataFrame) -> Request:
    """One FP64 input of [rows, columns]."""
    values = rows.to_numpy(dtype=np.float64)
    given = {"name": "x", "shape": list(values.shape), "datatype": "FP64", "data": values.ravel().tolist()}
    return request({"inputs": [given]})


def columns(rows: pandas.DataFrame) -> Request:
    """One input of [rows, 1] for each column: FP64, or BYTES for strings."""
    return request({"parameters": FRAME, "inputs": [column(str(name), rows[name].tolist()) for name in rows]})


def column(name: str, values: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "shape": [len(values), 1], "datatype": "FP64", "data": values}
    return found | {"datatype": "BYTES", "parameters": TEXT} if isinstance(values[0], str) else found


def binary(rows: pandas.DataFrame) -> Request:
    """The tensor again, by the binary tensor extension: little-endian bytes behind a short JSON head; the answer alike."""
    values = rows.to_numpy(dtype="<f8").tobytes()
    size = {"binary_data_size": len(values)}
    given = {"name": "x", "shape": list(rows.shape), "datatype": "FP64", "parameters": size}
    head = json.dumps({"inputs": [given], "parameters": {"binary_data_output": True}}).encode()
    return Request(
        head + values,
        {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))},
    )


def request(content: Mapping[str, Any]) -> Request:
    return Request(json.dumps(content).encode())
