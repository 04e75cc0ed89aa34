"""A journey's own namespace: apply, look, and wait for what an object says of itself, always with a deadline.

Whoever waits asks for the kstatus verdict *and* the reason: tools act on the first, people read the second.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Manifest, Object, Ref
from tests import kstatus
from tests.cluster import wait
from tests.demo import release, store
from tests.e2e import manifests
from tests.e2e.api import Api
from tests.e2e.messages import Messages

# One step of the loop on a small and busy machine: pull, start, work, report.
STEP_SECONDS = 150.0
# What takes seconds, on a machine where everything takes longer now and then.
SOON_SECONDS = 120.0
NO_ENDPOINTS = "no endpoints available for service"  # the API server says, till it has learnt of pods that are ready


class Space:
    def __init__(self, api: Api, messages: Messages, journey: str) -> None:
        self.api = api
        self.name = f"e2e-{journey}-{uuid.uuid4().hex[:5]}"
        self._messages = messages

    def create(self, level: str = "restricted") -> None:
        labels = {"pod-security.kubernetes.io/enforce": level, "mainspring-e2e": "true"}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name, "labels": labels}})

    def ref(self, kind: str, name: str) -> Ref:
        return Ref(kind, self.name, name)

    def apply(self, *objs: Manifest) -> None:
        """`kubectl apply`, all in this namespace."""
        placed = [_placed(obj, self.name) for obj in objs]
        release.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": placed}))

    def get(self, kind: str, name: str) -> Object:
        found = self.api.get(self.ref(kind, name))
        assert found is not None, f"{kind} {name} is not there"
        return found

    def exists(self, kind: str, name: str) -> bool:
        return self.api.get(self.ref(kind, name)) is not None

    def every(self, kind: str, **labels: str) -> list[Object]:
        """By labels, in which `_` stands for `/` after mainspring.dev and for `-` after that."""
        selector = ",".join(f"mainspring.dev/{key.replace('_', '-')}={value}" for key, value in labels.items())
        return self.api.list(kind, self.name, labelSelector=selector)

    def change(self, kind: str, name: str, **spec: Any) -> None:
        """Merge-patches the spec; None removes a field."""
        self.api.merge(self.ref(kind, name), {"spec": spec})

    def annotate(self, kind: str, name: str, **notes: str) -> None:
        values = {f"mainspring.dev/{key}": value for key, value in notes.items()}
        self.api.merge(self.ref(kind, name), {"metadata": {"annotations": values}})

    def delete(self, kind: str, name: str) -> None:
        self.api.delete(self.ref(kind, name))

    def current(self, kind: str, name: str, reason: str = "", seconds: float = STEP_SECONDS, **how: Any) -> Object:
        return self.expect(kstatus.CURRENT, kind, name, reason, seconds=seconds, **how)

    def in_progress(self, kind: str, name: str, reason: str, says: Sequence[str] = (), **how: Any) -> Object:
        return self.expect(kstatus.IN_PROGRESS, kind, name, reason, says=says, **how)

    def failed(self, kind: str, name: str, reason: str, says: Sequence[str], **how: Any) -> Object:
        """`says`: what the message must name, so that somebody knows what to do."""
        return self.expect(kstatus.FAILED, kind, name, reason, says=says, **how)

    def expect(
        self,
        verdict: str,
        kind: str,
        name: str,
        reason: str = "",
        *,
        says: Sequence[str] = (),
        seconds: float = STEP_SECONDS,
        heals: bool = False,
    ) -> Object:
        """Waits until the object says so. Ends early when it failed instead, unless it is known to heal."""
        seen: list[Object] = []

        def check() -> str | None:
            obj = self.get(kind, name)
            seen[:] = [obj]
            if _matches(obj, verdict, reason, says):
                return None
            fatal = verdict == kstatus.CURRENT and kstatus.verdict(obj) == kstatus.FAILED and not heals
            assert not fatal, f"{kind} {name} failed: {told(obj)}"
            return f"{kind} {name} to be {verdict} {reason} {says or ''}; it is {kstatus.verdict(obj)}: {told(obj)}"

        self.until(check, seconds)
        if verdict != kstatus.CURRENT:
            self._messages.add(kind, verdict, objects.condition(seen[0], "Ready") or {})
        return seen[0]

    def until(self, check: wait.Check, seconds: float = SOON_SECONDS) -> None:
        """`check` says what is still missing."""
        try:
            wait.until(check, seconds)
        except wait.StillWaiting as missing:
            raise AssertionError(f"waited {seconds:.0f} s in {self.name} for {missing}") from missing

    def until_found(self, kind: str, count: int = 1, seconds: float = STEP_SECONDS, **labels: str) -> list[Object]:
        found: list[Object] = []

        def check() -> str | None:
            found[:] = self.every(kind, **labels)
            return None if len(found) == count else f"{count} × {kind} {labels}; there are {_names(found)}"

        self.until(check, seconds)
        return found

    def until_gone(self, kind: str, seconds: float = SOON_SECONDS, **labels: str) -> None:
        self.until_found(kind, 0, seconds, **labels)

    def until_running(self, seconds: float = STEP_SECONDS, **labels: str) -> Object:
        """A pod whose containers, init containers included, have begun to run."""
        found: list[Object] = []

        def check() -> str | None:
            found[:] = [p for p in self.every("Pod", **labels) if _has_started(p)]
            return None if found else f"a running pod with {labels}; there are {_names(self.every('Pod', **labels))}"

        self.until(check, seconds)
        return found[-1]

    def put(self, key: str, content: bytes) -> str:
        """Puts an object into the namespace's bucket, whose credentials come with the first object of ours."""
        self.eventually(lambda: self.exists("Secret", "mainspring-artifacts"), "the store's credentials")
        store.put(self.name, key, content)
        return f"s3://ns-{self.name}/{key}"

    def predict(
        self,
        service: str,
        inputs: Mapping[str, Sequence[Any]],
        model: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Asks through the Service, by the Open Inference Protocol."""
        rows = len(next(iter(inputs.values())))
        tensors = [{"name": n, "datatype": "FP64", "shape": [rows], "data": list(v)} for n, v in inputs.items()]
        path = f"/v2/models/{model or service}/infer"
        answers: list[httpx.Response] = []

        def unknown() -> str | None:
            answers[:] = [self.api.through_service(self.name, service, path, {"inputs": tensors}, headers)]
            return answers[0].text if NO_ENDPOINTS in answers[0].text else None

        self.until(unknown)
        (answer,) = answers
        assert answer.status_code == 200, f"{service} answered {answer.status_code}: {answer.text}"
        found: dict[str, Any] = answer.json()
        return found

    def answering(self, service: str = "flowers", headers: Mapping[str, str] | None = None) -> str:
        """The number of the version that answers, and rightly."""
        answer = self.predict(service, manifests.FLOWERS, headers=headers)
        assert answer["outputs"][0]["data"] == manifests.SPECIES
        return str(answer["model_version"])

    def until_answering(self, version: str) -> None:
        """The cluster learns a moment after the operator where a Service leads."""
        self.eventually(lambda: self.answering() == version, f"version {version} to answer")

    def rollout(self, service: str = "flowers") -> dict[str, Any]:
        """What goes on; empty when nothing does."""
        return dict(self.get("InferenceService", service)["status"].get("rollout") or {})

    def eventually(self, fact: Callable[[], bool], what: str, seconds: float = SOON_SECONDS) -> None:
        self.until(lambda: None if fact() else what, seconds)


def told(obj: Object) -> str:
    ready = objects.condition(obj, "Ready") or {}
    return f"{ready.get('reason', 'nothing yet')}: {ready.get('message', '')}"


def _matches(obj: Object, verdict: str, reason: str, says: Sequence[str]) -> bool:
    ready = objects.condition(obj, "Ready")
    if ready is None or kstatus.verdict(obj) != verdict or ready["observedGeneration"] != objects.generation(obj):
        return False
    return reason in ("", ready["reason"]) and all(part in ready["message"] for part in says)


def _has_started(pod: Object) -> bool:
    status = objects.status(pod)
    every = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return any("running" in (one.get("state") or {}) for one in every)


def _names(found: Sequence[Object]) -> list[str]:
    return [objects.name(one) for one in found]


def _placed(manifest: Manifest, namespace: str) -> Manifest:
    if manifest["kind"] == "Namespace":
        return manifest
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}
