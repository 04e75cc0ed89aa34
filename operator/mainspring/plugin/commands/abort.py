"""`abort inf/NAME`: the candidate of a rollout is not taken."""

from __future__ import annotations

import argparse
from typing import Any

from mainspring.api.v1alpha1.common import ANNOTATION_ABORT, ANNOTATION_PROMOTE
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from mainspring.plugin import arguments, rollouts
from mainspring.plugin.errors import PluginError
from mainspring.plugin.rollouts import KIND, Facts


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "abort",
        parents=[common],
        help="end a rollout: what served before goes on",
        description="The candidate gets no more requests, and its pods go. It is not tried again until the spec asks for"
        " something else, or somebody promotes it.",
    )
    parser.add_argument("service", help="an InferenceService, as inf/NAME")
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace) -> int:
    name = arguments.object_name(asked.service, KIND)
    cluster = arguments.connect(asked)
    found = under_way(cluster.get(KIND, name))
    annotations = {ANNOTATION_ABORT: found["revision"], ANNOTATION_PROMOTE: None}
    cluster.patch(KIND, name, {"metadata": {"annotations": annotations}})
    text = f"the rollout of {found['version']} ends; {found['fromVersion']} goes on"
    arguments.write(f"inferenceservice/{name}: {text}\n", None)
    return 0


def under_way(service: Object) -> Facts:
    """Raises PluginError when nothing is rolled out."""
    found = rollouts.going_on(service)
    if found is not None:
        return found
    name, serving = objects.name(service), objects.status(service).get("stableVersion", "nothing")
    raise PluginError(
        f"inferenceservice/{name}: nothing is rolled out, it serves {serving}; to serve the version before: rollback inf/{name}"
    )
