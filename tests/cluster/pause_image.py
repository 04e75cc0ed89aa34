"""The image of the container that holds a pod together: one static program, packed without any image tool."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

from tests.cluster import command, tools
from tests.cluster.components import ctr
from tests.cluster.config import Cluster
from tests.cluster.progress import say


def name() -> str:
    """The image's name; its tag is what the program is made from."""
    return f"localhost/mainspring/pause:{tools.TOOLS['pause'].key()}"


def ensure(cluster: Cluster) -> None:
    """Have the image in the node."""
    if name() in command.run(ctr(cluster, "images", "list", "-q")).split():
        return
    say("loading the pause image")
    file = cluster.state / "pause.tar"
    file.write_bytes(archive(tools.tool("pause").read_bytes(), name()))
    command.run(ctr(cluster, "images", "import", str(file)))
    file.unlink()


def archive(program: bytes, image: str) -> bytes:
    """A docker archive with one layer that holds /pause."""
    layer = _tar({"pause": program}, mode=0o755)
    config = {
        "architecture": tools.architecture(),
        "os": "linux",
        "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [image], "Layers": ["layer.tar"]}]
    files = {
        "manifest.json": json.dumps(manifest).encode(),
        "config.json": json.dumps(config).encode(),
        "layer.tar": layer,
    }
    return _tar(files, mode=0o644)


def _tar(files: dict[str, bytes], mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
