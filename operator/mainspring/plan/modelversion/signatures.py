"""What a Model asks of signatures, and what is known of this version's.

An annotation remembers which Secret's key verified it: the operator may not read Secrets, so it cannot see a key change, but
another name means that everything is verified again. What a server says against a signature later is a doubt, which is
looked into once.
"""

from __future__ import annotations

from mainspring.api import contract
from mainspring.api.v1alpha1.common import ANNOTATION_SIGNATURE
from mainspring.api.v1alpha1.model import Verification
from mainspring.plan.common import conditions, gates, objects, pods
from mainspring.plan.common.conditions import Condition
from mainspring.plan.common.jobs import JobState
from mainspring.plan.modelversion.observed import Observed

VERIFIED = "ArtifactVerified"
SHOWN_DIGITS = 12  # of a key's fingerprint


def is_verified(observed: Observed) -> bool:
    """Its bytes and, if asked for, its signature; and what a server has said against that since was looked into."""
    asked = _asked(observed)
    if not gates.is_verified(observed.object, asked):
        return False
    found = gates.signature(observed.object)
    return asked is None or not observed.doubt or (found is not None and found.doubt == observed.doubt)


def unanswered(observed: Observed, job: JobState, report: contract.EvaluateReport) -> str:
    """An image from before signatures, or one of a user's own, may not know that it was asked: what to do; else empty."""
    if _asked(observed) is None or report.signed_by:
        return ""
    image = pods.main_container(objects.spec(job.job)["template"]["spec"])["image"]
    name = objects.name(observed.object)
    return (
        f"the image {image}, with which {name} was trained, verifies no signatures: train it again with this release's"
    )


def notes(observed: Observed, report: contract.EvaluateReport) -> dict[str, str]:
    """The annotation that remembers who signed; none when nobody asked."""
    asked = _asked(observed)
    if asked is None or not report.signed_by:
        return {}
    found = gates.Signature(asked.public_key_secret, report.signed_by, observed.doubt)
    return {ANNOTATION_SIGNATURE: found.to_json()}


def verified(observed: Observed) -> Condition:
    """The condition of a version that is verified."""
    text = f"every byte matches {observed.spec.artifact.digest}"
    found = gates.signature(observed.object)
    if found is None or _asked(observed) is None:
        return Condition(VERIFIED, "True", "DigestMatches", text)
    signed = f"{text}, and is signed by the key {found.key[:SHOWN_DIGITS]} of Secret {found.secret}"
    return Condition(VERIFIED, "True", "SignatureVerified", signed)


def lacking(outcome: contract.Outcome) -> tuple[Condition, ...]:
    """The condition of a version whose signature lacks something; none when it failed for another reason."""
    if outcome.reason not in contract.SIGNATURE_REASONS:
        return ()
    return (Condition(VERIFIED, "False", outcome.reason, outcome.message),)


def lacking_before(observed: Observed) -> tuple[Condition, ...]:
    """The same while it is tried again: nobody shall take it for one that was never looked at."""
    told = objects.condition(observed.object, VERIFIED) or {}
    if told.get("status") != "False" or told.get("reason") not in contract.SIGNATURE_REASONS:
        return ()
    return conditions.kept(observed.object, VERIFIED)


def _asked(observed: Observed) -> Verification | None:
    return observed.model_spec.verification if observed.model_spec else None
