"""Data that is not as it should be: said so that a person knows what to correct, and never made current."""

from __future__ import annotations

from typing import Any

from mainspring.plan.common import objects
from mainspring.plan.common.objects import Manifest
from tests.e2e import manifests
from tests.e2e.space import Space

GOOD = "size,colour,kind\n" + "".join(f"{n},{'red' if n % 3 else 'blue'},{'ab'[n % 2]}\n" for n in range(40))
COLUMNS: list[dict[str, Any]] = [{"name": "size", "type": "Float"}, {"name": "colour", "type": "Category"}]


def from_file(name: str, file: str, **spec: Any) -> Manifest:
    source = {"configMap": {"name": "files", "key": file}}
    return manifests.dataset(name, **{"source": source, "target": "kind", **spec})


def test_each_fault_is_named_with_what_to_do(space: Space) -> None:
    files = {
        "good.csv": GOOD,
        "quotes.csv": GOOD.replace("\n7,red,b", '\n7,"red,b'),
        "ragged.csv": GOOD.replace("\n7,red,b", "\n7,red,b,7,7"),
        "text.csv": GOOD.replace("\n7,red,b", "\nseven,red,b"),
        "empty.csv": "size,colour,kind\n",
    }
    space.apply(
        manifests.config_map("files", **files),
        from_file("typo", "good.csv", target="kindd"),
        from_file("quotes", "quotes.csv"),
        from_file("ragged", "ragged.csv"),
        from_file("text", "text.csv", columns=COLUMNS),
        from_file("absent-column", "good.csv", columns=[*COLUMNS, {"name": "weight", "type": "Float"}]),
        from_file("empty", "empty.csv"),
        from_file("no-key", "gone.csv"),
        from_file("no-secret", "good.csv", source={"uri": "s3://lake/a.csv", "credentialsSecret": "lake-reader"}),
    )
    # The field of the spec that was mistyped, what it said, and the column that was probably meant.
    space.failed("Dataset", "typo", "MissingColumn", ["spec.target", "'kindd'", "did you mean 'kind'?"])
    space.failed("Dataset", "quotes", "SourceUnreadable", ["files/quotes.csv", "Line: 9", "quote"])
    space.failed(
        "Dataset", "ragged", "SourceUnreadable", ["files/ragged.csv", "Line: 9", "Expected Number of Columns: 3"]
    )
    space.failed("Dataset", "text", "InvalidRows", ["1 of 40 rows", "size", "not a number", "spec.maxInvalidFraction"])
    space.failed("Dataset", "absent-column", "MissingColumn", ["spec.columns[2].name", "'weight'"])
    space.failed("Dataset", "empty", "NoRows", ["spec.source"])
    space.failed("Dataset", "no-key", "SourceNotFound", ["files/gone.csv", "spec.source.configMap", "next try in"])
    space.failed("Dataset", "no-secret", "CreateContainerConfigError", ['secret "lake-reader" not found'])
    assert not space.every("DatasetVersion")
    # A check whose SQL is wrong is a check that was not passed.
    space.apply(
        from_file("bad-sql", "good.csv", checks=[{"name": "small", "sql": "SELECT * FROM dataset WHERE sise > 9"}])
    )
    space.failed("Dataset", "bad-sql", "ChecksFailed", ['check "small"', '"sise" not found', '"size"'])


def test_a_broken_check_keeps_the_current_version(space: Space) -> None:
    check = {"name": "sizes-are-positive", "sql": "SELECT * FROM dataset WHERE size < 0"}
    space.apply(manifests.config_map("files", **{"good.csv": GOOD}), from_file("parts", "good.csv", checks=[check]))
    first = space.current("Dataset", "parts", "Current")["status"]["current"]

    space.apply(manifests.config_map("files", **{"good.csv": GOOD.replace("\n7,", "\n-7,")}))
    space.annotate("Dataset", "parts", refresh="monday")
    broken = space.failed("Dataset", "parts", "ChecksFailed", ["sizes-are-positive", "1 row", f"{first} stays current"])
    assert broken["status"]["current"] == first
    latest = space.get("DatasetVersion", broken["status"]["latest"])
    assert objects.condition_is(latest, "Valid", "False")

    space.apply(manifests.config_map("files", **{"good.csv": GOOD.replace("\n7,", "\n77,")}))
    space.annotate("Dataset", "parts", refresh="tuesday")
    healed = space.current("Dataset", "parts", "Current", heals=True)
    assert healed["status"]["current"] not in (first, broken["status"]["latest"])


def test_bad_data_that_was_corrected_is_looked_at_again(space: Space) -> None:
    space.apply(manifests.config_map("files", **{"a.csv": GOOD.replace("kind", "sort")}), from_file("parts", "a.csv"))
    space.failed("Dataset", "parts", "MissingColumn", ["spec.target", "mainspring.dev/refresh"])
    space.apply(manifests.config_map("files", **{"a.csv": GOOD}))
    space.annotate("Dataset", "parts", refresh="corrected")
    space.current("Dataset", "parts", "Current", heals=True)
