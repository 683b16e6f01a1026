"""The orders that could matter at prices somewhat like some that are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.solvers.market import running

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.solvers.market import Market, Threads

#: Orders that go through for each merchant beside a multiple of its cap.
SPARE = 4


@dataclass(frozen=True, slots=True, eq=False)
class ScreenParams:
    """
    How many orders of each merchant pass a screen.

    Attributes
    ----------
    every
        ``(num_merchants,) int64``: one order in how many is looked at.
    cap
        ``(num_merchants,) int64``: the cap of that share; 0 leaves a merchant out.
    depth
        Orders kept are ``depth * cap`` and a few more.
    reach
        How far below its price an order may be, micro-CNY.
    """

    every: NDArray[np.int64]
    cap: NDArray[np.int64]
    depth: int
    reach: int


def screen(
    full: Market,
    price: NDArray[np.int64],
    row_price: NDArray[np.int64] | None,
    sieve: ScreenParams,
    pool: Threads,
) -> NDArray[np.int64]:
    """
    List the best orders of each merchant, and its kept pins, ascending.

    Parameters
    ----------
    full, pool
        All orders, threads.
    price, row_price
        Effective prices of lanes, and prices of side rows where there are any.
    sieve
        How much of each merchant goes through.
    """
    from optimizer.solvers.kernels.screen import screen as screen_part

    sizes = np.diff(full.merchant_start)
    room = np.minimum(sieve.depth * sieve.cap + SPARE, sizes) * (sieve.cap > 0)
    room_start = running(room)
    kept, num_kept = np.empty(room_start[-1], np.int64), np.zeros(len(room), np.int64)
    orders, uses = full.arrays

    def work(_: int, first: int, last: int) -> None:
        screen_part(
            first,
            last,
            orders=orders,
            uses=uses,
            price=price,
            row_price=row_price,
            every=sieve.every,
            room=room,
            room_start=room_start,
            reach=np.int64(sieve.reach),
            kept=kept,
            num_kept=num_kept,
        )

    pool.over_parts(full, work)
    place = np.arange(len(kept)) - np.repeat(room_start[:-1], room)
    return kept[place < np.repeat(num_kept, room)]
