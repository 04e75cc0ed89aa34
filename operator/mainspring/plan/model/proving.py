"""A candidate is proved by one service before it may be champion: `promotion.provenBy`.

    waits ──passed its gates──► status.proving ──the service promoted it──► champion; all other followers roll out
      ▲                          │        │
      │                          │        └──it rolled back, failed, was aborted; or no verdict in time──► rejected
      └──the service cannot prove─┘
         (gone, stopped, follows something else), or other words in spec.promotion

The service follows `status.proving` as others follow the champion, and its rollout is the only judge. There is at most
one candidate at a service; newer ones wait, and when there is a verdict the newest one is next. A candidate is sent only
to a service that is there and can prove it, and is taken back when that changes: nothing is rejected because an object
is missing, and the deadline runs only while there is somebody to come to a verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mainspring.api.v1alpha1.inferenceservice import ModelRef
from mainspring.api.v1alpha1.model import Promotion, PromotionMode, Proving
from mainspring.plan.common import conditions, gates, objects
from mainspring.plan.common import proving as records
from mainspring.plan.common.conditions import Verdict
from mainspring.plan.common.objects import Object
from mainspring.plan.model import candidates
from mainspring.plan.model.decisions import (
    DEADLINE_EXCEEDED,
    OPERATOR,
    PIN,
    ROLLED_BACK_BY_PIN,
    ROLLED_OUT,
    Decision,
    Move,
    Rejection,
    Sending,
)
from mainspring.plan.model.observed import Observed

VERDICTS = ("Promoted", "RolledBack", "Failed", "Aborted")  # a superseded rollout has come to none
WORDS_MAX = 256


@dataclass(frozen=True)
class Ruling:
    """What the service came to, and its words."""

    outcome: str
    message: str


def decide(observed: Observed, before: Object | None, now: datetime) -> Decision | None:
    """What comes next for the candidates of a Model that is proven by a service; None: wait."""
    going = still_going(observed, before)
    if going is None:
        return _send(observed, before)
    version = candidates.version(observed, going.version)
    assert version is not None  # it is still open
    found = _ruling(observed, going)
    if found is None:
        return _overdue(observed, going, version, now)
    if found.outcome != records.PROMOTED:
        return Rejection(version, found.outcome, OPERATOR, found.message)
    if not candidates.may_be_promoted(observed, version, before):
        return None  # the gates changed meanwhile, or its signature is asked for
    return Move(version, ROLLED_OUT, OPERATOR, found.message)


def _send(observed: Observed, before: Object | None) -> Sending | None:
    found = candidates.candidate(observed, before)
    if found is None or obstacle(observed) is not None or not candidates.may_be_promoted(observed, found, before):
        return None
    return Sending(found, str(observed.spec.promotion.proven_by))


def taken_back(observed: Observed) -> Rejection | None:
    """A pin on the champion while another version is being proved says no to that one."""
    found = told(observed)
    version = candidates.version(observed, found.version) if found else None
    if version is None or gates.rejected(version) or observed.spec.promotion.mode == PromotionMode.MANUAL:
        return None
    return Rejection(version, ROLLED_BACK_BY_PIN, PIN, "spec.aliases.champion was pinned meanwhile")


def is_asked(observed: Observed) -> bool:
    """Candidates go to a service first: nothing else decides who is champion."""
    promotion: Promotion = observed.spec.promotion
    pinned = records.CHAMPION in (observed.spec.aliases or {})
    return promotion.proven_by is not None and promotion.mode == PromotionMode.AUTOMATIC and not pinned


def told(observed: Observed) -> Proving | None:
    """What status says; when that was lost, what the versions remember."""
    status = objects.status(observed.object)
    if "proving" in status:
        return Proving.model_validate(status["proving"])
    return None if status.get("conditions") else _remembered(observed)


def _remembered(observed: Observed) -> Proving | None:
    found = ((records.record(v), v) for v in observed.versions)
    undecided = [
        Proving(version=objects.name(v), service=r.service, since=r.since)
        for r, v in found
        if r is not None and not r.outcome
    ]
    return max(undecided, key=lambda p: p.since, default=None)


def still_going(observed: Observed, before: Object | None) -> Proving | None:
    """What is being proved, as long as it makes sense: the service can do it, and nothing speaks against the version."""
    found = told(observed)
    if found is None or not is_asked(observed) or found.service != observed.spec.promotion.proven_by:
        return None
    names = {objects.name(v) for v in candidates.still_open(observed, before)}
    return found if found.version in names and obstacle(observed) is None else None


def obstacle(observed: Observed) -> Verdict | None:
    """Why the service that is to prove cannot, and what to do."""
    name, model, service = observed.spec.promotion.proven_by, objects.name(observed.object), observed.prover
    if service is None or objects.is_deleting(service):
        text = f"waits for InferenceService {name} (spec.promotion.provenBy): create it, or correct the name"
        return conditions.reconciling("ProvingServiceNotFound", text)
    what = ModelRef.model_validate(objects.spec(service)["model"])
    if not records.follows(what, model):
        text = f"InferenceService {name} (spec.promotion.provenBy) cannot prove versions of this Model, since it {_goes_where(what)}: set its spec.model to {{name: {model}}}, or name another service"
        return conditions.stalled("ProvingServiceDoesNotFollow", text)
    if objects.spec(service).get("stop") or objects.spec(service).get("replicas") == 0:
        text = f"InferenceService {name} (spec.promotion.provenBy) is stopped: candidates wait until its spec.stop is false and its spec.replicas is not 0"
        return conditions.ready("ProvingServiceStopped", text)
    return None


def _goes_where(what: ModelRef) -> str:
    if what.version:
        return f"stays on {what.version}"
    return f"follows Model {what.name}" + (f" by alias {what.alias}" if what.alias else "")


def _ruling(observed: Observed, proving: Proving) -> Ruling | None:
    """The verdict of the service since the version was sent there; what serves has won, however it is told."""
    status = objects.status(observed.prover or {})
    since = objects.parse_time(proving.since)
    if status.get("stableVersion") == proving.version:
        return Ruling(records.PROMOTED, f"InferenceService {proving.service} serves it")
    for entry in reversed(status.get("rollouts") or ()):
        mine = entry["version"] == proving.version and entry["outcome"] in VERDICTS
        if mine and objects.parse_time(entry["time"]) >= since:
            return Ruling(entry["outcome"], f"InferenceService {proving.service}: {_words(entry, status)}"[:WORDS_MAX])
    return None


def _words(entry: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    """The entry's reason, with the whole message if that is still known."""
    reason = str(entry.get("reason") or entry["outcome"])
    failure = status.get("lastFailure") or {}
    same = failure.get("version") == entry["version"] and failure.get("reason") == reason
    return f"{reason}: {failure['message']}" if same else reason


def _overdue(observed: Observed, proving: Proving, version: Object, now: datetime) -> Rejection | None:
    if seconds_left(observed, proving, now) > 0:
        return None
    text = f"InferenceService {proving.service} came to no verdict within {observed.spec.promotion.candidate_deadline}"
    return Rejection(version, DEADLINE_EXCEEDED, OPERATOR, text)


def seconds_left(observed: Observed, proving: Proving, now: datetime) -> float:
    """Until the deadline."""
    limit = objects.parse_duration(observed.spec.promotion.candidate_deadline)
    return (objects.parse_time(proving.since) + limit - now).total_seconds()


def describe(observed: Observed, proving: Proving, waiting: Object | None) -> str:
    """Where the candidate is, and who waits for it."""
    text = f"{proving.version} is being proved by InferenceService {proving.service}, since {proving.since}"
    if _ruling(observed, proving) is not None:
        text += ", and was rolled out; it has to pass the gates as they are now"
    if waiting is None or objects.name(waiting) == proving.version:
        return text
    return f"{text}; {objects.name(waiting)} waits for the verdict"
