"""`mainspring` and `kubectl mainspring` as a person runs them, against a real API server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from mainspring.plan.common import objects
from mainspring.plugin import cluster as plugin_cluster
from mainspring.plugin import main
from mainspring.plugin.errors import NotInstalled
from tests import builders, cluster, lives
from tests.apiserver import rights
from tests.apiserver.server import Manifest, Server
from tests.chart import rendering
from tests.cluster import command, tools
from tests.lives import Life

RULES = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line that a failed command says."""
        assert (self.code, self.out, self.err.count("\n")) == (1, "", 1), self
        return self.err.strip()


Complain = Callable[..., str]


@pytest.fixture
def complain(kubeconfig: Path, capsys: pytest.CaptureFixture[str]) -> Complain:
    """The complaint of a command that runs in this process: there are many mistakes to make, and starting takes time."""

    def complaint(*arguments: str, kubeconfig: Path = kubeconfig) -> str:
        code = main.main([*arguments, "--kubeconfig", str(kubeconfig)])
        said = capsys.readouterr()
        return Answer(code, said.out, said.err).complaint

    return complaint


@dataclass(frozen=True)
class Shell:
    """Where the programs lie, and with what a person calls them."""

    programs: Path
    kubeconfig: Path

    def run(self, *arguments: str, program: str = "", **environment: str) -> Answer:
        """`program` is looked up on the PATH; without one it is `mainspring` itself."""
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        given = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "PATH": path, **environment}
        called = [program or str(self.programs / "mainspring"), *arguments]
        done = subprocess.run(called, env=given, capture_output=True, text=True, check=False)
        return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def kubeconfig(server: Server) -> Path:
    return cluster.kubeconfig(profile=cluster.Profile.APISERVER)


