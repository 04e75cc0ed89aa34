"""What must hold of every plan, whatever was observed. Each law raises AssertionError."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from mainspring.api.v1alpha1.common import LABEL_MANAGED_BY, LABEL_PART_OF
from mainspring.plan.common import objects
from mainspring.plan.common.plan import Plan
from tests import builders
from tests.sim import builtin, schemas

VERSIONS = ("DatasetVersion", "ModelVersion")
Make = Callable[[Any, datetime], Plan]


def the_same_observation_gives_the_same_plan_and_stays_as_it_was(observed: Any, make: Make) -> None:
    before = copy.deepcopy(observed)
    assert make(observed, builders.NOW) == make(observed, builders.NOW)
    assert observed == before


def status_is_what_the_api_server_stores(observed: Any, make: Make) -> None:
    """Anything that it would refuse, prune or add to would be written again for ever."""
    plan = make(observed, builders.NOW)
    if plan.status is not None:
        stored = schemas.admit({**observed.object, "status": dict(plan.status)})
        assert stored["status"] == plan.status


def a_status_that_was_written_is_not_written_again(observed: Any, make: Make) -> None:
    plan = make(observed, builders.NOW)
    if plan.status is None or plan.apply or plan.patch or plan.delete:
        return
    told = replace(observed, object={**observed.object, "status": dict(plan.status)})
    assert make(told, builders.NOW).status in (None, plan.status)


def children_are_legal_labelled_and_owned(observed: Any, make: Make) -> None:
    for child in make(observed, builders.NOW).apply:
        is_version = child["kind"] in VERSIONS
        (schemas if is_version else builtin).admit(builders.stored_child(child))
        assert objects.namespace(child) == objects.namespace(observed.object)
        assert objects.labels(child)[LABEL_MANAGED_BY] == "mainspring"
        assert objects.labels(child)[LABEL_PART_OF] == "mainspring"
        assert is_version == ("ownerReferences" not in child["metadata"])
        assert is_version or objects.is_controlled_by(child, observed.object)


def children_are_not_made_and_removed_at_once(observed: Any, make: Make) -> None:
    plan = make(observed, builders.NOW)
    made = {objects.ref(child) for child in plan.apply}
    assert not made & {target for target, _ in plan.delete}
    assert len(made) == len(plan.apply)


def only_annotations_replicas_and_suspend_are_patched(observed: Any, make: Make) -> None:
    """Never the spec of a user's object."""
    for patch in make(observed, builders.NOW).patch:
        assert set(patch.body) == ({"spec"} if patch.target.kind in ("Deployment", "Job") else {"metadata"})
        assert set(patch.body.get("metadata", {})) <= {"annotations"}
        assert set(patch.body.get("spec", {})) <= {"replicas", "suspend"}
        assert patch.uid


def pods_pass_pod_security_restricted(observed: Any, make: Make) -> None:
    for child in make(observed, builders.NOW).apply:
        if "template" in child.get("spec", {}):
            assert list(violations(child["spec"]["template"]["spec"])) == []


def violations(pod: dict[str, Any]) -> Iterator[str]:
    """What Pod Security `restricted` would say (kubernetes.io/docs/concepts/security/pod-security-standards)."""
    if any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        yield "host namespaces"
    if pod["securityContext"].get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "seccomp"
    if not pod["securityContext"].get("runAsNonRoot") or pod["securityContext"].get("runAsUser") == 0:
        yield "root"
    allowed = {"configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
    yield from (f"volume {v['name']}" for v in pod["volumes"] if not allowed & set(v))
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        yield from _container_violations(container)


def _container_violations(container: dict[str, Any]) -> Iterator[str]:
    name, context = container["name"], container["securityContext"]
    if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
        yield f"{name}: privileges"
    if context["capabilities"] != {"drop": ["ALL"]}:
        yield f"{name}: capabilities"
    if any("hostPort" in port for port in container.get("ports", ())):
        yield f"{name}: host port"


def every_verdict_has_one_reason_and_a_sentence(observed: Any, make: Make) -> None:
    plan = make(observed, builders.NOW)
    if plan.status is None:
        return
    conditions = {c["type"]: c for c in plan.status["conditions"]}
    abnormal = "".join(kind for kind in ("Reconciling", "Stalled") if kind in conditions)
    assert {"True": "", "Unknown": "Reconciling", "False": "Stalled"}[conditions["Ready"]["status"]] == abnormal
    for condition in conditions.values():
        assert re.fullmatch("[A-Z][A-Za-z0-9]*", condition["reason"])
        assert condition["message"]


def an_object_that_is_being_deleted_is_left_alone(observed: Any, make: Make) -> None:
    metadata = {**observed.object["metadata"], "deletionTimestamp": builders.at(0)}
    assert make(replace(observed, object={**observed.object, "metadata": metadata}), builders.NOW) == Plan()


LAWS = (
    the_same_observation_gives_the_same_plan_and_stays_as_it_was,
    status_is_what_the_api_server_stores,
    a_status_that_was_written_is_not_written_again,
    children_are_legal_labelled_and_owned,
    children_are_not_made_and_removed_at_once,
    only_annotations_replicas_and_suspend_are_patched,
    pods_pass_pod_security_restricted,
    every_verdict_has_one_reason_and_a_sentence,
    an_object_that_is_being_deleted_is_left_alone,
)
