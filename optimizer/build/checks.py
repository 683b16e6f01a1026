"""Checks of a night's limits before it is solved: warnings and refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.capacity import match_rows
from optimizer.build.lookups import Missing
from optimizer.build.night_lookups import PLACES
from optimizer.build.side_constraints import further_limits
from optimizer.contracts.warnings import some, warn
from optimizer.errors import ConfigError
from optimizer.model.lane_tree import least_slots
from optimizer.model.reduced_savings import best_of, room_alone
from optimizer.model.side_constraints import NO_PIN

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from optimizer.build.lanes import Place
    from optimizer.build.side_constraints import Layout, NightInputs
    from optimizer.build.side_limits import SideLimits
    from optimizer.config import Config
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.model.problem import Problem


def refuse_to_explore(given: NightInputs, layout: Layout) -> None:
    """
    Refuse an explore arm on a night with side constraints.

    Raises
    ------
    ConfigError
        Naming the constraints that the arm would have to keep too.
    """
    if further := further_limits(given, layout):
        asking = _asking(given)
        share = (
            f" and holdout.share to 0, as parcels kept back would break what {asking} "
            "ask for"
            if asking and given.config.holdout.share
            else " (holdout.share, which keeps chosen parcels back, may stay)"
        )
        raise ConfigError(
            "holdout.explore_share, objective.explore: what explores takes its slots "
            "from caps and nesting rows alone, and this night also has "
            f"{', '.join(further)}; set objective.explore to none{share}"
        )


def _asking(given: NightInputs) -> str:
    """What asks for parcels, so that none may be kept back: pins, floors; or none."""
    rules = given.config.fairness
    has_floors = any(row.min_parcels for row in given.capacity) or any(
        rule.min_parcels or rule.min_share for rule in rules
    )
    asking = {"pins": bool(given.orders.is_pinned.any()), "floors": has_floors}
    return " and ".join(name for name, is_there in asking.items() if is_there)


def refuse_to_hold(problem: Problem) -> None:
    """
    Refuse a holdout where floors or pins ask for the parcels.

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


def warn_idle(layout: Layout) -> list[CodedWarning]:
    """Warn of rows that name a date or an attribute that no parcel has."""
    if layout.cells is None:
        return []
    further = {*layout.cells.columns[3:]}
    naming = [row for row in layout.beside if further & dict(row.wanted).keys()]
    used = set(match_rows(naming, layout.cells)[1].tolist())
    idle = [row.named for number, row in enumerate(naming) if number not in used]
    if not idle:
        return []
    return [warn("IDLE_CAPACITY_ROWS", num_rows=len(idle), rows=some(idle))]


def warn_unnamed(given: NightInputs, layout: Layout) -> list[CodedWarning]:
    """
    Warn of rows of a resource that name a place of no order and of no row of slots.

    A place with rows of slots alone is quiet tonight; one that only a row of a resource
    has is likely misspelt, and the row limits nothing.
    """
    of_resources = [row for row in layout.beside if row.resource is not None]
    if not of_resources:
        return []
    coder = given.coder
    known = {
        "carrier_id": {*coder.carriers.ids, *coder.roster},
        "region_id": {*coder.regions.ids},
        "outlet_id": {*coder.outlets.ids},
    }
    for row in given.capacity:
        for column, name in row.wanted if row.resource is None else ():
            known.get(column, set()).add(name)
    unknown = {
        row.named: [
            str(Missing(name, "", known[column]))
            for column, name in row.wanted
            if name not in known[column]
        ]
        for row in of_resources
        if dict(row.wanted).keys() <= {*PLACES}
    }
    rows = [row for row, names in unknown.items() if names]
    if not rows:
        return []
    names = dict.fromkeys(name for row in rows for name in unknown[row])
    return [
        warn(
            "UNKNOWN_IN_RESOURCE_ROWS",
            num_rows=len(rows),
            rows=some(rows),
            names=some([*names]),
        )
    ]


#: What libraries, their pools and the rows at hand take of memory, whatever the night:
#: 0.4 GB of 3,000 orders, 0.8 of 600,000 with a limit that all of it goes beyond.
LEAST_MEMORY_GB = 1


def warn_low_limit(config: Config) -> list[CodedWarning]:
    """Warn of a limit of memory that the process itself is above."""
    limit = config.solver.memory_gb
    if limit is None or limit >= LEAST_MEMORY_GB:
        return []
    said = {"limit": f"{limit.normalize():f}", "least": str(LEAST_MEMORY_GB)}
    return [warn("MEMORY_LIMIT_LOW", **said)]


def warn_unused(problem: Problem, config: Config) -> list[CodedWarning]:
    """Warn of settings that only network nights use."""
    if problem.side is None or not config.solver.keep_previous:
        return []
    return [warn("KEEP_PREVIOUS_UNUSED")]


def warn_heavy(problem: Problem, limits: SideLimits | None) -> list[CodedWarning]:
    """
    Warn of parcels that are too large for every row that they count in.

    Such a parcel would fit if it took one unit of each.
    """
    side = problem.side
    of_resource = np.zeros(0, np.bool_) if limits is None else limits.of_resource
    if side is None or (side.option_load.max(initial=1) == 1 and not any(of_resource)):
        return []
    slots = least_slots(problem.slots, problem.lane_parent)
    start = problem.option_start
    fits = best_of(start, room_alone(problem, slots, 0, problem.num_orders), 0) > 0
    if np.any(of_resource):
        unit = np.where(of_resource[side.entry_row], 1, side.entry_weight)
        problem = replace(problem, side=replace(side, entry_weight=unit))
    room = room_alone(problem, slots, 0, problem.num_orders)
    lighter = room + side.option_load - 1
    heavy = np.flatnonzero(~fits & (best_of(start, lighter, 0) > 0))
    if len(heavy) == 0:
        return []
    first_row = int(problem.row[heavy].min()) + 1
    return [warn("LOADS_ABOVE_SLOTS", num_parcels=len(heavy), first_row=first_row)]


def warn_uncovered(uncovered: Sequence[Place], *, is_open: bool) -> list[CodedWarning]:
    """Warn of lanes without a capacity row, and say how they are treated."""
    if not uncovered:
        return []
    code = "UNCOVERED_LANES_OPEN" if is_open else "UNCOVERED_LANES_CLOSED"
    lanes = tuple(place.named for place in some(uncovered))
    return [warn(code, num_lanes=len(uncovered), lanes=lanes)]


def warn_unknown(
    carriers: Iterable[str], roster: Collection[str]
) -> list[CodedWarning]:
    """Warn of carriers that have orders but are not in the policy's roster."""
    unknown = sorted({*carriers} - {*roster})
    if not unknown:
        return []
    names = tuple(unknown)
    return [warn("UNKNOWN_CARRIERS", num_carriers=len(names), carriers=names)]
