"""
A night over blocks: what is near is gathered, solved exactly, and checked by all.

A few per cent of the orders are gathered: of each merchant at most ``2 * cap + 4``, and
none whose saving is far below its lane's price. At the least prices that prove the plan
of the near market, the blocks add up what all orders save beyond them. If a merchant's
sum equals that of its near orders, no other order of it would change the plan or its
prices. Further orders of the other merchants are gathered, and the steps are repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.errors import CertificateError, SolveError
from optimizer.model.lane_tree import effective_price, own_price
from optimizer.model.problem import Problem, starts
from optimizer.model.solution import Solution, Termination
from optimizer.solvers.market import Threads, sub_market, whole_market
from optimizer.solvers.network.blocks import (
    ByBlock,
    CapPrices,
    Screen,
    Tied,
    above_cuts,
    plain_choice,
    sifted,
)
from optimizer.solvers.network.canonical_plan import (
    barred,
    count_tied,
    with_canonical_plan,
)
from optimizer.solvers.network.primal_heuristic import chosen_options
from optimizer.solvers.network.refine_prices import (
    MOST_SCREENS,
    PriceSearch,
    fine_prices,
)
from optimizer.solvers.network.screen import (
    DEPTH,
    FIRST_DEPTH,
    REACH,
    barred_prices,
    sample_caps,
    sampled_prices,
    sampling,
)
from optimizer.solvers.network.solve import compare, solve_market

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from optimizer.solvers.market import NearMarket
    from optimizer.solvers.network.blocks import Blocks

#: Orders that are gathered at most; some 150 bytes each, options and copies
#: counted.
MOST_NEAR = 100_000_000


@dataclass(frozen=True, slots=True, eq=False)
class BlockNight:
    """
    A night as its solver sees it: blocks, lanes and merchants, but no orders.

    Attributes
    ----------
    blocks
        Whoever keeps the orders.
    slots, parent
        ``(num_lanes,) int64`` and ``int32``: the lanes.
    merchant_of
        By block, the number of each of its merchants among all.
    cap, num_open
        ``(num_merchants,) int64``: caps, and orders to be decided.
    highest
        The highest saving, micro-CNY.
    is_late
        Whether the time is up.
    tell
        Takes a line about progress.
    """

    blocks: Blocks
    slots: NDArray[np.int64]
    parent: NDArray[np.int32]
    merchant_of: dict[int, NDArray[np.int64]]
    cap: NDArray[np.int64]
    num_open: NDArray[np.int64]
    highest: int
    is_late: Callable[[], bool]
    tell: Callable[[str], None]

    def by_block(self, values: NDArray[Any]) -> ByBlock[NDArray[Any]]:
        """Distribute values of merchants to the blocks that have them."""
        return ByBlock({block: values[m] for block, m in self.merchant_of.items()})


@dataclass(frozen=True, slots=True, eq=False)
class Core:
    """
    The proved plan of the near market.

    Attributes
    ----------
    tied
        Chosen orders that prices alone do not decide.
    lane_price, merchant_price
        Own prices that prove the plan, micro-CNY.
    num_near, num_passes
        Orders gathered, and passes over the blocks.
    """

    tied: Tied
    lane_price: NDArray[np.int64]
    merchant_price: NDArray[np.int64]
    num_near: int
    num_passes: int


def solve_core(field: BlockNight, num_threads: int | None) -> Core:
    """
    Find the optimum of the night, gathering only what could matter.

    Raises
    ------
    SolveError
        When the time is up, or the near market is too large.
    """
    with Threads(num_threads) as pool:
        rough, scale = _rough(field, pool)
        parent = field.parent
        lowest = effective_price(rough, parent)
        near, _ = gather(field, _screen(field, lowest, scale))
        search = _search(near, scale, field, pool)
        price, passes = fine_prices(search, _all_of(search), rough), 2
        for _ in range(MOST_SCREENS):
            if field.is_late() or not (price < lowest - REACH * scale).any():
                break
            more, _ = gather(field, _screen(field, price, scale))
            search = _search(merged(field, near, more), scale, field, pool)
            near, passes = search.problem, passes + 1
            lowest = np.minimum(lowest, price)
            price = fine_prices(search, _all_of(search), own_price(price, parent))
        return _prove(field, search, price, passes)


def _screen(field: BlockNight, price: NDArray[np.int64], scale: float) -> Screen:
    """All merchants' orders that could matter near these effective prices."""
    return Screen(price, field.by_block(field.cap), 1, DEPTH, int(REACH * scale))


