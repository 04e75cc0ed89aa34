"""The contract between a model server and the operator's autoscaler: what `GET /load` on the internal port answers.

A server counts since its start, by its own clock, so whoever reads takes differences: of what one `epoch` counted.
The average number of requests that were being answered between two readings is the difference of `busy_seconds` over
that of `seconds`, exactly and however short they are: no sample of the number at some moment could say that.
"""

from __future__ import annotations

from mainspring.api.v1alpha1.common import ApiModel

LOAD_PATH = "/load"


class Load(ApiModel):
    epoch: str  # another one after each start
    seconds: float  # since the start
    requests: int  # that came, inference only
    in_flight: int  # that are being answered now
    busy_seconds: float  # the integral of `in_flight` over `seconds`
