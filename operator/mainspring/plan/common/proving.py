"""A version that an InferenceService proves before it may be champion: what is kept of that on the version itself.

A decision, so it lives in an annotation and survives the status of its Model. The Model writes it; the version tells it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from mainspring.api.v1alpha1.common import ANNOTATION_PROVING
from mainspring.api.v1alpha1.inferenceservice import ModelRef
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object

CHAMPION = "champion"
PROMOTED = "Promoted"


@dataclass(frozen=True)
class Record:
    """The last time that a version was sent to a service. `outcome` is empty without a verdict; `message` says why it was so."""

    service: str
    since: str
    outcome: str = ""
    message: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def record(version: Object) -> Record | None:
    """None for a version that was never sent anywhere."""
    text = objects.annotations_of(version).get(ANNOTATION_PROVING)
    try:
        return Record(**json.loads(text)) if text else None
    except (ValueError, TypeError):
        return None  # damaged by somebody's edit


def follows(what: ModelRef, model: str) -> bool:
    """A service with this `spec.model` goes where the champion of that Model goes."""
    return what.name == model and (what.alias or CHAMPION) == CHAMPION
