"""What the servers of a service count during a rollout: a steady stream of requests, split as each pod was told.

A pod applies what its ConfigMap held when it started, and what it holds once the pod is told of a change (as the kubelet
does). Counts go on in steps of the simulation, so they are what a real server says: of what it applied when.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field

from mainspring.api import splitting
from mainspring.api.splitting import ANNOTATION_SPLIT, SPLIT_KEY, ArmCounts, Split, SplitSnapshot, StageCounts
from mainspring.api.v1alpha1.common import LABEL_MODEL_VERSION, LABEL_REVISION, LABEL_SERVICE
from mainspring.plan.common import objects
from mainspring.plan.common.objects import Object, Ref
from tests.sim.server import ApiServer

USUAL_BUCKETS = ((30, 0.5), (35, 0.44), (45, 0.06))  # of `SECONDS_BOUNDS`, and shares of requests


@dataclass
class Arm:
    requests: float = 0.0
    errors: float = 0.0
    shift: int = 0

    def add(self, requests: float, error_rate: float, shift: int) -> None:
        self.requests += requests
        self.errors += requests * error_rate
        self.shift = shift

    def counts(self) -> ArmCounts:
        seconds = {bucket + self.shift: int(share * self.requests) for bucket, share in USUAL_BUCKETS}
        return ArmCounts(requests=int(self.requests), errors=int(self.errors), seconds=seconds)


@dataclass
class Process:
    """What one pod applies, and has counted."""

    content: str = ""
    rollout: str = ""
    stages: dict[int, dict[str, Arm]] = field(default_factory=dict)


@dataclass
class Splits:
    requests_per_second: float = 150.0  # to each service
    error_rates: dict[str, float] = field(default_factory=dict)  # by version, or by revision
    base_error_rate: float = 0.005
    slower: dict[str, int] = field(default_factory=dict)  # buckets, by version
    disagreement: float = 0.0
    deaf: bool = False  # pods hear of no change
    processes: dict[str, Process] = field(default_factory=dict)  # by uid of the pod
    seconds: float = 0.0

    def go_on(self, server: ApiServer) -> None:
        """All servers, until now."""
        elapsed, self.seconds = server.clock.seconds - self.seconds, server.clock.seconds
        by_service: dict[tuple[str, str], list[Object]] = defaultdict(list)
        for pod in server.select("Pod"):
            if LABEL_SERVICE in objects.labels(pod):
                by_service[objects.namespace(pod), objects.labels(pod)[LABEL_SERVICE]].append(pod)
        for (namespace, name), pods in by_service.items():
            self._service(server, Ref("Service", namespace, name), pods, elapsed)

    def _service(self, server: ApiServer, service: Ref, pods: list[Object], elapsed: float) -> None:
        for pod in pods:
            self._listen(server, service, pod)
        if service not in server.objects:
            return
        selector = server.get(service)["spec"]["selector"]
        answering = [
            p for p in pods if _is_of(p, selector.get(LABEL_REVISION, "")) and objects.condition_is(p, "Ready")
        ]
        for pod in answering:
            share = self.requests_per_second * elapsed / len(answering)
            self._count(server, pod, pods, share)

    def _listen(self, server: ApiServer, service: Ref, pod: Object) -> None:
        target = Ref("ConfigMap", service.namespace, f"{service.name}-split")
        content = server.get(target)["data"][SPLIT_KEY] if target in server.objects else ""
        known = self.processes.get(objects.uid(pod))
        told = objects.annotations_of(pod).get(ANNOTATION_SPLIT)
        if known is None:
            self.processes[objects.uid(pod)] = Process(content)
        elif content and told == splitting.digest(content.encode()) and not self.deaf:
            known.content = content

    def _count(self, server: ApiServer, pod: Object, pods: list[Object], requests: float) -> None:
        process = self.processes[objects.uid(pod)]
        split = Split.model_validate(json.loads(process.content)) if process.content else None
        if split is None or not _is_of(pod, split.revision):
            return
        if process.rollout != split.rollout:
            process.rollout, process.stages = split.rollout, {}
        arms = process.stages.setdefault(split.stage, {name: Arm() for name in ("stable", "candidate", "mirrored")})
        stable, candidate = _version(server, pod), self._candidate(server, split)
        there = any(_is_of(p, split.candidate_revision) and objects.condition_is(p, "Ready") for p in pods)
        rate = self._rate(candidate, split.candidate_revision) if there else 1.0
        drawn = requests * split.weight / 100
        kept = requests - drawn
        shift = self.slower.get(candidate, 0)
        arms["stable"].add(kept, self._rate(stable, split.revision), self.slower.get(stable, 0))
        arms["candidate"].add(drawn, rate, shift)
        arms["mirrored"].add(kept * split.mirror / 100, rate, shift)

    def _rate(self, version: str, revision: str) -> float:
        return self.error_rates.get(revision, self.error_rates.get(version, self.base_error_rate))

    def _candidate(self, server: ApiServer, split: Split) -> str:
        found = [d for d in server.select("Deployment") if _is_of(d, split.candidate_revision)]
        return objects.annotations_of(found[0])[LABEL_MODEL_VERSION] if found else ""

    def snapshot(self, pod: Object) -> SplitSnapshot:
        process = self.processes.get(objects.uid(pod), Process())
        stages = [
            StageCounts(
                stage=number,
                **{name: arm.counts() for name, arm in arms.items()},
                compared=int(arms["mirrored"].requests),
                disagreed=int(arms["mirrored"].requests * self.disagreement),
            )
            for number, arms in sorted(process.stages.items())
        ]
        return SplitSnapshot(
            revision=objects.labels(pod)[LABEL_REVISION],
            epoch=objects.uid(pod),
            applied=splitting.digest(process.content.encode()) if process.content else "",
            rollout=process.rollout,
            stages=stages,
        )


def _is_of(obj: Object, revision: str) -> bool:
    return objects.labels(obj).get(LABEL_REVISION) == revision


def _version(server: ApiServer, pod: Object) -> str:
    owner = objects.controller(pod)
    assert owner is not None
    return objects.annotations_of(server.get(Ref("Deployment", objects.namespace(pod), owner["name"])))[
        LABEL_MODEL_VERSION
    ]
