"""What a Model decides once: each is in its status before anything follows it."""

from __future__ import annotations

from dataclasses import dataclass

from mainspring.plan.common.objects import Object

CHAMPION, REJECTED = "Champion", "Rejected"  # `to` of an entry of the history
PINNED, GATES_PASSED, ROLLED_OUT = "Pinned", "GatesPassed", "RolledOut"
ROLLED_BACK_BY_PIN = "RolledBackByPin"
DEADLINE_EXCEEDED = "CandidateDeadlineExceeded"
OPERATOR, PIN = "mainspring", "spec.aliases"  # `actor`


@dataclass(frozen=True)
class Move:
    """The champion changes to `version`."""

    version: Object
    reason: str  # GatesPassed | Pinned | RolledOut
    actor: str = OPERATOR
    message: str = ""


@dataclass(frozen=True)
class Sending:
    """`version` goes to the service that is to prove it; the champion stays."""

    version: Object
    service: str


@dataclass(frozen=True)
class Rejection:
    """`version`, which was being proved, is never promoted by the automation."""

    version: Object
    reason: str  # an Outcome of its rollout, CandidateDeadlineExceeded, or RolledBackByPin
    actor: str = OPERATOR
    message: str = ""


Decision = Move | Sending | Rejection