@pytest.fixture
def shell(kubeconfig: Path, tmp_path: Path) -> Shell:
    """The console scripts as pip makes them from pyproject.toml."""
    scripts = tomllib.loads((rendering.REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
    for name in ("mainspring", "kubectl-mainspring"):
        module, function = scripts[name].split(":")
        text = f"#!{sys.executable}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return Shell(tmp_path, kubeconfig)


@pytest.fixture(scope="module")
def life() -> Life:
    return lives.drifting()


@pytest.fixture
def lab(server: Server, namespace: str, life: Life) -> str:
    """A namespace in which a monitor has found something."""
    sources = life.sources()
    found = [sources.monitor, sources.model, sources.version, sources.service, life.history]
    for obj in found:
        assert obj is not None
        put(server, namespace, obj)
    return namespace


def put(server: Server, namespace: str, obj: Mapping[str, Any]) -> None:
    """With its status; uids and owners are of the cluster that it is put into."""
    metadata = {"name": objects.name(obj), "namespace": namespace}
    metadata |= {key: obj["metadata"][key] for key in ("labels", "annotations") if key in obj["metadata"]}
    manifest = {key: value for key, value in obj.items() if key != "status"} | {"metadata": metadata}
    server.apply(manifest)
    if objects.status(obj):
        server.merge(manifest, {"status": dict(obj["status"])}, "/status")


def test_a_report_is_written_into_a_file(shell: Shell, lab: str, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    answer = shell.run("report", "mon/tumours", "-n", lab, "-o", "html", "--output-file", str(file))
    assert (answer.code, answer.out, answer.err) == (0, "", f"wrote {file}\n")
    text = file.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "The model is not good enough now" in text


def test_a_report_says_of_the_cluster_what_the_monitor_found(shell: Shell, lab: str, life: Life) -> None:
    answer = shell.run("report", "tumours", "-n", lab, "-o", "json")
    assert answer.err == ""
    told = json.loads(answer.out)
    assert (told["tone"], told["namespace"], told["version"]) == ("Bad", lab, "tumours-v1")
    assert len(told["windows"]) == life.status["lastWindow"]["number"]
    assert {s["name"] for s in told["subjects"] if s["drifted"]} == {
        f["name"] for f in life.status["features"] if f["drifted"]
    }
    assert told["notes"] == []


def test_a_report_for_the_terminal(shell: Shell, lab: str) -> None:
    lines = shell.run("report", "mon/tumours", "-n", lab, "-o", "text").out.splitlines()
    assert lines[0].startswith(f"Model tumours, monitor {lab}/tumours, ")
    assert lines[2].startswith("BAD: The model is not good enough now")


def test_the_namespace_of_the_context_is_the_default(shell: Shell, lab: str, tmp_path: Path) -> None:
    given = yaml.safe_load(shell.kubeconfig.read_text())
    (context,) = given["contexts"]
    elsewhere = {"name": "lab", "context": {**context["context"], "namespace": lab}}
    both = tmp_path / "config"
    both.write_text(yaml.safe_dump({**given, "contexts": [context, elsewhere]}))
    assert shell.run("report", "tumours", "-o", "text", KUBECONFIG=str(both)).code == 1
    assert shell.run("report", "tumours", "-o", "text", "--context", "lab", KUBECONFIG=str(both)).code == 0
    assert shell.run("report", "tumours", "-o", "text", "--context", "lab", "--kubeconfig", str(both)).code == 0


def test_kubectl_finds_the_plugin(shell: Shell, lab: str) -> None:
    kubectl = str(command.find("kubectl") or tools.tool("kubectl"))
    answer = shell.run("mainspring", "report", "mon/tumours", "-n", lab, "-o", "text", program=kubectl)
    assert answer.code == 0, answer.err
    assert "The model is not good enough now" in answer.out
    assert "usage: kubectl mainspring" in shell.run("mainspring", "--help", program=kubectl).out


def test_a_report_about_a_monitor_that_has_just_begun(shell: Shell, server: Server, namespace: str) -> None:
    put(server, namespace, lives.fresh().monitor)
    answer = shell.run("report", "mon/tumours", "-n", namespace, "-o", "json")
    told = json.loads(answer.out)
    assert told["tone"] == "Unknown"
    assert "The InferenceService could not be found." in told["notes"]


def test_status_shows_a_namespace(shell: Shell, lab: str) -> None:
    lines = shell.run("status", "-n", lab).out.splitlines()
    head = next(line for line in lines if line.startswith("MODELMONITOR"))
    row = lines[lines.index(head) + 1]
    assert row[head.index("DRIFT") :].split()[:3] == ["True", "True", "0.79891"]
    assert json.loads(shell.run("status", "-n", lab, "-o", "json").out)["Model"][0]["name"] == "tumours"


def test_status_of_an_empty_namespace(shell: Shell, namespace: str) -> None:
    answer = shell.run("status", "-n", namespace)
    assert (answer.code, answer.out) == (
        0,
        f"nothing of Mainspring is in namespace {namespace}: choose another with -n\n",
    )


def test_an_exported_version_is_accepted_elsewhere(shell: Shell, server: Server, lab: str, restricted: str) -> None:
    manifest = yaml.safe_load(shell.run("export", "mv/tumours-v1", "-n", lab).out)
    before = server.get({**manifest, "metadata": {"name": "tumours-v1", "namespace": lab}})
    assert manifest["spec"]["artifact"] == before["spec"]["artifact"]
    manifest["metadata"]["namespace"] = restricted
    assert server.apply(manifest)["spec"]["number"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["report", "mon/tumour"], "did you mean tumours?"),
        (["report", "mon/zebra"], "; it has tumours"),
        (["report", "inf/tumours"], "name a ModelMonitor, such as mon/tumours"),
        (["export", "mv/tumours-v9"], "did you mean tumours-v1?"),
        (
            ["report", "mon/tumours", "--output-file", "/nowhere/report.html"],
            "/nowhere/report.html cannot be written: No such file",
        ),
    ],
)
def test_a_mistake_is_told_in_one_line(complain: Complain, lab: str, arguments: list[str], words: str) -> None:
    assert words in complain(*arguments, "-n", lab)


def test_a_namespace_without_monitors_is_told(complain: Complain, namespace: str) -> None:
    complaint = complain("report", "mon/tumours", "-n", namespace)
    assert complaint.endswith(
        f"namespace {namespace}, which has no ModelMonitor at all: choose another namespace with -n"
    )


def no_file(_: Mapping[str, Any]) -> str:
    return ""


def nobody_listens(given: Mapping[str, Any]) -> str:
    return with_server(given, "https://127.0.0.1:1")


def no_such_host(given: Mapping[str, Any]) -> str:
    return with_server(given, "https://mainspring.invalid:6443")


def with_server(given: Mapping[str, Any], address: str) -> str:
    (found,) = given["clusters"]
    return yaml.safe_dump({**given, "clusters": [{**found, "cluster": {**found["cluster"], "server": address}}]})


def another_ca(given: Mapping[str, Any]) -> str:
    (found,) = given["clusters"]
    kept = {key: value for key, value in found["cluster"].items() if not key.startswith("certificate-authority")}
    return yaml.safe_dump({**given, "clusters": [{**found, "cluster": kept}]})


def a_dead_token(given: Mapping[str, Any]) -> str:
    return as_token(given, "no-token-of-this-cluster")


def as_token(given: Mapping[str, Any], token: str) -> str:
    (user,) = given["users"]
    return yaml.safe_dump({**given, "users": [{"name": user["name"], "user": {"token": token}}]})


Break = Callable[[Mapping[str, Any]], str]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (no_file, "no cluster: "),
        (lambda _: "users: [", "the kubeconfig cannot be used: "),
        (lambda _: "[]", "the kubeconfig cannot be used: "),
        (nobody_listens, "does not answer: "),
        (no_such_host, "does not answer: "),
        (another_ca, "does not answer: "),
        (a_dead_token, "does not accept these credentials: log in again"),
    ],
    ids=["empty", "no YAML", "no kubeconfig", "nobody listens", "no such host", "another CA", "dead token"],
)
def test_a_cluster_that_cannot_be_had_is_told_in_one_line(
    complain: Complain, kubeconfig: Path, tmp_path: Path, broken: Break, words: str
) -> None:
    file = tmp_path / "broken"
    file.write_text(broken(yaml.safe_load(kubeconfig.read_text())))
    for arguments in (("report", "mon/tumours"), ("status",)):
        assert words in complain(*arguments, "-n", "default", kubeconfig=file)


