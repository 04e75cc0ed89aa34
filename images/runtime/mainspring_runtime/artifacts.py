"""Directories of files in an object store, identified by what is in them.

`manifest.json` lists every other file but `model.sig` as `{path, size, sha256}`, sorted by path, in canonical JSON (sorted keys, no
spaces). Its SHA-256 is the identity of the directory: `publish` uploads it last, so a manifest that can be read stands
for a complete directory, and `fetch` compares every byte before anybody reads one. `model.sig`, a signature over the files of a model, may lie beside
the manifest. It is no part of the identity: signatures differ each time, and one can be made, or replaced, later.

URLs are s3, gs, az and file. Credentials come from the environment under the names of the cloud's own tools
(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS,
AZURE_STORAGE_ACCOUNT_NAME, …). Used by all Jobs and by the server: imports obstore and nothing heavier.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import obstore
from obstore.store import ObjectStore

from mainspring_runtime import stores
from mainspring_runtime.errors import PermanentError, RetryableError

MANIFEST = "manifest.json"
SIGNATURE = "model.sig"
MANIFEST_MAX_BYTES = 16 * 1024 * 1024
SIGNATURE_MAX_BYTES = 16 * 1024 * 1024
CHUNK_BYTES = 4 * 1024 * 1024
CONCURRENT_FILES = 4
CONCURRENT_PARTS = 4
DIGEST_PREFIX = "sha256:"


@dataclass(frozen=True, order=True)
class File:
    """One file of a directory: relative POSIX path, size in bytes, lower-case hexadecimal SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """All files of a directory, sorted by path."""

    files: tuple[File, ...]

    @property
    def size(self) -> int:
        """Bytes of all files, without the manifest."""
        return sum(file.size for file in self.files)

    @property
    def digest(self) -> str:
        return digest_of(self.to_bytes())

    def to_bytes(self) -> bytes:
        """Canonical JSON: equal directories give equal bytes."""
        return json.dumps([asdict(file) for file in self.files], sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Published:
    """Where a directory is now. `size` in bytes."""

    digest: str
    uri: str
    size: int


def publish(directory: Path, destination: str) -> Published:
    """Upload `directory` to `<destination>/<hex of its digest>/`, and write its `manifest.json` beside the files.

    Uploads what is missing there or was changed, and nothing else: publishing again repairs. Raises `PermanentError` for a link or an empty directory and
    `RetryableError("ArtifactStoreUnavailable")` when the store does not answer.
    """
    manifest = describe(directory)
    (directory / MANIFEST).write_bytes(manifest.to_bytes())
    uri = f"{destination.rstrip('/')}/{manifest.digest.removeprefix(DIGEST_PREFIX)}/"
    with stores.failures(uri):
        store = stores.open_store(uri, create=True)
        missing = _missing(store, manifest)
        _each(missing, lambda file: _upload(store, directory, file.path))
        if (directory / SIGNATURE).is_file():
            _upload(store, directory, SIGNATURE)
        if missing or not _has_manifest(store, manifest):
            _upload(store, directory, MANIFEST)
    return Published(manifest.digest, uri, manifest.size)


def fetch(uri: str, digest: str, target: Path, *, only: Collection[str] | None = None) -> Manifest:
    """Download the directory at `uri` into `target` and prove that it is the one named by `digest`.

    With `only`, just the files of these paths are downloaded (those that the directory has); they are proved as well.
    Raises `PermanentError("ArtifactNotFound")`, `PermanentError("ArtifactDigestMismatch")` naming the file, or
    `RetryableError("ArtifactStoreUnavailable")`. Files are streamed: memory does not grow with their size.
    """
    with stores.failures(uri):
        store, content = _read_manifest(uri)
        manifest = parse(content, uri, digest)
        target.mkdir(parents=True, exist_ok=True)
        wanted = [file for file in manifest.files if only is None or file.path in only]
        _each(wanted, lambda file: _download(store, uri, file, target))
    (target / MANIFEST).write_bytes(content)
    return manifest


def publish_signature(directory: Path, destination: str) -> str:
    """Upload `model.sig` of a directory that was published to `destination`; returns the digest of the directory.

    Raises `RetryableError` when the store does not answer.
    """
    digest = describe(directory).digest
    uri = f"{destination.rstrip('/')}/{digest.removeprefix(DIGEST_PREFIX)}/"
    with stores.failures(uri):
        _upload(stores.open_store(uri, create=True), directory, SIGNATURE)
    return digest


def fetch_signature(uri: str, manifest: Manifest, directory: Path) -> bytes | None:
    """`model.sig` of a directory that was fetched from `uri`, also written to it; None when there is none.

    Nothing is known about its content yet. Raises `RetryableError` when the store does not answer.
    """
    path = directory / SIGNATURE
    if SIGNATURE in {
        file.path for file in manifest.files
    }:  # other tools may list it: then it was fetched with the rest
        return path.read_bytes()
    # One that an earlier start left here may be another by now.
    path.unlink(missing_ok=True)
    with stores.failures(uri):
        content = _read_signature(uri)
    if content is not None:
        path.write_bytes(content)
    return content


def describe(directory: Path) -> Manifest:
    """The manifest of a local directory, leaving out a `manifest.json` and a `model.sig` at its top."""
    return Manifest(tuple(sorted(File(*facts) for facts in _facts(directory))))


def parse(content: bytes, uri: str, digest: str) -> Manifest:
    """A manifest from its bytes, which must have the given digest."""
    if digest_of(content) != digest:
        raise _mismatch(uri, MANIFEST, f"has the digest {digest_of(content)}, not {digest}")
    try:
        manifest = Manifest(tuple(File(**entry) for entry in json.loads(content)))
    except (ValueError, TypeError) as error:
        raise PermanentError("InvalidArtifact", f"{MANIFEST} at {uri} is not a manifest: {error}") from error
    for file in manifest.files:
        _require_inside(file.path, uri)
    return manifest


def digest_of(content: bytes) -> str:
    """`sha256:` and the hexadecimal SHA-256."""
    return DIGEST_PREFIX + hashlib.sha256(content).hexdigest()


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, in bounded memory."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _facts(directory: Path) -> Iterator[tuple[str, int, str]]:
    paths = [path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir()]
    if not [path for path in paths if path not in (directory / MANIFEST, directory / SIGNATURE)]:
        raise PermanentError("InvalidArtifact", f"{directory} has no files to publish")
    for path in paths:
        name = path.relative_to(directory).as_posix()
        # A link made by a user's container would be followed by ours, which can read more.
        if path.is_symlink() or not path.is_file():
            raise PermanentError("InvalidArtifact", f"{name} is not a regular file; write a copy instead of a link")
        if name not in (MANIFEST, SIGNATURE):
            yield name, path.stat().st_size, sha256_of(path)


def _require_inside(path: str, uri: str) -> None:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or str(parts) != path or path == MANIFEST:
        raise PermanentError(
            "InvalidArtifact", f"the manifest at {uri} names {path!r}, which is not a plain relative path"
        )


def _missing(store: ObjectStore, manifest: Manifest) -> list[File]:
    """The files that are not there with just these bytes. Sizes are compared first: most often nothing is there yet."""
    sizes = {meta["path"]: meta["size"] for batch in obstore.list(store) for meta in batch}
    return [file for file in manifest.files if sizes.get(file.path) != file.size or not _is_stored(store, file)]


def _is_stored(store: ObjectStore, file: File) -> bool:
    hasher = hashlib.sha256()
    for chunk in obstore.get(store, file.path).stream(min_chunk_size=CHUNK_BYTES):
        hasher.update(chunk)
    return hasher.hexdigest() == file.sha256


def _has_manifest(store: ObjectStore, manifest: Manifest) -> bool:
    try:
        return bytes(obstore.get(store, MANIFEST).bytes()) == manifest.to_bytes()
    except FileNotFoundError as error:
        if not stores.is_absent(error):
            raise
        return False


def _upload(store: ObjectStore, directory: Path, path: str) -> None:
    obstore.put(store, path, directory / path, chunk_size=2 * CHUNK_BYTES, max_concurrency=CONCURRENT_PARTS)


def _read_manifest(uri: str) -> tuple[ObjectStore, bytes]:
    try:
        store = stores.open_store(uri)
        result = obstore.get(store, MANIFEST)
    except FileNotFoundError as error:
        if not stores.is_absent(error):
            raise
        raise PermanentError(
            "ArtifactNotFound", f"there is no {MANIFEST} at {uri}; was the artifact deleted?"
        ) from error
    if result.meta["size"] > MANIFEST_MAX_BYTES:
        raise PermanentError("InvalidArtifact", f"{MANIFEST} at {uri} has more than {MANIFEST_MAX_BYTES} bytes")
    return store, bytes(result.bytes())


def _read_signature(uri: str) -> bytes | None:
    try:
        result = obstore.get(stores.open_store(uri), SIGNATURE)
    except FileNotFoundError as error:
        if not stores.is_absent(error):
            raise
        return None
    if result.meta["size"] > SIGNATURE_MAX_BYTES:
        raise RetryableError("SignatureInvalid", f"{SIGNATURE} at {uri} has more than {SIGNATURE_MAX_BYTES} bytes")
    return bytes(result.bytes())


def _download(store: ObjectStore, uri: str, file: File, target: Path) -> None:
    """Stream one file to disk, hashing on the way; it is removed again if it is not the right one."""
    path = target / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        size, sha256 = _stream(store, file, path)
    except FileNotFoundError as error:
        if not stores.is_absent(error):
            raise
        raise PermanentError("ArtifactNotFound", f"{file.path} is missing at {uri}") from error
    if (size, sha256) != (file.size, file.sha256):
        path.unlink()
        raise _mismatch(
            uri, file.path, f"has {size} bytes and SHA-256 {sha256}, the manifest says {file.size} and {file.sha256}"
        )


def _stream(store: ObjectStore, file: File, path: Path) -> tuple[int, str]:
    size, hasher = 0, hashlib.sha256()
    result = obstore.get(store, file.path)
    with path.open("wb") as sink:
        for chunk in result.stream(min_chunk_size=CHUNK_BYTES):
            size += len(chunk)
            # Stop at the first byte too many: an altered object must not fill the disk.
            if size > file.size:
                break
            hasher.update(chunk)
            sink.write(chunk)
    return size, hasher.hexdigest()


def _each(files: Sequence[File], work: Callable[[File], None]) -> None:
    """Run `work` on every file, a few at a time; the first failure is raised once the running ones ended."""
    with ThreadPoolExecutor(CONCURRENT_FILES) as pool:
        futures = [pool.submit(work, file) for file in files]
        try:
            for future in futures:
                future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _mismatch(uri: str, path: str, what: str) -> PermanentError:
    return PermanentError(
        "ArtifactDigestMismatch", f"{path} at {uri} {what}; it was changed after it was published", [path]
    )
