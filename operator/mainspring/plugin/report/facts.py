"""What a report says, as data; `-o json` prints it as it is. Every other form is made of this."""

from __future__ import annotations

from enum import StrEnum

from mainspring.api.v1alpha1.common import ApiModel
from mainspring.api.v1alpha1.modelmonitor import Performance, PerformanceStatus
from mainspring.api.v1alpha1.retraining import Need, RetrainEntry


class Tone(StrEnum):
    """How the verdict is meant. Unknown is not well."""

    WELL = "Well"
    ATTENTION = "Attention"
    BAD = "Bad"
    UNKNOWN = "Unknown"


class Bar(ApiModel):
    """A bin: its name, and the shares of rows in it. `special` bins hold no value: missing, unseen, other."""

    name: str
    reference: float
    now: float
    special: bool = False


class Subject(ApiModel):
    """A feature, or the prediction, in the last judged window. `edges` lie between the bars of a histogram."""

    name: str
    is_prediction: bool = False
    psi: float
    threshold: float
    p_value: float
    drifted: bool
    exceeds: bool  # in this window; drifted needs two
    since: str | None = None
    explanation: str  # without the name
    edges: list[str] | None = None
    bars: list[Bar]
    rows: int
    reference_rows: int


class Defect(ApiModel):
    """A check of one column. Shares are of rows."""

    column: str
    check: str
    now: float
    reference: float
    allowed: float
    degraded: bool


class Moved(ApiModel):
    psi: float
    threshold: float
    drifted: bool


class WindowFacts(ApiModel):
    """A window of the history; `performance` is that of the season up to its end."""

    number: int
    start: str
    end: str
    version: str
    rows: int
    labels: int
    judged: bool
    inputs_degraded: bool
    performance: PerformanceStatus | None = None
    moved: dict[str, Moved]  # by feature; the prediction is ""


class RetrainFacts(ApiModel):
    entry: RetrainEntry
    message: str = ""  # the evidence at that time


class ConditionFacts(ApiModel):
    type: str
    status: str
    reason: str
    message: str


class Report(ApiModel):
    """`verdict` is one sentence; `changed` and `done` are what a manager wants to know next."""

    monitor: str
    namespace: str
    generated: str
    mainspring: str  # version of the program that made it
    service: str
    model: str | None = None
    owner: str | None = None
    description: str | None = None
    version: str | None = None
    serving_since: str | None = None
    tone: Tone
    verdict: str
    changed: list[str]
    done: list[str]
    asked: Performance | None = None
    performance: PerformanceStatus | None = None
    window: WindowFacts | None = None  # the last one
    judged: str | None = None  # which window `subjects` are about
    drifted: int | None = None
    compared_with: str
    subjects: list[Subject]
    defects: list[Defect]
    need: Need | None = None
    retrains: list[RetrainFacts]
    windows: list[WindowFacts]
    conditions: list[ConditionFacts]
    notes: list[str]
