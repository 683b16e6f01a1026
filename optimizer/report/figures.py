"""The numbers of the report, from the night's tables; few, however large the night."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.contracts.tables import (
    CONFLICTS,
    LANE_RESULTS,
    MERCHANT_RESULTS,
    NIGHTS,
    QUARANTINE,
    ROW_RESULTS,
)
from optimizer.report.realised import ledger_picture, ledger_rows
from optimizer.report.week import COMPARED, compare, read_nights, trends_of, week_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from optimizer.report.realised import LedgerPicture
    from optimizer.report.week import Comparison, NightRow, Trend

#: Rows of the lists of what is scarce.
NUM_TOP = 20
#: Carriers, regions and broken rules that are listed; the tables have them all.
NUM_CARRIERS, NUM_REGIONS, NUM_RULES = 12, 40, 20
#: Carriers beside each other in the picture of regions.
NUM_COLUMNS = 8
#: Reasons that are listed; a night has about a dozen.
NUM_REASONS = 20
#: Shades of the picture of regions, and rows from which it stands in two tables.
NUM_SHADES, NUM_UNBROKEN = 4, 8


@dataclass(frozen=True, slots=True)
class Use:
    """
    Slots of a carrier, in total or in a region, and their use.

    Attributes
    ----------
    slots, used
        Of the row for the whole, or in sum over the rows inside it.
    alone
        Value of one more slot in its own row alone, CNY; ``None`` without such
        a row, and on nights where it is not known.
    around
        Value of one more slot in its dearest row and all ancestors of that row, CNY;
        on nights where it is not known, the certificate's price of that row.
    """

    slots: int
    used: int
    alone: float | None
    around: float


@dataclass(frozen=True, slots=True)
class Capacity:
    """
    A summary of the lanes.

    Attributes
    ----------
    carriers
        Use by carrier, most slots first.
    regions
        Use by region and carrier, most slots first.
    num_carriers, num_regions
        How many there are, listed or not.
    """

    carriers: dict[str, Use]
    regions: dict[str, dict[str, Use]]
    num_carriers: int
    num_regions: int

    @property
    def top_price(self) -> float:
        """Greatest value of a slot in the picture of regions."""
        cells = [cell for row in self.regions.values() for cell in row.values()]
        return max((cell.around for cell in cells), default=0.0)

    @property
    def top_worth(self) -> float:
        """Greatest value of a slot of any carrier that is listed."""
        return max((use.around for use in self.carriers.values()), default=0.0)

    @property
    def most_slots(self) -> int:
        """Slots of the carrier with most, and at least 1."""
        return max((1, *(use.slots for use in self.carriers.values())))

    @property
    def columns(self) -> list[str]:
        """Carriers of the picture of regions, most slots first."""
        there = {carrier for row in self.regions.values() for carrier in row}
        return [carrier for carrier in self.carriers if carrier in there]

    @property
    def region_blocks(self) -> list[RegionBlock]:
        """Regions in one table, or in two tables side by side."""
        regions = list(self.regions)
        is_long = len(regions) > NUM_UNBROKEN
        size = math.ceil(len(regions) / 2) if is_long else len(regions)
        starts = range(0, len(regions), size)
        parts = [(start, regions[start : start + size]) for start in starts]
        return [RegionBlock(n + 1, n + len(part), part) for n, part in parts]

    def shade(self, use: Use) -> int:
        """Shade of a cell, from 0 to ``NUM_SHADES``, by the value of one more slot."""
        more = use.around
        return math.ceil(NUM_SHADES * more / self.top_price) if more > 0 else 0


@dataclass(frozen=True, slots=True)
class RegionBlock:
    """
    Regions of one table.

    Attributes
    ----------
    first, last
        Their places in the list of all, from 1.
    regions
        Their names.
    """

    first: int
    last: int
    regions: list[str]


@dataclass(frozen=True, slots=True)
class Figures:
    """
    All that the report shows.

    Attributes
    ----------
    record
        As in ``run.json``.
    capacity
        A summary of the lanes.
    top_lanes, top_merchants
        Rows with the greatest positive value of one more place: ``around`` and
        ``alone`` as in :class:`Use`.
    num_priced_lanes, num_priced_merchants
        Rows where one more brings something.
    has_exact_values
        Whether the value of one more place is known exactly; if not, the
        certificate's prices are shown instead.
    num_without_slots, num_waiting
        Merchants with cap 0, and those of them where one more brings something.
    rules
        ``source``, ``column``, ``rule``, ``len`` of the refused rows, most first.
    num_rules
        How many such rules there are, listed or not.
    limits, conflicts
        Limits other than caps and lanes, the dearest first; floors and pins not kept.
    num_limits, num_conflicts
        How many there are, listed or not.
    nights
        The nights of the four weeks before, then this one.
    """

    record: Mapping[str, Any]
    capacity: Capacity
    top_lanes: list[dict[str, Any]]
    top_merchants: list[dict[str, Any]]
    num_priced_lanes: int
    num_priced_merchants: int
    has_exact_values: bool
    num_without_slots: int
    num_waiting: int
    rules: list[dict[str, Any]]
    num_rules: int
    limits: list[dict[str, Any]]
    num_limits: int
    conflicts: list[dict[str, Any]]
    num_conflicts: int
    nights: list[NightRow]

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Reasons that parcels got, the chosen first, then by number."""
        return ranked_reasons(self.record["summary"]["reasons"])

    @property
    def empty_reasons(self) -> list[str]:
        """Reasons that no parcel got."""
        found = self.record["summary"]["reasons"].items()
        return sorted(reason for reason, number in found if not number)[:NUM_REASONS]

    @property
    def compared(self) -> list[Comparison]:
        """The night against the last one and the mean of the week, if there are any."""
        kinds = COMPARED if len(self.week) > 1 else ()
        return [compare(self.week, kind) for kind in kinds]

    @property
    def week(self) -> list[NightRow]:
        """The nights of the seven days before, then this one."""
        return week_of(self.nights)

    @property
    def trends(self) -> list[Trend]:
        """The figures that are compared, as lines over the four weeks."""
        return trends_of(self.nights)

    @property
    def ledger(self) -> LedgerPicture | None:
        """What the last nights promised and realised, as a picture."""
        return ledger_picture(self.record.get("realised", {}).get("by_night", []))

    @property
    def ledger_rows(self) -> list[tuple[str, Mapping[str, Any]]]:
        """The same as rows, with all nights together and carriers."""
        past = self.record.get("realised")
        return list(ledger_rows(past)) if past else []

    def bar_of(self, row: NightRow) -> float:
        """Length of a night's bar, relative to the night that avoided most."""
        most = max(0.0, *(night.saving for night in self.week)) or 1.0
        return max(0.0, row.saving) / most


