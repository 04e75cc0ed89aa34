"""TrainingRun: its Jobs, the data and the Model it names, and the version that came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from mainspring.api.v1alpha1.common import ANNOTATION_FINISHED, LABEL_DATASET_VERSION, LABEL_TRAINING_RUN
from mainspring.api.v1alpha1.trainingrun import TrainingRunSpec
from mainspring.controllers import reading
from mainspring.kube.client import Api
from mainspring.kube.store import Store
from mainspring.plan.common import objects
from mainspring.plan.common.jobs import JobState
from mainspring.plan.common.objects import Object, Ref
from mainspring.plan.common.plan import Plan
from mainspring.plan.common.settings import Settings
from mainspring.plan.trainingrun import plan
from mainspring.plan.trainingrun.observed import Observed


class TrainingRunController:
    kind = "TrainingRun"

    def __init__(self, api: Api, store: Store, settings: Settings) -> None:
        self._api = api
        self._store = store
        self._settings = settings

    def keys(self, obj: Object) -> Iterable[Ref]:
        name, kind = objects.name(obj), obj["kind"]
        if kind == self.kind:
            return (objects.ref(obj),)
        if kind == "Model":
            return self._unfinished(obj, lambda spec: spec.get("model") == name)
        if kind in ("Dataset", "DatasetVersion"):
            dataset = name if kind == "Dataset" else objects.spec(obj).get("dataset")
            return self._unfinished(obj, lambda spec: spec["dataset"]["name"] == dataset)
        if kind == "ModelVersion":
            source = objects.spec(obj).get("source") or {}
            return (Ref(self.kind, objects.namespace(obj), source["trainingRun"]),) if "trainingRun" in source else ()
        return reading.by_label(obj, self.kind, LABEL_TRAINING_RUN)

    def _unfinished(self, obj: Object, refers: object) -> list[Ref]:
        assert callable(refers)
        runs = self._store.select(self.kind, objects.namespace(obj))
        return [
            objects.ref(r)
            for r in runs
            if ANNOTATION_FINISHED not in objects.annotations_of(r) and refers(objects.spec(r))
        ]

    async def observe(self, key: Ref) -> Observed | None:
        obj = self._store.get(key)
        if obj is None:
            return None
        spec = TrainingRunSpec.model_validate(objects.spec(obj))
        jobs = await reading.read_jobs(self._api, self._store, obj)
        dataset = self._store.get(Ref("Dataset", key.namespace, spec.dataset.name))
        return Observed(
            object=obj,
            spec=spec,
            settings=self._settings,
            jobs=tuple(sorted(jobs, key=lambda j: int(j.name.rsplit("-", 1)[-1]))),
            dataset=dataset,
            dataset_version=self._dataset_version(obj, spec, jobs, dataset),
            model=self._store.get(Ref("Model", key.namespace, spec.model)),
            model_version=self._model_version(obj),
            job_children=reading.job_children(self._store, obj),
        )

    def _dataset_version(
        self, run: Object, spec: TrainingRunSpec, jobs: Sequence[JobState], dataset: Object | None
    ) -> Object | None:
        """Decided once: as status says, else as the Jobs say, else the pinned or the current one."""
        decided = (objects.status(run).get("lineage") or {}).get("datasetVersion")
        used = [objects.labels(job.job).get(LABEL_DATASET_VERSION) for job in jobs]
        current = objects.status(dataset).get("current") if dataset is not None else None
        name = decided or next((n for n in used if n), None) or spec.dataset.version or current
        return self._store.get(Ref("DatasetVersion", objects.namespace(run), name)) if name else None

    def _model_version(self, run: Object) -> Object | None:
        """The version made from this run, or a known one that it reproduced."""
        model = objects.spec(run).get("model")
        versions = [
            v
            for v in self._store.select("ModelVersion", objects.namespace(run))
            if objects.spec(v).get("model") == model
        ]
        return reading.find_version(versions, run)

    def make_plan(self, observed: Observed, now: datetime) -> Plan:
        return plan.make_plan(observed, now)
