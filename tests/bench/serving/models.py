"""The models that are measured, for all servers: the same estimator on the same rows, with the same random state.

Ours is trained by the command that trains in a cluster, and published as a version. For the others a plain scikit-learn
pipeline says by column names what `preprocessing: Auto` does, in the same order of columns, and is stored by joblib.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas
import pyarrow.parquet as pq
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from mainspring.api.v1alpha1.dataset import Task
from mainspring_runtime import artifacts
from mainspring_runtime.model import document
from mainspring_runtime.serve.monitoring import profile
from mainspring_runtime.train import estimators
from tests.bench.serving import peers
from tests.unit.runtime.serve import artifact
from tests.unit.runtime.serve.artifact import Version
from tests.unit.runtime.train import prepared_data

TARGET = "target"
ROWS = 2_500  # 2,000 of them to train on
NUMBERS, INCOMPLETE, FEW, MANY = 14, 4, 5, 1  # mixed columns: 14 numbers, 4 of them with gaps, and 6 categories
CATEGORIES, MANY_CATEGORIES = 12, 80
SEED = 7
DECIMALS = 3

Columns = dict[str, tuple[str, list[Any]]]


@dataclass(frozen=True)
class Case:
    """A model to measure."""

    name: str
    class_: str
    auto: bool = False
    params: Mapping[str, Any] | None = None

    def make_estimator(self) -> Any:
        """A new one, not fitted."""
        return estimators.build(self.class_, dict(self.params or {}), Task.CLASSIFICATION, SEED)

    @property
    def spec(self) -> dict[str, Any]:
        """`spec.estimator` of a TrainingRun."""
        params = dict(self.params or {})
        if "random_state" in self.make_estimator().get_params():
            params["random_state"] = SEED
        return {"class": self.class_, "preprocessing": "Auto" if self.auto else "None", "params": params}


LOGISTIC: dict[str, Any] = {"class_": "sklearn.linear_model.LogisticRegression", "params": {"max_iter": 2000}}
FOREST: dict[str, Any] = {"class_": "sklearn.ensemble.RandomForestClassifier"}
BOOSTING: dict[str, Any] = {"class_": "sklearn.ensemble.HistGradientBoostingClassifier"}
LOGISTIC_BARE = Case("logistic regression", **LOGISTIC)
FOREST_BARE = Case("forest of 100 trees", **FOREST)
CASES = (
    LOGISTIC_BARE,
    FOREST_BARE,
    Case("Auto, logistic regression", **LOGISTIC, auto=True),
    Case("Auto, forest of 100 trees", **FOREST, auto=True),
    Case("Auto, histogram boosting", **BOOSTING, auto=True),
)


@dataclass(frozen=True)
class Made:
    """A case as all servers take it."""

    case: Case
    version: Version
    joblib: Path
    table: pandas.DataFrame  # rows to ask for: held out, none with a gap


def make(case: Case, root: Path) -> Made:
    """Train both forms below `root`, which is empty."""
    dataset = prepared_data.write_dataset(root / "dataset", mixed() if case.auto else numbers(), target=TARGET)
    version = artifact.train(dataset, root, TARGET, case.spec)
    training, held_out = (read(dataset, split) for split in ("train", "test"))
    path = root / peers.MODEL_FILE
    joblib.dump(fit(case, training), path)
    return Made(case, version, path, held_out.dropna().drop(columns=TARGET))


def without(version: Version, root: Path, name: str) -> Version:
    """The same version without `model.onnx`, which scikit-learn then serves, or without `profile.json`, which counts nothing."""
    directory = root / f"without-{name}"
    shutil.copytree(version.uri.removeprefix("file://"), directory)
    for file in (name, artifacts.MANIFEST):
        (directory / file).unlink()
    if name == document.ONNX_FILE:
        refuse_onnx(directory / document.FILE)
    published = artifacts.publish(directory, (root / "variants").as_uri())
    return Version(published.uri, published.digest)


def refuse_onnx(path: Path) -> None:
    """As training writes it when the file does not reproduce scikit-learn."""
    admitted, refused = '"admitted": true', '"admitted": false'
    text = path.read_text()
    assert admitted in text, f"{path} has no admitted ONNX file"
    path.write_text(text.replace(admitted, refused))


ONNX, PROFILE = document.ONNX_FILE, profile.FILE


def numbers() -> Columns:
    """20 numbers, all known; the label depends on four of them."""
    generator = np.random.default_rng(SEED)
    values = generator.normal(size=(20, ROWS)).round(DECIMALS)
    columns: Columns = {f"number_{index:02d}": ("Float", row.tolist()) for index, row in enumerate(values)}
    return columns | {TARGET: labels(generator, values)}


def mixed() -> Columns:
    """20 columns; some numbers are missing, one column has many categories, as unequal as words."""
    generator = np.random.default_rng(SEED)
    values = generator.normal(size=(NUMBERS, ROWS)).round(DECIMALS)
    columns: Columns = {f"number_{index:02d}": ("Float", row.tolist()) for index, row in enumerate(values)}
    for name in list(columns)[:INCOMPLETE]:
        gaps = generator.random(ROWS) < 0.05
        columns[name] = ("Float", prepared_data.with_gaps(columns[name][1], gaps))
    for index in range(FEW + MANY):
        count = CATEGORIES if index < FEW else MANY_CATEGORIES
        drawn = generator.zipf(1.3, ROWS) % count
        columns[f"category_{index}"] = ("Category", [f"value-{code:02d}" for code in drawn])
    return columns | {TARGET: labels(generator, values)}


def labels(generator: np.random.Generator, values: np.ndarray[Any, Any]) -> tuple[str, list[Any]]:
    """0 or 1: whole numbers are what every server can answer."""
    score = values[4] - values[5] + 0.5 * values[6] * values[7] + 0.5 * generator.normal(size=ROWS)
    return "Integer", (score > 0).astype(int).tolist()


def read(dataset: Path, split: str) -> pandas.DataFrame:
    """Strings as objects: the same in every version of pandas."""
    table: pandas.DataFrame = pq.read_table(dataset / "data" / f"{split}.parquet").to_pandas()
    return table.astype({name: object for name in table if not pandas.api.types.is_numeric_dtype(table[name])})


def fit(case: Case, table: pandas.DataFrame) -> Any:
    """What other servers load: a plain estimator, or one behind the columns that it needs."""
    features, target, estimator = table.drop(columns=TARGET), table[TARGET].to_numpy(), case.make_estimator()
    if not case.auto:
        return estimator.fit(features.to_numpy(), target)
    return Pipeline([("columns", preprocessing(features, estimator)), ("model", estimator)]).fit(features, target)


def preprocessing(table: pandas.DataFrame, estimator: Any) -> ColumnTransformer:
    """What `mainspring_runtime.train.auto` does with numbers and categories, by name."""
    names = list(map(str, table))
    numeric = [name for name in names if table[name].dtype.kind == "f"]
    incomplete = [name for name in numeric if table[name].isna().any()]
    few = [name for name in names if name not in numeric and table[name].nunique() <= 50]
    many = [name for name in names if name not in numeric and name not in few]
    trees, keeps = estimators.is_tree(estimator), estimators.handles_missing(estimator)
    parts = [
        ("numbers", numeric_steps(trees, keeps), numeric),
        ("missing", MissingIndicator(features="all"), [] if keeps else incomplete),
        ("few", OneHotEncoder(handle_unknown="ignore", sparse_output=False), few),
        ("many", ranks(table, many) if trees else most_frequent(), many),
    ]
    return ColumnTransformer([part for part in parts if part[2]])


def numeric_steps(trees: bool, keeps_missing: bool) -> Any:
    steps: list[Any] = [] if keeps_missing else [SimpleImputer(strategy="median")]
    steps += [] if trees else [StandardScaler()]
    return make_pipeline(*steps) if steps else "passthrough"


def most_frequent() -> OneHotEncoder:
    """49 columns, and one that the others share."""
    return OneHotEncoder(max_categories=50, handle_unknown="infrequent_if_exist", sparse_output=False)


def ranks(table: pandas.DataFrame, names: Sequence[str]) -> OrdinalEncoder:
    """By frequency."""
    counts = [Counter(table[name].tolist()) for name in names]
    orders = [[value for value, _ in sorted(each.items(), key=lambda item: (-item[1], item[0]))] for each in counts]
    return OrdinalEncoder(categories=orders, handle_unknown="use_encoded_value", unknown_value=-1)
