"""Installing and removing the Helm release on the test cluster."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from tests import cluster
from tests.cluster import command, tools
from tests.cluster.progress import say

RELEASE = "mainspring"
NAMESPACE = "mainspring-system"
CHART = Path(__file__).resolve().parents[2] / "charts" / "mainspring"
INSTALL_SECONDS = 180.0


def environment() -> dict[str, str]:
    return {**os.environ, "KUBECONFIG": str(cluster.kubeconfig())}


def kubectl_path() -> str:
    """The installed kubectl, else the one that the node was built with."""
    return command.find("kubectl") or str(tools.tool("kubectl"))


def kubectl(*words: str, stdin: str | None = None, timeout: float = 120.0) -> str:
    return command.run([kubectl_path(), *words], env=environment(), stdin=stdin, timeout=timeout)


def helm(*words: str, timeout: float = INSTALL_SECONDS + 60.0) -> str:
    return command.run([tools.tool("helm"), *words], env=environment(), timeout=timeout)


def install(extra: Sequence[str] = ()) -> None:
    """`helm upgrade --install --wait` with the images that were built last."""
    _clear_interrupted()
    say(f"helm upgrade --install {RELEASE} charts/mainspring --namespace {NAMESPACE} --wait")
    helm(
        "upgrade", "--install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--create-namespace",
        "--values", str(cluster.values()), "--wait", "--timeout", f"{INSTALL_SECONDS:.0f}s", *extra,
    )  # fmt: skip
    say("the operator and its artifact store are ready")


def _clear_interrupted() -> None:
    """An install that was killed half-way leaves a release that Helm refuses to touch."""
    found = json.loads(helm("list", "--namespace", NAMESPACE, "--filter", f"^{RELEASE}$", "--output", "json"))
    if any(item["status"].startswith("pending") for item in found):
        say("an earlier install was interrupted: removing what it left")
        uninstall()


def uninstall() -> None:
    """As a user would; CRDs, user objects and the store's volume claim stay."""
    helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--ignore-not-found", "--wait")


def remove_all() -> None:
    """The release and what `helm uninstall` keeps on purpose."""
    say("removing the release, its CRDs and its namespace")
    uninstall()
    crds = [name for name in kubectl("get", "crd", "-o", "name").split() if name.endswith(".mainspring.dev")]
    if crds:
        kubectl("delete", *crds, "--timeout=120s", timeout=150.0)
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s", timeout=150.0)
    cluster.recycle_volumes()
