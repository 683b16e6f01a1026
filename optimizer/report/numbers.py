"""Every number of the report as a table, for further calculation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.contracts.columns import polars_type
from optimizer.contracts.headline import by_mean
from optimizer.contracts.tables import FIGURES
from optimizer.report.figures import draw_figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import polars as pl

    from optimizer.report.figures import Figures, Use

    #: Section, item, figure, value.
    Row = tuple[str, str | None, str, float]

_SUMMARY = (
    *(
        "saving_cny",
        "drawn_saving_cny",
        "num_chosen",
        "num_orders",
        "sum_of_caps",
        "num_merchants",
    ),
    *("num_merchants_with_cap", "num_quarantined", "penalties_cny"),
)
_NIGHT = ("num_orders", "num_chosen", "saving", "each", "cap_use", "relative_gap")
_MORE = ("shadow_price_cny", "one_more_cny", "one_fewer_cny")
_LANE = ("used", "slots", *_MORE, "one_more_around_cny", "one_fewer_around_cny")
_OWN = ("num_orders", "used", "cap", *_MORE)
_REALISED = (
    *("num_parcels", "promised_cny", "realised_cny", "low", "high", "likely_cny"),
    "num_nights",
)
_LIMIT = ("low", "used", "high", "shadow_price_cny")
_CONFLICT = ("asked", "reached", "priority")


def report_figures(
    record: Mapping[str, Any], tables: Mapping[str, pl.DataFrame]
) -> pl.DataFrame:
    """
    List the report's numbers, one a row, in the order of the page.

    Parameters
    ----------
    record, tables
        As for :func:`~optimizer.report.page.report_html`.

    Returns
    -------
    pl.DataFrame
        ``section``, ``item``, ``figure``, ``value``.
    """
    import polars as pl

    night = draw_figures(record, tables)
    parts = (_glance, _realised, _nights, _reasons, _capacity, _prices, _limits, _end)
    rows = [row for part in parts for row in part(night)]
    kinds = {column.name: polars_type(column.kind) for column in FIGURES.columns}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def _of(
    section: str, item: str | None, values: Iterable[tuple[str, Any]]
) -> Iterator[Row]:
    """Rows of the figures that have a value."""
    for figure, value in values:
        if value is not None:
            yield section, item, figure, float(value)


def _glance(night: Figures) -> Iterator[Row]:
    summary, proof = by_mean(night.record["summary"]), night.record["certificate"]
    given = [(name, summary[name]) for name in _SUMMARY if name in summary]
    yield from _of("night", None, given)
    bounds = ("dual_bound", "primal_bound", "gap")
    yield from _of("proof", None, ((f"{n}_cny", proof[n] / 1e6) for n in bounds))
    yield from _of("proof", None, [("relative_gap", proof["relative_gap"])])
    for name in ("fees_cny", "largest_compensation_cny"):
        for who, amount in sorted(summary[name].items()):
            yield "night", who, name, float(amount)
    yield from _of("night", None, [("num_warnings", len(night.record["warnings"]))])


def _realised(night: Figures) -> Iterator[Row]:
    """What earlier plans promised and what came of it."""
    for kind, row in night.ledger_rows:
        item = None if kind == "all" else f"{kind}: {row['name']}"
        yield from _of("realised", item, ((n, row.get(n)) for n in _REALISED))


def _nights(night: Figures) -> Iterator[Row]:
    """Nights, changes against the last one, and means of the earlier ones."""
    nights = night.nights
    for row in nights:
        yield from _of("nights", row.day, ((n, getattr(row, n)) for n in _NIGHT))
    for found in night.compared:
        against = (
            (f"{found.kind}_change", found.change),
            (f"{found.kind}_mean", found.mean),
        )
        yield from _of("compared", found.day, against)
    if len(night.week) > 1:
        yield "compared", None, "num_nights", float(len(night.week) - 1)
    if chance := night.record["summary"].get("experiment"):
        yield from _of("chance", None, sorted(chance.items()))


def _reasons(night: Figures) -> Iterator[Row]:
    for reason, number in sorted(night.record["summary"]["reasons"].items()):
        yield "reasons", reason, "num_orders", float(number)


def _capacity(night: Figures) -> Iterator[Row]:
    lanes = night.capacity
    for carrier, use in lanes.carriers.items():
        yield from _of("carriers", carrier, _use(use))
    for region, row in lanes.regions.items():
        for carrier, use in row.items():
            yield from _of("regions", f"{carrier}/{region}", _use(use))
    yield from _of(
        "capacity",
        None,
        [
            ("num_carriers", lanes.num_carriers),
            ("num_regions", lanes.num_regions),
            ("most_of_one_more_cny", lanes.top_price),
        ],
    )


def _use(use: Use) -> list[tuple[str, float | None]]:
    return [
        *(("slots", use.slots), ("used", use.used)),
        *(("one_more_cny", use.alone), ("one_more_around_cny", use.around)),
    ]


def _prices(night: Figures) -> Iterator[Row]:
    """Value of one more slot: the lanes and merchants where it is greatest."""
    for row in night.top_lanes:
        parts = (row["carrier_id"], row["region_id"], row["outlet_id"])
        place = "/".join(part or "" for part in parts).rstrip("/")
        if row["service_date"] is not None:
            place += f" {row['service_date']}"
        yield from _of("lanes", place, ((n, row[n]) for n in _LANE))
    for row in night.top_merchants:
        yield from _of("merchants", row["merchant_id"], ((n, row[n]) for n in _OWN))
    counts = (
        *("num_priced_lanes", "num_priced_merchants"),
        *("num_without_slots", "num_waiting"),
    )
    yield from _of("merchants", None, ((n, getattr(night, n)) for n in counts))


def _limits(night: Figures) -> Iterator[Row]:
    for row in night.limits:
        item = f"{row['kind']}: {row['limit']}"
        yield from _of("limits", item, ((n, row[n]) for n in _LIMIT))
    for row in night.conflicts:
        item = f"{row['kind']}: {row['limit']}"
        yield from _of("conflicts", item, ((n, row[n]) for n in _CONFLICT))
    counts = ("num_limits", "num_conflicts")
    yield from _of("limits", None, ((n, getattr(night, n)) for n in counts))


def _end(night: Figures) -> Iterator[Row]:
    """Refused rows, inputs and the rules in force."""
    for rule in night.rules:
        item = f"{rule['source']}.{rule['column']} {rule['rule']}"
        yield "quarantine", item, "num_rows", float(rule["len"])
    yield "quarantine", None, "num_rules", float(night.num_rules)
    for table, used in sorted(night.record["inputs"].items()):
        yield "inputs", table, "num_rows", float(used["num_rows"])
        yield "inputs", table, "num_files", float(len(used["files"]))
    policy, objective = night.record["policy"], night.record["config"]["objective"]
    costs = ("complaint_cost_cny", "return_cost_cny", "fee_share")
    yield from _of("rules", None, ((name, objective[name]) for name in costs))
    yield "rules", None, "cap_rate", float(policy["cap"]["rate"])
    yield "rules", None, "fee_cny", float(policy["fee"]["amount_cny"])
    yield "rules", None, "compensation_cny", float(policy["compensation"]["amount_cny"])
    for who, part in sorted(policy["fee"]["payer"].items()):
        yield "rules", who, "fee_payer_share", float(part)
