"""The requests that all servers get."""

from __future__ import annotations

import json

import numpy as np
import pandas
import pytest

from tests.bench.serving import bodies, servers
from tests.bench.serving.servers import NotEqual
from tests.bench.serving.wrk import Request

NUMBERS = pandas.DataFrame({"a": [1.0, 2.0], "b": [0.5, -0.25]})


def test_a_tensor_holds_rows_one_after_the_other() -> None:
    [given] = json.loads(bodies.tensor(NUMBERS).body)["inputs"]
    assert given == {"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [1.0, 0.5, 2.0, -0.25]}


def test_columns_say_how_they_become_a_frame() -> None:
    frame = NUMBERS.assign(c=pandas.Series(["x", "y"], dtype=object))
    content = json.loads(bodies.columns(frame).body)
    assert content["parameters"] == {"content_type": "pd"}
    assert content["inputs"][0] == {"name": "a", "shape": [2, 1], "datatype": "FP64", "data": [1.0, 2.0]}
    assert content["inputs"][2]["datatype"] == "BYTES"
    assert content["inputs"][2]["parameters"] == {"content_type": "str"}


def test_binary_tensors_follow_a_head_of_the_stated_length() -> None:
    request = bodies.binary(NUMBERS)
    length = int(request.headers["Inference-Header-Content-Length"])
    [given] = json.loads(request.body[:length])["inputs"]
    values = request.body[length:]
    assert given["parameters"] == {"binary_data_size": len(values)}
    assert np.frombuffer(values, "<f8").reshape(given["shape"]).tolist() == NUMBERS.to_numpy().tolist()


class Fake:
    """A server that answers always the same."""

    def __init__(self, name: str, data: object) -> None:
        self.name = name
        self.data = data

    def ask(self, request: Request) -> dict[str, object]:
        return {"outputs": [{"data": self.data}]}


def test_labels_are_equal_however_they_are_nested() -> None:
    servers.check_equal([Fake("one", [1, 0]), Fake("other", [[1], [0]])], [Request(b"")])  # type: ignore[list-item]


def test_servers_that_differ_are_not_measured_and_named() -> None:
    with pytest.raises(NotEqual, match=r"request 0: one \[1\], other \[0\]"):
        servers.check_equal([Fake("one", [1]), Fake("other", [0])], [Request(b"")])  # type: ignore[list-item]
