"""
Learning keeps to one thread.

A library of linear algebra that shares a sum among threads rounds it by their number:
the same history would give another model on a machine of other cores. For matrices as
small as these the threads cost more CPU than the sums.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from optimizer.extras import import_extra
from optimizer.learn.risk import LEARNING

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def on_one_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Limit the libraries of linear algebra while a function is called."""

    @wraps(function)
    def limited(*given: P.args, **named: P.kwargs) -> R:
        # Only what is loaded can be limited.
        import_extra("sklearn.linear_model", needed_by=LEARNING)
        pools = import_extra("threadpoolctl", needed_by=LEARNING)
        with pools.threadpool_limits(1):
            return function(*given, **named)

    return limited
