"""Capacity rows that bind: carrier, carrier and region, carrier, region and outlet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.simulate.ids import Stream, stream
from optimizer.simulate.world import (
    CARRIER_IDS,
    NUM_CARRIERS,
    NUM_REGIONS,
    REGION_IDS,
    REGION_SHARE,
)

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from optimizer.simulate.draw import NightDraw
    from optimizer.simulate.world import World

CAP_PERCENT = 3
# Of the demand that the caps let through. Inner rows are looser, so that each of
# the three levels binds somewhere.
CARRIER_SLOTS_SHARE, REGION_SLOTS_SHARE, OUTLET_SLOTS_SHARE = 0.60, 0.65, 0.70


def capacity_frame(world: World, night: NightDraw) -> pl.DataFrame:
    """
    Make a night's capacity, about 60 % of what full caps would ask for.

    No row has more slots than the row that holds it.

    Parameters
    ----------
    world, night
        Platform and date.

    Returns
    -------
    ``carrier_id``, ``region_id``, ``outlet_id`` (String; null: all), ``slots``
    (Int64), by id, nulls first.
    """
    import polars as pl

    lanes = [(c, r) for c in CARRIER_IDS for r in REGION_IDS]
    rows: list[tuple[str, str | None, str | None]]
    rows = [(carrier, None, None) for carrier in CARRIER_IDS]
    rows += [(carrier, region, None) for carrier, region in lanes]
    outlet_ids = world.outlets.outlet_id.to_pylist()
    at = zip(world.outlets.lane.tolist(), outlet_ids, strict=True)
    rows += [(*lanes[lane], outlet) for lane, outlet in at]
    columns = ("carrier_id", "region_id", "outlet_id")
    frame = pl.DataFrame(rows, dict.fromkeys(columns, pl.String), orient="row")
    frame = frame.with_columns(slots=_draw_slots(world, night))
    return frame.sort(columns, nulls_last=False)


def capped_demand(world: World, night: NightDraw) -> NDArray[np.float64]:
    """
    Parcels that the caps allow, by the carrier that would deliver them.

    Returns
    -------
    ``(NUM_CARRIERS,) float64``.
    """
    caps = CAP_PERCENT * night.num_orders // 100
    shares = world.merchants.carrier_share
    return np.array([(caps * shares[:, c]).sum() for c in range(NUM_CARRIERS)])


def outlet_slots(world: World, night: NightDraw) -> NDArray[np.int64]:
    """
    Slots of each outlet on a night, without those of the rows that hold it.

    Returns
    -------
    ``(K,) int64``, as outlets are numbered.
    """
    return _draw_slots(world, night)[-len(world.outlets.lane) :]


def _draw_slots(world: World, night: NightDraw) -> NDArray[np.int64]:
    """Draw the slots of carriers, then of their regions, then of their outlets."""
    rng = stream(world.seed, Stream.CAPACITY, night.day.toordinal())
    lane, share = world.outlets.lane, world.outlets.share
    by_carrier = capped_demand(world, night)
    by_lane = np.outer(by_carrier, REGION_SHARE).ravel()
    of_carrier = np.rint(CARRIER_SLOTS_SHARE * by_carrier)
    of_lane = _scatter(rng, REGION_SLOTS_SHARE * by_lane, 0.15)
    # Rounded at random, so that lanes of less than one slot add up.
    of_lane = np.floor(of_lane + rng.random(len(of_lane)))
    of_lane = np.minimum(of_lane, np.repeat(of_carrier, NUM_REGIONS))
    of_outlet = _scatter(rng, OUTLET_SLOTS_SHARE * by_lane[lane] * share, 0.30)
    of_outlet = np.minimum(np.ceil(of_outlet), of_lane[lane])
    return np.concatenate([of_carrier, of_lane, of_outlet]).astype(np.int64)


def _scatter(
    rng: np.random.Generator, mean: NDArray[np.float64], spread: float
) -> NDArray[np.float64]:
    """Multiply by lognormal factors whose mean is one."""
    return mean * rng.lognormal(-(spread**2) / 2, spread, len(mean))
