"""ModelMonitor: reads the pods of a service, and finds what a retrain needs.

It remembers what pods said last, so that one that goes away does not take its last counts with it; and the references.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from mainspring.api.monitoring import Reference, Snapshot
from mainspring.api.v1alpha1.common import LABEL_MONITOR, LABEL_REVISION, LABEL_SERVICE
from mainspring.api.v1alpha1.modelmonitor import ModelMonitorSpec, Source
from mainspring.api.v1alpha1.modelmonitor import Prometheus as Asked
from mainspring.controllers import addresses, reading
from mainspring.controllers.asking import Asking
from mainspring.controllers.objectmetrics import COLLECTOR
from mainspring.controllers.remembered import LastWords, References
from mainspring.controllers.scraping import Scraping
from mainspring.kube import servers
from mainspring.kube.client import Api
from mainspring.kube.prometheus import Prometheus
from mainspring.kube.servers import Servers
from mainspring.kube.store import Store
from mainspring.kube.webhooks import Webhooks
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object, Ref
from mainspring.plan.common.plan import Plan
from mainspring.plan.common.settings import Settings
from mainspring.plan.inferenceservice.builders import deployment_name
from mainspring.plan.modelmonitor import builders, figures, plan
from mainspring.plan.modelmonitor import state as states
from mainspring.plan.modelmonitor.observed import Labelled, Observed, Reading
from mainspring.plan.modelmonitor.promql import Selection


class ModelMonitorController:
    kind = "ModelMonitor"

    def __init__(
        self, api: Api, store: Store, settings: Settings, asked: Servers, prometheus: Prometheus, webhooks: Webhooks
    ) -> None:
        self._api = api
        self._store = store
        self._settings = settings
        self._servers = asked
        self._scraping = Scraping(prometheus)
        self._webhooks = webhooks
        self._asking = Asking()
        self._references = References()
        self._last = LastWords(Snapshot)  # by pod

    def keys(self, obj: Object) -> Iterable[Ref]:
        if obj["kind"] == self.kind:
            return (objects.ref(obj),)
        if obj["kind"] in ("TrainingRun", "ConfigMap", "Job"):
            return reading.by_label(obj, self.kind, LABEL_MONITOR)
        if obj["kind"] == "InferenceService":
            return self._watching(objects.namespace(obj), objects.name(obj))
        if obj["kind"] == "Pod" and objects.is_deleting(obj):
            return self._watching(objects.namespace(obj), objects.labels(obj).get(LABEL_SERVICE, ""))
        return self._learning(obj)

    def _watching(self, namespace: str, service: str) -> list[Ref]:
        monitors = self._store.select(self.kind, namespace)
        return [objects.ref(m) for m in monitors if objects.spec(m)["service"] == service]

    def _learning(self, obj: Object) -> list[Ref]:
        """Those with a need for this Dataset, or for what came of it."""
        names = {"Dataset": objects.name(obj), "DatasetVersion": objects.spec(obj).get("dataset")}
        models = {"Model": objects.name(obj), "ModelVersion": objects.spec(obj).get("model")}
        if obj["kind"] not in names.keys() | models.keys():
            return []
        open_ = [m for m in self._store.select(self.kind, objects.namespace(obj)) if objects.status(m).get("need")]
        found = [(m, objects.spec(m).get("retrain", {}).get("template", {}).get("spec", {})) for m in open_]
        kind = obj["kind"]
        if kind in names:
            return [objects.ref(m) for m, spec in found if spec.get("dataset", {}).get("name") == names[kind]]
        return [objects.ref(m) for m, spec in found if spec.get("model") == models[kind]]

    async def observe(self, key: Ref) -> Observed | None:
        obj = self._store.get(key)
        if obj is None:
            COLLECTOR.forget(key)
            self._last.forget(key)
            self._scraping.forget(key)
            self._webhooks.forget(key)
            return None
        spec = ModelMonitorSpec.model_validate(objects.spec(obj))
        service = self._store.get(Ref("InferenceService", key.namespace, spec.service))
        version = self._named(key.namespace, "ModelVersion", objects.status(service or {}).get("stableVersion"))
        model = objects.spec(version or {}).get("model")
        state = states.read(self._store.get(Ref("ConfigMap", key.namespace, builders.memory_name(key.name))))
        dataset = spec.retrain.template.spec.dataset.name if spec.retrain else None
        return Observed(
            object=obj,
            spec=spec,
            settings=self._settings,
            state=state,
            history=self._store.get(Ref("ConfigMap", key.namespace, builders.history_name(key.name))),
            service=service,
            version=version,
            model=self._named(key.namespace, "Model", model),
            versions=self._of("ModelVersion", key.namespace, "model", model),
            dataset=self._named(key.namespace, "Dataset", dataset),
            dataset_versions=self._of("DatasetVersion", key.namespace, "dataset", dataset),
            runs=self._runs(obj),
            reading=await self._read(obj, spec, service, version, state),
            labelled=await self._labelled(obj, spec),
            deliveries=self._webhooks.deliveries(key),
        )

    async def _labelled(self, obj: Object, spec: ModelMonitorSpec) -> Labelled:
        labels, namespace = spec.performance.labels if spec.performance else None, objects.namespace(obj)
        dataset = self._named(namespace, "Dataset", labels.dataset if labels else None)
        return Labelled(
            dataset=dataset,
            version=self._named(namespace, "DatasetVersion", objects.status(dataset or {}).get("current")),
            jobs=await reading.read_jobs(self._api, self._store, obj),
            job_children=reading.job_children(self._store, obj),
        )

    def _named(self, namespace: str, kind: str, name: str | None) -> Object | None:
        return self._store.get(Ref(kind, namespace, name)) if name else None

    def _of(self, kind: str, namespace: str, field: str, name: str | None) -> tuple[Object, ...]:
        if not name:
            return ()
        return tuple(o for o in self._store.select(kind, namespace) if objects.spec(o).get(field) == name)

    def _runs(self, obj: Object) -> tuple[Object, ...]:
        found = self._store.children(obj, "TrainingRun")
        return tuple(sorted(found, key=lambda r: (objects.created_at(r), objects.name(r))))

    async def _read(
        self,
        obj: Object,
        spec: ModelMonitorSpec,
        service: Object | None,
        version: Object | None,
        state: states.State | None,
    ) -> Reading:
        if version is None or spec.suspend or objects.is_deleting(obj):
            return Reading()
        revision = str(objects.status(service or {}).get("stableRevision", ""))
        pods = self._pods(objects.namespace(obj), spec.service, revision)
        if spec.source is Source.PROMETHEUS and spec.prometheus is not None:
            selection = _selection(obj, spec.service, revision, version, spec.prometheus)
            seen = state.seen if state and state.version == objects.name(version) else {}
            return await self._scraping.read(objects.ref(obj), spec.prometheus, selection, pods, seen)
        answers = await self._asking.each(pods.values(), self._servers.snapshot)
        found = dict(zip(pods, answers, strict=True))
        snapshots = {name: answer for name, answer in found.items() if isinstance(answer, Snapshot)}
        failed = {name: answer for name, answer in found.items() if isinstance(answer, servers.ServerError)}
        return Reading(
            snapshots=snapshots,
            gone=self._gone(obj, pods, snapshots, state),
            silent={name: str(error) for name, error in failed.items()},
            leaving=any(objects.is_deleting(pod) for pod in pods.values()),
            reference=await self._reference(pods, snapshots),
            unsuitable=_unsuitable(spec.service, failed, snapshots),
        )

    def _pods(self, namespace: str, service: str, revision: str) -> dict[str, Object]:
        """Those of the revision that answers, by name, as long as they have an address."""
        if not revision:
            return {}
        labels = {LABEL_SERVICE: service, LABEL_REVISION: revision}
        found = self._store.select("Pod", namespace, labels)
        return {objects.name(pod): pod for pod in found if addresses.is_up(pod)}

    def _gone(
        self,
        obj: Object,
        pods: Mapping[str, Object],
        snapshots: Mapping[str, Snapshot],
        state: states.State | None,
    ) -> dict[str, Snapshot]:
        """What those said last that were counted and are no longer there."""
        monitor = objects.ref(obj)
        gone = {name: known for name, known in (state.seen if state else {}).items() if name not in pods}
        last = self._last.of(monitor, gone)
        self._last.keep(monitor, snapshots, besides=pods)
        return gone | last

    async def _reference(self, pods: Mapping[str, Object], snapshots: Mapping[str, Snapshot]) -> Reference | None:
        """Of any pod that answered: they all serve the same version."""
        for name, snapshot in snapshots.items():
            if known := self._references.get(snapshot.digest):
                return known
            try:
                found = await self._servers.reference(addresses.internal(pods[name]))
            except servers.ServerError:
                continue
            return self._references.keep(snapshot.digest, found)
        return None

    def make_plan(self, observed: Observed, now: datetime) -> Plan:
        found = plan.make_plan(observed, now)
        if found.status is not None:
            of = objects.ref(observed.object)
            COLLECTOR.tell(of, figures.figures_of(of, observed.spec, found.status))
        return found


def _selection(obj: Object, service: str, revision: str, version: Object, asked: Asked) -> Selection:
    return Selection(
        namespace=objects.namespace(obj),
        deployment=deployment_name(service, revision),
        model=str(objects.spec(version)["model"]),
        version=str(objects.spec(version)["number"]),
        labels=asked.labels or {},
    )


def _unsuitable(
    service: str, failed: Mapping[str, servers.ServerError], snapshots: Mapping[str, Snapshot]
) -> tuple[str, str] | None:
    """Why no pod can be watched at all."""
    foreign = [name for name, error in failed.items() if isinstance(error, servers.Unsuitable)]
    if foreign and not snapshots:
        text = f"the pods of InferenceService {service} have no counters ({foreign[0]}: {failed[foreign[0]]}): only Mainspring's own server can be watched, so remove spec.runtime.image there or this monitor"
        return "NoCounters", text
    return None
