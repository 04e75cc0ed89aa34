"""Which cluster it is: the user's own, kind, or one from source. The first that applies wins."""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.cluster import command, docker, paths


class Backend(enum.StrEnum):
    """Who runs the cluster."""

    EXISTING = "existing"
    """The user, who set KUBECONFIG to say so."""
    KIND = "kind"
    """kind, on a Docker engine."""
    SOURCE = "source"
    """We, from source."""


def choose(environment: Mapping[str, str] = os.environ) -> Backend:
    """The backend to use."""
    if existing_kubeconfig(environment) is not None:
        return Backend.EXISTING
    if command.find("kind") and docker.answers():
        return Backend.KIND
    return Backend.SOURCE


def existing_kubeconfig(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The kubeconfig that the user set; None also when it is one that we wrote."""
    value = environment.get("KUBECONFIG", "")
    if not value:
        return None
    path = Path(value.split(os.pathsep)[0]).expanduser().absolute()
    return None if path.is_relative_to(paths.clusters().absolute()) else path


def kind_cluster_of(kubeconfig: str) -> str | None:
    """The name of the kind cluster that the text of a kubeconfig points at, if it is one."""
    context = (yaml.safe_load(kubeconfig) or {}).get("current-context") or ""
    return context.removeprefix("kind-") if context.startswith("kind-") else None
