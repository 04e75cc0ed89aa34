"""Models and their versions: who becomes champion, and why not."""

from __future__ import annotations

import pytest

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object
from tests import builders
from tests.sim import runtime, stories
from tests.sim.simulation import Simulation
from tests.sim.stories import AUC, NOT_WORSE
from tests.sim.workloads import HANGS, Ends

DIGEST = runtime.digest("imported")


@pytest.fixture
def lab(sim: Simulation) -> Simulation:
    """A cluster with data."""
    sim.apply(builders.dataset())
    sim.settle()
    return sim


def train(sim: Simulation, number: int, **spec: object) -> None:
    sim.apply(builders.run(f"run-{number}", seed=number, **spec))
    sim.settle()


def champion(sim: Simulation) -> str:
    return str(sim.status("Model", "tumours").get("champion", ""))


def history(sim: Simulation) -> list[tuple[str, str]]:
    return [(h["version"], h["reason"]) for h in sim.status("Model", "tumours").get("history", ())]


def stage(sim: Simulation, version: str) -> str:
    return str(sim.status("ModelVersion", version)["stage"])


def test_a_model_without_versions_is_ready(lab: Simulation) -> None:
    lab.apply(builders.model())
    lab.settle()
    assert lab.condition("Model", "tumours") == ("True", "NoVersions")


def test_numbers_follow_each_other(lab: Simulation) -> None:
    lab.apply(builders.model())
    for number in (1, 2, 3):
        train(lab, number)
    assert lab.names("ModelVersion") == ["tumours-v1", "tumours-v2", "tumours-v3"]
    assert champion(lab) == "tumours-v3"
    assert history(lab) == [(f"tumours-v{n}", "GatesPassed") for n in (1, 2, 3)]


def test_runs_that_end_together_get_different_numbers(lab: Simulation) -> None:
    lab.apply(builders.model())
    lab.apply(*(builders.run(f"run-{n}", seed=n) for n in range(1, 6)))
    lab.settle()
    assert lab.names("ModelVersion") == [f"tumours-v{n}" for n in range(1, 6)]
    assert champion(lab) == "tumours-v5"


def test_a_version_below_its_gate_is_rejected_with_value_and_bound(lab: Simulation) -> None:
    lab.apply(builders.model(gates=[AUC]))
    lab.workloads.runtime.quality["run-1"] = 0.7
    train(lab, 1)
    assert champion(lab) == ""
    assert stage(lab, "tumours-v1") == "Rejected"
    assert lab.condition("ModelVersion", "tumours-v1", "GatesPassed") == ("False", "GatesFailed")
    assert "roc_auc 0.7 [0.69, 0.71] on 114 rows, minimum 0.9" in lab.message("ModelVersion", "tumours-v1")
    assert lab.condition("Model", "tumours") == ("True", "NoChampion")


def test_a_gate_on_a_metric_that_was_not_measured_does_not_pass(lab: Simulation) -> None:
    lab.apply(builders.model(gates=[{"name": "recall", "metric": "recall", "minimum": 0.5}]))
    train(lab, 1)
    assert lab.condition("ModelVersion", "tumours-v1", "GatesPassed") == ("False", "GatesInconclusive")
    assert champion(lab) == ""


def test_gates_that_are_loosened_judge_again(lab: Simulation) -> None:
    lab.apply(builders.model(gates=[AUC]))
    lab.workloads.runtime.quality["run-1"] = 0.7
    train(lab, 1)
    lab.edit("Model", "tumours", gates=[{**AUC, "minimum": 0.6}])
    lab.settle()
    assert champion(lab) == "tumours-v1"


def test_gates_that_are_tightened_leave_the_champion_alone(lab: Simulation) -> None:
    lab.apply(builders.model())
    train(lab, 1)
    lab.edit("Model", "tumours", gates=[{**AUC, "minimum": 0.999}])
    lab.settle()
    assert champion(lab) == "tumours-v1"
    assert stage(lab, "tumours-v1") == "Champion"


def test_the_first_version_has_nobody_to_be_compared_with(lab: Simulation) -> None:
    lab.apply(builders.model(gates=[NOT_WORSE]))
    train(lab, 1)
    assert champion(lab) == "tumours-v1"
    assert len([n for n in lab.made("Job") if "-eval-" in n]) == 1


