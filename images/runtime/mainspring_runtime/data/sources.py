"""Where the rows come from: a ConfigMap, a sample, a directory, an object store or a web server.

A source first tells the versions of its objects, which is cheap, and fetches them only when they are new.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mainspring.api import contract
from mainspring.api.v1alpha1 import dataset as api
from mainspring_runtime import artifacts
from mainspring_runtime.data.reading import SourceFile
from mainspring_runtime.errors import RetryableError

CLOUD_PREFIXES = ("AWS_", "AZURE_", "GOOGLE_")


@dataclass(frozen=True)
class Places:
    """Directories of a preparation: `work` is empty and may be written, `source` has the keys of a ConfigMap source."""

    work: Path = Path(contract.WORK_DIR)
    source: Path = Path(contract.SOURCE_DIR)

    @property
    def downloads(self) -> Path:
        return self.work / "source"

    @property
    def inputs(self) -> Path:
        return self.work / "inputs"

    @property
    def previous(self) -> Path:
        return self.work / "previous"

    @property
    def version(self) -> Path:
        """What will be published."""
        return self.work / "version"

    @property
    def rows(self) -> Path:
        return self.version / "data"

    @property
    def buckets(self) -> Path:
        return self.work / "buckets"

    def clear(self) -> None:
        """Remove what an earlier start of the same container left."""
        for directory in (self.downloads, self.inputs, self.previous, self.version, self.buckets):
            shutil.rmtree(directory, ignore_errors=True)


class Source(Protocol):
    """Something that rows can be read from."""

    def versions(self) -> list[list[str]]:
        """For each object its name and what changes when its content does; sorted, JSON-ready."""

    def fetch(self) -> list[SourceFile]:
        """Make the objects local. The order is that of `versions`."""


def open_source(spec: api.Source, places: Places) -> Source:
    """The source of a Dataset. Raises `RetryableError("SourceNotFound")`: data may still arrive."""
    # Imported here because each needs a library that the other sources do without.
    from mainspring_runtime.data import objects, web

    if spec.config_map:
        # The key comes last: its ending tells the format, like that of a file's name.
        return ConfigMapSource(
            places.source / spec.config_map.key, f"ConfigMap key {spec.config_map.name}/{spec.config_map.key}"
        )
    if spec.sample:
        return SampleSource(spec.sample, places.downloads)
    uri = spec.uri or ""
    if uri.startswith("https://"):
        return web.WebSource(uri, places.downloads)
    return objects.StoreSource(uri, places.downloads)


@dataclass(frozen=True)
class ConfigMapSource:
    """One key, mounted as a file."""

    path: Path
    name: str

    def versions(self) -> list[list[str]]:
        if not self.path.is_file():
            raise RetryableError("SourceNotFound", f"there is no {self.name}; add it or change spec.source.configMap")
        return [[self.path.name, artifacts.sha256_of(self.path)]]

    def fetch(self) -> list[SourceFile]:
        return [SourceFile(self.path, self.name)]


@dataclass(frozen=True)
class SampleSource:
    """A data set of scikit-learn, written out as Parquet. The image, which is part of the identity, fixes its content."""

    sample: str
    downloads: Path

    def versions(self) -> list[list[str]]:
        return [[self.sample, "scikit-learn"]]

    def fetch(self) -> list[SourceFile]:
        import pyarrow.parquet as pq

        from mainspring_runtime.data import samples

        self.downloads.mkdir(parents=True, exist_ok=True)
        path = self.downloads / f"{self.sample}.parquet"
        pq.write_table(samples.table(self.sample), path)
        return [SourceFile(path, f"{self.sample}.parquet")]


@contextmanager
def credentials() -> Iterator[None]:
    """While inside, the cloud variables of the environment are those of `spec.source.credentialsSecret`.

    Its keys arrive with the prefix `SOURCE_`; without any, the variables for the artifact store serve for both. They
    replace the others as a whole: an endpoint of the artifact store must not receive the keys of another one.
    """
    given = {
        key.removeprefix(contract.ENV_SOURCE_PREFIX): value
        for key, value in os.environ.items()
        if key.startswith(contract.ENV_SOURCE_PREFIX)
    }
    if not given:
        yield
        return
    before = dict(os.environ)
    for key in [key for key in before if key.startswith(CLOUD_PREFIXES)]:
        del os.environ[key]
    os.environ.update(given)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
