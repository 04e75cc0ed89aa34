"""The servers that ours is compared with, run by the environments of `tests/interop`, whose clients they are."""

from __future__ import annotations

import json
from pathlib import Path

from tests.interop import environments

SERVER_OF_KSERVE = Path(__file__).resolve().parents[1] / "peers" / "kserve_server.py"
KSERVE, MLSERVER = "kserve", "mlserver"  # names of the lock files
MODEL_FILE = "model.joblib"
# The script `mlserver` is not where it was installed.
START_MLSERVER = "from mlserver.cli import main; main()"


def install() -> None:
    """Have both environments: some minutes when the cache lacks them."""
    for peer in (KSERVE, MLSERVER):
        environments.python(peer)


def kserve(model: Path, port: int, directory: Path) -> list[str]:
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
    return [str(environments.python(KSERVE)), str(SERVER_OF_KSERVE), *words]


def mlserver(model: Path, ports: list[int], directory: Path) -> list[str]:
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
    return [str(environments.python(MLSERVER)), "-c", START_MLSERVER, "start", str(directory)]
