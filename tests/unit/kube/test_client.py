"""Requests and what their answers mean; the transport is a script of answers."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from mainspring.kube import errors, resources
from mainspring.kube.client import Client
from mainspring.plan.common.objects import Ref

JOB = Ref("Job", "lab", "j")


class Answer:
    """A response of aiohttp, within what the transport wraps around it."""

    def __init__(self, status: int, body: Any) -> None:
        self.status = status
        self.response = self
        self._body = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def read(self) -> bytes:
        return self._body

    async def __aenter__(self) -> Answer:
        return self

    async def __aexit__(self, *_: object) -> None:
        """The connection goes back."""


class Transport:
    """What `kubernetes.aio` offers, as far as the client uses it."""

    class configuration:  # noqa: N801
        host = "http://api"

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, str, Any, str]] = []
        self.rest_client = self
        self.user_agent = ""

    async def update_params_for_auth(self, headers: dict[str, str], *_: Any) -> None:
        headers["authorization"] = "Bearer token"

    async def request(self, verb: str, url: str, headers: dict[str, str], body: Any, _request_timeout: Any) -> Answer:
        assert headers["authorization"] == "Bearer token"
        self.sent.append((verb, url.removeprefix("http://api"), body, headers["Content-Type"]))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def client(*answers: Answer | Exception) -> tuple[Client, Transport]:
    transport = Transport(*answers)
    return Client(transport), transport


OK = Answer(200, {"kind": "Job"})


async def test_a_create_is_a_post_to_the_collection() -> None:
    api, transport = client(OK)
    await api.create({"kind": "Job", "metadata": {"name": "j", "namespace": "lab"}})
    verb, url, _, content = transport.sent[0]
    assert (verb, url, content) == (
        "POST",
        "/apis/batch/v1/namespaces/lab/jobs?fieldManager=mainspring",
        "application/json",
    )


async def test_an_apply_is_forced_and_names_its_manager() -> None:
    api, transport = client(OK)
    await api.apply({"kind": "Job", "metadata": {"name": "j", "namespace": "lab"}}, "mainspring-scale")
    verb, url, _, content = transport.sent[0]
    assert (verb, url) == ("PATCH", "/apis/batch/v1/namespaces/lab/jobs/j?fieldManager=mainspring-scale&force=true")
    assert content == "application/apply-patch+yaml"


async def test_a_status_goes_to_the_subresource() -> None:
    api, transport = client(OK)
    await api.apply_status({"kind": "Model", "metadata": {"name": "m", "namespace": "lab"}, "status": {}})
    assert transport.sent[0][1].startswith("/apis/mainspring.dev/v1alpha1/namespaces/lab/models/m/status?")


async def test_core_kinds_have_no_group() -> None:
    api, transport = client(OK)
    await api.get(Ref("ConfigMap", "lab", "c"))
    assert transport.sent[0][1] == "/api/v1/namespaces/lab/configmaps/c"


async def test_items_of_a_list_get_their_kind() -> None:
    api, transport = client(Answer(200, {"items": [{"metadata": {"name": "e"}}]}))
    found = await api.list_objects("Event", "lab", fieldSelector="reason=FailedCreate")
    assert found == [{"kind": "Event", "apiVersion": "v1", "metadata": {"name": "e"}}]
    assert transport.sent[0][1] == "/api/v1/namespaces/lab/events?fieldSelector=reason%3DFailedCreate"


async def test_a_deletion_names_the_very_object() -> None:
    api, transport = client(OK)
    await api.delete(JOB, "uid-1")
    assert transport.sent[0][2] == {"propagationPolicy": "Background", "preconditions": {"uid": "uid-1"}}


@pytest.mark.parametrize("answer", [Answer(404, {}), Answer(409, {"reason": "Conflict"})])
async def test_what_is_gone_or_replaced_counts_as_deleted(answer: Answer) -> None:
    api, _ = client(answer)
    await api.delete(JOB, "uid-1")


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (400, "", errors.Refused),
        (401, "", errors.Transient),
        (403, "", errors.Refused),
        (404, "", errors.NotFound),
        (408, "", errors.Transient),
        (409, "AlreadyExists", errors.AlreadyExists),
        (409, "Conflict", errors.Conflict),
        (422, "", errors.Refused),
        (429, "", errors.Transient),
        (500, "", errors.Transient),
        (503, "", errors.Transient),
    ],
)
async def test_what_a_code_means(code: int, reason: str, error: type[errors.KubeError]) -> None:
    api, _ = client(Answer(code, {"message": "why", "reason": reason}))
    with pytest.raises(error, match="why") as caught:
        await api.get(JOB)
    assert type(caught.value) is error
    assert caught.value.status == code


@pytest.mark.parametrize("trouble", [aiohttp.ClientConnectionError("reset"), TimeoutError(), OSError("no route")])
async def test_trouble_on_the_way_is_transient(trouble: Exception) -> None:
    api, _ = client(trouble)
    with pytest.raises(errors.Transient):
        await api.get(JOB)


async def test_an_answer_that_is_no_json_is_shown() -> None:
    api, _ = client(Answer(502, b"<html>Bad Gateway</html>"))
    with pytest.raises(errors.Transient, match="Bad Gateway"):
        await api.get(JOB)


def test_every_kind_of_ours_has_a_path() -> None:
    for kind in resources.OURS:
        assert kind.path("lab", "x", "status") == f"/apis/mainspring.dev/v1alpha1/namespaces/lab/{kind.plural}/x/status"
