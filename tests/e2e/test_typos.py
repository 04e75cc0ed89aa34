"""What is mistyped is refused at once, by name, before anything runs."""

from __future__ import annotations

import json

import pytest

from mainspring.plan.common.objects import Manifest
from tests.cluster.errors import CommandFailed
from tests.demo import release
from tests.e2e import manifests
from tests.e2e.messages import Messages
from tests.e2e.space import Space

SOURCE = {"sample": "iris"}
CASES: list[tuple[Manifest, str]] = [
    (manifests.dataset(targt="species"), 'unknown field "spec.targt"'),
    (manifests.run(retrys=3), 'unknown field "spec.retrys"'),
    (manifests.service(replica=2), 'unknown field "spec.replica"'),
    (manifests.model(gate=[]), 'unknown field "spec.gate"'),
    (manifests.service(podTemplate={"securityContext": {}}), 'unknown field "spec.podTemplate.securityContext"'),
    (manifests.dataset(source={**SOURCE, "uri": "s3://a/b"}), "exactly one of uri, configMap, sample must be set"),
    (manifests.dataset(source={"uri": "ftp://a/b"}), "uri must start with s3://, gs://, az://, https:// or file://"),
    (manifests.dataset(split={"by": "Time"}), "split.by: Time needs spec.timestamp"),
    (manifests.dataset(task="Regresion"), 'supported values: "Classification", "Regression"'),
    (manifests.run(deadline="soon"), "spec.deadline"),
    (manifests.run(container={"image": "x"}, estimator={"class": "a.B"}), "exactly one of estimator, container"),
    (manifests.run(evaluation={"metrics": ["auc"]}), 'supported values: "accuracy"'),
    (manifests.model(gates=[{"name": "g", "metric": "roc_auc"}]), "spec.gates[0]"),
    (manifests.service(model="m" * 41), "40"),
    (manifests.model("Flowers_1"), "metadata.name"),
    (manifests.model("f" * 41), "40 characters"),
    (manifests.version("flowers", 1, "s3://a/b", "sha256:short"), "spec.artifact.digest"),
    (
        {**manifests.version("flowers", 2, "s3://a/b", f"sha256:{'0' * 64}"), "metadata": {"name": "flowers-v3"}},
        "metadata.name must be <spec.model>-v<spec.number>",
    ),
]


@pytest.fixture(scope="module")
def anywhere() -> str:
    """Nothing is stored, so no namespace of its own is needed."""
    return "default"


@pytest.mark.parametrize(("manifest", "says"), CASES, ids=[says for _, says in CASES])
def test_a_typo_is_refused_by_name(manifest: Manifest, says: str, anywhere: str, messages: Messages) -> None:
    with pytest.raises(CommandFailed) as refused:
        dry_run(manifest, anywhere)
    messages.add_line(f"{manifest['kind']} refused: {refused.value}")
    assert says in str(refused.value)


def dry_run(manifest: Manifest, namespace: str) -> None:
    words = ("apply", "--validate=strict", "--dry-run=server", "-n", namespace, "-f", "-")
    release.kubectl(*words, stdin=json.dumps(manifest))


def test_a_run_that_was_made_cannot_be_changed(space: Space, messages: Messages) -> None:
    space.apply(manifests.run(data="petals", model="petals"))
    space.in_progress("TrainingRun", "first", "DatasetNotFound", ["Dataset petals", "spec.dataset.name"])
    for change in ({"seed": 8}, {"deadline": "1h"}, {"estimator": {"class": "a.B"}}):
        with pytest.raises(AssertionError) as refused:
            space.change("TrainingRun", "first", **change)
        messages.add_line(f"TrainingRun refused: {refused.value}")
        assert f"spec.{next(iter(change))} cannot be changed; create another TrainingRun" in str(refused.value)
    space.change("TrainingRun", "first", suspend=True, ttlAfterFinished="1h")
    space.current("TrainingRun", "first", "Suspended")
