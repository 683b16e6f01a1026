"""A tree of branchings: all plans, divided until prices bound each part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.frozen import freeze_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class BranchTree:
    """
    Nodes, and prices of the leaves.

    Node 0 stands for all plans. A node that is divided has two children: plans with
    an option, and plans without it. The prices of a leaf bound the plans that all
    branchings on the way to it leave.

    Attributes
    ----------
    parent
        ``(num_nodes,) int64``: -1 for node 0; a parent stands before its children.
    option
        ``(num_nodes,) int64``: the option that a node's plans have or lack; -1 for
        node 0.
    is_in
        ``(num_nodes,) bool``: whether they have it.
    lane_price, merchant_price, row_price, order_price
        ``(num_leaves, n) int64`` micro-CNY, leaves in ascending order: as in
        :class:`~optimizer.model.solution.Solution`. Lanes without children have no
        price: they are filled as knapsacks.
    """

    parent: NDArray[np.int64]
    option: NDArray[np.int64]
    is_in: NDArray[np.bool_]
    lane_price: NDArray[np.int64]
    merchant_price: NDArray[np.int64]
    row_price: NDArray[np.int64]
    order_price: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Freeze the arrays."""
        freeze_arrays(self)

    @property
    def num_nodes(self) -> int:
        """Leaves included."""
        return len(self.parent)

    @property
    def leaf(self) -> NDArray[np.int64]:
        """``(num_leaves,) int64``: nodes that are not divided, ascending."""
        is_leaf = np.ones(self.num_nodes, np.bool_)
        is_leaf[self.parent[self.parent >= 0]] = False
        return np.flatnonzero(is_leaf)
