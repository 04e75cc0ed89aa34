"""ModelVersion: its Model, the champion it is compared with, both versions' data, and what services found in its bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from mainspring.api.contract import SIGNATURE_REASONS
from mainspring.api.v1alpha1.common import LABEL_MODEL_VERSION
from mainspring.api.v1alpha1.model import ModelSpec
from mainspring.api.v1alpha1.modelversion import ModelVersionSpec
from mainspring.controllers import reading
from mainspring.kube.client import Api
from mainspring.kube.store import Store
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object, Ref
from mainspring.plan.common.plan import Plan
from mainspring.plan.common.settings import Settings
from mainspring.plan.modelversion import plan
from mainspring.plan.modelversion.observed import Observed

MISMATCH = "ArtifactDigestMismatch"


class ModelVersionController:
    kind = "ModelVersion"

    def __init__(self, api: Api, store: Store, settings: Settings) -> None:
        self._api = api
        self._store = store
        self._settings = settings

    def keys(self, obj: Object) -> Iterable[Ref]:
        if obj["kind"] == self.kind:
            return (objects.ref(obj),)
        if obj["kind"] == "Model":
            versions = self._store.select(self.kind, objects.namespace(obj))
            return [objects.ref(v) for v in versions if objects.spec(v).get("model") == objects.name(obj)]
        if obj["kind"] == "InferenceService":
            failed = (objects.status(obj).get("lastFailure") or {}).get("version")
            return (Ref(self.kind, objects.namespace(obj), failed),) if failed else ()
        return reading.owner_key(obj, self.kind) or self._of_job(obj)

    def _of_job(self, obj: Object) -> Iterable[Ref]:
        """Pods belong to the Job; pods of services carry the same label and do not matter here."""
        return reading.by_label(obj, self.kind, LABEL_MODEL_VERSION) if "job-name" in objects.labels(obj) else ()

    async def observe(self, key: Ref) -> Observed | None:
        obj = self._store.get(key)
        if obj is None:
            return None
        spec = ModelVersionSpec.model_validate(objects.spec(obj))
        model = self._store.get(Ref("Model", key.namespace, spec.model))
        champion = self._champion(key.namespace, model)
        return Observed(
            object=obj,
            spec=spec,
            settings=self._settings,
            model=model,
            model_spec=ModelSpec.model_validate(objects.spec(model)) if model is not None else None,
            champion=champion,
            dataset_version=self._dataset_version(obj),
            champion_dataset_version=self._dataset_version(champion) if champion is not None else None,
            jobs=await reading.read_jobs(self._api, self._store, obj),
            mismatch=self._mismatch(key),
            doubt=self._doubt(key),
            job_children=reading.job_children(self._store, obj),
        )

    def _champion(self, namespace: str, model: Object | None) -> Object | None:
        name = objects.status(model).get("champion") if model is not None else None
        return self._store.get(Ref(self.kind, namespace, name)) if name else None

    def _dataset_version(self, version: Object) -> Object | None:
        name = (objects.spec(version).get("source") or {}).get("datasetVersion")
        return self._store.get(Ref("DatasetVersion", objects.namespace(version), name)) if name else None

    def _mismatch(self, key: Ref) -> str:
        """What a server said that found other bytes in the store than the digest stands for."""
        found = (failure for _, failure in self._failures(key) if failure.get("reason") == MISMATCH)
        return next((str(failure.get("message")) for failure in found), "")

    def _doubt(self, key: Ref) -> str:
        """A server could not verify the signature: something was taken away or changed since it was verified."""
        for service, failure in self._failures(key):
            if failure.get("reason") in SIGNATURE_REASONS:
                return f"{service} {failure.get('time')}"
        return ""

    def _failures(self, key: Ref) -> Iterable[tuple[str, Mapping[str, Any]]]:
        """Services that could not serve it, with what they said."""
        for service in self._store.select("InferenceService", key.namespace):
            failure = objects.status(service).get("lastFailure") or {}
            if failure.get("version") == key.name:
                yield objects.name(service), failure

    def make_plan(self, observed: Observed, now: datetime) -> Plan:
        return plan.make_plan(observed, now)
