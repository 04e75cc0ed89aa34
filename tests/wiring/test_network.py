"""Watches on a network that breaks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wiring.lab import Lab
from tests.wiring.proxy import Proxy

WATCHES_AT_LEAST = 10


@pytest.fixture
def proxy(kubeconfig: Path, tmp_path: Path) -> Iterator[Proxy]:
    found = Proxy(kubeconfig, tmp_path)
    yield found
    found.close()


def test_broken_connections_are_made_again_and_nothing_is_missed(lab: Lab, proxy: Proxy) -> None:
    operator = lab.start(proxy.kubeconfig)
    operator.await_leading()
    lab.serve("before")
    lab.await_served("before")
    assert proxy.cut() > WATCHES_AT_LEAST
    lab.serve("after")
    lab.await_served("after")
    (service,) = lab.children("before", "Service")
    lab.server.delete(service)
    lab.await_true("the Service is there again", lambda: lab.exists(service))


def test_what_happens_while_the_api_server_is_out_of_reach_is_seen_afterwards(lab: Lab, proxy: Proxy) -> None:
    operator = lab.start(proxy.kubeconfig)
    operator.await_leading()
    lab.serve("before")
    lab.await_served("before")
    proxy.refuse()
    lab.serve("during")
    (service,) = lab.children("before", "Service")
    lab.server.delete(service)
    assert not lab.exists(service)
    proxy.allow()
    lab.await_served("during")
    lab.await_true("the Service is there again", lambda: lab.exists(service))
    assert operator.leads()
