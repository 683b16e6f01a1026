"""A market: merchants with their orders, in parts that threads share."""

from __future__ import annotations

import os
import threading
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from optimizer.solvers.left_running import LOOK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem

#: Parts of a market; more than threads, so that uneven merchants even out.
NUM_PARTS = 16
#: Threads, unless another number is asked for.
NUM_CORES = os.cpu_count() or 1
#: With fewer options than this, handing parts to threads takes longer than they do.
SERIAL_OPTIONS = 1_000_000
#: The same for a part of a market whose threads are at work already.
SERIAL_NEAR_OPTIONS = 300_000


class Orders(NamedTuple):
    """
    Orders by merchant: what every kernel takes.

    Attributes
    ----------
    merchant_start, cap, option_start, option_lane, option_saving
        As in :class:`~optimizer.model.problem.Problem`.
    """

    merchant_start: NDArray[np.int64]
    cap: NDArray[np.int64]
    option_start: NDArray[np.int64]
    option_lane: NDArray[np.int32]
    option_saving: NDArray[np.int64]


class Uses(NamedTuple):
    """
    What options use where that is not one slot each, and which orders are taken.

    Attributes
    ----------
    option_load, entry_start, entry_row, entry_weight
        As in :class:`~optimizer.model.side_constraints.SideRows`.
    is_pinned
        ``(num_orders,) bool``: orders that are taken whatever they save.
    """

    option_load: NDArray[np.int64]
    entry_start: NDArray[np.int64]
    entry_row: NDArray[np.int32]
    entry_weight: NDArray[np.int64]
    is_pinned: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """
    Some orders of a problem, by merchant; lanes and side rows are the problem's own.

    Attributes
    ----------
    merchant_start, cap, option_start, option_lane, option_saving
        As in :class:`~optimizer.model.problem.Problem`.
    side
        What options use; ``None`` in a network, where each takes one slot.
    parts
        ``(num_parts + 1,) int64``: merchants where each part of the work starts.
        They depend on the market alone, not on the number of threads.
    """

    merchant_start: NDArray[np.int64]
    cap: NDArray[np.int64]
    option_start: NDArray[np.int64]
    option_lane: NDArray[np.int32]
    option_saving: NDArray[np.int64]
    side: Uses | None
    parts: NDArray[np.int64]

    @property
    def orders(self) -> Orders:
        """
        The arrays that every kernel takes, read-only.

        Numba gives read-only arrays another type: without this, kernels
        would be compiled for each mixture of the two.
        """
        return Orders(
            *read_only(
                self.merchant_start,
                self.cap,
                self.option_start,
                self.option_lane,
                self.option_saving,
            )
        )

    @property
    def uses(self) -> Uses:
        """
        What options use, likewise.

        Raises
        ------
        ValueError
            In a network.
        """
        if self.side is None:
            raise ValueError("in a network each option takes one slot")
        return Uses(*read_only(*self.side))

    @property
    def arrays(self) -> tuple[Orders, Uses | None]:
        """Orders and what options use, as kernels take them."""
        return self.orders, None if self.side is None else self.uses

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


def whole_market(
    problem: Problem, is_pinned: NDArray[np.bool_] | None = None
) -> Market:
    """
    All orders of the problem as one market; shares its arrays.

    Parameters
    ----------
    problem
        The night; a network where no pins are given, whatever rows it has.
    is_pinned
        ``(num_orders,) bool``: pins that are kept.
    """
    side, uses = problem.side, None
    if is_pinned is not None and side is not None:
        uses = Uses(
            option_load=side.option_load,
            entry_start=side.entry_start,
            entry_row=side.entry_row,
            entry_weight=side.entry_weight,
            is_pinned=is_pinned,
        )
    return Market(
        merchant_start=problem.merchant_start,
        cap=problem.cap,
        option_start=problem.option_start,
        option_lane=problem.option_lane,
        option_saving=problem.option_saving,
        side=uses,
        parts=split(problem.option_start[problem.merchant_start]),
    )


def sub_market(
    full: Market, orders: NDArray[np.int64], cap: NDArray[np.int64], pool: Threads
) -> NearMarket:
    """
    Copy some orders of a market together, by ascending place.

    Parameters
    ----------
    full
        The market of all orders.
    orders
        ``(k,) int64``: places of the orders in the market, ascending.
    cap
        ``(num_merchants,) int64``: caps of the market that is made.
    pool
        Threads that share the merchants.
    """
    from optimizer.solvers.kernels.screen import gather

    start = np.searchsorted(orders, full.merchant_start).astype(np.int64)
    option_start = running(full.option_start[orders + 1] - full.option_start[orders])
    num_options = int(option_start[-1])
    near = NearMarket(
        merchant_start=start,
        cap=cap,
        option_start=option_start,
        option_lane=np.empty(num_options, np.int32),
        option_saving=np.empty(num_options, np.int64),
        side=_uses_of(full, orders),
        parts=split(option_start[start], _num_near_parts(full, num_options)),
        order=orders,
        order_merchant=np.empty(len(orders), np.int32),
        option_order=np.empty(num_options, np.int32),
    )
    source = full.orders

    def work(_: int, first: int, last: int) -> None:
        gather(
            first,
            last,
            orders=source,
            order=near.order,
            merchant_start=near.merchant_start,
            order_merchant=near.order_merchant,
            option_start=near.option_start,
            option_order=near.option_order,
            option_lane=near.option_lane,
            option_saving=near.option_saving,
        )

    pool.over_parts(near, work)
    return near


