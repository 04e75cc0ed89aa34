"""Requests to addresses that users of the cluster name: Prometheus, webhooks.

Whoever may edit an object could otherwise make the operator ask what only the operator can reach. So: http and https
alone; no address of the machine itself or of its link (where clouds tell credentials), whatever name it hides behind, as
it is looked at when the connection is made; no redirect is followed; an answer is read up to a limit and not repeated to
anybody. Which hosts may be asked at all can be restricted for the whole installation.
"""

from __future__ import annotations

import fnmatch
import functools
import ipaddress
import logging
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

CONNECTIONS = 64
READ_BYTES = 64 * 1024
# Metadata services of clouds that are not link-local.
METADATA = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "168.63.129.16", "fd00:ec2::254")))

log = logging.getLogger("mainspring.outgoing")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Forbidden(Exception):
    """This address is not asked. The message says why, without the address."""


class Unreachable(Exception):
    """No answer in time, or none at all. The message says what happened, without the address."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Outgoing:
    """`hosts` are patterns such as `*.example.org`; none: every host. `local` is for tests on one machine."""

    def __init__(self, hosts: tuple[str, ...] = (), ca_bundle: str = "", local: bool = False) -> None:
        self._hosts = hosts
        self._local = local
        connector = aiohttp.TCPConnector(limit=CONNECTIONS, resolver=_Resolver(local), ssl=_trusting(ca_bundle))
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers={"User-Agent": "mainspring"}
        )

    async def close(self) -> None:
        await self._session.close()

    async def post(self, url: str, timeout_seconds: float, max_bytes: int, **request: Any) -> Answer:
        """One request. `request` is for aiohttp. Raises `Forbidden` and `Unreachable`."""
        limits = aiohttp.ClientTimeout(total=timeout_seconds)
        try:
            async with self._session.post(
                self._checked(url), timeout=limits, allow_redirects=False, **request
            ) as answer:
                return Answer(answer.status, answer.headers, await read(answer, max_bytes))
        except aiohttp.InvalidURL:
            raise Forbidden("it is no URL") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if forbidden := _cause(error):
                raise Forbidden(str(forbidden)) from None
            raise Unreachable(_told(error, timeout_seconds)) from None

    def _checked(self, text: str) -> URL:
        try:
            url = URL(text)
            host = url.host
        except ValueError:
            raise Forbidden("it is no URL") from None
        if url.scheme not in ("http", "https") or not host or url.user is not None:
            raise Forbidden("only http and https are allowed, without a user in it")
        if self._hosts and not any(fnmatch.fnmatchcase(host.lower(), pattern.lower()) for pattern in self._hosts):
            raise Forbidden("its host is none of those that this installation allows (chart value outgoing.hosts)")
        if (literal := _address(host)) is not None:
            _check(literal, self._local)
        return url


@functools.cache
def _trusting(ca_bundle: str) -> ssl.SSLContext:
    """The public authorities and those of the installation."""
    context = ssl.create_default_context()
    try:
        if ca_bundle:
            context.load_verify_locations(cadata=ca_bundle)
    except ssl.SSLError as error:
        log.warning("the CA bundle cannot be read, it is left out for webhooks and Prometheus: %s", error.reason)
    return context


class TooLarge(aiohttp.ClientError):
    """More bytes than the limit."""


async def read(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """The whole body, which comes in pieces. Raises `TooLarge`."""
    parts, size = [], 0
    async for part in answer.content.iter_chunked(READ_BYTES):
        size += len(part)
        if size > max_bytes:
            raise TooLarge(f"more than {max_bytes} bytes")
        parts.append(part)
    return b"".join(parts)


class _Resolver(AbstractResolver):
    """Names as ever, but for addresses that are not asked."""

    def __init__(self, local: bool) -> None:
        self._local = local
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for result in found:
            if (address := _address(result["host"])) is not None:
                _check(address, self._local)
        return found

    async def close(self) -> None:
        await self._resolver.close()


class _ForbiddenAddress(OSError):
    pass


def _check(address: Address, local: bool) -> None:
    mapped = getattr(address, "ipv4_mapped", None)
    found: Address = mapped or address
    own = found.is_loopback and not local
    if own or found.is_link_local or found.is_multicast or found.is_unspecified or found in METADATA:
        raise _ForbiddenAddress("addresses of the machine itself, its link and its cloud are not asked")


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _cause(error: BaseException | None) -> _ForbiddenAddress | None:
    while error is not None and not isinstance(error, _ForbiddenAddress):
        error = error.__cause__ or getattr(error, "os_error", None)
    return error


def _told(error: Exception, timeout_seconds: float) -> str:
    """What happened, in words that hold no address: those of the libraries do."""
    match error:
        case TimeoutError():
            return f"no answer within {timeout_seconds:g} s"
        case TooLarge():
            return f"the answer has {error}"
        case aiohttp.ClientConnectorDNSError():
            return "its host cannot be resolved"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return "its certificate is not trusted"
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, ConnectionRefusedError):
            return "the connection is refused"
        case _:
            return f"no connection ({type(error).__name__})"
