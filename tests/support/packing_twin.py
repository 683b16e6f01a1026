"""Packing nights in plain Python: limits counted, every plan tried, both bounds."""

from __future__ import annotations

import pickle
import subprocess
import sys
from bisect import bisect_right
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.model.side_constraints import HARD, NO_PIN
from tests.support.oracles import path_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution


def order_of(problem: Problem, option: int) -> int:
    """The order of an option, by halving."""
    return bisect_right(problem.option_start, option) - 1


def merchant_of(problem: Problem, order: int) -> int:
    """The merchant of an order, by halving."""
    return bisect_right(problem.merchant_start, order) - 1


def entries_of(problem: Problem, option: int) -> list[tuple[int, int]]:
    """Side rows of an option with its weights."""
    side = problem.side
    first, last = int(side.entry_start[option]), int(side.entry_start[option + 1])
    return [
        (int(side.entry_row[e]), int(side.entry_weight[e])) for e in range(first, last)
    ]


def row_use(problem: Problem, chosen: Iterable[int]) -> list[int]:
    """Weight of a plan in each side row."""
    use = [0] * problem.side.num_rows
    for option in chosen:
        for row, weight in entries_of(problem, option):
            use[row] += weight
    return use


def is_packed(problem: Problem, chosen: Iterable[int]) -> bool:
    """Count every limit that can never be broken, one by one."""
    chosen = [*chosen]
    cap, slots = problem.cap.tolist(), problem.slots.tolist()
    orders = [order_of(problem, option) for option in chosen]
    for option, order in zip(chosen, orders, strict=True):
        cap[merchant_of(problem, order)] -= 1
        for lane in path_of(problem, int(problem.option_lane[option])):
            slots[lane] -= int(problem.side.option_load[option])
    use = row_use(problem, chosen)
    is_low = all(u <= h for u, h in zip(use, problem.side.high.tolist(), strict=True))
    return is_low and len({*orders}) == len(orders) and min([0, *cap, *slots]) == 0


def plan_key(problem: Problem, chosen: Iterable[int]) -> tuple[tuple[int, ...], int]:
    """Missing units by rank, negated, then savings less penalties; compares."""
    chosen, side = [*chosen], problem.side
    use = row_use(problem, chosen)
    orders = {order_of(problem, option) for option in chosen}
    missing: dict[int, int] = {}
    money = sum(int(problem.option_saving[option]) for option in chosen)
    for row in range(side.num_rows):
        short = max(0, int(side.low[row]) - use[row])
        if side.low[row] <= 0:
            continue
        if side.penalty[row] == HARD:
            rank = int(side.rank[row])
            missing[rank] = missing.get(rank, 0) - short
        else:
            money -= int(side.penalty[row]) * short
    for order in range(problem.num_orders):
        rank = int(side.pin_rank[order])
        if rank != NO_PIN:
            missing[rank] = missing.get(rank, 0) - (order not in orders)
    return tuple(missing[rank] for rank in sorted(missing)), money


def best_key(problem: Problem) -> tuple[tuple[int, ...], int]:
    """Try every plan, order by order, and keep those that break nothing."""
    best: list[tuple[tuple[int, ...], int]] = []
    starts = problem.option_start.tolist()

    def extend(order: int, chosen: list[int]) -> None:
        if not is_packed(problem, chosen):
            return
        if order == problem.num_orders:
            key = plan_key(problem, chosen)
            best[:] = [max([key, *best])]
            return
        extend(order + 1, chosen)
        for option in range(starts[order], starts[order + 1]):
            extend(order + 1, [*chosen, option])

    extend(0, [])
    return best[0]


def _side_part(problem: Problem, solution: Solution) -> tuple[int, set[int]]:
    """What rows are worth at their prices, and the pins that the plan keeps."""
    side, use = problem.side, row_use(problem, solution.chosen.tolist())
    total = 0
    for row, price in enumerate(solution.row_price.tolist()):
        low = int(side.low[row])
        if side.penalty[row] == HARD:
            low = min(low, use[row])
        elif price < 0:
            assert -price <= side.penalty[row], "a floor costs more than its penalty"
        total += int(side.high[row]) * max(price, 0) + low * min(price, 0)
    orders = {order_of(problem, option) for option in solution.chosen.tolist()}
    kept = {order for order in orders if side.pin_rank[order] != NO_PIN}
    return total, kept


def _rows_pay(problem: Problem, solution: Solution, option: int) -> int:
    price = solution.row_price.tolist()
    return sum(weight * price[row] for row, weight in entries_of(problem, option))


def merchant_bound(problem: Problem, solution: Solution) -> int:
    """The bound in which merchants decide, term by term."""
    lane, merchant = solution.lane_price.tolist(), solution.merchant_price.tolist()
    assert min([0, *lane, *merchant]) == 0
    total, kept = _side_part(problem, solution)
    total += sum(s * p for s, p in zip(problem.slots.tolist(), lane, strict=True))
    total += sum(c * p for c, p in zip(problem.cap.tolist(), merchant, strict=True))
    starts = problem.option_start.tolist()
    for order in range(problem.num_orders):
        worths = [] if order in kept else [0]
        for option in range(starts[order], starts[order + 1]):
            path = path_of(problem, int(problem.option_lane[option]))
            load = int(problem.side.option_load[option])
            worth = int(problem.option_saving[option])
            worth -= load * sum(lane[step] for step in path)
            worth -= _rows_pay(problem, solution, option)
            worths.append(worth - merchant[merchant_of(problem, order)])
        total += max(worths)
    return total


