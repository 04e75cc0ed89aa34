"""The configuration files of the node's components, as text. Pure: the same cluster gives the same bytes."""

from __future__ import annotations

import json
from typing import Any

import yaml

from tests.cluster.config import BRIDGE, BRIDGE_ADDRESS, CLUSTER_DOMAIN, LOOPBACK, POD_RANGE, Cluster, Ports

CNI_PLUGINS = "/usr/lib/cni"
# One name for all clusters, so that `down` finds rules that an earlier one left.
CNI_NETWORK = "mainspring"
MAX_PODS = 250

CONTAINERD = """\
version = 2
root = "{state}/containerd"
state = "{runtime}/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{state}/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause_image}"
  # Without CAP_SYS_RESOURCE (a container, a small virtual machine) nobody may lower
  # a process's OOM score, and no pod would start.
  restrict_oom_score_adj = true
  # So that `down` finds every mount below a directory of ours.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_plugins}"
    conf_dir = "{state}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"""

COREFILE = """\
.:53 {{
    bind {address}
    ready {loopback}:{ready_port}
    errors
    cache 30 {{
        disable success {domain}
        disable denial {domain}
    }}
    kubernetes {domain} in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        ttl 5
        fallthrough in-addr.arpa ip6.arpa
    }}
{forward}}}
"""


def containerd(cluster: Cluster, pause_image: str, snapshotter: str) -> str:
    """containerd's own configuration."""
    return CONTAINERD.format(
        state=cluster.state,
        runtime=cluster.runtime,
        socket=cluster.containerd_socket,
        pause_image=pause_image,
        cni_plugins=CNI_PLUGINS,
        snapshotter=snapshotter,
    )


def cni(cluster: Cluster) -> str:
    """The pod network: one bridge, addresses from one range, out to the world by masquerading."""
    addresses = {
        "type": "host-local",
        "dataDir": str(cluster.state / "addresses"),
        "ranges": [[{"subnet": POD_RANGE, "gateway": BRIDGE_ADDRESS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": addresses,
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "1.0.0", "name": CNI_NETWORK, "plugins": [bridge, ports]}, indent=2)


def kubelet(cluster: Cluster, ports: Ports) -> str:
    """The kubelet's configuration."""
    return _yaml(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            **_kubelet_serving(cluster, ports),
            **_kubelet_node(cluster),
            **_kubelet_limits(),
        }
    )


def resolv_conf() -> str:
    """What pods that ask for the node's own name service get."""
    return f"nameserver {BRIDGE_ADDRESS}\n"


def kube_proxy(cluster: Cluster, ports: Ports) -> str:
    """kube-proxy's configuration."""
    return _yaml(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": str(cluster.pki / "proxy.kubeconfig")},
            "mode": "iptables",
            "clusterCIDR": POD_RANGE,
            "hostnameOverride": cluster.name,
            "healthzBindAddress": f"{LOOPBACK}:{ports.proxy_health}",
            "metricsBindAddress": f"{LOOPBACK}:{ports.proxy_metrics}",
            # Not on the machine's outside address.
            "nodePortAddresses": ["127.0.0.0/8", f"{BRIDGE_ADDRESS}/32"],
            # Leave the machine's connection tracking as it is.
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
            "oomScoreAdj": 0,
        }
    )


def corefile(cluster: Cluster, ports: Ports, host_resolv_conf: str) -> str:
    """CoreDNS' configuration; names outside the cluster go to the machine's name servers, if it has any."""
    has_upstream = any(line.startswith("nameserver") for line in host_resolv_conf.splitlines())
    return COREFILE.format(
        address=BRIDGE_ADDRESS,
        loopback=LOOPBACK,
        ready_port=ports.dns_ready,
        domain=CLUSTER_DOMAIN,
        # A process on the host has no service account; this is a test cluster.
        kubeconfig=cluster.kubeconfig,
        forward="    forward . /etc/resolv.conf\n" if has_upstream else "",
    )


def _kubelet_serving(cluster: Cluster, ports: Ports) -> dict[str, Any]:
    pki = cluster.pki
    return {
        "address": BRIDGE_ADDRESS,
        "port": ports.kubelet,
        "readOnlyPort": 0,
        "healthzBindAddress": LOOPBACK,
        "healthzPort": ports.kubelet_health,
        "tlsCertFile": str(pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet.key"),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
    }


def _kubelet_node(cluster: Cluster) -> dict[str, Any]:
    return {
        "containerRuntimeEndpoint": f"unix://{cluster.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        # Every process of a pod can be found below it, so `down` ends those and no others.
        "cgroupRoot": cluster.cgroup,
        "clusterDNS": [BRIDGE_ADDRESS],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": str(cluster.state / "resolv.conf"),
        "podLogsDir": str(cluster.state / "pod-logs"),
        "volumePluginDir": str(cluster.state / "volume-plugins"),
    }


def _kubelet_limits() -> dict[str, Any]:
    return {
        "maxPods": MAX_PODS,
        "serializeImagePulls": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        # Images cannot be pulled again: 100 switches their removal off.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%", "memory.available": "100Mi"},
    }


def _yaml(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False)
