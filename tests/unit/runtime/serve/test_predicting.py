from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mainspring_runtime.serve import predicting, tables
from tests.unit.runtime.serve.fakes import NUMBERS, SumPredictor


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.sampled_from([(), (1,), (3,), (2, 2)]))
def test_every_request_gets_back_its_own_rows(rows: list[int], shape: tuple[int, ...]) -> None:
    results = np.arange(sum(rows) * int(np.prod(shape)), dtype=np.float64).reshape(sum(rows), *shape)
    answers = predicting.split([("a", "FP64", results), ("b", "INT64", np.arange(sum(rows)))], rows)
    start = 0
    for count, (first, second) in zip(rows, answers, strict=True):
        np.testing.assert_array_equal(first.values, results[start : start + count])
        assert (second.name, second.datatype, second.values.tolist()) == (
            "b",
            "INT64",
            list(range(start, start + count)),
        )
        start += count


def test_outputs_come_in_the_order_and_datatype_that_was_asked_for() -> None:
    predict = predicting.make_predict(SumPredictor(), tables.compile_schema(NUMBERS))
    parts = [tables.Table(1, np.array([[1.0, 2.0]])), tables.Table(2, np.array([[3.0, np.nan], [0.5, 0.0]]))]
    answers = predict(parts, ("predict_proba", "predict")).answers
    assert [(output.name, output.datatype, output.values.tolist()) for output in answers[1]] == [
        ("predict_proba", "FP64", [[3.0, -3.0], [0.5, -0.5]]),
        ("predict", "FP64", [3.0, 0.5]),
    ]
    assert NUMBERS.outputs[0].name == answers[0][1].name
