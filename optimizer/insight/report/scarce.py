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
        _carrier_row(number, carrier, use, most, language)
        for number, (carrier, use) in enumerate(lanes.carriers.items())
    ]
    return element(
        "section",
        heading,
        element("p", say("capacity_note"), class_="lede"),
        element("ul", *rows, class_="bars"),
        _more("more_carriers", len(rows), lanes.num_carriers, language),
        _regions(lanes, language) if lanes.regions else NOTHING,
    )


def value_of_more(night: Figures, language: Language) -> Html:
    """List the lanes and the merchants where one more slot is worth most."""
    say = language.say
    lanes = _price_table("lanes", night.top_lanes, night.num_priced_lanes, language)
    merchants = _price_table(
        "merchants", night.top_merchants, night.num_priced_merchants, language
    )
    return element(
        "section",
        element("h2", say("more")),
        element("p", say(_more_note(night)), class_="lede"),
        element("div", lanes, merchants, class_="pair"),
    )


def _more_note(night: Figures) -> str:
    """What prices say: on packing nights they are the proof's alone."""
    is_packing = night.record["problem_class"] == "packing"
    return "more_note_packing" if is_packing else "more_note"


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
    number: int, carrier: str, use: Use, most: int, language: Language
) -> Html:
    say = language.say
    words = say("used_of", used=count(use.used), slots=count(use.slots))
    parts = [("rest", use.slots / most), ("used", use.used / most)]
    return element(
        "li",
        element("span", named(carrier), class_="what"),
        element("span", words, class_="many"),
        bar(f"{language.code}-carrier-{number}", parts, words, say("carrier_bar_note")),
        element("p", _carrier_price(use.price, language), class_="note"),
    )


def _carrier_price(price: float | None, language: Language) -> Html:
    if price is None:
        return language.say("in_sum")
    if price == 0:
        return language.say("no_more")
    return language.say("one_more", price=language.cny(price))


def _regions(lanes: Capacity, language: Language) -> Html:
    """Regions down, carriers across, in two tables that stand beside each other."""
    say, regions = language.say, list(lanes.regions)
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
        element("p", say("regions_note"), class_="lede"),
        _legend(lanes.top_price, language),
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
    price = use.price or 0.0
    shade = math.ceil(_NUM_SHADES * price / top_price) if price > 0 else 0
    return element(
        "td",
        element("span", count(use.used), Html("/"), count(use.slots)),
        element("small", money(price)) if price > 0 else NOTHING,
        fill(use.used / use.slots) if use.slots else NOTHING,
        class_=f"shade{min(shade, _NUM_SHADES)}",
    )


def _legend(top_price: float, language: Language) -> Html:
    say = language.say
    steps = [element("i", class_=f"shade{step}") for step in range(_NUM_SHADES + 1)]
    return element(
        "p",
        element("span", say("legend")),
        element("span", say("nothing")),
        element("span", *steps, class_="steps", aria_hidden="true"),
        element("span", say("legend_most", price=language.cny(top_price))),
        class_="legend",
    )


def _price_table(
    kind: str, rows: list[dict[str, Any]], total: int, language: Language
) -> Html:
    """Highest prices of ``lanes`` or ``merchants``."""
    say = language.say
    heading = element("h3", say(f"top_{kind}"))
    if not rows:
        note = element("p", say(f"no_priced_{kind}"), class_="quiet")
        return element("div", heading, note)
    is_lanes = kind == "lanes"
    limit = "slots" if is_lanes else "cap"
    head = [
        element("th", say("lane" if is_lanes else "merchant_head"), scope="col"),
        element("th", say(f"used_{limit}"), scope="col"),
        element("th", say("price"), scope="col"),
    ]
    body = [
        element(
            "tr",
            _place(row, language) if is_lanes else _merchant(row, language),
            element("td", count(row["used"]), Html(" / "), count(row[limit])),
            element("td", money(row["shadow_price_cny"])),
        )
        for row in rows
    ]
    shown = say("top_of", shown=count(len(rows)), total=count(total))
    table = element(
        "table",
        element("caption", shown),
        element("thead", element("tr", *head)),
        element("tbody", *body),
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
