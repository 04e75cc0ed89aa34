"""The console scripts `mainspring` and `kubectl-mainspring`: find the command, run it, tell failures in one line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mainspring import __version__
from mainspring.plugin.commands import abort, export, promote, report, rollback, status
from mainspring.plugin.errors import PluginError

# A command is a module with `add`, which makes its parser and sets what it runs.
COMMANDS = (report, status, promote, abort, rollback, export)
FAILED, INTERRUPTED = 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """0: done; 1: could not be done, the reason is on stderr; 2: not understood."""
    asked = build_parser().parse_args(arguments)
    try:
        code: int = asked.run(asked)
    except PluginError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        # Who read our output has enough, as `| head` does. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def build_parser() -> argparse.ArgumentParser:
    called = Path(sys.argv[0]).name
    name = "kubectl mainspring" if called.startswith("kubectl-") else "mainspring"
    parser = argparse.ArgumentParser(
        prog=name, description="Looks at the life of models in a Kubernetes namespace, and decides about rollouts."
    )
    parser.add_argument("--version", action="version", version=f"mainspring {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands, _common())
    return parser


def _common() -> argparse.ArgumentParser:
    """The options with which every command finds its cluster; they are called as kubectl's."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("-n", "--namespace", help="default: that of the context")
    parser.add_argument("--context", help="of the kubeconfig; default: the current one")
    parser.add_argument("--kubeconfig", help="default: $KUBECONFIG, else ~/.kube/config")
    return parser
