"""Commands: what they take, what they print, and that they need no more than they say."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources
from typing import Any

import pytest
import yaml

from mainspring.plan.common.objects import Object
from mainspring.plugin import arguments, main, tables
from mainspring.plugin.commands import export, status
from mainspring.plugin.errors import PluginError
from tests import builders

# What the extra `cli` brings, and what is of the operator alone.
FOREIGN = (
    "kopf",
    "aiohttp",
    "httpx",
    "prometheus_client",
    "croniter",
    "uvloop",
    "numpy",
    "mainspring.kube",
    "mainspring.engine",
)


@pytest.mark.parametrize(
    "text",
    ["mon/tumours", "modelmonitor/tumours", "ModelMonitors/tumours", "modelmonitors.mainspring.dev/tumours", "tumours"],
)
def test_objects_are_named_as_for_kubectl(text: str) -> None:
    assert arguments.object_name(text, "ModelMonitor") == "tumours"


@pytest.mark.parametrize(
    ("text", "words"), [("inf/tumours", "name a ModelMonitor, such as mon/tumours"), ("mon/", "the name is missing")]
)
def test_another_kind_is_refused_with_an_example(text: str, words: str) -> None:
    with pytest.raises(PluginError, match=words):
        arguments.object_name(text, "ModelMonitor")


@pytest.mark.parametrize(
    ("program", "called"), [("mainspring", "mainspring"), ("kubectl-mainspring", "kubectl mainspring")]
)
def test_help_calls_it_as_the_user_does(
    program: str, called: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [f"/usr/bin/{program}"])
    with pytest.raises(SystemExit) as ended:
        main.main(["--help"])
    assert ended.value.code == 0
    assert f"usage: {called} " in capsys.readouterr().out


def test_what_is_not_understood_is_another_failure_than_what_cannot_be_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["report"])
    assert ended.value.code == 2
    assert main.main(["report", "inf/tumours"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "error: inf/tumours: name a ModelMonitor, such as mon/tumours"


def test_the_command_line_loads_nothing_of_the_operator() -> None:
    """It is installed without these: importing one would be a traceback for the user."""
    program = "import sys, mainspring.plugin.main; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert "mainspring.plugin.report.page" in loaded
    assert not [name for name in loaded if name.startswith(FOREIGN)]


def test_the_page_and_its_styles_are_in_the_package() -> None:
    assert resources.files("mainspring.plugin.report").joinpath("page.css").is_file()


def found() -> dict[str, list[Object]]:
    """A namespace with one of each kind, of which the run and the monitor want something."""
    ready, waits = (
        builders.condition("Ready", "True", "Fine"),
        builders.condition("Ready", "Unknown", "Training", "Job x is running"),
    )
    need = {"reason": "PerformanceDegraded", "message": "m", "since": builders.at(0), "champion": "tumours-v1"}
    monitor: dict[str, Any] = {
        "version": "tumours-v1",
        "performance": {"metric": "accuracy", "value": 0.8125},
        "need": need,
        "conditions": [
            ready,
            builders.condition("DriftDetected", "True", "FeaturesDrifted"),
            builders.condition("PerformanceDegraded", "True", "BelowBound"),
            builders.condition("RetrainTriggered", "False", "WaitingForLabels"),
        ],
    }
    return {
        "Dataset": [builders.stored(builders.dataset(), {"current": "tumours-1", "rows": 569, "conditions": [ready]})],
        "TrainingRun": [builders.stored(builders.run(), {"phase": "Running", "conditions": [waits]})],
        "Model": [builders.stored(builders.model(), {"champion": "tumours-v1", "versions": 1, "conditions": [ready]})],
        "InferenceService": [builders.stored(builders.service(), {"replicas": 2, "readyReplicas": 1})],
        "ModelMonitor": [builders.stored(builders.monitor(), monitor)],
    }


def test_status_shows_the_loop_and_what_is_waited_for() -> None:
    text = status.as_text("lab", found())
    paragraphs = [part.splitlines() for part in text.split("\n\n")]
    assert [p[0].split()[0] for p in paragraphs[:5]] == [
        "DATASET",
        "TRAININGRUN",
        "MODEL",
        "INFERENCESERVICE",
        "MODELMONITOR",
    ]
    assert paragraphs[3][1].split() == ["tumours", "-", "-", "-", "-", "1/2", "-", "-", "-"]
    head, row = paragraphs[4]
    assert row[head.index("RETRAIN") :].split()[0] == "WaitingForLabels"
    assert row[head.index("NEED") :].startswith("PerformanceDegraded since 2025-06-02")
    assert paragraphs[5] == ["TrainingRun forest: Job x is running"]


def test_status_for_programs() -> None:
    told = json.loads(status.as_json("lab", found()))
    assert told["namespace"] == "lab"
    (monitor,) = told["ModelMonitor"]
    assert (monitor["name"], monitor["quality"], monitor["drift"], monitor["ready"]) == (
        "tumours",
        0.8125,
        "True",
        "True",
    )


def test_an_empty_namespace_is_named() -> None:
    nothing: dict[str, list[Object]] = {overview.kind: [] for overview in status.OVERVIEWS}
    assert status.as_text("lab", nothing) == "nothing of Mainspring is in namespace lab: choose another with -n\n"


def test_a_table_cannot_be_broken_by_a_cell() -> None:
    lines = tables.aligned(("A", "B"), [("1\n2", "\x1b[2J"), ("long name", "x")])
    assert lines == ["A           B", "1 2         \ufffd[2J", "long name   x"]


def test_an_exported_version_has_its_files_and_nothing_of_this_cluster() -> None:
    version = builders.model_version(3, passed=True, promoted=builders.at(0))
    made = export.build_manifest(version)
    assert made["spec"]["artifact"] == version["spec"]["artifact"]
    assert made["metadata"] == {"name": "tumours-v3"}
    assert "trainingRunUid" not in made["spec"]["source"]
    assert "status" not in made
    assert builders.stored({**made, "metadata": {**made["metadata"], "namespace": "other"}})
    assert yaml.safe_load(yaml.safe_dump(made)) == made
