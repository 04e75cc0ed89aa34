"""Several processes of one release: one works, the others stand by and take over."""

from __future__ import annotations

from mainspring.engine.leader import LEASE_SECONDS
from tests.apiserver.server import Manifest
from tests.wiring.lab import Lab
from tests.wiring.operator import RELEASE


def lease(lab: Lab) -> Manifest:
    """The spec of the release's Lease."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{lab.namespace}/leases/mainspring-operator-{RELEASE}"
    spec: Manifest = lab.server.request("GET", path)["spec"]
    return spec


def test_of_two_processes_only_one_works(lab: Lab) -> None:
    first = lab.start()
    first.await_leading()
    second = lab.start()
    second.await_ready()
    lab.serve("tumours")
    lab.await_served("tumours")
    assert (first.leads(), second.leads()) == (True, False)
    told = second.metrics()
    assert told.writes() == 0
    # It asks for the Lease and for nothing else.
    assert told.requests("GET", "WATCH") == told.requests("GET", resource="Lease")


def test_sigterm_releases_the_lease(lab: Lab) -> None:
    only = lab.start()
    only.await_leading()
    assert lease(lab)["holderIdentity"]
    assert only.terminate() == 0
    assert not lease(lab).get("holderIdentity")


def test_after_sigterm_the_other_takes_over_at_once(lab: Lab) -> None:
    first = lab.start()
    first.await_leading()
    second = lab.start()
    second.await_ready()
    before = lease(lab)["leaseTransitions"]
    assert first.terminate() == 0
    second.await_leading()
    # One for the release and one for the successor, who did not wait until it had run out.
    assert lease(lab)["leaseTransitions"] == before + 2
    lab.serve("tumours")
    lab.await_served("tumours")


def test_after_sigkill_the_lease_has_to_run_out(lab: Lab) -> None:
    first = lab.start()
    first.await_leading()
    lab.serve("before")
    lab.await_served("before")
    second = lab.start()
    second.await_ready()
    holder = lease(lab)["holderIdentity"]
    first.kill()
    lab.serve("after")
    assert lease(lab)["holderIdentity"] == holder
    second.await_leading(2 * LEASE_SECONDS)
    assert lease(lab)["holderIdentity"] not in ("", holder)
    lab.await_served("after")
    assert second.metrics().total("mainspring_writes_total", kind="Deployment") == 1
