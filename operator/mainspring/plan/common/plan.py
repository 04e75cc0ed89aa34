"""A plan: everything that one reconcile wants to be true. Plain data, carried out by the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mainspring.api.v1alpha1.common import FIELD_MANAGER
from mainspring.plan.common.objects import Manifest, Ref


@dataclass(frozen=True)
class Event:
    """A Kubernetes Event about the reconciled object, sent after its status was written."""

    reason: str
    message: str
    type: str = "Normal"  # or Warning


@dataclass(frozen=True)
class Patch:
    """A few fields of an existing object, by server-side apply under a field manager of their own.

    For what a whole manifest must not own: replicas (an autoscaler may), a Job's `suspend`, annotations on versions.
    """

    target: Ref
    uid: str
    body: Manifest
    field_manager: str = FIELD_MANAGER


@dataclass(frozen=True)
class Notice:
    """Something to tell somebody outside the cluster, sent after the status was written, and without waiting for it.

    What became of it is told to the controller's next `observe`. `key` names the notice: sent twice, it is the same one.
    `url` is where to, or else the Secret of the namespace has it under `url_key`; `path` comes behind it.
    `attempted_at` is the last time that is known: what became of it since is to be looked at before it is sent again.
    """

    key: str
    body: Any  # JSON
    url: str | None = None
    url_key: str | None = None
    path: str = ""
    attempted_at: str = ""


@dataclass(frozen=True)
class Delivery:
    """What became of a notice. `final`: nobody will ever take it so. `error` holds neither address nor answer."""

    at: datetime
    taken: bool
    final: bool = False
    error: str = ""
    retry_after: float = 0.0  # seconds, as the receiver asks


@dataclass(frozen=True)
class Plan:
    """`status_first`: the status holds a one-time decision (a number, a champion) that must be written before its effects."""

    apply: tuple[Manifest, ...] = ()
    patch: tuple[Patch, ...] = ()
    delete: tuple[tuple[Ref, str], ...] = ()  # (object, uid)
    status: Mapping[str, Any] | None = None
    status_first: bool = False
    events: tuple[Event, ...] = ()
    notices: tuple[Notice, ...] = ()
    requeue_after: float | None = None  # seconds


NOTHING = Plan()


def annotate(target: Ref, uid: str, annotations: Mapping[str, str], field_manager: str) -> Patch:
    return Patch(target, uid, {"metadata": {"annotations": dict(annotations)}}, field_manager)
