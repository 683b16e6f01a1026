"""
What was measured on past nights, in sections: as text and as a page.

Both say the same in the same words, from the catalogues.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.report.language import ENGLISH, LANGUAGES, N_
from optimizer.report.section import Section, sections_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from optimizer.report.language import Language

    Say = Callable[[str], str]
    Found = Mapping[str, Any]

#: Nights and groups that are listed; ``--json`` has all.
NUM_NIGHTS, NUM_GROUPS = 14, 24

_KINDS = {"randomised": N_("randomised"), "observational": N_("not randomised")}
_POPULATIONS = {
    "policy": N_("chosen"),
    "explore": N_("any"),
    "margin": N_("at the cut-off"),
    "thompson": N_("chosen by some draws"),
    "observed": N_("as observed"),
}
_OUTCOMES = {
    "complaint": N_("complaints"),
    "logistics_return": N_("returns"),
    "complaint:door": N_("complaints, door"),
    "complaint:last_mile_speed": N_("complaints, last mile"),
    "complaint:transit_priority": N_("complaints, transit"),
    "complaint:complaint_care": N_("complaints, care"),
    "complaint:exclusive_desk": N_("complaints, desk"),
}
_METHODS = {
    "difference": N_("difference"),
    "adjusted": N_("adjusted"),
    "ipw": N_("inverse propensity"),
    "doubly_robust": N_("doubly robust"),
}
_RULES = {
    "random": N_("random"),
    "risk": N_("highest risk"),
    "value": N_("highest value"),
    "measured": N_("highest measured effect"),
}
_SOURCES = {
    "stated": N_("stated"),
    "learned": N_("learned from delays"),
    "assumed": N_("assumed"),
}


def evaluation_sections(found: Found, language: Language) -> tuple[Section, ...]:
    """
    Put a measurement into sections.

    Parameters
    ----------
    found
        The measurement, ready for JSON.
    language
        Of the words.
    """
    say = language.catalogue.gettext
    parts = (_told, _effects, _groups, _ledger, _rules, _power, _carriers, _ripe)
    sections = (part(found, say, language) for part in parts)
    return tuple(part for part in sections if part is not None)


def evaluation_text(found: Found, language: Language = ENGLISH) -> str:
    """
    Write a measurement as aligned text.

    Parameters
    ----------
    found
        The measurement, ready for JSON.
    language
        Of the words.
    """
    first = evaluation_title(found, language)
    return sections_text(first, evaluation_sections(found, language), language)


def evaluation_html(found: Found, first: Language = ENGLISH) -> str:
    """
    Write a measurement as one page of HTML that needs nothing else.

    Parameters
    ----------
    found
        The measurement, ready for JSON.
    first
        The language that is shown; the page has a switch to the other.
    """
    from optimizer.report.render import render  # Jinja2 takes a while

    pages = {
        each.code: {
            "verdict": evaluation_title(found, each),
            "sections": evaluation_sections(found, each),
        }
        for each in LANGUAGES
    }
    return render("evaluation.html.j2", first.code, window=found["window"], pages=pages)


def evaluation_title(found: Found, language: Language) -> str:
    """Say which nights and how many parcels were compared."""
    say, window = language.catalogue.gettext, found["window"]
    words = N_("{first} to {last}: {num} of {total} parcels compared ({kind})")
    return say(words).format(
        first=window["first_date"],
        last=window["last_date"],
        num=_count(window["num_compared"]),
        total=_count(window["num_parcels"]),
        kind=say(_KINDS[window["kind"]]),
    )


def _told(found: Found, say: Say, language: Language) -> Section:
    notes = [language.warning(one) for one in (*found["alerts"], *found["warnings"])]
    return Section(
        title=say(N_("Look at first")),
        lede="" if notes else say(N_("Nothing.")),
        notes=tuple(notes),
    )


def _effects(found: Found, say: Say, _: Language) -> Section:
    # Benefits have no predictions of their own: the difference says it all.
    rows = [
        row
        for row in found["effects"]
        if row["by"] is None
        and (":" not in row["outcome"] or row["method"] == "difference")
    ]
    return Section(
        title=say(N_("Harm avoided, in percentage points")),
        lede=say(
            N_(
                "Above 0: premium avoids harm. Each interval holds the truth with "
                "95 %: on its own, with all of its kind together, and on all nights on "
                "which one looks."
            )
        ),
        head=(
            say(N_("Parcels")),
            say(N_("Harm")),
            say(N_("By")),
            say(N_("Avoided")),
            "95 %",
            say(N_("Together")),
            say(N_("At every look")),
            say(N_("Premium")),
            say(N_("Standard")),
        ),
        rows=tuple(
            (
                say(_POPULATIONS[row["population"]]),
                say(_OUTCOMES[row["outcome"]]),
                say(_METHODS[row["method"]]),
                *_intervals(row),
                _count(row["num_treated"]),
                _count(row["num_control"]),
            )
            for row in rows
        ),
        num_texts=3,
    )


def _intervals(row: Mapping[str, Any]) -> tuple[str, ...]:
    ways = ("", "_together", "_always")
    ends = ((100 * row[f"low{way}"], 100 * row[f"high{way}"]) for way in ways)
    inside = (f"{low:+.2f} … {high:+.2f}" for low, high in ends)
    return f"{100 * row['estimate']:+.2f}", *inside


def _groups(found: Found, say: Say, _: Language) -> Section | None:
    rows = [
        row
        for row in found["effects"]
        if row["by"] and row["method"] == "doubly_robust"
    ]
    if not rows:
        return None
    notes = []
    if len(rows) > NUM_GROUPS:
        shown = say(N_("{shown} of {total} are shown; --json has all."))
        notes.append(shown.format(shown=_count(NUM_GROUPS), total=_count(len(rows))))
    return Section(
        title=say(N_("By carrier and region, doubly robust")),
        lede=say(
            N_("Who looks at many groups finds one by chance: judge them together.")
        ),
        head=(
            say(N_("Parcels")),
            say(N_("Harm")),
            say(N_("Group")),
            say(N_("Avoided")),
            "95 %",
            say(N_("Together")),
            say(N_("At every look")),
        ),
        rows=tuple(
            (
                say(_POPULATIONS[row["population"]]),
                say(_OUTCOMES[row["outcome"]]),
                row["group"],
                *_intervals(row),
            )
            for row in rows[:NUM_GROUPS]
        ),
        num_texts=3,
        notes=tuple(notes),
    )


def _ledger(found: Found, say: Say, _: Language) -> Section:
    title = say(N_("Promised and realised, CNY of harm avoided"))
    if not found["ledger"]:
        why = N_(
            "Not known: it needs chosen parcels that were left to chance "
            "(holdout.share above 0, or objective.explore: margin or thompson), with "
            "propensity and saving_cny of the decisions. Parcels that explore blindly "
            "(holdout.explore_share alone) were chosen for no saving."
        )
        if any(one["code"] == "SAVINGS_ARE_NOT_KNOWN" for one in found["warnings"]):
            why = N_("Not known, as the outcomes do not record all that savings count.")
        return Section(title, say(why))
    nights = [row for row in found["ledger"] if row["by"] == "date"]
    carriers = [row for row in found["ledger"] if row["by"] == "carrier_id"]
    notes = []
    if len(nights) > NUM_NIGHTS:
        shown = say(N_("The last {shown} of {total} nights are shown; --json has all."))
        notes.append(shown.format(shown=_count(NUM_NIGHTS), total=_count(len(nights))))
    return Section(
        title=title,
        lede=say(
            N_(
                "Of parcels that were left to chance, each by its propensity. Plans "
                "choose what is predicted largest, and so what is predicted too large: "
                "what came of it is measured. Likely is the measured sum, shrunk to "
                "the common ratio by what of it is chance."
            )
        ),
        head=(
            say(N_("Night or carrier")),
            say(N_("Parcels")),
            say(N_("Promised")),
            say(N_("Realised")),
            "95 %",
            say(N_("Likely")),
            say(N_("Promised / realised")),
            "95 %",
        ),
        rows=tuple(
            (
                row["group"] or say(N_("all")),
                _count(row["num_parcels"]),
                f"{row['promised_cny']:,.2f}",
                f"{row['realised_cny']:,.2f}",
                _between(row["low"], row["high"]),
                f"{row['shrunk_cny']:,.2f}",
                _ratio(row["ratio"]),
                f"{_ratio(row['ratio_low'])} … {_ratio(row['ratio_high'])}",
            )
            for row in (found["ledger"][0], *carriers, *nights[-NUM_NIGHTS:])
        ),
        notes=tuple(notes),
    )


def _between(low: float | None, high: float | None) -> str:
    """Ends of an interval; parcels that are too few for one have none."""
    return "–" if low is None or high is None else f"{low:,.2f} … {high:,.2f}"


def _rules(found: Found, say: Say, _: Language) -> Section | None:
    if not found["rules"]:
        return None
    share = f"{found['rules'][0]['top_share']:.2%}"
    return Section(
        title=say(N_("Rules that could choose, CNY of harm avoided")),
        lede=say(
            N_(
                "For each parcel of the best {share} by the rule; Qini is what its "
                "order adds to a random one."
            )
        ).format(share=share),
        head=(say(N_("Rule")), say(N_("A parcel")), "95 %", "Qini", "95 %"),
        rows=tuple(
            (say(_RULES[row["rule"]]), *_value(row["top"], 2), *_value(row["qini"], 4))
            for row in found["rules"]
        ),
    )


def _value(row: Mapping[str, float], digits: int) -> tuple[str, str]:
    value, low, high = (f"{row[n]:+.{digits}f}" for n in ("value", "low", "high"))
    return value, f"{low} … {high}"


def _power(found: Found, say: Say, _: Language) -> Section | None:
    if not found["power"]:
        return None
    return Section(
        title=say(N_("Nights until an effect would be seen")),
        lede=say(N_("With 80 % power at 5 %, and as many parcels a night as here.")),
        head=(
            say(N_("Parcels")),
            say(N_("Harm")),
            say(N_("Points avoided")),
            say(N_("Nights")),
        ),
        rows=tuple(
            (
                say(_POPULATIONS[row["population"]]),
                say(_OUTCOMES[row["outcome"]]),
                f"{100 * row['effect']:.0f}",
                "–" if row["num_nights"] is None else _count(row["num_nights"]),
            )
            for row in found["power"]
        ),
        num_texts=2,
    )


def _carriers(found: Found, say: Say, _: Language) -> Section:
    claims = {row["carrier_id"]: row for row in found["claims"]}
    kept = {row["carrier_id"]: row for row in found["promises"] if not row["region_id"]}
    names = sorted({*claims, *kept} - {None})
    return Section(
        title=say(N_("Promises and claims by carrier")),
        lede=say(N_("Claims are in no objective.")),
        head=(
            say(N_("Carrier")),
            say(N_("Premium")),
            say(N_("Proved kept")),
            "95 %",
            say(N_("Claims")),
            "CNY",
        ),
        rows=tuple(
            (
                name,
                _count(claims[name]["num_premium"]) if name in claims else "0",
                f"{kept[name]['mean']:.1%}" if name in kept else "–",
                f"{kept[name]['low']:.1%} … {kept[name]['high']:.1%}"
                if name in kept
                else "–",
                *_claims(claims.get(name)),
            )
            for name in names
        ),
    )


def _claims(row: Mapping[str, Any] | None) -> tuple[str, str]:
    """Number and amount; dashes where no outcome records them."""
    if row is None:
        return "0", "0.00"
    if row["num_claims"] is None:
        return "–", "–"
    return _count(row["num_claims"]), f"{row['claims_cny']:,.2f}"


def _ripe(found: Found, say: Say, _: Language) -> Section | None:
    rows = [row for row in found["window"]["maturity"] if row["num_days"] is not None]
    if not rows:
        return None
    return Section(
        title=say(N_("Rows that are ripe")),
        lede=say(N_("Younger rows wait, and what comes later does not count.")),
        head=(
            say(N_("Harm")),
            say(N_("Days")),
            say(N_("These are")),
            say(N_("Ripe")),
            say(N_("Waiting")),
            say(N_("Came too late")),
            say(N_("Next ripe on")),
        ),
        rows=tuple(
            (
                say(_OUTCOMES[row["outcome"]]),
                _count(row["num_days"]),
                say(_SOURCES[row["source"]]),
                _count(row["num_ripe"]),
                _count(row["num_waiting"]),
                _count(row["num_late"]),
                row["first_ripe"] or "–",
            )
            for row in rows
        ),
    )


def _ratio(value: float | None) -> str:
    return "∞" if value is None else f"{value:.2f}"


def _count(number: float) -> str:
    return f"{number:,}"
