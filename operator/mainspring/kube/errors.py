"""What can go wrong with a request.

KubeError
├── Transient        network, 429, 5xx: try again
├── NotFound         404
├── AlreadyExists    409 on create
├── Conflict         409 on a fenced write: the cache was old
├── Gone             410: that resourceVersion is forgotten, list again
├── NameTaken        a stranger's object has the name of our child
└── Refused          400, 403, 422: quota, admission, RBAC or an invalid object
"""

from __future__ import annotations

from typing import Any


class KubeError(Exception):
    def __init__(self, message: str, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason


class Transient(KubeError):
    """Try again later; nothing is known to be wrong."""


class NotFound(KubeError):
    pass


class AlreadyExists(KubeError):
    pass


class Conflict(KubeError):
    pass


class Gone(KubeError):
    """Too much happened since that resourceVersion, or too long ago."""


class NameTaken(KubeError):
    """Heals when the stranger's object is renamed or removed."""


class Refused(KubeError):
    """The API server said no; `kind_of_refusal` names why in one CamelCase word."""

    @property
    def kind_of_refusal(self) -> str:
        text = self.message
        if "exceeded quota" in text:
            return "QuotaExceeded"
        if "violates PodSecurity" in text:
            return "PodSecurityViolation"
        if "is being terminated" in text:
            return "NamespaceTerminating"
        return "Forbidden" if self.status == 403 else "Invalid"


def from_status(code: int, body: dict[str, Any]) -> KubeError:
    """The error for an HTTP status and the Status object that came with it."""
    message, reason = str(body.get("message", f"HTTP {code}")), str(body.get("reason", ""))
    if code == 404:
        return NotFound(message, code, reason)
    if code == 409:
        return (AlreadyExists if reason == "AlreadyExists" else Conflict)(message, code, reason)
    if code == 410:
        return Gone(message, code, reason)
    # 401 is transient: the token is being rotated.
    if code in (401, 408, 429) or code >= 500:
        return Transient(message, code, reason)
    return Refused(message, code, reason)
