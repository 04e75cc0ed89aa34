"""What there is to learn for a model: rows with a target that are newer than the version that it was trained on.

Each DatasetVersion tells what was new since the one before, so what is new since any version is a sum over the chain.
`total`, which each version carries on from the one before, bridges versions that are gone. Asked by whoever decides
whether a training is worth its while.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mainspring.api.v1alpha1.datasetversion import DatasetVersionSpec
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object


@dataclass(frozen=True)
class Evidence:
    """`rows` that are new; `exact`: whether every version in between is known, otherwise there are at least so many."""

    rows: int
    exact: bool

    def __str__(self) -> str:
        return f"{self.rows} new labelled rows" if self.exact else f"at least {self.rows} new labelled rows"


@dataclass(frozen=True)
class Step:
    """A version of the chain, the newest first."""

    name: str
    spec: DatasetVersionSpec

    @property
    def since(self) -> str:
        """The version before; empty in the first one."""
        return self.spec.new_rows.since if self.spec.new_rows else ""

    @property
    def rows(self) -> int:
        return self.spec.new_rows.rows if self.spec.new_rows else 0

    @property
    def total(self) -> int:
        return self.spec.new_rows.total if self.spec.new_rows else 0


def new_rows_since(
    versions: Sequence[Object], current: str, *, trained_on: str = "", data_cut: str | None = None
) -> Evidence:
    """Labelled rows in the version named `current` that were new after the one named `trained_on`.

    A model from elsewhere names no version of ours: `data_cut` (RFC 3339, the newest timestamp that it has seen) then
    gives at least a lower bound. `versions` are DatasetVersions of one Dataset, in any order; some may be gone.
    """
    steps = {objects.name(v): _step(v) for v in versions}
    chain = tuple(_chain(steps, current))
    if trained_on in steps or any(trained_on and step.since == trained_on for step in chain):
        return _between(steps, chain, trained_on)
    if data_cut is not None:
        chain = tuple(step for step in chain if _is_after(steps.get(step.since), data_cut))
    return Evidence(sum(step.rows for step in chain), exact=False)


def _step(version: Object) -> Step:
    return Step(objects.name(version), DatasetVersionSpec.model_validate(objects.spec(version)))


def _chain(steps: Mapping[str, Step], current: str) -> Iterator[Step]:
    """From `current` back to the first version, or to a gap. Each version is met once, whatever somebody wrote."""
    seen: set[str] = set()
    while current in steps and current not in seen:
        seen.add(current)
        yield steps[current]
        current = steps[current].since


def _between(steps: Mapping[str, Step], chain: Sequence[Step], base: str) -> Evidence:
    """The sum after `base`; over a gap the difference of the totals, which is exact if `base` is in the chain."""
    found = 0
    for step in chain:
        if step.name == base:
            return Evidence(found, exact=True)
        found += step.rows
        if step.since == base:
            return Evidence(found, exact=True)
    return Evidence(max(0, (chain[0].total if chain else 0) - steps[base].total), exact=False)


def _is_after(before: Step | None, data_cut: str) -> bool:
    """Whether what followed on `before` is all newer than the cut; of a version that is gone nobody knows."""
    if before is None or before.spec.data_cut is None:
        return False
    return objects.parse_time(before.spec.data_cut) >= objects.parse_time(data_cut)
