"""HTML that is safe by type: text from outside becomes ``Html`` by being escaped."""

from __future__ import annotations

import html
from decimal import Decimal
from typing import NewType

#: Text that may stand in the page as it is.
Html = NewType("Html", str)

#: Longest name that is shown; longer ones end in an ellipsis.
MAX_NAME = 80
NOTHING = Html("")


def text(value: object, longest: int = MAX_NAME) -> Html:
    """
    Escape a text from outside, and cut it if it is long.

    Examples
    --------
    >>> text("<b> & co")
    '&lt;b&gt; &amp; co'
    """
    raw = str(value)
    if len(raw) > longest:
        raw = raw[: longest - 1] + "…"
    return Html(html.escape("".join(_visible(char) for char in raw)))


def name(value: object) -> Html:
    """
    Escape a name from outside and keep its writing direction to itself.

    Examples
    --------
    >>> name("shop-1")
    '<bdi>shop-1</bdi>'
    """
    return Html(f"<bdi>{text(value)}</bdi>")


def element(tag: str, *children: Html, **attributes: str) -> Html:
    """
    Make an element; ``class_`` is ``class``, and ``_`` in a name is ``-``.

    Examples
    --------
    >>> element("p", text("a < b"), class_="lede")
    '<p class="lede">a &lt; b</p>'
    >>> element("p", title='"><b>')
    '<p title="&quot;&gt;&lt;b&gt;"></p>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"'
        for key, value in attributes.items()
    )
    return Html(f"<{tag}{given}>{''.join(children)}</{tag}>")


def join(*parts: Html, between: str = "") -> Html:
    """Put parts one after another, with an escaped text between them."""
    return Html(html.escape(between).join(parts))


def count(number: int) -> Html:
    """
    Write a whole number for people, with its exact value for programs.

    Examples
    --------
    >>> count(12338)
    '<data value="12338">12,338</data>'
    """
    return _data(str(number), f"{number:,}")


def money(amount: Decimal | float | str) -> Html:
    """
    Write an amount to two decimals, with its exact value for programs.

    Examples
    --------
    >>> money(759.821228)
    '<data value="759.821228">759.82</data>'
    >>> money("0.001")
    '<data value="0.001">&lt; 0.01</data>'
    """
    exact = Decimal(str(amount))
    is_tiny = 0 < exact < Decimal("0.005")
    return _data(f"{exact:f}", "< 0.01" if is_tiny else f"{exact:,.2f}")


def micro(amount: int) -> Decimal:
    """
    Turn micro-CNY into CNY, exactly.

    Examples
    --------
    >>> micro(759_821_228)
    Decimal('759.821228')
    """
    return Decimal(amount).scaleb(-6)


def share(value: Decimal | float | str) -> Html:
    """
    Write a share as a percentage, with its exact value for programs.

    Examples
    --------
    >>> share("0.03")
    '<data value="0.03">3%</data>'
    >>> share(0.000123456)
    '<data value="0.000123456">0.01235%</data>'
    """
    exact = Decimal(str(value))
    shown = Decimal(f"{exact * 100:.4g}").normalize()
    return _data(f"{exact:f}", f"{shown:f}%")


def _data(value: str, shown: str) -> Html:
    return element("data", Html(html.escape(shown)), value=value)


def _visible(char: str) -> str:
    """Keep a character, unless a page cannot hold it."""
    if char in "\t\n\r":
        return " "
    code = ord(char)
    is_bad = code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000
    return "\ufffd" if is_bad else char
