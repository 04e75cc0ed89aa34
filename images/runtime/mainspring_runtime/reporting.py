"""What a Job is told and what it says: its task, its progress, its report and its termination message.

In a cluster, progress and report are keys of the Job's own ConfigMap, patched with the pod's own token. Outside of one
(no token) they go to stdout, and the report also to the file named by `MAINSPRING_REPORT_FILE`, so every command runs
on a laptop as it does in a pod. Called by the commands only.
"""

from __future__ import annotations

import json
import os
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from mainspring.api import contract
from mainspring.api.v1alpha1.common import ApiModel
from mainspring_runtime.errors import JobError, PermanentError, RetryableError

ENV_REPORT_FILE = "MAINSPRING_REPORT_FILE"
SERVICE_ACCOUNT_DIR = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PROGRESS_INTERVAL_SECONDS = 2.0
PROGRESS_TIMEOUT_SECONDS = 3.0
REPORT_TIMEOUT_SECONDS = 10.0
REPORT_ATTEMPTS = 6
REPORT_BACKOFF_SECONDS = 0.5
MAX_MESSAGE_CHARACTERS = 2048
MAX_DETAIL_CHARACTERS = 256
MAX_DETAILS = 10
MAX_REASON_CHARACTERS = 64

TaskType = TypeVar("TaskType", bound=ApiModel)


def load_task(kind: type[TaskType]) -> TaskType:
    """The task of this Job, from the file named by `MAINSPRING_TASK` (default: the mounted ConfigMap)."""
    path = Path(os.environ.get(contract.ENV_TASK, contract.TASK_PATH))
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        message = f"there is no task at {path}; set {contract.ENV_TASK} to the path of a task.json"
        raise PermanentError("InvalidTask", message) from error
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise PermanentError(
            "InvalidTask", f"{path} is not a valid {kind.__name__}: {problems[0]}", problems
        ) from error


def progress(percent: int, stage: str) -> None:
    """Say how far the work is (0 to 100). Throttled, and never a reason to fail."""
    print(json.dumps({"percent": percent, "stage": stage}), flush=True)
    _PROGRESS.send(contract.ProgressReport(percent=percent, stage=stage))


def report(model: ApiModel) -> None:
    """Deliver the report of the command. Raises `RetryableError` when the API server does not take it."""
    text = contract.as_json(model)
    if len(text.encode()) > contract.REPORT_MAX_BYTES:
        raise PermanentError(
            "ReportTooLarge", f"the report has more than {contract.REPORT_MAX_BYTES} bytes; use fewer columns"
        )
    channel = _channel()
    if channel is None:
        _report_locally(text)
    else:
        _deliver(channel, text)


def finish(outcome: contract.Outcome, path: Path = Path(contract.TERMINATION_LOG)) -> None:
    """Write the termination message, at most 4,096 bytes; on a laptop, where the file is absent, only to stdout."""
    text = fitted(outcome)
    print(text, flush=True)
    if path.exists():
        path.write_text(text, encoding="utf-8")


def failure(error: JobError) -> contract.Outcome:
    """The outcome that explains an error, within the limits of the contract."""
    return contract.Outcome(
        outcome="Failed",
        reason=error.reason[:MAX_REASON_CHARACTERS],
        message=_cut(error.message, MAX_MESSAGE_CHARACTERS),
        details=[_cut(detail, MAX_DETAIL_CHARACTERS) for detail in error.details[:MAX_DETAILS]],
    )


def fitted(outcome: contract.Outcome) -> str:
    """JSON of at most `TERMINATION_MAX_BYTES` bytes: details go first, then the end of the message."""
    while len(text := contract.as_json(outcome).encode()) > contract.TERMINATION_MAX_BYTES:
        outcome = outcome.model_copy(
            update={"details": outcome.details[:-1]}
            if outcome.details
            else {"message": _cut(outcome.message, len(outcome.message) * 3 // 4)}
        )
    return text.decode()


@dataclass(frozen=True)
class Channel:
    """The Job's own ConfigMap behind the API server."""

    url: str

    def patch(self, key: str, text: str, timeout: float) -> None:
        """Set one key. Raises `OSError`: no connection, or an HTTP status that is no success."""
        request = urllib.request.Request(
            self.url,
            data=json.dumps({"data": {key: text}}).encode(),
            method="PATCH",
            headers={
                # Read again each time: the kubelet rotates it.
                "Authorization": f"Bearer {(SERVICE_ACCOUNT_DIR / 'token').read_text().strip()}",
                "Content-Type": "application/merge-patch+json",
            },
        )
        try:
            urllib.request.urlopen(request, timeout=timeout, context=_tls()).close()
        except urllib.error.HTTPError as error:
            # The error is an open response; it would keep the connection until it is collected.
            error.close()
            raise OSError(f"HTTP {error.code} {error.reason}") from error


@dataclass
class Throttle:
    """Sends progress at most every `PROGRESS_INTERVAL_SECONDS`, and drops what the API server does not take."""

    sent_at: float = field(default=float("-inf"))

    def send(self, value: contract.ProgressReport) -> None:
        channel = _channel()
        now = time.monotonic()
        if channel is None or now - self.sent_at < PROGRESS_INTERVAL_SECONDS:
            return
        self.sent_at = now
        try:
            channel.patch(contract.PROGRESS_KEY, contract.as_json(value), PROGRESS_TIMEOUT_SECONDS)
        except OSError as error:
            print(f"progress was not delivered: {error}", flush=True)


_PROGRESS = Throttle()


def _channel() -> Channel | None:
    """Where to report, or None outside of a cluster."""
    host, name = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get(contract.ENV_REPORT)
    if not host or not name or not (SERVICE_ACCOUNT_DIR / "token").exists():
        return None
    authority = f"[{host}]" if ":" in host else host
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    return Channel(f"https://{authority}:{port}/api/v1/namespaces/{_namespace()}/configmaps/{name}")


def _namespace() -> str:
    return os.environ.get(contract.ENV_NAMESPACE) or (SERVICE_ACCOUNT_DIR / "namespace").read_text().strip()


def _tls() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(SERVICE_ACCOUNT_DIR / "ca.crt"))


def _deliver(channel: Channel, text: str) -> None:
    for attempt in range(REPORT_ATTEMPTS):
        try:
            return channel.patch(contract.REPORT_KEY, text, REPORT_TIMEOUT_SECONDS)
        except OSError as error:
            last = error
            time.sleep(REPORT_BACKOFF_SECONDS * 2**attempt)
    raise RetryableError(
        "ReportNotDelivered", f"the API server did not take the report at {channel.url}: {last}"
    ) from last


def _report_locally(text: str) -> None:
    print(text, flush=True)
    if path := os.environ.get(ENV_REPORT_FILE):
        Path(path).write_text(text, encoding="utf-8")


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: max(characters - 1, 0)] + "…"
