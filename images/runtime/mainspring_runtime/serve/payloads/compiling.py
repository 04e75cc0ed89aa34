"""From the settings and a loaded model to a log that runs."""

from __future__ import annotations

import logging
from collections.abc import Callable

from mainspring_runtime.model.signature import Signature
from mainspring_runtime.payloads import Source
from mainspring_runtime.serve.monitoring import wire
from mainspring_runtime.serve.monitoring.predictions import Predictions
from mainspring_runtime.serve.monitoring.profile import Profile
from mainspring_runtime.serve.payloads.log import Log, Sink
from mainspring_runtime.serve.payloads.rows import Rows
from mainspring_runtime.serve.payloads.store_sink import StoreSink
from mainspring_runtime.serve.settings import Limits, Settings
from mainspring_runtime.serve.tables import Schema

Counts = Callable[[], wire.PayloadCounts]

logger = logging.getLogger(__name__)


def compile_log(
    settings: Settings, limits: Limits, signature: Signature, profile: Profile, schema: Schema, sink: Sink | None = None
) -> tuple[Log | None, Counts | None]:
    """The log, not started, and what it says of itself; both are None when none is wanted.

    A name to redact that is no input may be a misspelt one, and that column would be written: so nothing is.
    """
    wanted = settings.payload_log
    if wanted is None:
        return None, None
    predictions = Predictions(signature, profile.prediction)
    rows = Rows(settings.model, settings.version, schema, predictions, wanted.redact)
    if unknown := rows.unknown():
        reason = f"spec.payloadLog.redact names {', '.join(unknown)}, which is no input of the model: correct it"
        logger.warning("nothing is logged: %s", reason)
        refused = wire.PayloadCounts(reason=reason)
        return None, lambda: refused
    source = Source(settings.model, settings.version, settings.digest)
    log = Log(wanted, source, rows, sink or StoreSink(wanted.uri), limits.payload_bytes)
    return log, log.counts
