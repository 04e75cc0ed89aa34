"""A model that is being served: what a codec needs to read a request for it, and to write the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from mainspring_runtime.serve.batching import Batcher
from mainspring_runtime.serve.http import Response
from mainspring_runtime.serve.monitoring.feedback import Feedback
from mainspring_runtime.serve.payloads.log import Log
from mainspring_runtime.serve.predicting import Answer, Outputs
from mainspring_runtime.serve.tables import Schema, Table


@dataclass(frozen=True)
class ServedModel:
    """A loaded model and everything that was prepared for answering quickly."""

    name: str
    version: str
    schema: Schema
    default_outputs: Outputs
    outputs: frozenset[str]
    batcher: Batcher
    metadata: bytes
    feedback: Feedback | None = None
    log: Log | None = None


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What a request of any protocol comes down to; `write` makes the response from the answer."""

    table: Table
    outputs: Outputs
    write: Callable[[Answer], Response]
    id: str | None = None
