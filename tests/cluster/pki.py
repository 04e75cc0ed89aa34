"""Keys, certificates and kubeconfigs, made with the openssl program.

Everything is made again when what should be in it changes (say, a new name in the
API server's certificate), and kept otherwise.
"""

from __future__ import annotations

import base64
import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.cluster import command, config, hashing

DAYS = "3650"
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
OPENSSL_CONFIG = """\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""


@dataclass(frozen=True)
class Identity:
    """A certificate to be made: whom it is for, and the addresses it may serve."""

    name: str
    common_name: str
    organization: str = ""
    addresses: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The subject as openssl wants it."""
        organization = f"/O={self.organization}" if self.organization else ""
        return f"{organization}/CN={self.common_name}"

    def extensions(self) -> str:
        """The extensions of the certificate, as an openssl section."""
        lines = ["basicConstraints = CA:FALSE", "extendedKeyUsage = serverAuth, clientAuth"]
        if self.addresses:
            lines.append("subjectAltName = " + ", ".join(_alternative(address) for address in self.addresses))
        return "\n".join(lines) + "\n"


def identities(name: str) -> tuple[Identity, ...]:
    """Everybody who talks to the API server of the cluster `name`, and the API server itself."""
    kubernetes = (
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        f"kubernetes.default.svc.{config.CLUSTER_DOMAIN}",
    )
    here = ("localhost", config.LOOPBACK, config.BRIDGE_ADDRESS)
    return (
        Identity("apiserver", "kube-apiserver", "", (*kubernetes, *here, config.API_SERVICE_ADDRESS)),
        Identity("admin", "admin", "system:masters"),
        Identity("front-proxy", "front-proxy-client"),
        Identity("controller-manager", "system:kube-controller-manager"),
        Identity("scheduler", "system:kube-scheduler"),
        Identity("proxy", "system:kube-proxy"),
        Identity("kubelet", f"system:node:{name}", "system:nodes", (name, *here)),
    )


def ensure(directory: Path, wanted: tuple[Identity, ...]) -> None:
    """Make the authority, the service account key and all certificates, unless they are there."""
    mark = directory / "made-from"
    key = hashing.key(OPENSSL_CONFIG, *(repr(identity) for identity in wanted))
    if mark.is_file() and mark.read_text() == key:
        return
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, mode=0o700)
    _authority(directory)
    _service_account_key(directory)
    for identity in wanted:
        _certificate(directory, identity)
    mark.write_text(key)


def kubeconfig(directory: Path, identity: str, server: str, cluster: str) -> str:
    """The text of a kubeconfig that carries its keys in itself."""
    user = {
        "client-certificate-data": _encoded(directory / f"{identity}.crt"),
        "client-key-data": _encoded(directory / f"{identity}.key"),
    }
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": cluster,
                "cluster": {"server": server, "certificate-authority-data": _encoded(directory / "ca.crt")},
            }
        ],
        "users": [{"name": identity, "user": user}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": identity}}],
        "current-context": cluster,
    }
    return yaml.safe_dump(content, sort_keys=False)


def _authority(directory: Path) -> None:
    (directory / "openssl.cnf").write_text(OPENSSL_CONFIG)
    subject = ("-subj", "/CN=mainspring-test-cluster", "-days", DAYS, "-extensions", "authority")
    command.run(["openssl", "req", "-x509", *NEW_KEY, *_files("ca", "crt"), *subject], cwd=directory)


def _service_account_key(directory: Path) -> None:
    curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    command.run(["openssl", "genpkey", *curve, "-out", "sa.key"], cwd=directory)
    command.run(["openssl", "pkey", "-in", "sa.key", "-pubout", "-out", "sa.pub"], cwd=directory)


def _certificate(directory: Path, identity: Identity) -> None:
    name = identity.name
    (directory / f"{name}.ext").write_text(identity.extensions())
    command.run(["openssl", "req", "-new", *NEW_KEY, *_files(name, "csr"), "-subj", identity.subject], cwd=directory)
    signed_by = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", DAYS, "-extfile", f"{name}.ext")
    command.run(["openssl", "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.crt", *signed_by], cwd=directory)


def _files(name: str, suffix: str) -> tuple[str, ...]:
    return ("-config", "openssl.cnf", "-keyout", f"{name}.key", "-out", f"{name}.{suffix}")


def _alternative(address: str) -> str:
    kind = "IP" if address.replace(".", "").isdigit() else "DNS"
    return f"{kind}:{address}"


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
