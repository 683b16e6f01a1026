"""
Canonical order: orders by merchant and key, options by order and lane.

A counting sort by merchant and small sorts by key are ten times as fast as one sort of
everything, and make no copies.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, starmap
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.encode import OPEN
from optimizer.model.problem import Problem, starts

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from optimizer.build.encode import OptionArrays, OrderArrays
    from optimizer.build.lanes import Forest

#: Parts that threads share; more than threads, so that uneven merchants even out.
NUM_PARTS = 16
#: With fewer orders than this, threads cost more than they save.
FEW_ORDERS = 100_000


def arrange(
    orders: OrderArrays,
    options: OptionArrays,
    merchant: NDArray[np.int32],
    caps: NDArray[np.int64],
    forest: Forest,
    lane: NDArray[np.int32],
) -> Problem:
    """
    Freeze encoded orders and options as a problem.

    Parameters
    ----------
    orders, options
        The encoded night; only open orders have options.
    merchant
        ``(n,) int32``: rank of each order's merchant.
    caps
        ``(num_merchants,) int64``.
    forest
        The lanes.
    lane
        ``(k,) int32``: lane of each option.
    """
    is_open = orders.status == OPEN
    merchant_start = starts(merchant[is_open], len(caps))
    grouped, place = _group(orders, merchant, merchant_start)
    option_start, placed_lane, placed_saving = _place(options, lane, place, grouped)
    return Problem(
        merchant_start=merchant_start,
        cap=caps,
        option_start=option_start,
        option_lane=placed_lane,
        option_saving=placed_saving,
        slots=forest.slots,
        lane_parent=forest.parent,
        key=orders.key[grouped],
        row=orders.row[grouped],
    )


def _place(
    options: OptionArrays,
    lane: NDArray[np.int32],
    place: NDArray[np.int64],
    grouped: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """Where each order's options begin, and lanes and savings of them, in order."""
    from optimizer.build.canonical_order_kernel import (
        count_options,
        place_options,
        sort_options,
    )

    parts = _parts_by_order(options.order)
    option_start = np.zeros(len(grouped) + 1, np.int64)
    counts = option_start[1:]
    _each(lambda some: count_options(options.order[some], place, counts), parts)
    np.cumsum(option_start, out=option_start)
    placed_lane = np.empty(len(lane), np.int32)
    placed_saving = np.empty(len(lane), np.int64)
    at = option_start[:-1].copy()
    _each(
        lambda some: place_options(
            order=options.order[some],
            lane=lane[some],
            saving=options.saving[some],
            place=place,
            next_option=at,
            placed_lane=placed_lane,
            placed_saving=placed_saving,
        ),
        parts,
    )
    cuts = np.linspace(0, len(grouped), len(parts) + 1).astype(np.int64)
    _each(
        lambda some: sort_options(option_start[some], placed_lane, placed_saving),
        [slice(first, last + 1) for first, last in pairwise(cuts.tolist())],
    )
    return option_start, placed_lane, placed_saving


def _parts_by_order(order: NDArray[np.int64]) -> list[slice]:
    """Parts of options that threads may place at a time: no order is in two of them."""
    size = len(order)
    if size < FEW_ORDERS or not np.all(order[1:] >= order[:-1]):
        return [slice(0, size)]
    cuts = order[np.linspace(0, size, NUM_PARTS + 1).astype(np.int64)[1:-1]]
    ends = [0, *np.searchsorted(order, cuts).tolist(), size]
    return list(starmap(slice, pairwise(ends)))


def _each(work: Callable[[slice], None], parts: list[slice]) -> None:
    """Do work on each part, several at a time."""
    if len(parts) == 1:
        work(parts[0])
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in [pool.submit(work, part) for part in parts]:
            done.result()


def _group(
    orders: OrderArrays, merchant: NDArray[np.int32], start: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Open orders in canonical order, and each order's position in it."""
    from optimizer.build.canonical_order_kernel import group_orders, sort_groups

    grouped = np.empty(int(start[-1]), np.int64)
    place = np.full(len(merchant), -1, np.int64)
    group_orders(orders.status, OPEN, merchant, start, grouped)
    cuts = np.searchsorted(start, np.linspace(0, start[-1], NUM_PARTS + 1)[1:-1])
    ends = np.concatenate(([0], cuts, [len(start) - 1]))
    if len(grouped) < FEW_ORDERS:
        sort_groups(0, len(start) - 1, start, orders.key, grouped, place)
        return grouped, place
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = [
            pool.submit(sort_groups, first, last, start, orders.key, grouped, place)
            for first, last in pairwise(ends.tolist())
        ]
        for part in parts:
            part.result()
    return grouped, place
