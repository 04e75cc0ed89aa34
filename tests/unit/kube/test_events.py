"""Events are for people; losing one must never look like a failure."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring.kube import errors, events
from mainspring.plan.common.plan import Event
from tests import builders

STORED = {**builders.dataset(), "metadata": {"name": "tumours", "namespace": "lab", "uid": "u", "resourceVersion": "1"}}


class Refusing:
    """An API server that takes no new object."""

    def __init__(self, error: errors.KubeError) -> None:
        self.error = error

    async def create(self, _: Any) -> Any:
        raise self.error


@pytest.mark.parametrize(
    "error", [errors.Refused("it is being terminated", 403), errors.NotFound("namespaces lab", 404)]
)
async def test_a_namespace_that_is_being_deleted_takes_no_events(error: errors.KubeError) -> None:
    api: Any = Refusing(error)
    await events.publish(api, STORED, Event("Preparing", "it begins"), builders.NOW)


async def test_trouble_that_passes_is_reported_for_another_try() -> None:
    api: Any = Refusing(errors.Transient("429"))
    with pytest.raises(errors.Transient):
        await events.publish(api, STORED, Event("Preparing", "it begins"), builders.NOW)
