"""How much a model's prediction hangs on each column: which columns to look at first when not all can be shown.

A column is shuffled among rows and the change of the watched prediction is averaged: model reliance after Fisher, Rudin
and Dominici (JMLR 20, 2019), with the prediction in the place of a loss, so that it needs no labels. Columns that say
the same share what they are worth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mainspring_runtime.model.encoding import Array, Columns

# Rows that are predicted in all: some seconds for a slow model.
BUDGET_ROWS = 20_000
MAX_ROWS = 500
SEED = 0


def by_column(predict: Callable[[Columns], Array], columns: Columns) -> dict[str, float]:
    """For each column the mean change of the prediction [N]; for labels, the share of rows that change.

    Empty when there are so many columns that there is less than a row for each.
    """
    rows = len(next(iter(columns.values())))
    sampled = min(rows, MAX_ROWS, BUDGET_ROWS // (len(columns) + 1))
    if not sampled:
        return {}
    random = np.random.default_rng(SEED)
    chosen = random.choice(rows, sampled, replace=False)
    sample: Mapping[str, Array] = {name: values[chosen] for name, values in columns.items()}
    usual = predict(dict(sample))
    order = random.permutation(sampled)
    return {name: _change(usual, predict({**sample, name: values[order]})) for name, values in sample.items()}


def _change(before: Array, after: Array) -> float:
    change = np.abs(after - before) if np.issubdtype(before.dtype, np.floating) else after != before
    return float(f"{np.mean(change):.4g}")
