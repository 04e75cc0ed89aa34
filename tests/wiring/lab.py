"""What a test works with: a namespace with a Model and its champion, operators, and a look at what they did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mainspring.kube import resources
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Manifest
from tests.apiserver.server import Refused, Server
from tests.bench import population
from tests.cluster import wait
from tests.wiring.operator import Operator

PATIENCE_SECONDS = 30.0
KINDS = ("InferenceService", "ModelVersion", "Model", *population.CHILDREN)


@dataclass
class Lab:
    kubeconfig: Path
    server: Server
    logs: Path
    namespace: str = field(init=False)
    _namespaces: list[str] = field(default_factory=list)
    _operators: list[Operator] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.namespace = self.add_namespace()

    def add_namespace(self) -> str:
        """With a Model and its champion."""
        made = self.server.create({**population.namespace(""), "metadata": {"generateName": "wiring-"}})
        name = objects.name(made)
        self._namespaces.append(name)
        for manifest in (population.model(name), population.champion(name)):
            self.server.create(manifest)
        return name

    def start(self, kubeconfig: Path | None = None, **settings: str) -> Operator:
        """Another process of the same release: they share one Lease."""
        log = self.logs / f"operator-{len(self._operators)}.log"
        operator = Operator(kubeconfig or self.kubeconfig, self.namespace, log, **settings)
        self._operators.append(operator)
        return operator

    def close(self) -> None:
        """No controller-manager runs here: what a deleted namespace holds would stay."""
        for operator in self._operators:
            operator.end()
        for namespace in self._namespaces:
            for kind in KINDS:
                self.server.request("DELETE", resources.BY_KIND[kind].path(namespace))
            self.server.delete(population.namespace(namespace))

    def serve(self, name: str, namespace: str = "") -> Manifest:
        """Applies an InferenceService."""
        return self.server.apply(population.service(namespace or self.namespace, name))

    def service(self, name: str, namespace: str = "") -> Manifest:
        return self.server.get(population.service(namespace or self.namespace, name))

    def children(self, service: str, kind: str) -> list[Manifest]:
        """Objects of that kind which belong to the service."""
        resource = resources.BY_KIND[kind]
        query = {"labelSelector": f"mainspring.dev/inference-service={service}"}
        found = self.server.request("GET", resource.path(self.namespace), query=query)
        return [resource.complete(item) for item in found["items"]]

    def await_served(self, name: str, namespace: str = "") -> Manifest:
        """Until the operator has done all that it can where no pod ever runs; the service."""

        def missing() -> str | None:
            told = objects.condition(self.service(name, namespace), "Ready") or {}
            return None if told.get("reason") == "Starting" else f"{name} says {told}\n{self.told()}"

        wait.until(missing, PATIENCE_SECONDS)
        return self.service(name, namespace)

    def await_champion(self) -> None:
        """Until the operator has looked at the Model; a service that comes earlier waits for that and says so."""
        missing = population.missing_champion
        self.await_true("the Model has a champion", lambda: missing(self.server, self.namespace) is None)

    def await_true(self, what: str, holds: Callable[[], bool]) -> None:
        wait.until(lambda: None if holds() else f"not yet: {what}\n{self.told()}", PATIENCE_SECONDS)

    def await_gone(self, manifest: Manifest) -> None:
        self.await_true(f"{manifest['metadata']['name']} is gone", lambda: not self.exists(manifest))

    def exists(self, manifest: Manifest) -> bool:
        try:
            self.server.get(manifest)
        except Refused as refused:
            if refused.code == 404:
                return False
            raise
        return True

    def told(self) -> str:
        """The logs of all operators."""
        return "\n".join(f"--- {operator.log.name}\n{operator.told()}" for operator in self._operators)