def _num_near_parts(full: Market, num_options: int) -> int:
    """How many parts some orders of a market are cut into: one, if they are few."""
    if full.is_serial or num_options < SERIAL_NEAR_OPTIONS:
        return 1
    return NUM_PARTS


def _uses_of(full: Market, orders: NDArray[np.int64]) -> Uses | None:
    """What the options of some orders use."""
    if full.side is None:
        return None
    side = full.side
    option, _ = ranges(full.option_start, orders)
    entry, entry_start = ranges(side.entry_start, option)
    return Uses(
        option_load=side.option_load[option],
        entry_start=entry_start,
        entry_row=side.entry_row[entry],
        entry_weight=side.entry_weight[entry],
        is_pinned=side.is_pinned[orders],
    )


def surplus_at(
    market: Market,
    price: NDArray[np.int64],
    row_price: NDArray[np.int64] | None,
    pool: Threads,
) -> tuple[NDArray[np.int64], int]:
    """
    Total saving beyond prices if lanes and rows had room for all orders.

    Parameters
    ----------
    market
        Orders and options by merchant.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    row_price
        ``(num_rows,) int64``; ``None`` in a network.
    pool
        Threads that share the merchants.

    Returns
    -------
    merchant_price, surplus
        ``(num_merchants,) int64``: the lowest best price of each cap; and what is
        saved, the prices of the caps in it, exactly, micro-CNY.
    """
    from optimizer.solvers.kernels.choose import surplus

    merchant_price = np.zeros(len(market.cap), np.int64)
    orders, uses = market.arrays

    def work(_: int, first: int, last: int) -> int:
        found = surplus(
            first,
            last,
            orders=orders,
            uses=uses,
            price=price,
            row_price=row_price,
            merchant_price=merchant_price,
        )
        return int(found)

    return merchant_price, sum(pool.over_parts(market, work))


def ranges(
    start: NDArray[np.int64], items: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """
    What belongs to some items, one after the other, and where each one's starts.

    Examples
    --------
    >>> ranges(np.array([0, 2, 2, 5]), np.array([0, 2]))[0].tolist()
    [0, 1, 2, 3, 4]
    """
    length = start[items + 1] - start[items]
    begin = running(length)
    places = np.arange(begin[-1]) + np.repeat(start[items] - begin[:-1], length)
    return places, begin


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


class Threads:
    """
    Threads that run kernels over the parts of a market; results in part order.

    Parameters
    ----------
    num_threads
        ``None``: one for each core. Never changes a result.
    """

    def __init__(self, num_threads: int | None = None) -> None:
        self._num_threads = num_threads or NUM_CORES
        self._started: ThreadPoolExecutor | None = None
        self._stopped = threading.Event()

    def __enter__(self) -> Threads:
        """Use as a context, so that the threads end."""
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """End the threads; after an error those who wait in them are told."""
        if error is not None:
            self._stopped.set()
        if self._started is not None:
            self._started.shutdown()

    @property
    def is_stopped(self) -> Callable[[], bool]:
        """Whether nobody waits for the threads any more."""
        return self._stopped.is_set

    @property
    def is_shared(self) -> bool:
        """Whether there is more than one."""
        return self._num_threads > 1

    @property
    def _executor(self) -> ThreadPoolExecutor:
        """The threads, started once there is work for them."""
        if self._started is None:
            self._started = ThreadPoolExecutor(self._num_threads)
        return self._started

    def over_parts(
        self, market: Market, work: Callable[[int, int, int], Any]
    ) -> list[Any]:
        """Call ``work(part, first_merchant, last_merchant)`` for each part."""
        ends = market.parts
        numbers = range(len(ends) - 1)
        if self._num_threads == 1 or len(numbers) == 1:
            return list(map(work, numbers, ends[:-1], ends[1:]))
        return self._answers(work, numbers, ends[:-1], ends[1:])

    def each(self, work: Callable[[int], Any], count: int) -> list[Any]:
        """Call ``work(number)`` for each number below ``count``."""
        if self._num_threads == 1 or count == 1:
            return list(map(work, range(count)))
        return self._answers(work, range(count))

    def alone(self) -> Threads:
        """No thread but the caller's; it hears when these are stopped."""
        one = Threads(1)
        one._stopped = self._stopped
        return one

    def aside(self, work: Callable[[], Any]) -> Callable[[], Any]:
        """
        Begin work in one of the threads, or keep it where there is but one.

        Returns
        -------
        What waits for the answer, or works for it then. To be called once.
        """
        if self._num_threads == 1:
            return work
        started = [self._executor.submit(work)]
        return lambda: self._waited(started)[0]

    def _answers(self, work: Callable[..., Any], *given: Iterable[Any]) -> list[Any]:
        """Let threads work, and wait for their answers."""
        return self._waited(
            [self._executor.submit(work, *each) for each in zip(*given, strict=True)]
        )

    def _waited(self, started: list[Future[Any]]) -> list[Any]:
        """
        Wait for answers, and look up now and then.

        Polars takes Control-C with a handler after which the system goes on waiting for
        a lock (SA_RESTART): without a limit of time Python would not hear of it.
        """
        try:
            while wait(started, LOOK_SECONDS, FIRST_EXCEPTION).not_done:
                if any(one.done() and one.exception() for one in started):
                    break
            return [one.result() for one in started]
        finally:
            for one in started:
                one.cancel()
