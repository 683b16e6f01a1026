"""Solve pickled packing nights from stdin as integer programs with HiGHS (a script)."""

from __future__ import annotations

import os
import pickle
import sys

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array


def program(data: dict[str, np.ndarray]) -> tuple[coo_array, np.ndarray, np.ndarray]:
    """Rows of orders, merchants, lanes and side rows; columns of options and floors."""
    options, orders = len(data["option_lane"]), len(data["pin_rank"])
    merchants, lanes, rows = len(data["cap"]), len(data["slots"]), len(data["low"])
    order = np.repeat(np.arange(orders), np.diff(data["option_start"]))
    merchant = np.searchsorted(data["merchant_start"], order, side="right") - 1
    entries = [(order[a], a, 1) for a in range(options)]
    entries += [(orders + merchant[a], a, 1) for a in range(options)]
    for a in range(options):
        lane = int(data["option_lane"][a])
        while lane >= 0:
            entries.append((orders + merchants + lane, a, int(data["option_load"][a])))
            lane = int(data["lane_parent"][lane])
        for e in range(int(data["entry_start"][a]), int(data["entry_start"][a + 1])):
            row = orders + merchants + lanes + int(data["entry_row"][e])
            entries.append((row, a, int(data["entry_weight"][e])))
    first = orders + merchants + lanes
    entries += [(first + r, options + r, 1) for r in range(rows)]
    most = np.concatenate((np.ones(orders), data["cap"], data["slots"], data["high"]))
    least = np.full(len(most), -np.inf)
    least[first:] = np.where(data["low"] > 0, data["low"], -np.inf)
    row, column, amount = zip(*entries, strict=True)
    shape = (len(most), options + rows)
    return coo_array((np.array(amount, float), (row, column)), shape=shape), least, most


def optimum(data: dict[str, np.ndarray]) -> tuple[list[int], int]:
    """What is missing by rank at the least, and the most money then."""
    options, rows = len(data["option_lane"]), len(data["low"])
    matrix, least, most = program(data)
    # a floor's missing units would break its ceiling: a row of its own for each
    first = len(most) - rows
    free = matrix.tocsr()
    held = free.copy().tolil()
    held[first:, options:] = 0
    held = held.tocsr()
    constraints = [
        LinearConstraint(free, least, np.full(len(most), np.inf)),
        LinearConstraint(held, np.full(len(most), -np.inf), most),
    ]
    is_hard = (data["penalty"] < 0) & (data["low"] > 0)
    pinned = data["pin_rank"] >= 0
    ranks = sorted(
        {*data["rank"][is_hard].tolist(), *data["pin_rank"][pinned].tolist()}
    )
    order = np.repeat(np.arange(len(pinned)), np.diff(data["option_start"]))
    upper = np.concatenate((np.ones(options), np.maximum(data["low"], 0)))
    whole = np.ones(options + rows)
    missing = []
    for rank in ranks:
        cost = np.zeros(options + rows)
        cost[options:][is_hard & (data["rank"] == rank)] = 1
        cost[:options][data["pin_rank"][order] == rank] = -1
        pins = int(np.sum(data["pin_rank"] == rank))
        found = milp(
            cost, constraints=constraints, bounds=Bounds(0, upper), integrality=whole
        )
        total = round(found.fun)
        missing.append(-(total + pins))
        constraints.append(LinearConstraint(cost[None, :], -np.inf, total))
    cost = np.concatenate((-data["option_saving"], np.maximum(data["penalty"], 0)))
    found = milp(
        cost.astype(float),
        constraints=constraints,
        bounds=Bounds(0, upper),
        integrality=whole,
        options={"mip_rel_gap": 0.0},
    )
    return missing, round(-found.fun)


if __name__ == "__main__":
    # HiGHS writes remarks to stdout; the answer goes where it cannot
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    answers.write(
        pickle.dumps([optimum(data) for data in pickle.loads(sys.stdin.buffer.read())])
    )
    answers.close()
