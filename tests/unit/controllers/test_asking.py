"""Asking many pods, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from mainspring.controllers.asking import AT_ONCE, ROUND_SECONDS, Asking
from mainspring.engine.runner import RECONCILE_TIMEOUT_SECONDS
from mainspring.kube import servers
from mainspring.plan.common.objects import Object

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


def pod(number: int) -> Object:
    return {"kind": "Pod", "metadata": {"name": f"p{number}"}, "status": {"podIP": f"10.0.{number}.1"}}


async def test_pods_that_do_not_answer_do_not_hold_up_the_rest_for_ever() -> None:
    async def ask(address: str) -> str:
        await asyncio.sleep(5)
        raise servers.Silent("it does not answer")

    began = asyncio.get_running_loop().time()
    answers = await Asking().each([pod(n) for n in range(40 * AT_ONCE)], ask)
    assert all(isinstance(answer, servers.Silent) for answer in answers)
    assert "it was not asked" in str(answers[-1])
    assert asyncio.get_running_loop().time() - began <= ROUND_SECONDS < RECONCILE_TIMEOUT_SECONDS
