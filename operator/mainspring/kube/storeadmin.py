"""The embedded store's admin API: an account and a bucket for each namespace.

Requests are signed with AWS Signature Version 4 (docs.aws.amazon.com/general/latest/gr/sigv4-create-signed-request.html).
Signed here in thirty lines, because the libraries that can do it weigh more than the rest of the operator.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import escape

import aiohttp

from mainspring.kube import errors

REGION, SERVICE = "us-east-1", "s3"
TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Credentials:
    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return f"Credentials({self.access_key}, …)"


def derive(root: Credentials, namespace: str) -> Credentials:
    """A namespace's account: the same root key always gives the same one, so nothing needs to be remembered."""
    digest = hmac.new(root.secret_key.encode(), f"mainspring/{namespace}".encode(), hashlib.sha256).hexdigest()
    return Credentials(f"ns-{namespace}", digest[:40])


class StoreAdmin:
    def __init__(self, endpoint: str, root: Credentials, session: aiohttp.ClientSession) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._root = root
        self._session = session

    async def ensure_account(self, account: Credentials, bucket: str, now: datetime) -> None:
        """The account with this very key, owning the bucket. Raises Transient when the store does not answer."""
        body = f"<Account><Access>{escape(account.access_key)}</Access><Secret>{account.secret_key}</Secret><Role>user</Role></Account>"
        if await self._patch("/create-user", {}, body, {}, now) == 409:
            props = f"<MutableProps><Secret>{account.secret_key}</Secret></MutableProps>"
            await self._patch("/update-user", {"access": account.access_key}, props, {}, now)
        await self._patch(f"/{bucket}/create", {}, "", {"x-vgw-owner": account.access_key}, now)

    async def _patch(
        self, path: str, query: Mapping[str, str], body: str, headers: Mapping[str, str], now: datetime
    ) -> int:
        """The HTTP status; 409 (it exists) is an answer, everything else from 400 on is an error."""
        payload = body.encode()
        signed = sign("PATCH", f"{self._endpoint}{path}", query, headers, payload, self._root, now)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        try:
            request = self._session.patch(
                f"{self._endpoint}{path}", params=query, data=payload, headers=signed, timeout=timeout
            )
            async with request as answer:
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise errors.Transient(f"the artifact store does not answer: {type(error).__name__}") from error
        if answer.status >= 400 and answer.status != 409:
            raise errors.Transient(f"the artifact store refused {path}: {answer.status} {text[:200]}", answer.status)
        return answer.status


def sign(
    verb: str,
    url: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    payload: bytes,
    who: Credentials,
    now: datetime,
) -> dict[str, str]:
    """The headers of a request signed by Signature Version 4, `headers` among them."""
    parts, stamp = urlsplit(url), now.strftime("%Y%m%dT%H%M%SZ")
    content = hashlib.sha256(payload).hexdigest()
    every = {**headers, "host": parts.netloc, "x-amz-content-sha256": content, "x-amz-date": stamp}
    names = ";".join(sorted(every))
    canonical = "\n".join(
        [
            verb,
            quote(parts.path or "/", safe="/-_.~"),
            "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in sorted(query.items())),
            *(f"{name}:{every[name].strip()}" for name in sorted(every)),
            "",
            names,
            content,
        ]
    )
    scope = f"{stamp[:8]}/{REGION}/{SERVICE}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signature = hmac.new(_signing_key(who.secret_key, stamp[:8]), to_sign.encode(), hashlib.sha256).hexdigest()
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={who.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return {**{k: v for k, v in every.items() if k != "host"}, "Authorization": authorization}


def _signing_key(secret: str, date: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, REGION, SERVICE, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
