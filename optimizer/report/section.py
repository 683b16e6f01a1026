"""Sections of words and tables, which a text and a page show alike."""

from __future__ import annotations

import textwrap
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.report.language import ENGLISH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from optimizer.report.language import Language

#: Columns of prose.
WIDTH = 88


@dataclass(frozen=True, slots=True)
class Section:
    """
    One part of what was found.

    Attributes
    ----------
    title, lede
        Its heading, and what it shows; the second may be empty.
    head
        Names of columns; empty where there is no table.
    rows
        Cells, as they are shown.
    num_texts
        Columns from the left that are words; all others are numbers.
    notes
        Sentences below.
    is_list
        Whether these are lines as they are, not prose that may be wrapped.
    """

    title: str
    lede: str
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    num_texts: int = 1
    notes: tuple[str, ...] = ()
    is_list: bool = False


def sections_text(
    first: str, sections: Iterable[Section], language: Language = ENGLISH
) -> str:
    """
    Write sections as aligned text.

    Parameters
    ----------
    first
        The line above them.
    sections
        In order.
    language
        Of the words.
    """
    lines = [first]
    for section in sections:
        lines += ["", section.title]
        lines += _wrapped(section.lede, language) if section.lede else []
        lines += _table(section)
        for note in section.notes:
            lines += [f"  {note}"] if section.is_list else _wrapped(note, language)
    return "\n".join(lines)


def _wrapped(words: str, language: Language) -> list[str]:
    """Prose in lines; Chinese has no blanks to break it at."""
    if language is not ENGLISH:
        return [f"  {words}"]
    return textwrap.wrap(
        words,
        WIDTH,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _table(section: Section) -> Iterator[str]:
    """Lines of a section's rows, in columns."""
    if not section.rows:
        return
    cells = [section.head, *section.rows]
    columns = range(len(section.head))
    widths = [max(_width(row[column]) for row in cells) for column in columns]
    for row in cells:
        padded = [
            _padded(cell, width, is_text=column < section.num_texts)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"  {'  '.join(padded)}".rstrip()


def _padded(cell: str, width: int, *, is_text: bool) -> str:
    blank = " " * (width - _width(cell))
    return cell + blank if is_text else blank + cell


def _width(text: str) -> int:
    """
    Columns of a terminal that a text takes.

    Examples
    --------
    >>> _width("yunda"), _width("韵达")
    (5, 4)
    """
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text)
