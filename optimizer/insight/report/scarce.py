"""The middle of the report: capacity, caps, and what more of them would bring."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from optimizer.insight.report.charts import bar, fill, plain
from optimizer.insight.report.markup import NOTHING, Html, count, element, join, money
from optimizer.insight.report.markup import name as named

if TYPE_CHECKING:
    from optimizer.insight.report.figures import Capacity, Figures, Use
    from optimizer.insight.report.language import Language

#: Shades of the picture of regions.
_NUM_SHADES = 4


def capacity(night: Figures, language: Language) -> Html:
    """Draw slots, their use and their price, by carrier and by region."""
    say, lanes = language.say, night.capacity
    heading = element("h2", say("capacity"))
    if not lanes.carriers:
        return element(
            "section", heading, element("p", say("no_lanes"), class_="quiet")
        )
    most = max(1, *(use.slots for use in lanes.carriers.values()))
    rows = [
        _carrier_row(number, carrier, use, most, night, language)
        for number, (carrier, use) in enumerate(lanes.carriers.items())
    ]
    return element(
        "section",
        heading,
        element("p", say(_note("capacity_note", night)), class_="lede"),
        element("ul", *rows, class_="bars"),
        _more("more_carriers", len(rows), lanes.num_carriers, language),
        _regions(night, language) if lanes.regions else NOTHING,
    )


def value_of_more(night: Figures, language: Language) -> Html:
    """List the lanes and the merchants where one more slot is worth most."""
    say = language.say
    lanes, merchants = _lane_values(night, language), _merchant_values(night, language)
    return element(
        "section",
        element("h2", say(_note("more", night))),
        element("p", say(_note("more_note", night)), class_="lede"),
        element("div", lanes, merchants, class_="pair"),
    )


def _note(key: str, night: Figures) -> str:
    """Which words: where no value is known exactly, they are of the proof's prices."""
    return key if night.has_exact_values else f"{key}_by_prices"


def merchants(night: Figures, language: Language) -> Html:
    """Draw how many merchants have slots, and how many have none."""
    say, summary = language.say, night.record["summary"]
    having, lacking = summary["num_merchants_with_cap"], night.num_without_slots
    title = say("merchants_bar", with_slots=count(having), without=count(lacking))
    parts = [("rest", 1.0), ("used", having / max(1, having + lacking))]
    key = f"{language.code}-merchants"
    have = say(
        "with_slots_note",
        slots=count(summary["sum_of_caps"]),
        used=count(summary["num_chosen"]),
    )
    lack = say("without_slots_note", waiting=count(night.num_waiting))
    sides = [
        element(
            "div",
            element("p", count(number), class_="figure"),
            element("p", say(label), class_="label"),
            element("p", note, class_="note"),
        )
        for number, label, note in (
            (having, "with_slots", have),
            (lacking, "without_slots", lack),
        )
    ]
    return element(
        "section",
        element("h2", say("merchants")),
        bar(key, parts, title, say("merchants_bar_note")),
        element("div", *sides, class_="sides"),
    )


def _carrier_row(
    number: int, carrier: str, use: Use, most: int, night: Figures, language: Language
) -> Html:
    say, is_exact = language.say, night.has_exact_values
    words = say("used_of", used=count(use.used), slots=count(use.slots))
    parts = [("rest", use.slots / most), ("used", use.used / most)]
    return element(
        "li",
        element("span", named(carrier), class_="what"),
        element("span", words, class_="many"),
        bar(f"{language.code}-carrier-{number}", parts, words, say("carrier_bar_note")),
        element("p", _carrier_price(use, language, is_exact=is_exact), class_="note"),
    )


def _carrier_price(use: Use, language: Language, *, is_exact: bool) -> Html:
    """What one more slot would bring in a carrier's own row, and in its dearest."""
    say, around = language.say, language.cny(use.around)
    if not is_exact:
        return say("proof_price", price=around)
    if use.alone is None:
        return say("in_sum", around=around)
    return say("one_more", alone=language.cny(use.alone), around=around)


def _regions(night: Figures, language: Language) -> Html:
    """Regions down, carriers across, in two tables that stand beside each other."""
    say, lanes = language.say, night.capacity
    regions = list(lanes.regions)
    columns = list(dict.fromkeys(c for row in lanes.regions.values() for c in row))
    columns = [carrier for carrier in lanes.carriers if carrier in columns]
    half = math.ceil(len(regions) / 2) if len(regions) > 8 else len(regions)
    tables = [
        _region_table(lanes, first, regions[first : first + half], columns, language)
        for first in range(0, len(regions), half)
    ]
    wide = "stack" if len(columns) > 5 else "pair"
    num_columns = sum(1 for c in lanes.carriers if c in columns)
    return join(
        element("h3", say("regions")),
        element("p", say(_note("regions_note", night)), class_="lede"),
        _legend(night, language),
        element("div", *tables, class_=wide),
        _more("more_regions", len(regions), lanes.num_regions, language),
        _more("more_columns", num_columns, lanes.num_carriers, language),
    )


