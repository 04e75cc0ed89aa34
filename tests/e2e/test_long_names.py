"""Names as long as they may be, for every kind, through the whole loop."""

from __future__ import annotations

from mainspring.api.v1alpha1.common import NAME_MAX
from tests.e2e import manifests
from tests.e2e.space import Space


def longest(word: str) -> str:
    return f"{word}-{'x' * NAME_MAX}"[:NAME_MAX]


def test_the_longest_names_go_through_the_whole_loop(space: Space) -> None:
    data, model, run, service = (longest(word) for word in ("data", "model", "run", "service"))
    space.apply(
        manifests.dataset(data),
        manifests.model(model),
        manifests.run(run, data, model),
        manifests.service(service, model),
    )
    space.current("InferenceService", service, "Serving")
    for kind, name in (("Dataset", data), ("TrainingRun", run), ("Model", model), ("ModelVersion", f"{model}-v1")):
        space.current(kind, name)
    assert space.predict(service, manifests.FLOWERS, model)["outputs"][0]["data"] == manifests.SPECIES
