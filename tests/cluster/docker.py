"""Where a Docker engine answers: kind for the cluster, `docker build` for the images."""

from __future__ import annotations

from pathlib import Path

from tests.cluster import command, paths
from tests.cluster.config import Cluster
from tests.cluster.progress import say

LIMIT_SECONDS = 45 * command.MINUTE_SECONDS
CREATE_SECONDS = 15 * command.MINUTE_SECONDS


def answers() -> bool:
    """Whether a Docker engine can be used; the client alone is not enough."""
    return command.succeeds(["docker", "info"], timeout=20)


def has(name: str) -> bool:
    """Whether the engine has an image."""
    return command.succeeds(["docker", "image", "inspect", name])


def build(name: str, dockerfile: Path, context: Path, *, target: str = "") -> None:
    """Build one image."""
    options = ["--file", str(dockerfile), "--tag", name, *(["--target", target] if target else [])]
    command.run(["docker", "build", *options, str(context)], timeout=LIMIT_SECONDS)


def push(name: str) -> None:
    """Push an image to the registry that its name says."""
    command.run(["docker", "push", name], timeout=LIMIT_SECONDS)


def kind_kubeconfig(cluster: Cluster) -> Path:
    """Where the kubeconfig of a kind cluster is kept."""
    return cluster.home / "kind.kubeconfig"


def kind_up(cluster: Cluster) -> None:
    """Have a kind cluster."""
    kubeconfig = kind_kubeconfig(cluster)
    kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    if cluster.name in command.run(["kind", "get", "clusters"]).split():
        command.run(["kind", "export", "kubeconfig", "--name", cluster.name, "--kubeconfig", kubeconfig])
        return
    say(f"creating the kind cluster {cluster.name}")
    settings = [
        "--name",
        cluster.name,
        "--config",
        str(paths.REPO / "kind-config.yaml"),
        "--kubeconfig",
        str(kubeconfig),
    ]
    command.run(["kind", "create", "cluster", *settings, "--wait", "3m"], timeout=CREATE_SECONDS)


def kind_down(cluster: Cluster) -> None:
    """End a kind cluster; nothing happens when there is none."""
    command.run(["kind", "delete", "cluster", "--name", cluster.name, "--kubeconfig", kind_kubeconfig(cluster)])


def kind_load(kind_cluster: str, name: str) -> None:
    """Hand an image to the nodes of a kind cluster."""
    command.run(["kind", "load", "docker-image", name, "--name", kind_cluster], timeout=LIMIT_SECONDS)
