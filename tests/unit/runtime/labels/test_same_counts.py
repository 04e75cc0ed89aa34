"""Labels from a Dataset and labels by feedback are counted alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainspring.api import contract
from mainspring.api.monitoring import FeedbackCounts
from mainspring_runtime.labels import command
from mainspring_runtime.serve.settings import PayloadLog
from tests.unit.runtime.data.preparing import LIMITS, Workshop
from tests.unit.runtime.serve import fakes
from tests.unit.runtime.serve.monitoring import watching

RADII = [0.5 + number * 0.37 for number in range(50)]
LABELS = {number: "M" if radius > 8 else "B" for number, radius in enumerate(RADII)}


async def test_the_same_predictions_and_labels_give_the_same_counts(tmp_path: Path) -> None:
    log = (tmp_path / "log").as_uri()
    profile = watching.read_profile(tmp_path, watching.trained_profile())
    async with watching.serving(profile, watching.KEY, payload_log=PayloadLog(log, 1.0)) as served:
        answer = await served.infer(watching.rows(*RADII), [watching.TOKEN], patient=list(LABELS))
        tokens = answer.raise_for_status().json()["outputs"][0]["data"]
        told = [{"token": token, "label": LABELS[number]} for number, token in enumerate(tokens)]
        (await served.public.post(watching.FEEDBACK, json={"feedback": told})).raise_for_status()
        by_feedback, reference = (await served.snapshot()).feedback, await served.reference()
        model = served.parts.app.model
        assert model is not None
        assert model.log is not None
        assert await model.log.close(30.0)
    columns: dict[str, Any] = {"patient": list(LABELS), "x": RADII, "diagnosis": list(LABELS.values())}
    made = Workshop(tmp_path).prepare_rows(columns, {"target": "diagnosis", "key": "patient"})
    assert reference.key == "patient"
    assert reference.prediction is not None
    assert reference.prediction.edges is not None
    task = contract.JoinTask(
        namespace="lab",
        monitor="tumours",
        log=log,
        model=fakes.SETTINGS.model,
        version=fakes.SETTINGS.version,
        digest=reference.digest,
        since="2020-01-01T00:00:00Z",
        until="2100-01-01T00:00:00Z",
        dataset=made.reference(),
        key="patient",
        target="diagnosis",
        classes=reference.classes,
        positive=reference.prediction.positive,
        score_bins=len(reference.prediction.edges) + 1,
    )
    work = tmp_path / "join"
    work.mkdir()
    report = command.join(task, work, LIMITS, lambda percent, stage: None)
    assert report.feedback == FeedbackCounts.model_validate(by_feedback)
    assert report.rows == len(RADII)
