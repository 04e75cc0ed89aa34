"""Reading a Secret's values."""

from __future__ import annotations

import base64
import binascii

from mainspring.plan.common.objects import Object


def text(secret: Object, key: str) -> str:
    """The value under this key, or nothing when there is none or it is no text."""
    try:
        return base64.b64decode((secret.get("data") or {}).get(key) or "").decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
