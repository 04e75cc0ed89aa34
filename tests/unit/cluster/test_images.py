"""Images are named by their content, and handed over without what is there already."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import backend, buildah, images, mounts, ocilayout, paths, pause_image
from tests.cluster.images import IMAGES, STORE


def blob(layout: Path, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    path = layout / "blobs" / "sha256" / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return f"sha256:{digest}"


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    layers = [blob(tmp_path, name.encode()) for name in ("base", "libraries", "source")]
    config = blob(tmp_path, b"{}")
    manifest = blob(
        tmp_path, json.dumps({"config": {"digest": config}, "layers": [{"digest": layer} for layer in layers]}).encode()
    )
    descriptor = {
        "mediaType": "m",
        "digest": manifest,
        "size": 1,
        "annotations": {"org.opencontainers.image.ref.name": "image:1"},
    }
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [descriptor]}))
    return tmp_path


def members(archive: Path) -> set[str]:
    with tarfile.open(archive) as tar:
        return set(tar.getnames())


def test_an_archive_for_an_empty_node_holds_every_blob(layout: Path) -> None:
    ocilayout.write_archive(layout, "image:1", frozenset(), layout / "image.tar")
    assert len(members(layout / "image.tar")) == 2 + 5


def test_an_archive_leaves_out_what_the_node_has(layout: Path) -> None:
    base, libraries = (f"sha256:{hashlib.sha256(name).hexdigest()}" for name in (b"base", b"libraries"))
    ocilayout.write_archive(layout, "image:1", {base, libraries}, layout / "image.tar")
    names = members(layout / "image.tar")
    assert len(names) == 2 + 3
    assert f"blobs/{base.replace(':', '/')}" not in names


def test_the_archive_gives_the_image_its_name(layout: Path) -> None:
    ocilayout.write_archive(layout, "image:1", frozenset(), layout / "image.tar")
    with tarfile.open(layout / "image.tar") as tar:
        index = json.load(tar.extractfile("index.json") or io.BytesIO())
    assert index["manifests"][0]["annotations"] == {"io.containerd.image.name": "image:1"}


def test_the_values_name_each_image_where_the_chart_looks(tmp_path: Path) -> None:
    references = {image: f"registry:5000/x/{image.name}:{number}" for number, image in enumerate((*IMAGES, STORE))}
    images.write_values(tmp_path / "values.yaml", references)
    written: dict[str, Any] = yaml.safe_load((tmp_path / "values.yaml").read_text())
    assert written == {
        "imagePullPolicy": "IfNotPresent",
        "image": {
            "operator": {"repository": "registry:5000/x/operator", "tag": "0"},
            "runtime": {"repository": "registry:5000/x/runtime", "tag": "1"},
            "jobs": {"repository": "registry:5000/x/runtime-jobs", "tag": "2"},
        },
        "store": {"image": {"repository": "registry:5000/x/store", "tag": "3"}},
    }


def test_another_base_or_target_is_another_tag() -> None:
    _, serve, jobs = IMAGES
    assert len({serve.tag("a"), serve.tag("b"), jobs.tag("a")}) == 3


@pytest.mark.parametrize("image", [*IMAGES, STORE], ids=lambda image: image.name)
def test_every_file_that_a_dockerfile_copies_counts_for_the_tag(image: images.Image) -> None:
    for line in (paths.REPO / image.dockerfile).read_text().splitlines():
        words = line.split()
        if words[:1] == ["COPY"] and not words[1].startswith("--from") and image is not STORE:
            assert all(any(Path(source).is_relative_to(known) for known in image.sources) for source in words[1:-1])


def test_the_pause_image_is_one_layer_with_the_program() -> None:
    with tarfile.open(fileobj=io.BytesIO(pause_image.archive(b"program", "pause:1"))) as tar:
        layer = (tar.extractfile("layer.tar") or io.BytesIO()).read()
        config = json.load(tar.extractfile("config.json") or io.BytesIO())
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]


def test_pip_settings_come_from_files_and_variables_and_variables_win(tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    file.write_text("[global]\ntimeout = 1\nindex-url = from-file\n")
    settings = buildah.pip_settings({"PIP_CONFIG_FILE": str(file), "PIP_TIMEOUT": "9", "HOME": "/"})
    assert settings["timeout"] == "9"
    assert settings["index-url"] == "from-file"
    assert "config-file" not in settings


def test_a_kubeconfig_of_our_own_is_not_the_users_cluster() -> None:
    ours = paths.clusters() / "mainspring" / "node" / "kubeconfig"
    assert backend.existing_kubeconfig({"KUBECONFIG": str(ours)}) is None
    assert backend.existing_kubeconfig({}) is None
    assert backend.existing_kubeconfig({"KUBECONFIG": "/etc/other"}) == Path("/etc/other")


@pytest.mark.parametrize(("context", "name"), [("kind-test", "test"), ("production", None), ("", None)])
def test_a_kind_cluster_is_known_by_its_context(context: str, name: str | None) -> None:
    assert backend.kind_cluster_of(yaml.safe_dump({"current-context": context})) == name


def test_mounts_are_listed_deepest_first_and_only_below_the_directory() -> None:
    lines = [f"1 2 0:1 / {point} rw - tmpfs tmpfs rw" for point in ("/a", "/a/b", r"/a/b/with\040space", "/ab", "/c")]
    assert [str(point) for point in mounts.below(Path("/a"), "\n".join(lines))] == ["/a/b/with space", "/a/b", "/a"]
