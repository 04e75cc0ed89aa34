"""What `spec.server` becomes in the pods of a service."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mainspring.api.contract import ServerEnv
from mainspring.plan.inferenceservice import builders, limits
from mainspring_runtime.serve import settings
from mainspring_runtime.serve.settings import Limits
from tests.unit.plan.test_inferenceservice import V1, observe

ALL = {
    "maxBatchRows": 64,
    "maxQueue": 20,
    "maxRows": 500,
    "maxBodySize": "2Mi",
    "requestTimeout": "1m30s",
    "loadTimeout": "1h",
    "warmup": False,
}


def deployment(**spec: Any) -> dict[str, Any]:
    return dict(builders.build_deployment(observe(spec=spec), V1, "1", 1)["spec"])


def environment(**spec: Any) -> dict[str, Any]:
    (server,) = deployment(**spec)["template"]["spec"]["containers"]
    return {item["name"]: item.get("value") for item in server["env"]}


def told(**spec: Any) -> settings.Server:
    """As the server reads it."""
    required = dict.fromkeys(("MODEL_NAME", "MODEL_VERSION", "MODEL_URI", "MODEL_DIGEST"), "x")
    found = {f"MAINSPRING_{name}": value for name, value in required.items()}
    return settings.from_environment(found | {ServerEnv.SERVER: environment(**spec)[ServerEnv.SERVER]}).server


def revision(**spec: Any) -> str:
    return builders.revision_hash(observe(spec=spec), V1)


def test_the_server_works_within_what_was_set() -> None:
    assert told(server=ALL).limits(Limits()) == Limits(
        batch_rows=64,
        queue_requests=20,
        request_rows=500,
        body_bytes=2 * 1024**2,
        request_seconds=90.0,
        load_seconds=3600.0,
    )
    assert not told(server=ALL).warmup


@pytest.mark.parametrize("field", ALL)
def test_what_is_not_set_is_left_to_the_server(field: str) -> None:
    assert len(json.loads(environment(server={field: ALL[field]})[ServerEnv.SERVER])) == 1


@pytest.mark.parametrize("spec", [{}, {"server": {}}])
def test_without_settings_pods_are_told_nothing_and_revisions_keep_their_names(spec: dict[str, Any]) -> None:
    assert ServerEnv.SERVER not in environment(**spec)
    assert revision(**spec) == "0a839298"


def test_settings_make_another_revision() -> None:
    assert len({revision(), revision(server={"maxQueue": 5}), revision(server={"maxQueue": 6})}) == 3


def test_an_image_of_ones_own_is_told_nothing() -> None:
    assert ServerEnv.SERVER not in environment(server=ALL, runtime={"image": "triton"})


@pytest.mark.parametrize("server", [{}, {"requestTimeout": "100ms"}, {"requestTimeout": "2500ms"}, ALL])
def test_a_drain_fits_into_the_time_that_kubernetes_gives(server: dict[str, Any]) -> None:
    given = deployment(server=server)["template"]["spec"]["terminationGracePeriodSeconds"]
    needed = (told(server=server) if server else settings.Server()).limits(Limits()).drain_seconds
    assert limits.PRE_STOP_SECONDS + needed < given


def test_by_default_the_time_is_what_it_always_was() -> None:
    assert deployment()["template"]["spec"]["terminationGracePeriodSeconds"] == 45


def test_the_server_says_that_a_load_took_too_long_before_kubernetes_does() -> None:
    assert deployment(server={"loadTimeout": "1h"})["progressDeadlineSeconds"] > 3600
    assert deployment()["progressDeadlineSeconds"] > Limits().load_seconds


def test_both_sides_have_the_same_defaults() -> None:
    assert (Limits().request_seconds, Limits().load_seconds) == (limits.REQUEST_SECONDS, limits.LOAD_SECONDS)
