"""The servers that ours is compared with, each in a virtual environment of its own, cached by what is in it."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

from tests.cluster import command, hashing, lock, paths
from tests.cluster.progress import say

PEERS = Path(__file__).resolve().parents[1] / "peers"
INSTALL_LIMIT_SECONDS = 30 * command.MINUTE_SECONDS
KSERVE, MLSERVER = "kserve", "mlserver"  # names of the lock files
MODEL_FILE = "model.joblib"


def environment(peer: str) -> Path:
    """The directory of the peer's environment, built when there is none for its lock file."""
    requirements = PEERS / f"{peer}.lock"
    home = paths.cache() / "bench" / hashing.key(peer, requirements.read_text(), platform.python_version())
    with lock.held(home.with_suffix(".lock"), f"installing {peer}"):
        if not (home / ".done").exists():
            install(requirements, home)
    return home


def install(requirements: Path, home: Path) -> None:
    say(f"installing {requirements.stem} into {home} (some minutes, once)")
    command.run([sys.executable, "-m", "venv", "--clear", home])
    pip = [str(home / "bin/python"), "-m", "pip", "--disable-pip-version-check"]
    install = [*pip, "install", "--quiet", "--no-deps", "-r", str(requirements)]
    command.run(install, timeout=INSTALL_LIMIT_SECONDS)
    command.run([*pip, "check"])
    (home / ".done").touch()


def kserve(home: Path, model: Path, port: int, directory: Path) -> list[str]:
    """The command that serves the joblib file, with the defaults of KServe, except: no gRPC, no line for each request."""
    quiet = directory / "logging.json"
    quiet.write_text(json.dumps({"version": 1, "disable_existing_loggers": False, "root": {"level": "WARNING"}}))
    options = {
        "path": model,
        "model_name": "m",
        "http_port": port,
        "enable_grpc": "false",
        "enable_latency_logging": "false",
        "log_config_file": quiet,
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    return [str(home / "bin/python"), str(PEERS / "kserve_server.py"), *words]


def mlserver(home: Path, model: Path, ports: list[int], directory: Path) -> list[str]:
    """The command that serves the joblib file in MLServer's own process, without a line for each request."""
    http, grpc, metrics = ports
    settings = {
        "host": "127.0.0.1",
        "http_port": http,
        "grpc_port": grpc,
        "metrics_port": metrics,
        "parallel_workers": 0,
        "debug": False,
    }
    served = {
        "name": "m",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(model), "version": "1"},
    }
    (directory / "settings.json").write_text(json.dumps(settings))
    (directory / "model-settings.json").write_text(json.dumps(served))
    return [str(home / "bin/mlserver"), "start", str(directory)]
