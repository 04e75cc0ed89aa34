"""Columns of text, as kubectl prints them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mainspring.plugin.report import svg

GAP = "   "


def aligned(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines; nothing that a cell holds can move the cursor or break the line."""
    every = [[safe(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    return [GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in every]


def safe(text: str) -> str:
    return "".join(svg.REPLACEMENT if svg.is_control(c) else c for c in text.replace("\n", " ").replace("\t", " "))
