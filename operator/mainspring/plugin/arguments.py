"""What commands have in common: names of objects as kubectl takes them, the connection, and where output goes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mainspring.api.v1alpha1 import BY_KIND
from mainspring.plugin import cluster
from mainspring.plugin.cluster import Cluster
from mainspring.plugin.errors import PluginError


def object_name(text: str, kind: str) -> str:
    """`mon/tumours`, `modelmonitor/tumours` or `tumours` → `tumours`. Raises PluginError for another kind."""
    before, _, name = text.rpartition("/")
    known = BY_KIND[kind]
    if before and before.lower() not in (known.short, known.singular, known.plural, known.resource):
        raise PluginError(f"{text}: name a {kind}, such as {known.short}/{name or 'NAME'}")
    if not name:
        raise PluginError(f"{text}: the name is missing, as in {known.short}/NAME")
    return name


def connect(asked: argparse.Namespace) -> Cluster:
    return cluster.connect(asked.kubeconfig, asked.context, asked.namespace)


def write(content: str, path: str | None) -> None:
    """To that file, or to standard output."""
    if path is None or path == "-":
        sys.stdout.write(content)
        sys.stdout.flush()
        return
    try:
        Path(path).write_text(content, encoding="utf-8")
    except OSError as error:
        raise PluginError(f"{path} cannot be written: {error.strerror}") from error
    print(f"wrote {path}", file=sys.stderr)
