"""What a model said, in bins: the watched output, and the class.

The watched output is usually a probability while most callers ask for the label alone. Both are computed in the same
call of the model then: a label is decided from the probabilities anyway, so handing them out costs no more than another
array (some microseconds a call, see `tests/bench/bench_monitoring.py`), and what is counted is what was answered.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mainspring_runtime.model.signature import Label, Signature
from mainspring_runtime.serve.monitoring.profile import Prediction
from mainspring_runtime.serve.tensors import Array

LABEL = "predict"


class Predictions:
    """Bins of one model's predictions; nothing is counted here."""

    def __init__(self, signature: Signature, watched: Prediction | None) -> None:
        self.classes = signature.classes
        # Some models give several labels a row, or none at all.
        self._has_label = any(output.name == LABEL and len(output.shape) == 1 for output in signature.outputs)
        self.watched = watched
        self._edges = None if watched is None or watched.edges is None else np.array(watched.edges, dtype=np.float64)
        self._class_index = {label: index for index, label in enumerate(signature.classes or ())}
        self._bin_index = {label: index for index, label in enumerate((watched and watched.classes) or ())}
        self._positive = None if watched is None or watched.positive is None else self._class_index[watched.positive]

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the model must compute."""
        label = (LABEL,) if self._has_label else ()
        return label if self.watched is None else tuple(dict.fromkeys((self.watched.output, *label)))

    @property
    def positive(self) -> int | None:
        """Place of the class whose probability is watched."""
        return self._positive

    @property
    def score_bins(self) -> int:
        """Bins of the watched number; 0 when a label is watched, or nothing."""
        return 0 if self._edges is None else len(self._edges) + 1

    def bins(self, results: Mapping[str, Array]) -> Array:
        """The bin [N] of the watched output of each row; -1 for a label that the profile does not know."""
        assert self.watched is not None
        values = results[self.watched.output]
        if self._edges is None:
            return _places(values, self._bin_index)
        return self._edges.searchsorted(self.scores(results), side="right")

    def scores(self, results: Mapping[str, Array]) -> Array:
        """The watched number [N] of each row. Only where there are `score_bins`."""
        assert self.watched is not None
        values = results[self.watched.output]
        return values if self._positive is None or values.ndim == 1 else values[:, self._positive]

    def class_indexes(self, results: Mapping[str, Array]) -> Array:
        """The predicted class [N] as its place in `classes`; -1 for a label that is none of them."""
        return _places(results[LABEL], self._class_index)

    def values(self, results: Mapping[str, Array]) -> Array:
        """What was predicted, as numbers [N]: the place of the class, or the value."""
        return results[LABEL] if self.classes is None else self.class_indexes(results)


def _places(labels: Array, index: Mapping[Label, int]) -> Array:
    return np.array([index.get(label, -1) for label in labels.tolist()], dtype=np.int64)