def test_a_worse_version_stays_out_and_the_numbers_are_told(lab: Simulation) -> None:
    lab.apply(builders.model(gates=[NOT_WORSE]))
    train(lab, 1)
    lab.workloads.runtime.better["tumours-v2"] = -0.2
    train(lab, 2)
    assert champion(lab) == "tumours-v1"
    assert lab.condition("ModelVersion", "tumours-v2") == ("True", "Rejected")
    assert "roc_auc against tumours-v1: -0.2 [-0.205, -0.195]" in lab.message("ModelVersion", "tumours-v2")
    assert lab.status("ModelVersion", "tumours-v2")["comparison"]["champion"] == "tumours-v1"


@pytest.mark.parametrize(("better", "champion"), [(0.02, "tumours-v2"), (0.0, "tumours-v1")])
def test_a_run_that_must_improve_replaces_the_champion_only_if_it_does(
    lab: Simulation, better: float, champion: str
) -> None:
    lab.apply(builders.model(), builders.run("a", seed=1))
    lab.settle()
    lab.workloads.runtime.better["tumours-v2"] = better
    lab.apply(builders.run("b", seed=2, mustImprove=True))
    lab.settle()
    assert lab.status("Model", "tumours")["champion"] == champion
    (gate,) = lab.status("ModelVersion", "tumours-v2")["gates"]
    assert gate["name"] == "must-improve"
    assert "must be above 0" in gate["message"]


def test_a_champion_that_changes_meanwhile_is_the_one_to_be_compared_with(lab: Simulation) -> None:
    lab.apply(builders.model(gates=[NOT_WORSE]))
    train(lab, 1)
    lab.workloads.rule("tumours-v2-eval-*", HANGS)
    train(lab, 2)
    train(lab, 3)
    assert champion(lab) == "tumours-v3"
    lab.workloads.rule("tumours-v2-eval-*", None)
    lab.settle()
    assert champion(lab) == "tumours-v3"
    assert history(lab) == [("tumours-v1", "GatesPassed"), ("tumours-v3", "GatesPassed")]


def test_a_comparison_with_a_former_champion_does_not_promote(lab: Simulation) -> None:
    lab.apply(builders.model(gates=[NOT_WORSE], aliases={}))
    train(lab, 1)
    train(lab, 2)
    lab.workloads.rule("tumours-v3-eval-*", HANGS)
    train(lab, 3)
    first = {name for name in lab.names("Job") if name.startswith("tumours-v3-eval")}
    lab.edit("Model", "tumours", aliases={"champion": "tumours-v1"})
    lab.settle()
    lab.edit("Model", "tumours", aliases=None)
    lab.workloads.rule("tumours-v3-eval-*", None)
    lab.settle()
    assert champion(lab) == "tumours-v1"
    assert first
    assert (
        lab.server.get(objects.Ref("ModelVersion", "lab", "tumours-v3"))["metadata"]["annotations"][
            "mainspring.dev/rejected"
        ]
        == "RolledBackByPin"
    )


def test_a_comparison_without_the_champions_data_is_inconclusive(lab: Simulation) -> None:
    lab.apply(builders.model(gates=[NOT_WORSE]))
    train(lab, 1)
    stories.new_data(lab)
    lab.settle()
    lab.delete("DatasetVersion", lab.get("ModelVersion", "tumours-v1")["spec"]["source"]["datasetVersion"])
    train(lab, 2)
    assert lab.condition("ModelVersion", "tumours-v2", "GatesPassed") == ("False", "GatesInconclusive")
    assert champion(lab) == "tumours-v1"


def test_manual_mode_waits_for_the_pin(lab: Simulation) -> None:
    lab.apply(builders.model(promotion={"mode": "Manual"}))
    train(lab, 1)
    assert champion(lab) == ""
    assert "set spec.aliases.champion to tumours-v1" in lab.message("Model", "tumours")
    stories.pin("tumours-v1")(lab)
    lab.settle()
    assert champion(lab) == "tumours-v1"
    train(lab, 2)
    assert champion(lab) == "tumours-v1"
    assert lab.status("Model", "tumours")["candidate"] == "tumours-v2"
    stories.pin("tumours-v2")(lab)
    lab.settle()
    assert history(lab) == [("tumours-v1", "Pinned"), ("tumours-v2", "Pinned")]


