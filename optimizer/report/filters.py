"""Template filters: numbers for people, and text from outside made harmless."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from jinja2 import pass_context
from markupsafe import Markup, escape

from optimizer.contracts.headline import by_mean, fee_share

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jinja2.runtime import Context

#: Longest name that is shown; longer ones end in an ellipsis.
MAX_NAME, MAX_WARNING = 80, 600
#: Least visible length of a bar that is not nothing, in per cent.
_LEAST = 0.4
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[Ee]-?\d+)?")
_PLACE = re.compile(r"\[(\d+)\]")
#: Ends of keys whose values are shares of something.
_SHARES = ("rate", "share", "quantile", "relative_gap", "relative_error", "confidence")
#: What a sweep of scenarios sets.
_SWEPT = ("cap_rate", "fee_cny", "slots_factor")
_DIRECTIONS = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def text(value: object, longest: int = MAX_NAME) -> Markup:
    """
    Escape a text from outside, and cut it if it is long.

    Examples
    --------
    >>> str(text("<b> & co"))
    '&lt;b&gt; &amp; co'
    """
    raw = str(value)
    if len(raw) > longest:
        raw = raw[: longest - 1] + "…"
    return escape("".join(map(_visible, raw)))


def name(value: object) -> Markup:
    """
    Escape a name from outside and isolate its writing direction.

    Examples
    --------
    >>> str(name("shop-1"))
    '<bdi>shop-1</bdi>'
    """
    return Markup(f"<bdi>{text(value)}</bdi>")


def file_name(path: str | None) -> Markup:
    """
    Name a file without its folder; there is none for a table in memory.

    Examples
    --------
    >>> str(file_name("/data/orders.parquet"))
    '<bdi>orders.parquet</bdi>'
    """
    if not path:
        return text("–")
    return name(str(path).replace("\\", "/").rpartition("/")[2])


def count(number: int) -> Markup:
    """
    Write a whole number for people, with its exact value for programs.

    Examples
    --------
    >>> str(count(12338))
    '<data value="12338">12,338</data>'
    """
    return _data(str(number), f"{number:,}")


def money(amount: Decimal | float | str) -> Markup:
    """
    Write an amount to two decimals, with its exact value for programs.

    Examples
    --------
    >>> str(money(759.821228))
    '<data value="759.821228">759.82</data>'
    >>> str(money("0.001"))
    '<data value="0.001">&lt; 0.01</data>'
    >>> str(money(-5.36))
    '<data value="-5.36">−5.36</data>'
    """
    exact = Decimal(str(amount))
    is_tiny = 0 < exact < Decimal("0.005")
    shown = "< 0.01" if is_tiny else f"{exact:,.2f}".replace("-", "−")
    return _data(f"{exact:f}", shown)


def signed_money(amount: Decimal | float | str) -> Markup:
    """
    Write a change of an amount, with its sign.

    Examples
    --------
    >>> str(signed_money(-3.5)), str(signed_money(0))
    ('<data value="-3.5">−3.50</data>', '<data value="0">0.00</data>')

    Below a cent all of it is written, as in the sentence beside it.

    >>> str(signed_money(-0.00471))
    '<data value="-0.00471">−0.00471</data>'
    """
    exact = Decimal(str(amount))
    micro_exact = round(exact, 6)
    shown = f"{exact:+,.2f}" if micro_exact else "0.00"
    if 0 < abs(micro_exact) < Decimal("0.01"):
        shown = f"{micro_exact:+f}".rstrip("0")
    return _data(f"{exact:f}", shown.replace("-", "−"))


def micro(amount: int) -> Decimal:
    """
    Turn micro-CNY into CNY, exactly.

    Examples
    --------
    >>> micro(759_821_228)
    Decimal('759.821228')
    """
    return Decimal(amount).scaleb(-6)


def share(value: Decimal | float | str) -> Markup:
    """
    Write a share as a percentage, with its exact value for programs.

    Examples
    --------
    >>> str(share("0.03"))
    '<data value="0.03">3%</data>'
    >>> str(share(0.000123456))
    '<data value="0.000123456">0.01235%</data>'
    """
    exact = Decimal(str(value))
    shown = Decimal(f"{exact * 100:.4g}").normalize()
    return _data(f"{exact:f}", f"{shown:f}%")


def change(value: float) -> Markup:
    """
    Write a change as a percentage with its sign.

    Examples
    --------
    >>> str(change(-0.25))
    '<data value="-0.25">−25.0%</data>'
    """
    return _data(repr(value), f"{value:+.1%}".replace("-", "−"))


def bar_width(length: float) -> str:
    """
    Give the width of a bar; anything above 0 is visible.

    Examples
    --------
    >>> bar_width(0.5), bar_width(1e-9), bar_width(0)
    ('50.00%', '0.40%', '0.00%')
    """
    width = max(_LEAST, 100 * min(1.0, length)) if length > 0 else 0.0
    return f"{width:.2f}%"


def bar_place(share: float) -> str:
    """
    Give the place where a part of a bar begins.

    Examples
    --------
    >>> bar_place(0.25)
    '25.00%'
    """
    return f"{100 * min(1.0, max(0.0, share)):.2f}%"


def plain(words: Markup) -> Markup:
    """
    Keep only the text, without markup, for a title in a picture.

    Marks of the writing direction are removed together with the element they were in.
    """
    kept = "".join(part.rpartition(">")[2] for part in str(words).split("<"))
    return Markup(_DIRECTIONS.sub("", kept))


def _data(value: str, shown: str) -> Markup:
    # Markup.format parses in Python: three times as long, for a thousand numbers.
    return Markup(f'<data value="{escape(value)}">{escape(shown)}</data>')


def _visible(char: str) -> str:
    """Keep a character, unless a page cannot hold it."""
    if char in "\t\n\r":
        return " "
    code = ord(char)
    is_bad = code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000
    return "\ufffd" if is_bad else char


def place_of(key: str) -> tuple[str, int | None]:
    """
    Take the place in a list off a setting's key.

    Examples
    --------
    >>> place_of("policy.carriers[1]"), place_of("policy.cap.rate")
    (('policy.carriers', 2), ('policy.cap.rate', None))
    """
    found = _PLACE.search(key)
    if found is None:
        return key, None
    return key.replace(found[0], "", 1), int(found[1]) + 1


def sweep_of(scenario: str) -> tuple[str | None, str]:
    """
    Find what a scenario of a sweep sets, by the name that it was given.

    Examples
    --------
    >>> sweep_of("cap_rate 0.02"), sweep_of("no yunda")
    (('cap_rate', '0.02'), (None, 'no yunda'))
    """
    key, _, value = scenario.partition(" ")
    is_swept = key in _SWEPT and _NUMBER.fullmatch(value) is not None
    return (key, value) if is_swept else (None, scenario)


def value_kind(key: str, value: str | None) -> str:
    """
    Say how a recorded value is written: as money, a share, a count or a text.

    Examples
    --------
    >>> value_kind("policy.cap.rate", "0.03"), value_kind("policy.fee.amount_cny", "1")
    ('share', 'money')
    >>> value_kind("config.solver.num_threads", "2"), value_kind("versions.numpy", "2")
    ('count', 'text')
    """
    if value is None or not _NUMBER.fullmatch(value) or key.startswith("versions."):
        return "text"
    if "_cny" in key:
        return "money"
    if key.endswith(_SHARES) or key.startswith("policy.fee.payer."):
        return "share"
    return "count" if value.lstrip("-").isdecimal() else "text"


@pass_context
def day(context: Context, date: str) -> Markup:
    """Say a date in the language of the article."""
    return text(context["language"].day(date))


@pass_context
def rule(context: Context, broken: str) -> Markup:
    """Say a rule of the quarantine table in the language of the article."""
    return text(context["language"].rule(broken))


@pass_context
def warning(context: Context, recorded: str | Mapping[str, Any]) -> Markup:
    """Say a warning of the record in the language of the article."""
    return text(context["language"].warning(recorded), MAX_WARNING)


def finalize(value: Any) -> Any:
    """Treat whatever text a template prints as a name from outside."""
    return text(value) if type(value) is str else value


#: By the names that templates have for them.
FILTERS: dict[str, Callable[..., Any]] = {
    made.__name__: made
    for made in (
        *(
            bar_place,
            bar_width,
            by_mean,
            change,
            count,
            day,
            fee_share,
            file_name,
            micro,
            money,
            name,
            plain,
        ),
        *(place_of, rule, share, signed_money, sweep_of, text, value_kind),
        warning,
    )
}
