"""Any pipeline over any columns gives, packaged, the answers that it gives by itself."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingRegressor, IsolationForest, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler

from tests.unit.runtime.package import packing

ROWS = 60
COLUMNS = ("Float", "Gaps", "Whole", "Flag", "Word", "Word with gaps")
SCALERS = (StandardScaler, RobustScaler, lambda: KBinsDiscretizer(3, strategy="uniform"))
ENCODERS = (
    lambda: OneHotEncoder(handle_unknown="ignore"),
    lambda: OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
)
ESTIMATORS = {
    "labels": (lambda: LogisticRegression(max_iter=2000), lambda: RandomForestClassifier(3, random_state=0)),
    "values": (Ridge, lambda: HistGradientBoostingRegressor(max_iter=3)),
    "two values": (Ridge,),
    "nothing": (
        lambda: KMeans(2, n_init=1, random_state=0),
        lambda: IsolationForest(n_estimators=3, random_state=0),
        lambda: TruncatedSVD(1, random_state=0),
    ),
}


def frame(kinds: Sequence[str], seed: int) -> pandas.DataFrame:
    """Columns `c0`, `c1`, … of these kinds."""
    generator = np.random.default_rng(seed)
    return pandas.DataFrame({f"c{index}": column(kind, generator) for index, kind in enumerate(kinds)})


def column(kind: str, generator: np.random.Generator) -> pandas.Series:
    gaps = generator.random(ROWS) < 0.15
    match kind:
        case "Float":
            return pandas.Series(generator.normal(size=ROWS))
        case "Gaps":
            return pandas.Series(np.where(gaps, np.nan, generator.normal(size=ROWS)))
        case "Whole":
            return pandas.Series(generator.integers(-5, 50, ROWS))
        case "Flag":
            return pandas.Series(generator.random(ROWS) < 0.4)
        case _:
            words = pandas.Series(generator.choice(["red", "green", "blue"], ROWS), dtype="str")
            return words.mask(gaps) if kind.endswith("gaps") else words


def target(kind: str, seed: int) -> Any:
    drawn = np.random.default_rng(seed + 1).normal(size=ROWS)
    return {
        "labels": np.where(drawn > 0, "up", "down").astype(object),
        "values": drawn,
        "two values": np.stack([drawn, drawn**2], axis=1),
        "nothing": None,
    }[kind]


@st.composite
def problems(draw: st.DrawFn) -> tuple[Any, pandas.DataFrame, Any]:
    kinds = draw(st.lists(st.sampled_from(COLUMNS), min_size=2, max_size=6))
    seed, asked = draw(st.integers(0, 1000)), draw(st.sampled_from(sorted(ESTIMATORS)))
    rows = frame(kinds, seed)
    words = [name for name, kind in zip(rows, kinds, strict=True) if kind.startswith("Word")]
    numbers = [name for name in rows if name not in words]
    encode = make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), draw(st.sampled_from(ENCODERS))())
    scale = make_pipeline(SimpleImputer(keep_empty_features=True), draw(st.sampled_from(SCALERS))())
    parts = ColumnTransformer([("numbers", scale, numbers), ("words", encode, words)], sparse_threshold=0)
    estimator = make_pipeline(parts, draw(st.sampled_from(ESTIMATORS[asked]))())
    return estimator, rows, target(asked, seed)


# The same examples each time: an estimator that warns of odd data would fail a run that changed nothing.
@settings(max_examples=25, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(problems())
def test_a_packaged_pipeline_answers_as_it_does_by_itself(problem: tuple[Any, pandas.DataFrame, Any]) -> None:
    estimator, rows, labels = problem
    estimator.fit(rows, labels)
    with tempfile.TemporaryDirectory() as temporary:
        packed = packing.pack(Path(temporary), estimator, rows)
        assert packed.differences(rows, rows) == {}
        nullable = {item.name for item in packed.predictor.signature.inputs if item.nullable}
        assert nullable == {name for name in rows if rows[name].isna().any()}
