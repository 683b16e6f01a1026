"""
Parts of a plan solved again by an integer program, the rest left unchanged.

The answer replaces the plan only if it keeps every limit and is better, both counted in
integers: floating point is not trusted.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.solvers.deadline import ends_after
from optimizer.solvers.packing.local_search import (
    PackingNight,
    PackingPlan,
    state_of,
    worth_key,
)
from optimizer.solvers.packing.programs import (
    Effort,
    Program,
    RowBlock,
    joined_program,
    solve_by_cp_sat,
    solve_by_highs,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from optimizer.solvers.market import Threads

#: Seconds that HiGHS has on a whole core before others begin beside it.
HEAD_START = 0.3
#: Share of the time, and nodes, that the narrow part of a core has.
NARROW_SHARE, NARROW_NODES = 0.6, 300


@dataclass(frozen=True, slots=True, eq=False)
class Core:
    """
    Some orders of a night, with the room that the others leave.

    Attributes
    ----------
    night
        All of it.
    option
        ``(k,) int64``: options that may be chosen.
    use
        Places of their uses.
    column
        ``(len(use),) int64``: the column of each use's option.
    base
        ``(num_limits,) int64``: use of each limit by options outside.
    floor
        ``(f,) int64``: limits with a floor that the options can affect.
    pinned
        ``(p,) int64``: pinned orders with an option here.
    """

    night: PackingNight
    option: NDArray[np.int64]
    use: NDArray[np.int64]
    column: NDArray[np.int64]
    base: NDArray[np.int64]
    floor: NDArray[np.int64]
    pinned: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """
    What is tried beside HiGHS on a core.

    Attributes
    ----------
    pool
        Threads.
    dive
        Looks for a better plan by other means, until it is told that this is over.
    narrow
        A small part of the core around a plan, whose options lose least; ``None``: no
        such part.
    """

    pool: Threads
    dive: Callable[[PackingPlan, Callable[[], bool]], PackingPlan]
    narrow: Callable[[PackingPlan], Core | None]


def make_core(
    night: PackingNight, state: PackingPlan, option: NDArray[np.int64]
) -> Core:
    """
    Free some options; orders that have none of them stay as they are.

    The chosen options of the freed orders must be among them.
    """
    is_free = np.zeros(len(night.option_order), np.bool_)
    is_free[option] = True
    fixed = state.pick[state.pick >= 0]
    fixed = fixed[~is_free[fixed]]
    is_fixed = np.zeros(len(is_free), np.bool_)
    is_fixed[fixed] = True
    held = np.flatnonzero(is_fixed[night.use_option])
    base = np.zeros(len(night.high), np.int64)
    np.add.at(base, night.use_limit[held], night.use_amount[held])
    use = np.flatnonzero(is_free[night.use_option])
    column = np.searchsorted(option, night.use_option[use])
    touched = np.unique(night.use_limit[use])
    order = np.unique(night.option_order[option])
    return Core(
        night=night,
        option=option,
        use=use,
        column=column,
        base=base,
        floor=touched[night.low[touched] > base[touched]],
        pinned=order[night.pin_rank[order] >= 0],
    )


def undecided(
    night: PackingNight, state: PackingPlan, gap: int, most: int
) -> NDArray[np.int64]:
    """
    Options of orders that prices leave open while a plan has a gap.

    What a choice loses at prices, against the order's best one, no better plan can lose
    in all beyond the gap.

    Parameters
    ----------
    night, state
        The night and the plan.
    gap
        Of the plan, micro-CNY.
    most
        About how many options may be open: those that lose least.

    Returns
    -------
    ``(k,) int64``, ascending; with what the open orders have chosen.
    """
    order, is_pinned = night.option_order, night.pin_rank >= 0
    best = np.where(is_pinned, -(2**62), 0)
    np.maximum.at(best, order, night.margin)
    loss = best[order] - night.margin
    if most < len(loss):
        gap = min(gap, int(np.partition(loss, most)[most]))
    is_chosen = state.pick[order] == np.arange(len(order))
    is_open = loss <= gap
    ways = np.bincount(order[is_open | is_chosen], minlength=len(best))
    can_be_none = (best <= gap) & ~is_pinned | (state.pick < 0)
    has_choice = ways + can_be_none > 1
    return np.flatnonzero((is_open | is_chosen) & has_choice[order])


def solve_core(
    core: Core,
    state: PackingPlan,
    effort: Effort,
    beside: Beside | None = None,
) -> PackingPlan | None:
    """
    Solve a core rank by rank, then for money.

    Parameters
    ----------
    core, state
        What may change, and the plan so far.
    effort
        Nodes and work of each program; seconds of all of them.
    beside
        What is tried beside HiGHS for money.

    Returns
    -------
    State
        A better plan; ``None`` where none was found.
    """
    num_ranks = int(core.night.num_ranks[0])
    best: PackingPlan | None = None
    ends = ends_after(effort.seconds)
    for stage in range(num_ranks + 1):
        now, left = best or state, ends() - time.monotonic()
        if left <= 0:
            break
        if stage < num_ranks and missing_of(core, now)[stage] == 0:
            continue
        # Later ranks must be able to mend what an earlier one gives up for its own.
        part = replace(effort, seconds=left / (num_ranks + 1 - stage))
        if beside is not None and stage == num_ranks:
            best = _solved_beside(core, now, part, beside) or best
        else:
            found = solve_stage(core, now, stage, part)
            best = replaced(core, now, found) or best
    return best


def _solved_beside(
    core: Core, state: PackingPlan, effort: Effort, beside: Beside
) -> PackingPlan | None:
    """
    HiGHS on a core; beside it a dive, HiGHS on a narrow part, CP-SAT from there.

    What HiGHS proves is taken alone, and ends the rest: so the plan depends neither on
    which is faster nor on the number of threads.
    """
    from ortools.util.python import solve_interrupter

    program = make_program(core, missing_of(core, state), int(core.night.num_ranks[0]))
    began, stop = time.monotonic(), solve_interrupter.SolveInterrupter()
    has_ended, is_proved = threading.Event(), False

    def seconds_left() -> float:
        return effort.seconds - (time.monotonic() - began)

    def whole() -> list[tuple[Core, NDArray[np.int64]]]:
        nonlocal is_proved
        try:
            found, is_proved = solve_by_highs(program, effort, _known(core, state))
            if is_proved:
                stop.interrupt()
        finally:
            has_ended.set()
        return [] if found is None else [(core, _chosen(core, found))]

    def others() -> list[tuple[Core, NDArray[np.int64]]]:
        has_ended.wait(HEAD_START)
        answers, now, stage = [], state, int(core.night.num_ranks[0])
        if not is_proved and seconds_left() > 0:
            now = beside.dive(state, lambda: is_proved or seconds_left() <= 0)
            if now is not state:
                answers.append((core, _of_core(core, now)))
        narrow = None if is_proved else beside.narrow(now)
        if narrow is not None and seconds_left() > 0:
            part = replace(
                effort, seconds=NARROW_SHARE * seconds_left(), nodes=NARROW_NODES
            )
            near = replaced(narrow, now, solve_stage(narrow, now, stage, part))
            if near is not None:
                now = near
                answers.append((core, _of_core(core, now)))
        if not is_proved and seconds_left() > 0:
            part = replace(effort, seconds=seconds_left())
            found = solve_by_cp_sat(program, part, _known(core, now), stop)
            if found is not None:
                answers.append((core, _chosen(core, found)))
        return answers

    first, second = beside.pool.each(lambda number: (whole, others)[number](), 2)
    best: PackingPlan | None = None
    for part, chosen in first if is_proved else [*first, *second]:
        best = replaced(part, best or state, chosen) or best
    return best


def solve_stage(
    core: Core, state: PackingPlan, stage: int, effort: Effort
) -> NDArray[np.int64] | None:
    """
    Solve a core for one rank, or for money after the last.

    Parameters
    ----------
    core
        The open orders, with what the others leave of each limit.
    state
        A feasible plan, which the answer may not fall behind on earlier ranks.
    stage
        Rank of the floors and pins to keep; after the last rank: money.
    effort
        Limits of time, nodes and gap.

    Returns
    -------
    ``(k,) int64`` chosen options of the core; ``None`` where there was no answer.
    """
    program = make_program(core, missing_of(core, state), stage)
    found, _ = solve_by_highs(program, effort, _known(core, state))
    return None if found is None else _chosen(core, found)


def _of_core(core: Core, state: PackingPlan) -> NDArray[np.int64]:
    """The options of a core that a plan has chosen."""
    return np.intersect1d(core.option, state.pick)


def _chosen(core: Core, answer: NDArray[np.float64]) -> NDArray[np.int64]:
    """The options of an answer."""
    return core.option[answer[: len(core.option)] > 0.5]


def _known(core: Core, state: PackingPlan) -> NDArray[np.float64]:
    """The columns of a program at a plan: its options, then shortfalls."""
    pick = state.pick[core.night.option_order[core.option]]
    short = np.maximum(core.night.low[core.floor] - state.used[core.floor], 0)
    return np.concatenate((pick == core.option, short)).astype(np.float64)


def missing_of(core: Core, state: PackingPlan) -> NDArray[np.int64]:
    """``(num_ranks,) int64``: units that a core's floors and pins miss in a plan."""
    night = core.night
    missing = np.zeros(int(night.num_ranks[0]), np.int64)
    hard = core.floor[night.rank[core.floor] >= 0]
    short = np.maximum(night.low[hard] - state.used[hard], 0)
    np.add.at(missing, night.rank[hard], short)
    absent = core.pinned[state.pick[core.pinned] < 0]
    np.add.at(missing, night.pin_rank[absent], 1)
    return missing


