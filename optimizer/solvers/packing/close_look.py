"""
Plans looked for beside a tree: what loses least at its first prices, solved again.

The prices of a tree's root know what whole parcels leave empty on a lane, and are
better guides than those with which plans were made. The tree never waits for an answer
nor looks at one: what it proves depends on no other core.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.solvers.packing.core_mip import make_core, solve_core, undecided
from optimizer.solvers.packing.programs import Effort

if TYPE_CHECKING:
    from collections.abc import Callable

    from optimizer.solvers.packing.local_search import PackingNight, PackingPlan
    from optimizer.solvers.packing.refine_prices import PackingSearch

#: Options for each chosen one in a program, and its share of the time that is left; the
#: next one starts from what it found.
LOOKS = ((2, 0.25), (3, 0.4), (6, 1.0))
#: Nodes of each program's search tree.
LOOK_NODES = 300
#: A program with more than this share of all options is no closer look.
CLOSER = 0.7


def looked_closer(
    search: PackingSearch,
    night: PackingNight,
    state: PackingPlan,
    is_over: Callable[[], bool],
) -> PackingPlan | None:
    """
    Solve what loses least at prices, wider and wider, each time from the best so far.

    Parameters
    ----------
    search
        Whose time it takes.
    night, state
        The night, with margins at the best prices, and a plan.
    is_over
        Whether nothing better can be found any more.

    Returns
    -------
    PackingPlan or None
        A better plan; ``None`` where none was found.
    """
    best, no_gap = state, 2**62
    for ways, share in LOOKS:
        option = undecided(night, best, no_gap, ways * int(np.sum(best.pick >= 0)))
        if len(option) > CLOSER * len(night.option_order) or len(option) == 0:
            break
        seconds = share * search.seconds_left()
        if seconds <= 0 or is_over():
            break
        effort = Effort(seconds, LOOK_NODES, 0.0, is_stopped=search.pool.is_stopped)
        best = solve_core(make_core(night, best, option), best, effort) or best
    return None if best is state else best
