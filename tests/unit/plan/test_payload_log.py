"""What a service's pods are told about their payload log."""

from __future__ import annotations

import json
from typing import Any

from mainspring.api.contract import PayloadLogSettings, ServerEnv
from mainspring.plan.inferenceservice import builders as service_builders
from tests import builders
from tests.unit.plan.test_inferenceservice import V1, observe


def environment(**spec: Any) -> dict[str, Any]:
    observed = observe(spec=spec)
    made = service_builders.build_deployment(observed, V1, "1", 1)
    (server,) = made["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item.get("value") for item in server["env"]}


def test_pods_are_told_what_to_log_and_where_to() -> None:
    told = environment(payloadLog={"sampleRate": 0.05, "redact": ["name"], "maxPartAge": "2m", "keep": "90d"})
    assert PayloadLogSettings.model_validate(json.loads(told[ServerEnv.PAYLOAD_LOG])) == PayloadLogSettings(
        uri="s3://artifacts/lab/payloads/tumours",
        sample_rate=0.05,
        redact=["name"],
        part_seconds=120,
        part_rows=10_000,
        keep_seconds=90 * 86_400,
    )


def test_without_it_nothing_is_logged() -> None:
    assert ServerEnv.PAYLOAD_LOG not in environment()


def revision(**spec: Any) -> str:
    return service_builders.revision_hash(observe(spec=spec), V1)


def test_a_payload_log_makes_another_revision() -> None:
    assert len({revision(), revision(payloadLog={}), revision(payloadLog={"sampleRate": 0.5})}) == 3


def test_revisions_from_before_there_was_one_keep_their_names() -> None:
    """Else an upgrade of the operator would restart every service."""
    assert revision() == "0a839298"


def test_a_service_of_another_namespace_has_a_log_of_its_own() -> None:
    assert builders.NAMESPACE in json.loads(environment(payloadLog={})[ServerEnv.PAYLOAD_LOG])["uri"]