def make_program(core: Core, missing: NDArray[np.int64], stage: int) -> Program:
    """
    Formulate a core as an integer program.

    Columns are its options, then the shortfall of each floor. Ranks before
    ``stage`` may miss no more than ``missing``; the stage's own is the objective, or
    money after the last.
    """
    night, columns = core.night, len(core.option)
    blocks = [_order_rows(core), _limit_rows(core)]
    floor = np.searchsorted(core.floor, night.use_limit[core.use])
    at = np.minimum(floor, max(len(core.floor) - 1, 0))
    is_floor = np.isin(night.use_limit[core.use], core.floor)
    here = np.arange(len(core.floor))
    need = night.low[core.floor] - core.base[core.floor]
    floors = RowBlock(
        row=np.concatenate((at[is_floor], here)),
        column=np.concatenate((core.column[is_floor], columns + here)),
        amount=np.concatenate(
            (night.use_amount[core.use[is_floor]], np.ones(len(here), np.int64))
        ),
        least=need,
        most=np.full(len(need), np.inf),
    )
    blocks.append(floors)
    blocks += [_missing_row(core, rank, int(missing[rank])) for rank in range(stage)]
    return joined_program(
        blocks,
        _costs(core, stage, len(missing)),
        upper=np.concatenate((np.ones(columns), need)),
        num_whole=columns,
    )


