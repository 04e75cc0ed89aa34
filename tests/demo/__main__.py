"""`python -m tests.demo install | run | loop | down | uninstall`; the Makefile calls it."""

from __future__ import annotations

import sys

from tests import cluster
from tests.cluster.backend import Backend, choose
from tests.cluster.errors import ClusterError
from tests.cluster.progress import say
from tests.demo import chapters, closed_loop, release

SPACES = ("first-loop", "regression", closed_loop.SPACE)

NEXT = """
The loop has turned once. What to look at next (export KUBECONFIG={kubeconfig}):

  kubectl get mainspring -n first-loop                    everything at a glance
  kubectl describe modelversion tumours-v1 -n first-loop  metrics, lineage, gates
  kubectl describe inferenceservice tumours -n first-loop what is served, and since when
  kubectl get events -n first-loop                        the story in order
  kubectl port-forward -n first-loop service/tumours 8080 then: curl localhost:8080/v2/models/tumours
  kubectl get --raw /api/v1/namespaces/{namespace}/services/{release}-metrics:metrics/proxy/metrics

  make demo-loop lets the world change, and shows the loop closing by itself (about ten minutes).
  README.md goes on with your own data, your own model and your own cluster.
  make demo-down removes everything again.
"""


def main() -> int:
    commands = {
        "install": release.install,
        "uninstall": release.uninstall,
        "run": run,
        "loop": closed_loop.run,
        "down": down,
    }
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        print(f"usage: python -m tests.demo {' | '.join(commands)}", file=sys.stderr)
        return 2
    try:
        commands[sys.argv[1]]()
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run() -> None:
    remove_examples()
    times = {
        "first loop": chapters.first_loop(),
        "own data": chapters.from_store(),
        "regression": chapters.regression(),
    }
    say("seconds from `kubectl apply` until ready:")
    for chapter, took in times.items():
        say(f"  {chapter}: " + ", ".join(f"{what} {seconds:.0f}" for what, seconds in took.items()))
    kubeconfig = cluster.kubeconfig()
    print(NEXT.format(kubeconfig=kubeconfig, namespace=release.NAMESPACE, release=release.RELEASE))


def remove_examples() -> None:
    """What an earlier run left: finished things stay finished, and the demonstration shows them being made."""
    release.kubectl("delete", "namespace", *SPACES, "--ignore-not-found", "--timeout=120s", timeout=150.0)


def down() -> None:
    """Removes the examples, the release, the CRDs, and the cluster unless it is the user's own."""
    if cluster.kubeconfig().exists():
        remove_examples()
        release.remove_all()
    if choose() is not Backend.EXISTING:
        cluster.down()


if __name__ == "__main__":
    sys.exit(main())
