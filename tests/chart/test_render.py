"""The chart renders for every kind of installation, the same bytes each time, and refuses values that it does not know."""

from __future__ import annotations

import json
import re

import pytest
import yaml

import mainspring
from mainspring.api.v1alpha1 import KINDS
from tests.chart import rendering
from tests.cluster.errors import CommandFailed

# Functions of Helm whose result differs from one call, cluster or day to the next.
CHANGING = re.compile(
    r"\b(lookup|rand\w+|gen(?:CA|Signed|SelfSigned|Private)\w*|uuidv4|now|ago|htpasswd|bcrypt|getHostByName)\b"
)

each_variant = pytest.mark.parametrize("variant", rendering.VARIANTS)


@each_variant
def test_lint_finds_nothing(variant: str) -> None:
    said = rendering.helm("lint", "--strict", rendering.CHART, *rendering.values_of(variant))
    assert "[WARNING]" not in said
    assert "[ERROR]" not in said


@each_variant
def test_the_same_values_give_the_same_bytes(variant: str) -> None:
    assert rendering.template(variant) == rendering.template(variant)


@each_variant
def test_every_object_is_named_once_and_labelled(variant: str) -> None:
    manifests = rendering.rendered(variant)
    names = [(m["kind"], m["metadata"].get("namespace"), m["metadata"]["name"]) for m in manifests]
    assert len(names) == len(set(names))
    for manifest in manifests:
        assert manifest["metadata"]["labels"]["app.kubernetes.io/part-of"] == "mainspring", manifest["metadata"]


def test_no_template_reads_the_cluster_the_clock_or_the_dice() -> None:
    for path in (rendering.CHART / "templates").rglob("*"):
        if path.is_file():
            assert changing_functions(path.read_text()) == [], path


def test_a_template_that_would_change_by_itself_is_noticed() -> None:
    assert changing_functions('a: {{ randAlphaNum 5 | quote }}{{ lookup "v1" "Secret" "" "" }}') == [
        "randAlphaNum",
        "lookup",
    ]


def changing_functions(template: str) -> list[str]:
    actions = re.findall(r"\{\{-?\s*([^/\s-].*?)\}\}", template, re.DOTALL)
    return [found for action in actions for found in CHANGING.findall(action)]


def test_crds_are_the_bytes_of_the_top_level_directory() -> None:
    text = rendering.template()
    for kind in KINDS:
        crd = (rendering.REPOSITORY / "crds" / f"mainspring.dev_{kind.plural}.yaml").read_text()
        assert crd in text


def test_crds_can_be_left_to_somebody_else() -> None:
    manifests = rendering.parse(rendering.template("default", "crds.enabled=false"))
    assert rendering.of_kind(manifests, "CustomResourceDefinition") == []


def test_the_chart_has_the_version_of_the_operator() -> None:
    chart = yaml.safe_load((rendering.CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == mainspring.__version__


def test_two_releases_in_two_namespaces_share_no_name() -> None:
    def names(release: str) -> set[tuple[str, str]]:
        text = rendering.template("namespaced", release=release, namespace=f"{release}-ns")
        return {(m["kind"], m["metadata"]["name"]) for m in rendering.parse(text)}

    assert names("red").isdisjoint(names("blue"))


@pytest.mark.parametrize("release", ["m", "mainspring-of-the-department-for-machine-learning-one", "x" * 53])
def test_names_stay_legal_for_any_release_name(release: str) -> None:
    for manifest in rendering.parse(rendering.template("default", "crds.enabled=false", release=release)):
        assert len(manifest["metadata"]["name"]) <= 63
        assert not manifest["metadata"]["name"].endswith("-")


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("replicaz=1", "additional properties 'replicaz' not allowed"),
        ("image.operator.tagg=x", "'/image/operator': additional properties 'tagg' not allowed"),
        ("image.operator.digest=abc", "'/image/operator/digest'"),
        ("artifacts.uri=ftp://models", "'/artifacts/uri'"),
        ("artifacts.uri=models", "'/artifacts/uri'"),
        ("operator.logLevel=loud", "'/operator/logLevel': value must be one of 'debug', 'info', 'warning', 'error'"),
        ("operator.replicas=0", "'/operator/replicas'"),
        ("watch.namespaces={Team}", "'/watch/namespaces/0'"),
        ("watch.namespaces=team", "'/watch/namespaces': got string, want array"),
        ("caBundle=hello", "'/caBundle'"),
        ("store.persistence.size=big", "'/store/persistence/size'"),
        ("imagePullPolicy=Sometimes", "'/imagePullPolicy'"),
        ("podEnv.A=1", "'/podEnv/A': got number, want string"),
        ("proxy.http=proxy:3128", "'/proxy/http'"),
        ("runAsUser=0", "'/runAsUser'"),
        ("monitoring.rules.enabled=true", "value must be one of 'Auto', 'Always', 'Never'"),
        ("monitoring.podMonitors.interval=often", "'/monitoring/podMonitors/interval'"),
        ("monitoring.rules.overrides.MainspringServiceSlow.fro=1m", "additional properties 'fro' not allowed"),
        ("store.enabled=false", "store.enabled is false: set artifacts.uri to the object store to use instead"),
    ],
)
def test_a_wrong_value_is_refused_by_name(setting: str, says: str) -> None:
    with pytest.raises(CommandFailed) as refused:
        rendering.template("default", setting)
    assert says in str(refused.value)


def test_every_default_is_described_by_the_schema_and_the_other_way_round() -> None:
    schema = json.loads((rendering.CHART / "values.schema.json").read_text())
    values = yaml.safe_load((rendering.CHART / "values.yaml").read_text())
    assert keys_of_schema(schema, schema["$defs"]) - {"global"} == keys_of_values(values)


def keys_of_schema(node: dict[str, object], definitions: dict[str, dict[str, object]], path: str = "") -> set[str]:
    reference = node.get("$ref")
    if isinstance(reference, str):
        node = definitions[reference.rsplit("/", 1)[1]]
    properties = node.get("properties")
    if not isinstance(properties, dict) or path.endswith("resources"):
        return {path}
    return {
        key
        for name, child in properties.items()
        for key in keys_of_schema(child, definitions, f"{path}.{name}".lstrip("."))
    }


def keys_of_values(values: object, path: str = "") -> set[str]:
    if not isinstance(values, dict) or not values or path.endswith("resources"):
        return {path}
    return {key for name, child in values.items() for key in keys_of_values(child, f"{path}.{name}".lstrip("."))}


def notes(*more: str) -> str:
    return rendering.helm("install", "x", rendering.CHART, "--dry-run=client", "--namespace", "ns", *more)


def test_the_notes_say_that_prometheus_must_be_let_in() -> None:
    monitored = ("--set", "monitoring.podMonitors.enabled=Always")
    assert "set monitoring.namespaces" in notes(*monitored)
    assert "set monitoring.namespaces" not in notes(*monitored, "--set", "monitoring.namespaces={monitoring}")
    assert "set monitoring.namespaces" not in notes()


def test_the_notes_say_what_to_do_next() -> None:
    shown = notes()
    assert "kubectl wait --for=condition=Ready inferenceservices.mainspring.dev/tumours" in shown
    assert "logs --namespace ns deployment/x-mainspring" in shown
    assert "kubectl create secret" in (rendering.CHART / "templates" / "NOTES.txt").read_text()
    assert "kubectl create secret" not in shown
