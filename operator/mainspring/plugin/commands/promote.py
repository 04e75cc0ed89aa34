"""`promote inf/NAME`: all requests go to the candidate, without waiting for more evidence."""

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
        "promote",
        parents=[common],
        help="take the candidate of a rollout, or one that was rolled back",
        description="All requests go to the candidate as soon as its pods are ready, whatever it was judged to be."
        " Without a rollout: to what was rolled back last, if it is still what the spec asks for.",
    )
    parser.add_argument("service", help="an InferenceService, as inf/NAME")
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace) -> int:
    name = arguments.object_name(asked.service, KIND)
    cluster = arguments.connect(asked)
    wanted = candidate(cluster.get(KIND, name))
    annotations = {ANNOTATION_PROMOTE: wanted["revision"], ANNOTATION_ABORT: None}
    cluster.patch(KIND, name, {"metadata": {"annotations": annotations}})
    arguments.write(f"inferenceservice/{name}: {told(wanted)}\n", None)
    return 0


def candidate(service: Object) -> Facts:
    """What is rolled out, else what was not taken. Raises PluginError when there is neither."""
    found = rollouts.going_on(service) or rollouts.held_back(service)
    if found is None:
        serving = objects.status(service).get("stableVersion", "nothing")
        raise PluginError(
            f"inferenceservice/{objects.name(service)}: nothing is rolled out and nothing was rolled back; it serves {serving}"
        )
    return found


def told(wanted: Facts) -> str:
    """What happens now, and what it was judged to be when somebody takes it."""
    before = wanted.get("outcome") or wanted.get("verdict", "Inconclusive")
    known = "" if before == "Passed" else f" (it is {before} so far)" if "phase" in wanted else f" (it was {before})"
    return f"{wanted['version']}{known} takes all requests when its pods are ready"
