"""InferenceService: the version it shall serve, and its revisions with what their pods say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from mainspring.api.v1alpha1.common import LABEL_REVISION, LABEL_SERVICE
from mainspring.api.v1alpha1.inferenceservice import InferenceServiceSpec
from mainspring.controllers import reading
from mainspring.controllers.loads import LoadReader
from mainspring.controllers.objectmetrics import COLLECTOR
from mainspring.controllers.rollouts import RolloutReader
from mainspring.kube.prometheus import Prometheus
from mainspring.kube.servers import Servers
from mainspring.kube.store import Store
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object, Ref
from mainspring.plan.common.plan import Plan
from mainspring.plan.common.settings import Settings
from mainspring.plan.inferenceservice import builders, failures, figures, plan, scaling, situations, target
from mainspring.plan.inferenceservice.observed import Counts, Loads, Observed, Revision


class InferenceServiceController:
    kind = "InferenceService"

    def __init__(self, store: Store, settings: Settings, asked: Servers, prometheus: Prometheus) -> None:
        self._store = store
        self._settings = settings
        self._rollouts = RolloutReader(asked, prometheus)
        self._loads = LoadReader(asked)

    def keys(self, obj: Object) -> Iterable[Ref]:
        if obj["kind"] == self.kind:
            return (objects.ref(obj),)
        if obj["kind"] in ("Model", "ModelVersion"):
            return self._followers(obj)
        return reading.by_label(obj, self.kind, LABEL_SERVICE)

    def _followers(self, obj: Object) -> list[Ref]:
        name = objects.name(obj)
        model = name if obj["kind"] == "Model" else objects.spec(obj).get("model")
        services = self._store.select(self.kind, objects.namespace(obj))
        return [objects.ref(s) for s in services if _names(objects.spec(s)["model"], model, name)]

    async def observe(self, key: Ref) -> Observed | None:
        obj = self._store.get(key)
        if obj is None:
            COLLECTOR.forget(key)
            self._rollouts.forget(key)
            self._loads.forget(key)
            return None
        spec = InferenceServiceSpec.model_validate(objects.spec(obj))
        fixed = self._version(key.namespace, spec.model.version)
        model_name = spec.model.name or (objects.spec(fixed).get("model") if fixed is not None else None)
        model = self._store.get(Ref("Model", key.namespace, str(model_name))) if model_name else None
        version = self._version(key.namespace, target.wanted_version(key.name, spec, model))
        observed = Observed(
            object=obj,
            spec=spec,
            settings=self._settings,
            model=model,
            version=version,
            dataset_version=self._dataset_version(version),
            revisions=self._revisions(obj),
            service=self._store.get(Ref("Service", key.namespace, key.name)),
            candidate_service=self._child(obj, "Service", builders.candidate_name(key.name)),
            split=self._child(obj, "ConfigMap", builders.split_name(key.name)),
            autoscaler=self._child(obj, "HorizontalPodAutoscaler", key.name),
            route=self._child(obj, "HTTPRoute", key.name),
            has_gateways=self._store.serves("HTTPRoute"),
        )
        counts, loads = await asyncio.gather(self._counts(key, observed), self._read_loads(key, observed))
        return replace(observed, counts=counts, loads=loads)

    async def _counts(self, key: Ref, observed: Observed) -> Counts:
        state = situations.going_on(observed)
        if state is None:
            self._rollouts.forget(key)
            return Counts()
        stable, candidate = (observed.revisions.get(r) for r in (state.from_revision, state.revision))
        return await self._rollouts.read(key, observed.spec, state, stable, candidate)

    async def _read_loads(self, key: Ref, observed: Observed) -> Loads:
        """Of the stable revision: while another one is rolled out its pods still get every request first."""
        stable = observed.revisions.get(objects.status(observed.object).get("stableRevision", ""))
        if stable is None or not scaling.reads_servers(observed):
            self._loads.forget(key)
            return Loads()
        return await self._loads.read(key, stable.pods)

    def _child(self, owner: Object, kind: str, name: str) -> Object | None:
        found = self._store.get(Ref(kind, objects.namespace(owner), name))
        return found if found is not None and objects.is_controlled_by(found, owner) else None

    def _version(self, namespace: str, name: str | None) -> Object | None:
        return self._store.get(Ref("ModelVersion", namespace, name)) if name else None

    def _dataset_version(self, version: Object | None) -> Object | None:
        """What the version learned from."""
        name = (objects.spec(version or {}).get("source") or {}).get("datasetVersion")
        return self._store.get(Ref("DatasetVersion", objects.namespace(version), name)) if version and name else None

    def _revisions(self, obj: Object) -> dict[str, Revision]:
        pods = self._store.select("Pod", objects.namespace(obj), {LABEL_SERVICE: objects.name(obj)})
        found = {}
        for deployment in self._store.children(obj, "Deployment"):
            revision = objects.labels(deployment).get(LABEL_REVISION, "")
            its_pods = [p for p in pods if objects.labels(p).get(LABEL_REVISION) == revision]
            found[revision] = Revision(deployment, failures.find_failure(deployment, its_pods), tuple(its_pods))
        return found

    def make_plan(self, observed: Observed, now: datetime) -> Plan:
        found = plan.make_plan(observed, now)
        if found.status is not None:
            COLLECTOR.tell(objects.ref(observed.object), figures.figures_of(observed, found.status))
        return found


def _names(ref: dict[str, str], model: object, version: str) -> bool:
    return ref.get("name") == model or ref.get("version") == version
