"""Plans of worlds that nobody thought of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.plan.common import gates, objects
from mainspring.plan.dataset import plan as dataset_plan
from mainspring.plan.datasetversion import plan as datasetversion_plan
from mainspring.plan.inferenceservice import plan as service_plan
from mainspring.plan.inferenceservice import scaling
from mainspring.plan.model import candidates
from mainspring.plan.model import plan as model_plan
from mainspring.plan.modelversion import plan as version_plan
from mainspring.plan.trainingrun import plan as run_plan
from tests import builders
from tests.chance import OFTEN
from tests.unit.plan import observations
from tests.unit.plan.laws import LAWS, Make

KINDS: dict[str, tuple[st.SearchStrategy[Any], Make]] = {
    "Dataset": (observations.datasets(), dataset_plan.make_plan),
    "DatasetVersion": (observations.dataset_versions(), datasetversion_plan.make_plan),
    "TrainingRun": (observations.runs(), run_plan.make_plan),
    "Model": (observations.models(), model_plan.make_plan),
    "ModelVersion": (observations.model_versions(), version_plan.make_plan),
    "InferenceService": (observations.services(), service_plan.make_plan),
}


@pytest.mark.parametrize("kind", KINDS)
@OFTEN
@given(data=st.data())
def test_every_plan_keeps_every_law(kind: str, data: st.DataObject) -> None:
    strategy, make = KINDS[kind]
    observed = data.draw(strategy)
    for law in LAWS:
        law(observed, make)


@OFTEN
@given(observed=observations.services())
def test_the_service_never_points_to_a_revision_that_is_not_there(observed: Any) -> None:
    plan = service_plan.make_plan(observed, builders.NOW)
    labels = (objects.labels(child) for child in plan.apply if child["kind"] == "Deployment")
    there = {*observed.revisions, *(found["mainspring.dev/revision"] for found in labels)}
    gone = {target.name for target, _ in plan.delete}
    for child in plan.apply:
        if child["kind"] == "Service":
            selected = child["spec"]["selector"]["mainspring.dev/revision"]
            assert selected in there
            assert f"{objects.name(observed.object)}-{selected}" not in gone


@OFTEN
@given(observed=observations.services())
def test_a_serving_revision_keeps_its_size_while_another_comes_up(observed: Any) -> None:
    plan = service_plan.make_plan(observed, builders.NOW)
    stable = (plan.status or {}).get("stableRevision")
    if stable is None or observed.spec.stop:
        return
    revision = observed.revisions[stable]
    patched = {p.target.name: p.body["spec"]["replicas"] for p in plan.patch}
    size = scaling.stable_size(observed, revision, builders.NOW)
    assert observed.spec.autoscaling is not None or size == (
        1 if observed.spec.replicas is None else observed.spec.replicas
    )
    assert patched.get(objects.name(revision.deployment), revision.replicas) == size
    assert objects.name(revision.deployment) not in {target.name for target, _ in plan.delete}


@OFTEN
@given(observed=observations.models())
def test_numbers_are_never_given_twice(observed: Any) -> None:
    plan = model_plan.make_plan(observed, builders.NOW)
    new = [child["spec"]["number"] for child in plan.apply]
    assert len(set(new)) == len(new)
    assert not {v["spec"]["number"] for v in observed.versions} & set(new)


@OFTEN
@given(observed=observations.models())
def test_champion_pins_and_served_versions_are_never_removed(observed: Any) -> None:
    plan = model_plan.make_plan(observed, builders.NOW)
    gone = {target.name for target, _ in plan.delete}
    assert not gone & {(plan.status or {}).get("champion"), *(observed.spec.aliases or {}).values(), *observed.served}


@OFTEN
@given(observed=observations.models())
def test_with_a_proving_service_the_champion_moves_only_by_its_word_or_a_pin(observed: Any) -> None:
    plan = model_plan.make_plan(observed, builders.NOW)
    before, after = candidates.champion(observed), (plan.status or {}).get("champion")
    if observed.spec.promotion.proven_by is None or after is None or (before and objects.name(before) == after):
        return
    if (observed.spec.aliases or {}).get("champion") == after:
        return
    status = objects.status(observed.prover or {})
    said = {r["version"] for r in status.get("rollouts", ()) if r["outcome"] == "Promoted"}
    named = objects.status(observed.object).get("champion")
    assert after in {named, status.get("stableVersion"), *said}


@OFTEN
@given(observed=observations.models())
def test_what_is_being_proved_passed_its_gates_and_is_neither_champion_nor_rejected_nor_removed(observed: Any) -> None:
    plan = model_plan.make_plan(observed, builders.NOW)
    status = plan.status or {}
    going = (status.get("proving") or {}).get("version")
    pinned = "champion" in (observed.spec.aliases or {})
    if going is None or pinned:
        return
    assert going != status.get("champion")
    version = candidates.version(observed, going)
    assert version is not None
    assert not gates.is_out(version)
    assert going not in {target.name for target, _ in plan.delete}


@OFTEN
@given(observed=observations.runs())
def test_a_run_never_has_two_attempts_at_once_and_none_after_its_end(observed: Any) -> None:
    plan = run_plan.make_plan(observed, builders.NOW)
    jobs = [child for child in plan.apply if child["kind"] == "Job"]
    assert len(jobs) <= 1
    busy = any(job.state in ("Running", "Succeeded") for job in observed.jobs)
    assert not (jobs and (busy or observed.spec.suspend or run_plan.finished(observed)))
