"""From draws to tables: numbers become ids and columns of the data contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from optimizer.simulate.capacity import outlet_slots
from optimizer.simulate.draw import REASONS, draw_batches
from optimizer.simulate.ids import order_ids
from optimizer.simulate.laws import CATEGORIES, DEMANDING, apply_law, find_law
from optimizer.simulate.options import draw_options
from optimizer.simulate.world import CARRIER_IDS, REGION_IDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from optimizer.simulate.draw import NightDraw, OrderDraws
    from optimizer.simulate.options import OptionDraws
    from optimizer.simulate.world import World


@dataclass(frozen=True, slots=True, eq=False)
class BatchTables:
    """
    One batch of a night.

    Attributes
    ----------
    num_orders
        Rows of ``orders``.
    orders, truth
        As written.
    options
        As written; ``None`` where each order has its one carrier.
    """

    num_orders: int
    orders: pa.Table
    options: pa.Table | None
    truth: pa.Table


def night_batches(
    world: World, night: NightDraw, carriers_per_order: int
) -> Iterator[BatchTables]:
    """
    Make a night's tables, batch by batch.

    Parameters
    ----------
    world, night
        Platform and date.
    carriers_per_order
        1 to 4.
    """
    prefix = f"{night.day:%Y%m%d}-"
    for drawn in draw_batches(world, night):
        orders = apply_law(world, night.day, drawn)
        ids = order_ids(prefix, orders.number, night.id_keys)
        options = draw_options(world, night, orders, carriers_per_order)
        offered = _option_columns(world, options)
        has_options = carriers_per_order > 1
        yield BatchTables(
            num_orders=len(ids),
            orders=_orders_table(world, ids, orders, {} if has_options else offered),
            options=_options_table(ids, options, offered) if has_options else None,
            truth=_truth_table(world, night, ids, orders, options),
        )


def merchants_table(world: World) -> pa.Table:
    """``merchant_id``, ``take_up``, ``is_enrolled``, by id."""
    merchants = world.merchants
    table = pa.table(
        {
            "merchant_id": merchants.merchant_id,
            "take_up": merchants.take_up,
            "is_enrolled": merchants.is_enrolled,
        }
    )
    return table.sort_by("merchant_id")


def _option_columns(world: World, options: OptionDraws) -> Mapping[str, pa.Array]:
    """Columns of ``orders``, or of ``options`` where there is a choice."""
    return {
        "carrier_id": _name(CARRIER_IDS, options.carrier),
        "outlet_id": world.outlets.outlet_id.take(pa.array(options.outlet)),
        "complaint_prob_premium": pa.array(options.complaint.believed),
        "return_prob_premium": pa.array(options.logistics_return.believed),
    }


def _orders_table(
    world: World, ids: pa.Array, orders: OrderDraws, offered: Mapping[str, pa.Array]
) -> pa.Table:
    """Orders as the platform sees them, in the contract's order of columns."""
    is_eligible = orders.reason < 0
    columns = {
        "order_id": ids,
        "merchant_id": world.merchants.merchant_id.take(pa.array(orders.merchant)),
        "carrier_id": offered.get("carrier_id"),
        "region_id": _name(REGION_IDS, orders.region),
        "outlet_id": offered.get("outlet_id"),
        "order_value_cny": pa.array(orders.value_cny),
        "complaint_prob_standard": pa.array(orders.complaint.believed),
        "complaint_prob_premium": offered.get("complaint_prob_premium"),
        "return_prob_standard": pa.array(orders.logistics_return.believed),
        "return_prob_premium": offered.get("return_prob_premium"),
        "is_eligible": pa.array(is_eligible),
        "ineligible_reason": _name(REASONS, orders.reason, is_eligible),
    }
    if orders.beyond is not None:
        columns["category_id"] = _name(CATEGORIES, orders.beyond.category)
        columns["station_distance_m"] = pa.array(orders.beyond.station_distance_m)
    return pa.table({name: c for name, c in columns.items() if c is not None})


def _options_table(
    ids: pa.Array, options: OptionDraws, offered: Mapping[str, pa.Array]
) -> pa.Table:
    """Give a row to each order and carrier."""
    return pa.table({"order_id": ids.take(pa.array(options.order)), **offered})


def _truth_table(
    world: World,
    night: NightDraw,
    ids: pa.Array,
    orders: OrderDraws,
    options: OptionDraws,
) -> pa.Table:
    """Both potential outcomes of each option, and their true probabilities."""
    order = options.order
    complaint, logistics_return = orders.complaint, orders.logistics_return
    columns = {
        "order_id": ids.take(pa.array(order)),
        "carrier_id": _name(CARRIER_IDS, options.carrier),
        "door_kept": options.is_kept,
        "complaint_standard": (complaint.draw < complaint.true)[order],
        "complaint_premium": options.complaint.happens,
        "return_standard": (logistics_return.draw < logistics_return.true)[order],
        "return_premium": options.logistics_return.happens,
        "true_door_kept_prob": options.kept_prob,
        "true_complaint_prob_standard": complaint.true[order],
        "true_complaint_prob_premium": options.complaint.true,
        "true_return_prob_standard": logistics_return.true[order],
        "true_return_prob_premium": options.logistics_return.true,
    }
    return pa.table(columns | _truth_beyond(world, night, orders, options))


def _truth_beyond(
    world: World, night: NightDraw, orders: OrderDraws, options: OptionDraws
) -> dict[str, Any]:
    """What the truth of this world needs besides; nothing in ``plain``."""
    beyond, law = orders.beyond, find_law(world.law)
    if beyond is None:
        return {}
    order = options.order
    columns: dict[str, Any] = {
        f"{harm}_delay_days": days[order]
        for harm, days in (beyond.delay_days or {}).items()
    }
    if beyond.take_up is not None:
        columns["true_take_up_prob"] = beyond.take_up[order]
    if not law.keeps_score:
        columns["is_score_kept"] = np.zeros(len(order), np.bool_)
    if law.crowded != 1:
        columns |= _crowded(law.crowded, orders, options)
        columns["station_id"] = world.outlets.outlet_id.take(pa.array(options.outlet))
        columns["station_slots"] = outlet_slots(world, night)[options.outlet]
    return columns


def _crowded(
    factor: float, orders: OrderDraws, options: OptionDraws
) -> dict[str, NDArray[Any]]:
    """What happens on standard service where the station's slots are all taken."""
    order, columns = options.order, {}
    hurried = np.where(orders.complaint.believed > DEMANDING, factor, 1.0)
    for name, harm in (
        ("complaint", orders.complaint),
        ("return", orders.logistics_return),
    ):
        chance = np.minimum(hurried * harm.true, 1.0)
        columns[f"{name}_standard_crowded"] = (harm.draw < chance)[order]
        columns[f"true_{name}_prob_standard_crowded"] = chance[order]
    return columns


def _name(
    names: tuple[str, ...],
    codes: NDArray[np.int64],
    is_null: NDArray[np.bool_] | None = None,
) -> pa.Array:
    """Turn codes into names; null where a mask says so."""
    return pa.array(names, pa.string()).take(pa.array(codes, mask=is_null))
