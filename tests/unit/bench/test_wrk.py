"""What `wrk` is told, and what is read from its output."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.serving import wrk
from tests.bench.serving.wrk import Answers, NotAnswered

PRINTED = """Running 3s test @ http://127.0.0.1:8080/v2/models/m/infer
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     3.17ms    1.02ms  12.10ms   86.20%%
Requests/sec:   4876.38
measured {"requests":14644,"microseconds":3003049,"p50":3017,"p99":7008,"refused":%d,"broken":%d}
"""


def test_figures_are_read_from_the_line_of_our_script() -> None:
    assert wrk.parse(PRINTED % (0, 0)) == Answers(requests=14644, seconds=3.003049, p50_ms=3.017, p99_ms=7.008)


def test_the_rate_is_that_of_the_time_that_was_really_taken() -> None:
    assert wrk.parse(PRINTED % (0, 0)).rate == pytest.approx(4876.4, abs=0.1)


@pytest.mark.parametrize(("refused", "broken"), [(3, 0), (0, 1)])
def test_error_answers_and_broken_connections_are_never_measured(refused: int, broken: int) -> None:
    with pytest.raises(NotAnswered, match=f"{refused} of 14644 answers were errors, {broken} connections"):
        wrk.parse(PRINTED % (refused, broken))


def test_no_answer_at_all_is_no_measurement() -> None:
    with pytest.raises(NotAnswered, match="0 of 0"):
        wrk.parse('measured {"requests":0,"microseconds":3000000,"p50":0,"p99":0,"refused":0,"broken":0}')


def test_output_without_our_line_is_shown() -> None:
    with pytest.raises(NotAnswered, match="unable to connect"):
        wrk.parse("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_the_script_reads_the_body_from_a_file_and_sets_every_header() -> None:
    script = wrk.script(Path("/tmp/body"), {"Content-Type": "application/json", "X-Odd": 'a "quoted" one'})
    assert 'io.open("/tmp/body", "rb")' in script
    assert 'wrk.headers["Content-Type"] = "application/json"' in script
    assert 'wrk.headers["X-Odd"] = "a \\"quoted\\" one"' in script
    assert script.count("{") == script.count("}")
