"""Training signs, and nothing is used whose signature does not verify; what serves goes on meanwhile."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Manifest
from mainspring_runtime import artifacts as files
from mainspring_runtime.signing import keys
from tests.demo import store
from tests.e2e import artifacts, manifests
from tests.e2e.space import STEP_SECONDS, Space
from tests.unit.runtime.signing import versions

PUBLIC, PRIVATE = "model-signing", "model-signing-private"


def test_what_is_signed_is_served_and_nothing_else(space: Space, tmp_path: Path) -> None:
    key = versions.new_key()
    space.apply(
        manifests.dataset(),
        manifests.model(verification={"publicKeySecret": PUBLIC}, signing={"privateKeySecret": PRIVATE}),
        manifests.service(),
        manifests.run(),
    )

    # Each Secret is missed by name, before anything is trained or loaded, and things go on when it is there.
    space.failed("TrainingRun", "first", "CreateContainerConfigError", [PRIVATE, "not found"])
    space.apply(secret(PRIVATE, "private.pem", versions.private_pem(key)))
    space.current("TrainingRun", "first", "Succeeded", heals=True)
    space.failed("ModelVersion", "flowers-v1", "CreateContainerConfigError", [PUBLIC, "not found"])
    space.apply(secret(PUBLIC, "public.pem", versions.public_pem(key.public_key())))
    space.current("InferenceService", "flowers", "Serving", heals=True)
    verified = objects.condition(space.get("ModelVersion", "flowers-v1"), "ArtifactVerified") or {}
    assert verified["reason"] == "SignatureVerified"
    assert keys.fingerprint(key.public_key())[:12] in verified["message"]
    assert space.answering() == "1"

    # Somebody changes a file and registers it, with the signature of the one that is served.
    model = fetch_signed(space, tmp_path / "model")
    (model / "card.md").write_text("# Much better")
    artifacts.import_version(space, model, number=2)
    space.failed("ModelVersion", "flowers-v2", "SignatureMismatch", ["card.md", "was changed after it was signed"])
    space.change("InferenceService", "flowers", model={"name": None, "version": "flowers-v2"})
    space.failed("InferenceService", "flowers", "SignatureMismatch", ["card.md", "flowers-v1 keeps serving"])
    assert space.answering() == "1"

    # Whoever has the key signs what is there now, and it is used.
    sign(space, model, key)
    space.current("ModelVersion", "flowers-v2", "Champion", heals=True, seconds=400)
    space.eventually(lambda: served(space) == "flowers-v2", "version 2 is served", 2 * STEP_SECONDS)
    space.until_answering("2")


def secret(name: str, key: str, value: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {key: value}}


def fetch_signed(space: Space, target: Path) -> Path:
    """The files of the served version, with the signature that training has made."""
    artifact = space.get("ModelVersion", "flowers-v1")["spec"]["artifact"]
    with store.access(space.name):
        manifest = files.fetch(artifact["uri"], artifact["digest"], target)
        assert files.fetch_signature(artifact["uri"], manifest, target) is not None
    return target


def sign(space: Space, directory: Path, key: EllipticCurvePrivateKey) -> None:
    versions.sign(directory, key)
    artifacts.publish(space, directory)


def served(space: Space) -> str:
    return str(space.get("InferenceService", "flowers")["status"].get("stableVersion"))
