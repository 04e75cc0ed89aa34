"""A Gateway that routes lead to: Contour decides, Envoy carries the requests; both are processes of this machine.

Contour's own manifests bring the Gateway API. There is one Gateway, `NAME` in `NAMESPACE`, which takes routes of every
namespace and listens at the bridge's address.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import api, command, tools, wait
from tests.cluster.config import BRIDGE_ADDRESS, LOOPBACK, Cluster, Ports
from tests.cluster.supervise import Component

NAMESPACE = "gateways"
NAME = "public"
CLASS = "contour"
MODULE = "github.com/projectcontour/contour"
CRD_FILES = ("examples/contour/01-crds.yaml", "examples/gateway/00-crds.yaml")
GROUP = "gateway.networking.k8s.io"
CONTOUR_SHIFT = 8000  # so much above a listener's port Contour lets Envoy listen, so that it needs no root for port 80
# Without these it would wait for kinds that nobody uses here.
UNUSED = ("extensionservices", "tlsroutes", "grpcroutes", "tcproutes", "backendtlspolicies")


def contour(cluster: Cluster, ports: Ports) -> Component:
    """Watches Gateways and routes, and tells Envoy."""
    file = cluster.state / "contour.yaml"
    wanted = {"gatewayRef": {"namespace": NAMESPACE, "name": NAME}}
    file.write_text(yaml.safe_dump({"gateway": wanted, "network": {"admin-port": ports.envoy_admin}}))
    argv = (
        str(tools.tool("contour")),
        "serve",
        f"--config-path={file}",
        f"--kubeconfig={cluster.kubeconfig}",
        "--insecure",
        "--disable-leader-election",
        f"--xds-address={LOOPBACK}",
        f"--xds-port={ports.xds}",
        f"--http-address={LOOPBACK}",
        f"--http-port={ports.contour}",
        f"--health-address={LOOPBACK}",
        f"--health-port={ports.contour}",
        f"--debug-http-address={LOOPBACK}",
        f"--debug-http-port={ports.contour_debug}",
        f"--stats-address={LOOPBACK}",
        f"--stats-port={ports.envoy_stats}",
        f"--envoy-service-http-address={BRIDGE_ADDRESS}",
        *(f"--disable-feature={kind}" for kind in UNUSED),
    )
    ready = partial(api.unhealthy, api.Endpoint(LOOPBACK, ports.contour, tls=False), "/healthz")
    return Component("contour", argv, ready, (file, cluster.kubeconfig))


def envoy(cluster: Cluster, ports: Ports, server: api.Endpoint) -> Component:
    """Carries the requests."""
    file = cluster.state / "envoy.json"
    command.run(
        [
            str(tools.tool("contour")),
            "bootstrap",
            str(file),
            f"--xds-address={LOOPBACK}",
            f"--xds-port={ports.xds}",
            f"--admin-address={cluster.runtime}/envoy.sock",
            f"--namespace={NAMESPACE}",
        ]
    )
    argv = (
        str(tools.tool("envoy")),
        "--config-path",
        str(file),
        *("--service-cluster", "gateways"),
        *("--service-node", "envoy"),
        *("--concurrency", "1"),
        *("--log-level", "warning"),
        # Which would share memory with any other Envoy of this machine.
        "--disable-hot-restart",
    )
    return Component("envoy", argv, partial(_envoy_missing, server, ports), (file,))


def _envoy_missing(server: api.Endpoint, ports: Ports) -> str | None:
    """It has what Contour tells it, and Contour takes routes. The Gateway's own port opens with the first of them."""
    stats = api.Endpoint(LOOPBACK, ports.envoy_stats, tls=False)
    return api.unhealthy(stats, "/ready") or _unprogrammed(server)


def address(ports: Ports) -> str:
    """Where the Gateway listens: host and port."""
    return f"{BRIDGE_ADDRESS}:{ports.envoy}"


def definitions() -> list[dict[str, Any]]:
    """The CRDs of Contour and of the Gateway API, from the module that Contour is built from."""
    version = tools.published("contour").version
    found = command.run(["go", "mod", "download", "-json", f"{MODULE}@{version}"], env={"GOFLAGS": "", "GOWORK": "off"})
    root = Path(json.loads(found)["Dir"])
    documents = [one for file in CRD_FILES for one in yaml.safe_load_all((root / file).read_text()) if one]
    return [one for one in documents if one["kind"] == "CustomResourceDefinition"]


def install_definitions(server: api.Endpoint) -> None:
    """Apply the CRDs, and wait until they are served."""
    every = definitions()
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for definition in every:
        # What the API server fills in by itself it refuses to be told.
        body = {key: value for key, value in definition.items() if key != "status"}
        api.apply(server, f"{crds}/{definition['metadata']['name']}", body)
    wait.until(lambda: _not_served(server, every), 30.0)


def _not_served(server: api.Endpoint, every: list[dict[str, Any]]) -> str | None:
    for definition in every:
        group, plural = definition["spec"]["group"], definition["spec"]["names"]["plural"]
        for version in definition["spec"]["versions"]:
            if not version["served"]:
                continue
            try:
                api.get(server, f"/apis/{group}/{version['name']}/{plural}?limit=1")
            except api.ApiError as error:
                return str(error)
    return None


def manifests(ports: Ports) -> list[tuple[str, dict[str, Any]]]:
    """The Gateway and its class: path and object."""
    root = f"/apis/{GROUP}/v1"
    version = f"{GROUP}/v1"
    listener = {
        "name": "http",
        "port": ports.envoy - CONTOUR_SHIFT,
        "protocol": "HTTP",
        "allowedRoutes": {"namespaces": {"from": "All"}},
    }
    return [
        (
            f"/api/v1/namespaces/{NAMESPACE}",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        ),
        (
            f"{root}/gatewayclasses/{CLASS}",
            {
                "apiVersion": version,
                "kind": "GatewayClass",
                "metadata": {"name": CLASS},
                "spec": {"controllerName": "projectcontour.io/gateway-controller"},
            },
        ),
        (
            f"{root}/namespaces/{NAMESPACE}/gateways/{NAME}",
            {
                "apiVersion": version,
                "kind": "Gateway",
                "metadata": {"name": NAME, "namespace": NAMESPACE},
                "spec": {"gatewayClassName": CLASS, "listeners": [listener]},
            },
        ),
    ]


def _unprogrammed(server: api.Endpoint) -> str | None:
    try:
        found = api.get(server, f"/apis/{GROUP}/v1/namespaces/{NAMESPACE}/gateways/{NAME}")
    except (api.ApiError, api.Unreachable) as error:
        return str(error)
    told = {item["type"]: item for item in found.get("status", {}).get("conditions") or ()}
    accepted = told.get("Accepted", {"status": "Unknown", "message": "nobody has looked at the Gateway yet"})
    return None if accepted["status"] == "True" else str(accepted["message"])
