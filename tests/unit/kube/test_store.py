"""The cache and its two guards."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.kube import store as stores
from mainspring.kube.store import Store
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Ref
from tests import builders
from tests.chance import SELDOM

OWNER = builders.stored(builders.model())


def obj(name: str = "a", version: int = 1, uid: str = "u1", owner: bool = False, **metadata: Any) -> dict[str, Any]:
    found = {"name": name, "namespace": "lab", "uid": uid, "resourceVersion": str(version), **metadata}
    if owner:
        found["ownerReferences"] = [objects.owner_reference(OWNER)]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": found}


REF = Ref("ConfigMap", "lab", "a")


def test_an_older_version_never_replaces_a_newer_one() -> None:
    store = Store()
    assert store.put(obj(version=10))
    assert not store.put(obj(version=9))
    assert objects.resource_version(store.get(REF) or {}) == "10"


def test_versions_are_compared_as_numbers() -> None:
    store = Store()
    store.put(obj(version=9))
    assert store.put(obj(version=10))


def test_a_late_answer_does_not_bring_a_deleted_object_back() -> None:
    store = Store()
    store.put(obj(version=1))
    store.remove(obj(version=2))
    assert not store.put(obj(version=3))
    assert store.get(REF) is None


def test_a_deletion_that_arrives_before_the_object_counts_as_well() -> None:
    store = Store()
    store.remove(obj(version=2))
    assert not store.put(obj(version=1))


def test_a_successor_of_the_same_name_is_not_removed_with_its_predecessor() -> None:
    store = Store()
    store.put(obj(version=5, uid="u2"))
    store.remove(obj(version=4, uid="u1"))
    assert objects.uid(store.get(REF) or {"metadata": {}}) == "u2"


@SELDOM
@given(st.permutations([("put", 1), ("put", 2), ("put", 3), ("remove", 4)]))
def test_whatever_the_order_of_delivery_what_is_deleted_is_gone(order: list[tuple[str, int]]) -> None:
    store = Store()
    for verb, version in order:
        getattr(store, verb)(obj(version=version))
    assert store.get(REF) is None


@SELDOM
@given(st.permutations(range(1, 6)))
def test_whatever_the_order_of_delivery_the_newest_stays(versions: list[int]) -> None:
    store = Store()
    for version in versions:
        store.put(obj(version=version))
    assert objects.resource_version(store.get(REF) or {}) == "5"


def test_tombstones_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "TOMBSTONES_MAX", 2)
    store = Store()
    for uid in ("u1", "u2", "u3"):
        store.remove(obj(uid=uid))
    assert store.put(obj(uid="u1"))
    assert not store.put(obj(uid="u3"))


def test_children_are_found_by_their_owner_in_the_order_of_names() -> None:
    store = Store()
    for name in ("c", "a", "b"):
        store.put(obj(name, uid=name, owner=True))
    store.put(obj("d", uid="d"))
    assert [objects.name(o) for o in store.children(OWNER, "ConfigMap")] == ["a", "b", "c"]
    assert store.children(OWNER, "Job") == []


def test_a_child_that_changes_its_owner_is_not_found_any_more() -> None:
    store = Store()
    store.put(obj(owner=True))
    store.put(obj(version=2))
    assert store.children(OWNER, "ConfigMap") == []


def test_a_removed_child_is_not_found_any_more() -> None:
    store = Store()
    store.put(obj(owner=True))
    store.remove(obj(version=2))
    assert store.children(OWNER, "ConfigMap") == []


def test_objects_are_selected_by_namespace_and_labels() -> None:
    store = Store()
    store.put(obj("a", uid="1", labels={"x": "1", "y": "1"}))
    store.put(obj("b", uid="2", labels={"x": "1"}))
    store.put({**obj("c", uid="3"), "metadata": {**obj("c", uid="3")["metadata"], "namespace": "other"}})
    assert [objects.name(o) for o in store.select("ConfigMap", "lab")] == ["a", "b"]
    assert [objects.name(o) for o in store.select("ConfigMap", "lab", {"x": "1", "y": "1"})] == ["a"]
    assert len(store.all(["ConfigMap"])) == 3
    assert store.all(["Job"]) == []


def test_managed_fields_are_not_kept() -> None:
    store = Store()
    store.put(obj(managedFields=[{"manager": "x"}]))
    assert "managedFields" not in (store.get(REF) or {})["metadata"]


def test_nothing_is_left_of_what_is_gone() -> None:
    store = Store()
    for name, version in itertools.product(("a", "b"), (1, 2)):
        store.put(obj(name, version, uid=name, owner=True))
    for name in ("a", "b"):
        store.remove(obj(name, 3, uid=name))
    assert store.children(OWNER, "ConfigMap") == []
    assert store.select("ConfigMap", "lab") == []
    assert store.all(["ConfigMap"]) == []
