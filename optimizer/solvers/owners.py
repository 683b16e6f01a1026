"""Whose an option is: its order, and the order's merchant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem


def order_at(problem: Problem, option: NDArray[np.int64]) -> NDArray[np.int64]:
    """The order of each of some options."""
    return np.searchsorted(problem.option_start, option, side="right") - 1


def merchant_at(problem: Problem, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """The merchant of each of some orders."""
    return np.searchsorted(problem.merchant_start, order, side="right") - 1


def order_of_option(problem: Problem) -> NDArray[np.int64]:
    """``(num_options,) int64``: the order of each option."""
    return np.repeat(np.arange(problem.num_orders), np.diff(problem.option_start))


def merchant_of_order(problem: Problem) -> NDArray[np.int64]:
    """``(num_orders,) int64``: the merchant of each order."""
    return np.repeat(np.arange(problem.num_merchants), np.diff(problem.merchant_start))
