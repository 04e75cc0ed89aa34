"""The network between the operator and the API server, which can be cut."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import yaml

CHUNK_BYTES = 65536
BACKLOG = 128


class Proxy:
    """Forwards TCP connections; `cut` breaks those that are open, `refuse` also all new ones until `allow`."""

    def __init__(self, kubeconfig: Path, directory: Path) -> None:
        content = yaml.safe_load(kubeconfig.read_text())
        url = urlparse(_cluster(content)["server"])
        self._target = (url.hostname or "", url.port or 443)
        self._allowed = True
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        _cluster(content)["server"] = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self.kubeconfig = directory / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump(content))
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> int:
        """Breaks all connections; how many there were."""
        return self._cut(allowed=True)

    def refuse(self) -> None:
        self._cut(allowed=False)

    def allow(self) -> None:
        with self._lock:
            self._allowed = True

    def close(self) -> None:
        self._listener.close()
        self._cut(allowed=False)

    def _cut(self, allowed: bool) -> int:
        with self._lock:
            self._allowed = allowed
            broken, self._open = self._open, set()
        for connection in broken:
            _shut(connection)
        return len(broken) // 2

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # closed
            far = socket.create_connection(self._target)
            with self._lock:  # or one that is just being made would outlive the cut
                allowed = self._allowed
                if allowed:
                    self._open |= {near, far}
            if not allowed:
                _shut(near)
                _shut(far)
                continue
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._forward, args=(source, sink), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):  # cut
            while data := source.recv(CHUNK_BYTES):
                sink.sendall(data)
        with self._lock:
            self._open -= {source, sink}
        _shut(source)
        _shut(sink)


def _shut(connection: socket.socket) -> None:
    """Wakes whoever reads from it, too."""
    with suppress(OSError):  # the other side was faster
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def _cluster(content: dict[str, Any]) -> dict[str, Any]:
    """The cluster of the current context."""
    context = next(c["context"] for c in content["contexts"] if c["name"] == content["current-context"])
    found: dict[str, Any] = next(c["cluster"] for c in content["clusters"] if c["name"] == context["cluster"])
    return found
