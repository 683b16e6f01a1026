"""The night beside those of the week before, and what of it was left to chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.insight.report.charts import bar
from optimizer.insight.report.markup import (
    NOTHING,
    Html,
    count,
    element,
    join,
    money,
    share,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from optimizer.insight.report.figures import Figures, NightRow
    from optimizer.insight.report.language import Language


def compared(night: Figures, language: Language) -> Html:
    """Say what changed against the night before and the week, and draw the nights."""
    say, nights = language.say, night.nights
    heading = element("h2", say("compared"))
    if len(nights) < 2:
        note = element("p", say("no_nights"), class_="quiet")
        return element("section", heading, note)
    most = max(0.0, *(row.saving for row in nights)) or 1.0
    rows = [
        _night_row(number, row, (most, row is nights[-1]), language)
        for number, row in enumerate(reversed(nights))
    ]
    return element(
        "section",
        heading,
        element("p", say("compared_note"), class_="lede"),
        element("div", *_tiles(nights, language), class_="tiles"),
        element("ul", *rows, class_="bars nights"),
    )


def chance(night: Figures, language: Language) -> Html:
    """Say how many parcels were decided by lot, and what that costs."""
    say, found = language.say, night.record["summary"].get("experiment")
    if found is None:
        return NOTHING
    kept = say("kept_back_note", amount=language.cny(found["kept_back_cost_cny"]))
    drawn = say(
        "explored_note",
        amount=language.cny(found["explore_cost_at_most_cny"]),
        others=count(found["num_explore_standard"]),
    )
    sides = [
        element(
            "div",
            element("p", count(found[number]), class_="figure"),
            element("p", say(label), class_="label"),
            element("p", note, class_="note"),
        )
        for number, label, note in (
            ("num_kept_back", "kept_back", kept),
            ("num_explored", "explored", drawn),
        )
    ]
    return element(
        "section",
        element("h2", say("chance")),
        element("p", say("chance_note"), class_="lede"),
        element("div", *sides, class_="sides by-lot"),
    )


def _tiles(nights: list[NightRow], language: Language) -> list[Html]:
    """Four numbers of the night, against the last one and the mean of the week."""
    kinds: tuple[tuple[str, str, Callable[[Any], Html]], ...] = (
        ("harm_avoided", "saving", language.cny),
        ("parcels_chosen", "num_chosen", _whole),
        ("for_each", "each", language.cny),
        ("caps_used", "cap_use", share),
    )
    return [_tile(nights, kind, language) for kind in kinds]


def _tile(
    nights: list[NightRow],
    kind: tuple[str, str, Callable[[Any], Html]],
    language: Language,
) -> Html:
    label, figure, shown = kind
    say, last, tonight = language.say, nights[-2], nights[-1]
    before, now = getattr(last, figure), getattr(tonight, figure)
    mean = sum(getattr(row, figure) for row in nights[:-1]) / (len(nights) - 1)
    note = say(
        "against",
        day=language.day(last.day),
        before=shown(before),
        mean=shown(round(mean, 6)),
        number=count(len(nights) - 1),
    )
    change = _change(now, before) if before else say("no_change")
    return element(
        "div",
        element("p", say(label), class_="label"),
        element("p", change, class_="figure"),
        element("p", note, class_="note"),
        class_="tile",
    )


def _whole(number: float) -> Html:
    """A number of parcels; of a mean, the nearest."""
    return count(round(number))


def _change(now: float, before: float) -> Html:
    change = relative_change(now, before)
    return element("data", Html(f"{change:+.1%}".replace("-", "−")), value=repr(change))


def relative_change(now: float, before: float) -> float:
    """
    Change as a share of what was before.

    Examples
    --------
    >>> relative_change(3.0, 4.0)
    -0.25
    """
    return round((now - before) / abs(before), 9)


def _night_row(
    number: int, row: NightRow, scale: tuple[float, bool], language: Language
) -> Html:
    say, (most, is_tonight) = language.say, scale
    words = say(
        "night_row",
        chosen=count(row.num_chosen),
        total=count(row.num_orders),
        each=language.cny(row.each),
        share=share(row.cap_use),
        gap=share(row.relative_gap),
    )
    day = language.day(row.day)
    title = say("night_bar", day=day, amount=language.cny(row.saving))
    kind = "used" if is_tonight else "rest"
    parts = [(kind, max(0.0, row.saving) / most)]
    mark = element("small", say("this_night")) if is_tonight else NOTHING
    return element(
        "li",
        element("span", join(day, mark, between=" "), class_="what"),
        element("span", money(row.saving), class_="many"),
        bar(f"{language.code}-night-{number}", parts, title, say("nights_note")),
        element("p", words, class_="note"),
    )
