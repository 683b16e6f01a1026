"""The top of the report: the night at a glance, warnings, and reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.insight.report.charts import bar, check_mark
from optimizer.insight.report.markup import (
    NOTHING,
    Html,
    count,
    element,
    join,
    micro,
    money,
    name,
    share,
    text,
)
from optimizer.insight.report.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optimizer.insight.report.figures import Figures
    from optimizer.insight.report.language import Language

_MAX_WARNINGS, _MAX_REASONS = 20, 20
_PAYERS = ("merchant", "platform", "consumer")


def glance(night: Figures, language: Language) -> Html:
    """Say what the night brings, how good the plan is, and what it costs."""
    say, record = language.say, night.record
    summary, objective = record["summary"], record["config"]["objective"]
    amount = money(summary["saving_cny"])
    unit = say("cny", amount=element("span", amount, class_="number"))
    value = element(
        "div",
        element("p", say("saving"), class_="label"),
        element("p", unit, class_="headline"),
        element("p", say("saving_note", share=share(objective["fee_share"]))),
        _by_lot(summary, language),
        class_="value",
    )
    tiles = element("div", *_tiles(summary, language), class_="tiles")
    proof = _proof(record["certificate"], language)
    return element("div", element("div", value, proof, class_="hero"), tiles)


def warnings(night: Figures, language: Language) -> Html:
    """List what a person should look at."""
    say, found = language.say, list(night.record["warnings"])
    heading = element("h2", say("warnings"))
    if not found:
        return _section(heading, element("p", say("no_warnings"), class_="quiet"))
    shown = found[:_MAX_WARNINGS]
    items = [
        element("li", element("bdi", language.warning(warning))) for warning in shown
    ]
    more = NOTHING
    if len(found) > len(shown):
        numbers = {"shown": count(len(shown)), "total": count(len(found))}
        more = element("p", say("more_warnings", **numbers), class_="quiet")
    return _section(heading, element("ul", *items, class_="warnings"), more)


def reasons(night: Figures, language: Language) -> Html:
    """Draw how many parcels got each reason."""
    say, summary = language.say, night.record["summary"]
    found = sorted(
        summary["reasons"].items(), key=lambda r: (r[0] != "CHOSEN", -r[1], r[0])
    )
    some = [(reason, number) for reason, number in found if number][:_MAX_REASONS]
    none = [_reason(reason, language) for reason, number in found if not number]
    heading = element("h2", say("reasons"))
    if not some:
        return _section(heading, element("p", say("no_orders"), class_="quiet"))
    most = max(number for _, number in some)
    total = summary["num_orders"]
    rows = [
        _reason_row(row, reason, number, (most, total), language)
        for row, (reason, number) in enumerate(some)
    ]
    empty = say("no_parcels", names=join(*none[:_MAX_REASONS], between=say("sep")))
    return _section(
        heading,
        element("p", say("reasons_note"), class_="lede"),
        element("ul", *rows, class_="bars"),
        element("p", empty, class_="quiet") if none else NOTHING,
    )


def _by_lot(summary: Mapping[str, Any], language: Language) -> Html:
    """Why value and proof differ on nights where something is left to chance."""
    chance = summary.get("experiment")
    if chance is None:
        return NOTHING
    amounts = {
        "kept": language.cny(chance["kept_back_cost_cny"]),
        "explored": language.cny(chance["explored_saving_cny"]),
    }
    return element("p", language.say("by_lot_note", **amounts), class_="note")


def _proof(certificate: Mapping[str, Any], language: Language) -> Html:
    """What is proved, in plain words."""
    say, gap = language.say, certificate["gap"]
    if not certificate["is_feasible"] or gap < 0:
        broken = [
            element("li", element("bdi", text(words, 300)))
            for words in certificate["violations"][:_MAX_WARNINGS]
        ]
        note = element("p", say("broken_note"))
        listed = element("ul", *broken) if broken else NOTHING
        head = element("p", say("broken"), class_="verdict")
        return element("div", head, note, listed, class_="proof broken")
    kind = "near" if gap else "proved"
    note = say(
        f"{kind}_note",
        bound=language.cny(micro(certificate["dual_bound"])),
        value=language.cny(micro(certificate["primal_bound"])),
        gap=language.cny(micro(gap)) if gap else count(0),
        share=share(certificate["relative_gap"]),
    )
    verdict = join(NOTHING if gap else check_mark(), element("span", say(kind)))
    head = element("p", verdict, class_="verdict")
    return element("div", head, element("p", note), class_="proof")


def _tiles(summary: Mapping[str, Any], language: Language) -> list[Html]:
    say, fees = language.say, summary["fees_cny"]
    payers = [
        say("pays", who=say(who), amount=money(fees[who]))
        for who in _PAYERS
        if float(fees[who]) > 0
    ]
    (payee, most), *_ = summary["largest_compensation_cny"].items()
    merchants = {
        "with_slots": count(summary["num_merchants_with_cap"]),
        "total": count(summary["num_merchants"]),
    }
    total = count(summary["num_orders"])
    to_whom = say(payee) if payee in WORDS else name(payee)
    return [
        _tile(
            say("chosen"),
            count(summary["num_chosen"]),
            say("chosen_note", total=total),
        ),
        _tile(
            say("fees"),
            language.cny(fees["total"]),
            join(*payers, between=say("sep")),
        ),
        _tile(
            say("compensation"),
            language.cny(most),
            say("compensation_note", who=to_whom),
        ),
        _tile(
            say("slots_in_all"),
            count(summary["sum_of_caps"]),
            say("slots_in_all_note", **merchants),
        ),
    ]


def _tile(label: Html, figure: Html, note: Html) -> Html:
    return element(
        "div",
        element("p", label, class_="label"),
        element("p", figure, class_="figure"),
        element("p", note, class_="note") if note else NOTHING,
        class_="tile",
    )


def _reason_row(
    row: int, reason: str, number: int, scale: tuple[int, int], language: Language
) -> Html:
    say, (most, total) = language.say, scale
    words = _reason(reason, language)
    title = say("reason_bar", reason=words, number=count(number), total=count(total))
    kind = "used" if reason == "CHOSEN" else "rest"
    key = f"{language.code}-reason-{row}"
    why = f"{reason}_why"
    return element(
        "li",
        element("span", words, class_="what"),
        element("span", count(number), class_="many"),
        bar(key, [(kind, number / most)], title, say("bar_note")),
        element("p", say(why if why in WORDS else "other_why"), class_="note"),
    )


def _reason(reason: str, language: Language) -> Html:
    known = f"{reason}_why" in WORDS
    return language.say(reason) if known else name(reason)


def _section(*parts: Html) -> Html:
    return element("section", *parts)