def _rough(field: BlockNight, pool: Threads) -> tuple[NDArray[np.int64], float]:
    """Rough own prices from a sample that the blocks give."""
    slots = field.slots
    every = sampling(int(field.num_open.sum()), int(field.cap.sum()), slots)
    nothing = merged(field)
    barred = barred_prices(nothing, field.highest)
    share = field.by_block(sample_caps(field.cap, field.num_open, every))
    _, sample = gather(field, Screen(barred, share, every, FIRST_DEPTH, 0))
    field.tell(f"sampled one order in {every:,}: {sample.num_orders:,} near orders")
    return sampled_prices(nothing, sample, every, barred, pool, field.is_late)


def _prove(
    field: BlockNight, search: PriceSearch, price: NDArray[np.int64], passes: int
) -> Core:
    """
    Solve, let blocks check, and add the orders that they find, until there are none.

    Raises
    ------
    SolveError
        When the time is up.
    CertificateError
        When blocks' findings are not among the orders that they give.
    """
    while True:
        near = search.problem
        found = solve_market(search, _all_of(search), price)
        if found.least is None or field.is_late():
            raise SolveError(
                "no proved plan within solver.time_limit_seconds; raise it"
            )
        price = found.price
        field.tell(f"solved {near.num_orders:,} near orders")
        chosen = chosen_options(search.full.option_start, _all_of(search), found.pick)
        cut, _, _ = compare(search, search.full, chosen, found.least)
        here, _ = above_cuts(near, found.least, cut)
        above, highest, num_tied = _check(field, found.least, cut)
        passes += 1
        beyond = (above != here) & (field.cap > 0)
        field.tell(f"checked all orders: {beyond.sum():,} caps have others near")
        if not beyond.any():
            own = own_price(found.least, field.parent)
            plan = Solution(chosen, own, cut, Termination("OPTIMAL"))
            near, plan = _canonical(field, near, plan, num_tied)
            cut = np.where(field.cap > 0, cut, highest)
            tied = tied_of(field, near, plan.chosen, found.least, cut)
            return Core(tied, own, cut, near.num_orders, passes)
        share = field.by_block(np.where(beyond, field.cap, 0))
        more, _ = gather(field, Screen(found.least, share, 1, DEPTH, 0))
        passes += 1
        wider = merged(field, near, more)
        if wider.num_orders == near.num_orders:
            raise CertificateError(
                "blocks find worth above the prices that no order accounts for; "
                "have the tables changed since the run began?"
            )
        search = _search(wider, search.scale, field, search.pool)