def knapsack(items: Sequence[tuple[int, int]], room: int) -> int:
    """The most that (load, worth) items bring: the best by slots used, item by item."""
    best = {0: 0}
    for load, worth in items:
        for used, value in [*best.items()]:
            if used + load <= room:
                best[used + load] = max(best.get(used + load, 0), value + worth)
    return max(best.values())


def lane_bound(problem: Problem, solution: Solution) -> int:
    """The bound in which whole lanes decide, term by term."""
    lane, merchant = solution.lane_price.tolist(), solution.merchant_price.tolist()
    order_price = solution.order_price.tolist()
    total, kept = _side_part(problem, solution)
    # Only the price of an order that is chosen for certain may be negative.
    signed = [price for i, price in enumerate(order_price) if i not in kept]
    assert min([0, *lane, *merchant, *signed]) == 0
    parents = {int(parent) for parent in problem.lane_parent}
    total += sum(int(problem.slots[r]) * lane[r] for r in parents if r >= 0)
    total += sum(c * p for c, p in zip(problem.cap.tolist(), merchant, strict=True))
    total += sum(order_price)
    items: dict[int, list[tuple[int, int]]] = {}
    for option in range(problem.num_options):
        mine, order = int(problem.option_lane[option]), order_of(problem, option)
        load = int(problem.side.option_load[option])
        paying = [r for r in path_of(problem, mine) if r != mine or mine in parents]
        worth = int(problem.option_saving[option]) - _rows_pay(
            problem, solution, option
        )
        worth -= load * sum(lane[r] for r in paying)
        worth -= merchant[merchant_of(problem, order)] + order_price[order]
        items.setdefault(mine, []).append((load, worth))
    return total + sum(
        knapsack(held, int(problem.slots[r])) for r, held in items.items()
    )


def proved_bound(problem: Problem, solution: Solution) -> int:
    """The bound that a solution's prices and branches give."""
    by_lane = solution.order_price is not None
    root = (lane_bound if by_lane else merchant_bound)(problem, solution)
    return root if solution.tree is None else min(root, tree_bound(problem, solution))


def tree_bound(problem: Problem, solution: Solution) -> int:
    """The greatest bound of a leaf, each reached by walking down from node 0."""
    tree, bounds = solution.tree, list[int]()
    leaves = tree.leaf.tolist()

    def walk(node: int, put_in: list[int], put_out: list[int]) -> None:
        below = [n for n in range(tree.num_nodes) if tree.parent[n] == node]
        if below:
            with_it, without = sorted(below, key=lambda n: not tree.is_in[n])
            assert tree.is_in[with_it]
            assert not tree.is_in[without]
            option = int(tree.option[with_it])
            assert option == tree.option[without] >= 0
            walk(with_it, [*put_in, option], put_out)
            walk(without, put_in, [*put_out, option])
        else:
            prices = {
                name: getattr(tree, name)[leaves.index(node)]
                for name in ("lane_price", "merchant_price", "row_price", "order_price")
            }
            bound = _leaf_bound(problem, replace(solution, **prices), put_in, put_out)
            bounds.extend([] if bound is None else [bound])

    walk(0, [], [])
    return max(bounds)


def _leaf_bound(
    problem: Problem, solution: Solution, put_in: list[int], put_out: list[int]
) -> int | None:
    """
    The lane bound with options in or out; ``None`` if that leaves no plan.

    What is in pays all prices and takes its load from its lane's slots; what is out,
    or of an order that is in, has a saving that no price lets in.
    """
    orders = {order_of(problem, option) for option in put_in}
    closed = {*put_out} | {
        option
        for order in orders
        for option in range(*problem.option_start[order : order + 2].tolist())
    }
    _, kept = _side_part(problem, solution)
    can_be = {
        order_of(problem, option)
        for option in range(problem.num_options)
        if option not in closed
    }
    is_empty = len(orders) < len(put_in) or {*put_in} & {*put_out}
    if is_empty or kept - can_be - orders or not is_packed(problem, put_in):
        return None
    saving = problem.option_saving.copy()
    saving[[*closed]] = -(2**40)
    slots = problem.slots.copy()
    paid = 0
    lane, parents = solution.lane_price.tolist(), {*problem.lane_parent.tolist()}
    for option in put_in:
        mine, order = int(problem.option_lane[option]), order_of(problem, option)
        load = int(problem.side.option_load[option])
        path = [r for r in path_of(problem, mine) if r in parents]
        paid += int(problem.option_saving[option]) - load * sum(lane[r] for r in path)
        paid -= _rows_pay(problem, solution, option)
        paid -= int(solution.merchant_price[merchant_of(problem, order)])
        paid -= int(solution.order_price[order])
        slots[mine] -= load
        # A lane around others sells all its slots at its price, whatever is in.
        if mine in parents:
            paid += load * lane[mine]
    left = replace(problem, option_saving=saving, slots=slots)
    return lane_bound(left, solution) + paid


def best_money_by_highs(problems: Sequence[Problem]) -> list[tuple[list[int], int]]:
    """Best plans by HiGHS, rank by rank, in a process that never imports OR-Tools."""
    names = ("merchant_start", "cap", "option_start", "option_lane")
    more = ("option_saving", "slots", "lane_parent")
    data = [
        {name: getattr(problem, name) for name in (*names, *more)}
        | {
            name: getattr(problem.side, name)
            for name in (
                *("option_load", "entry_start", "entry_row", "entry_weight"),
                *("low", "high", "penalty", "rank", "pin_rank"),
            )
        }
        for problem in problems
    ]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("packing_highs.py"))],
        input=pickle.dumps(data),
        capture_output=True,
        timeout=600,
        check=True,
    )
    return pickle.loads(done.stdout)
