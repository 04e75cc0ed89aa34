"""Models as people bring them: one that hangs while it is loaded, one that hangs or burns CPU when it sees a number."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from mainspring_runtime import artifacts
from mainspring_runtime.serve import environment
from tests.unit.runtime.serve.artifact import Version

HANGS = 2.0**60  # as `amount`: a prediction that never ends, and leaves the interpreter to others
BURNS = 2.0**50  # a second of Python that leaves it to nobody
BURN_SECONDS = 1.0
ALLOWED = {environment.ALLOW_PICKLE: "true"}


class Stubborn:
    """A fitted estimator behind a trap."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict_proba(self, table: Any) -> Any:
        most = np.nanmax(table)
        if most >= HANGS:
            threading.Event().wait()
        if most >= BURNS:
            # Of its own CPU: who looks meanwhile gets slower with the machine, too.
            end = time.thread_time() + BURN_SECONDS
            while time.thread_time() < end:
                pass
        return np.asarray(self.model.predict_proba(table))


class HangsInLoad:
    """Whoever unpickles it waits for ever."""

    def __setstate__(self, _state: Any) -> None:
        threading.Event().wait()

    def __getstate__(self) -> dict[str, Any]:
        return {"some": "state"}


def pickled(version: Version, root: Path, model: Any) -> Version:
    """The same version with this object in the place of its model, and without the fast path."""
    directory = Path(shutil.copytree(version.uri.removeprefix("file://"), root / "copy"))
    joblib.dump(model, directory / "model.joblib")
    document = json.loads((directory / "model.json").read_text())
    changes = {"format": "joblib", "file": "model.joblib", "onnx": {"admitted": False, "reason": "a test"}}
    (directory / "model.json").write_text(json.dumps(document | changes))
    published = artifacts.publish(directory, (root / "store").as_uri())
    return Version(published.uri, published.digest)


def trapped(version: Version, root: Path) -> Version:
    """The version's own estimator as a `Stubborn`."""
    from mainspring_runtime.model import sklearn_model

    path = Path(version.uri.removeprefix("file://")) / "model.skops"
    return pickled(version, root, Stubborn(sklearn_model.load_skops(path, ())))
