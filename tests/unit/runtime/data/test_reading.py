"""Files become the table `dataset`, or an error that names the file and the line."""

from __future__ import annotations

import re

import pytest

from mainspring.api.v1alpha1.dataset import Format
from mainspring_runtime.data import reading
from mainspring_runtime.errors import PermanentError
from tests.unit.runtime.data.preparing import Workshop, two_classes

BODY = "".join(f"{number},{number % 2}\n" for number in range(20))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_told_by_the_header(workshop: Workshop, delimiter: str) -> None:
    rows = "".join(f'"{number},5;x|\t"{delimiter}{number % 2}\n' for number in range(20))
    made = workshop.prepare_csv(f'"a,b;c|d\te"{delimiter}y\n{rows}')
    assert set(made.columns()) == {"a,b;c|d\te", "y"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv.gz", "x,y\n" + BODY),
        ("rows.tsv", "x\ty\n" + BODY.replace(",", "\t")),
        ("rows.csv", "\ufeffx,y\n" + BODY),
        ("rows.csv", "x,y\r\n" + BODY.replace("\n", "\r\n")),
        ("ROWS.CSV", "x,y\n" + BODY),
        ("rows.jsonl.gz", "".join(f'{{"x": {number}, "y": {number % 2}}}\n' for number in range(20))),
        ("rows.ndjson", "".join(f'{{"x": {number}, "y": {number % 2}}}\n' for number in range(20))),
        ("strange*[1] name.csv", "x,y\n" + BODY),
    ],
)
def test_text_files_in_their_variants(workshop: Workshop, name: str, content: str) -> None:
    made = workshop.prepare({"source": {"uri": workshop.text(content, name)}, "target": "y"})
    assert sorted(made.values("x")) == list(range(20))
    assert made.columns()["x"]["type"] == "Integer"


def test_quoted_line_breaks_and_quotes_are_part_of_the_value(workshop: Workshop) -> None:
    made = workshop.prepare_csv('text,y\n"two\nlines",1\n"says ""hi""",0\n' + "plain,1\n" * 3)
    assert set(made.values("text")) == {"two\nlines", 'says "hi"', "plain"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("x,y\n1,0\n2\n3,1\n", "Line: 3.*Expected Number of Columns: 2 Found: 1"),
        ("x,y\n1,0\n2,1,9\n", "Line: 3.*Expected Number of Columns: 2 Found: 3"),
        ('x,y\n1,0\n"2,1\n', "Line: 3.*unterminated quote"),
        (b"x,y\n1,0\ncaf\xe9,1\n", "Line: 3.*not utf-8"),
        (b"caf\xe9,y\n1,0\n", "line 1.*UTF-8"),
        ("x,x,y\n1,2,3\n", "line 1: the column 'x' occurs more than once"),
    ],
)
def test_a_broken_csv_names_file_and_line(workshop: Workshop, content: str | bytes, words: str) -> None:
    with pytest.raises(PermanentError) as caught:
        workshop.prepare({"source": {"uri": workshop.text(content, "broken.csv")}, "target": "y"})
    assert caught.value.reason == "SourceUnreadable"
    assert "source/broken.csv cannot be read" in caught.value.message
    assert "/work-0/" not in caught.value.message
    assert re.search(words, caught.value.message, re.DOTALL)


@pytest.mark.parametrize(
    ("name", "content"),
    [("broken.parquet", "not parquet"), ("broken.jsonl", '{"x": 1, "y": 0}\n{"x":\n'), ("broken.csv.gz", "")],
)
def test_other_broken_files_name_the_file(workshop: Workshop, name: str, content: str) -> None:
    uri = workshop.text(content, name)
    if name.endswith(".gz"):
        (workshop.root / "source" / name).write_bytes(b"no gzip at all")
    with pytest.raises(PermanentError, match=f"source/{name} cannot be read") as caught:
        workshop.prepare({"source": {"uri": uri}, "target": "y"})
    assert caught.value.reason == "SourceUnreadable"


