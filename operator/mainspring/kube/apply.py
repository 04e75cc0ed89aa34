"""Create-or-apply: children are made by POST and updated by server-side apply, so a stranger's object is never taken over.

Apply alone would create *or take over*; POST cannot. An update names the uid that was observed, so it cannot hit a
successor either. Nothing is sent when the live object already holds what is desired.
"""

from __future__ import annotations

from mainspring.api.v1alpha1.common import FIELD_MANAGER
from mainspring.kube import errors
from mainspring.kube.client import Api
from mainspring.kube.store import Store
from mainspring.plan.common import compare, objects
from mainspring.plan.common.objects import Manifest, Object

# Made once and never changed: a Job's template is immutable, a version is a fact.
CREATE_ONLY = frozenset({"Job", "DatasetVersion", "ModelVersion"})


async def ensure(api: Api, store: Store, manifest: Manifest) -> bool:
    """Makes `manifest` true; True if something was written. Raises NameTaken, AlreadyExists or another KubeError."""
    live = store.get(objects.ref(manifest))
    if live is None:
        live = await _create(api, store, manifest)
        if live is None:
            return True
    _check_ours(live, manifest)
    if selector := _other_selector(live, manifest):
        store.put(await api.merge(objects.ref(manifest), selector))
        return True
    if manifest["kind"] in CREATE_ONLY or compare.holds(live, manifest):
        return False
    store.put(await api.apply(_with_uid(manifest, live), FIELD_MANAGER))
    return True


def _other_selector(live: Object, manifest: Manifest) -> Manifest | None:
    """Of a Service that selects by another label, too: apply would leave that there, since a POST had set it.

    Whatever else differs is applied at the next look: this write makes for one.
    """
    wanted = objects.spec(manifest).get("selector")
    if manifest["kind"] != "Service" or not wanted:
        return None
    surplus = objects.spec(live).get("selector", {}).keys() - wanted.keys()
    gone = dict.fromkeys(surplus)
    return {"metadata": {"uid": objects.uid(live)}, "spec": {"selector": gone | wanted}} if surplus else None


async def _create(api: Api, store: Store, manifest: Manifest) -> Object | None:
    """None when it was made; else the object that already has the name."""
    try:
        store.put(await api.create(manifest))
    except errors.AlreadyExists:
        return await _existing(api, store, manifest)
    return None


async def _existing(api: Api, store: Store, manifest: Manifest) -> Object:
    try:
        live = await api.get(objects.ref(manifest))
    except errors.NotFound as error:
        raise errors.Transient(f"{objects.ref(manifest)} vanished while it was being created") from error
    if objects.controller(manifest) is None and not compare.holds(live, manifest):
        # A version's name is the decision who gets it (a number): somebody else was faster.
        raise errors.AlreadyExists(f"{objects.ref(manifest)} was made by somebody else meanwhile")
    if _is_ours(live, manifest):
        store.put(live)
    return live


def _check_ours(live: Object, manifest: Manifest) -> None:
    target = objects.ref(manifest)
    if _is_predecessors(live, manifest):
        raise errors.Transient(f"{target} of a deleted object of the same name is still being removed")
    if not _is_ours(live, manifest):
        raise errors.NameTaken(
            f"{target.kind} {target.name} exists and does not belong to this object: rename or remove it, then this continues by itself"
        )


def _is_predecessors(live: Object, manifest: Manifest) -> bool:
    """It belongs to an object that had the owner's kind and name: the garbage collector has not come by yet."""
    was, now = objects.controller(live), objects.controller(manifest)
    if was is None or now is None or was.get("uid") == now["uid"]:
        return False
    return (was.get("kind"), was.get("name")) == (now["kind"], now["name"])


def _is_ours(live: Object, manifest: Manifest) -> bool:
    owner = objects.controller(manifest)
    if owner is None:
        return True
    found = objects.controller(live)
    return found is not None and found.get("uid") == owner["uid"]


def _with_uid(manifest: Manifest, live: Object) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "uid": objects.uid(live)}}