def test_a_failure_of_the_program_ends_with_a_code_and_without_a_traceback(shell: Shell, lab: str) -> None:
    assert shell.run("report", "mon/tumour", "-n", lab).complaint.endswith("did you mean tumours?")
    assert "no cluster: " in shell.run("status", KUBECONFIG="/nowhere").complaint


def test_a_context_that_does_not_exist_is_told(complain: Complain) -> None:
    assert "no cluster: " in complain("status", "--context", "nowhere")


def test_a_cluster_without_our_kinds_is_told(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_cluster, "API_VERSION", "mainspring.example/v1")
    connected = plugin_cluster.connect(str(kubeconfig), None, "default")
    for ask in (lambda: connected.get("ModelMonitor", "tumours"), lambda: connected.every("Model")):
        with pytest.raises(NotInstalled, match="is Mainspring installed there"):
            ask()


def test_lists_are_read_to_their_end(
    server: Server, namespace: str, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"model-{number}" for number in range(5)]
    for name in names:
        put(server, namespace, builders.model(name))
    monkeypatch.setattr(plugin_cluster, "PAGE_OBJECTS", 2)
    connected = plugin_cluster.connect(str(kubeconfig), None, namespace)
    assert [objects.name(model) for model in connected.every("Model")] == names


def account(server: Server, namespace: str, *rules: Manifest) -> str:
    """The token of a ServiceAccount that may do this and nothing else."""
    metadata = {"name": "reader", "namespace": namespace}
    server.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    server.apply({"apiVersion": f"{RULES}/v1", "kind": "Role", "metadata": metadata, "rules": [*rules]})
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": namespace}
    role = {"apiGroup": RULES, "kind": "Role", "name": "reader"}
    binding = {"apiVersion": f"{RULES}/v1", "kind": "RoleBinding", "metadata": metadata}
    server.apply({**binding, "subjects": [subject], "roleRef": role})
    given = {
        (verb, "mainspring.dev", resource, "")
        for rule in rules
        for verb in rule["verbs"]
        for resource in rule["resources"]
    }
    rights.wait_for(server.as_service_account(namespace, "reader"), {namespace: given})
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/reader/token"
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    return str(server.request("POST", path, asked)["status"]["token"])


def test_who_may_nothing_is_told_what_is_missing(shell: Shell, server: Server, lab: str, tmp_path: Path) -> None:
    file = tmp_path / "reader"
    file.write_text(as_token(yaml.safe_load(shell.kubeconfig.read_text()), account(server, lab)))
    complaint = shell.run("report", "mon/tumours", "-n", lab, KUBECONFIG=str(file)).complaint
    assert 'cannot get resource "modelmonitors"' in complaint


def test_who_may_see_only_monitors_gets_a_report_with_gaps(
    shell: Shell, server: Server, lab: str, tmp_path: Path
) -> None:
    monitors = {"apiGroups": ["mainspring.dev"], "resources": ["modelmonitors"], "verbs": ["get", "list"]}
    file = tmp_path / "reader"
    file.write_text(as_token(yaml.safe_load(shell.kubeconfig.read_text()), account(server, lab, monitors)))
    answer = shell.run("report", "mon/tumours", "-n", lab, "-o", "json", KUBECONFIG=str(file))
    told = json.loads(answer.out)
    assert (told["tone"], told["windows"]) == ("Bad", [])
    assert any("configmaps" in note and "This could not be read" in note for note in told["notes"])


