"""Parts of the page that know nothing of models: sections, figures for two widths, tables, sentences and times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from mainspring.plugin.report.svg import element, escaped, readable

WIDE, NARROW = 900.0, 372.0  # pixels
SENTENCE_ENDS = (".", "!", "?", ":")


def section(title: str, *content: str) -> str:
    return element("section", element("h2", title), *content)


def both(draw: Callable[[float, bool], str]) -> str:
    """Once for a wide screen and paper, once for a narrow one: a picture that is shrunk cannot be read."""
    return element("div", draw(WIDE, False), class_="wide") + element("div", draw(NARROW, True), class_="narrow")


def figure(plot: str, keys: Iterable[tuple[str, str]]) -> str:
    return element("figure", plot, element("figcaption", legend(keys)))


def legend(keys: Iterable[tuple[str, str]]) -> str:
    items = (_key(class_, name) for class_, name in keys)
    return element("ul", *items, class_="legend")


def _key(class_: str, name: str) -> str:
    return element("li", element("span", class_=f"key {class_}", aria_hidden="true"), escaped(name))


def folded(title: str, content: str) -> str:
    return element("details", element("summary", escaped(title)), content)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numeric: Iterable[int] = ()) -> str:
    right = frozenset(numeric)
    header = element("thead", element("tr", *_cells("th", head, right)))
    body = element("tbody", *(element("tr", *_cells("td", row, right)) for row in rows))
    table = element("table", header, body)
    return element("div", table, class_="table", tabindex="0", role="group", aria_label="Table")


def _cells(tag: str, values: Sequence[str], right: frozenset[int]) -> Iterable[str]:
    scope = "col" if tag == "th" else None
    for place, value in enumerate(values):
        yield element(tag, escaped(value), class_="number" if place in right else None, scope=scope)


def sentence(text: str) -> str:
    """A feature may be called anything, so the first letter stays as it is."""
    short = readable(text)
    return short if short.endswith(SENTENCE_ENDS) else f"{short}."


def number(value: float | None) -> str:
    return f"{value:.4g}" if value is not None else "–"


def time(text: str) -> str:
    return f'<time datetime="{escaped(text)}">{escaped(time_text(text))}</time>'


def time_text(text: str) -> str:
    return readable(text)
