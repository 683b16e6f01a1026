"""Bars as inline SVG: they stretch with the page, and say in words what they show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from optimizer.insight.report.markup import Html, element

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIRECTIONS = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
#: Least visible length of a bar that is not nothing, in per cent.
_LEAST = 0.4


def bar(key: str, parts: Sequence[tuple[str, float]], title: Html, note: Html) -> Html:
    """
    Draw bars over each other, each from the left edge.

    Parameters
    ----------
    key
        Prefix of ids, different for each picture of a page.
    parts
        Class and length of each bar, as a share of the whole width.
    title, note
        What the picture shows, and how to read it.
    """
    return element(
        "svg",
        element("title", plain(title), id=f"{key}-title"),
        element("desc", plain(note), id=f"{key}-note"),
        *(_rect(kind, length) for kind, length in parts),
        class_="bar",
        role="img",
        aria_labelledby=f"{key}-title",
        aria_describedby=f"{key}-note",
    )


def fill(length: float) -> Html:
    """Draw a thin bar beside numbers that say the same; not read aloud."""
    rect = _rect("used", length)
    return element("svg", rect, class_="fill", aria_hidden="true", focusable="false")


def check_mark() -> Html:
    """Draw a tick; the words beside it say the same."""
    path = Html('<path d="M4 12.5l5.2 5L20 6.5"/>')
    return element("svg", path, class_="tick", viewBox="0 0 24 24", aria_hidden="true")


def plain(words: Html) -> Html:
    """
    Keep the text of words alone: a title in a picture holds no markup.

    Marks that turn the writing direction go with the element that held them in.
    """
    kept = "".join(part.rpartition(">")[2] for part in words.split("<"))
    return Html(_DIRECTIONS.sub("", kept))


def _rect(kind: str, length: float) -> Html:
    width = max(_LEAST, 100 * min(1.0, length)) if length > 0 else 0.0
    return Html(f'<rect class="{kind}" width="{width:.2f}%" height="100%" rx="3"/>')
