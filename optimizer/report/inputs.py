"""
What a check of a night's inputs found, in sections: as text and as a page.

Both say the same in the same words, from the catalogues.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from optimizer.report.language import ENGLISH, LANGUAGES, N_
from optimizer.report.section import Section, sections_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from optimizer.report.language import Language

    Found = Mapping[str, Any]

#: Lanes, names and warnings that are listed; ``--json`` has all.
NUM_LANES, NUM_NAMES, NUM_WARNINGS = 20, 5, 20
#: From so far above or below a known rate on, a mean is told to be off.
MOST_OFF = 2.0

_ROUNDINGS = {
    "floor": N_("rounded down"),
    "carryover": N_("carry-over, on average"),
    "pooled": N_("pooled"),
}
_COLUMNS = {
    "complaint_prob_standard": N_("complaint, standard"),
    "complaint_prob_premium": N_("complaint, premium"),
    "return_prob_standard": N_("return, standard"),
    "return_prob_premium": N_("return, premium"),
}
_HARMS = {"complaint": N_("complaints"), "return": N_("returns")}
_GIVERS = {"table": N_("the table"), "model": N_("the model")}
_AGAINST = {
    "history": N_("outcomes of past nights"),
    "model": N_("the model's card"),
    "prior": N_("stated in learning.prior"),
}
#: What is missing, and how to get it.
_MISSING = {
    "NO_CAPACITY": (
        N_("No capacity row is for these carriers: {names}."),
        N_(
            "Add a row for each to the capacity table; or capacity.uncovered_lanes: "
            "open, where they have room for everything."
        ),
    ),
    "NO_MERCHANTS": (
        N_(
            "There is no merchants table: all take part, buy whatever is recommended, "
            "and have as many orders as the table has rows."
        ),
        N_("inputs.merchants: its path, with merchant_id, take_up and is_enrolled."),
    ),
    "NO_HISTORY": (
        N_("No outcomes of past nights are named, so nothing can be learned."),
        N_(
            "learning.history: their path (`optimizer init` maps an export of them), "
            "then `optimizer learn --config FILE`."
        ),
    ),
    "NO_CARD": (
        N_("The model has no card, so what it was learned from is not known."),
        N_("`optimizer learn --config FILE` writes model and card."),
    ),
    "NO_BASE_RATE": (
        N_("Nothing is known to hold the mean probabilities against."),
        N_(
            "learning.history, a learned model, or learning.prior with complaint_prob "
            "and return_prob."
        ),
    ),
    "NOTHING_AT_RANDOM": (
        N_(
            "Nothing is left to chance, so the effect of premium cannot be measured "
            "afterwards."
        ),
        N_("holdout.share: 0.05 keeps some chosen parcels back; or explore_share."),
    ),
    "NO_DELIVERIES": (
        N_(
            "There is no deliveries table: parcels of earlier nights keep their slots "
            "until their day has passed."
        ),
        N_("inputs.deliveries: its path, with order_id, date and status."),
    ),
    "NO_EARLIER_NIGHTS": (
        N_("No earlier night carries fractions of slots over to this one."),
        N_("`optimizer backfill --config FILE --from DATE --to DATE`, in order."),
    ),
    "NO_ORDERS": (
        N_("No order that may be recommended goes with these carriers: {names}."),
        N_("Is the export whole? Else take them out of the policy's carriers."),
    ),
}


def input_sections(found: Found, language: Language) -> tuple[Section, ...]:
    """
    Put what a check found into sections.

    Parameters
    ----------
    found
        As :func:`optimizer.job.check_date` gives it.
    language
        Of the words.
    """
    parts = (_rows, _merchants, _demand, _chances, _held, _refused, _lookups, _lacking)
    say = language.catalogue.gettext
    return (
        *(part(found, say, language) for part in parts),
        _warnings(found, say, language),
    )


def inputs_text(found: Found, language: Language = ENGLISH) -> str:
    """
    Write what a check found as aligned text.

    Parameters
    ----------
    found
        As :func:`optimizer.job.check_date` gives it.
    language
        Of the words.
    """
    first = f"{found['date']}: {_verdict(found, language)}"
    return sections_text(first, input_sections(found, language), language)


def inputs_html(found: Found, first: Language = ENGLISH) -> str:
    """
    Write what a check found as one page of HTML that needs nothing else.

    Parameters
    ----------
    found
        As :func:`optimizer.job.check_date` gives it.
    first
        The language that is shown; the page has a switch to the other.
    """
    from optimizer.report.render import render  # Jinja2 takes a while

    pages = {
        each.code: {
            "verdict": _verdict(found, each),
            "sections": input_sections(found, each),
        }
        for each in LANGUAGES
    }
    return render(
        "inputs.html.j2",
        first.code,
        found=found,
        pages=pages,
    )


def _verdict(found: Found, language: Language) -> str:
    say = language.catalogue.gettext
    return say(N_("a run would go on to solve it; nothing was written"))


def _rows(found: Found, say: Callable[[str], str], _language: Language) -> Section:
    one, many = say(N_("1 row")), say(N_("{num} rows"))

    def counted(num: int) -> str:
        return one if num == 1 else many.format(num=_count(num))

    notes = [f"{name}: {counted(num)}" for name, num in found["num_rows"].items()]
    not_read = say(N_("{table}: not read, as no rule asks for it: {columns}"))
    notes += [
        not_read.format(table=name, columns=say(N_(", ")).join(columns))
        for name, columns in found["unread"].items()
        if columns
    ]
    broken = say(N_("quarantine: {rows} with a broken rule"))
    notes.append(broken.format(rows=counted(found["num_quarantined"])))
    return Section(say(N_("Rows")), "", notes=tuple(notes), is_list=True)


def _merchants(found: Found, say: Callable[[str], str], _: Language) -> Section:
    given = found["merchants"]
    ways = [(say(N_("tonight, all counted")), given["tonight"])]
    for name, counts in given["roundings"].items():
        label = say(_ROUNDINGS[name]) if name in _ROUNDINGS else name
        is_own = name == given["rounding"]
        mark = say(N_("{rounding} (configured)")).format(rounding=label)
        ways.append((mark if is_own else label, counts))
    return Section(
        title=say(N_("Merchants with at least one slot")),
        lede=say(
            N_(
                "{num} merchants; the cap is {rate} of a merchant's parcels. Roundings "
                "are compared without overrides, budgets and earlier nights."
            )
        ).format(num=_count(given["num_merchants"]), rate=_percent(given["rate"])),
        head=(
            say(N_("Rounding of the cap")),
            say(N_("With slots")),
            say(N_("Without")),
            say(N_("Slots")),
        ),
        rows=tuple(
            (
                label,
                _count(counts["num_merchants_with"]),
                _count(counts["num_merchants_without"]),
                _count(counts["num_slots"]),
            )
            for label, counts in ways
        ),
    )


def _demand(found: Found, say: Callable[[str], str], _language: Language) -> Section:
    lanes = found["capacity"]["lanes"]
    wanted = [lane for lane in lanes if lane["num_orders"]]
    idle = [lane for lane in lanes if not lane["num_orders"]]
    none = say(N_("no row"))
    rows = [
        (
            _lane(lane, say),
            _count(lane["num_orders"]),
            none if lane["num_slots"] is None else _count(lane["num_slots"]),
            "–" if (share := lane["slots_per_order"]) is None else _percent(share),
        )
        for lane in wanted[:NUM_LANES]
    ]
    notes = []
    if len(wanted) > NUM_LANES:
        notes.append(
            say(N_("{shown} of {total} are shown, the largest shortage first.")).format(
                shown=_count(NUM_LANES), total=_count(len(wanted))
            )
        )
    if idle:
        names = _some([_lane(lane, say) for lane in idle], say)
        notes.append(
            say(N_("No order wants {num} of them: {names}.")).format(
                num=_count(len(idle)), names=names
            )
        )
    if number := found["capacity"]["num_other_rows"]:
        notes.append(
            say(N_("Rows that name an attribute are not counted here: {num}.")).format(
                num=_count(number)
            )
        )
    return Section(
        title=say(N_("Capacity beside demand")),
        lede=say(
            N_(
                "Orders that may be recommended and could go there, against the slots "
                "that are left tonight. Caps allow {num} of {total} such orders."
            )
        ).format(
            num=_count(found["merchants"]["tonight"]["num_slots"]),
            total=_count(found["merchants"]["num_open"]),
        ),
        head=(
            say(N_("Carrier and region")),
            say(N_("Orders")),
            say(N_("Slots")),
            say(N_("Slots of orders")),
        ),
        rows=tuple(rows),
        notes=tuple(notes),
    )


def _chances(found: Found, say: Callable[[str], str], _: Language) -> Section:
    given = found["probabilities"]
    limits = given["plausible"]
    rows = [
        (
            say(_COLUMNS[row["column"]]),
            say(_GIVERS[row["given_by"]]),
            *(_chance(row[n]) for n in ("min", "q25", "median", "q75", "max", "mean")),
            _percent(row["share_implausible"]),
        )
        for row in given["columns"]
    ]
    notes = [
        say(
            N_("Premium is said to raise the risk of {harm} for {share} of orders.")
        ).format(harm=say(_HARMS[harm]), share=_percent(share))
        for harm, share in given["worse_with_premium"].items()
        if share
    ]
    if any(row["min"] == row["max"] for row in given["columns"]):
        notes.append(
            say(
                N_(
                    "Where all orders have the same probability, who is chosen among "
                    "them is chosen by lot."
                )
            )
        )
    return Section(
        title=say(N_("Probabilities")),
        lede=say(N_("Odd are those of {low} or below, and of {high} or above.")).format(
            low=f"{limits['above']:g}", high=f"{limits['below']:g}"
        ),
        head=(
            say(N_("Harm, service")),
            say(N_("From")),
            say(N_("Least")),
            "25%",
            say(N_("Median")),
            "75%",
            say(N_("Most")),
            say(N_("Mean")),
            say(N_("Odd")),
        ),
        rows=tuple(rows),
        num_texts=2,
        notes=tuple(notes),
    )


def _held(found: Found, say: Callable[[str], str], _language: Language) -> Section:
    rows, notes = [], []
    known = found["probabilities"]["calibration"]
    for row in known:
        ratio, count = row["ratio"], row["num_parcels"]
        harm, against = say(_HARMS[row["harm"]]), say(_AGAINST[row["against"]])
        rows.append(
            (
                harm,
                against,
                "–" if count is None else _count(count),
                _chance(row["predicted"]),
                _chance(row["known"]),
                "–" if ratio is None else f"{ratio:.2f}",
            )
        )
        if ratio is None or not 1 / MOST_OFF <= ratio <= MOST_OFF:
            notes.append(
                say(
                    N_(
                        "The mean for {harm} is far from {against}: are these "
                        "probabilities of the same harm, in the same unit?"
                    )
                ).format(harm=harm, against=against)
            )
    if num_refused := max((one["num_refused"] for one in known), default=0):
        told = N_("Rows of past outcomes that break a rule and do not count: {num}.")
        notes.append(say(told).format(num=_count(num_refused)))
    if not rows:
        notes.append(
            say(N_("There is nothing to hold them against; see what is missing."))
        )
    if why := found.get("rates_unknown"):
        notes.append(say(N_("Known rates could not be read: {why}")).format(why=why))
    return Section(
        title=say(N_("Mean probabilities against known rates")),
        lede=say(N_("Of parcels on standard service.")),
        head=(
            say(N_("Harm")),
            say(N_("Known from")),
            say(N_("Parcels")),
            say(N_("Mean")),
            say(N_("Known")),
            say(N_("Ratio")),
        )
        if rows
        else (),
        rows=tuple(rows),
        num_texts=2,
        notes=tuple(notes),
    )


def _refused(found: Found, say: Callable[[str], str], language: Language) -> Section:
    given, num = found["quarantine"], found["num_quarantined"]
    first = [
        f"{row['place']}: {row['column']} {language.rule(row['rule'])}".replace(
            ":  ", ": "
        )
        for row in given["first"]
    ]
    notes = [say(N_("The first of them:")), *first] if first else []
    said = say(N_("Rows with a broken rule: {num}. They get no decision."))
    return Section(
        title=say(N_("Quarantine")),
        lede=said.format(num=_count(num))
        if num
        else say(N_("Every row of every input keeps the rules.")),
        head=(say(N_("Table")), say(N_("Column")), say(N_("Rule")), say(N_("Rows")))
        if num
        else (),
        rows=tuple(
            (
                row["source"],
                row["column"],
                language.rule(row["rule"]),
                _count(row["num_rows"]),
            )
            for row in given["by_rule"]
        ),
        num_texts=3,
        notes=tuple(notes),
        is_list=True,
    )


def _lookups(found: Found, say: Callable[[str], str], language: Language) -> Section:
    notes = [row["text"] for row in found["lookups"]]
    if language is not ENGLISH:
        known = say(N_("{place}: {found} of {num} names in {column} are known"))
        more = say(N_("; not {names}"))
        notes = [
            known.format(
                place=row["place"],
                found=_count(row["num_found"]),
                num=_count(row["num_names"]),
                column=row["column"],
            )
            + (more.format(names=_missing_names(row, say)) if row["missing"] else "")
            for row in found["lookups"]
        ]
    title = say(N_("Names that are found"))
    return Section(title, "", notes=tuple(notes), is_list=True)


def _missing_names(row: Found, say: Callable[[str], str]) -> str:
    names = [missing["name"] for missing in row["missing"]]
    return say(N_(", ")).join(names)


def _lacking(found: Found, say: Callable[[str], str], _language: Language) -> Section:
    notes = []
    for row in found["missing"]:
        what, how = _MISSING[row["code"]]
        names = _some(row["names"], say)
        notes.append(f"{say(what).format(names=names)} → {say(how)}")
    return Section(
        title=say(N_("What is missing, and how to get it")),
        lede="" if notes else say(N_("Nothing.")),
        notes=tuple(notes),
    )


def _warnings(found: Found, say: Callable[[str], str], language: Language) -> Section:
    said = [language.warning(warning) for warning in found["warnings"]]
    notes = said[:NUM_WARNINGS]
    if len(said) > NUM_WARNINGS:
        shown = say(N_("{shown} of {total} are shown; --json has all."))
        notes.append(shown.format(shown=_count(NUM_WARNINGS), total=_count(len(said))))
    return Section(
        title=say(N_("Warnings")),
        lede="" if notes else say(N_("None.")),
        notes=tuple(notes),
    )


def _lane(lane: Found, say: Callable[[str], str]) -> str:
    carrier = lane["carrier_id"] or say(N_("all carriers"))
    return f"{carrier} / {lane['region_id'] or say(N_('all regions'))}"


def _some(names: Sequence[str], say: Callable[[str], str]) -> str:
    shown = say(N_(", ")).join(names[:NUM_NAMES])
    if len(names) <= NUM_NAMES:
        return shown
    more = say(N_("{names} and {num_more} more"))
    return more.format(names=shown, num_more=_count(len(names) - NUM_NAMES))


def _count(number: float) -> str:
    return f"{number:,}"


def _percent(share: float) -> str:
    """
    Write a share as a percentage.

    Examples
    --------
    >>> _percent(0.03), _percent(0.000123456), _percent(1)
    ('3%', '0.01235%', '100%')
    """
    shown = Decimal(f"{Decimal(repr(share)) * 100:.4g}").normalize()
    return f"{shown:f}%"


def _chance(value: float) -> str:
    """Write a probability to four significant digits, small ones without exponent."""
    return f"{Decimal(f'{value:.4g}'):f}"
