"""Where rows come from, and how a source says that it has changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.api.v1alpha1.dataset import ConfigMapKey
from mainspring.api.v1alpha1.dataset import Source as SourceSpec
from mainspring_runtime.data import sources
from mainspring_runtime.data.sources import Places, Source, open_source
from mainspring_runtime.errors import PermanentError, RetryableError
from tests.unit.runtime.data.preparing import Workshop
from tests.unit.runtime.webserver import Answer, Request, WebServer, web_server

CSV = b"x,y\n1,0\n2,1\n"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    (tmp_path / "work").mkdir()
    (tmp_path / "source").mkdir()
    return Places(tmp_path / "work", tmp_path / "source")


def by_uri(uri: str, places: Places) -> Source:
    return open_source(SourceSpec(uri=uri), places)


def test_a_configmap_key_is_a_file(places: Places) -> None:
    spec = SourceSpec(config_map=ConfigMapKey(name="numbers", key="rows.csv"))
    (places.source / "rows.csv").write_bytes(CSV)
    source = open_source(spec, places)
    before = source.versions()
    assert source.fetch()[0].path.read_bytes() == CSV
    (places.source / "rows.csv").write_bytes(CSV + b"3,0\n")
    assert open_source(spec, places).versions() != before


def test_a_configmap_source_is_prepared(workshop: Workshop) -> None:
    workshop.text("x,y\n" + "".join(f"{n},{n % 2}\n" for n in range(20)), "rows.csv")
    made = workshop.prepare({"source": {"configMap": {"name": "numbers", "key": "rows.csv"}}, "target": "y"})
    assert made.report.rows == 20


def test_an_absent_key_may_still_come(places: Places) -> None:
    with pytest.raises(RetryableError, match="there is no ConfigMap key numbers/rows") as caught:
        open_source(SourceSpec(config_map=ConfigMapKey(name="numbers", key="rows.csv")), places).versions()
    assert caught.value.reason == "SourceNotFound"


def test_a_prefix_is_listed_in_order_without_markers(places: Places) -> None:
    for name in ("b.csv", "a/c.csv", "_SUCCESS", ".hidden.csv", "_delta_log/0.json"):
        (places.source / name).parent.mkdir(exist_ok=True)
        (places.source / name).write_bytes(CSV)
    (places.source / "empty.csv").touch()
    source = by_uri(places.source.as_uri() + "/", places)
    assert [version[0] for version in source.versions()] == ["a/c.csv", "b.csv"]
    assert [file.name for file in source.fetch()] == [(places.source / name).as_uri() for name in ("a/c.csv", "b.csv")]


def test_a_changed_file_has_another_version(places: Places) -> None:
    path = places.source / "rows.csv"
    path.write_bytes(CSV)
    before = by_uri(path.as_uri(), places).versions()
    assert by_uri(path.as_uri(), places).versions() == before
    path.write_bytes(CSV.replace(b"2", b"3"))
    assert by_uri(path.as_uri(), places).versions() != before


@pytest.mark.parametrize("name", ["nothing.csv", "nothing/", "nowhere/rows.csv"])
def test_nothing_there_yet_is_worth_another_attempt(places: Places, name: str) -> None:
    with pytest.raises(RetryableError, match="there is nothing at") as caught:
        by_uri(f"{places.source.as_uri()}/{name}", places).versions()
    assert caught.value.reason == "SourceNotFound"


@pytest.fixture
def answers() -> dict[str, Answer]:
    """What the web server says to `METHOD path`; 404 otherwise."""
    return {}


@pytest.fixture
def web(tmp_path: Path, answers: dict[str, Answer], monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    def answer(request: Request) -> Answer:
        return answers.get(f"{request.method} {request.path}", Answer(404))

    with web_server(tmp_path, answer) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        yield server


@pytest.mark.parametrize("headers", [{"ETag": '"abc"'}, {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}])
def test_a_web_server_that_states_a_version_is_not_read_twice(
    web: WebServer, answers: dict[str, Answer], places: Places, headers: dict[str, str]
) -> None:
    answers["HEAD /rows.csv"] = answers["GET /rows.csv"] = Answer(headers=headers, body=CSV)
    source = by_uri(f"{web.url}/rows.csv", places)
    assert next(iter(headers.values())) in source.versions()[0][1]
    assert [request.method for request in web.requests] == ["HEAD"]
    assert [file.path.read_bytes() for file in source.fetch()] == [CSV]
    assert [request.method for request in web.requests] == ["HEAD", "GET"]


@pytest.mark.parametrize("head", [Answer(405), Answer(200)])
def test_without_a_stated_version_the_content_decides(
    web: WebServer, answers: dict[str, Answer], places: Places, head: Answer
) -> None:
    answers |= {"HEAD /rows.csv?day=1": head, "GET /rows.csv?day=1": Answer(body=CSV)}
    uri = f"{web.url}/rows.csv?day=1"
    first = by_uri(uri, places)
    before = first.versions()
    assert first.fetch()[0].path.name == "00000.csv"
    assert [request.method for request in web.requests] == ["HEAD", "GET"]
    assert by_uri(uri, places).versions() == before
    answers["GET /rows.csv?day=1"] = Answer(body=CSV + b"3,0\n")
    assert by_uri(uri, places).versions() != before


def test_a_web_file_is_prepared(web: WebServer, answers: dict[str, Answer], workshop: Workshop) -> None:
    body = b"x,y\n" + b"".join(b"%d,%d\n" % (n, n % 2) for n in range(30))
    answers["GET /moved.csv"] = Answer(302, {"Location": "/rows.csv"})
    answers["GET /rows.csv"] = Answer(body=body)
    assert workshop.prepare({"source": {"uri": f"{web.url}/moved.csv"}, "target": "y"}).report.rows == 30


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        (Answer(404), RetryableError, "SourceNotFound"),
        (Answer(410), RetryableError, "SourceNotFound"),
        (Answer(403), RetryableError, "SourceUnavailable"),
        (Answer(503), RetryableError, "SourceUnavailable"),
        (Answer(200, {"Content-Length": "999"}, CSV), RetryableError, "SourceUnavailable"),
    ],
)
def test_failures_of_a_web_server(
    web: WebServer, answers: dict[str, Answer], places: Places, answer: Answer, error: type[Exception], reason: str
) -> None:
    answers["GET /rows.csv"] = answer
    with pytest.raises(error) as caught:
        by_uri(f"{web.url}/rows.csv", places).fetch()
    assert isinstance(caught.value, RetryableError)
    assert caught.value.reason == reason


def test_a_web_server_that_is_not_there(places: Places) -> None:
    with pytest.raises(RetryableError, match="could not be read") as caught:
        by_uri("https://127.0.0.1:9/rows.csv", places).versions()
    assert caught.value.reason == "SourceUnavailable"


def test_a_web_server_cannot_be_listed(places: Places) -> None:
    with pytest.raises(PermanentError, match="name one file"):
        by_uri("https://example.org/rows/", places)


def test_credentials_of_the_source_replace_those_of_the_artifact_store(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"AWS_ENDPOINT_URL": "http://store", "AWS_ACCESS_KEY_ID": "ours", "GOOGLE_BUCKET": "b", "HOME": "/home/user"}
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    with sources.credentials():
        assert {name: os.environ.get(name) for name in own} == own
    monkeypatch.setenv("SOURCE_AWS_ACCESS_KEY_ID", "theirs")
    monkeypatch.setenv("SOURCE_AWS_REGION", "eu-west-1")
    with sources.credentials():
        assert os.environ["AWS_ACCESS_KEY_ID"] == "theirs"
        assert os.environ["AWS_REGION"] == "eu-west-1"
        assert os.environ["HOME"] == "/home/user"
        assert "AWS_ENDPOINT_URL" not in os.environ
        assert "GOOGLE_BUCKET" not in os.environ
    assert {name: os.environ.get(name) for name in own} == own
    assert "AWS_REGION" not in os.environ


def test_credentials_are_put_back_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ours")
    monkeypatch.setenv("SOURCE_AWS_ACCESS_KEY_ID", "theirs")
    with pytest.raises(RetryableError), sources.credentials():
        raise RetryableError("SourceUnavailable", "no route")
    assert os.environ["AWS_ACCESS_KEY_ID"] == "ours"