def rolling_out(server: Server, space: str, **facts: Any) -> None:
    """A service with this status; nobody acts on it here."""
    told = {"stableVersion": "tumours-v1", "observedGeneration": 1, **facts}
    put(server, space, builders.stored(builders.service(rollout={"steps": [5, 50]}), told))


def annotations(server: Server, space: str) -> dict[str, str]:
    found = server.get({**builders.service(), "metadata": {"name": "tumours", "namespace": space}})
    return {key.partition("/")[2]: value for key, value in objects.annotations_of(found).items()}


UNDER_WAY = {
    "version": "tumours-v2",
    "revision": "bbb",
    "fromVersion": "tumours-v1",
    "fromRevision": "aaa",
    "strategy": "Canary",
    "cause": "Champion",
    "phase": "Stepping",
    "weight": 5,
    "startedAt": builders.at(0),
}


def test_a_rollout_is_aborted_and_promoted_by_a_word(shell: Shell, server: Server, namespace: str) -> None:
    rolling_out(server, namespace, rollout=UNDER_WAY)
    assert (
        "tumours-v2 instead of tumours-v1 (Canary, Stepping, step 1 of 2)" in shell.run("status", "-n", namespace).out
    )
    answer = shell.run("abort", "inf/tumours", "-n", namespace)
    assert answer.out == "inferenceservice/tumours: the rollout of tumours-v2 ends; tumours-v1 goes on\n"
    assert annotations(server, namespace) == {"abort": "bbb"}
    answer = shell.run("promote", "inf/tumours", "-n", namespace)
    assert "tumours-v2 (it is Inconclusive so far) takes all requests" in answer.out
    assert annotations(server, namespace) == {"promote": "bbb"}, "whoever changes his mind is obeyed"


def test_a_following_service_is_rolled_back_by_its_model(shell: Shell, server: Server, namespace: str) -> None:
    rolling_out(server, namespace)
    moves = [
        {"version": f"tumours-v{number}", "to": "Champion", "reason": "r", "actor": "a", "time": builders.at(number)}
        for number in (1, 2)
    ]
    told = {"champion": "tumours-v2", "history": moves, "observedGeneration": 1}
    put(server, namespace, builders.stored(builders.model(aliases={"old": "tumours-v1"}), told))
    missing = shell.run("rollback", "inf/tumours", "-n", namespace).complaint
    assert missing == "error: ModelVersion tumours-v1, which was there before, does not exist any more"
    put(server, namespace, builders.model_version(1))
    answer = shell.run("rollback", "inf/tumours", "-n", namespace)
    assert answer.out == (
        "inferenceservice/tumours: tumours-v1 instead of tumours-v2: Model tumours has spec.aliases.champion: tumours-v1"
        " now; if it is managed in Git, this belongs there\n"
    )
    found = server.get({**builders.model(), "metadata": {"name": "tumours", "namespace": namespace}})
    assert found["spec"]["aliases"] == {"champion": "tumours-v1", "old": "tumours-v1"}


@pytest.mark.parametrize(
    ("command_line", "words"),
    [
        (["promote", "inf/tumours"], "nothing is rolled out and nothing was rolled back"),
        (["abort", "tumours"], "nothing is rolled out, it serves tumours-v1"),
        (["abort", "inf/tumour"], "did you mean tumours?"),
        (["rollback", "mon/tumours"], "name a InferenceService, such as inf/tumours"),
    ],
)
def test_what_cannot_be_decided_is_told(
    complain: Complain, server: Server, namespace: str, command_line: list[str], words: str
) -> None:
    rolling_out(server, namespace)
    assert words in complain(*command_line, "-n", namespace)


def test_who_may_not_write_is_told_so(shell: Shell, server: Server, namespace: str, tmp_path: Path) -> None:
    rolling_out(server, namespace, rollout=UNDER_WAY)
    services = {"apiGroups": ["mainspring.dev"], "resources": ["inferenceservices"], "verbs": ["get"]}
    file = tmp_path / "reader"
    file.write_text(as_token(yaml.safe_load(shell.kubeconfig.read_text()), account(server, namespace, services)))
    complaint = shell.run("abort", "inf/tumours", "-n", namespace, KUBECONFIG=str(file)).complaint
    assert 'cannot patch resource "inferenceservices"' in complaint
