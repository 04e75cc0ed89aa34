"""The commands: `python -m tests.cluster up | down | add | status | kubeconfig | images | values | programs | tool`.

Standard output carries the answer (a path) and nothing else; progress and errors go
to standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tests import cluster
from tests.cluster import addons, config, paths, supervise, tools
from tests.cluster.config import DEFAULT_NAME, Cluster, Profile
from tests.cluster.errors import ClusterError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    options = _parser().parse_args(argv)
    try:
        answer = options.run(options)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    if answer is not None:
        print(answer)
    return 0


def _up(options: argparse.Namespace) -> str:
    kubeconfig = cluster.up(options.name, options.profile)
    return f"export KUBECONFIG={kubeconfig}"


def _down(options: argparse.Namespace) -> None:
    for profile in [options.profile] if options.profile else list(Profile):
        cluster.down(options.name, profile)


def _add(options: argparse.Namespace) -> None:
    cluster.add(options.addon, options.name)


def _kubeconfig(options: argparse.Namespace) -> str:
    return str(cluster.kubeconfig(options.name, options.profile))


def _images(options: argparse.Namespace) -> str:
    return str(cluster.load_images(options.name))


def _values(options: argparse.Namespace) -> str:
    return str(cluster.values(options.name))


def _programs(_: argparse.Namespace) -> None:
    cluster.build_programs()


def _tool(options: argparse.Namespace) -> str:
    return str(tools.tool(options.tool))


def _status(_: argparse.Namespace) -> str:
    found = [
        Cluster(home.name, profile)
        for home in sorted(paths.clusters().glob("*"))
        if home.is_dir()
        for profile in Profile
    ]
    lines = [line for one in found if one.state.is_dir() for line in _describe(one)]
    return "\n".join(lines) if lines else "no cluster from source"


def _describe(one: Cluster) -> list[str]:
    ports = config.load_ports(one)
    lines = [
        f"{one.name} ({one.profile}): https://{config.LOOPBACK}:{ports.apiserver if ports else '?'} {one.kubeconfig}"
    ]
    for name in supervise.recorded(one):
        process = supervise.running(one, name)
        lines.append(f"  {name:24} {f'running, pid {process.pid}' if process else 'not running'}")
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description="The test cluster.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", default=DEFAULT_NAME, help=f"the cluster's name (default: {DEFAULT_NAME})")
    profiled = argparse.ArgumentParser(add_help=False)
    profiled.add_argument(
        "--profile",
        type=Profile,
        default=Profile.NODE,
        choices=list(Profile),
        help="node (default): all of Kubernetes; apiserver: no pods",
    )
    either = argparse.ArgumentParser(add_help=False)
    either.add_argument("--profile", type=Profile, default=None, choices=list(Profile), help="default: both")

    commands.add_parser("up", parents=[named, profiled], help="start a cluster, or repair it").set_defaults(run=_up)
    commands.add_parser("down", parents=[named, either], help="end a cluster").set_defaults(run=_down)
    addition = commands.add_parser("add", parents=[named], help="add a part that only some tests need to a node")
    addition.add_argument("addon", choices=addons.NAMES, metavar="NAME", help=", ".join(addons.NAMES))
    addition.set_defaults(run=_add)
    commands.add_parser("status", help="show the clusters from source").set_defaults(run=_status)
    commands.add_parser("kubeconfig", parents=[named, profiled], help="print the kubeconfig's path").set_defaults(
        run=_kubeconfig
    )
    commands.add_parser("images", parents=[named], help="build the images and load them").set_defaults(run=_images)
    commands.add_parser("values", parents=[named], help="print the path of the Helm values").set_defaults(run=_values)
    commands.add_parser("programs", help="build every program that the tests start").set_defaults(run=_programs)
    program = commands.add_parser("tool", help="build a program and print its path")
    program.add_argument("tool", choices=tools.names(), metavar="NAME", help=", ".join(tools.names()))
    program.set_defaults(run=_tool)
    return parser
