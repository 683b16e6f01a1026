"""Solve pickled problems from stdin as linear programs with HiGHS (a script)."""

from __future__ import annotations

import pickle
import sys

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array


def optimum(data: dict[str, np.ndarray]) -> float:
    """The linear optimum of one night."""
    saving = data["option_saving"].astype(float)
    if len(saving) == 0:
        return 0.0
    order = np.repeat(
        np.arange(len(data["option_start"]) - 1), np.diff(data["option_start"])
    )
    merchant = np.searchsorted(data["merchant_start"], order, side="right") - 1
    num_orders, num_merchants = len(data["option_start"]) - 1, len(data["cap"])
    column = np.arange(len(saving))
    rows, columns = [order, num_orders + merchant], [column, column]
    lane = data["option_lane"].astype(np.int64)
    here = column
    while len(lane):
        rows.append(num_orders + num_merchants + lane)
        columns.append(here)
        lane = data["lane_parent"][lane]
        here, lane = here[lane >= 0], lane[lane >= 0]
    row, col = np.concatenate(rows), np.concatenate(columns)
    limit = np.concatenate((np.ones(num_orders), data["cap"], data["slots"]))
    matrix = csr_array((np.ones(len(row)), (row, col)), shape=(len(limit), len(saving)))
    found = linprog(-saving, A_ub=matrix, b_ub=limit, bounds=(0, 1), method="highs")
    return -float(found.fun)


if __name__ == "__main__":
    answers = [optimum(data) for data in pickle.loads(sys.stdin.buffer.read())]
    sys.stdout.buffer.write(pickle.dumps(answers))