def test_a_manual_rollback_rejects_nobody(lab: Simulation) -> None:
    lab.apply(builders.model(promotion={"mode": "Manual"}))
    for number in (1, 2):
        train(lab, number)
        stories.pin(f"tumours-v{number}")(lab)
        lab.settle()
    stories.pin("tumours-v1")(lab)
    lab.settle()
    assert champion(lab) == "tumours-v1"
    assert stage(lab, "tumours-v2") == "Archived"


def test_a_pin_rolls_back_and_its_removal_does_not_bring_the_bad_one_back(lab: Simulation) -> None:
    lab.apply(builders.model())
    train(lab, 1)
    train(lab, 2)
    stories.pin("tumours-v1")(lab)
    lab.settle()
    assert champion(lab) == "tumours-v1"
    stories.pin(None)(lab)
    lab.settle()
    assert champion(lab) == "tumours-v1"
    assert history(lab)[-1] == ("tumours-v1", "Pinned")
    assert (lab.status("Model", "tumours")["promotions"], lab.status("Model", "tumours")["rollbacks"]) == (3, 1)


def test_after_a_rollback_the_next_good_version_is_promoted(lab: Simulation) -> None:
    lab.apply(builders.model())
    train(lab, 1)
    train(lab, 2)
    stories.pin("tumours-v1")(lab)
    lab.settle()
    train(lab, 3)
    assert champion(lab) == "tumours-v1"
    stories.pin(None)(lab)
    lab.settle()
    assert champion(lab) == "tumours-v3"


def test_a_pin_on_a_version_that_does_not_exist_is_an_error(lab: Simulation) -> None:
    lab.apply(builders.model(aliases={"champion": "tumours-v9"}))
    train(lab, 1)
    assert lab.condition("Model", "tumours") == ("False", "PinnedVersionNotFound")
    assert champion(lab) == ""


def test_a_pin_waits_for_the_verification_but_not_for_the_gates(lab: Simulation) -> None:
    lab.apply(builders.model(gates=[{**AUC, "minimum": 0.999, "maximum": 1}], aliases={"champion": "tumours-v1"}))
    lab.workloads.rule("tumours-v1-eval-*", HANGS)
    lab.workloads.runtime.quality["run-1"] = 0.5
    train(lab, 1)
    assert lab.condition("Model", "tumours") == ("Unknown", "PinnedVersionNotVerified")
    lab.workloads.rule("tumours-v1-eval-*", None)
    lab.settle()
    assert champion(lab) == "tumours-v1"


def test_an_alias_is_a_name_for_a_version(lab: Simulation) -> None:
    lab.apply(builders.model(aliases={"shadow": "tumours-v1"}))
    train(lab, 1)
    train(lab, 2)
    assert lab.status("Model", "tumours")["aliases"] == {"shadow": "tumours-v1", "champion": "tumours-v2"}


def test_an_alias_of_nothing_is_an_error_but_the_automation_goes_on(lab: Simulation) -> None:
    lab.apply(builders.model(aliases={"shadow": "tumours-v7"}))
    train(lab, 1)
    assert lab.condition("Model", "tumours") == ("False", "AliasNotFound")
    assert champion(lab) == "tumours-v1"


def test_retain_removes_what_nobody_uses(lab: Simulation) -> None:
    lab.apply(builders.model(retain=1, aliases={"keep": "tumours-v2"}))
    for number in range(1, 7):
        train(lab, number)
    # champion, the one before it, the alias
    assert lab.names("ModelVersion") == ["tumours-v2", "tumours-v5", "tumours-v6"]


def test_retain_leaves_versions_alone_that_are_served(lab: Simulation) -> None:
    lab.apply(builders.model(retain=1))
    train(lab, 1)
    lab.apply(builders.service("old", model={"version": "tumours-v1"}))
    lab.settle()
    for number in range(2, 5):
        train(lab, number)
    assert "tumours-v1" in lab.names("ModelVersion")
    assert "tumours-v2" not in lab.names("ModelVersion")


def test_a_removed_version_is_not_registered_again_when_all_status_is_lost(lab: Simulation) -> None:
    lab.apply(builders.model(retain=1))
    for number in range(1, 5):
        train(lab, number)
    before = lab.names("ModelVersion")
    lab.server.wipe_status(stories.OUR_KINDS)
    lab.restart()
    lab.settle()
    assert lab.names("ModelVersion") == before
    assert champion(lab) == "tumours-v4"


