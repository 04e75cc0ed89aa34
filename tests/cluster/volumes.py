"""Storage without a provisioner: a handful of directories behind the default StorageClass.

Pods that do not run as root can write them, which the directories of Kubernetes' own
host-path provisioner do not allow. A volume that was used and released is wiped and
offered again.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.cluster import api
from tests.cluster.config import Cluster
from tests.cluster.progress import say

COUNT = 8
# Nobody enforces it; large enough for whatever a chart asks for.
CAPACITY = "100Gi"
STORAGE_CLASS = "standard"
_CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
_VOLUMES = "/api/v1/persistentvolumes"


def ensure(cluster: Cluster, server: api.Endpoint) -> None:
    """Have the StorageClass, the directories and the volumes."""
    api.apply(server, f"{_CLASSES}/{STORAGE_CLASS}", storage_class())
    for number in range(COUNT):
        volume = persistent_volume(cluster, number)
        _directory(volume)
        api.apply(server, f"{_VOLUMES}/{volume['metadata']['name']}", volume)


def recycle(cluster: Cluster, server: api.Endpoint) -> int:
    """Wipe the volumes whose claims are gone and offer them again; returns how many."""
    ours = {
        volume["metadata"]["name"]: volume for volume in (persistent_volume(cluster, number) for number in range(COUNT))
    }
    released = [item["metadata"]["name"] for item in api.get(server, _VOLUMES)["items"] if _is_released(item)]
    freed = [name for name in released if name in ours and _wiped(_directory(ours[name]))]
    for name in freed:
        api.merge(server, f"{_VOLUMES}/{name}", {"spec": {"claimRef": None}})
    return len(freed)


def storage_class() -> dict[str, Any]:
    """The default StorageClass."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": STORAGE_CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def persistent_volume(cluster: Cluster, number: int) -> dict[str, Any]:
    """One volume of the pool."""
    on_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [cluster.name]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"local-{number}"},
        "spec": {
            "capacity": {"storage": CAPACITY},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": STORAGE_CLASS,
            "local": {"path": str(cluster.volumes / f"local-{number}")},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}},
        },
    }


def _is_released(volume: dict[str, Any]) -> bool:
    return volume.get("status", {}).get("phase") in ("Released", "Failed")


def _directory(volume: dict[str, Any]) -> Path:
    path = Path(volume["spec"]["local"]["path"])
    path.mkdir(parents=True, exist_ok=True)
    # The umask does not apply to chmod.
    path.chmod(0o777)
    return path


def _wiped(directory: Path) -> bool:
    try:
        for entry in directory.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    except OSError as error:
        say(f"leaving the volume in {directory} as it is: {error}")
        return False
    return True
