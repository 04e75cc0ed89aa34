"""What a DatasetVersion's plan looks at."""

from __future__ import annotations

from dataclasses import dataclass

from mainspring.plan.common.objects import Object


@dataclass(frozen=True)
class Observed:
    object: Object
