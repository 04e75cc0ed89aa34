"""Dataset: its Jobs, its versions, the Datasets it reads, and who still uses a version."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from mainspring.api.v1alpha1.common import LABEL_DATASET
from mainspring.api.v1alpha1.dataset import DatasetSpec
from mainspring.controllers import reading
from mainspring.kube.client import Api
from mainspring.kube.store import Store
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object, Ref
from mainspring.plan.common.plan import Plan
from mainspring.plan.common.settings import Settings
from mainspring.plan.dataset import plan
from mainspring.plan.dataset.observed import Observed


class DatasetController:
    kind = "Dataset"

    def __init__(self, api: Api, store: Store, settings: Settings) -> None:
        self._api = api
        self._store = store
        self._settings = settings

    def keys(self, obj: Object) -> Iterable[Ref]:
        if obj["kind"] == self.kind:
            return (objects.ref(obj), *self._readers(obj))
        if obj["kind"] == "DatasetVersion":
            return (Ref(self.kind, objects.namespace(obj), str(objects.spec(obj).get("dataset", ""))),)
        return reading.by_label(obj, self.kind, LABEL_DATASET)

    def _readers(self, dataset: Object) -> list[Ref]:
        """Datasets that have this one among their inputs."""
        name, every = objects.name(dataset), self._store.select(self.kind, objects.namespace(dataset))
        return [
            objects.ref(o) for o in every if name in {i.get("dataset") for i in objects.spec(o).get("inputs") or ()}
        ]

    async def observe(self, key: Ref) -> Observed | None:
        obj = self._store.get(key)
        if obj is None:
            return None
        spec = DatasetSpec.model_validate(objects.spec(obj))
        return Observed(
            object=obj,
            spec=spec,
            settings=self._settings,
            jobs=await reading.read_jobs(self._api, self._store, obj),
            versions=self._versions(key),
            inputs={item.dataset: self._current(key.namespace, item.dataset) for item in spec.inputs or ()},
            in_use=self._in_use(key.namespace),
            job_children=reading.job_children(self._store, obj),
        )

    def _versions(self, key: Ref) -> tuple[Object, ...]:
        found = [
            v for v in self._store.select("DatasetVersion", key.namespace) if objects.spec(v).get("dataset") == key.name
        ]
        return tuple(sorted(found, key=lambda v: (v["metadata"].get("creationTimestamp", ""), objects.name(v))))

    def _current(self, namespace: str, dataset: str) -> Object | None:
        other = self._store.get(Ref(self.kind, namespace, dataset))
        name = objects.status(other).get("current") if other else None
        return self._store.get(Ref("DatasetVersion", namespace, name)) if name else None

    def _in_use(self, namespace: str) -> frozenset[str]:
        models = (objects.spec(v).get("source") or {} for v in self._store.select("ModelVersion", namespace))
        runs = (objects.status(r).get("lineage") or {} for r in self._store.select("TrainingRun", namespace))
        return frozenset(str(item["datasetVersion"]) for item in (*models, *runs) if "datasetVersion" in item)

    def make_plan(self, observed: Observed, now: datetime) -> Plan:
        return plan.make_plan(observed, now)
