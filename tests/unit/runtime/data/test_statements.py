"""SQL of the user: what it may do, and what is refused with which words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from mainspring_runtime.errors import PermanentError
from tests.unit.runtime.data.preparing import Made, Workshop, two_classes


def prepare(workshop: Workshop, *statements: str, **task: Any) -> Made:
    spec = {"prepare": [{"name": f"step-{number}", "sql": sql} for number, sql in enumerate(statements)]}
    return workshop.prepare_rows(two_classes(60), spec, **task)


def failure(workshop: Workshop, *statements: str) -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        prepare(workshop, *statements)
    assert caught.value.reason == "PrepareFailed"
    return caught.value


def test_statements_run_in_order(workshop: Workshop) -> None:
    made = prepare(
        workshop,
        "SELECT * EXCLUDE c, x * 2 AS x2 FROM dataset WHERE n <> 0",
        "WITH big AS (SELECT * FROM dataset WHERE x2 > 3) SELECT * FROM big -- with a comment",
        "FROM dataset ORDER BY x2 LIMIT 30",
    )
    assert list(made.columns()) == ["id", "x", "n", "y", "x2"]
    assert made.report.rows == 30


def test_csv_columns_have_types_in_prepare(workshop: Workshop) -> None:
    rows = "".join(f"{n},2026-01-{n % 28 + 1:02},{n % 2}\n" for n in range(60))
    spec = {
        "prepare": [{"name": "late", "sql": "SELECT * FROM dataset WHERE x >= 10 AND day > TIMESTAMP '2026-01-05'"}]
    }
    made = workshop.prepare_csv("x,day,y\n" + rows, spec)
    assert made.column("x").minimum == 10


def test_other_datasets_are_tables(workshop: Workshop) -> None:
    sites = workshop.prepare_rows({"n": list(range(5)) * 4, "beds": [10.0 * n for n in range(5)] * 4, "y": [0, 1] * 10})
    spec = {
        "inputs": [{"name": "sites", "dataset": "hospitals"}],
        "prepare": [
            {
                "name": "join",
                "sql": "SELECT d.*, s.beds FROM dataset d JOIN (SELECT DISTINCT n, beds FROM sites) s USING (n)",
            }
        ],
    }
    reference = sites.reference().model_copy(update={"name": "sites"})
    made = workshop.prepare_rows(two_classes(60), spec, inputs=[reference])
    assert made.report.rows == 60
    assert {(n, beds) for n, beds in zip(made.values("n"), made.values("beds"), strict=True)} == {
        (n, 10.0 * n) for n in range(5)
    }


def test_the_table_of_another_dataset_has_its_rows_without_a_target_too(workshop: Workshop) -> None:
    columns = {"n": list(range(20)), "beds": [1.0] * 20, "y": [None, *([0, 1] * 9), 0]}
    reference = workshop.prepare_rows(columns).reference().model_copy(update={"name": "sites"})
    spec = {
        "inputs": [{"name": "sites", "dataset": "hospitals"}],
        "prepare": [{"name": "count", "sql": "SELECT d.*, (SELECT count(*) FROM sites) AS sites FROM dataset d"}],
    }
    assert set(workshop.prepare_rows(two_classes(40), spec, inputs=[reference]).values("sites")) == {20}


def test_an_input_may_not_take_the_name_of_the_dataset(workshop: Workshop) -> None:
    reference = workshop.prepare_rows(two_classes(20)).reference().model_copy(update={"name": "dataset"})
    with pytest.raises(PermanentError, match="'dataset' is taken") as caught:
        workshop.prepare_rows(two_classes(20), inputs=[reference])
    assert caught.value.reason == "InvalidSpec"


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELEC * FROM dataset", 'is not valid SQL: Parser Error: syntax error at or near "SELEC"'),
        ("SELECT nothing FROM dataset", 'Referenced column "nothing" not found'),
        ("SELECT * FROM datasets", "Table with name datasets does not exist"),
        ("SELECT 1; SELECT 2", "must be a single SELECT"),
        ("DELETE FROM dataset", "must be a single SELECT"),
        ("CREATE TABLE t AS SELECT 1", "must be a single SELECT"),
        ("COPY dataset TO 'out.csv'", "must be a single SELECT"),
        ("ATTACH 'x.db'", "must be a single SELECT"),
        ("SET threads = 8", "must be a single SELECT"),
        ("EXPLAIN SELECT 1", "must be a single SELECT"),
        ("", "must be a single SELECT"),
        ("SELECT * FROM dataset WHERE x > $limit", r"uses the parameter \$limit; only checks have \$refreshed_at"),
    ],
)
def test_only_one_valid_select(workshop: Workshop, sql: str, words: str) -> None:
    if not sql:
        sql = "-- nothing but a comment"
    error = failure(workshop, "SELECT * FROM dataset", sql)
    assert error.message.startswith("spec.prepare[1] (step-1) ")
    assert re.search(words, error.message)


@pytest.mark.parametrize(
    "expression",
    [
        "random()", "now()", "NOW()", "uuid()", "gen_random_uuid()", "today()", "current_date", "CURRENT_TIMESTAMP", "localtimestamp",
        "current_localtimestamp()", "get_current_timestamp()", "age(TIMESTAMP '2020-01-01')", "ago(INTERVAL 1 DAY)", "txid_current()",
        "(SELECT max(r) FROM (SELECT random() AS r))", "list_transform([1], v -> v + random())", "sum(random()) OVER ()", "setseed(0.5)",
    ],
)  # fmt: skip
def test_the_clock_and_chance_are_refused(workshop: Workshop, expression: str) -> None:
    assert "gives another value each time" in failure(workshop, f"SELECT *, {expression} AS v FROM dataset").message


@pytest.mark.parametrize(
    "clause", ["USING SAMPLE 10", "TABLESAMPLE 10%", "USING SAMPLE reservoir(5 ROWS) REPEATABLE (3)"]
)
def test_samples_are_refused(workshop: Workshop, clause: str) -> None:
    assert "draws a sample" in failure(workshop, f"SELECT * FROM dataset {clause}").message


def test_a_column_may_be_called_like_the_clock_when_it_is_qualified(workshop: Workshop) -> None:
    columns = two_classes(40) | {"current_date": [1.5] * 40}
    spec = {
        "prepare": [
            {
                "name": "pick",
                "sql": "SELECT d.current_date AS day, id, x, y, age(TIMESTAMP '2020-02-01', TIMESTAMP '2020-01-01')::VARCHAR AS a FROM dataset d",
            }
        ]
    }
    assert "day" in workshop.prepare_rows(columns, spec).columns()


@pytest.mark.parametrize(
    "relation",
    [
        "read_csv('{secret}')", "read_text('{secret}')", "'{secret}'", "read_blob('{directory}/*')", "glob('{directory}/*')", "parquet_metadata('{secret}')",
        "read_csv('https://example.org/x.csv')", "sniff_csv('{secret}')",
    ],
)  # fmt: skip
def test_no_other_file_can_be_read(workshop: Workshop, tmp_path: Path, relation: str) -> None:
    (tmp_path / "secret.csv").write_text("a\ntop secret\n")
    error = failure(workshop, f"SELECT * FROM {relation.format(secret=tmp_path / 'secret.csv', directory=tmp_path)}")
    assert "disabled by configuration" in error.message or "does not exist" in error.message
    assert "top secret" not in error.message


def test_variables_of_the_program_cannot_be_read(workshop: Workshop) -> None:
    assert "does not exist" in failure(workshop, "SELECT * FROM task").message


def test_a_failed_conversion_does_not_show_the_value(workshop: Workshop) -> None:
    message = failure(workshop, "SELECT *, CAST(id AS INTEGER) AS number FROM dataset").message
    assert "Could not convert string '…'" in message
    assert "row-" not in message


def test_an_empty_result_is_no_rows(workshop: Workshop) -> None:
    with pytest.raises(PermanentError) as caught:
        prepare(workshop, "SELECT * FROM dataset WHERE false")
    assert caught.value.reason == "NoRows"


def test_sums_and_limits_are_the_same_each_time(workshop: Workshop) -> None:
    rows: dict[str, list[Any]] = {
        "g": [n % 500 for n in range(50_000)],
        "v": [((n * 7919) % 10_007) / 9973 for n in range(50_000)],
    }
    spec = {
        "prepare": [
            {"name": "sums", "sql": "SELECT g, sum(v) AS s, sum(v) > 50 AS y FROM dataset GROUP BY g LIMIT 400"}
        ]
    }
    digests = {workshop.prepare_rows(rows, spec).report.digest for _ in range(3)}
    assert len(digests) == 1
