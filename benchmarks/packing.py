"""
Nights of the packing class to measure on: loads, budgets, rows that cross.

Orders take 1 to 5 slots; merchants may have no more than their budgets pay for; and
each city has a dock, a row that crosses all its carriers' lanes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.instances import NUM_CARRIERS, make_instance, make_problem
from optimizer.model.problem import Problem
from optimizer.model.side import HARD, NO_FLOOR, NO_PIN, SideRows

#: How often an order takes 1 to 5 slots.
LOAD_SHARE = np.array([0.4, 0.25, 0.15, 0.12, 0.08])
#: A dock takes such a share of what the lanes of its city take together.
DOCK_SHARE = 0.85
#: Budgets cut the caps of this share of the merchants by half.
BUDGET_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class PackingNight:
    """A night by name: so many orders on so many lanes."""

    num_orders: int
    num_lanes: int
    carriers: int = 3
    seed: int = 0


def make_packing(night: PackingNight) -> Problem:
    """Draw a packing night."""
    family = "choice" if night.carriers > 1 else "single"
    base = make_problem(
        replace(
            make_instance(family, night.num_orders),
            num_lanes=night.num_lanes,
            seed=night.seed,
        )
    )
    rng = np.random.default_rng([night.seed, night.num_orders, 7])
    ways = np.diff(base.option_start)
    load = rng.choice(np.arange(1, 6), night.num_orders, p=LOAD_SHARE)
    option_load = np.repeat(load, ways).astype(np.int64)
    # larger parcels save more, though not in proportion
    saving = (base.option_saving * np.sqrt(option_load)).astype(np.int64)
    slots = np.floor(base.slots * load.mean()).astype(np.int64)
    city = (base.option_lane // NUM_CARRIERS).astype(np.int32)
    num_cities = night.num_lanes // NUM_CARRIERS
    dock = np.floor(
        np.bincount(np.arange(len(slots)) // NUM_CARRIERS, slots) * DOCK_SHARE
    )
    is_cut = rng.random(base.num_merchants) < BUDGET_SHARE
    side = SideRows(
        option_load=option_load,
        entry_start=np.arange(base.num_options + 1),
        entry_row=city,
        entry_weight=option_load.copy(),
        low=np.full(num_cities, NO_FLOOR),
        high=dock.astype(np.int64),
        penalty=np.full(num_cities, HARD),
        rank=np.zeros(num_cities, np.int32),
        pin_rank=np.full(night.num_orders, NO_PIN, np.int32),
    )
    return Problem(
        *(base.merchant_start, np.where(is_cut, base.cap // 2, base.cap)),
        *(base.option_start, base.option_lane, saving, slots, base.lane_parent),
        *(base.key, base.row, side),
    )
