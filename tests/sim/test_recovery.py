"""What the operator forgets, sees late or shares with another: it comes to the same end all the same."""

from __future__ import annotations

import random

import pytest

from mainspring.kube import errors
from mainspring.kube.resources import CHILDREN, OURS
from mainspring.plan.common import objects
from tests import builders
from tests.sim import end_state, stories, telling
from tests.sim.simulation import Simulation
from tests.sim.stories import STORIES
from tests.sim.workloads import HANGS

KINDS = tuple(resource.kind for resource in (*OURS, *CHILDREN))
FIRST_LOOP = [stories.first_loop]


def test_with_all_status_wiped_the_champion_is_the_same_and_nothing_is_done_again() -> None:
    sim = stories.served()
    stories.second_run(sim)
    sim.settle()
    jobs, templates = end_state.jobs_made(sim.server), _templates(sim)
    sim.server.wipe_status(stories.OUR_KINDS)
    sim.restart()
    sim.settle()
    assert sim.status("Model", "tumours")["champion"] == "tumours-v2"
    assert sim.status("Model", "tumours")["lastNumber"] == 2
    assert [h["version"] for h in sim.status("Model", "tumours")["history"]] == ["tumours-v1", "tumours-v2"]
    assert end_state.jobs_made(sim.server) == jobs
    assert _templates(sim) == templates
    sim.apply(builders.run("forest-3", seed=3))
    sim.settle()
    assert sim.names("ModelVersion") == ["tumours-v1", "tumours-v2", "tumours-v3"]
    sim.close()


def _templates(sim: Simulation) -> dict[str, object]:
    return {objects.name(d): d["spec"] for d in sim.server.select("Deployment")}


@pytest.mark.parametrize("pin", ["tumours-v1", None])
def test_a_rollback_survives_the_loss_of_all_status(pin: str | None) -> None:
    sim = stories.served()
    stories.second_run(sim)
    sim.settle()
    for step in (stories.pin("tumours-v1"), stories.pin(pin)):
        step(sim)
        sim.settle()
    sim.server.wipe_status(stories.OUR_KINDS)
    sim.restart()
    sim.settle()
    assert sim.status("Model", "tumours")["champion"] == "tumours-v1"
    assert sim.status("InferenceService", "tumours")["stableVersion"] == "tumours-v1"
    sim.close()


def test_status_that_is_lost_during_a_rollout_does_not_interrupt_the_service() -> None:
    sim = stories.served()
    sim.workloads.rule("serve-tumours-v2", HANGS)
    stories.second_run(sim)
    sim.settle()
    sim.server.wipe_status(stories.OUR_KINDS)
    sim.restart()
    sim.settle()
    assert sim.status("InferenceService", "tumours")["stableVersion"] == "tumours-v1"
    assert sim.condition("InferenceService", "tumours", "Available") == ("True", "Serving")
    sim.close()


def test_status_that_is_lost_while_a_job_runs_starts_no_second_one(sim: Simulation) -> None:
    sim.workloads.rule("forest-train-*", HANGS)
    stories.first_loop(sim)
    sim.settle()
    data = sim.status("TrainingRun", "forest")["lineage"]["datasetVersion"]
    sim.server.wipe_status(stories.OUR_KINDS)
    sim.restart()
    sim.settle()
    sim.workloads.rule("forest-train-*", None)
    sim.settle()
    assert [name for name in sim.made("Job") if "-train-" in name] == ["forest-train-1"]
    assert sim.get("ModelVersion", "tumours-v1")["spec"]["source"]["datasetVersion"] == data


@pytest.mark.parametrize("story", ["new data and a better model", "rollback and back to automation", "a check fails"])
def test_two_operators_at_once_come_to_the_same_end_as_one(story: str) -> None:
    expected = telling.tell(stories.served(), STORIES[story])
    sim = stories.served()
    sim.add_operator()
    told = telling.tell(sim, STORIES[story])
    assert told.jobs == expected.jobs
    assert told.state == expected.state


