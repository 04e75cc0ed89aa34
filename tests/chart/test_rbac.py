"""RBAC: the chart grants what `controllers.access` lists, where it says, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring.api.v1alpha1 import KINDS
from mainspring.controllers import access
from mainspring.tools import rbacgen
from tests.chart import rendering

CLUSTER_KINDS = frozenset({"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"})


def expected(scope: str, *, store: bool = True) -> list[dict[str, Any]]:
    secret = "mainspring-store"
    return [
        rbacgen.as_policy_rule(rule)
        for rule in access.rules(secret)
        if rule.scope == scope and (store or secret not in rule.names)
    ]


def bound_to_the_operator(manifests: tuple[rendering.Manifest, ...]) -> list[tuple[str, str, str | None]]:
    """Kind, name and namespace of every role that the operator's ServiceAccount has."""
    operator = {"kind": "ServiceAccount", "name": "mainspring", "namespace": rendering.NAMESPACE}
    return [
        (binding["roleRef"]["kind"], binding["roleRef"]["name"], binding["metadata"].get("namespace"))
        for binding in rendering.of_kind(manifests, "RoleBinding", "ClusterRoleBinding")
        if binding["subjects"] == [operator]
    ]


def test_cluster_wide_the_rules_are_in_one_cluster_role() -> None:
    manifests = rendering.rendered()
    assert set(bound_to_the_operator(manifests)) == {
        ("ClusterRole", "mainspring", None),
        ("Role", "mainspring-own", rendering.NAMESPACE),
    }
    assert rendering.one(manifests, "ClusterRole", "mainspring")["rules"] == expected("Watched")
    assert rendering.one(manifests, "Role", "mainspring-own")["rules"] == expected("Own")


def test_for_some_namespaces_there_is_a_role_in_each_and_nothing_in_the_cluster() -> None:
    manifests = rendering.rendered("namespaced")
    assert {manifest["kind"] for manifest in manifests}.isdisjoint(CLUSTER_KINDS)
    assert set(bound_to_the_operator(manifests)) == {
        ("Role", "mainspring", "team-a"),
        ("Role", "mainspring", "team-b"),
        ("Role", "mainspring-own", rendering.NAMESPACE),
    }
    for namespace in ("team-a", "team-b"):
        assert rendering.one(manifests, "Role", "mainspring", namespace)["rules"] == expected("Watched")


def test_no_other_role_is_bound() -> None:
    for variant in rendering.VARIANTS:
        manifests = rendering.rendered(variant)
        bindings = rendering.of_kind(manifests, "RoleBinding", "ClusterRoleBinding")
        assert len(bindings) == len(bound_to_the_operator(manifests))


def test_without_the_embedded_store_there_is_no_right_to_its_secret() -> None:
    role = rendering.one(rendering.rendered("own-store"), "Role", "mainspring-own")
    assert role["rules"] == expected("Own", store=False)


def test_secrets_are_granted_by_name_only_and_never_listed() -> None:
    for scope in ("Watched", "Own"):
        for rule in expected(scope):
            if "secrets" in rule["resources"]:
                assert rule["resourceNames"]
                assert {"list", "watch", "*"}.isdisjoint(rule["verbs"])


def test_nothing_is_granted_by_wildcard() -> None:
    for role in rendering.of_kind(rendering.rendered(), "Role", "ClusterRole"):
        for rule in role["rules"]:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]


@pytest.mark.parametrize("role", ["view", "edit", "admin"])
def test_people_get_our_kinds_with_the_roles_they_have(role: str) -> None:
    manifest = rendering.one(rendering.rendered(), "ClusterRole", f"mainspring-{role}")
    assert manifest["metadata"]["labels"][f"rbac.authorization.k8s.io/aggregate-to-{role}"] == "true"


def test_viewers_read_editors_write_and_nobody_writes_status() -> None:
    manifests = rendering.rendered()
    kinds = {kind.plural for kind in KINDS}
    view = rendering.one(manifests, "ClusterRole", "mainspring-view")["rules"]
    edit = rendering.one(manifests, "ClusterRole", "mainspring-edit")["rules"]
    assert {verb for rule in view for verb in rule["verbs"]} == {"get", "list", "watch"}
    assert set(edit[0]["resources"]) == kinds
    assert not any(name.endswith("/status") for rule in edit for name in rule["resources"])
