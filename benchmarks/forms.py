"""
A night in the forms that methods read: a problem, a linear program, a network.

Each form is a set of named arrays, kept as files, so that a method's process reads
its own form and nothing else.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    Arrays = Mapping[str, np.ndarray]

#: The arrays of a problem; nights here have no side rows.
PROBLEM_ARRAYS = tuple(f.name for f in fields(Problem) if f.name != "side")


def problem_arrays(problem: Problem) -> dict[str, np.ndarray]:
    """Lay the problem out by field."""
    return {name: getattr(problem, name) for name in PROBLEM_ARRAYS}


def lp_arrays(problem: Problem) -> dict[str, np.ndarray]:
    """
    Lay the night out as a linear program, by column; one column for each option.

    Rows are merchants, lanes and the orders that have several options left. What
    can never be chosen is left out, as in the network, so the two are alike.
    """
    from optimizer.solvers.flow.plan import build_network
    from optimizer.solvers.owners import merchant_of_order, order_of_option

    option = build_network(problem).option
    order = order_of_option(problem)[option]
    _, place, ways = np.unique(order, return_inverse=True, return_counts=True)
    is_row = ways > 1
    order_row = np.full(len(ways), -1)
    first_order = problem.num_merchants + problem.num_lanes
    order_row[is_row] = first_order + np.arange(is_row.sum())
    rows = [merchant_of_order(problem)[order], order_row[place]]
    lane = problem.option_lane[option]
    while np.any(lane >= 0):
        rows.append(np.where(lane >= 0, problem.num_merchants + lane, -1))
        lane = np.where(lane >= 0, problem.lane_parent[lane], -1)
    entries = np.sort(np.stack(rows, axis=1), axis=1)
    is_entry = entries >= 0
    start = np.concatenate(([0], np.cumsum(is_entry.sum(axis=1))))
    limit = np.concatenate((problem.cap, problem.slots, np.ones(is_row.sum())))
    return {
        "start": start.astype(np.int32),
        "row": entries[is_entry].astype(np.int32),
        "limit": limit.astype(np.float64),
        "saving": problem.option_saving[option],
        "option": option,
    }


def arc_arrays(problem: Problem) -> dict[str, np.ndarray]:
    """Lay the night out as a network, as OR-Tools reads it; ``option`` or -1."""
    from optimizer.solvers.flow.plan import build_network

    network = build_network(problem)
    option = np.full(len(network.tail), -1)
    option[: len(network.option)] = network.option
    supply = np.zeros(network.num_nodes, np.int64)
    supply[:2] = network.supply, -network.supply
    return {
        "tail": network.tail,
        "head": network.head,
        "capacity": network.capacity,
        "cost": network.cost,
        "option": option,
        "supply": supply,
    }


def network_arrays(problem: Problem) -> dict[str, np.ndarray]:
    """
    Lay the night out as a network, arcs by tail and head, as LEMON reads it.

    LEMON wants no negative cost: the largest saving is added to every option and
    to the arc past them, and each unit of flow takes exactly one of these.
    """
    arcs = arc_arrays(problem)
    is_past = (arcs["tail"] == 0) & (arcs["head"] == 1)
    largest = -int(arcs["cost"].min(initial=0))
    is_shifted = (arcs["option"] >= 0) | is_past
    cost = arcs["cost"] + np.where(is_shifted, largest, 0)
    order = np.lexsort((arcs["head"], arcs["tail"]))
    return {
        "tail": arcs["tail"][order],
        "head": arcs["head"][order],
        "capacity": arcs["capacity"][order],
        "cost": cost[order],
        "option": arcs["option"][order],
        "supply": arcs["supply"],
        "largest": np.array(largest),
    }


FORMS = {
    "problem": problem_arrays,
    "lp": lp_arrays,
    "arcs": arc_arrays,
    "network": network_arrays,
}


def write_form(problem: Problem, folder: Path, form: str) -> None:
    """Write a night in one form."""
    for name, values in FORMS[form](problem).items():
        np.save(folder / f"{form}.{name}.npy", values)


def read_form(folder: Path, form: str) -> dict[str, np.ndarray]:
    """Read a form back."""
    return {
        path.name.split(".")[1]: np.load(path) for path in folder.glob(f"{form}.*.npy")
    }
