"""The contract between a model server and whoever watches it: what `GET /monitor/...` on the internal port answers.

A server counts since its start and never forgets, so whoever reads takes differences: of the counts of one `epoch`,
which is another one after each start. Counts of several servers of one version add up. The bins are those of the
version's `profile.json`: equal `digest` means equal bins.

`GET /monitor/reference` does not change while a server lives; `GET /monitor/snapshot` is what was counted so far.
"""

from __future__ import annotations

from typing import Literal

from mainspring.api.v1alpha1.common import ApiModel

SNAPSHOT_PATH = "/monitor/snapshot"
REFERENCE_PATH = "/monitor/reference"
FORMAT = 1

FEEDBACK_OUTPUT = "feedback_token"  # requested like any other output: one BYTES token a row


class ReferenceColumn(ApiModel):
    """A column of the reference rows. `counts` has one number for each bin; missing values are in no bin.

    Numbers (Float, Integer, Boolean, Timestamp in days since 1970): a value is in bin
    `searchsorted(edges, value, side="right")`, so there is one bin more than edges. Categories: one bin each, and a last
    one for all others. A String has no bins: only missing values are counted.
    """

    name: str
    kind: str
    edges: list[float] | None = None
    categories: list[str] | None = None
    counts: list[int] = []
    missing: int = 0
    unseen: int = 0
    out_of_range: int = 0


class Calibration(ApiModel):
    """Of out-of-fold probabilities, by bin of the prediction: how many, their sum, and how many rows are positive.

    They are of all training rows, also where `ReferencePrediction.counts` are of the newest rows.
    """

    rows: list[int]
    predicted: list[float]
    positives: list[int]


class ReferencePrediction(ApiModel):
    """The watched output: the probability of the positive class, a predicted number, or a predicted class."""

    output: str
    source: Literal["OutOfFold", "HeldOut"]
    rows: int
    edges: list[float] | None = None
    classes: list[str] | None = None  # of `predict`, in the order of the bins
    counts: list[int]
    positive: str | None = None  # the class whose probability is watched
    threshold: float | None = None
    calibration: Calibration | None = None


class Reference(ApiModel):
    """What rows looked like when the version was trained: the newest rows if they have a timestamp, else those of training.

    A version without a profile, or with one that the server cannot read, has no columns, and a `reason`.
    """

    format: int = FORMAT
    model: str
    version: str
    digest: str
    rows_of: Literal["newest", "train"]
    rows: int
    reason: str | None = None  # why nothing but rows is counted
    columns: list[ReferenceColumn]
    prediction: ReferencePrediction | None = None
    task: Literal["Classification", "Regression"] | None = None
    classes: list[str] | None = None  # all classes, in the order of the confusion counts
    key: str | None = None  # the Dataset's key, which callers may send along for the payload log


class ColumnCounts(ApiModel):
    """What was counted of one column: as in `ReferenceColumn`. Unseen values and values out of range are in a bin, too."""

    name: str
    counts: list[int] = []
    missing: int = 0
    unseen: int = 0
    out_of_range: int = 0
    coerced: int = 0


class LabelMoments(ApiModel):
    """Further sums over labelled rows, for the spread of R² alone. `rows` is less than those of `ErrorSums` when some
    server does not count them; then they are of no use."""

    rows: int
    third: float  # of labels cubed
    fourth: float
    squared_errors_labels: float  # squared error times label
    squared_errors_labels_squared: float


class ErrorSums(ApiModel):
    """Of prediction minus label, over labelled rows; the sums from which MAE, RMSE and R², and their spread, follow."""

    rows: int
    absolute: float
    squared: float
    fourth: float
    labels: float
    labels_squared: float
    moments: LabelMoments | None = None


class FeedbackCounts(ApiModel):
    """What labels said about predictions of one version. Every label counts once for each row."""

    rows: int = 0
    refused: int = 0  # unknown, too old or forged tokens, and labels that are no class
    repeated: int = 0  # a token that was counted already
    correct: int | None = None  # classification: labels that the prediction agreed with
    confusion: list[list[int]] | None = None  # [predicted class][true class], up to 20 classes
    score_rows: list[int] | None = None  # labelled rows by bin of the prediction
    score_positives: list[int] | None = None  # of these, the positive ones
    errors: ErrorSums | None = None  # regression


class PayloadCounts(ApiModel):
    """What became of the rows that were to be logged. They need not add up: some wait for their part to be written."""

    written: int = 0  # rows, in the artifact store
    dropped: int = 0  # rows, because the store was slow or away
    parts: int = 0
    failures: int = 0  # attempts to write a part
    reason: str | None = None  # why nothing is logged


class Snapshot(ApiModel):
    """Everything counted since the start of this server."""

    format: int = FORMAT
    model: str
    version: str
    digest: str
    epoch: str
    started: str  # RFC 3339
    final: bool = False  # the server answers nobody any more, and these counts will not change
    reason: str | None = None  # why nothing but rows is counted
    rows: int  # rows that were predicted for users
    columns: list[ColumnCounts]
    prediction: list[int] | None = None  # rows by bin of the watched output
    predicted: list[int] | None = None  # rows by predicted class, in the order of `Reference.classes`
    feedback: FeedbackCounts | None = None  # labels of predictions of this version, wherever they were made
    other_feedback: dict[str, FeedbackCounts] = {}  # by version: labels of other versions that came to this server
    payloads: PayloadCounts | None = None  # with a payload log
