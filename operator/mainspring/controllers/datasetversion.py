"""DatasetVersion: needs nothing but itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from mainspring.kube.client import Api
from mainspring.kube.store import Store
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object, Ref
from mainspring.plan.common.plan import Plan
from mainspring.plan.common.settings import Settings
from mainspring.plan.datasetversion import plan
from mainspring.plan.datasetversion.observed import Observed


class DatasetVersionController:
    kind = "DatasetVersion"

    def __init__(self, _api: Api, store: Store, _settings: Settings) -> None:
        self._store = store

    def keys(self, obj: Object) -> Iterable[Ref]:
        return (objects.ref(obj),) if obj["kind"] == self.kind else ()

    async def observe(self, key: Ref) -> Observed | None:
        obj = self._store.get(key)
        return Observed(obj) if obj is not None else None

    def make_plan(self, observed: Observed, now: datetime) -> Plan:
        return plan.make_plan(observed, now)