def _region_table(
    lanes: Capacity,
    first: int,
    regions: list[str],
    columns: list[str],
    language: Language,
) -> Html:
    say = language.say
    numbers = {"first": count(first + 1), "last": count(first + len(regions))}
    caption = say("regions_caption", **numbers)
    heads = [element("th", named(carrier), scope="col") for carrier in columns]
    rows = [
        element(
            "tr",
            element("th", named(region), scope="row"),
            *(
                _cell(lanes.regions[region].get(carrier), lanes.top_price, language)
                for carrier in columns
            ),
        )
        for region in regions
    ]
    table = element(
        "table",
        element("caption", caption),
        element(
            "thead", element("tr", element("th", say("region"), scope="col"), *heads)
        ),
        element("tbody", *rows),
        class_="heat",
    )
    label = plain(caption)
    return element(
        "div", table, class_="scroll", tabindex="0", role="region", aria_label=label
    )


def _cell(use: Use | None, top_price: float, language: Language) -> Html:
    if use is None:
        mark = element("span", Html("–"), aria_hidden="true")
        spoken = element("span", language.say("no_row"), class_="spoken")
        return element("td", mark, spoken, class_="none")
    around = use.around
    shade = math.ceil(_NUM_SHADES * around / top_price) if around > 0 else 0
    return element(
        "td",
        element("span", count(use.used), Html("/"), count(use.slots)),
        element("small", money(around)) if around > 0 else NOTHING,
        fill(use.used / use.slots) if use.slots else NOTHING,
        class_=f"shade{min(shade, _NUM_SHADES)}",
    )


def _legend(night: Figures, language: Language) -> Html:
    say, top_price = language.say, night.capacity.top_price
    steps = [element("i", class_=f"shade{step}") for step in range(_NUM_SHADES + 1)]
    return element(
        "p",
        element("span", say(_note("legend", night))),
        element("span", say("nothing")),
        element("span", *steps, class_="steps", aria_hidden="true"),
        element("span", say("legend_most", price=language.cny(top_price))),
        class_="legend",
    )


def _lane_values(night: Figures, language: Language) -> Html:
    """Lanes where one more slot brings most: around, and alone where that is known."""
    say = language.say
    heads = ["around", "alone"] if night.has_exact_values else ["price"]
    columns = ["around", "alone"][: len(heads)]
    rows = [
        [
            _place(row, language),
            element("td", count(row["used"]), Html(" / "), count(row["slots"])),
            *(element("td", money(row[column])) for column in columns),
        ]
        for row in night.top_lanes
    ]
    names = [say(name) for name in ("lane", "used_slots", *heads)]
    return _values("lanes", names, rows, night.num_priced_lanes, language)


def _merchant_values(night: Figures, language: Language) -> Html:
    """Merchants where one more in the cap brings most."""
    say = language.say
    head = "one_more_head" if night.has_exact_values else "price"
    rows = [
        [
            _merchant(row, language),
            element("td", count(row["used"]), Html(" / "), count(row["cap"])),
            element("td", money(row["around"])),
        ]
        for row in night.top_merchants
    ]
    names = [say(name) for name in ("merchant_head", "used_cap", head)]
    return _values("merchants", names, rows, night.num_priced_merchants, language)


def _values(
    kind: str, heads: list[Html], rows: list[list[Html]], total: int, language: Language
) -> Html:
    """What one more brings in ``lanes`` or ``merchants``, as a table."""
    say = language.say
    heading = element("h3", say(f"top_{kind}"))
    if not rows:
        note = element("p", say(f"no_priced_{kind}"), class_="quiet")
        return element("div", heading, note)
    shown = say("top_of", shown=count(len(rows)), total=count(total))
    head = [element("th", name, scope="col") for name in heads]
    table = element(
        "table",
        element("caption", shown),
        element("thead", element("tr", *head)),
        element("tbody", *(element("tr", *row) for row in rows)),
        class_="list",
    )
    return element("div", heading, element("div", table, class_="scroll"))


def _place(lane: dict[str, Any], language: Language) -> Html:
    """A lane's name: carrier and region, with the outlet below."""
    region, outlet = lane["region_id"], lane["outlet_id"]
    where = named(region) if region is not None else language.say("all_regions")
    inside = named(outlet) if outlet is not None else language.say("all_outlets")
    line = join(named(lane["carrier_id"]), element("span", where), between=" ")
    return element("th", line, element("small", inside), scope="row")


def _merchant(row: dict[str, Any], language: Language) -> Html:
    size = language.say("parcels", number=count(row["num_orders"]))
    return element("th", named(row["merchant_id"]), element("small", size), scope="row")


def _more(key: str, shown: int, total: int, language: Language) -> Html:
    if shown >= total:
        return NOTHING
    words = language.say(key, shown=count(shown), total=count(total))
    return element("p", words, class_="quiet")
