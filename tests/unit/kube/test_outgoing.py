"""What is asked, and what is not; with a web server on this machine."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from mainspring.kube import outgoing
from mainspring.kube.outgoing import Forbidden, Outgoing, Unreachable
from tests.unit.kube.receiver import serving

LIMIT = 1000


@pytest.fixture
async def requests() -> AsyncIterator[Outgoing]:
    found = Outgoing(local=True)
    yield found
    await found.close()


@pytest.fixture
async def careful() -> AsyncIterator[Outgoing]:
    """As the operator has it."""
    found = Outgoing()
    yield found
    await found.close()


async def test_an_answer_comes_whole_however_many_pieces_it_has(requests: Outgoing) -> None:
    async def pieces(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(9):
            await answer.write(b"x" * 100)
            await asyncio.sleep(0)
        await answer.write_eof()
        return answer

    async with serving(pieces) as url:
        answer = await requests.post(url, 5, LIMIT)
    assert (answer.status, len(answer.body)) == (200, 900)


async def test_an_answer_without_end_is_not_read_to_the_end(requests: Outgoing) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b"x" * 1000)

    async with serving(endless) as url:
        with pytest.raises(Unreachable, match="more than 1000 bytes"):
            await requests.post(url, 5, LIMIT)


async def test_a_server_that_does_not_answer_ends_in_time(requests: Outgoing) -> None:
    released = asyncio.Event()

    async def hangs(request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    async with serving(hangs) as url:
        with pytest.raises(Unreachable, match=r"no answer within 0\.2 s"):
            await requests.post(url, 0.2, LIMIT)
        released.set()


async def test_nobody_there_is_told_without_the_address(requests: Outgoing) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(Unreachable) as raised:
        await requests.post(f"http://127.0.0.1:{port}/with/a/secret", 5, LIMIT)
    assert str(raised.value) == "the connection is refused"


async def test_no_redirect_is_followed(requests: Outgoing) -> None:
    asked: list[str] = []

    async def redirects(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async with serving(redirects) as url:
        assert (await requests.post(f"{url}/here", 5, LIMIT)).status == 307
    assert asked == ["/here"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080/",
        "http://[::1]:8080/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "http://[fd00:ec2::254]/",
        "http://0.0.0.0/",
        "http://localhost:8080/",
        "http://0x7f000001/",
    ],
)
async def test_addresses_of_the_machine_and_its_cloud_are_not_asked(careful: Outgoing, url: str) -> None:
    with pytest.raises(Forbidden, match="not asked"):
        await careful.post(url, 5, LIMIT)


async def test_a_name_is_judged_by_what_it_resolves_to(careful: Outgoing, monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    with pytest.raises(Forbidden, match="not asked"):
        await careful.post("http://innocent.example.org/", 5, LIMIT)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "gopher://x/", "http://user:word@example.org/", "http://", "x", "http://2130706433/"]
)
async def test_other_schemes_and_credentials_in_an_address_are_refused(careful: Outgoing, url: str) -> None:
    with pytest.raises(Forbidden, match=r"only http and https|no URL"):
        await careful.post(url, 5, LIMIT)


async def test_an_installation_names_the_hosts_that_may_be_asked() -> None:
    requests = Outgoing(hosts=("*.example.org", "127.0.0.*"), local=True)

    async def answers(request: web.Request) -> web.StreamResponse:
        return web.Response(text="yes")

    try:
        async with serving(answers) as url:
            assert (await requests.post(url, 5, LIMIT)).body == b"yes"
            with pytest.raises(Forbidden, match=r"outgoing\.hosts"):
                await requests.post(url.replace("127.0.0.1", "localhost"), 5, LIMIT)
    finally:
        await requests.close()


async def test_a_broken_ca_bundle_does_not_stop_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    await Outgoing(ca_bundle="-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").close()
    assert "CA bundle" in caplog.text
    assert issubclass(outgoing.TooLarge, Exception)
