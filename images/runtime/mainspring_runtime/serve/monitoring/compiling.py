"""From a version's profile and signature to everything that counts: made once, when the model is loaded."""

from __future__ import annotations

import time

from mainspring_runtime.model.signature import Signature
from mainspring_runtime.serve.monitoring import profile as profiles
from mainspring_runtime.serve.monitoring import tokens
from mainspring_runtime.serve.monitoring.columns import Columns
from mainspring_runtime.serve.monitoring.counters import Bins, Counters
from mainspring_runtime.serve.monitoring.feedback import Feedback, Meaning
from mainspring_runtime.serve.monitoring.monitor import Watched
from mainspring_runtime.serve.monitoring.predictions import Predictions
from mainspring_runtime.serve.monitoring.profile import Profile
from mainspring_runtime.serve.monitoring.tokens import Clock, Signer, Tokens
from mainspring_runtime.serve.settings import Settings
from mainspring_runtime.serve.tables import Schema


def compile_monitoring(
    settings: Settings, signature: Signature, profile: Profile, schema: Schema, clock: Clock = time.time
) -> tuple[Watched, Tokens | None]:
    """What is watched, and the output that callers may ask for when the server has a key."""
    predictions = Predictions(signature, profile.prediction)
    bins = Bins(Columns(profile.features, schema), predictions) if profile.reason is None else None
    watched = Watched(
        reference=profiles.build_reference(profile, signature, settings.model, settings.version, settings.digest),
        profile=profile,
        counters=Counters(bins),
    )
    if settings.feedback_key is None or not signature.has_labels:
        return watched, None
    meaning = Meaning(
        tokens.meaning_of(signature.task, signature.classes, predictions.positive),
        signature.classes,
        predictions.positive,
        predictions.score_bins,
    )
    signer = Signer(settings.feedback_key, settings.model)
    feedback = Feedback(signer, settings.version, meaning, clock)
    made = Tokens(signer, settings.version, predictions, meaning.digest, clock)
    return Watched(watched.reference, profile, watched.counters, feedback), made