def test_two_operators_from_the_very_beginning() -> None:
    expected = telling.tell(Simulation(), FIRST_LOOP)
    told = telling.tell(Simulation(operators=2), FIRST_LOOP)
    assert told.jobs == expected.jobs
    assert told.state == expected.state


@pytest.mark.parametrize("seed", range(8))
def test_watches_that_lag_behind_each_other_do_no_harm(seed: int) -> None:
    """Any set of kinds may be seen late, again and again."""
    expected = telling.tell(Simulation(), [stories.first_loop, stories.new_data, stories.second_run])
    dice = random.Random(seed)
    sim = Simulation()
    for step in (stories.first_loop, stories.new_data, stories.second_run):
        step(sim)
        for _ in range(6):
            sim.operator.held_back = frozenset(dice.sample(KINDS, dice.randint(1, len(KINDS))))
            sim.settle()
        sim.operator.held_back = frozenset()
        sim.advance(120)
    told = telling.end(sim)
    assert told.jobs == expected.jobs
    assert told.state == expected.state


def test_a_decision_from_a_stale_cache_is_refused() -> None:
    """The second operator sees nothing of what the first one did, and decides on; its status writes do not count."""
    sim = stories.served()
    sim.settle()
    stale = sim.add_operator()
    sim.settle()
    stale.held_back = frozenset(KINDS)
    stories.second_run(sim)
    sim.settle()
    stale.runner.resync()
    sim.settle()
    assert sim.status("Model", "tumours")["champion"] == "tumours-v2"
    assert [h["version"] for h in sim.status("Model", "tumours")["history"]] == ["tumours-v1", "tumours-v2"]
    stale.held_back = frozenset()
    sim.advance(300)
    assert sim.status("InferenceService", "tumours")["stableVersion"] == "tumours-v2"
    sim.close()


def test_an_object_whose_deletion_is_seen_late_gets_no_children_again_and_again() -> None:
    sim = stories.served()
    sim.settle()
    sim.operator.held_back = frozenset({"InferenceService"})
    sim.delete("InferenceService", "tumours")
    sim.settle()
    assert sim.names("Deployment") == []
    assert sim.names("Service") == []
    assert len(sim.made("Deployment")) <= 2
    sim.close()


def test_a_server_that_is_out_of_order_for_a_while_is_waited_for(sim: Simulation) -> None:
    down = errors.Transient("the server is currently unable to handle the request", 503)
    sim.server.refusals.append(lambda verb, obj: down)
    sim.server.refusals.clear()
    stories.first_loop(sim)
    sim.server.refusals.append(lambda verb, obj: down if obj["kind"] in ("Job", "Deployment", "ModelVersion") else None)
    sim.settle()
    assert sim.made("Job") == []
    sim.server.refusals.clear()
    sim.advance(300)
    assert sim.condition("InferenceService", "tumours") == ("True", "Serving")


def test_damaged_decisions_are_made_anew() -> None:
    sim = stories.served()
    sim.settle()
    stories.second_run(sim)
    sim.settle()
    sim.annotate("ModelVersion", "tumours-v2", gates="{broken")
    sim.settle()
    assert sim.status("Model", "tumours")["champion"] == "tumours-v2"
    assert sim.condition("ModelVersion", "tumours-v2") == ("True", "Champion")
    sim.close()


def test_everything_deleted_at_once_leaves_only_versions() -> None:
    sim = stories.served()
    sim.settle()
    for kind in ("InferenceService", "Model", "TrainingRun"):
        for name in sim.names(kind):
            sim.delete(kind, name)
    sim.delete("Dataset", "tumours")
    sim.settle()
    # The evaluation's Job belongs to the ModelVersion.
    left = {r.kind for r in sim.server.objects if not r.name.startswith("tumours-v1-eval")}
    assert left <= {"DatasetVersion", "ModelVersion", "Event"}
    sim.close()
