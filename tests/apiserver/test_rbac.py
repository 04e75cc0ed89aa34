"""RBAC as the API server decides it: the chart's ServiceAccount may do what `controllers.access` lists, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from mainspring.api.v1alpha1 import KINDS
from mainspring.api.v1alpha1.common import GROUP, Kind
from mainspring.controllers import access
from tests.apiserver import objects, rights
from tests.apiserver.rights import Right, granted
from tests.apiserver.server import Manifest, Refused, Server
from tests.chart import rendering

STORE_SECRET = "mainspring-store"
RBAC_KINDS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


@dataclass(frozen=True)
class Installation:
    """An installed chart (its RBAC, as nothing runs here): where the operator lives and what it looks after."""

    own: str
    watched: str
    operator: Server


@pytest.fixture(scope="module")
def cluster_wide(server: Server) -> Iterator[Installation]:
    """As the chart comes: one operator for all namespaces."""
    yield from _install(server, "default")


@pytest.fixture(scope="module")
def namespaced(server: Server) -> Iterator[Installation]:
    """For one namespace."""
    yield from _install(server, "namespaced")


def _install(server: Server, variant: str) -> Iterator[Installation]:
    own, watched = (server.create(_namespace())["metadata"]["name"] for _ in range(2))
    settings = ["watch.namespaces={" + watched + "}"] if variant == "namespaced" else []
    # A name of its own, so that an installation in the same cluster is left alone.
    release = f"mainspring-{own}"
    manifests = rendering.parse(
        rendering.template(variant, *settings, "crds.enabled=false", release=release, namespace=own)
    )
    made = rendering.of_kind(manifests, *RBAC_KINDS)
    for manifest in made:
        server.apply(manifest)
    found = Installation(own, watched, server.as_service_account(own, release))
    if variant == "namespaced":
        rights.wait_for(found.operator, {watched: listed(found, "Watched"), own: listed(found, "Own")})
    else:
        rights.wait_for(found.operator, {own: listed(found, "Watched", "Own")})
    yield found
    for manifest in [*made, *({**_namespace(), "metadata": {"name": name}} for name in (own, watched))]:
        server.delete(manifest)


def _namespace() -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "rbac-"}}


def listed(installation: Installation, *scopes: str) -> set[Right]:
    """The rights that the list of the operator gives in these scopes."""
    secret = f"mainspring-{installation.own}-store"
    return {
        (verb, rule.group, resource, name)
        for rule in access.rules(secret)
        if rule.scope in scopes
        for verb in rule.verbs
        for resource in rule.resources
        for name in rule.names or ("",)
    }


def everybody(server: Server, namespace: str) -> set[Right]:
    """What any ServiceAccount may do."""
    return granted(server.as_service_account(namespace, "nobody"), namespace)


def allowed(user: Server, verb: str, resource: str, namespace: str, group: str = "", name: str = "") -> bool:
    """Whether the API server would let this user."""
    resource, _, subresource = resource.partition("/")
    attributes = {"verb": verb, "group": group, "resource": resource, "subresource": subresource}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {**attributes, "namespace": namespace, "name": name}},
    }
    decision: bool = user.create(review)["status"]["allowed"]
    return decision


def test_in_a_watched_namespace_it_has_the_rights_that_are_listed(server: Server, cluster_wide: Installation) -> None:
    found = granted(cluster_wide.operator, cluster_wide.watched) - everybody(server, cluster_wide.watched)
    assert found == listed(cluster_wide, "Watched")


def test_in_its_own_namespace_it_also_has_its_own(server: Server, cluster_wide: Installation) -> None:
    found = granted(cluster_wide.operator, cluster_wide.own) - everybody(server, cluster_wide.own)
    assert found == listed(cluster_wide, "Watched", "Own")


def test_for_one_namespace_it_has_the_rights_there_and_only_there(server: Server, namespaced: Installation) -> None:
    nothing = everybody(server, "default")
    assert granted(namespaced.operator, namespaced.watched) - nothing == listed(namespaced, "Watched")
    assert granted(namespaced.operator, namespaced.own) - nothing == listed(namespaced, "Own")
    assert granted(namespaced.operator, "default") - nothing == set()


def test_for_one_namespace_it_reads_nothing_of_the_cluster(namespaced: Installation) -> None:
    for kind in KINDS:
        assert not allowed(namespaced.operator, "list", kind.plural, "", GROUP)
        assert allowed(namespaced.operator, "list", kind.plural, namespaced.watched, GROUP)


@pytest.mark.parametrize(
    ("verb", "resource", "name"),
    [
        ("list", "secrets", ""),
        ("watch", "secrets", ""),
        ("get", "secrets", "database-password"),
        ("get", "secrets", STORE_SECRET),  # of the watched namespace: not its own
        ("create", "secrets", ""),
        ("update", "secrets", "mainspring-artifacts"),
        ("list", "secrets", "mainspring-alerts"),
        ("create", "secrets", "mainspring-alerts"),
        ("patch", "secrets", "mainspring-alerts"),
        ("delete", "secrets", "mainspring-alerts"),
        ("create", "pods", ""),
        ("create", "pods/exec", ""),
        ("get", "pods/log", ""),
        ("delete", "pods", ""),
        ("create", "serviceaccounts/token", ""),
        ("impersonate", "users", ""),
        ("list", "nodes", ""),
        ("list", "namespaces", ""),
        ("delete", "persistentvolumeclaims", ""),
        ("get", "leases.coordination.k8s.io", ""),
        ("create", "clusterroles.rbac.authorization.k8s.io", ""),
        ("escalate", "roles.rbac.authorization.k8s.io", ""),
        ("bind", "roles.rbac.authorization.k8s.io", ""),
        ("patch", "customresourcedefinitions.apiextensions.k8s.io", ""),
        ("delete", "datasets.mainspring.dev", ""),
        ("delete", "models.mainspring.dev", ""),
        ("delete", "inferenceservices.mainspring.dev", ""),
        ("create", "models.mainspring.dev", ""),
        ("update", "inferenceservices.mainspring.dev", ""),
    ],
)
def test_it_may_not(cluster_wide: Installation, verb: str, resource: str, name: str) -> None:
    resource, _, group = resource.partition(".")
    assert not allowed(cluster_wide.operator, verb, resource, cluster_wide.watched, group, name)


def secret(namespace: str, name: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": {"A": "b"},
    }


def test_it_applies_the_artifacts_secret_and_reads_it_back(cluster_wide: Installation) -> None:
    wanted = secret(cluster_wide.watched, "mainspring-artifacts")
    cluster_wide.operator.apply(wanted)
    assert cluster_wide.operator.get(wanted)["data"] == {"A": "Yg=="}
    cluster_wide.operator.delete(wanted)


@pytest.mark.parametrize("name", ["database-password", "mainspring-store"])
def test_it_makes_no_other_secret(cluster_wide: Installation, name: str) -> None:
    with pytest.raises(Refused) as refused:
        cluster_wide.operator.apply(secret(cluster_wide.watched, name))
    assert refused.value.code == 403


def test_it_reads_the_alerts_secret_of_a_watched_namespace(cluster_wide: Installation) -> None:
    assert allowed(cluster_wide.operator, "get", "secrets", cluster_wide.watched, name="mainspring-alerts")


def test_a_secret_cannot_be_made_by_post(cluster_wide: Installation) -> None:
    """A POST has no name for RBAC to look at; this is why the Secrets are applied."""
    with pytest.raises(Refused) as refused:
        cluster_wide.operator.create(secret(cluster_wide.watched, "mainspring-artifacts"))
    assert refused.value.code == 403


def role(namespace: str, **rule: object) -> Manifest:
    metadata = {"name": "job", "namespace": namespace}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": [rule]}


def test_it_lets_a_job_patch_its_own_report(cluster_wide: Installation) -> None:
    manifest = role(
        cluster_wide.watched, apiGroups=[""], resources=["configmaps"], resourceNames=["job"], verbs=["get", "patch"]
    )
    made = cluster_wide.operator.create(manifest)
    cluster_wide.operator.delete(made)


@pytest.mark.parametrize("resource", ["secrets", "pods/exec"])
def test_it_cannot_hand_out_rights_that_it_has_not(cluster_wide: Installation, resource: str) -> None:
    manifest = role(cluster_wide.watched, apiGroups=[""], resources=[resource], verbs=["get"])
    with pytest.raises(Refused, match="attempting to grant RBAC permissions not currently held"):
        cluster_wide.operator.create(manifest)


@pytest.fixture(scope="module")
def people(server: Server, cluster_wide: Installation) -> Iterator[dict[str, Server]]:
    """One person for each of the roles that people get, in the watched namespace."""
    bindings = [_binding(cluster_wide, name) for name in ("view", "edit", "admin")]
    for binding in bindings:
        server.apply(binding)
    found = {name: server.as_user(f"{name}@example.org") for name in ("view", "edit", "admin")}
    # One rule of each role: they are of one piece.
    for name, right in {
        "view": ("get", "models"),
        "edit": ("create", "models"),
        "admin": ("approve", "modelversions"),
    }.items():
        verb, resource = right
        rights.wait_for(found[name], {cluster_wide.watched: {(verb, GROUP, resource, "")}})
    yield found
    for binding in bindings:
        server.delete(binding)


def _binding(installation: Installation, name: str) -> Manifest:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": installation.watched},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": f"mainspring-{installation.own}-{name}"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": f"{name}@example.org"}],
    }


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_viewers_read_and_editors_write_each_kind(
    people: dict[str, Server], cluster_wide: Installation, kind: Kind
) -> None:
    plural = kind.plural
    namespace = cluster_wide.watched
    assert allowed(people["view"], "watch", plural, namespace, GROUP)
    assert not allowed(people["view"], "patch", plural, namespace, GROUP)
    for verb in ("create", "update", "patch", "delete", "deletecollection"):
        assert allowed(people["edit"], verb, plural, namespace, GROUP)
    assert not allowed(people["edit"], "patch", f"{plural}/status", namespace, GROUP)


def test_editors_scale_and_only_administrators_approve(people: dict[str, Server], cluster_wide: Installation) -> None:
    namespace = cluster_wide.watched
    assert allowed(people["edit"], "patch", "inferenceservices/scale", namespace, GROUP)
    assert allowed(people["admin"], "approve", "modelversions", namespace, GROUP)
    assert not allowed(people["edit"], "approve", "modelversions", namespace, GROUP)


def test_an_editor_applies_a_model_and_a_viewer_does_not(people: dict[str, Server], cluster_wide: Installation) -> None:
    manifest = objects.manifest("Model", cluster_wide.watched)
    with pytest.raises(Refused, match="forbidden"):
        people["view"].apply(manifest, dryRun="All")
    assert people["edit"].apply(manifest, dryRun="All")
