"""What a person should know of a night's limits before it is solved, and refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.errors import ConfigError, counted
from optimizer.model.beside import further_limits
from optimizer.model.capacity import match_rows
from optimizer.model.lanes import name_some
from optimizer.model.reduced import best_of, room_alone
from optimizer.model.side import NO_PIN
from optimizer.model.tree import least_slots

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from optimizer.config import Config
    from optimizer.model.beside import Given, Layout
    from optimizer.model.lanes import Place
    from optimizer.model.problem import Problem


def refuse_to_explore(given: Given, layout: Layout) -> None:
    """
    Refuse an explore arm where more than caps and nesting rows limits the night.

    Raises
    ------
    ConfigError
        Naming what the arm would have to keep too.
    """
    if further := further_limits(given, layout):
        raise ConfigError(
            "holdout.explore_share: random parcels take their slots from caps and "
            f"nesting rows alone, and this night also has {', '.join(further)}; set "
            "explore_share to 0 (share, which keeps chosen parcels back, may stay)"
        )


def refuse_to_hold(problem: Problem) -> None:
    """
    Refuse to keep parcels back at random where floors or pins ask for them.

    Raises
    ------
    ConfigError
        Naming which.
    """
    side = problem.side
    if side is None:
        return
    has_pins, has_floors = np.any(side.pin_rank != NO_PIN), np.any(side.low > 0)
    if has_pins or has_floors:
        what = "pins" if has_pins else "floors"
        raise ConfigError(
            "holdout.share: parcels kept back at random would break what "
            f"{what} ask for; set it to 0 on nights with {what}"
        )


def warn_idle(layout: Layout) -> list[str]:
    """Say which rows name a date or an attribute that no parcel has."""
    if layout.cells is None:
        return []
    further = {*layout.cells.columns[3:]}
    naming = [row for row in layout.beside if further & dict(row.wanted).keys()]
    used = set(match_rows(naming, layout.cells)[1].tolist())
    idle = [row.name for number, row in enumerate(naming) if number not in used]
    if not idle:
        return []
    more = f" and {len(idle) - 5:,} more" if len(idle) > 5 else ""
    return [
        f"{counted(len(idle), 'capacity row')} with a date or an attribute match no "
        f"parcel; are they spelled as in the orders table: {'; '.join(idle[:5])}{more}"
    ]


def warn_unused(problem: Problem, config: Config) -> list[str]:
    """Say which settings are for network nights alone."""
    if problem.side is None or not config.solver.keep_previous:
        return []
    return [
        "solver.keep_previous is not used: it decides between equal optima of network "
        "nights alone"
    ]


def warn_heavy(problem: Problem) -> list[str]:
    """Say which parcels are too large for every row that they count in."""
    if problem.side is None or problem.side.option_load.max(initial=1) == 1:
        return []
    slots = least_slots(problem.slots, problem.lane_parent)
    room = room_alone(problem, slots, 0, problem.num_orders)
    start = problem.option_start
    fits = best_of(start, room, 0) > 0
    lighter = room + problem.side.option_load - 1
    heavy = np.flatnonzero(~fits & (best_of(start, lighter, 0) > 0))
    if len(heavy) == 0:
        return []
    return [
        f"{counted(len(heavy), 'parcel')} cannot be chosen, as the load is above the "
        "slots of every row that could take it; first in row "
        f"{problem.row[heavy].min() + 1:,} of the orders table"
    ]


def warn_uncovered(uncovered: Sequence[Place], *, is_open: bool) -> list[str]:
    """Say which lanes have no capacity row, and what that does."""
    if not uncovered:
        return []
    is_one = len(uncovered) == 1
    have, they, take = ("has", "it", "takes") if is_one else ("have", "they", "take")
    effect = f"{have} room for all of them" if is_open else f"{take} none of them"
    setting = "open" if is_open else "closed"
    return [
        f"{counted(len(uncovered), 'lane')} {have} orders but no capacity row, "
        f"so {they} {effect} (capacity.uncovered_lanes: {setting}): "
        f"{name_some(uncovered)}"
    ]


def warn_unknown(carriers: Iterable[str], roster: Collection[str]) -> list[str]:
    """Say which carriers have orders, but are not in the policy's roster."""
    unknown = sorted({*carriers} - {*roster})
    if not unknown:
        return []
    is_one = len(unknown) == 1
    named, are, their = (
        ("carrier", "is", "its") if is_one else ("carriers", "are", "their")
    )
    return [
        f"{named} {', '.join(unknown)} {are} not in the policy's roster on this "
        f"date: {their} orders get CARRIER_INACTIVE"
    ]
