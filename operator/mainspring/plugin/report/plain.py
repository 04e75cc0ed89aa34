"""The report for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from mainspring.plan.statistics.bins import percent
from mainspring.plugin import tables
from mainspring.plugin.report import svg
from mainspring.plugin.report.facts import Report, Tone

WIDTH = 100
SUBJECTS_SHOWN = 10
TONES = {Tone.WELL: "WELL", Tone.ATTENTION: "ATTENTION", Tone.BAD: "BAD", Tone.UNKNOWN: "NOT KNOWN"}


def render(report: Report) -> str:
    return "\n".join(line for part in PARTS for line in part(report)) + "\n"


def _verdict(report: Report) -> Iterable[str]:
    yield f"Model {report.model or report.service}, monitor {report.namespace}/{report.monitor}, {report.generated}"
    yield ""
    yield from _wrapped(f"{TONES[report.tone]}: {report.verdict}")


def _lists(report: Report) -> Iterable[str]:
    for title, sentences in (("What changed", report.changed), ("What was done about it", report.done)):
        yield from ("", title)
        for sentence in sentences:
            yield from _wrapped(f"- {sentence}", "  ")


def _subjects(report: Report) -> Iterable[str]:
    if not report.subjects:
        return
    yield from ("", *_wrapped(f"Compared is {report.judged}, with {report.compared_with}."))
    rows = [
        (tables.safe(s.name), f"{s.psi:.3f}", f"{s.threshold:.3f}", "drifts" if s.drifted else "", s.since or "")
        for s in report.subjects[:SUBJECTS_SHOWN]
    ]
    yield from tables.aligned(("FEATURE", "PSI", "THRESHOLD", "DRIFT", "SINCE"), rows)


def _defects(report: Report) -> Iterable[str]:
    if not report.defects:
        return
    yield ""
    rows = [
        (d.column, d.check, percent(d.now), percent(d.reference), "too many" if d.degraded else "")
        for d in report.defects[:SUBJECTS_SHOWN]
    ]
    yield from tables.aligned(("COLUMN", "WRONG", "NOW", "REFERENCE", ""), rows)


def _retrains(report: Report) -> Iterable[str]:
    if not report.retrains:
        return
    yield ""
    rows = [
        (e.time, str(e.reason), e.outcome, e.version or "", str(e.new_rows), e.run)
        for e in (told.entry for told in report.retrains)
    ]
    yield from tables.aligned(("RETRAINED", "REASON", "OUTCOME", "VERSION", "NEW ROWS", "RUN"), rows)


def _notes(report: Report) -> Iterable[str]:
    for note in report.notes:
        yield from ("", *_wrapped(note))


PARTS = (_verdict, _lists, _subjects, _defects, _retrains, _notes)


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(tables.safe(svg.readable(text)), WIDTH, subsequent_indent=indent) or [""]
