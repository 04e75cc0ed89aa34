"""What is counted of a split for Prometheus alone; what the operator judges by is in `wire.StageCounts`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from mainspring_runtime.serve.metrics import SECONDS_BUCKETS, Distribution


@dataclass
class SplitTallies:
    """Since the start of the server."""

    forward_seconds: Distribution = field(default_factory=lambda: Distribution(SECONDS_BUCKETS))
    shadow: Counter[int] = field(default_factory=Counter)  # copies that this server answered, by HTTP status
