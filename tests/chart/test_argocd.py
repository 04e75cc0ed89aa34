"""The Lua that is shipped for Argo CD, run by the interpreter that Argo CD uses (gopher-lua), on objects as they occur."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mainspring.api.v1alpha1 import KINDS
from tests.chart import rendering
from tests.cluster import command, tools

CONFIG = rendering.CHART / "argocd" / "argocd-cm.yaml"
DRIVER = "obj = {object}\nlocal health = (function()\n{script}\nend)()\nprint(health.status)\nprint(health.message)\n"


def condition(kind: str, status: str, message: str = "", reason: str = "Because") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message, "observedGeneration": 2}


def given(*conditions: dict[str, Any], observed: int = 2) -> dict[str, Any]:
    """An object of generation 2 with these conditions."""
    return {"metadata": {"generation": 2}, "status": {"observedGeneration": observed, "conditions": list(conditions)}}


def lua(value: Any) -> str:
    """A value as a Lua literal, as Argo CD hands it over."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{lua(key)}] = {lua(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ", ".join(map(lua, value)) + "}"
    return f'"{value}"' if isinstance(value, str) else str(value)


def scripts() -> dict[str, str]:
    data: dict[str, str] = yaml.safe_load(CONFIG.read_text())["data"]
    return data


def health(script: str, manifest: dict[str, Any], directory: Path) -> tuple[str, str]:
    driver = directory / "driver.lua"
    driver.write_text(DRIVER.format(object=lua(manifest), script=script))
    status, message = command.run([tools.tool("glua"), driver]).split("\n")[:2]
    return status, message


@pytest.mark.parametrize(
    ("manifest", "status", "message"),
    [
        ({"metadata": {"generation": 1}}, "Progressing", "Waiting for the operator"),
        (
            {"metadata": {"generation": 1}, "status": {"observedGeneration": -1}},
            "Progressing",
            "Waiting for the operator",
        ),
        (given(condition("Ready", "True"), observed=1), "Progressing", "Waiting for the operator"),
        (given(condition("Stalled", "True", "old news"), observed=1), "Progressing", "Waiting for the operator"),
        (given(), "Progressing", ""),
        (given(condition("Ready", "True", "serving")), "Healthy", "serving"),
        (given(condition("Ready", "True", reason="Stopped")), "Healthy", ""),
        (given(condition("Ready", "Unknown"), condition("Reconciling", "True", "training")), "Progressing", "training"),
        (given(condition("Ready", "False", "not yet")), "Progressing", "not yet"),
        (
            given(condition("Ready", "False"), condition("Stalled", "True", "no such Model")),
            "Degraded",
            "no such Model",
        ),
        (given(condition("Stalled", "True", "broken"), condition("Reconciling", "True")), "Degraded", "broken"),
        (
            given(condition("Stalled", "False"), condition("Reconciling", "False"), condition("Ready", "True")),
            "Healthy",
            "",
        ),
    ],
)
def test_health(manifest: dict[str, Any], status: str, message: str, tmp_path: Path) -> None:
    (script,) = set(scripts().values())
    found = health(script, manifest, tmp_path)
    assert found[0] == status
    assert found[1].startswith(message)


def test_every_kind_has_a_health() -> None:
    assert set(scripts()) == {f"resource.customizations.health.mainspring.dev_{kind.kind}" for kind in KINDS}


def test_what_is_shipped_is_the_file_that_people_edit() -> None:
    source = (rendering.CHART / "argocd" / "health.lua").read_text()
    assert set(scripts().values()) == {source}
