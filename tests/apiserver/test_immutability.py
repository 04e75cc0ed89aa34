"""What is fixed stays fixed: no field of a run or a version can be changed, added or removed, and the message names it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mainspring.api.v1alpha1 import BY_KIND
from mainspring.tools import crdgen
from tests.apiserver import objects
from tests.apiserver.server import Refused, Server, item

FIXED = [(kind, name) for kind in objects.FULL for name in crdgen.immutable_fields(BY_KIND[kind])]
each_fixed_field = pytest.mark.parametrize(("kind", "name"), FIXED)


def full(kind: str, name: str) -> objects.Manifest:
    """A spec that has this field."""
    return objects.APART.get(kind, {}).get(name, objects.FULL[kind])


def required(kind: str) -> set[str]:
    found: list[str] = crdgen.root_schema(BY_KIND[kind])["properties"]["spec"].get("required", [])
    return set(found)


def optional() -> Iterator[tuple[str, str]]:
    """Fixed fields that may be absent: those with neither default nor need."""
    for kind, name in FIXED:
        field = crdgen.root_schema(BY_KIND[kind])["properties"]["spec"]["properties"][name]
        if name not in required(kind) and "default" not in field:
            yield kind, name


each_optional_field = pytest.mark.parametrize(("kind", "name"), list(optional()))


def assert_refused(server: Server, made: objects.Manifest, change: objects.Manifest, kind: str, name: str) -> None:
    with pytest.raises(Refused) as refused:
        server.merge(made, {"spec": change}, dryRun="All")
    assert refused.value.code == 422
    assert f"spec.{name} cannot be changed; create another {kind}" in str(refused.value)


@pytest.mark.parametrize("kind", objects.FULL)
def test_the_tables_know_every_field(kind: str) -> None:
    fields = set(crdgen.root_schema(BY_KIND[kind])["properties"]["spec"]["properties"])
    assert set(objects.FULL[kind]) | set(objects.APART.get(kind, {})) == fields
    assert set(objects.OTHER[kind]) == fields


@each_fixed_field
def test_a_field_cannot_be_changed(server: Server, namespace: str, kind: str, name: str) -> None:
    made = server.create(objects.manifest(kind, namespace, full(kind, name)))
    changed = {**made["spec"], name: objects.OTHER[kind][name]}
    with pytest.raises(Refused) as refused:
        # A replacement: a merge patch would leave what the other value lacks.
        server.request("PUT", item(made), {**made, "spec": changed}, query={"dryRun": "All"})
    assert f"spec.{name} cannot be changed; create another {kind}" in str(refused.value)


@each_optional_field
def test_a_field_cannot_be_removed(server: Server, namespace: str, kind: str, name: str) -> None:
    made = server.create(objects.manifest(kind, namespace, full(kind, name)))
    assert_refused(server, made, {name: None}, kind, name)


@each_optional_field
def test_a_field_cannot_be_added(server: Server, namespace: str, kind: str, name: str) -> None:
    spec = {key: value for key, value in full(kind, name).items() if key != name}
    if name in {"estimator", "container"}:
        spec = objects.LEAST[kind] if name == "container" else objects.APART[kind]["container"]
    made = server.create(objects.manifest(kind, namespace, spec))
    assert_refused(server, made, {name: full(kind, name)[name]}, kind, name)


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_estimators": None, "max_depth": 200},  # as many keys, another name
        {"n_estimators": 201},
        {"n_estimators": "200"},
        {"nested": {"a": None, "b": 1}},
        {"n_estimators": None},
        {"more": 1},
    ],
)
def test_free_parameters_are_fixed_too(server: Server, namespace: str, parameters: objects.Manifest) -> None:
    estimator = {"class": "sklearn.svm.SVC", "params": {"n_estimators": 200, "nested": {"a": 1}}}
    spec = {**objects.LEAST["TrainingRun"], "estimator": estimator}
    made = server.create(objects.manifest("TrainingRun", namespace, spec))
    assert_refused(server, made, {"estimator": {"params": parameters}}, "TrainingRun", "estimator")


@pytest.mark.parametrize("name", ["suspend", "ttlAfterFinished"])
def test_what_rules_a_running_run_can_be_changed_added_and_removed(server: Server, namespace: str, name: str) -> None:
    run = server.create(objects.manifest("TrainingRun", namespace))
    for value in (objects.FULL["TrainingRun"][name], objects.OTHER["TrainingRun"][name], None):
        server.merge(run, {"spec": {name: value}})
    assert server.get(run)["spec"].get(name) in (None, False)


@pytest.mark.parametrize("kind", objects.FULL)
def test_labels_and_annotations_stay_free(server: Server, namespace: str, kind: str) -> None:
    made = server.create(objects.manifest(kind, namespace))
    after = server.merge(made, {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}})
    assert after["metadata"]["labels"] == {"a": "b"}


@pytest.mark.parametrize("kind", ["Dataset", "Model", "InferenceService"])
def test_what_people_steer_by_can_be_changed(server: Server, namespace: str, kind: str) -> None:
    made = server.create(objects.manifest(kind, namespace))
    change = {"Dataset": {"target": "other"}, "Model": {"retain": 3}, "InferenceService": {"model": {"name": "n"}}}[
        kind
    ]
    assert server.merge(made, {"spec": change})["metadata"]["generation"] == 2
