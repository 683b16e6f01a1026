"""Orders of the explore arm, in the form that the search for margins takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.margins import AskedOrders

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.build.experiment import ExplorePool


def by_merchant(pool: ExplorePool) -> NDArray[np.int64]:
    """Positions of the arm's orders, merchant by merchant."""
    return np.argsort(pool.merchant, kind="stable")


def explored_orders(pool: ExplorePool | None, num_merchants: int) -> AskedOrders | None:
    """
    The explore arm in the order of :func:`by_merchant`; ``None`` where there is none.

    Parameters
    ----------
    pool
        The arm.
    num_merchants
        Of the night.
    """
    if pool is None:
        return None
    by = by_merchant(pool)
    count = np.diff(pool.start)[by]
    option_start = np.concatenate(([0], np.cumsum(count)))
    step = np.arange(option_start[-1]) - np.repeat(option_start[:-1], count)
    option = np.repeat(pool.start[:-1][by], count) + step
    counts = np.bincount(pool.merchant, minlength=num_merchants)
    return AskedOrders(
        np.concatenate(([0], np.cumsum(counts))),
        option_start,
        pool.option_lane[option],
        pool.option_saving[option],
        np.full(len(by), -1, np.int64),
    )
