"""How a result looks where it is not asked for more: at a prompt and in a notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Characters of a line at a prompt, and of a cell in a notebook.
_LINE, _CELL = 100, 300
_HTML = """\
<table style="border-collapse:collapse;font-variant-numeric:tabular-nums">
<caption style="text-align:left;font-weight:bold;padding:4px 0">{{ title }}</caption>
{% for name, text in rows %}
<tr><th scope="row" style="text-align:left;vertical-align:top;padding:2px 12px 2px 0">\
{{ name }}</th><td style="text-align:left;vertical-align:top;padding:2px 0">\
{{ text }}</td></tr>
{% endfor %}
</table>
"""


@dataclass(frozen=True, slots=True)
class View:
    """
    A result in a few lines.

    Attributes
    ----------
    title
        The first line.
    rows
        Name and text of each further line.
    more
        Lines that a notebook shows besides.

    Examples
    --------
    >>> seen = View("Night: 1 of 2 orders", (("proof", "gap 0"),), (("a<b", "3"),))
    >>> print(seen.text())
    Night: 1 of 2 orders
      proof  gap 0
    >>> "<td" in seen.html(), "a&lt;b" in seen.html(), "a<b" in seen.html()
    (True, True, False)
    """

    title: str
    rows: tuple[tuple[str, str], ...]
    more: tuple[tuple[str, str], ...] = ()

    def text(self) -> str:
        """Lines for a prompt, none of them long."""
        width = max((len(name) for name, _ in self.rows), default=0)
        lines = [
            self.title,
            *(f"  {name:<{width}}  {text}" for name, text in self.rows),
        ]
        return "\n".join(shown(line, _LINE) for line in lines)

    def html(self) -> str:
        """A table that needs nothing else; every text in it is escaped."""
        from jinja2 import Environment  # takes a while

        page = Environment(autoescape=True, trim_blocks=True).from_string(_HTML)
        rows = [
            (shown(name, _LINE), shown(text, _CELL))
            for name, text in (*self.rows, *self.more)
        ]
        return page.render(title=shown(self.title, _LINE), rows=rows)


class Shown(ABC):
    """
    A result that is its view at a prompt and in a notebook.

    Dataclasses of it need ``repr=False``: they would write a ``__repr__`` of their own.
    """

    __slots__ = ()

    @abstractmethod
    def _view(self) -> View:
        """The result in a few lines."""

    def __repr__(self) -> str:
        return self._view().text()

    def _repr_html_(self) -> str:
        return self._view().html()


def shown(text: str, longest: int) -> str:
    r"""
    Cut a long text, and show what could move the cursor as a mark.

    Examples
    --------
    >>> shown("north\n", 9), shown("north", 4)
    ('north�', 'nor…')
    """
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"


def listed(items: Iterable[str], most: int = 3) -> str:
    """
    Name the first of some things, and count the others.

    Examples
    --------
    >>> listed(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    names = [*items]
    rest = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def counts(numbers: Mapping[str, int], most: int = 3) -> str:
    """
    Say how many there are of each kind, the most frequent first.

    Examples
    --------
    >>> counts({"CAP_FULL": 2, "LANE_FULL": 1_000, "BUDGET": 0})
    'LANE_FULL 1,000, CAP_FULL 2'
    """
    there = sorted((-number, name) for name, number in numbers.items() if number)
    return listed((f"{name} {-number:,}" for number, name in there), most)


def gap_words(gap: int, relative_gap: float) -> str:
    """
    Say how good a plan is proved to be.

    Parameters
    ----------
    gap
        In micro-CNY.
    relative_gap
        Over the plan's own value.

    Examples
    --------
    >>> gap_words(0, 0.0)
    'the optimum, proved (gap 0)'
    """
    if gap == 0:
        return "the optimum, proved (gap 0)"
    return f"within {relative_gap:.4%} of the best, proved (gap {gap / 1e6:,.2f} CNY)"
