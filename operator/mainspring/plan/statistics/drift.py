"""The one drift rule: a feature drifts when the difference is certain, large, and there twice in a row.

Certain: the two-sample chi-squared test on its bins is significant after Holm's correction over all features and the
prediction, at family level 0.001. Large: PSI is above the floor of the sensitivity and above what chance gives for
these very counts. Twice: in two consecutive windows. Called by the plan of a ModelMonitor when a window closes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from mainspring.api.monitoring import Reference
from mainspring.plan.statistics import bins, divergence
from mainspring.plan.statistics.bins import percent
from mainspring.plan.statistics.counts import WindowCounts
from mainspring.plan.statistics.divergence import Homogeneity, Samples

FAMILY_ALPHA = 0.001
FLOORS = {"Low": 0.2, "Normal": 0.1, "High": 0.05}  # of PSI, by sensitivity
CONSECUTIVE = 2
PREDICTION = ""  # the name of the prediction among features; no column is called so


@dataclass(frozen=True)
class Streak:
    """Consecutive windows in which a feature exceeded the rule. `since` is the first of them."""

    since: str
    windows: int


@dataclass(frozen=True)
class FeatureDrift:
    """What one window says about one feature, or about the prediction (`PREDICTION`).

    `degrees` is 0 when nothing could be compared: a constant column, or no rows. `js` is the Jensen-Shannon distance.
    """

    name: str
    statistic: float
    degrees: int
    p: float
    adjusted_p: float
    psi: float
    threshold: float
    js: float
    exceeds: bool
    streak: Streak | None
    explanation: str

    @property
    def drifted(self) -> bool:
        return self.streak is not None and self.streak.windows >= CONSECUTIVE

    @property
    def since(self) -> str | None:
        """The window in which the drift was first seen; None while there is none."""
        return self.streak.since if self.streak and self.drifted else None


@dataclass(frozen=True)
class _Compared:
    """A subject before all p-values are known."""

    name: str
    samples: Samples
    test: Homogeneity
    psi: float
    threshold: float
    name_of: Callable[[int], str]


def judge(
    reference: Reference,
    window: WindowCounts,
    streaks: Mapping[str, Streak],
    at: str,
    floor: float = FLOORS["Normal"],
    exclude: Collection[str] = (),
) -> tuple[FeatureDrift, ...]:
    """The features in the reference's order, then the prediction if there is one.

    `streaks` are those of the window before (`streaks_of`), `at` names this window. Raises ValueError when the window was
    counted with the bins of another reference.
    """
    if window.digest != reference.digest:
        raise ValueError(f"the window was counted with bins {window.digest}, the reference has {reference.digest}")
    compared = list(_compared(reference, window, floor, exclude))
    adjusted = divergence.holm([subject.test.p for subject in compared])
    return tuple(_verdict(subject, p, streaks, at) for subject, p in zip(compared, adjusted, strict=True))


def streaks_of(verdicts: Iterable[FeatureDrift]) -> dict[str, Streak]:
    """What has to be kept for the next window."""
    return {verdict.name: verdict.streak for verdict in verdicts if verdict.streak}


def worst(verdicts: Iterable[FeatureDrift], count: int) -> list[FeatureDrift]:
    """Drifted ones first, then those furthest above their threshold."""
    return sorted(verdicts, key=lambda v: (not v.drifted, not v.exceeds, v.threshold - v.psi, v.name))[:count]


def _compared(
    reference: Reference, window: WindowCounts, floor: float, exclude: Collection[str]
) -> Iterable[_Compared]:
    counted = {column.name: column for column in window.columns}
    for column in reference.columns:
        if column.name in counted and column.name not in exclude:
            samples = bins.of_column(reference, column, counted[column.name], window.rows)
            yield _compare(column.name, samples, floor, partial(bins.name_of, column))
    prediction = reference.prediction
    if prediction is not None and window.prediction is not None:
        samples = bins.of_prediction(prediction, window.prediction)
        yield _compare(PREDICTION, samples, floor, partial(bins.name_of_prediction, prediction))


def _compare(name: str, samples: Samples, floor: float, name_of: Callable[[int], str]) -> _Compared:
    dense = divergence.pooled(samples)
    return _Compared(
        name=name,
        samples=samples,
        test=divergence.homogeneity(dense),
        psi=divergence.psi(dense),
        threshold=max(floor, divergence.psi_null_value(dense)),
        name_of=name_of,
    )


def _verdict(subject: _Compared, adjusted_p: float, streaks: Mapping[str, Streak], at: str) -> FeatureDrift:
    exceeds = adjusted_p <= FAMILY_ALPHA and subject.psi > subject.threshold
    return FeatureDrift(
        name=subject.name,
        statistic=subject.test.statistic,
        degrees=subject.test.degrees,
        p=subject.test.p,
        adjusted_p=adjusted_p,
        psi=subject.psi,
        threshold=subject.threshold,
        js=divergence.jensen_shannon(subject.samples),
        exceeds=exceeds,
        streak=_extended(streaks.get(subject.name), at) if exceeds else None,
        explanation=_explanation(subject, adjusted_p),
    )


def _extended(streak: Streak | None, at: str) -> Streak:
    return Streak(streak.since, streak.windows + 1) if streak else Streak(at, 1)


def _explanation(subject: _Compared, adjusted_p: float) -> str:
    """For example: mean_radius: PSI 0.34 over 0.10; 31 % of rows above 20.1, 4 % in the reference."""
    title = subject.name if subject.name != PREDICTION else "prediction"
    if not subject.test.degrees:
        return f"{title}: nothing to compare: {_why_nothing(subject.samples)}"
    side = "over" if subject.psi > subject.threshold else "under"
    chance = "" if side == "under" or adjusted_p <= FAMILY_ALPHA else f", which chance explains (p {adjusted_p:.2g})"
    return f"{title}: PSI {subject.psi:.2f} {side} {subject.threshold:.2f}{chance}; {_moved_most(subject)}"


def _why_nothing(samples: Samples) -> str:
    first, second = samples.sizes
    if not first or not second:
        return "no rows in the window" if first else "no rows in the reference"
    return "all rows are in one bin"


def _moved_most(subject: _Compared) -> str:
    """The bin that adds most to the PSI."""
    index = _largest(divergence.psi_parts(subject.samples))
    first, second = subject.samples.sizes
    share = percent(subject.samples.window[index] / second)
    earlier = percent(subject.samples.reference[index] / first)
    return f"{share} of rows {subject.name_of(index)}, {earlier} in the reference"


def _largest(values: Sequence[float]) -> int:
    return max(range(len(values)), key=values.__getitem__)
