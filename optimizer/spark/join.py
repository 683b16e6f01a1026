"""Options brought to their orders and valued, on executors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build import encode
from optimizer.build.learned_probabilities import (
    OrderShares,
    StandardRisks,
    fill_options,
)
from optimizer.build.sendable import is_sendable
from optimizer.build.want_of_knowledge import hopeful_model
from optimizer.spark.packed import (
    CELL_ROWS,
    PACKED,
    in_schema,
    packed_rows,
    shaped,
    unpack_rows,
)
from optimizer.spark.rows import OPTION_ROWS, ORDER_ROWS, VALUED_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import polars as pl
    import pyarrow as pa
    from numpy.typing import NDArray

    from optimizer.build.encode import NightCodes
    from optimizer.build.learned_model import LearnedModel
    from optimizer.spark.rows import Rules

#: What tells rows of orders, of options, and of ids that are known apart.
OF_ORDERS, OF_OPTIONS, OF_IDS = range(3)
#: Packed ``VALUED_ROWS``, or the row of an option that names no order.
JOINED = f"{PACKED}, row bigint"


def join_options(
    batches: Iterable[pa.RecordBatch], rules: Rules
) -> Iterator[pa.RecordBatch]:
    """
    Bring options to their orders: packed ``VALUED_ROWS``; options that name no order.

    Parameters
    ----------
    batches
        ``PARTED`` rows of some parts, each with all orders, options and ids of it.
    rules
        Of the night.
    """
    import polars as pl

    kept: dict[int, list[pl.DataFrame]] = {OF_ORDERS: [], OF_OPTIONS: [], OF_IDS: []}
    for batch in batches:
        for kind, cell in zip(batch["kind"].to_pylist(), batch["rows"], strict=True):
            kept[kind].append(unpack_rows(cell.as_buffer()))
    if not kept[OF_ORDERS] and not kept[OF_OPTIONS]:
        return
    empty = {OF_ORDERS: ORDER_ROWS, OF_OPTIONS: OPTION_ROWS, OF_IDS: "order_id string"}
    orders, ways, ids = (
        pl.concat([shaped(pl.DataFrame(), empty[kind]), *frames])
        for kind, frames in kept.items()
    )
    kept.clear()
    known = pl.concat([orders.select("order_id"), ids])
    strays = ways.join(known, "order_id", how="anti").select("row")
    if len(strays):
        yield from in_schema(strays, JOINED)
    joined = orders.join(
        ways.drop("row").rename({"outlet_id": "option_outlet_id"}), "order_id", "left"
    )
    coder, hopeful = rules.coder(), hopeful_model(rules.model)
    for first in range(0, len(joined), CELL_ROWS):
        some = joined.slice(first, CELL_ROWS)
        valued = value_options(some, rules, coder, hopeful)
        yield from packed_rows(valued, VALUED_ROWS, JOINED)


def value_options(
    frame: pl.DataFrame,
    rules: Rules,
    coder: NightCodes,
    hopeful: LearnedModel | None,
) -> pl.DataFrame:
    """
    Value orders joined with their options.

    Parameters
    ----------
    frame
        ``ORDER_ROWS`` beside columns of options, null where there is none.
    rules, coder
        Of the night, and of this task.
    hopeful
        The model with its effect at the upper end.

    Returns
    -------
    pl.DataFrame
        ``VALUED_ROWS``, and other columns.
    """
    import polars as pl

    saving, is_active = _values(frame, coder, rules.model, _SHARES)
    if hopeful is not None:
        hoped, _ = _values(frame, coder, hopeful, _HOPED_SHARES)
        frame = frame.with_columns(_series("hoped", hoped))
    is_option = is_active & (frame["status"].to_numpy() == encode.OPEN)
    ids = frame["order_id"], frame["merchant_id"], frame["carrier_id"]
    is_option &= is_sendable(rules.config.outbox, *ids)
    return frame.with_columns(
        _series("saving", saving),
        _series("is_active", is_active),
        _series("is_option", is_option),
        outlet_id=pl.coalesce("option_outlet_id", "outlet_id"),
    )


def _values(
    frame: pl.DataFrame,
    coder: NightCodes,
    model: LearnedModel | None,
    shares_in: tuple[str, str],
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Saving of each row's option, and whether it has one that may be used."""
    saving, is_active = np.zeros(len(frame), np.int64), np.zeros(len(frame), np.bool_)
    has = frame["carrier_id"].is_not_null().to_numpy()
    with_option = frame.filter(has)
    orders = encode.OrderArrays(
        row=np.zeros(0, np.int64),
        key=np.zeros(0, np.uint64),
        folded_key=np.zeros(0, np.uint64),
        merchant=coder.merchants.encode(with_option["merchant_id"]),
        status=with_option["status"].to_numpy().astype(np.uint8),
    )
    basis = encode.encode_basis(with_option, orders, coder)
    ways = with_option.with_columns(outlet_id="option_outlet_id")
    place = np.arange(len(ways))
    if model is not None:
        standard, shares = _of_orders(with_option, shares_in)
        ways = fill_options(ways, place, standard, shares, model)
    options, active = encode.encode_options(ways, place, basis, coder)
    saving[has], is_active[has] = options.saving, active
    return saving, is_active


def _of_orders(
    frame: pl.DataFrame, shares_in: tuple[str, str]
) -> tuple[StandardRisks, OrderShares]:
    """What executors found of the orders before their options came."""
    found = {name: frame[name].to_numpy() for name in shares_in + _STANDARD}
    return (
        StandardRisks(*(found[name] for name in _STANDARD)),
        OrderShares(*(found[name] for name in shares_in)),
    )


_STANDARD = ("complaint_prob_standard", "return_prob_standard")
_SHARES = ("complaint_share", "return_share")
_HOPED_SHARES = ("hoped_complaint_share", "hoped_return_share")


def _series(name: str, values: NDArray[Any]) -> pl.Series:
    import polars as pl

    return pl.Series(name, values)
