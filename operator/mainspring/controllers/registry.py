"""All controllers; a new kind is one more line."""

from __future__ import annotations

from dataclasses import dataclass

from mainspring.api.v1alpha1.common import LABEL_SERVICE
from mainspring.controllers.dataset import DatasetController
from mainspring.controllers.datasetversion import DatasetVersionController
from mainspring.controllers.inferenceservice import InferenceServiceController
from mainspring.controllers.model import ModelController
from mainspring.controllers.modelmonitor import ModelMonitorController
from mainspring.controllers.modelversion import ModelVersionController
from mainspring.controllers.trainingrun import TrainingRunController
from mainspring.engine.runner import Controller
from mainspring.kube.client import Api
from mainspring.kube.prometheus import Prometheus
from mainspring.kube.servers import Servers
from mainspring.kube.store import Store
from mainspring.kube.webhooks import Webhooks
from mainspring.plan.common.settings import Settings

# The cache finds the pods of one service among those of all.
INDEXED_LABELS = (LABEL_SERVICE,)
CONTROLLERS = (
    DatasetController,
    DatasetVersionController,
    TrainingRunController,
    ModelController,
    ModelVersionController,
)
KINDS = (
    *(controller.kind for controller in CONTROLLERS),
    InferenceServiceController.kind,
    ModelMonitorController.kind,
)


@dataclass(frozen=True)
class Outside:
    """Whom the operator speaks with beside the API server."""

    servers: Servers
    prometheus: Prometheus
    webhooks: Webhooks


def build(api: Api, store: Store, settings: Settings, outside: Outside) -> list[Controller]:
    monitors = ModelMonitorController(api, store, settings, outside.servers, outside.prometheus, outside.webhooks)
    services = InferenceServiceController(store, settings, outside.servers, outside.prometheus)
    return [*(make(api, store, settings) for make in CONTROLLERS), services, monitors]
