"""A reading out of what Prometheus has: what each process of the pods counted up to its last scrape.

A process is known by its pod and the moment it started. One that Kubernetes has no more, and that Prometheus does not
follow any more, has said its last word; so has the process before a restart. Answers may lag behind what was read
before (two replicas of Prometheus): less than that is no news.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mainspring.api.monitoring import Reference, Snapshot
from mainspring.plan.modelmonitor import series
from mainspring.plan.modelmonitor.observed import Reading
from mainspring.plan.modelmonitor.series import Target

SEPARATOR = "/"  # between a pod and the start of a process in it, which is not the first that was read


@dataclass(frozen=True)
class Found:
    """By pod: what its newest process counted, or why that is not known."""

    snapshots: Mapping[str, Snapshot]
    followed: frozenset[str]  # pods that are scraped still
    problems: Mapping[str, str]
    left_out: int = 0


def find(targets: Mapping[str, Target]) -> Found:
    snapshots, problems = {}, {}
    for pod, target in targets.items():
        try:
            snapshots[pod] = series.snapshot(target)
        except series.SeriesError as error:
            problems[pod] = str(error)
        except (ValueError, OverflowError):
            problems[pod] = "its series have values that are no counts"
    followed = frozenset(pod for pod, target in targets.items() if target.followed)
    return Found(snapshots, followed, problems, max(map(series.left_out, targets.values()), default=0))


def newest(seen: Mapping[str, Snapshot], last: Mapping[str, Snapshot]) -> dict[str, Snapshot]:
    """What was read of the counted processes last, which is more than what is written down."""
    return {
        key: _later(before, last[key]) if key in last and last[key].epoch == before.epoch else before
        for key, before in seen.items()
    }


def restarted(found: Found, seen: Mapping[str, Snapshot]) -> dict[str, float]:
    """Pods with a process before the one that was found whose last word may not be known, and when that one started."""
    return {
        pod: float(found.snapshots[pod].epoch)
        for key, before in seen.items()
        if (pod := _pod(key)) in found.snapshots and float(found.snapshots[pod].epoch) > _started(before)
    }


def _started(snapshot: Snapshot) -> float:
    try:
        return float(snapshot.epoch)
    except ValueError:
        return float("inf")  # of a server of an earlier version


def reading(
    found: Found,
    pods: Collection[str],
    seen: Mapping[str, Snapshot],
    last_words: Mapping[str, Snapshot],
    reference: Reference | None,
) -> Reading:
    """`pods` are those that Kubernetes has, `last_words` those of processes before a restart, by pod."""
    snapshots: dict[str, Snapshot] = {}
    gone: dict[str, Snapshot] = {}
    for key, snapshot in _keyed(found, pods, seen).items():
        (snapshots if _speaks(_pod(key), found, pods) else gone)[key] = snapshot
    for key, before in seen.items():
        if key not in snapshots and key not in gone and (_pod(key) not in pods or _pod(key) in found.snapshots):
            last = last_words.get(_pod(key), before)
            gone[key] = _later(before, last) if last.epoch == before.epoch else before
    return Reading(
        snapshots=snapshots,
        gone=gone,
        silent={pod: _why(pod, found) for pod in pods if pod not in found.followed or pod in found.problems},
        reference=reference,
        note=_note(found.left_out),
    )


def _keyed(found: Found, pods: Collection[str], seen: Mapping[str, Snapshot]) -> dict[str, Snapshot]:
    """Those that are there, or were counted before; each under the name by which its process was counted."""
    keyed = {}
    for pod, snapshot in found.snapshots.items():
        keys = [key for key in seen if _pod(key) == pod]
        if pod not in pods and not keys:
            continue
        known = next((key for key in keys if seen[key].epoch == snapshot.epoch), None)
        new = pod if pod not in keys else f"{pod}{SEPARATOR}{snapshot.epoch}"
        keyed[known or new] = snapshot if known is None else _later(seen[known], snapshot)
    return keyed


def _pod(key: str) -> str:
    return key.partition(SEPARATOR)[0]


def _speaks(pod: str, found: Found, pods: Collection[str]) -> bool:
    return pod in pods or pod in found.followed


def _later(before: Snapshot, now: Snapshot) -> Snapshot:
    return now if _total(now) >= _total(before) else before


def _total(snapshot: Snapshot) -> int:
    """It only grows, with everything that a server counts."""
    labels = snapshot.feedback
    return snapshot.rows + (labels.rows + labels.repeated + labels.refused if labels else 0)


def _why(pod: str, found: Found) -> str:
    return found.problems.get(pod, "Prometheus does not scrape it")


def _note(left_out: int) -> str:
    if not left_out:
        return ""
    return (
        f"{left_out} features have no series of their own and are not watched (spec.source Direct watches all of them)"
    )
