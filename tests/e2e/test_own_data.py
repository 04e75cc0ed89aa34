"""A user's own CSV files in the S3 store: read, trained on, and looked at again when asked."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.csv

from mainspring_runtime.data import samples
from tests.e2e import manifests
from tests.e2e.space import Space


def csv(table: pa.Table) -> bytes:
    text = io.BytesIO()
    pyarrow.csv.write_csv(table, text)
    return text.getvalue()


def test_own_files_become_data_a_model_and_then_more_data(space: Space) -> None:
    rows = samples.table("iris")
    # First a Dataset that waits for its data: the bucket and its credentials come with it.
    uri = f"s3://ns-{space.name}/flowers/"
    source = {"uri": uri, "format": "CSV"}
    space.apply(manifests.dataset(source=source), manifests.model(), manifests.run())
    space.failed("Dataset", "flowers", "SourceNotFound", [uri, "spec.source.uri", "next try in"])
    space.put("flowers/january.csv", csv(rows.slice(0, 120)))
    space.annotate("Dataset", "flowers", refresh="january")
    first = space.current("Dataset", "flowers", "Current", heals=True)
    assert first["status"]["rows"] == 120

    run = space.current("TrainingRun", "first", "Succeeded")
    assert run["status"]["lineage"]["datasetVersion"] == first["status"]["current"]
    space.current("Model", "flowers", "Champion")

    # Nothing new: no new version. Then a file more: a new one, and the old one stays for those who used it.
    space.annotate("Dataset", "flowers", refresh="february")
    trigger = first["status"]["trigger"]
    space.eventually(lambda: space.get("Dataset", "flowers")["status"]["trigger"] != trigger, "the refresh is answered")
    assert space.current("Dataset", "flowers")["status"]["current"] == first["status"]["current"]
    assert len(space.every("DatasetVersion")) == 1
    space.put("flowers/march.csv", csv(rows.slice(120)))
    space.annotate("Dataset", "flowers", refresh="march")
    space.eventually(lambda: space.get("Dataset", "flowers")["status"]["rows"] == 150, "all rows are current")
    assert len(space.every("DatasetVersion")) == 2
