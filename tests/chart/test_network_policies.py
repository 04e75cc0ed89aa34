"""Who may reach which port of a service's pods, judged by cyclonus, an evaluator of NetworkPolicies that is not ours."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from mainspring.api.v1alpha1.inferenceservice import InferenceServiceSpec
from mainspring.plan.common.settings import Settings
from mainspring.plan.inferenceservice import builders as serving
from mainspring.plan.inferenceservice.observed import Observed
from tests import builders
from tests.cluster import tools

SETTINGS = Settings(
    runtime_image="runtime",
    jobs_image="jobs",
    namespace="mainspring-system",
    artifacts_uri="s3://bucket",
    monitoring_namespaces=("monitoring",),
)
FRIENDS = {"podSelector": {"matchLabels": {"app": "friend"}}}
EVERYBODY, FRIENDS_ONLY = {}, {"expose": {"from": [FRIENDS]}}

OWN = ""  # the app of a caller that is a pod of the service itself
Case = tuple[dict[str, Any], str, str, int, bool]
CASES: list[Case] = [
    # spec, namespace of the caller, its app label, port, allowed
    (EVERYBODY, "apps", "shop", 8080, True),
    (EVERYBODY, "apps", "shop", 8081, False),
    (EVERYBODY, "models", "shop", 8081, False),
    (EVERYBODY, "mainspring-system", "operator", 8081, True),
    (EVERYBODY, "monitoring", "prometheus", 8081, True),
    (EVERYBODY, "apps", "shop", 9090, False),
    (FRIENDS_ONLY, "models", "friend", 8080, True),
    (FRIENDS_ONLY, "models", "shop", 8080, False),
    (FRIENDS_ONLY, "apps", "friend", 8080, False),
    (FRIENDS_ONLY, "mainspring-system", "operator", 8081, True),
    # During a rollout stable pods forward to those of the candidate.
    (FRIENDS_ONLY, "models", OWN, 8080, True),
    (FRIENDS_ONLY, "apps", OWN, 8080, False),
]


@pytest.mark.parametrize(("spec", "space", "app", "port", "allowed"), CASES)
def test_who_may_reach_which_port(
    spec: dict[str, Any], space: str, app: str, port: int, allowed: bool, tmp_path: Path
) -> None:
    policy, pod_labels = _policy(spec)
    traffic = {
        "Source": _peer(space, {"app": app} if app else pod_labels, "10.0.0.1"),
        "Destination": _peer("models", pod_labels, "10.0.0.2"),
        "Protocol": "TCP",
        "ResolvedPort": port,
    }
    assert _is_allowed(tmp_path, policy, traffic) is allowed


def _policy(spec: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    owner = builders.service("tumours", **spec)
    owner["metadata"].update(namespace="models", uid="1")
    observed = Observed(object=owner, spec=InferenceServiceSpec.model_validate(owner["spec"]), settings=SETTINGS)
    return serving.build_network_policy(observed), serving.service_labels(observed)


def _peer(space: str, labels: dict[str, str], address: str) -> dict[str, Any]:
    inside = {
        "PodLabels": labels,
        "NamespaceLabels": {"kubernetes.io/metadata.name": space},
        "Namespace": space,
    }
    return {"Internal": inside, "IP": address}


def _is_allowed(folder: Path, policy: dict[str, Any], traffic: dict[str, Any]) -> bool:
    policies, requests = folder / "policy.yaml", folder / "traffic.json"
    policies.write_text(yaml.safe_dump(policy))
    requests.write_text(json.dumps([traffic]))
    words = [tools.tool("cyclonus"), "analyze", "--mode", "query-traffic", "--policy-path", policies]
    answer = subprocess.run(
        [*words, "--traffic-path", requests], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    verdict = re.search(r"Is traffic allowed\?\s*\n?.*?(true|false)", answer, re.IGNORECASE | re.DOTALL)
    assert verdict, answer
    return verdict[1].lower() == "true"
