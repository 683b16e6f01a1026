"""What a price says of one slot more or fewer: the night is solved again with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import optimizer
from optimizer.build.night import Intake, take_in
from optimizer.certify.certificate import certify
from optimizer.clock import StageClock
from optimizer.config import as_config, policy_on
from optimizer.model.lane_tree import effective_price
from optimizer.model.problem import Problem
from optimizer.model.solution import Solution, SolveParams
from optimizer.solvers import solve
from optimizer.testing import Tables, make_tables, random_tables

SEEDS, FEW_SEEDS = range(100), range(30)


def take(tables: Tables) -> Intake:
    """Build a night without solving it."""
    config = as_config(tables.config)
    inputs = {
        "orders": tables.orders,
        "capacity": tables.capacity,
        "options": tables.options,
    }
    return take_in(inputs, config, policy_on(config, None), StageClock())


def optimum(problem: Problem) -> int:
    """The proved optimum, by another method than the one that makes the prices."""
    proof = certify(problem, solve(problem, "flow", SolveParams()))
    assert proof.is_optimal
    return proof.primal_bound


def solved(seed: int) -> tuple[Problem, Solution, int]:
    """A small random night with its published prices and its optimum."""
    tables = random_tables(
        seed, num_orders=30, num_merchants=4, has_choice=seed % 2 > 0
    )
    problem = take(tables).problem
    solution = solve(problem, "auto", SolveParams())
    return problem, solution, certify(problem, solution).primal_bound


def path(problem: Problem, lane: int) -> list[int]:
    """A lane and all lanes around it."""
    found = []
    while lane >= 0:
        found.append(lane)
        lane = int(problem.lane_parent[lane])
    return found


def more(numbers: np.ndarray, places: list[int] | int, change: int = 1) -> np.ndarray:
    """The same limits with one more (or fewer) in some places."""
    changed = numbers.copy()
    changed[places] += change
    return changed


@pytest.mark.slow
def test_a_place_in_a_lane_is_worth_its_price_and_those_around_it():
    """
    On 100 nights: one more slot in a lane and in all lanes around it brings exactly
    the sum of their prices, for each lane. So a lane that lies in no other brings its
    price, and the prices are the lowest there are.
    """
    num_priced = 0
    for seed in SEEDS:
        problem, solution, best = solved(seed)
        price = effective_price(solution.lane_price, problem.lane_parent)
        for lane in range(problem.num_lanes):
            wider = more(problem.slots, path(problem, lane))
            brings = optimum(replace(problem, slots=wider)) - best
            assert brings == price[lane], (seed, lane)
            num_priced += brings > 0
    assert num_priced > 300


@pytest.mark.slow
def test_a_price_lies_between_what_one_more_brings_and_one_fewer_costs():
    """On 30 nights, for the price of each cap and of each lane's own slots."""
    for seed in FEW_SEEDS:
        problem, solution, best = solved(seed)
        for name, prices in (
            ("cap", solution.merchant_price),
            ("slots", solution.lane_price),
        ):
            limits = getattr(problem, name)
            for place, price in enumerate(prices.tolist()):
                wider = optimum(replace(problem, **{name: more(limits, place)}))
                assert wider - best <= price, (seed, name, place)
                if limits[place] > 0:
                    fewer = replace(problem, **{name: more(limits, place, -1)})
                    assert price <= best - optimum(fewer), (seed, name, place)


def prices_of(tables: Tables) -> tuple[dict[str, float], dict[str, float]]:
    """Published prices of merchants and of lanes, by name."""
    night = optimizer.allocate(
        tables.orders, tables.capacity, config=tables.config, options=tables.options
    )
    lanes = night.lanes.select("carrier_id", "region_id", "outlet_id").rows()
    names = ["/".join(part for part in row if part) for row in lanes]
    caps = night.merchants.select("merchant_id", "shadow_price_cny").rows()
    return dict(caps), dict(zip(names, night.lanes["shadow_price_cny"], strict=True))


def test_a_caps_price_is_the_next_order():
    """Two of four go; one more slot would bring the third, 2 CNY."""
    orders = [(f"saves-{saving}", "m", "north", saving) for saving in (4, 3, 2, 1)]
    caps, lanes = prices_of(make_tables(orders, {"yunda": 9}))
    assert (caps, lanes) == ({"m": 2.0}, {"yunda": 0.0})


def test_a_lanes_price_counts_who_can_move():
    """
    One slot of yunda goes to b; with one more a would go back to it from zhongtong,
    for 1 CNY, which is more than c would bring.
    """
    orders = [
        ("a", "m", "north", {"yunda": 5, "zhongtong": 4}),
        ("b", "n", "north", {"yunda": 3}),
        ("c", "o", "north", {"yunda": 0.5}),
    ]
    _, lanes = prices_of(make_tables(orders, {"yunda": 1, "zhongtong": 9}, rate=1))
    assert lanes == {"yunda": 1.0, "zhongtong": 0.0}


def test_a_cap_that_capacity_stops_anyway_brings_nothing_and_costs_its_price():
    """
    Merchant n has one slot, used in the south for 1 CNY; its other order would need
    the north, which is full of an order that saves more. One more slot in the cap
    brings nothing, one fewer costs 1 CNY, and 1 CNY is the cap's price: no lower one
    goes with the lowest price of the north, 3 CNY, where m's second order waits.
    """
    orders = [
        ("a", "m", "north", 5),
        ("b", "m", "north", 3),
        ("c", "n", "north", 4),
        ("d", "n", "south", 1),
    ]
    tables = make_tables(orders, {"yunda/north": 1, "yunda/south": 3})
    caps, lanes = prices_of(tables)
    assert caps == {"m": 0.0, "n": 1.0}
    assert lanes == {"yunda/north": 3.0, "yunda/south": 0.0}
    problem = take(tables).problem
    best = optimum(problem)
    assert optimum(replace(problem, cap=more(problem.cap, 1))) - best == 0
    assert best - optimum(replace(problem, cap=more(problem.cap, 1, -1))) == 1_000_000
