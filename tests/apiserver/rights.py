"""What somebody may do, as the API server counts it up."""

from __future__ import annotations

from collections.abc import Mapping

from tests.apiserver.server import Server
from tests.cluster import wait

SEEN_SECONDS = 30.0

Right = tuple[str, str, str, str]
"""Verb, API group, resource, and the name that it is limited to ("" for all)."""


def granted(user: Server, namespace: str) -> set[Right]:
    """The rights that the API server counts up for this user in a namespace."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    rules = user.create(review)["status"]["resourceRules"]
    return {
        (verb, group, resource, name)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule.get("apiGroups") or [""]
        for resource in rule["resources"]
        for name in rule.get("resourceNames") or [""]
    }


def wait_for(user: Server, wanted: Mapping[str, set[Right]]) -> None:
    """Return when the user has at least these rights, by namespace: roles and bindings are read from a cache that follows what was applied."""

    def missing() -> str | None:
        lacking = {namespace: rights - granted(user, namespace) for namespace, rights in wanted.items()}
        return f"rights are missing: {lacking}" if any(lacking.values()) else None

    wait.until(missing, SEEN_SECONDS)
