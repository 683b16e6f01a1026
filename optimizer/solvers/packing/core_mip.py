"""
Parts of a plan solved again by an integer program, the rest left unchanged.

The answer replaces the plan only if it keeps every limit and is better, both counted in
integers: floating point is not trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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
    solve_whole,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


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


def solve_core(core: Core, state: PackingPlan, effort: Effort) -> PackingPlan | None:
    """
    Solve a core rank by rank, then for money.

    Parameters
    ----------
    core, state
        What may change, and the plan so far.
    effort
        For each of the programs.

    Returns
    -------
    State
        A better plan; ``None`` where none was found.
    """
    num_ranks = int(core.night.num_ranks[0])
    best: PackingPlan | None = None
    for stage in range(num_ranks + 1):
        now = best or state
        if stage < num_ranks and missing_of(core, now)[stage] == 0:
            continue
        found = solve_stage(core, now, stage, effort)
        best = replaced(core, now, found) or best
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
    found = solve_whole(make_program(core, missing_of(core, state), stage), effort)
    return None if found is None else core.option[found[: len(core.option)] > 0.5]


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