def _check(
    field: BlockNight, price: NDArray[np.int64], cut: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """
    What all orders are worth at effective prices and those of caps, by merchant.

    Above both, above lanes at most, and how many orders these prices do not decide.
    """
    asked = CapPrices(price, field.by_block(cut))
    above, highest, num_tied = np.zeros((3, len(field.cap)), np.int64)
    for block, part in field.blocks.bound(asked).items():
        mine = field.merchant_of[block]
        above[mine] += part["above"]
        highest[mine] = np.maximum(highest[mine], part["highest"])
        num_tied[mine] += part["tied"]
    return above, highest, num_tied


def _canonical(
    field: BlockNight, near: Problem, plan: Solution, num_tied: NDArray[np.int64]
) -> tuple[Problem, Solution]:
    """The canonical plan, which may need orders that are tied and were not near."""
    price = barred(near, effective_price(plan.lane_price, near.lane_parent))
    here = count_tied(near, price, plan.merchant_price)
    missing = (num_tied > here) & (field.cap > 0)
    if missing.any():
        share = np.where(missing, field.cap, 0)
        depth = 2 + int((num_tied[missing] // field.cap[missing]).max())
        more, _ = gather(field, Screen(price, field.by_block(share), 1, depth, 0))
        field.tell(f"gathered {more.num_orders:,} orders with others like them")
        wider = merged(field, near, more)
        plan = replace(plan, chosen=same_options(near, plan.chosen, wider))
        near = wider
    return near, with_canonical_plan(near, plan)


def same_options(
    near: Problem, chosen: NDArray[np.int64], wider: Problem
) -> NDArray[np.int64]:
    """
    Options of some orders where these stand among more, ascending.

    Parameters
    ----------
    near, chosen
        Orders, and some of their options.
    wider
        The same orders with others.
    """
    order = np.searchsorted(near.option_start, chosen, side="right") - 1
    by_key = np.argsort(wider.key)
    place = by_key[np.searchsorted(wider.key[by_key], near.key[order])]
    return np.sort(wider.option_start[place] + chosen - near.option_start[order])


def gather(field: BlockNight, screen: Screen) -> tuple[Problem, NearMarket]:
    """
    The orders that a screen lets through, from all blocks, and as a market.

    Merchants that are in several blocks are screened once more, so that what is
    gathered does not depend on the blocks.
    """
    parts = []
    for block, part in field.blocks.screen(screen).items():
        if part:
            part["merchant"] = field.merchant_of[block][part["merchant"]]
            parts.append(part)
    every = problem_of(field, parts)
    share = np.zeros(len(field.cap), np.int64)
    for block, values in screen.share_of.items():
        share[field.merchant_of[block]] = values
    near = sifted(every, share, screen)
    if near.num_orders == every.num_orders:
        return every, near
    return problem_of(field, [parts_of(every, near.order)]), near


def merged(field: BlockNight, *problems: Problem) -> Problem:
    """Orders that are in any of some problems, each once."""
    parts = [parts_of(p, np.arange(p.num_orders)) for p in problems]
    return problem_of(field, parts)


def parts_of(problem: Problem, order: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """
    Some orders with their options, copied from their problem.

    Parameters
    ----------
    problem, order
        ``(k,) int64``: numbers of the orders in it.
    """
    start = problem.option_start
    option = _options_of(start, order)
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    return {
        "merchant": merchant,
        "key": problem.key[order],
        "num_options": start[order + 1] - start[order],
        "lane": problem.option_lane[option],
        "saving": problem.option_saving[option],
    }


def _options_of(
    start: NDArray[np.int64], order: NDArray[np.int64]
) -> NDArray[np.int64]:
    """All options of some orders, order by order."""
    count = start[order + 1] - start[order]
    before = np.cumsum(count) - count
    return np.repeat(start[order] - before, count) + np.arange(count.sum())


_KINDS = {
    "merchant": np.int64,
    "key": np.uint64,
    "num_options": np.int64,
    "lane": np.int32,
    "saving": np.int64,
}


def problem_of(field: BlockNight, parts: list[dict[str, NDArray[Any]]]) -> Problem:
    """
    Orders from several places, each once, in canonical order.

    Parameters
    ----------
    field
        The night.
    parts
        As of :func:`parts_of`, with merchants of the whole night.

    Raises
    ------
    SolveError
        When there are more than a driver takes.
    """
    given = {
        name: np.concatenate([np.zeros(0, kind), *(p[name] for p in parts)])
        for name, kind in _KINDS.items()
    }
    key, merchant = given["key"], given["merchant"]
    if len(key) > MOST_NEAR:
        raise SolveError(
            f"{len(key):,} orders are near the margin, more than the driver takes "
            f"({MOST_NEAR:,}); are most lanes without a price?"
        )
    order = np.lexsort((key, merchant))
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = (np.diff(merchant[order]) != 0) | (key[order][1:] != key[order][:-1])
    order = order[is_new]
    start = np.concatenate(([0], np.cumsum(given["num_options"]))).astype(np.int64)
    option = _options_of(start, order)
    return Problem(
        merchant_start=starts(merchant[order], len(field.cap)),
        cap=field.cap,
        option_start=np.concatenate(
            ([0], np.cumsum(given["num_options"][order]))
        ).astype(np.int64),
        option_lane=given["lane"].astype(np.int32)[option],
        option_saving=given["saving"].astype(np.int64)[option],
        slots=field.slots,
        lane_parent=field.parent,
        key=key[order].astype(np.uint64),
        row=np.arange(len(order)),
    )


def _search(
    near: Problem, scale: float, field: BlockNight, pool: Threads
) -> PriceSearch:
    return PriceSearch(near, whole_market(near), scale, pool, field.is_late)


def _all_of(search: PriceSearch) -> NearMarket:
    every = np.arange(search.problem.num_orders)
    return sub_market(search.full, every, search.problem.cap, search.pool)


def tied_of(
    field: BlockNight,
    near: Problem,
    chosen: NDArray[np.int64],
    price: NDArray[np.int64],
    cut: NDArray[np.int64],
) -> Tied:
    """
    Chosen orders that blocks would not choose by prices alone, by block.

    A block gets those of all its merchants, and looks for the orders that it has.

    Parameters
    ----------
    field
        The night.
    near, chosen
        Some of its orders, all that are chosen among them, and the plan's options.
    price, cut
        Effective prices of lanes and prices of caps, micro-CNY.
    """
    tied = np.setdiff1d(chosen, plain_choice(near, price, cut))
    order = np.searchsorted(near.option_start, tied, side="right") - 1
    merchant = np.searchsorted(near.merchant_start, order, side="right") - 1
    first = np.searchsorted(merchant, np.arange(len(field.cap) + 1))
    found = Tied()
    for block, merchants in field.merchant_of.items():
        mine = merchants[first[merchants] < first[merchants + 1]]
        at = [np.arange(first[m], first[m + 1]) for m in mine.tolist()]
        if at:
            here = np.concatenate(at)
            found[block] = near.key[order[here]], near.option_lane[tied[here]]
    return found
