"""`export mv/NAME`: a ModelVersion as a manifest for Git, with the artifact's address and digest.

What another cluster needs to take the version in: its files by digest, what it takes and answers, how it was measured,
and where it came from. Not what was decided about it here: there its Model decides anew.
"""

from __future__ import annotations

import argparse
from typing import Any

import yaml

from mainspring.api.v1alpha1.common import API_VERSION
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Manifest, Object
from mainspring.plugin import arguments

# They name objects of this cluster: elsewhere there may be others with that name.
LOCAL = ("trainingRunUid",)
LINE_WIDTH = 120


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "export",
        parents=[common],
        help="a model version as a manifest for Git",
        description="Prints a ModelVersion as a manifest that another cluster accepts: kubectl apply -f FILE.",
    )
    parser.add_argument("version", help="a ModelVersion, as mv/NAME")
    parser.add_argument("--output-file", metavar="FILE", help="where to; default: standard output")
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace) -> int:
    name = arguments.object_name(asked.version, "ModelVersion")
    found = arguments.connect(asked).get("ModelVersion", name)
    text = yaml.safe_dump(build_manifest(found), sort_keys=False, allow_unicode=True, width=LINE_WIDTH)
    arguments.write(text, asked.output_file)
    return 0


def build_manifest(version: Object) -> Manifest:
    """Without a namespace: it is applied to where it is wanted."""
    spec = dict(objects.spec(version))
    if "source" in spec:
        spec["source"] = {key: value for key, value in spec["source"].items() if key not in LOCAL}
    return {
        "apiVersion": API_VERSION,
        "kind": "ModelVersion",
        "metadata": {"name": objects.name(version)},
        "spec": spec,
    }
