"""What holds of every plan, whatever was observed."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.api.v1alpha1.common import LABEL_MANAGED_BY, LABEL_PART_OF
from mainspring.plan.common import objects
from mainspring.plan.common.plan import Plan
from mainspring.plan.dataset import plan as dataset_plan
from mainspring.plan.datasetversion import plan as datasetversion_plan
from mainspring.plan.inferenceservice import plan as service_plan
from mainspring.plan.model import plan as model_plan
from mainspring.plan.modelversion import plan as version_plan
from mainspring.plan.trainingrun import plan as run_plan
from tests import builders
from tests.sim import builtin, schemas
from tests.unit.plan import observations

KINDS = {
    "Dataset": (observations.datasets(), dataset_plan.make_plan),
    "DatasetVersion": (observations.dataset_versions(), datasetversion_plan.make_plan),
    "TrainingRun": (observations.runs(), run_plan.make_plan),
    "Model": (observations.models(), model_plan.make_plan),
    "ModelVersion": (observations.model_versions(), version_plan.make_plan),
    "InferenceService": (observations.services(), service_plan.make_plan),
}
VERSIONS = ("DatasetVersion", "ModelVersion")
every_kind = pytest.mark.parametrize("kind", KINDS)
often = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def look(kind: str, data: st.DataObject) -> tuple[Any, Plan]:
    strategy, make = KINDS[kind]
    observed = data.draw(strategy)
    return observed, make(observed, builders.NOW)


@every_kind
@often
@given(data=st.data())
def test_the_same_observation_gives_the_same_plan_and_stays_as_it_was(kind: str, data: st.DataObject) -> None:
    strategy, make = KINDS[kind]
    observed = data.draw(strategy)
    before = copy.deepcopy(observed)
    assert make(observed, builders.NOW) == make(observed, builders.NOW)
    assert observed == before


@every_kind
@often
@given(data=st.data())
def test_status_is_what_the_api_server_stores(kind: str, data: st.DataObject) -> None:
    """Anything that it would refuse, prune or add to would be written again for ever."""
    observed, plan = look(kind, data)
    if plan.status is not None:
        stored = schemas.admit({**observed.object, "status": dict(plan.status)})
        assert stored["status"] == plan.status


@every_kind
@often
@given(data=st.data())
def test_a_status_that_was_written_is_not_written_again(kind: str, data: st.DataObject) -> None:
    observed, plan = look(kind, data)
    if plan.status is None or plan.apply or plan.patch or plan.delete:
        return
    told = replace(observed, object={**observed.object, "status": dict(plan.status)})
    again = KINDS[kind][1](told, builders.NOW)
    assert again.status in (None, plan.status)


@every_kind
@often
@given(data=st.data())
def test_children_are_legal_labelled_and_owned(kind: str, data: st.DataObject) -> None:
    observed, plan = look(kind, data)
    for child in plan.apply:
        ours = child["kind"] in VERSIONS
        (schemas if ours else builtin).admit(builders.stored_child(child))
        assert objects.namespace(child) == objects.namespace(observed.object)
        assert objects.labels(child)[LABEL_MANAGED_BY] == "mainspring"
        assert objects.labels(child)[LABEL_PART_OF] == "mainspring"
        assert ours == ("ownerReferences" not in child["metadata"])
        assert ours or objects.is_controlled_by(child, observed.object)


@every_kind
@often
@given(data=st.data())
def test_children_are_not_made_and_removed_at_once(kind: str, data: st.DataObject) -> None:
    _, plan = look(kind, data)
    made = {objects.ref(child) for child in plan.apply}
    assert not made & {target for target, _ in plan.delete}
    assert len(made) == len(plan.apply)


@every_kind
@often
@given(data=st.data())
def test_only_annotations_replicas_and_suspend_are_patched(kind: str, data: st.DataObject) -> None:
    """Never the spec of a user's object."""
    _, plan = look(kind, data)
    for patch in plan.patch:
        allowed = {"Deployment": {"spec"}, "Job": {"spec"}}.get(patch.target.kind, {"metadata"})
        assert set(patch.body) == allowed
        assert set(patch.body.get("metadata", {})) <= {"annotations"}
        assert set(patch.body.get("spec", {})) <= {"replicas", "suspend"}
        assert patch.uid


