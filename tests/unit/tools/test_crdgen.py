"""CRDs: what the generator refuses, and that the chart carries the same bytes."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from mainspring.api.v1alpha1 import KINDS, TRAINING_RUN
from mainspring.tools import crdgen, schema


def test_the_chart_carries_the_bytes_of_crds() -> None:
    made = crdgen.files()
    for kind in KINDS:
        plain = made[f"crds/mainspring.dev_{kind.plural}.yaml"]
        template = made[f"charts/mainspring/templates/crds/mainspring.dev_{kind.plural}.yaml"]
        assert template == "{{- if .Values.crds.enabled }}\n" + plain + "{{- end }}\n"


def test_what_is_written_reads_back_as_what_was_made() -> None:
    assert [yaml.safe_load(crdgen.render(kind)) for kind in KINDS] == [crdgen.crd(kind) for kind in KINDS]


def test_generating_twice_gives_the_same_bytes() -> None:
    assert crdgen.files() == crdgen.files()


def test_uninstalling_and_pruning_keep_the_crds() -> None:
    for kind in KINDS:
        annotations = crdgen.crd(kind)["metadata"]["annotations"]
        assert annotations["helm.sh/resource-policy"] == "keep"
        assert annotations["argocd.argoproj.io/sync-options"] == "Prune=false,Delete=false"


def test_a_text_that_helm_would_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crdgen, "KINDS", [dataclasses.replace(TRAINING_RUN, description="{{ .Values }}")])
    with pytest.raises(schema.SchemaError, match="Helm"):
        crdgen.files()


def test_a_mutable_field_must_exist() -> None:
    with pytest.raises(schema.SchemaError, match="suspended"):
        crdgen.immutable_fields(dataclasses.replace(TRAINING_RUN, mutable=("suspended",)))


def test_a_crd_that_grew_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crdgen, "MAX_BYTES", 1000)
    with pytest.raises(schema.SchemaError, match="the limit is 1000"):
        crdgen.render(TRAINING_RUN)
