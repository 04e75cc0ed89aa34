"""What a Model says in numbers: how often its champion changes, how long that takes, and how often it was a mistake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mainspring.plan.common import figures
from mainspring.plan.common.figures import Family, Figure
from mainspring.plan.common.objects import Ref
from mainspring.plan.model import delivery

OWN = ("namespace", "model")

PROMOTIONS = Family("mainspring_promotions", "How often the champion moved, rollbacks included.", OWN, counter=True)
ROLLBACKS = Family("mainspring_rollbacks", "How often the champion moved to an older version.", OWN, counter=True)
LEAD_TIME = Family(
    "mainspring_lead_time_seconds", "Of the last promotion, from the start of the training until it was champion.", OWN
)
FAILURES = Family(
    "mainspring_change_failure_ratio",
    "Of the last changes, at most fifty, the share that was taken back or that its rollout did not take, 0 to 1.",
    OWN,
)
VERSIONS = Family("mainspring_model_versions", "Versions that are kept.", OWN)
REJECTED = Family("mainspring_model_versions_rejected", "Of these, those that did not pass.", OWN)
REFUSED = Family(
    "mainspring_candidates_rejected",
    "How often a candidate was rejected by its rollout (promotion.provenBy).",
    OWN,
    counter=True,
)
PROVING_SINCE = Family(
    "mainspring_proving_start_timestamp_seconds",
    "When the candidate was sent to the service that proves it; absent while there is none.",
    (*OWN, "service", "version"),
)
PROVING_TIME = Family(
    "mainspring_last_proving_seconds", "How long the last candidate was rolled out until there was a verdict.", OWN
)
FAMILIES = (PROMOTIONS, ROLLBACKS, LEAD_TIME, FAILURES, VERSIONS, REJECTED, REFUSED, PROVING_SINCE, PROVING_TIME)


def figures_of(model: Ref, status: Mapping[str, Any]) -> Iterator[Figure]:
    own = (model.namespace, model.name)
    yield from PROMOTIONS(*own, value=status.get("promotions", 0))
    yield from ROLLBACKS(*own, value=status.get("rollbacks", 0))
    yield from LEAD_TIME(*own, value=status.get("lastLeadTimeSeconds"))
    yield from FAILURES(*own, value=delivery.change_failure_ratio(status.get("history") or ()))
    yield from VERSIONS(*own, value=status.get("versions", 0))
    yield from REJECTED(*own, value=status.get("rejected", 0))
    yield from REFUSED(*own, value=status.get("rejectedByRollout", 0))
    yield from PROVING_TIME(*own, value=status.get("lastProvingSeconds"))
    if going := status.get("proving"):
        since = figures.timestamp(going["since"])
        yield from PROVING_SINCE(*own, going["service"], going["version"], value=since)