@every_kind
@often
@given(data=st.data())
def test_pods_pass_pod_security_restricted(kind: str, data: st.DataObject) -> None:
    _, plan = look(kind, data)
    for child in plan.apply:
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
        context = container["securityContext"]
        if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
            yield f"{container['name']}: privileges"
        if context["capabilities"] != {"drop": ["ALL"]}:
            yield f"{container['name']}: capabilities"
        if any("hostPort" in port for port in container.get("ports", ())):
            yield f"{container['name']}: host port"


@every_kind
@often
@given(data=st.data())
def test_every_verdict_has_one_reason_and_a_sentence(kind: str, data: st.DataObject) -> None:
    _, plan = look(kind, data)
    conditions = {c["type"]: c for c in (plan.status or {}).get("conditions", ())}
    if plan.status is None:
        return
    abnormal = [conditions[t] for t in ("Reconciling", "Stalled") if t in conditions]
    assert len(abnormal) <= 1
    assert {"True": "", "Unknown": "Reconciling", "False": "Stalled"}[conditions["Ready"]["status"]] == "".join(
        c["type"] for c in abnormal
    )
    for condition in conditions.values():
        assert re.fullmatch("[A-Z][A-Za-z0-9]*", condition["reason"])
        assert condition["message"]


@often
@given(observed=observations.services())
def test_the_service_never_points_to_a_revision_that_is_not_there(observed: Any) -> None:
    plan = service_plan.make_plan(observed, builders.NOW)
    there = {*observed.revisions, *(objects.labels(c).get("mainspring.dev/revision") for c in plan.apply)}
    gone = {objects.name(observed.revisions[h].deployment) for h in observed.revisions} & {
        t.name for t, _ in plan.delete
    }
    for child in plan.apply:
        if child["kind"] == "Service":
            selected = child["spec"]["selector"]["mainspring.dev/revision"]
            assert selected in there
            assert f"{objects.name(observed.object)}-{selected}" not in gone


@often
@given(observed=observations.services())
def test_a_serving_revision_keeps_its_size_while_another_comes_up(observed: Any) -> None:
    plan = service_plan.make_plan(observed, builders.NOW)
    stable = (plan.status or {}).get("stableRevision")
    if stable is None or observed.spec.stop:
        return
    revision = observed.revisions[stable]
    patched = {p.target.name: p.body["spec"]["replicas"] for p in plan.patch}
    size = 1 if observed.spec.replicas is None else observed.spec.replicas
    assert patched.get(objects.name(revision.deployment), revision.replicas) == size
    assert objects.name(revision.deployment) not in {target.name for target, _ in plan.delete}


@often
@given(observed=observations.models())
def test_numbers_are_never_given_twice(observed: Any) -> None:
    plan = model_plan.make_plan(observed, builders.NOW)
    given_before = {v["spec"]["number"] for v in observed.versions}
    new = [child["spec"]["number"] for child in plan.apply]
    assert len(set(new)) == len(new)
    assert not given_before & set(new)


@often
@given(observed=observations.models())
def test_the_champion_its_predecessor_and_pins_are_never_removed(observed: Any) -> None:
    plan = model_plan.make_plan(observed, builders.NOW)
    gone = {target.name for target, _ in plan.delete}
    assert not gone & {(plan.status or {}).get("champion"), *(observed.spec.aliases or {}).values(), *observed.served}


@often
@given(observed=observations.runs())
def test_a_run_never_has_two_attempts_at_once_and_none_after_its_end(observed: Any) -> None:
    plan = run_plan.make_plan(observed, builders.NOW)
    jobs = [child for child in plan.apply if child["kind"] == "Job"]
    assert len(jobs) <= 1
    busy = any(job.state in ("Running", "Succeeded") for job in observed.jobs)
    assert not (jobs and (busy or observed.spec.suspend or run_plan.finished(observed)))
