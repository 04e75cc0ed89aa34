"""What the API server stores: the defaults of the models, a status that says "not looked at yet", and nothing unknown."""

from __future__ import annotations

import pytest

from mainspring.api.v1alpha1 import BY_KIND
from tests.apiserver import objects
from tests.apiserver.server import DRY_RUN, MERGE, Refused, Server, collection, item

each_kind = pytest.mark.parametrize("kind", objects.LEAST)


@each_kind
def test_the_stored_spec_is_what_the_models_say(server: Server, namespace: str, kind: str) -> None:
    stored = server.create(objects.manifest(kind, namespace), **DRY_RUN)
    assert stored["spec"] == BY_KIND[kind].spec.model_validate(objects.LEAST[kind]).to_dict()


@each_kind
def test_a_new_object_counts_as_in_progress(server: Server, namespace: str, kind: str) -> None:
    stored = server.create(objects.manifest(kind, namespace))
    assert stored["status"] == {"observedGeneration": -1}
    assert stored["metadata"]["generation"] == 1


@each_kind
def test_a_status_that_a_user_sends_is_dropped(server: Server, namespace: str, kind: str) -> None:
    claimed = {**objects.manifest(kind, namespace), "status": {"observedGeneration": 9}}
    assert server.create(claimed, **DRY_RUN)["status"] == {"observedGeneration": -1}


def test_writing_status_changes_neither_spec_nor_generation(server: Server, namespace: str) -> None:
    made = server.create(objects.manifest("TrainingRun", namespace))
    change = {"spec": {"suspend": True}, "status": {"observedGeneration": 1, "phase": "Running"}}
    after = server.merge(made, change, "/status")
    assert after["spec"] == made["spec"]
    assert after["metadata"]["generation"] == 1
    assert after["status"] == {"observedGeneration": 1, "phase": "Running"}


def test_a_stale_status_write_is_refused(server: Server, namespace: str) -> None:
    """What fences the status: a forced apply with the resourceVersion that was read."""
    read = server.create(objects.manifest("Model", namespace))
    server.merge(read, {"status": {"observedGeneration": 1}}, "/status")
    stale = {key: read[key] for key in ("apiVersion", "kind")} | {
        "metadata": {key: read["metadata"][key] for key in ("name", "namespace", "resourceVersion")},
        "status": {"observedGeneration": 0},
    }
    with pytest.raises(Refused) as refused:
        server.apply(stale, "/status")
    assert refused.value.code == 409


def test_null_stands_for_the_default(server: Server, namespace: str) -> None:
    spec = {**objects.LEAST["TrainingRun"], "seed": None, "deadline": None}
    stored = server.create(objects.manifest("TrainingRun", namespace, spec), **DRY_RUN)
    assert stored["spec"]["seed"] == 0
    assert "deadline" not in stored["spec"]


def test_an_unknown_field_is_refused_for_strict_clients_and_dropped_for_others(server: Server, namespace: str) -> None:
    spec = {**objects.LEAST["Dataset"], "targett": "x"}
    manifest = objects.manifest("Dataset", namespace, spec)
    with pytest.raises(Refused, match=r'unknown field "spec\.targett"'):
        server.create(manifest)
    lenient = {"dryRun": "All", "fieldValidation": "Warn"}
    stored = server.request("POST", collection(manifest), manifest, query=lenient)
    assert "targett" not in stored["spec"]


def test_whatever_kubernetes_knows_about_pods_is_kept(server: Server, namespace: str) -> None:
    spec = {**objects.LEAST["TrainingRun"], "podTemplate": objects.POD_TEMPLATE}
    stored = server.create(objects.manifest("TrainingRun", namespace, spec), **DRY_RUN)
    assert stored["spec"]["podTemplate"] == objects.POD_TEMPLATE


@pytest.mark.parametrize("written", [0.5, "0.5", "Tuned"])
def test_a_threshold_may_be_written_with_and_without_quotes(server: Server, namespace: str, written: object) -> None:
    spec = {**objects.LEAST["TrainingRun"], "estimator": {"class": "sklearn.svm.SVC", "threshold": written}}
    stored = server.create(objects.manifest("TrainingRun", namespace, spec), **DRY_RUN)
    assert stored["spec"]["estimator"]["threshold"] == written


def test_applying_the_same_manifest_again_changes_nothing(server: Server, namespace: str) -> None:
    manifest = objects.manifest("TrainingRun", namespace, objects.FULL["TrainingRun"])
    server.apply(manifest)
    # Creation drops the status before it is stored, so the first update stores the default that every read shows.
    settled = server.apply(manifest)
    again = server.apply(manifest)
    assert again["metadata"]["resourceVersion"] == settled["metadata"]["resourceVersion"]
    unchanged = server.request("PATCH", item(manifest), {"spec": objects.FULL["TrainingRun"]}, MERGE)
    assert unchanged["metadata"]["generation"] == 1
