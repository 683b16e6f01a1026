"""A market: merchants with their orders, in parts that threads share."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem

#: Parts of a market; more than threads, so that uneven merchants even out.
NUM_PARTS = 16
#: With fewer options than this, handing parts to threads takes longer than they do.
SERIAL_OPTIONS = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """
    Some orders of a problem, by merchant; lanes are the problem's own.

    Attributes
    ----------
    merchant_start, cap, option_start, option_lane, option_saving
        As in :class:`~optimizer.model.problem.Problem`.
    parts
        ``(num_parts + 1,) int64``: merchants where each part of the work starts.
        They depend on the market alone, not on the number of threads.
    """

    merchant_start: NDArray[np.int64]
    cap: NDArray[np.int64]
    option_start: NDArray[np.int64]
    option_lane: NDArray[np.int32]
    option_saving: NDArray[np.int64]
    parts: NDArray[np.int64]

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """
        The arrays that every kernel takes, in this order, read-only.

        Numba gives read-only arrays another type: without this, kernels
        would be compiled for each mixture of the two.
        """
        return read_only(
            self.merchant_start,
            self.cap,
            self.option_start,
            self.option_lane,
            self.option_saving,
        )

    @property
    def is_serial(self) -> bool:
        """Whether one thread does all the work."""
        return len(self.parts) == 2

    @property
    def num_orders(self) -> int:
        """Orders in this market."""
        return len(self.option_start) - 1

    @property
    def num_options(self) -> int:
        """Options of all its orders."""
        return len(self.option_lane)


@dataclass(frozen=True, slots=True, eq=False)
class NearMarket(Market):
    """
    The orders of a problem that could matter, copied together.

    Attributes
    ----------
    order
        ``(num_orders,) int64``: the orders' places in the problem, ascending.
    order_merchant
        ``(num_orders,) int32``.
    option_order
        ``(num_options,) int32``.
    """

    order: NDArray[np.int64]
    order_merchant: NDArray[np.int32]
    option_order: NDArray[np.int32]


def whole_market(problem: Problem) -> Market:
    """All orders of the problem as one market; shares its arrays."""
    return Market(
        problem.merchant_start,
        problem.cap,
        problem.option_start,
        problem.option_lane,
        problem.option_saving,
        split(problem.option_start[problem.merchant_start]),
    )


def split(work: NDArray[np.int64], num_parts: int | None = None) -> NDArray[np.int64]:
    """
    Cut merchants into parts of about equal work; small markets into one part.

    Parameters
    ----------
    work
        ``(num_merchants + 1,) int64``: options before each merchant.
    num_parts
        ``None``: as many as suit the work.

    Examples
    --------
    >>> split(np.array([0, 10, 20, 30, 40]), 2).tolist()
    [0, 2, 4]
    """
    if num_parts is None:
        num_parts = 1 if work[-1] < SERIAL_OPTIONS else NUM_PARTS
    if num_parts == 1:
        return np.array([0, len(work) - 1])
    if len(work) == 1:
        return np.zeros(2, np.int64)
    targets = np.linspace(0, work[-1], num_parts + 1)[1:-1]
    inner = np.searchsorted(work, targets)
    return np.unique(np.concatenate(([0], inner, [len(work) - 1]))).astype(np.int64)


def running(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """
    Running totals of counts: before each place, and the total.

    Examples
    --------
    >>> running(np.array([2, 0, 3])).tolist()
    [0, 2, 2, 5]
    """
    total = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=total[1:])
    return total


def read_only(*arrays: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Views of arrays through which nothing can be written."""
    views = tuple(array.view() for array in arrays)
    for view in views:
        view.setflags(write=False)
    return views


class HasParts(Protocol):
    """A protocol of markets: cut into parts by merchant."""

    @property
    def parts(self) -> NDArray[np.int64]:
        """``(num_parts + 1,) int64``: merchants where each part of the work starts."""

    @property
    def num_options(self) -> int:
        """Options of all its orders."""


class Threads:
    """
    Threads that run kernels over the parts of a market; results in part order.

    Parameters
    ----------
    num_threads
        ``None``: one for each core. Never changes a result.
    """

    def __init__(self, num_threads: int | None = None) -> None:
        self._num_threads = num_threads or os.cpu_count() or 1
        self._executor = ThreadPoolExecutor(self._num_threads)

    def __enter__(self) -> Threads:
        """Use as a context, so that the threads end."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the threads."""
        self._executor.shutdown()

    def over_parts(
        self, market: HasParts, work: Callable[[int, int, int], Any]
    ) -> list[Any]:
        """Call ``work(part, first_merchant, last_merchant)`` for each part."""
        ends = market.parts
        numbers = range(len(ends) - 1)
        if self._num_threads == 1 or len(numbers) == 1:
            return list(map(work, numbers, ends[:-1], ends[1:]))
        return list(self._executor.map(work, numbers, ends[:-1], ends[1:]))

    def each(self, work: Callable[[int], Any], count: int) -> list[Any]:
        """Call ``work(number)`` for each number below ``count``."""
        return list(self._executor.map(work, range(count)))