def test_a_deleted_champion_is_reported_and_the_automation_does_not_go_back(lab: Simulation) -> None:
    lab.apply(builders.model())
    train(lab, 1)
    train(lab, 2)
    lab.delete("ModelVersion", "tumours-v2")
    lab.settle()
    assert lab.condition("Model", "tumours") == ("False", "ChampionNotFound")
    assert champion(lab) == "tumours-v2"
    train(lab, 3)
    assert champion(lab) == "tumours-v3"


def test_a_deleted_number_is_not_given_again(lab: Simulation) -> None:
    lab.apply(builders.model())
    train(lab, 1)
    lab.delete("ModelVersion", "tumours-v1")
    lab.settle()
    train(lab, 2)
    assert lab.names("ModelVersion") == ["tumours-v2"]


def test_an_imported_version_goes_the_same_way(lab: Simulation) -> None:
    lab.apply(builders.model(), builders.version(7, artifact={"uri": "s3://elsewhere/7", "digest": DIGEST}))
    lab.settle()
    assert champion(lab) == "tumours-v7"
    train(lab, 1)
    assert champion(lab) == "tumours-v8"


BOOSTING = "registry.example.org/mainspring/runtime-boosting:0.1.0"
PACKAGED = {  # as `mainspring_runtime package` prints it: no figures, and a task only if Datasets know it
    "artifact": {"uri": "s3://elsewhere/7", "digest": DIGEST, "size": 1000, "format": "skops"},
    "runtimeImage": BOOSTING,
    "source": {"image": BOOSTING},
    "inputs": [{"name": "a", "datatype": "FP64"}],
    "outputs": [{"name": "predict", "datatype": "INT64", "shape": [-1]}],
}


def test_a_packaged_version_without_figures_is_evaluated_and_served_by_its_image(lab: Simulation) -> None:
    lab.apply(builders.model(), builders.version(7, **PACKAGED), builders.service())
    lab.settle()
    assert champion(lab) == "tumours-v7"
    (job,) = (name for name in lab.names("Job") if name.startswith("tumours-v7-eval"))
    assert images_of(lab.get("Job", job)) == {BOOSTING}
    (deployment,) = lab.names("Deployment")
    assert images_of(lab.get("Deployment", deployment)) == {BOOSTING}


def test_a_packaged_version_does_not_pass_a_gate_on_figures_that_it_has_not(lab: Simulation) -> None:
    lab.apply(builders.model(gates=[AUC]), builders.version(7, **PACKAGED))
    lab.settle()
    assert champion(lab) == ""
    assert lab.condition("ModelVersion", "tumours-v7", "GatesPassed") == ("False", "GatesInconclusive")


def images_of(owner: Object) -> set[str]:
    return {container["image"] for container in objects.spec(owner)["template"]["spec"]["containers"]}


def test_a_version_that_appears_under_the_next_number_does_not_lose_a_run(lab: Simulation) -> None:
    """Somebody imports v1 in the moment in which the operator is about to make it."""
    lab.apply(builders.model())
    lab.settle()
    lab.operator.held_back = frozenset({"ModelVersion"})
    lab.apply(builders.version(1, artifact={"uri": "s3://elsewhere/1", "digest": DIGEST}))
    train(lab, 1)
    assert lab.names("ModelVersion") == ["tumours-v1"]
    lab.operator.held_back = frozenset()
    lab.advance(60)
    assert lab.names("ModelVersion") == ["tumours-v1", "tumours-v2"]
    assert lab.status("TrainingRun", "run-1")["modelVersion"] == "tumours-v2"
    assert [e["message"] for e in lab.events("tumours", "Registered")] == ["ModelVersion tumours-v2 was registered"]


def test_a_version_waits_for_its_model(lab: Simulation) -> None:
    lab.apply(builders.version(1, artifact={"uri": "s3://elsewhere/1", "digest": DIGEST}))
    lab.settle()
    assert lab.condition("ModelVersion", "tumours-v1") == ("Unknown", "ModelNotFound")
    lab.apply(builders.model())
    lab.settle()
    assert champion(lab) == "tumours-v1"


