"""How tests reach the S3 server."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import httpx

START_LIMIT_SECONDS = 30.0
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class S3:
    """Address, account, and the directory whose directories are the buckets."""

    url: str
    key: str
    secret: str
    root: Path

    def environment(self) -> dict[str, str]:
        """As in the Secret `mainspring-artifacts`."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
        }

    def wait_until_it_answers(self) -> None:
        """Any answer will do. Raises `TimeoutError`."""
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while time.monotonic() < deadline:
            try:
                httpx.get(self.url)
            except httpx.TransportError:
                time.sleep(POLL_SECONDS)
            else:
                return
        raise TimeoutError(f"{self.url} did not answer within {START_LIMIT_SECONDS} s")
