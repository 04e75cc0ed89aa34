"""The page: whole, harmless whatever features are called, and for everybody to read."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.plan.modelmonitor import records
from mainspring.plugin.report import page, plain
from mainspring.plugin.report.facts import Report
from tests import lives

Tell = Callable[[str], Report]
VOID = frozenset({"meta"})
LAID_OUT = {"body", "header", "main", "section", "div", "figure", "figcaption", "details", "summary"}
WRITTEN = {"h1", "h2", "h3", "p", "ul", "li", "dl", "dt", "dd", "b", "span", "bdi", "time"}
TABULATED = {"table", "thead", "tbody", "tr", "th", "td"}
DRAWN = {"svg", "path", "line", "rect", "circle", "text"}
ALLOWED = {"html", "head", "meta", "title", "style"} | LAID_OUT | WRITTEN | TABULATED | DRAWN
STORIES = sorted(lives.STORIES)


class Reader(HTMLParser):
    """Elements with their attributes, and text; tags must be closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @classmethod
    def of(cls, text: str) -> Reader:
        reader = cls()
        reader.feed(text)
        reader.close()
        assert reader._open == []
        return reader

    def every(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.elements if found == tag]


@pytest.mark.parametrize("story", STORIES)
def test_the_page_is_well_formed_and_has_no_element_that_does_something(tell: Tell, story: str) -> None:
    read = Reader.of(page.render(tell(story)))
    assert {tag for tag, _ in read.elements} <= ALLOWED
    names = {name for _, attributes in read.elements for name in attributes}
    assert not [name for name in names if name.startswith("on") or name in ("href", "src", "xlink:href")]


@pytest.mark.parametrize("story", STORIES)
def test_the_page_asks_for_nothing(tell: Tell, story: str) -> None:
    text = page.render(tell(story))
    assert not re.search(r"url\(|@import|https?://", text)


@pytest.mark.parametrize("story", STORIES)
def test_every_picture_says_what_it_shows(tell: Tell, story: str) -> None:
    read = Reader.of(page.render(tell(story)))
    assert read.every("html") == [{"lang": "en"}]
    for picture in read.every("svg"):
        assert picture["role"] == "img"
        assert picture["aria-label"]
    assert [a["content"] for a in read.every("meta") if a.get("http-equiv") == "Content-Security-Policy"] == [
        page.POLICY
    ]


def test_every_name_is_shown_as_it_is_called(tell: Tell) -> None:
    texts = "\n".join(Reader.of(page.render(tell("odd"))).texts)
    for name in lives.ODD_NAMES:
        if not set(name) & set("\u202e\t"):
            assert name in texts


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(word=st.text(min_size=1, max_size=40))
def test_no_word_of_the_cluster_becomes_markup(tell: Tell, word: str) -> None:
    """The same elements come out, whatever features, owners and messages say."""
    report = tell("odd").model_copy(update={"windows": []})
    assert _elements(_saying(report, word)) == _elements(_saying(report, "x"))


def _saying(report: Report, word: str) -> Report:
    named = [s.model_copy(update={"name": word, "explanation": word}) for s in report.subjects[:2]]
    said = {"owner": word, "verdict": word, "changed": [word], "done": [word], "notes": [word]}
    return report.model_copy(update={**said, "subjects": named})


def _elements(report: Report) -> list[str]:
    return [tag for tag, _ in Reader.of(page.render(report)).elements]


def test_the_verdict_comes_before_everything_else(tell: Tell) -> None:
    report = tell("recovered")
    texts = [text for text in Reader.of(page.render(report)).texts if text.strip()]
    first = next(place for place, text in enumerate(texts) if text.startswith("The model recovered"))
    assert first < next(place for place, text in enumerate(texts) if text == "Quality over time")


def test_retrains_are_flags_in_the_plots_and_rows_of_the_table(tell: Tell) -> None:
    read = Reader.of(page.render(tell("recovered")))
    flags = [a for a in read.every("circle") if (a.get("class") or "").startswith("flag")]
    assert [a["class"] for a in flags] == ["flag", "flag done"] * 4  # two plots, each wide and narrow
    assert {"Rejected", "Promoted", "1480"} <= set(read.texts)


def test_a_monitor_without_windows_has_no_plots_and_says_why(tell: Tell) -> None:
    read = Reader.of(page.render(tell("fresh")))
    assert read.every("svg") == []
    assert any("nothing to plot yet" in text for text in read.texts)


def test_a_long_history_stays_a_small_page(tell: Tell) -> None:
    report = tell("recovered")
    windows = (report.windows * 2)[: records.WINDOWS_MAX]
    assert len(page.render(report.model_copy(update={"windows": windows}))) < 600_000


def test_the_same_facts_give_the_same_page(tell: Tell) -> None:
    assert page.render(tell("drifting")) == page.render(tell("drifting"))


@pytest.mark.parametrize("story", STORIES)
def test_a_terminal_shows_the_same_without_control_characters(tell: Tell, story: str) -> None:
    report = tell(story)
    text = plain.render(report)
    assert " ".join(report.verdict.split()[:4]) in text
    assert not [c for c in text if c != "\n" and (ord(c) < 32 or c == "\u202e")]


def test_data_for_programs_can_be_read_again(tell: Tell) -> None:
    report = tell("recovered")
    assert Report.model_validate_json(report.model_dump_json(by_alias=True, exclude_none=True)) == report
