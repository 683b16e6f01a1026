"""
What was learned, in sections: learners that compete, and what is known on the whole.

The page says it in both languages, from the catalogues.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.report.language import LANGUAGES, N_
from optimizer.report.realised import ledger_rows
from optimizer.report.section import Section

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from optimizer.report.language import Language

    Say = Callable[[str], str]
    Found = Mapping[str, Any]

_LEARNERS = {
    "stated-risk": N_("one share for all: highest risk first"),
    "share": N_("a share by carrier, region, category and number"),
    "logistic": N_("odds, by the same"),
    "boosted": N_("small trees beside shares"),
}
_HARMS = {"complaint": N_("complaints"), "return": N_("returns")}
_KINDS = {
    "randomised": N_("randomised"),
    "observational": N_("not randomised"),
    "prior": N_("stated"),
}


def learned_html(found: Found, first: Language) -> str:
    """
    Write what was learned as one page of HTML that needs nothing else.

    Parameters
    ----------
    found
        What was learned, ready for JSON.
    first
        The language that is shown; the page has a switch to the other.
    """
    from optimizer.report.render import render  # Jinja2 takes a while

    pages = {
        each.code: {
            "title": learned_title(found, each),
            "sections": learned_sections(found, each),
        }
        for each in LANGUAGES
    }
    return render("learned.html.j2", first.code, found=found, pages=pages)


def learned_title(found: Found, language: Language) -> str:
    """Say of which nights it was learned, and on what basis."""
    say = language.catalogue.gettext
    kind = say(_KINDS[found["kind"]])
    if found["is_stated"]:
        return say(N_("Stated, not learned: no parcel is in it"))
    words = say(N_("Nights {first} to {last} ({kind})"))
    nights = {"first": found["first_date"], "last": found["last_date"]}
    return words.format(kind=kind, **nights)


def learned_sections(found: Found, language: Language) -> tuple[Section, ...]:
    """
    Put what was learned into sections.

    Parameters
    ----------
    found
        What was learned, ready for JSON.
    language
        Of the words.
    """
    say = language.catalogue.gettext
    notes = tuple(language.warning(one) for one in found["warnings"])
    told = Section(
        title=say(N_("Look at first")),
        lede="" if notes else say(N_("Nothing.")),
        notes=notes,
    )
    parts = (_learners, _effects, _realised, _promises)
    sections = (part(found, say) for part in parts)
    return told, *(part for part in sections if part is not None)


def _learners(found: Found, say: Say) -> Section:
    """The contest: what each plan is worth, and who is in force."""
    rows = found["candidates"]
    is_contest = len(rows) > 1
    head = (
        say(N_("Learner")),
        say(N_("In force")),
        say(N_("Worth, CNY")),
        say(N_("More, CNY")),
        say(N_("Standard error")),
        say(N_("Probability of more")),
    )
    kinds = [f"{name}: {say(_LEARNERS[name])}" for name in (r["learner"] for r in rows)]
    return Section(
        title=say(N_("Learners, and who is in force")),
        lede=say(
            N_(
                "What each learner's plan for this history is worth on parcels that it "
                "had not seen, fees taken off, and how much more than that of the "
                "learner in force before."
            )
        ),
        head=head if is_contest else (),
        rows=tuple(
            (
                row["learner"],
                say(N_("yes")) if row["is_champion"] else "",
                f"{row['value_cny']:,.2f}",
                f"{row['more_cny']:+,.2f}",
                f"{row['error_cny']:,.2f}",
                f"{row['confidence']:.1%}",
            )
            for row in rows
            if is_contest
        ),
        num_texts=2,
        notes=(_why(found, say), *(kinds if is_contest else ())),
    )


def _why(found: Found, say: Say) -> str:
    """Why the learner in force is."""
    rows, learner = found["candidates"], found["learner"]
    if len(rows) <= 1:
        words = N_(
            "{learner} is in force: too few harms of parcels that were left to chance "
            "can tell one plan from another."
        )
        return say(words).format(learner=learner)
    (champion,) = [row for row in rows if row["is_champion"]]
    told = {
        "learner": learner,
        "more": f"{champion['more_cny']:,.2f}",
        "sure": f"{champion['confidence']:.1%}",
        "needed": f"{found['confidence']:.0%}",
    }
    if champion["error_cny"] or champion["more_cny"]:
        words = N_(
            "{learner} takes over: its plan is worth {more} CNY more than that of the "
            "learner in force before, with a probability of {sure}; {needed} is enough."
        )
    else:
        words = N_(
            "{learner} stays in force: the plan of no other is worth more with a "
            "probability of {needed}."
        )
    return say(words).format(**told)


def _effects(found: Found, say: Say) -> Section:
    """What a kept promise removes, on the whole."""
    return Section(
        title=say(N_("What premium removes, on the whole")),
        lede=say(
            N_(
                "One share for all parcels, whichever learner is in force. The weight "
                "is that of learning.prior beside the parcels that were measured."
            )
        ),
        head=(
            say(N_("Harm")),
            say(N_("Share removed")),
            "95 %",
            say(N_("Premium parcels")),
            say(N_("Weight of what is stated")),
        ),
        rows=tuple(
            (
                say(_HARMS[harm]),
                f"{known['share']:.1%}",
                f"{known['share'] - 1.96 * known['error']:.1%} … "
                f"{min(1.0, known['share'] + 1.96 * known['error']):.1%}",
                f"{known['num_premium']:,}",
                "–"
                if known["prior_weight"] is None
                else f"{known['prior_weight']:.1%}",
            )
            for harm, known in found["pooled"].items()
        ),
    )


def _realised(found: Found, say: Say) -> Section | None:
    """What earlier plans promised, and what came of it."""
    past = found["realised"]
    if past is None:
        return None
    return Section(
        title=say(N_("Promised and realised, CNY of harm avoided")),
        lede=say(N_("By plans of this history, on parcels left to chance.")),
        head=(
            say(N_("Night or carrier")),
            say(N_("Parcels")),
            say(N_("Promised")),
            say(N_("Realised")),
            "95 %",
            say(N_("Likely")),
        ),
        rows=tuple(
            (
                say(N_("all")) if kind == "all" else row["name"],
                f"{row['num_parcels']:,}",
                f"{row['promised_cny']:,.2f}",
                f"{row['realised_cny']:,.2f}",
                f"{row['low']:,.2f} … {row['high']:,.2f}",
                "–" if kind == "all" else f"{row['likely_cny']:,.2f}",
            )
            for kind, row in ledger_rows(past)
        ),
    )


def _promises(found: Found, say: Say) -> Section:
    """Promises kept, by carrier."""
    return Section(
        title=say(N_("Promises kept")),
        lede="",
        head=(
            say(N_("Carrier")),
            say(N_("Premium")),
            say(N_("Proved kept")),
            say(N_("Share")),
            "95 %",
        ),
        rows=tuple(
            (
                row["carrier_id"] or say(N_("all")),
                f"{row['num_premium']:,}",
                f"{row['num_kept']:,}",
                f"{row['mean']:.1%}",
                f"{row['low']:.1%} … {row['high']:.1%}",
            )
            for row in found["promises"]
            if row["region_id"] is None
        ),
    )
