"""The locked environments of other servers."""

from __future__ import annotations

import pytest

from tests.bench.serving import peers
from tests.cluster import paths
from tests.interop import environments


def versions(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return dict(line.split("==") for line in lines)


@pytest.mark.parametrize("peer", [peers.KSERVE, peers.MLSERVER])
def test_a_lock_names_one_version_of_everything_that_our_joblib_file_depends_on(peer: str) -> None:
    ours = versions((paths.REPO / "tests/requirements.lock").read_text())
    theirs = versions((environments.LOCKS / f"{peer}.lock").read_text())
    assert peer in theirs
    for name in ("scikit-learn", "numpy", "scipy", "joblib"):
        assert theirs[name] == ours[name], f"{name} of {peer} cannot load what ours stores"
