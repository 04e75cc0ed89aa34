"""The contract between the operator and the servers of a service about a rollout.

Every server mounts one ConfigMap of its service at `SPLIT_DIR`. The operator writes a `Split` under the key `SPLIT_KEY`;
the pods of the revision that it names send a share of their requests to the candidate, all others ignore it. The kubelet
brings a change into the pod within a second when the pod's annotation `ANNOTATION_SPLIT` changes, else within a minute;
a pod that starts in the middle of a rollout has it from its first request. No operator is needed for any of this.

`GET /split/snapshot` on the internal port answers with a `SplitSnapshot`: what is applied, and what was counted. As in
`monitoring`, a server counts since its start and never forgets while the same rollout goes on, so whoever reads takes
differences; counts of several servers add up, stage by stage.
"""

from __future__ import annotations

import hashlib
from itertools import accumulate, repeat

from mainspring.api.v1alpha1.common import GROUP, ApiModel

SPLIT_KEY = "split.json"
SPLIT_DIR = "/etc/mainspring/split"
ANNOTATION_SPLIT = f"{GROUP}/split"  # on pods: `Split.digest` of what they shall apply
SNAPSHOT_PATH = "/split/snapshot"
FORMAT = 1

# Headers between the servers of a service; a server that forwards sets the first two itself and passes none of a
# caller's on. A caller that sets them only takes its own request out of the split, or says the second in vain.
FORWARDED_HEADER = b"mainspring-forwarded"  # the revision that forwards; whoever gets it answers itself
SHADOW_HEADER = (
    b"mainspring-shadow"  # beside the first, a copy: it is answered, and counted nowhere as a user's request
)
SECONDS_HEADER = (
    b"mainspring-seconds"  # in the answer to a forwarded request: from complete request to answer, in the server
)

# Upper bounds of the latency buckets: 50 µs × 1.1^i, up to 10.4 s; one more bucket is above all of them.
SECONDS_FIRST = 50e-6
SECONDS_GROWTH = 1.1
SECONDS_BOUNDS = tuple(
    accumulate(repeat(SECONDS_GROWTH, 128), lambda bound, growth: bound * growth, initial=SECONDS_FIRST)
)


def digest(content: bytes) -> str:
    """Of the file: pods say it of what they apply."""
    return hashlib.sha256(content).hexdigest()[:16]


class Split(ApiModel):
    """What the pods of `revision` do with requests. `weight` and `mirror` are percent, 0 to 100."""

    format: int = FORMAT
    revision: str  # of the stable pods
    rollout: str  # which rollout; counts of another one begin at nothing
    stage: int = 0  # counts are kept by stage, since shares of different times must not be mixed
    host: str  # of the candidate's Service
    port: int
    candidate_revision: str
    weight: int = 0
    mirror: int = 0  # of the requests that are kept; answers are compared and never returned
    match: dict[str, str] = {}  # headers, by lower-case name: all of them equal sends a request to the candidate
    sticky_header: str | None = None  # lower-case
    sticky_cookie: str | None = None
    tolerance: float = 0.001  # standard deviations by which numbers may differ


class ArmCounts(ApiModel):
    """Requests that fell to one revision. A request that the candidate failed is one of its errors although the stable
    pod then answered it; requests that both refuse (4xx) are errors of neither."""

    requests: int = 0
    errors: int = 0
    failures: dict[str, int] = {}  # errors by kind: timeout, unreachable, broken, unavailable, or the HTTP status
    # Bucket of `SECONDS_BOUNDS` to requests. A time-out is in the last one, and no error when the stable pod then took as
    # long itself; what had no time in a server is in none
    # (unreachable, broken, unavailable); whoever went away before the answer waited so long at least.
    seconds: dict[int, int] = {}


class StageCounts(ApiModel):
    stage: int
    stable: ArmCounts = ArmCounts()  # drawn for the stable revision
    candidate: ArmCounts = ArmCounts()  # drawn for the candidate
    matched: ArmCounts = ArmCounts()  # sent to the candidate by `match`
    mirrored: ArmCounts = ArmCounts()  # copies
    compared: int = 0  # rows of copies whose answers were compared
    disagreed: int = 0  # of these, answered differently
    skipped: int = 0  # copies that were not made, since too many were under way


class SplitSnapshot(ApiModel):
    format: int = FORMAT
    revision: str  # of this pod
    epoch: str  # another one after each start
    final: bool = False  # the server answers nobody any more
    applied: str = ""  # digest of the file that is applied; empty without one
    reason: str | None = None  # why the file is not applied
    rollout: str = ""  # whose counts these are
    stages: list[StageCounts] = []  # at most the last 256
