"""What `spec.server` means for the pods: what they are told, and how long Kubernetes gives them.

A pod that goes away first sleeps while its endpoint is withdrawn everywhere, then lets its callers move on, answers what
it has, and hands over its last rows and counts: `Limits.drain_seconds` of the server is the longest that this takes.
A test holds the two together.
"""

from __future__ import annotations

import math

from mainspring.api.contract import ServerEnv, ServerSettings, as_json
from mainspring.api.v1alpha1.inferenceservice import InferenceServiceSpec
from mainspring.plan.common import objects, quantity
from mainspring.plan.common.objects import Manifest

REQUEST_SECONDS = 5.0  # the server's own default
LOAD_SECONDS = 600.0  # likewise
PRE_STOP_SECONDS = 5
DRAIN_SECONDS = 35  # of a server, beside the time of one request
# A pod is scheduled and its image is pulled before the server counts; its own word on a load that takes too long must
# come before Kubernetes gives up with less to say.
START_SECONDS = 300


def build_env(spec: InferenceServiceSpec) -> list[Manifest]:
    """Nothing for an image of the user's own, and nothing where nothing is set."""
    told = settings(spec)
    if spec.runtime or told == ServerSettings():
        return []
    return [{"name": str(ServerEnv.SERVER), "value": as_json(told)}]


def settings(spec: InferenceServiceSpec) -> ServerSettings:
    """`spec.server` in the units of the server."""
    wanted = spec.server
    if wanted is None:
        return ServerSettings()
    return ServerSettings(
        max_batch_rows=wanted.max_batch_rows,
        max_queue=wanted.max_queue,
        max_rows=wanted.max_rows,
        max_body_bytes=_bytes(wanted.max_body_size),
        request_seconds=_seconds(wanted.request_timeout),
        load_seconds=_seconds(wanted.load_timeout),
        warmup=wanted.warmup,
    )


def grace_seconds(spec: InferenceServiceSpec) -> int:
    """`terminationGracePeriodSeconds`: a drain always fits."""
    return PRE_STOP_SECONDS + DRAIN_SECONDS + math.ceil(settings(spec).request_seconds or REQUEST_SECONDS)


def progress_deadline_seconds(spec: InferenceServiceSpec) -> int:
    """`progressDeadlineSeconds` of the Deployment: longer than any load."""
    return START_SECONDS + math.ceil(settings(spec).load_seconds or LOAD_SECONDS)


def _seconds(duration: str | None) -> float | None:
    return None if duration is None else objects.parse_duration(duration).total_seconds()


def _bytes(size: str | None) -> int | None:
    found = None if size is None else quantity.parse(size)
    return None if found is None else int(found)
