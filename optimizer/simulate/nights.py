"""The two ways to a simulated night: files of any size, or tables in memory."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.errors import ConfigError
from optimizer.simulate.dates import START, dates

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from pathlib import Path

    import polars as pl

MAX_CARRIERS = 4
MAX_ORDERS = 2**40
"""Orders of one day: as many as there are ids."""


@dataclass(frozen=True, slots=True)
class SimulatedNights:
    """
    What was written.

    Attributes
    ----------
    folders
        One per night, in date order.
    num_orders, num_merchants
        Of each night.
    num_options
        Rows of each night's ``options.parquet``; 0 where there is none.
    """

    folders: tuple[Path, ...]
    num_orders: int
    num_merchants: int
    num_options: int


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedNight:
    """
    One night's tables, by the columns of the data contract.

    Attributes
    ----------
    orders, capacity, merchants
        The inputs of a run.
    options
        A row per order and carrier that may take it; ``None`` where each order
        has its one carrier.
    truth
        What would happen to each parcel with and without premium service. No run
        reads it.
    """

    orders: pl.DataFrame
    capacity: pl.DataFrame
    merchants: pl.DataFrame
    options: pl.DataFrame | None
    truth: pl.DataFrame


def simulate(  # noqa: PLR0913 - as the command: an option each, by name
    out: Path,
    *,
    num_orders: int,
    num_merchants: int,
    num_days: int,
    seed: int,
    start: date = START,
    carriers_per_order: int = 1,
    world: str = "plain",
    progress: Callable[[int, int], None] | None = None,
) -> SimulatedNights:
    """
    Write nights of orders, batch by batch, in bounded memory.

    Each night is a folder ``out/nights/{date}`` with ``orders.parquet``,
    ``capacity.csv``, ``merchants.parquet``, ``truth.parquet`` and, where an order
    has several carriers, ``options.parquet``. A folder appears whole or not at
    all. A night depends on its date, the seed and the sizes alone, never on the
    nights around it; the same call writes the same bytes, given the same versions
    of numpy and pyarrow.

    Merchant sizes follow a Zipf-Mandelbrot law: the merchant of rank ``k`` has a
    weight of ``(k + 5) ** -1.6``, and at least one parcel. At 200 parcels per
    merchant about three merchants in five have fewer than 34, hence no slot under
    a cap of 3 %.

    Parameters
    ----------
    out
        Where ``nights/`` goes; made if absent.
    num_orders, num_merchants
        Parcels and merchants of each night; no merchant is without a parcel.
    num_days
        Nights, on consecutive dates.
    seed
        Not negative.
    start
        Date of the first night.
    carriers_per_order
        1 to 4. With 1 the carrier is in ``orders``. With more, ``options``
        has the carriers, outlets and premium probabilities, and ``orders`` leaves
        those four columns out.
    world
        Law by which premium helps, a name in :data:`optimizer.simulate.laws.WORLDS`.
    progress
        Called after each batch with the orders written so far and in all.

    Returns
    -------
    SimulatedNights
        The folders and their sizes.

    Raises
    ------
    ConfigError
        When an argument is out of range, there is no such world, a night's folder is
        already there, or ``out`` cannot be written.

    See Also
    --------
    simulate_night : The same night in memory.
    """
    from optimizer.simulate.files import free_folders, write_night
    from optimizer.simulate.laws import find_law
    from optimizer.simulate.world import make_world

    # What does not depend on another option first.
    law = find_law(world).name
    days = dates(start, num_days)
    _check_sizes(num_orders, num_merchants, seed, carriers_per_order)
    folders = free_folders(out, days)
    platform = make_world(
        seed, num_orders=num_orders, num_merchants=num_merchants, law=law
    )
    total = num_orders * num_days
    for done, (day, folder) in enumerate(zip(days, folders, strict=True)):
        # Closed at once when stopped, so that no half-written folder is left.
        with closing(write_night(platform, day, folder, carriers_per_order)) as batches:
            for written in batches:
                if progress is not None:
                    progress(done * num_orders + written, total)
    num_options = num_orders * carriers_per_order if carriers_per_order > 1 else 0
    return SimulatedNights(folders, num_orders, num_merchants, num_options)


def simulate_night(
    *,
    num_orders: int,
    num_merchants: int,
    seed: int,
    day: date = START,
    carriers_per_order: int = 1,
    world: str = "plain",
) -> SimulatedNight:
    """
    Make one night in memory: row for row what :func:`simulate` writes.

    Parameters
    ----------
    num_orders, num_merchants, seed, carriers_per_order, world
        As for :func:`simulate`.
    day
        The night's date.

    Raises
    ------
    ConfigError
        When an argument is out of range, or there is no such world.

    Examples
    --------
    >>> night = simulate_night(num_orders=1_000, num_merchants=20, seed=7)
    >>> night.orders.height, night.orders["merchant_id"].n_unique()
    (1000, 20)
    >>> night.capacity["slots"].min() >= 0
    True
    """
    import polars as pl
    import pyarrow as pa

    from optimizer.simulate.capacity import capacity_frame
    from optimizer.simulate.draw import make_night_draw
    from optimizer.simulate.laws import find_law
    from optimizer.simulate.tables import merchants_table, night_batches
    from optimizer.simulate.world import make_world

    law = find_law(world).name
    _check_sizes(num_orders, num_merchants, seed, carriers_per_order)
    platform = make_world(
        seed, num_orders=num_orders, num_merchants=num_merchants, law=law
    )
    night = make_night_draw(platform, day)
    batches = list(night_batches(platform, night, carriers_per_order))

    def frame(tables: list[pa.Table]) -> pl.DataFrame:
        return pl.DataFrame(pa.concat_tables(tables))

    has_options = carriers_per_order > 1
    return SimulatedNight(
        orders=frame([batch.orders for batch in batches]),
        capacity=capacity_frame(platform, night),
        merchants=frame([merchants_table(platform)]),
        options=frame([batch.options for batch in batches]) if has_options else None,
        truth=frame([batch.truth for batch in batches]),
    )


def _check_sizes(
    num_orders: int, num_merchants: int, seed: int, carriers_per_order: int
) -> None:
    """Refuse sizes from which no night can be made."""
    if not 1 <= num_orders <= MAX_ORDERS:
        raise ConfigError(f"orders: must be 1 to {MAX_ORDERS}, got {num_orders}")
    if seed < 0:
        raise ConfigError(f"seed: must be 0 or more, got {seed}")
    if not 1 <= carriers_per_order <= MAX_CARRIERS:
        raise ConfigError(
            f"carriers per order: must be 1 to {MAX_CARRIERS}, got {carriers_per_order}"
        )
    if not 1 <= num_merchants <= num_orders:
        raise ConfigError(
            f"merchants: must be 1 to the number of orders, {num_orders}, so that "
            f"each has a parcel, got {num_merchants}"
        )