def _order_rows(core: Core) -> RowBlock:
    """Each order once; orders with one option need no row."""
    order = core.night.option_order[core.option]
    _, place, count = np.unique(order, return_inverse=True, return_counts=True)
    row = np.cumsum(count > 1) - 1
    several = np.flatnonzero(count[place] > 1)
    num_rows = int(np.sum(count > 1))
    return RowBlock(
        row=row[place[several]],
        column=several,
        amount=np.ones(len(several), np.int64),
        least=np.full(num_rows, -np.inf),
        most=np.ones(num_rows),
    )


def _limit_rows(core: Core) -> RowBlock:
    """Limits that the options could break."""
    night = core.night
    limit, amount = night.use_limit[core.use], night.use_amount[core.use]
    total = np.zeros(len(night.high), np.int64)
    np.add.at(total, limit, amount)
    room = night.high - core.base
    is_row = total > room
    number = np.cumsum(is_row) - 1
    kept = is_row[limit]
    high = room[is_row].astype(np.float64)
    return RowBlock(
        row=number[limit[kept]],
        column=core.column[kept],
        amount=amount[kept],
        least=np.full(len(high), -np.inf),
        most=high,
    )


def _missing_row(core: Core, rank: int, most: int) -> RowBlock:
    """A row that bounds the total shortfall of a rank, pins included."""
    night, columns = core.night, len(core.option)
    floor = np.flatnonzero(night.rank[core.floor] == rank)
    pins = core.pinned[night.pin_rank[core.pinned] == rank]
    column = np.flatnonzero(np.isin(night.option_order[core.option], pins))
    where = np.concatenate((columns + floor, column))
    sign = np.concatenate((np.ones(len(floor), np.int64), np.full(len(column), -1)))
    return RowBlock(
        row=np.zeros(len(where), np.int64),
        column=where,
        amount=sign,
        least=np.full(1, -np.inf),
        most=np.full(1, float(most - len(pins))),
    )


def _costs(core: Core, stage: int, num_ranks: int) -> NDArray[np.float64]:
    """The objective of a program, to be maximised."""
    night = core.night
    cost = np.zeros(len(core.option) + len(core.floor))
    if stage < num_ranks:
        missing = _missing_row(core, stage, 0)
        cost[missing.column] = -missing.amount
        return cost
    cost[: len(core.option)] = night.option_saving[core.option]
    soft = np.where(night.rank[core.floor] < 0, night.penalty[core.floor], 0)
    cost[len(core.option) :] = -soft
    return cost


def replaced(
    core: Core, state: PackingPlan, new: NDArray[np.int64] | None
) -> PackingPlan | None:
    """
    Replace a core's choice in a plan.

    The plan may have changed outside the core meanwhile.

    Returns
    -------
    State
        ``None`` if a limit would be broken or nothing gained, in integers.
    """
    if new is None:
        return None
    night = core.night
    is_free = np.zeros(len(night.option_order), np.bool_)
    is_free[core.option] = True
    kept = state.pick[state.pick >= 0]
    chosen = np.sort(np.concatenate((kept[~is_free[kept]], new)))
    order = night.option_order[chosen]
    if len(np.unique(order)) < len(order):
        return None
    fresh = state_of(night, chosen)
    is_feasible = bool(np.all(fresh.used <= night.high))
    is_better = worth_key(night, fresh) > worth_key(night, state)
    return fresh if is_feasible and is_better else None
