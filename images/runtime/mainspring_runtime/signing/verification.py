"""Whether a version is what somebody signed whom the user trusts. Used by `evaluate`, and by the server before it loads.

The files were compared with the manifest when they were fetched, so the signature needs only be compared with the
manifest: every file must be signed, and everything that is signed must be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from mainspring_runtime import artifacts
from mainspring_runtime.artifacts import Manifest
from mainspring_runtime.errors import RetryableError
from mainspring_runtime.signing import bundle, keys, statement

# The names of `mainspring.api.contract`, which imports pydantic; a unit test compares them.
PUBLIC_KEY = "public.pem"
FIELD = "spec.verification of the Model"
SIGN_AGAIN = "sign the directory again and put model.sig beside its manifest.json"


def verify(uri: str, directory: Path, manifest: Manifest, pem: str, secret: str) -> str:
    """The fingerprint of the key that signed the version in `directory`, which was fetched from `uri`.

    `pem` holds the trusted public keys; they come from `secret`, which messages name. Raises `RetryableError`:
    SignatureMissing, SignatureInvalid, SignatureMismatch (its details are the files) or VerificationKeyInvalid; all heal
    when somebody signs again, or corrects the Secret.
    """
    where = f"{PUBLIC_KEY} of Secret {secret} ({FIELD})"
    trusted = keys.public_keys(pem, where)
    content = artifacts.fetch_signature(uri, manifest, directory)
    if content is None:
        message = f"there is no {artifacts.SIGNATURE} at {uri}, and {FIELD} asks for one: {SIGN_AGAIN}"
        raise RetryableError("SignatureMissing", message, [artifacts.SIGNATURE])
    files, key = _signed_files(content, uri, trusted, where)
    _require_same(files, manifest, uri)
    return keys.fingerprint(key)


def _signed_files(
    content: bytes, uri: str, trusted: tuple[EllipticCurvePublicKey, ...], where: str
) -> tuple[dict[str, str], EllipticCurvePublicKey]:
    try:
        payload, key = bundle.verify(content, trusted)
        return statement.read(payload), key
    except (bundle.NotVerifiedError, statement.NotAStatementError) as error:
        message = f"{artifacts.SIGNATURE} at {uri} is not valid for {where}: {error}"
        raise RetryableError("SignatureInvalid", message, [artifacts.SIGNATURE]) from error


def _require_same(signed: Mapping[str, str], manifest: Manifest, uri: str) -> None:
    found = {file.path: file.sha256 for file in manifest.files if file.path != artifacts.SIGNATURE}
    if artifacts.MANIFEST in signed:  # whoever signed a fetched directory may have signed its manifest, too
        found[artifacts.MANIFEST] = manifest.digest.removeprefix(artifacts.DIGEST_PREFIX)
    problems = {
        "was changed after it was signed": [path for path in found if signed.get(path, found[path]) != found[path]],
        "is not covered by the signature": [path for path in found if path not in signed],
        "was signed and is missing": [path for path in signed if path not in found],
    }
    for problem, paths in problems.items():
        if paths:
            more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
            message = f"{sorted(paths)[0]} at {uri} {problem}{more}: publish what was signed, or {SIGN_AGAIN}"
            raise RetryableError("SignatureMismatch", message, sorted(paths))
