"""Three parcels, any two of which share a limit of one: the night of the branches."""

from __future__ import annotations

from typing import Any

import numpy as np

from optimizer.model.branch_tree import BranchTree
from optimizer.model.problem import Problem
from optimizer.model.side_constraints import HARD, NO_FLOOR, NO_PIN, SideRows
from optimizer.model.solution import Solution, Termination
from tests.support.golden_night import Golden, lane

CNY = 1_000_000


def _at_most_one(column: str) -> dict[str, Any]:
    return {"column": column, "value": "yes", "max_parcels": 1}


def _who(yes: str, of: str = "abc") -> dict[str, Any]:
    return {order: "yes" if order in yes else "no" for order in of}


#: a saves 5 CNY, b 4, c 3; the lane has room for all. The answer is a alone.
PAIRS = Golden(
    [("a", "m", "north", 5), ("b", "n", "north", 4), ("c", "o", "north", 3)],
    [lane("yunda", 9)],
    "a",
    order_columns={"ab": _who("ab"), "ac": _who("ac"), "bc": _who("bc")},
    config={"fairness": [_at_most_one(pair) for pair in ("ab", "ac", "bc")]},
    value_cny=5,
)


#: Beside them d, too heavy for the south, and e and f, which fit: b, e and f are best.
#: Were all loads 1, d would fit as well, and the branches prove no such bound.
HEAVY_PAIRS = Golden(
    [
        *(("a", "m", "north", 8), ("b", "n", "north", 9), ("c", "o", "south", 4)),
        *(("d", "p", "south", 7), ("e", "q", "north", 3), ("f", "r", "south", 5)),
    ],
    [lane("yunda/north", 6), lane("yunda/south", 2)],
    "bef",
    order_columns={pair: _who(pair, "abcdef") for pair in ("ab", "ac", "bc")}
    | {"load": {"d": 3, "e": 3}},
    config={"fairness": [_at_most_one(pair) for pair in ("ab", "ac", "bc")]},
    value_cny=17,
)


def pairs_problem() -> Problem:
    """The same as arrays: side rows ab, ac and bc."""
    side = SideRows(
        option_load=np.ones(3, np.int64),
        entry_start=np.array([0, 2, 4, 6]),
        entry_row=np.array([0, 1, 0, 2, 1, 2], np.int32),
        entry_weight=np.ones(6, np.int64),
        low=np.full(3, NO_FLOOR),
        high=np.ones(3, np.int64),
        penalty=np.full(3, HARD),
        rank=np.zeros(3, np.int32),
        pin_rank=np.full(3, NO_PIN, np.int32),
    )
    return Problem(
        merchant_start=np.arange(4),
        cap=np.ones(3, np.int64),
        option_start=np.arange(4),
        option_lane=np.zeros(3, np.int32),
        option_saving=np.array([5, 4, 3]) * CNY,
        slots=np.array([9]),
        lane_parent=np.array([-1], np.int32),
        key=np.arange(3, dtype=np.uint64),
        row=np.arange(3),
        side=side,
    )


def pairs_plan() -> Solution:
    """
    The plan with the tree of the documentation.

    Without branches prices of 3, 2 and 1 CNY are best: they bound by 6 CNY. With a in,
    4 and 3 CNY for ab and ac let neither b nor c gain; without a, 4 CNY for bc do.
    """
    zeros = np.zeros((2, 3), np.int64)
    tree = BranchTree(
        parent=np.array([-1, 0, 0]),
        option=np.array([-1, 0, 0]),
        is_in=np.array([True, True, False]),
        lane_price=np.zeros((2, 1), np.int64),
        merchant_price=zeros,
        row_price=np.array([[4, 3, 0], [0, 0, 4]]) * CNY,
        order_price=zeros,
    )
    return Solution(
        chosen=np.array([0]),
        lane_price=np.zeros(1, np.int64),
        merchant_price=np.zeros(3, np.int64),
        termination=Termination("OPTIMAL"),
        row_price=np.array([3, 2, 1]) * CNY,
        tree=tree,
    )
