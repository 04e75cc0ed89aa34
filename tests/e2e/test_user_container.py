"""Training in a container of one's own: any image, the training rows as files, and no credentials of ours."""

from __future__ import annotations

import textwrap

from mainspring.plan.common import objects
from tests.e2e import manifests
from tests.e2e.control_plane import ControlPlane
from tests.e2e.space import Space

# Nothing of ours is imported: what an image without our code would do.
SCRIPT = textwrap.dedent(
    """
    import json, os, pathlib, pandas, skops.io
    from sklearn.linear_model import LogisticRegression

    secrets = [name for name in os.environ if name.startswith(("AWS_", "SOURCE_"))]
    token = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount/token").exists()
    print("secrets:", secrets, "token:", token, "user:", os.getuid(), flush=True)
    source = pathlib.Path(os.environ["MAINSPRING_INPUT"])
    facts = json.loads((source / "run.json").read_text())
    print("files:", sorted(path.name for path in source.rglob("*.parquet")), flush=True)
    rows = pandas.read_parquet(source / facts["dataset"]["train"])
    model = LogisticRegression(max_iter=500).fit(rows[facts["features"]], rows[facts["target"]])
    with open(os.environ["MAINSPRING_EVENTS"], "a") as events:
        events.write(json.dumps({"percent": 50, "stage": "fitted"}) + "\\n")
    skops.io.dump(model, pathlib.Path(os.environ["MAINSPRING_OUTPUT"]) / "model.skops")
    """
)


def test_a_container_of_ones_own_trains_a_model_that_is_served(space: Space, control_plane: ControlPlane) -> None:
    container = {"image": control_plane.variable("MAINSPRING_JOBS_IMAGE"), "command": ["python", "-c", SCRIPT]}
    space.apply(manifests.dataset(), manifests.model(), manifests.run(container=container), manifests.service())
    run = space.current("TrainingRun", "first", "Succeeded")
    (pod,) = space.every("Pod", training_run="first")
    told = space.api.log(pod, "user").splitlines()
    assert told[0] == f"secrets: [] token: False user: {objects.spec(pod)['securityContext']['runAsUser']}"
    # The rows that judge the model are not there to be learned from.
    assert told[1] == "files: ['train.parquet']"
    assert {m["name"] for m in run["status"]["metrics"]} >= {"accuracy", "log_loss"}
    space.current("InferenceService", "flowers", "Serving")
    assert space.predict("flowers", manifests.FLOWERS)["outputs"][0]["data"] == manifests.SPECIES
