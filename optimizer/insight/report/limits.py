"""Limits beside caps and lanes: their use and price, and those that were not kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.insight.report.markup import NOTHING, Html, count, element, money
from optimizer.insight.report.markup import name as named
from optimizer.insight.report.words import WORDS

if TYPE_CHECKING:
    from optimizer.insight.report.figures import Figures
    from optimizer.insight.report.language import Language


def limits(night: Figures, language: Language) -> Html:
    """List further limits and conflicts, where the night has any."""
    say, certificate = language.say, night.record["certificate"]
    if night.record["problem_class"] != "packing" and not night.num_limits:
        return NOTHING
    notes = []
    if night.record["problem_class"] == "packing":
        notes.append(element("p", say("packing_note"), class_="lede"))
    if paid := night.record["summary"].get("penalties_cny"):
        words = say("penalties_note", amount=language.cny(paid))
        notes.append(element("p", words, class_="lede"))
    if "counting" in certificate:
        rule = f"count_{certificate['counting']['rule']}"
        notes.append(element("p", say(rule), class_="lede"))
    heading = element("h2", say("limits"))
    parts = [_limits(night, language), _conflicts(night, language)]
    return element("section", heading, *notes, *parts)


def _limits(night: Figures, language: Language) -> Html:
    if not night.num_limits:
        return NOTHING
    say = language.say
    rows = [
        [
            element("th", named(row["limit"]), scope="row"),
            element("td", _kind(row["kind"], language)),
            element("td", _number(row["low"])),
            element("td", count(row["used"])),
            element("td", _number(row["high"])),
            element("td", money(row["shadow_price_cny"])),
        ]
        for row in night.limits
    ]
    heads = ("limit", "kind", "at_least", "used", "at_most", "price")
    caption = say("top_of", shown=count(len(rows)), total=count(night.num_limits))
    return _table(caption, [say(head) for head in heads], rows)


def _conflicts(night: Figures, language: Language) -> Html:
    if not night.num_conflicts:
        return NOTHING
    say = language.say
    rows = [
        [
            element("th", named(row["limit"]), scope="row"),
            element("td", _kind(row["kind"], language)),
            element("td", count(row["asked"])),
            element("td", count(row["reached"])),
            element("td", count(row["priority"])),
        ]
        for row in night.conflicts
    ]
    heads = ("limit", "kind", "asked", "reached", "priority")
    caption = say("top_of", shown=count(len(rows)), total=count(night.num_conflicts))
    note = element("p", say("conflicts_note"), class_="lede")
    table = _table(caption, [say(head) for head in heads], rows)
    return element("div", element("h3", say("conflicts")), note, table)


def _kind(kind: str, language: Language) -> Html:
    key = f"kind_{kind}"
    return language.say(key) if key in WORDS else named(kind)


def _number(value: Any) -> Html:
    return Html("–") if value is None else count(value)


def _table(caption: Html, heads: list[Html], rows: list[list[Html]]) -> Html:
    head = element("tr", *(element("th", h, scope="col") for h in heads))
    table = element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", *(element("tr", *row) for row in rows)),
        class_="list wide",
    )
    return element("div", table, class_="scroll")