def ranked_reasons(numbers: Mapping[str, int]) -> list[tuple[str, int]]:
    """
    List the reasons that parcels got, the chosen first, then by number.

    Examples
    --------
    >>> ranked_reasons({"BUDGET": 0, "CAP_FULL": 9, "CAP_ZERO": 40, "CHOSEN": 1})
    [('CHOSEN', 1), ('CAP_ZERO', 40), ('CAP_FULL', 9)]
    """
    given = sorted(numbers.items(), key=lambda r: (r[0] != "CHOSEN", -r[1], r[0]))
    return [(reason, number) for reason, number in given if number][:NUM_REASONS]


def draw_figures(
    record: Mapping[str, Any], tables: Mapping[str, pl.DataFrame]
) -> Figures:
    """
    Compute the figures of a night.

    Parameters
    ----------
    record
        As in ``run.json``.
    tables
        The published tables by file name.
    """
    import polars as pl

    lanes = with_values(tables[LANE_RESULTS.file], "one_more_around_cny")
    merchants = with_values(tables[MERCHANT_RESULTS.file], "one_more_cny")
    has_price = pl.col("around") > 0
    empty = merchants.filter(pl.col("cap") == 0)
    rules = (
        tables[QUARANTINE.file]
        .group_by("source", "column", "rule")
        .len()
        .sort("len", "source", "column", "rule", descending=[True, False, False, False])
    )
    limits, conflicts = tables.get(ROW_RESULTS.file), tables.get(CONFLICTS.file)
    return Figures(
        record=record,
        capacity=capacity_of(lanes),
        top_lanes=_top(lanes, "carrier_id", "region_id", "outlet_id", "service_date"),
        top_merchants=_top(merchants, "merchant_id"),
        num_priced_lanes=lanes.filter(has_price).height,
        num_priced_merchants=merchants.filter(has_price).height,
        has_exact_values=lanes["one_more_around_cny"].null_count() == 0
        and merchants["alone"].null_count() == 0,
        num_without_slots=empty.height,
        num_waiting=empty.filter(has_price).height,
        rules=rules.head(NUM_RULES).to_dicts(),
        num_rules=rules.height,
        limits=_limits(limits),
        num_limits=0 if limits is None else limits.height,
        conflicts=[] if conflicts is None else conflicts.head(NUM_TOP).to_dicts(),
        num_conflicts=0 if conflicts is None else conflicts.height,
        nights=read_nights(tables[NIGHTS.file]),
    )


