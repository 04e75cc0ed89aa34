"""Sources by the names that users know them by."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.api.v1alpha1.dataset import Format, Source
from mainspring_runtime.data import reading, sources
from mainspring_runtime.errors import RetryableError


def opened(folder: Path, key: str) -> sources.Source:
    spec = Source.model_validate({"configMap": {"name": "files", "key": key}})
    return sources.open_source(spec, sources.Places(work=folder / "work", source=folder))


@pytest.mark.parametrize(("key", "found"), [("good.csv", Format.CSV), ("good.jsonl", Format.JSON_LINES)])
def test_the_format_of_a_config_map_key_is_told_by_its_ending(tmp_path: Path, key: str, found: Format) -> None:
    (tmp_path / key).write_text("")
    names = [file.name for file in opened(tmp_path, key).fetch()]
    assert reading.format_of(names, None) is found


def test_a_missing_config_map_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        RetryableError, match=r"no ConfigMap key files/gone\.csv; add it or change spec\.source\.configMap"
    ):
        opened(tmp_path, "gone.csv").versions()
