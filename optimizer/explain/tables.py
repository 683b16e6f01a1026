"""The tables of a night: outcomes with their names, ready to read or to write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.lanes import PLACE
from optimizer.build.side_limits import limit_prices
from optimizer.contracts.columns import polars_type
from optimizer.contracts.platforms import ORDER_TAG, SERVICE_CODE
from optimizer.contracts.tables import (
    BANK,
    CONFLICTS,
    DRAWS,
    IN_FLIGHT,
    ROW_RESULTS,
)
from optimizer.errors import counted
from optimizer.explain.amounts import cap_values, cny, cny_or_null, lane_values
from optimizer.explain.conflicts import PIN_STOPS, STOPS, find_clashes
from optimizer.explain.outcomes import ARMS
from optimizer.model.lane_tree import lane_use
from optimizer.model.margins import NO_END
from optimizer.model.reasons import REASON_NAMES, Reason
from optimizer.model.reduced_savings import NO_OPTION, best_of
from optimizer.model.side_constraints import NO_CEILING, NO_FLOOR, row_use

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.assemble import Names
    from optimizer.explain.certified_night import CertifiedNight
    from optimizer.explain.outcomes import Outcomes


def decisions_table(
    named: pl.DataFrame,
    outcomes: Outcomes,
    index: Names,
    at: NDArray[np.int64] | None = None,
) -> pl.DataFrame:
    """
    Orders with their decisions, in the order that they are given in.

    Parameters
    ----------
    named
        ``row`` in the orders table, ``order_id`` and ``region_id``, of rows that
        were not quarantined.
    outcomes, index
        What each row got, and the names.
    at
        ``(len(named),) int64``: where the outcomes of these rows are; ``None``: at
        ``row``.

    Returns
    -------
    pl.DataFrame
        With ``region_id``, ``lane`` (-1 where not chosen) and ``load`` beside the
        columns of the decisions table.
    """
    import polars as pl

    rows = named["row"].to_numpy()
    at = rows if at is None else at
    reason, lane = outcomes.reason[at], outcomes.lane[at]
    is_out = ~outcomes.is_priced[at]
    columns: dict[str, pl.Series | NDArray[Any]] = {
        "order_id": named["order_id"],
        "merchant_id": _named(index.merchant_column, index.row_merchant[rows]),
        "is_premium": np.isin(reason, PREMIUM),
        "carrier_id": _named(index.place_columns["carrier_id"], lane),
        "saving_cny": _but_null(cny(outcomes.saving[at]), is_out),
        "reason": _names(REASON_NAMES, reason.astype(np.int32)),
        **_margins(outcomes, at),
        "surplus_cny": _but_null(cny(outcomes.surplus[at]), is_out),
        "has_room": _but_null(outcomes.has_room[at], is_out),
        "arm": _names(ARMS, outcomes.arm[at].astype(np.int32)),
        "propensity": outcomes.propensity[at],
        "region_id": named["region_id"],
        "ineligible_reason": _why_not(named, reason == Reason.INELIGIBLE),
        "lane": lane,
        "load": np.ones(len(rows), np.int64)
        if outcomes.load is None
        else outcomes.load[at],
    }
    return pl.DataFrame([pl.Series(name, given) for name, given in columns.items()])


def _but_null(
    values: NDArray[np.float64] | NDArray[np.bool_], is_null: NDArray[np.bool_]
) -> pl.Series:
    """Values of a column, some of them null."""
    import polars as pl

    column = pl.Series(values)
    return column.set(pl.Series(is_null), None) if is_null.any() else column


def _why_not(named: pl.DataFrame, is_ineligible: NDArray[np.bool_]) -> pl.Series:
    """Why orders are not eligible; null for those that are."""
    import polars as pl

    if not is_ineligible.any():
        return pl.Series([None], dtype=pl.String).new_from_index(0, len(named))
    given = pl.lit(None, pl.String)
    if "ineligible_reason" in named.columns:
        given = pl.col("ineligible_reason")
    why = pl.when(pl.Series(is_ineligible)).then(given.fill_null(_NOT_ENROLLED))
    return named.select(why.alias("ineligible_reason")).to_series()


_NOT_ENROLLED = "the merchant is not enrolled"


#: Reasons of orders that are recommended.
PREMIUM = (Reason.CHOSEN, Reason.EXPLORED)


def _margins(outcomes: Outcomes, rows: NDArray[np.int64]) -> dict[str, pl.Series]:
    """Columns of margins: the exact one, or else its two ends; null for none."""
    low, high = outcomes.margin_low[rows], outcomes.margin_high[rows]
    is_open = low != high
    none = np.full(len(rows), NO_END)
    is_out = ~outcomes.is_priced[rows]
    if not is_open.any():
        no_ends = cny_or_null(none)
        return {
            "margin_cny": cny_or_null(np.where(is_out, none, low)),
            "margin_low_cny": no_ends,
            "margin_high_cny": no_ends,
        }
    return {
        "margin_cny": cny_or_null(np.where(is_open | is_out, none, low)),
        "margin_low_cny": cny_or_null(np.where(is_open & ~is_out, low, none)),
        "margin_high_cny": cny_or_null(np.where(is_open & ~is_out, high, none)),
    }


def merchants_table(night: CertifiedNight) -> pl.DataFrame:
    """Caps, their use and their value, by ``merchant_id``."""
    import polars as pl

    problem, solution, index = night.problem, night.solution, night.names
    order = np.searchsorted(problem.option_start, solution.chosen, side="right") - 1
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    used = np.bincount(merchant, minlength=problem.num_merchants)
    explored = 0 if index.pool is None else index.pool.used_cap
    return pl.DataFrame(
        {
            "merchant_id": pl.Series(index.merchant_ids, dtype=pl.String),
            "num_orders": index.merchant_num_orders,
            "cap": problem.cap + explored,
            "used": used.astype(np.int64) + explored,
            "slack": problem.cap - used,
            "shadow_price_cny": cny(solution.merchant_price),
            **cap_values(night.margins, problem.num_merchants),
        }
    )


def lanes_table(night: CertifiedNight) -> pl.DataFrame:
    """Slots, their use and their value, wide lanes first."""
    problem, solution, index = night.problem, night.solution, night.names
    side, chosen = problem.side, solution.chosen
    load = None if side is None else side.option_load[chosen]
    used = lane_use(problem.option_lane[chosen], problem.lane_parent, load)
    slots, used = problem.slots // index.scale, used // index.scale
    explored = 0 if index.pool is None else index.pool.used_slots
    frame = index.place_columns.with_columns(
        **{
            "in_flight": index.in_flight,
            "slots": slots + explored,
            "used": used + explored,
            "slack": slots - used,
            "shadow_price_cny": cny(solution.lane_price * index.scale),
        },
        **lane_values(night.margins, problem.num_lanes),
    )
    return frame.sort(list(PLACE), nulls_last=False)


def commitments_table(decisions: pl.DataFrame, index: Names) -> pl.DataFrame:
    """
    The slot that each chosen order takes, in the order of the decisions.

    Parameters
    ----------
    decisions
        From :func:`decisions_table`.
    index
        Names of the lanes.
    """
    chosen = decisions.filter("is_premium").select("order_id", "lane", "load")
    places = index.place_columns[chosen["lane"].to_numpy()]
    load = chosen["load"].cast(polars_type("count"))
    return chosen.select("order_id").hstack(places).with_columns(load)


def quarantine_table(night: CertifiedNight) -> pl.DataFrame:
    """Refused rows, as the night has them."""
    return night.quarantine


def in_flight_table(night: CertifiedNight) -> pl.DataFrame:
    """Parcels of other nights as they were counted, by place and day."""
    import polars as pl

    schema, in_flight = IN_FLIGHT.schema, night.earlier_nights.in_flight
    given = pl.DataFrame(schema=schema)
    if in_flight is not None:
        given = in_flight.select(pl.col(n).cast(t) for n, t in schema.items())
    return given.sort(list(PLACE), nulls_last=False)


def bank_table(night: CertifiedNight) -> pl.DataFrame:
    """The cap bank of the night by merchant; no rows without carryover."""
    import polars as pl

    schema, bank = BANK.schema, night.names.bank
    if bank is None:
        return pl.DataFrame(schema=schema)
    columns = {
        "merchant_id": list(night.names.merchant_ids),
        "carried_in_nano": bank.carried_in,
        "room_nano": bank.room,
        "earned_nano": bank.earned,
        "granted": bank.granted,
        "carried_out_nano": bank.carried_out,
    }
    return pl.DataFrame(columns, schema)


def recommendations_table(decisions: pl.DataFrame) -> pl.DataFrame:
    """
    The chosen orders in the platform's format, in the order of the decisions.

    Parameters
    ----------
    decisions
        From :func:`decisions_table`.
    """
    import polars as pl

    return decisions.filter("is_premium").select(
        "order_id",
        "merchant_id",
        "carrier_id",
        "region_id",
        "saving_cny",
        order_tag=pl.lit(ORDER_TAG),
        service_code=pl.lit(SERVICE_CODE),
    )


def _names(names: Sequence[str], numbers: NDArray[np.int32]) -> pl.Series:
    """Look names up by number; null for -1."""
    import polars as pl

    return _named(pl.Series(names, dtype=pl.String), numbers)


def _named(names: pl.Series, numbers: NDArray[np.int32]) -> pl.Series:
    """Look names up in a column by number; null for -1."""
    import polars as pl

    number = pl.Series(numbers)
    if (numbers < 0).any():
        number = number.set(number < 0, None)
    return names.gather(number)


def rows_table(night: CertifiedNight) -> pl.DataFrame | None:
    """Limits other than caps and lanes: their use, shortfall and price."""
    import polars as pl

    limits, solution = night.names.limits, night.solution
    if limits is None:
        return None
    used = row_use(limits.all_rows, solution.chosen)
    price = limit_prices(limits, solution)
    rows = []
    for limit, weight, each in zip(
        limits.rows, used.tolist(), price.tolist(), strict=True
    ):
        low = None if limit.low == NO_FLOOR else limit.low
        high = None if limit.high == NO_CEILING else limit.high // limit.scale
        count = weight // limit.scale
        rows.append(
            (
                limit.kind,
                limit.name,
                low,
                high,
                count,
                None if high is None else high - count,
                0 if low is None else max(0, low - count),
                limit.penalty / 1e6 if low is not None and limit.penalty >= 0 else None,
                each * limit.scale / 1e6,
            )
        )
    return pl.DataFrame(rows, schema=ROW_RESULTS.schema, orient="row")


def conflicts_table(night: CertifiedNight) -> pl.DataFrame | None:
    """
    Floors and pins that are not kept, those of lower priority number first.

    The certificate has them by number; pins of orders that take no part are added.
    """
    import polars as pl

    chosen = night.solution.chosen
    clashes = [*find_clashes(night.certificate, night.problem, night.names, chosen)]
    if not clashes:
        return None
    rows_of = [clash.row for clash in clashes if clash.row >= 0]
    ids: dict[int, str] = {}
    for piece in night.named() if rows_of else ():
        there = piece.filter(pl.col("row").is_in(rows_of))
        ids |= dict(there.select("row", "order_id").iter_rows())
    found = []
    for c in clashes:
        missing, name = c.asked - c.reached, ids.get(c.row, c.name)
        counts = (c.priority, c.asked, c.reached, missing)
        found.append((c.kind, name, *counts, c.stopped_by))
    table = pl.DataFrame(found, schema=CONFLICTS.schema, orient="row")
    return table.sort("priority", "kind", "limit")


def order_prices_table(night: CertifiedNight) -> pl.DataFrame | None:
    """Prices of orders other than 0, by ``order_id``, where the proof has any."""
    import polars as pl

    problem, solution = night.problem, night.solution
    if solution.order_price is None:
        return None
    priced = np.flatnonzero(solution.order_price)
    prices = pl.DataFrame(
        {"row": problem.row[priced], "price_cny": cny(solution.order_price[priced])}
    )
    parts = [piece.join(prices, on="row", how="inner") for piece in night.named()]
    return pl.concat(parts).select("order_id", "price_cny").sort("order_id")


def draws_table(night: CertifiedNight) -> pl.DataFrame | None:
    """Drawn savings beside their means, by ``order_id``, where savings are drawn."""
    import polars as pl

    problem, outcomes, draws = night.problem, night.outcomes, night.names.draws
    num_plans = outcomes.num_plans
    if draws is None or num_plans is None:
        return None
    is_priced = outcomes.is_priced[problem.row]
    row = problem.row[is_priced]
    given = pl.DataFrame(
        {
            "row": row,
            "saving_cny": cny(outcomes.saving[row]),
            "mean_saving_cny": cny(mean_savings(night)[is_priced]),
            "num_plans": num_plans[row].astype(np.int64),
        }
    )
    parts = [
        piece.select("row", "order_id").join(given, on="row", how="inner")
        for piece in night.named()
    ]
    return pl.concat(parts).select(DRAWS.column_names).sort("order_id")


def mean_savings(night: CertifiedNight) -> NDArray[np.int64]:
    """
    Mean saving of each order, of the chosen option or the best one, micro-CNY.

    ``(num_orders,) int64``; only for nights whose savings are drawn.
    """
    draws, problem, chosen = night.names.draws, night.problem, night.solution.chosen
    assert draws is not None
    found = best_of(problem.option_start, draws.mean, NO_OPTION)
    order = np.searchsorted(problem.option_start, chosen, side="right") - 1
    found[order] = draws.mean[chosen]
    return found


#: Conflicts that a message names.
NUM_NAMED = 10


def clash_words(conflicts: pl.DataFrame) -> str:
    """Name the floors and pins because of which a night is refused."""
    return (
        f"{counted(len(conflicts), 'limit')} cannot be kept: "
        f"{named_clashes(conflicts, most=NUM_NAMED)}; not published. Lower or drop "
        "them, or set on_conflict: relax"
    )


def named_clashes(conflicts: pl.DataFrame, *, most: int) -> str:
    """
    Name floors and pins that are not kept, with how far each is and its cause.

    Parameters
    ----------
    conflicts
        A table of conflicts.
    most
        Of these so many, the first ones; the others are counted.
    """
    words = [
        (
            f"order {row['limit']} pinned to must"
            if row["kind"] == "pin"
            else f"{row['kind']} {row['limit']}: {row['reached']:,} of {row['asked']:,}"
        )
        + f" ({(PIN_STOPS if row['kind'] == 'pin' else STOPS)[row['stopped_by']]})"
        for row in conflicts.head(most).iter_rows(named=True)
    ]
    more = len(conflicts) - len(words)
    return "; ".join([*words, *([f"and {more:,} more"] if more else [])])