def test_a_column_without_a_name_gets_one(workshop: Workshop) -> None:
    rows = "".join(f"{number},{number / 3},{number % 2}\n" for number in range(20))
    assert list(workshop.prepare_csv(",x,y\n" + rows).columns()) == ["unnamed_1", "x", "y"]


@pytest.mark.parametrize("content", ["", "\n", "x,y\n"])
def test_a_file_without_rows_is_an_error(workshop: Workshop, content: str) -> None:
    with pytest.raises(PermanentError) as caught:
        workshop.prepare_csv(content)
    assert caught.value.reason == "NoRows"


def test_the_files_of_a_prefix_are_one_table(workshop: Workshop) -> None:
    workshop.text("x,y\n1,0\n2,1\n3,0\n", "lake/a.csv")
    workshop.text("y;x;z\n1;4;9.5\n0;5;\n1;6;1\n", "lake/deeper/b.csv")
    workshop.text("ignored", "lake/_SUCCESS")
    workshop.text("", "lake/empty.csv")
    made = workshop.prepare({"source": {"uri": (workshop.root / "source/lake").as_uri() + "/"}, "target": "y"})
    rows = {
        (x, z)
        for side in ("train", "test")
        for x, z in zip(*(made.values(name, side) for name in ("x", "z")), strict=True)
    }
    assert rows == {(1, None), (2, None), (3, None), (4, 9.5), (5, None), (6, 1.0)}
    assert made.columns()["z"]["nullable"]


def test_parquet_files_with_other_columns_are_joined_by_name(workshop: Workshop) -> None:
    workshop.parquet({"x": [1.0, 2.0] * 5, "y": [0, 1] * 5}, "lake/a.parquet")
    workshop.parquet({"y": [0, 1] * 5, "w": [3.0, 4.0] * 5}, "lake/b.parquet")
    made = workshop.prepare({"source": {"uri": (workshop.root / "source/lake").as_uri() + "/"}, "target": "y"})
    assert [made.column(name).missing for name in ("x", "w")] == [10, 10]


@pytest.mark.parametrize(
    ("names", "declared", "expected"),
    [
        (["a/rows.CSV"], None, Format.CSV),
        (["rows.pq"], None, Format.PARQUET),
        (["data.txt"], Format.JSON_LINES, Format.JSON_LINES),
        (["a.csv", "b.csv.gz"], None, Format.CSV),
    ],
)
def test_format_by_declaration_or_name(names: list[str], declared: Format | None, expected: Format) -> None:
    assert reading.format_of(names, declared) is expected


@pytest.mark.parametrize("names", [["data.txt"], ["a.csv", "b.parquet"], ["rows"]])
def test_an_unclear_format_is_asked_for(names: list[str]) -> None:
    with pytest.raises(PermanentError, match=r"set spec\.source\.format") as caught:
        reading.format_of(names, None)
    assert caught.value.reason == "UnknownFormat"


def test_nested_columns_are_refused_by_name(workshop: Workshop) -> None:
    columns = two_classes(20) | {"tags": [["a", "b"]] * 20}
    with pytest.raises(PermanentError, match=r"the column 'tags' has the type VARCHAR\[\].*spec\.prepare") as caught:
        workshop.prepare_rows(columns)
    assert caught.value.reason == "InvalidColumn"
    spec = {"prepare": [{"name": "flat", "sql": "SELECT * EXCLUDE tags, tags[1] AS tag FROM dataset"}]}
    assert "tag" in workshop.prepare_rows(columns, spec).columns()


def test_json_of_mixed_types_and_null_only_columns(workshop: Workshop) -> None:
    rows = [
        f'{{"mixed": {number if number % 2 else chr(34) + "n/a" + chr(34)}, "nothing": null, "y": {number % 2}}}'
        for number in range(20)
    ]
    made = workshop.prepare({"source": {"uri": workshop.text("\n".join(rows), "rows.jsonl")}, "target": "y"})
    assert made.columns()["mixed"]["type"] == "Integer"
    assert made.column("mixed").missing == 10
    assert (made.columns()["nothing"]["type"], made.column("nothing").missing) == ("Float", 20)
