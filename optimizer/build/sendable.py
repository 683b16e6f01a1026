"""Which ways an outbox takes: what none would take is left out before the solve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.encode import OPEN
from optimizer.contracts.platforms import FORMULA_START, PLATFORMS
from optimizer.model.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.encode import OrderArrays
    from optimizer.config.sinks import Outbox


def is_sendable(
    outboxes: Sequence[Outbox],
    order_id: pl.Series,
    merchant_id: pl.Series,
    carrier_id: pl.Series,
) -> NDArray[np.bool_]:
    """
    Whether some outbox takes an order with a carrier; all do where there is none.

    Parameters
    ----------
    outboxes
        Those that are configured.
    order_id, merchant_id, carrier_id
        Of the ways, ``n`` each.

    Returns
    -------
    ``(n,) bool``

    Examples
    --------
    >>> import polars as pl
    >>> from optimizer.config.sinks import Outbox
    >>> box = Outbox(platform="jd", format="csv", to="jd.csv")
    >>> ids, carriers = pl.Series(["a", "-b", "c"]), pl.Series(["jd", "jd", "yunda"])
    >>> is_sendable([box], ids, ids, carriers).tolist()
    [True, False, False]
    """
    if not outboxes:
        return np.ones(len(order_id), np.bool_)
    carriers = carrier_id.drop_nulls().unique().to_list()
    in_csv, in_lines = (
        [
            name
            for name in carriers
            if any(
                PLATFORMS[box.platform].code_of(name) is not None
                for box in outboxes
                if is_csv or box.format != "csv"
            )
        ]
        for is_csv in (True, False)
    )
    is_formula = order_id.str.contains(FORMULA_START)
    is_formula |= merchant_id.str.contains(FORMULA_START)
    taken = carrier_id.is_in(in_csv) & (~is_formula | carrier_id.is_in(in_lines))
    return taken.fill_null(value=False).to_numpy()


def without_unsendable(
    frame: pl.DataFrame,
    orders: OrderArrays,
    roster: Iterable[str],
    outboxes: Sequence[Outbox],
) -> OrderArrays:
    """
    Close orders whose carrier is of the roster, and that no outbox takes with it.

    Parameters
    ----------
    frame, orders
        A batch of orders that each name their carrier, and the same encoded.
    roster
        Carriers that are active on the date.
    outboxes
        Those that are configured.
    """
    if not outboxes:
        return orders
    ids = frame["order_id"], frame["merchant_id"], frame["carrier_id"]
    is_active = frame["carrier_id"].is_in([*roster]).to_numpy()
    is_left = is_active & ~is_sendable(outboxes, *ids)
    is_left &= orders.status == OPEN
    return orders.with_status(is_left, Reason.NOT_DELIVERABLE)
