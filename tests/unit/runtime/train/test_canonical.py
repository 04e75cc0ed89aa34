from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from mainspring_runtime.train import canonical

FIT = """
import hashlib, sys
import numpy as np, skops.io
from sklearn.ensemble import RandomForestClassifier
from mainspring_runtime.train.canonical import canonical_skops
generator = np.random.default_rng(0)
features = generator.normal(size=(80, 4))
labels = np.array(["no", "yes"], dtype=object)[(features[:, 0] > 0).astype(int)]
junk = [object() for _ in range(int(sys.argv[1]))]
model = RandomForestClassifier(5, random_state=0, class_weight={"no": 1.0, "yes": 2.0}).fit(features, labels)
model.kept_ = {"alpha", "beta", "gamma", "delta"}
print(hashlib.sha256(canonical_skops(skops.io.dumps(model))).hexdigest())
"""


def digest_in_a_process(seed: int) -> str:
    environment = os.environ | {"PYTHONHASHSEED": str(seed)}
    return subprocess.run(
        [sys.executable, "-c", FIT, str(seed * 1000)], env=environment, check=True, capture_output=True, text=True
    ).stdout


def test_a_model_is_the_same_bytes_in_another_process() -> None:
    assert digest_in_a_process(1) == digest_in_a_process(2)


def content(model: object) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(canonical.canonical_skops(skops.io.dumps(model)))) as archive:
        assert {info.date_time for info in archive.infolist()} == {canonical.EPOCH}
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_canonical_file_loads_and_predicts_the_same() -> None:
    generator = np.random.default_rng(0)
    features, labels = generator.normal(size=(80, 4)), generator.integers(0, 2, 80)
    model = RandomForestClassifier(5, random_state=0).fit(features, labels)
    data = canonical.canonical_skops(skops.io.dumps(model))
    loaded = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
    np.testing.assert_array_equal(loaded.predict_proba(features), model.predict_proba(features))


def test_one_object_in_two_places_is_still_one_object() -> None:
    shared = np.arange(3.0)
    model = LogisticRegression()
    model.first_, model.second_, model.other_ = shared, shared, shared.copy()
    data = canonical.canonical_skops(skops.io.dumps(model))
    loaded = skops.io.loads(data)
    assert loaded.first_ is loaded.second_
    assert loaded.first_ is not loaded.other_


def test_names_do_not_tell_addresses() -> None:
    files = content(LogisticRegression().fit([[0.0], [1.0]], [0, 1]))
    assert all(len(name.partition(".")[0]) < 4 for name in files if name != canonical.SCHEMA)
    assert "__id__" in files[canonical.SCHEMA].decode()
    json.loads(files[canonical.SCHEMA])


@pytest.mark.parametrize("junk", [0, 255])
def test_padding_between_fields_is_zero_whatever_was_in_memory(junk: int) -> None:
    kind = np.dtype([("flag", "u1"), ("value", "f8")], align=True)
    array = np.frombuffer(bytes([junk]) * kind.itemsize * 2, dtype=kind).copy()
    array["flag"], array["value"] = 1, 2.0
    sink = io.BytesIO()
    np.save(sink, array)
    clean = np.load(io.BytesIO(canonical._canonical_array(sink.getvalue())))
    assert clean["value"].tolist() == [2.0, 2.0]
    assert [row.tobytes()[1:8] for row in clean] == [bytes(7)] * 2
