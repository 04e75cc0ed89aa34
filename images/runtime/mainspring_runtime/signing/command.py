"""The commands `check-signing-key`, before a training, and `sign`, after it: the only ones that see a private key.

They run in containers of their own, from the image of the release, and load no model: a pickle or an image of the user's
own never shares a process with the key.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from mainspring.api import contract
from mainspring.api.contract import TrainTask
from mainspring_runtime import artifacts, reporting
from mainspring_runtime.errors import PermanentError, RetryableError
from mainspring_runtime.signing import bundle, keys, statement


def main(argv: Sequence[str]) -> None:
    """Run `argv[0]`. Raises `JobError`."""
    parser = argparse.ArgumentParser(prog=argv[0], description="Sign what a training has published.")
    parser.add_argument(
        "--work", type=Path, default=Path(contract.WORK_DIR), help="directory of the training (default: %(default)s)"
    )
    work = parser.parse_args(argv[1:]).work
    task = reporting.load_task(TrainTask)
    if argv[0] == "check-signing-key":
        signing_key(task, os.environ)
        return
    digest = sign(task, Path(os.environ.get(contract.ENV_OUTPUT, work / "model")), os.environ)
    reporting.finish(contract.Outcome(outcome="Succeeded", digest=digest))


def sign(task: TrainTask, directory: Path, environ: Mapping[str, str]) -> str:
    """Sign the files of `directory` as they are now, and put `model.sig` beside them; returns the directory's digest.

    Raises `RetryableError`: SigningKeyInvalid, or what the store has to say.
    """
    key = signing_key(task, environ)
    (directory / artifacts.SIGNATURE).unlink(missing_ok=True)
    files = {file.path: file.sha256 for file in artifacts.describe(directory).files}
    (directory / artifacts.SIGNATURE).write_bytes(bundle.sign(statement.make(task.model.name, files), key))
    return artifacts.publish_signature(directory, task.destination)


def signing_key(task: TrainTask, environ: Mapping[str, str]) -> EllipticCurvePrivateKey:
    """The key of the Model. Raises `RetryableError("SigningKeyInvalid")` naming the Secret."""
    asked = task.model.spec.signing
    if asked is None:
        raise PermanentError("InvalidTask", "the Model has no spec.signing")
    where = f"{contract.PRIVATE_KEY} of Secret {asked.private_key_secret} (spec.signing of the Model)"
    pem = environ.get(contract.ENV_PRIVATE_KEY)
    if not pem:
        raise RetryableError("SigningKeyInvalid", f"{where} is empty")
    return keys.private_key(pem, environ.get(contract.ENV_PRIVATE_KEY_PASSWORD), where)
