"""Expected performance without labels: what the window's predictions promise if probabilities mean what they meant.

Confidence-based performance estimation (CBPE; Białek, Kivimäki et al., Estimating Model Performance Under Covariate Shift
Without Labels, 2024): the reference's out-of-fold rows say how often a prediction in each bin came true, the window says
how many rows each bin has now. It follows a change of the inputs, as finely as the bins: when most rows come to lie in
one bin, what they are within it is not seen (with a shift of 0.8 standard deviations of the score, accuracy is within 0.005
of the labels' and so is the area; with 1.7, they are off by 0.006 and 0.03). It cannot see that the same inputs have come to mean
something else, so nothing but information may rest on it. A row whose probability is the threshold itself is in the bin
above it, though the model calls it negative.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mainspring.api.monitoring import Reference
from mainspring.api.v1alpha1.trainingrun import Metric
from mainspring.plan.statistics import roc
from mainspring.plan.statistics.counts import WindowCounts
from mainspring.plan.statistics.proportions import Interval, within_unit

LEAST_ROWS = 1000  # out of fold


@dataclass(frozen=True)
class Estimate:
    """The expected value with the interval in which the measured one lies in 95 % of windows; or why there is none."""

    metric: Metric
    interval: Interval | None
    explanation: str


@dataclass(frozen=True)
class Bin:
    """A bin of the watched probability: rows of the window, the rate of positives in it, and that rate's variance.

    The variance has two parts: the calibration knows the rate from some rows only, and the window's own rows are some
    draws with that rate. Both are of the posterior mean under Jeffreys' prior, so a bin without positives has them, too.
    """

    rows: int
    rate: float
    variance: float


def judge(metric: Metric, reference: Reference, window: WindowCounts) -> Estimate:
    """Of accuracy and roc_auc. Raises ValueError when the window was counted with the bins of another reference."""
    if window.digest != reference.digest:
        raise ValueError(f"the window was counted with bins {window.digest}, the reference has {reference.digest}")
    if why := unavailable(metric, reference):
        return Estimate(metric, None, why)
    bins = bins_of(reference, window.prediction or [])
    if not sum(found.rows for found in bins):
        return Estimate(metric, None, "there were no predictions")
    interval = _ESTIMATES[metric](bins, first_positive_bin(reference))
    text = f"{metric} {interval.value:.4g} [{interval.lower:.4g}, {interval.upper:.4g}] expected without labels"
    return Estimate(metric, interval, f"{text}, if inputs still mean what they meant in training")


def unavailable(metric: Metric, reference: Reference) -> str:
    """Why there is no estimate for this model; empty when there is one."""
    if metric not in _ESTIMATES:
        return f"{metric} cannot be estimated without labels; {' and '.join(_ESTIMATES)} can"
    prediction = reference.prediction
    calibration = prediction.calibration if prediction else None
    if prediction is None or calibration is None or prediction.threshold is None:
        return "the model has no calibration: it needs two classes and probabilities"
    rows = sum(calibration.rows)
    if prediction.source != "OutOfFold" or rows < LEAST_ROWS:
        return f"an estimate needs {LEAST_ROWS} out-of-fold rows; the reference has {rows} rows {prediction.source}"
    return ""


def bins_of(reference: Reference, window: Sequence[int]) -> tuple[Bin, ...]:
    """The bins of the window; none when the reference has no calibration."""
    calibration = reference.prediction.calibration if reference.prediction else None
    if calibration is None:
        return ()
    counted = zip(window, calibration.rows, calibration.positives, strict=True)
    return tuple(_bin(rows, known, positives) for rows, known, positives in counted)


def _bin(rows: int, known: int, positives: int) -> Bin:
    posterior = (positives + 0.5) / (known + 1)
    spread = posterior * (1 - posterior)
    drawn = spread / rows if rows else 0.0
    return Bin(rows, positives / known if known else posterior, spread / (known + 2) + drawn)


def first_positive_bin(reference: Reference) -> int:
    """From this bin on the model says positive: the threshold is one of the edges."""
    prediction = reference.prediction
    assert prediction is not None
    assert prediction.threshold is not None
    return sum(edge <= prediction.threshold for edge in prediction.edges or ())


def expected_accuracy(bins: Sequence[Bin], first_positive: int) -> Interval:
    """Share of rows whose predicted class comes true."""
    rows = sum(found.rows for found in bins)
    right = (
        found.rows * (found.rate if index >= first_positive else 1 - found.rate) for index, found in enumerate(bins)
    )
    variance = math.fsum((found.rows / rows) ** 2 * found.variance for found in bins)
    return within_unit(math.fsum(right) / rows, math.sqrt(variance), rows)


def expected_area(bins: Sequence[Bin], _: int = 0) -> Interval:
    """Area under the ROC curve of the binned scores, when rows turn out positive at each bin's rate.

    Delta method: one more positive row in a bin instead of a negative one is right about the negatives below, is missed
    by the positives above, and changes the number of pairs. 0.5 and everything possible when only one class is expected.
    """
    positives = [found.rows * found.rate for found in bins]
    placed = roc.placements(positives, [found.rows * (1 - found.rate) for found in bins])
    rows = sum(found.rows for found in bins)
    pairs = placed.positives * placed.negatives
    if not pairs:
        return Interval(0.5, 0.0, 1.0, rows)
    value = roc.area(positives, placed)
    slope = value * (1 / placed.positives - 1 / placed.negatives)
    placings = zip(placed.negatives_below, placed.positives_above, strict=True)
    gradients = [(below - above) / pairs - slope for below, above in placings]
    variance = math.fsum((g * found.rows) ** 2 * found.variance for g, found in zip(gradients, bins, strict=True))
    return within_unit(value, math.sqrt(variance), rows)


_ESTIMATES: dict[Metric, Callable[[Sequence[Bin], int], Interval]] = {
    Metric.ACCURACY: expected_accuracy,
    Metric.ROC_AUC: expected_area,
}
