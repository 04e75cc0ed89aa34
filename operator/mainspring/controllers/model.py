"""Model: its versions, the runs that wait to be registered, and which versions are being served."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from mainspring.api.v1alpha1.common import ANNOTATION_FINISHED
from mainspring.api.v1alpha1.model import ModelSpec
from mainspring.controllers import reading
from mainspring.controllers.objectmetrics import COLLECTOR
from mainspring.kube.client import Api
from mainspring.kube.store import Store
from mainspring.plan.common import gates, objects
from mainspring.plan.common.objects import Object, Ref
from mainspring.plan.common.plan import Plan
from mainspring.plan.common.settings import Settings
from mainspring.plan.model import figures, plan
from mainspring.plan.model.observed import Observed

PROVER = "InferenceService"


class ModelController:
    kind = "Model"

    def __init__(self, _api: Api, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._provers: dict[Ref, Ref] = {}  # of Models that name one; filled when each is looked at first

    def keys(self, obj: Object) -> Iterable[Ref]:
        if obj["kind"] == self.kind:
            return (objects.ref(obj),)
        if obj["kind"] in ("ModelVersion", "TrainingRun"):
            return (Ref(self.kind, objects.namespace(obj), str(objects.spec(obj).get("model", ""))),)
        if obj["kind"] == PROVER:
            return [model for model, service in self._provers.items() if service == objects.ref(obj)]
        return ()

    async def observe(self, key: Ref) -> Observed | None:
        obj = self._store.get(key)
        if obj is None:
            COLLECTOR.forget(key)
            self._provers.pop(key, None)
            return None
        spec = ModelSpec.model_validate(objects.spec(obj))
        versions = self._versions(key)
        runs = self._unregistered(key, versions)
        return Observed(
            object=obj,
            spec=spec,
            settings=self._settings,
            versions=versions,
            unregistered=runs,
            dataset_versions=self._dataset_versions(key.namespace, runs),
            prover=self._prover(key, spec.promotion.proven_by),
            served=self._served(key.namespace),
        )

    def _versions(self, key: Ref) -> tuple[Object, ...]:
        found = [
            v for v in self._store.select("ModelVersion", key.namespace) if objects.spec(v).get("model") == key.name
        ]
        return tuple(sorted(found, key=gates.number))

    def _unregistered(self, key: Ref, versions: tuple[Object, ...]) -> tuple[Object, ...]:
        """Runs that published an artifact but have no version yet. Equal digests among them register once.

        A finished run had its version: when that is gone and the run's status was lost, it is not registered again.
        """
        found: dict[str, Object] = {}
        runs = [r for r in self._store.select("TrainingRun", key.namespace) if objects.spec(r).get("model") == key.name]
        for run in sorted(runs, key=lambda r: (r["metadata"].get("creationTimestamp", ""), objects.name(r))):
            artifact = objects.status(run).get("artifact")
            if ANNOTATION_FINISHED in objects.annotations_of(run) or "modelVersion" in objects.status(run):
                continue
            if artifact and reading.find_version(versions, run) is None:
                found.setdefault(artifact.get("modelDigest") or artifact["digest"], run)
        return tuple(found.values())

    def _dataset_versions(self, namespace: str, runs: Iterable[Object]) -> dict[str, Object]:
        names = {str((objects.status(r).get("lineage") or {}).get("datasetVersion", "")) for r in runs}
        found = {name: self._store.get(Ref("DatasetVersion", namespace, name)) for name in names}
        return {name: version for name, version in found.items() if version is not None}

    def _prover(self, key: Ref, name: str | None) -> Object | None:
        if name is None:
            self._provers.pop(key, None)
            return None
        self._provers[key] = Ref(PROVER, key.namespace, name)
        return self._store.get(self._provers[key])

    def _served(self, namespace: str) -> frozenset[str]:
        used: set[str] = set()
        for service in self._store.select(PROVER, namespace):
            status, fixed = objects.status(service), objects.spec(service)["model"].get("version")
            used |= {str(n) for n in (status.get("stableVersion"), status.get("candidateVersion"), fixed) if n}
        return frozenset(used)

    def make_plan(self, observed: Observed, now: datetime) -> Plan:
        found = plan.make_plan(observed, now)
        if found.status is not None:
            of = objects.ref(observed.object)
            COLLECTOR.tell(of, figures.figures_of(of, found.status))
        return found
