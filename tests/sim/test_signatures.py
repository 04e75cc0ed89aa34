"""A Model asks for signatures: what is not signed is not used, what serves goes on, and everything heals by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from mainspring.plan.common import objects
from tests import builders
from tests.sim import stories
from tests.sim.simulation import Simulation
from tests.sim.workloads import Ends, Waits

VERIFICATION = {"publicKeySecret": "model-signing"}
MISSING = Ends(1, "SignatureMissing", "there is no model.sig at s3://x: sign the directory again")
CHANGED = Ends(1, "SignatureMismatch", "model.skops at s3://x was changed after it was signed")
NO_SECRET = Waits("CreateContainerConfigError", 'secret "model-signing" not found')
NO_KEY = Waits("CreateContainerConfigError", "couldn't find key public.pem in Secret lab/model-signing")


@pytest.fixture
def lab() -> Iterator[Simulation]:
    """A cluster in which tumours-v1 is champion and served; nobody has asked for signatures yet."""
    sim = stories.served()
    sim.settle()
    yield sim
    sim.close()


def ask(sim: Simulation, **verification: str) -> None:
    sim.edit("Model", "tumours", verification={**VERIFICATION, **verification})
    sim.settle()


def verified(sim: Simulation, version: str) -> tuple[str, str]:
    return sim.condition("ModelVersion", version, "ArtifactVerified")


def champion(sim: Simulation) -> str:
    return str(sim.status("Model", "tumours")["champion"])


def served_with(sim: Simulation) -> str:
    """The version that the selected pods serve, and the Secret whose key they verify it with."""
    revision = sim.status("InferenceService", "tumours")["stableRevision"]
    (found,) = [d for d in sim.server.select("Deployment") if objects.name(d).endswith(revision)]
    env = {e["name"]: e.get("value") for e in found["spec"]["template"]["spec"]["containers"][0]["env"]}
    version = objects.annotations_of(found)["mainspring.dev/model-version"]
    return f"{version} {env.get('MAINSPRING_VERIFICATION_SECRET', '')}"


def test_a_signed_version_is_verified_again_by_its_servers(lab: Simulation) -> None:
    assert served_with(lab) == "tumours-v1 "
    ask(lab)
    assert verified(lab, "tumours-v1") == ("True", "SignatureVerified")
    assert "key 555555555555 of Secret model-signing" in lab.message("ModelVersion", "tumours-v1", "ArtifactVerified")
    assert served_with(lab) == "tumours-v1 model-signing"
    assert lab.condition("InferenceService", "tumours") == ("True", "Serving")


def test_nobody_asks_twice(lab: Simulation) -> None:
    ask(lab)
    made = len(lab.made("Job"))
    lab.restart()
    lab.advance(3600)
    assert len(lab.made("Job")) == made


def test_what_is_not_signed_is_not_used_and_can_be_signed_later(lab: Simulation) -> None:
    ask(lab)
    lab.workloads.rule("tumours-v2-eval-*", MISSING)
    stories.second_run(lab)
    lab.settle()
    assert verified(lab, "tumours-v2") == ("False", "SignatureMissing")
    assert lab.condition("ModelVersion", "tumours-v2") == ("False", "SignatureMissing")
    assert "there is no model.sig" in lab.message("ModelVersion", "tumours-v2")
    assert (champion(lab), served_with(lab)) == ("tumours-v1", "tumours-v1 model-signing")
    lab.advance(3600)
    assert verified(lab, "tumours-v2") == ("False", "SignatureMissing")
    lab.workloads.rule("tumours-v2-eval-*", None)
    lab.advance(300)
    assert verified(lab, "tumours-v2") == ("True", "SignatureVerified")
    assert (champion(lab), served_with(lab)) == ("tumours-v2", "tumours-v2 model-signing")


def test_waiting_to_be_signed_leaves_nothing_behind(lab: Simulation) -> None:
    ask(lab)
    lab.workloads.rule("tumours-v2-eval-*", MISSING)
    stories.second_run(lab)
    lab.advance(4 * 3600)
    assert len([name for name in lab.names("Job") if name.startswith("tumours-v2-eval-")]) <= 2
    assert len([name for name in lab.names("Role") if name.startswith("tumours-v2-eval-")]) <= 2


def test_it_never_looks_unverified_while_it_is_tried_again(lab: Simulation) -> None:
    """Whoever follows would take it for a version that was never looked at."""
    ask(lab)
    lab.workloads.rule("tumours-v2-eval-*", MISSING)
    stories.second_run(lab)
    lab.settle()
    lab.workloads.rule("tumours-v2-eval-*", Waits("ImagePullBackOff", "no such image"))
    lab.advance(300)
    assert lab.condition("ModelVersion", "tumours-v2") == ("False", "ImagePullBackOff")
    assert verified(lab, "tumours-v2") == ("False", "SignatureMissing")


def test_a_champion_that_is_not_signed_goes_on_serving_until_one_is(lab: Simulation) -> None:
    lab.workloads.rule("tumours-v1-eval-*", MISSING)
    ask(lab)
    assert verified(lab, "tumours-v1") == ("False", "SignatureMissing")
    assert lab.condition("InferenceService", "tumours") == ("False", "SignatureMissing")
    assert lab.message("InferenceService", "tumours").endswith("tumours-v1 keeps serving")
    assert lab.condition("InferenceService", "tumours", "Available") == ("True", "Serving")
    stories.second_run(lab)
    lab.settle()
    assert (champion(lab), served_with(lab)) == ("tumours-v2", "tumours-v2 model-signing")
    assert lab.condition("InferenceService", "tumours") == ("True", "Serving")


def test_what_nobody_waits_for_is_tried_seldom(lab: Simulation) -> None:
    lab.workloads.rule("tumours-v1-eval-*", MISSING)
    stories.second_run(lab)
    lab.settle()
    ask(lab)
    lab.advance(8 * 3600)
    before = len(lab.made("Job"))
    lab.advance(8 * 3600)
    assert len(lab.made("Job")) - before <= 9


def test_a_pin_to_a_version_that_is_not_signed_waits(lab: Simulation) -> None:
    ask(lab)
    lab.workloads.rule("tumours-v2-eval-*", CHANGED)
    stories.second_run(lab)
    stories.pin("tumours-v2")(lab)
    lab.settle()
    assert lab.condition("Model", "tumours") == ("Unknown", "PinnedVersionNotVerified")
    assert champion(lab) == "tumours-v1"


def test_another_secret_means_that_all_is_verified_again(lab: Simulation) -> None:
    ask(lab)
    ask(lab, publicKeySecret="new-keys")
    assert served_with(lab) == "tumours-v1 new-keys"
    note = lab.get("ModelVersion", "tumours-v1")["metadata"]["annotations"]["mainspring.dev/signature"]
    assert json.loads(note) == {"doubt": "", "key": "5" * 64, "secret": "new-keys"}


def test_without_the_wish_nothing_is_asked_any_more(lab: Simulation) -> None:
    lab.workloads.rule("tumours-v1-eval-*", MISSING)
    ask(lab)
    lab.edit("Model", "tumours", verification=None)
    lab.settle()
    assert verified(lab, "tumours-v1") == ("True", "DigestMatches")
    assert lab.condition("InferenceService", "tumours") == ("True", "Serving")


def test_an_image_that_knows_no_signatures_proves_nothing(lab: Simulation) -> None:
    lab.workloads.runtime.signed_by = None
    ask(lab)
    assert verified(lab, "tumours-v1") == ("False", "SignatureNotVerified")
    assert "the image jobs:1, with which tumours-v1 was trained" in lab.message("ModelVersion", "tumours-v1")


@pytest.mark.parametrize("problem", [NO_SECRET, NO_KEY])
def test_a_secret_that_is_not_there_is_named_and_heals(lab: Simulation, problem: Waits) -> None:
    lab.workloads.rule("tumours-v1-eval-*", problem)
    ask(lab)
    assert lab.condition("ModelVersion", "tumours-v1") == ("False", "CreateContainerConfigError")
    assert problem.message in lab.message("ModelVersion", "tumours-v1")
    assert "create what it names" in lab.message("ModelVersion", "tumours-v1")
    lab.workloads.rule("tumours-v1-eval-*", None)
    lab.settle()
    assert verified(lab, "tumours-v1") == ("True", "SignatureVerified")


def test_a_secret_that_servers_miss_is_named_and_heals(lab: Simulation) -> None:
    lab.workloads.rule("serve-tumours-v2", NO_SECRET)
    ask(lab)
    stories.second_run(lab)
    lab.settle()
    assert lab.condition("InferenceService", "tumours") == ("False", "CreateContainerConfigError")
    assert 'secret "model-signing" not found' in lab.message("InferenceService", "tumours")
    assert served_with(lab) == "tumours-v1 model-signing"
    lab.workloads.rule("serve-tumours-v2", None)
    lab.settle()
    assert served_with(lab) == "tumours-v2 model-signing"


def test_what_a_server_has_against_a_signature_is_looked_into(lab: Simulation) -> None:
    """Somebody took it away, or changed it, after it was verified."""
    ask(lab)
    stories.second_run(lab)
    lab.settle()
    lab.workloads.rule("tumours-v2-eval-*", CHANGED)
    lab.workloads.rule("serve-tumours-v2", CHANGED)
    lab.settle()
    assert lab.status("InferenceService", "tumours")["lastFailure"]["reason"] == "SignatureMismatch"
    assert verified(lab, "tumours-v2") == ("False", "SignatureMismatch")
    assert "model.skops" in lab.message("ModelVersion", "tumours-v2")
    lab.workloads.rule("tumours-v2-eval-*", None)
    lab.workloads.rule("serve-tumours-v2", None)
    lab.advance(300)
    assert verified(lab, "tumours-v2") == ("True", "SignatureVerified")
    assert lab.condition("InferenceService", "tumours") == ("True", "Serving")


def test_a_server_alone_in_its_doubt_is_asked_about_once(lab: Simulation) -> None:
    """Its Secret may be another by now than the one that was looked at: it says so for itself."""
    ask(lab)
    lab.workloads.rule("serve-tumours-v2", CHANGED)
    stories.second_run(lab)
    lab.settle()
    made = len(lab.made("Job"))
    lab.advance(3600)
    assert len(lab.made("Job")) == made
    assert verified(lab, "tumours-v2") == ("True", "SignatureVerified")
    assert lab.condition("InferenceService", "tumours") == ("False", "SignatureMismatch")
    assert served_with(lab) == "tumours-v1 model-signing"


def test_training_waits_for_its_signing_key(lab: Simulation) -> None:
    lab.edit("Model", "tumours", signing={"privateKeySecret": "signing-key"})
    lab.workloads.rule("forest-2-train-*", Waits("CreateContainerConfigError", 'secret "signing-key" not found'))
    stories.second_run(lab)
    lab.settle()
    assert lab.condition("TrainingRun", "forest-2") == ("False", "CreateContainerConfigError")
    assert 'secret "signing-key" not found' in lab.message("TrainingRun", "forest-2")
    lab.workloads.rule("forest-2-train-*", None)
    lab.settle()
    assert lab.condition("TrainingRun", "forest-2") == ("True", "Succeeded")


def test_a_signing_key_that_is_none_heals_without_a_new_run(lab: Simulation) -> None:
    lab.edit("Model", "tumours", signing={"privateKeySecret": "signing-key"})
    lab.workloads.rule("forest-2-train-*", Ends(1, "SigningKeyInvalid", "private.pem of Secret signing-key is empty"))
    lab.apply(builders.run("forest-2", seed=2, retries=0))
    lab.settle()
    assert lab.condition("TrainingRun", "forest-2") == ("False", "SigningKeyInvalid")
    assert "private.pem of Secret signing-key" in lab.message("TrainingRun", "forest-2")
    lab.advance(900)
    assert lab.condition("TrainingRun", "forest-2") == ("False", "SigningKeyInvalid")
    lab.workloads.rule("forest-2-train-*", None)
    lab.advance(300)
    assert lab.condition("TrainingRun", "forest-2") == ("True", "Succeeded")


def test_an_imported_version_is_asked_for_its_signature_like_any_other(lab: Simulation) -> None:
    ask(lab)
    lab.workloads.rule("tumours-v2-eval-*", MISSING)
    lab.apply(builders.version(2, artifact={"uri": "s3://elsewhere/2", "digest": builders.digest("imported")}))
    lab.settle()
    assert verified(lab, "tumours-v2") == ("False", "SignatureMissing")
    assert champion(lab) == "tumours-v1"
