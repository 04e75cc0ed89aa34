"""Two teams use the same names in two namespaces; neither can read or write what is the other's."""

from __future__ import annotations

from pathlib import Path

import obstore
import pytest
from obstore.exceptions import BaseError

from tests.demo import store
from tests.e2e import artifacts, manifests
from tests.e2e.conftest import SpaceMaker


def test_the_same_names_in_two_namespaces_stay_apart(make_space: SpaceMaker, flower_model: Path) -> None:
    ours, theirs = make_space("team"), make_space("team")
    for team in (ours, theirs):
        team.apply(manifests.model(), manifests.service(), manifests.dataset())
        artifacts.import_version(team, flower_model)
    for team in (ours, theirs):
        team.current("InferenceService", "flowers", "Serving")
        team.current("Dataset", "flowers", "Current")
        assert team.predict("flowers", manifests.FLOWERS)["outputs"][0]["data"] == manifests.SPECIES

    theirs.put("private.csv", b"secret")
    ours.put("own.csv", b"ours")
    with store.access(ours.name):
        assert bytes(obstore.get(store.bucket(ours.name), "own.csv").bytes()) == b"ours"
        forbidden = store.bucket(theirs.name)
        with pytest.raises(BaseError, match=r"403|AccessDenied|Access Denied"):
            obstore.get(forbidden, "private.csv")
        with pytest.raises(BaseError, match=r"403|AccessDenied|Access Denied"):
            obstore.put(forbidden, "private.csv", b"changed")
        with pytest.raises(BaseError, match=r"403|AccessDenied|Access Denied"):
            obstore.list(forbidden).collect()
    with store.access(theirs.name):
        assert bytes(obstore.get(store.bucket(theirs.name), "private.csv").bytes()) == b"secret"

    # A Dataset cannot read across either: the Job has the credentials of its own namespace.
    source = {"uri": f"s3://ns-{theirs.name}/private.csv"}
    ours.apply(manifests.dataset("stolen", source=source))
    ours.failed("Dataset", "stolen", "SourceDenied", [source["uri"], "spec.source.credentialsSecret"])
