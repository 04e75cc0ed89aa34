"""The report as a browser shows it: on a desk, on a telephone, on paper, and in shades of grey."""

from __future__ import annotations

import itertools
import re
import struct
import zlib
from pathlib import Path

import pytest

from mainspring.plugin.report import build, page
from tests import lives
from tests.browser.chromium import Page

DESK, TELEPHONE, PAPER = 1280, 420, 794
LAYOUT = (Path(__file__).parent / "layout.js").read_text()
# Of the parts of a plot that have to be told apart, as they come out on a printer without colours: 0 black, 1 white.
LUMINANCE = """(() => {
  const grey = (selector, property) => {
    const [r, g, b] = getComputedStyle(document.querySelector(selector))[property].match(/[\\d.]+/g).map(Number);
    return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
  };
  const legend = selector => grey(`.key.${selector}`, "backgroundColor");
  return {shades: [0, 1, 2, 3, 4].map(level => legend(`s${level}`)), reference: legend("reference"), now: legend("now")};
})()"""


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of each story, as a file."""
    directory = tmp_path_factory.mktemp("reports")
    files = {name: directory / f"{name}.html" for name in lives.STORIES}
    for name, story in lives.STORIES.items():
        files[name].write_text(page.render(build.build_report(story().sources())), encoding="utf-8")
    return files


@pytest.mark.parametrize("width", [DESK, TELEPHONE])
@pytest.mark.parametrize("story", sorted(lives.STORIES))
def test_everything_has_its_place_and_can_be_read(
    browser: Page, pages: dict[str, Path], story: str, width: int
) -> None:
    browser.open(pages[story], width)
    assert browser.evaluate(LAYOUT) == []
    assert browser.complaints == []


def test_on_paper_it_has_its_place_too(browser: Page, pages: dict[str, Path]) -> None:
    browser.open(pages["recovered"], PAPER, media="print")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", browser.pdf())) <= 6
    assert browser.evaluate(LAYOUT) == []


def test_a_name_that_is_a_script_is_only_a_name(browser: Page, pages: dict[str, Path]) -> None:
    browser.open(pages["odd"], DESK)
    assert browser.evaluate("document.scripts.length") == 0
    assert browser.evaluate("getComputedStyle(document.body).display") == "block"
    assert "<script>alert('x')</script>" in browser.evaluate("document.body.textContent")


def test_nothing_is_said_by_colour_alone(browser: Page, pages: dict[str, Path]) -> None:
    browser.open(pages["recovered"], DESK)
    grey = browser.evaluate(LUMINANCE)
    assert all(paler - darker > 0.05 for paler, darker in itertools.pairwise(grey["shades"]))
    assert grey["reference"] - grey["now"] > 0.4
    symbols = {}
    for story in ("recovered", "drifting", "odd", "fresh"):
        browser.open(pages[story], DESK)
        symbols[story] = browser.evaluate("document.querySelector('.symbol').textContent")
    assert symbols == {"recovered": "✓", "drifting": "✕", "odd": "!", "fresh": "?"}


def test_the_picture_of_the_page_is_not_empty(browser: Page, pages: dict[str, Path], tmp_path: Path) -> None:
    browser.open(pages["drifting"], DESK)
    browser.screenshot(tmp_path / "page.png")
    width, height, rows = _read_png((tmp_path / "page.png").read_bytes())
    assert width == DESK
    assert height > 1000
    # Half of the rows of a page with plots have something in them that is not one colour.
    assert sum(len(set(row)) > 2 for row in rows) > height / 2


def _read_png(data: bytes) -> tuple[int, int, list[bytes]]:
    """Width, height, and the filtered bytes of each row: a row of one colour has nearly no different bytes."""
    place, packed = 8, b""
    width, height, depth, colours = struct.unpack(">IIBB", data[16:26])
    assert depth == 8
    while place < len(data):
        (size,) = struct.unpack(">I", data[place : place + 4])
        if data[place + 4 : place + 8] == b"IDAT":
            packed += data[place + 8 : place + 8 + size]
        place += 12 + size
    raw = zlib.decompress(packed)
    stride = 1 + width * {2: 3, 6: 4}[colours]
    return width, height, [raw[start + 1 : start + stride] for start in range(0, len(raw), stride)]
