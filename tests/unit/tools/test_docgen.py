"""The API reference: every field is there, and the example is one that tests apply."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.api.v1alpha1 import BY_KIND, KINDS, MODEL
from mainspring.api.v1alpha1.common import DURATION_PATTERN, Kind
from mainspring.tools import crdgen, docgen

EXAMPLE = """\
apiVersion: mainspring.dev/v1alpha1
kind: Dataset
metadata: {name: d}
---
apiVersion: mainspring.dev/v1alpha1
kind: Model
metadata: {name: m}  # the registry entry
spec: {}
"""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_field_has_a_row(kind: Kind, tmp_path: Path) -> None:
    page = docgen.page(kind, tmp_path)
    properties = crdgen.root_schema(kind)["properties"]
    for part in ("spec", "status"):
        for section in docgen.sections(part, properties[part]):
            assert f"### `{section.path}`" in page
            for name in section.node["properties"]:
                assert f"\n| `{name}` | " in page


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_row_has_four_cells(kind: Kind, tmp_path: Path) -> None:
    rows = [line for line in docgen.page(kind, tmp_path).splitlines() if line.startswith("| ")]
    assert {row.replace("\\|", "").count("|") for row in rows} == {5}


def test_rules_are_told_and_immutability_once(tmp_path: Path) -> None:
    page = docgen.page(BY_KIND["TrainingRun"], tmp_path)
    assert "- Rule: exactly one of estimator, container must be set." in page
    assert "after creation only `suspend` and `ttlAfterFinished` can be changed in the spec" in page
    assert "spec.deadline cannot be changed" not in page


def test_the_index_lists_every_kind() -> None:
    index = docgen.index()
    assert all(f"[{kind.kind}]({kind.singular}.md)" in index for kind in KINDS)


def test_the_example_comes_from_the_examples_with_its_comments(tmp_path: Path) -> None:
    (tmp_path / "01-first").mkdir()
    (tmp_path / "01-first" / "all.yaml").write_text(EXAMPLE)
    page = docgen.page(MODEL, tmp_path)
    assert "## Example: `examples/01-first/all.yaml`" in page
    assert "metadata: {name: m}  # the registry entry" in page
    assert "name: d}" not in page


def test_without_an_example_there_is_no_heading_for_one(tmp_path: Path) -> None:
    assert "## Example" not in docgen.page(MODEL, tmp_path)


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ({"type": "string", "pattern": DURATION_PATTERN, "maxLength": 32}, "duration"),
        ({"type": "string", "enum": ["A"]}, "enum"),
        ({"type": "string", "pattern": "^(A|B)$"}, "enum"),
        ({"type": "array", "items": {"type": "integer"}}, "list of integer"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "map of string"),
        ({"type": "object", "additionalProperties": {"x-kubernetes-preserve-unknown-fields": True}}, "any object"),
        ({"type": "string", "format": "date-time"}, "time"),
    ],
)
def test_types_are_told_in_a_word_or_a_few(node: dict[str, object], words: str) -> None:
    assert docgen.type_of(node) == words
