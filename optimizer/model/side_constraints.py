r"""
What makes a night a packing problem: loads, and rows beyond the nested lanes.

With :math:`w_{ra}` the weight of option :math:`a` in side row :math:`r` and
:math:`l_a` its load, the model of :mod:`optimizer.model.problem` becomes

.. math::

   \max_{x \in \{0,1\}} \; \sum_a s_a x_a - \sum_r \rho_r u_r \quad \text{s.t.} \quad
   \mathrm{low}_r - u_r \le \sum_a w_{ra} x_a \le \mathrm{high}_r, \qquad
   \sum_{a \in T(\ell)} l_a x_a \le \mathrm{slots}_\ell, \qquad
   \sum_{a \in A(i)} x_a = 1 \;\; (i \text{ pinned}),

together with the limits of orders and merchants. A floor may be broken by
:math:`u_r \ge 0` units at :math:`\rho_r` micro-CNY each. Floors without a price,
and pins, are kept as far as possible, in order of their rank.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from optimizer.errors import SolveError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: A floor and a ceiling that limit nothing.
NO_FLOOR, NO_CEILING = -(2**60), 2**60
#: Penalty of a floor that is to be kept at any price.
HARD = -1
#: Rank of an order without a pin.
NO_PIN = -1


@dataclass(frozen=True, slots=True, eq=False)
class SideRows:
    """
    Loads, pins, and rows that do not nest.

    Attributes
    ----------
    option_load
        ``(num_options,) int64``, at least 1: slots that an option takes on its lane
        and on all lanes around it.
    entry_start
        ``(num_options + 1,) int64``: entries of option ``a`` are
        ``entry_start[a] : entry_start[a + 1]``.
    entry_row
        ``(num_entries,) int32``: a side row that the option counts in; no row twice.
    entry_weight
        ``(num_entries,) int64``, at least 1.
    low, high
        ``(num_rows,) int64``: least and greatest total weight; ``NO_FLOOR``,
        ``NO_CEILING``.
    penalty
        ``(num_rows,) int64``: micro-CNY for each unit below ``low``, or ``HARD``.
    rank
        ``(num_rows,) int32``: where hard floors and pins clash, those of lower rank
        are kept first.
    pin_rank
        ``(num_orders,) int32``: rank of each order that must be chosen; ``NO_PIN``.
    """

    option_load: NDArray[np.int64]
    entry_start: NDArray[np.int64]
    entry_row: NDArray[np.int32]
    entry_weight: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    penalty: NDArray[np.int64]
    rank: NDArray[np.int32]
    pin_rank: NDArray[np.int32]

    def __post_init__(self) -> None:
        """Freeze the arrays."""
        for field in fields(self):
            getattr(self, field.name).setflags(write=False)

    @property
    def num_rows(self) -> int:
        """Side rows."""
        return len(self.high)


def check_side(side: SideRows, num_orders: int, num_options: int) -> None:
    """
    Refuse side rows that contradict the problem or each other.

    Raises
    ------
    SolveError
        When a shape, an index or a sign is out of bounds, or a sum could overflow.
    """
    for message, is_broken in _broken_rules(side, num_orders, num_options).items():
        if is_broken:
            raise SolveError(f"the problem's side rows do not fit: {message}")


def _broken_rules(
    side: SideRows, num_orders: int, num_options: int
) -> Mapping[str, bool]:
    rows, start, entries = side.num_rows, side.entry_start, len(side.entry_row)
    heaviest = (
        int(side.entry_weight.max(initial=1)),
        int(side.option_load.max(initial=1)),
    )
    return {
        "there is not one load for each option": len(side.option_load) != num_options,
        "there is not one pin for each order": len(side.pin_rank) != num_orders,
        "entry_start does not cover the entries": bool(
            len(start) != num_options + 1
            or start[0] != 0
            or start[-1] != entries
            or np.any(np.diff(start) < 0)
        ),
        "an entry has no weight": len(side.entry_weight) != entries,
        "an entry names a row that does not exist": bool(
            entries and not 0 <= side.entry_row.min() <= side.entry_row.max() < rows
        ),
        "rows differ in length": any(
            len(column) != rows for column in (side.low, side.penalty, side.rank)
        ),
        "a load or a weight is below 1": bool(
            np.any(side.option_load < 1) or np.any(side.entry_weight < 1)
        ),
        "a ceiling is negative": bool(np.any(side.high < 0)),
        "weights are too large to add up in 64 bits": (
            max(heaviest) * max(num_orders, 1) > NO_CEILING
        ),
    }


def row_use(side: SideRows, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """
    Weight that a plan puts on each side row, ``(num_rows,) int64``.

    Parameters
    ----------
    side
        The rows.
    chosen
        ``(num_chosen,) int64``: chosen options, each once.
    """
    length = np.diff(side.entry_start)[chosen]
    first = np.repeat(side.entry_start[chosen], length)
    within = np.arange(len(first)) - np.repeat(np.cumsum(length) - length, length)
    entry = first + within
    used = np.zeros(side.num_rows, np.int64)
    np.add.at(used, side.entry_row[entry], side.entry_weight[entry])
    return used
