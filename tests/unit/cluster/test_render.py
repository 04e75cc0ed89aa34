"""The configuration files say what the components need, and stay the same for the same cluster."""

from __future__ import annotations

import json
import tomllib

import pytest
import yaml

from tests.cluster import config, pki, render
from tests.cluster.config import Cluster, Ports, Profile
from tests.cluster.errors import ClusterError

CLUSTER = Cluster("test", Profile.NODE)
PORTS = Ports.block(20000)


def test_containerd_keeps_everything_in_the_clusters_directories() -> None:
    parsed = tomllib.loads(render.containerd(CLUSTER, "localhost/pause:1", "overlayfs"))
    assert parsed["root"].startswith(str(CLUSTER.state))
    assert parsed["grpc"]["address"] == str(CLUSTER.containerd_socket)
    assert parsed["plugins"]["io.containerd.grpc.v1.cri"]["sandbox_image"] == "localhost/pause:1"


def test_the_socket_path_is_short_enough_for_the_kernel() -> None:
    assert len(str(CLUSTER.containerd_socket) + ".ttrpc") < 108


def test_pods_get_addresses_of_the_bridge_that_exists_already() -> None:
    bridge = json.loads(render.cni(CLUSTER))["plugins"][0]
    assert bridge["bridge"] == config.BRIDGE
    assert bridge["ipam"]["ranges"] == [[{"subnet": config.POD_RANGE, "gateway": config.BRIDGE_ADDRESS}]]


def test_the_kubelet_admits_nobody_anonymous() -> None:
    parsed = yaml.safe_load(render.kubelet(CLUSTER, PORTS))
    assert parsed["authentication"]["anonymous"] == {"enabled": False}
    assert parsed["authorization"] == {"mode": "Webhook"}
    assert parsed["readOnlyPort"] == 0


def test_node_ports_stay_off_the_outside_address() -> None:
    parsed = yaml.safe_load(render.kube_proxy(CLUSTER, PORTS))
    assert parsed["nodePortAddresses"] == ["127.0.0.0/8", f"{config.BRIDGE_ADDRESS}/32"]


@pytest.mark.parametrize(
    ("host", "forwards"), [("nameserver 192.0.2.1\n", True), ("search example.com\n", False), ("", False)]
)
def test_names_outside_the_cluster_are_forwarded_where_there_is_somewhere_to(host: str, forwards: bool) -> None:
    assert ("forward ." in render.corefile(CLUSTER, PORTS, host)) is forwards


def test_braces_of_the_corefile_are_balanced() -> None:
    text = render.corefile(CLUSTER, PORTS, "nameserver 192.0.2.1")
    assert text.count("{") == text.count("}")


def test_ports_are_the_first_block_that_is_free_as_a_whole() -> None:
    taken = {config.FIRST_PORT + 3, config.FIRST_PORT + config.BLOCK}
    assert config.pick_ports(lambda port: port not in taken) == Ports.block(config.FIRST_PORT + 2 * config.BLOCK)


def test_no_free_ports_is_an_error() -> None:
    with pytest.raises(ClusterError, match="free"):
        config.pick_ports(lambda _: False)


def test_a_block_is_large_enough_and_below_the_node_ports() -> None:
    assert len(PORTS.all()) <= config.BLOCK
    assert max(Ports.block(config.LAST_PORT).all()) < 30000


def test_the_api_server_serves_the_names_that_pods_use() -> None:
    (identity,) = [one for one in pki.identities("test") if one.name == "apiserver"]
    for name in ("DNS:kubernetes.default.svc", "IP:127.0.0.1", f"IP:{config.API_SERVICE_ADDRESS}"):
        assert name in identity.extensions()


def test_the_kubelet_is_the_node_that_it_says() -> None:
    (identity,) = [one for one in pki.identities("test") if one.name == "kubelet"]
    assert identity.subject == "/O=system:nodes/CN=system:node:test"
