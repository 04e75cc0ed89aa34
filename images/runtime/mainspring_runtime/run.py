"""For training code in a container of one's own that is built from the runtime image.

    from mainspring_runtime import run

    task = run.load()
    rows = pandas.read_parquet(task.train)
    run.progress(50, "half of the epochs")
    skops.io.dump(model, task.output / "model.skops")

Other images read `$MAINSPRING_INPUT/run.json` themselves; it says the same.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Run:
    """`facts` is run.json. There are no test rows here: the version is measured on them later, by the runtime."""

    facts: dict[str, Any]
    train: Path
    validation: Path | None
    output: Path
    checkpoint: Path | None


def load() -> Run:
    """What to train. Raises KeyError or OSError outside of a training pod."""
    source = Path(os.environ["MAINSPRING_INPUT"])
    facts = json.loads((source / "run.json").read_text(encoding="utf-8"))
    validation, checkpoint = facts["dataset"]["validation"], os.environ.get("MAINSPRING_CHECKPOINT")
    return Run(
        facts=facts,
        train=source / facts["dataset"]["train"],
        validation=source / validation if validation else None,
        output=Path(os.environ["MAINSPRING_OUTPUT"]),
        checkpoint=Path(checkpoint) if checkpoint else None,
    )


def progress(percent: int, stage: str) -> None:
    """Say how far the training is (0 to 100)."""
    with Path(os.environ["MAINSPRING_EVENTS"]).open("a", encoding="utf-8") as events:
        events.write(json.dumps({"percent": percent, "stage": stage}) + "\n")
