from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model.encoding import UNSEEN
from mainspring_runtime.prepared import DatasetColumn, Rows, read_dataset
from mainspring_runtime.train import auto
from mainspring_runtime.train.auto import Style

LINEAR, FOREST, BOOSTING = (
    Style(trees=False, keeps_missing=False),
    Style(trees=True, keeps_missing=False),
    Style(trees=True, keeps_missing=True),
)


def compiled(style: Style, **columns: tuple[str, Any]) -> auto.Compiled:
    described = [DatasetColumn(name, kind, "Feature", True) for name, (kind, _) in columns.items()]
    arrays = {
        name: np.array(values, dtype=object if kind in ("Category", "String", "Timestamp") else float)
        for name, (kind, values) in columns.items()
    }
    rows = Rows(arrays, np.zeros(len(next(iter(arrays.values())))))
    return auto.compile_columns(described, rows, style)


def transformed(found: auto.Compiled, columns: dict[str, Any]) -> Any:
    arrays = {
        name: np.array(values, dtype=object if isinstance(values[0], str) else float)
        for name, values in columns.items()
    }
    matrix = found.encoding.matrix(arrays)
    return matrix if found.transformer is None else found.transformer.fit(matrix).transform(matrix)


AGES = [20.0, 40.0, 60.0, np.nan]
STAGES = ["I", "II", "I", ""]


def test_linear_models_get_scaled_numbers_a_missing_flag_and_one_column_a_category() -> None:
    found = compiled(LINEAR, age=("Float", AGES), stage=("Category", STAGES))
    features = transformed(found, {"age": AGES, "stage": STAGES})
    assert features.shape == (4, 1 + 1 + 3)
    assert features[:, 0].mean() == pytest.approx(0)
    np.testing.assert_array_equal(features[:, 1], [0, 0, 0, 1])
    np.testing.assert_array_equal(features[3, 2:], [1, 0, 0])


def test_trees_are_never_scaled() -> None:
    found = compiled(FOREST, age=("Float", AGES))
    np.testing.assert_array_equal(transformed(found, {"age": AGES})[:, 0], [20, 40, 60, 40])


def test_histogram_boosting_takes_numbers_as_they_are() -> None:
    found = compiled(BOOSTING, age=("Float", AGES))
    assert found.transformer is None
    assert found.encoding.indicators == ()
    assert "missing numbers are left to the estimator: age" in found.notes


def test_a_category_that_was_never_seen_is_all_zeros() -> None:
    found = compiled(LINEAR, stage=("Category", STAGES))
    assert found.transformer is not None
    found.transformer.fit(found.encoding.matrix({"stage": np.array(STAGES, dtype=object)}))
    unseen = found.encoding.matrix({"stage": np.array(["IX"], dtype=object)})
    np.testing.assert_array_equal(found.transformer.transform(unseen), [[0, 0, 0]])


MANY = [f"c{index:02d}" for index in range(60)] + ["c00"] * 5


def test_of_many_categories_the_rare_ones_share_a_column() -> None:
    found = compiled(LINEAR, city=("Category", MANY))
    (source,) = found.encoding.categories
    assert source.categories[0] == "c00"
    assert (len(source.categories), source.default) == (49, 49.0)
    assert "city: 60 categories; the 49 most frequent have a column each, all others share one" in found.notes
    features = transformed(found, {"city": MANY})
    assert features.shape[1] == 50
    np.testing.assert_array_equal(features.sum(axis=1), 1)


def test_trees_get_the_rank_of_many_categories() -> None:
    found = compiled(BOOSTING, city=("Category", MANY))
    codes = found.encoding.matrix({"city": np.array(["c00", "elsewhere"], dtype=object)})
    np.testing.assert_array_equal(codes[:, 0], [0, UNSEEN])
    assert "rank by frequency" in found.notes[0]


def test_a_time_becomes_the_parts_that_vary() -> None:
    at = ["2024-01-01T06:00:00Z", "2024-01-08T07:00:00Z", ""]
    found = compiled(FOREST, seen=("Timestamp", at))
    assert [source.part for source in found.encoding.numeric] == ["days", "hour", "dayOfYear"]
    assert found.encoding.indicators == (0,)
    assert "seen: used as numbers: days, hour, dayOfYear" in found.notes


def test_numbers_far_from_zero_get_an_offset_and_others_none() -> None:
    found = compiled(FOREST, year=("Integer", [2001.0, 2002.0, 2003.0]), age=("Float", [1.0, 2.0, 3.0]))
    assert [source.offset for source in found.encoding.numeric] == [2002.0, 0.0]


def test_columns_that_say_nothing_are_left_out_and_said() -> None:
    found = compiled(FOREST, age=("Float", [1.0, 2.0]), same=("Float", [5.0, 5.0]), none=("Category", ["", ""]))
    assert [source.column for source in found.encoding.numeric] == ["age"]
    assert sum("ignored" in note for note in found.notes) == 2


def test_one_value_and_missing_ones_do_say_something() -> None:
    found = compiled(LINEAR, told=("Float", [1.0, np.nan, 1.0, np.nan]))
    assert found.encoding.indicators == (0,)


def test_free_text_is_refused_with_two_ways_out() -> None:
    with pytest.raises(
        PermanentError, match=r"free text in 'note'; leave it out with spec\.features\.exclude .* type: Category"
    ) as raised:
        compiled(LINEAR, note=("String", ["a", "b"]), age=("Float", [1.0, 2.0]))
    assert (raised.value.reason, raised.value.details) == ("UnsupportedColumn", ("note",))


def test_without_any_column_that_varies_there_is_nothing_to_learn_from() -> None:
    with pytest.raises(PermanentError, match="no feature varies"):
        compiled(LINEAR, same=("Float", [5.0, 5.0]))


def test_no_preprocessing_needs_numbers(mixed: Path) -> None:
    columns = read_dataset(mixed).features
    with pytest.raises(PermanentError, match=r"'stage', 'city', 'admitted' is not numeric; set preprocessing: Auto"):
        auto.numbers_only(columns)
    assert len(auto.numbers_only([column for column in columns if column.datatype != "BYTES"]).numeric) == 4
