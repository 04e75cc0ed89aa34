"""From a URI and a digest to a model that may answer. Runs in the prediction thread, before any request."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from mainspring_runtime import artifacts
from mainspring_runtime.artifacts import Manifest
from mainspring_runtime.errors import PermanentError, RetryableError
from mainspring_runtime.model import sample as samples
from mainspring_runtime.model.sample import Sample
from mainspring_runtime.serve.monitoring import profile
from mainspring_runtime.serve.monitoring.profile import Profile
from mainspring_runtime.serve.predicting import Predictor
from mainspring_runtime.serve.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """A model that may answer, what its rows and predictions are compared with, and the rows that it was proved with."""

    predictor: Predictor
    profile: Profile
    sample: Sample | None = None


@dataclass
class Progress:
    """How far a load is, for whoever watches it from another thread."""

    stage: str = "starting"
    directory: Path | None = None  # of the files that are being fetched

    def timed_out(self, seconds: float) -> RetryableError:
        """What to say when it did not end in time."""
        message = f"the model was not ready after {seconds:g} s: the server is {self.stage}{self._fetched()}"
        remedy = "raise spec.server.loadTimeout if it only needs longer"
        return RetryableError("LoadTimedOut", f"{message}; {remedy}")

    def _fetched(self) -> str:
        if self.directory is None:
            return ""
        size = sum(path.stat().st_size for path in self.directory.rglob("*") if path.is_file())
        return f", and {size} bytes came so far"


def load(settings: Settings, directory: Path, threads: int, progress: Progress | None = None) -> Loaded:
    """Fetch and verify every byte into `directory`, then load the model from it.

    Loading predicts the version's own sample and compares, so a model that is returned is proved and warm.
    Raises `PermanentError` (a changed byte, a type that is not trusted, a sample that is not reproduced, a format that
    only its owner can run) or `RetryableError` (the store does not answer, a signature that the Model asks for does not verify).
    """
    progress = progress or Progress()
    started = time.monotonic()
    progress.stage, progress.directory = f"fetching the files from {settings.uri}", directory
    manifest = artifacts.fetch(settings.uri, settings.digest, directory)
    _verify_signature(settings, directory, manifest)
    fetched = time.monotonic()
    progress.stage, progress.directory = "loading the model from its files, which are all there", None
    # Imported late: it brings the numeric libraries, and the ports must not wait for them.
    from mainspring_runtime.model import predictor

    loaded: Predictor = predictor.load(
        directory, trusted_types=settings.trusted_types, allow_pickle=settings.allow_pickle, threads=threads
    )
    if loaded.path == "custom":
        message = (
            "the model is in a format of its own, which this server cannot run; set spec.runtime.image to one that can"
        )
        raise PermanentError("CustomFormat", message)
    logger.info(
        "loaded %s version %s by path %s on %d threads: %d bytes fetched in %.2f s, loaded in %.2f s%s",
        settings.model, settings.version, loaded.path, threads, manifest.size, fetched - started, time.monotonic() - fetched,
        f"; not the fast path: {loaded.fallback_reason}" if loaded.fallback_reason else "",
    )  # fmt: skip
    found = profile.read(directory, loaded.signature)
    if found.reason:
        logger.warning("only rows are counted, no features and no predictions: %s", found.reason)
    return Loaded(loaded, found, samples.read_sample(directory, loaded.signature))


def _verify_signature(settings: Settings, directory: Path, manifest: Manifest) -> None:
    asked = settings.verification
    if asked is None:
        return
    # Imported here: only who asks pays for it.
    from mainspring_runtime.signing import verification

    fingerprint = verification.verify(settings.uri, directory, manifest, asked.public_keys, asked.secret)
    logger.info("signed by the key %s of Secret %s", fingerprint, asked.secret)