def with_values(table: pl.DataFrame, column: str) -> pl.DataFrame:
    """
    Add the value of one more place: ``around`` and ``alone``.

    Parameters
    ----------
    table
        Lanes or merchants.
    column
        Value of one more place; where it is null, the certificate's price is used.
    """
    import polars as pl

    return table.with_columns(
        around=pl.col(column).fill_null(pl.col("shadow_price_cny")),
        alone=pl.col("one_more_cny"),
    )


def _limits(rows: pl.DataFrame | None) -> list[dict[str, Any]]:
    """Limits with the largest prices, floors included; ties by name."""
    import polars as pl

    if rows is None:
        return []
    price = pl.col("shadow_price_cny").abs()
    by_price = rows.sort(price.neg(), "kind", "limit")
    return by_price.head(NUM_TOP).to_dicts()


def _top(table: pl.DataFrame, *names: str) -> list[dict[str, Any]]:
    """Rows with the greatest positive value of one more place; ties by name."""
    import polars as pl

    price = pl.col("around")
    priced = table.filter(price > 0)
    return priced.sort(price.neg(), *names, nulls_last=False).head(NUM_TOP).to_dicts()


def capacity_of(lanes: pl.DataFrame) -> Capacity:
    """
    Summarise the lanes by carrier, and by region and carrier.

    Parameters
    ----------
    lanes
        The published table, with :func:`with_values`.
    """
    import polars as pl

    by_day = _use(lanes.filter(pl.col("region_id").is_not_null()))
    carriers = _carriers(lanes, by_day)
    regions = _over_days(by_day, "carrier_id", "region_id").drop("num", "alone")
    sizes = regions.group_by("region_id").agg(pl.col("slots").sum())
    listed = sizes.sort(pl.col("slots").neg(), "region_id").head(NUM_REGIONS)
    columns = carriers.head(NUM_COLUMNS)["carrier_id"]
    cells = regions.filter(pl.col("carrier_id").is_in(columns.to_list()))
    rows: dict[str, dict[str, Use]] = {name: {} for name in listed["region_id"]}
    for carrier, region, slots, used, around in cells.iter_rows():
        if region in rows:
            rows[region][carrier] = Use(slots, used, None, around)
    return Capacity(
        {name: Use(*use) for name, *use in carriers.head(NUM_CARRIERS).iter_rows()},
        rows,
        carriers.height,
        sizes.height,
    )


def _carriers(lanes: pl.DataFrame, regions: pl.DataFrame) -> pl.DataFrame:
    """
    Use by carrier: its own row, or its regions' rows in sum, and its dearest row.

    The value of one more slot is known where the carrier has exactly one row of its
    own: days are added up.
    """
    import polars as pl

    whole = pl.col("region_id").is_null()
    own = lanes.filter(whole & pl.col("outlet_id").is_null())
    loose = lanes.filter(whole & pl.col("outlet_id").is_not_null())
    place = ["carrier_id", "service_date"]
    columns = [*place, "slots", "used", "around"]
    parts = pl.concat([regions.select(columns), loose.select(columns)])
    rest = parts.join(own, on=place, how="anti", nulls_equal=True)
    rest = rest.with_columns(alone=pl.lit(None, pl.Float64))
    both = _over_days(pl.concat([own.select(rest.columns), rest]), "carrier_id")
    dearest = lanes.group_by("carrier_id").agg(pl.col("around").max())
    alone = pl.when(pl.col("num") == 1).then("alone").alias("alone")
    return (
        both.select("carrier_id", "slots", "used", alone)
        .join(dearest, on="carrier_id")
        .sort(pl.col("slots").neg(), "carrier_id")
    )


def _over_days(rows: pl.DataFrame, *place: str) -> pl.DataFrame:
    """Rows of several days, or of several places inside, in sum."""
    import polars as pl

    alone = pl.col("alone") if "alone" in rows.columns else pl.lit(None, pl.Float64)
    return (
        rows.group_by(place)
        .agg(
            pl.col("slots").sum(),
            pl.col("used").sum(),
            pl.col("around").max(),
            num=pl.len(),
            alone=alone.first(),
        )
        .sort(place)
    )


def _use(lanes: pl.DataFrame) -> pl.DataFrame:
    """Use by region and day: the row for all outlets, or the outlets' rows in sum."""
    import polars as pl

    places = ["carrier_id", "region_id", "service_date"]
    is_whole = pl.col("outlet_id").is_null()
    return (
        lanes.group_by(places)
        .agg(
            *(
                pl.when(is_whole.any())
                .then(pl.col(what).filter(is_whole).sum())
                .otherwise(pl.col(what).sum())
                .alias(what)
                for what in ("slots", "used")
            ),
            pl.col("around").max(),
        )
        .sort(places)
    )
