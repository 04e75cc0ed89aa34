"""Queries of `spec.rollout.analysis`: what is filled in."""

from __future__ import annotations

from string import Template

from mainspring.api.v1alpha1.rollouts import RolloutStatus
from mainspring.plan.common.objects import Ref


def fill(query: str, service: Ref, state: RolloutStatus) -> str:
    """`$namespace`, `$service`, and the revisions `$stable` and `$candidate`; PromQL itself knows no dollar but in
    regular expressions, where one that names nothing stays."""
    known = {
        "namespace": service.namespace,
        "service": service.name,
        "stable": state.from_revision,
        "candidate": state.revision,
    }
    return Template(query).safe_substitute(known)