def test_bytes_that_do_not_match_are_never_promoted(lab: Simulation) -> None:
    lab.workloads.rule("tumours-v1-eval-*", Ends(42, "ArtifactDigestMismatch", "model.skops differs"))
    lab.apply(builders.model())
    train(lab, 1)
    assert lab.condition("ModelVersion", "tumours-v1", "ArtifactVerified") == ("False", "ArtifactDigestMismatch")
    assert lab.condition("ModelVersion", "tumours-v1") == ("False", "ArtifactDigestMismatch")
    assert champion(lab) == ""


def test_types_that_the_model_comes_to_trust_are_looked_at_again(lab: Simulation) -> None:
    lab.workloads.rule("tumours-v1-eval-*", Ends(42, "UntrustedTypes", "list them in spec.trustedTypes"))
    lab.apply(builders.model())
    train(lab, 1)
    lab.workloads.rule("tumours-v1-eval-*", None)
    lab.edit("Model", "tumours", trustedTypes=["team.Scaler"])
    lab.settle()
    assert lab.condition("ModelVersion", "tumours-v1", "ArtifactVerified") == ("True", "DigestMatches")
    assert champion(lab) == "tumours-v1"


def test_an_evaluation_that_fails_for_a_while_is_tried_again(lab: Simulation) -> None:
    lab.workloads.rule("tumours-v1-eval-*", Ends(1, "StoreUnreachable", "no route"))
    lab.apply(builders.model())
    train(lab, 1)
    assert lab.condition("ModelVersion", "tumours-v1") == ("False", "StoreUnreachable")
    lab.workloads.rule("tumours-v1-eval-*", None)
    lab.advance(60)
    assert champion(lab) == "tumours-v1"
    assert "attempt" not in lab.status("ModelVersion", "tumours-v1")


def test_a_version_whose_evaluation_cannot_run_holds_up_nobody(lab: Simulation) -> None:
    lab.apply(builders.model(gates=[NOT_WORSE]))
    lab.workloads.rule("tumours-v2-eval-*", Ends(1, "StoreUnreachable", "no route"))
    lab.apply(builders.run("run-1", seed=1), builders.run("run-2", seed=2))
    lab.settle()
    assert champion(lab) == "tumours-v1"
    lab.workloads.rule("tumours-v2-eval-*", None)
    lab.advance(120)
    assert champion(lab) == "tumours-v2"
    assert lab.status("ModelVersion", "tumours-v2")["comparison"]["champion"] == "tumours-v1"


def test_a_version_that_was_overtaken_is_no_candidate(lab: Simulation) -> None:
    lab.apply(builders.model())
    lab.workloads.rule("tumours-v1-eval-*", HANGS)
    train(lab, 1)
    train(lab, 2)
    lab.workloads.rule("tumours-v1-eval-*", None)
    lab.settle()
    assert champion(lab) == "tumours-v2"
    assert stage(lab, "tumours-v1") == "Archived"
    assert "overtaken" in lab.message("ModelVersion", "tumours-v1")


def test_versions_outlive_their_model_and_it_finds_its_champion_again(lab: Simulation) -> None:
    lab.apply(builders.model())
    train(lab, 1)
    train(lab, 2)
    lab.delete("Model", "tumours")
    lab.settle()
    lab.apply(builders.model())
    lab.settle()
    assert champion(lab) == "tumours-v2"
    train(lab, 3)
    assert champion(lab) == "tumours-v3"


def test_a_version_that_is_not_answered_by_the_fast_path_says_so_for_good(sim: Simulation) -> None:
    sim.workloads.runtime.slow["tumours-v1"] = "on 4000 synthetic rows, ONNX and scikit-learn disagree"
    stories.first_loop(sim)
    sim.settle()
    for _ in range(2):
        assert sim.condition("ModelVersion", "tumours-v1", "FastPath") == ("False", "ScikitLearn")
        assert "ONNX and scikit-learn disagree" in sim.message("ModelVersion", "tumours-v1", "FastPath")
        assert sim.condition("ModelVersion", "tumours-v1") == ("True", "Champion")
        sim.server.wipe_status(stories.OUR_KINDS)
        sim.restart()
        sim.settle()
    stories.second_run(sim)
    sim.settle()
    assert sim.condition("ModelVersion", "tumours-v2", "FastPath") == ("True", "OnnxRuntime")
