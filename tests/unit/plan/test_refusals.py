"""Refusals in words: what was refused, and what to do."""

from __future__ import annotations

import pytest

from mainspring.plan.common import refusals


@pytest.mark.parametrize("prefix", ["", "Error creating: "])
def test_the_names_that_kubernetes_makes_up_are_left_out(prefix: str) -> None:
    told = {refusals.pod_message(f'{prefix}pods "a-{n}" is forbidden: exceeded quota: small') for n in ("x7f", "q2k")}
    assert told == {
        "exceeded quota: small (raise the ResourceQuota or lower spec.resources; this is tried again by itself)"
    }


@pytest.mark.parametrize(
    ("message", "reason", "hint"),
    [
        ("exceeded quota: small", "QuotaExceeded", "ResourceQuota"),
        ('violates PodSecurity "restricted:latest"', "PodSecurityViolation", "spec.podTemplate"),
        ("admission webhook denied the request", "PodsRefused", "tried again"),
    ],
)
def test_pods_that_were_refused_have_a_reason_and_a_hint(message: str, reason: str, hint: str) -> None:
    assert refusals.pod_reason(message) == reason
    assert hint in refusals.pod_message(message)
