"""Merchants' budgets: each parcel has the same fee share, so a budget is a cap."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.group_limits import affordable
from optimizer.contracts.warnings import some, warn
from optimizer.errors import DataError

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from optimizer.config import PolicyRow
    from optimizer.contracts.warnings import CodedWarning

#: Most that a budget may be, CNY: as in the configuration.
MAX_BUDGET = 10**12


def merchant_budgets(
    caps: NDArray[np.int64],
    merchant_ids: list[str],
    merchants: pl.DataFrame | None,
    policy: PolicyRow,
) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None, tuple[CodedWarning, ...]]:
    """
    Lower caps to the parcels that budgets pay for.

    Parameters
    ----------
    caps
        ``(num_merchants,) int64``: by rate or override.
    merchant_ids
        By merchant.
    merchants
        With ``daily_budget_cny``, where there is such a table.
    policy
        The fee, and the merchants' share of it.

    Returns
    -------
    caps, has_budget, warnings
        The caps; ``(num_merchants,) bool``: those that the budget makes, ``None``
        where there are no budgets; and merchants whose budget is below one fee.

    Raises
    ------
    DataError
        When a budget is above :data:`MAX_BUDGET`.
    """
    share = policy.fee.amount_cny * policy.fee.payer.merchant
    if merchants is None or share == 0:
        return caps, None, ()
    if merchants["daily_budget_cny"].null_count() == len(merchants):
        return caps, None, ()
    given = merchants.filter(merchants["daily_budget_cny"].is_not_null())
    budget = dict(given.select("merchant_id", "daily_budget_cny").iter_rows())
    for merchant, amount in budget.items():
        if amount > MAX_BUDGET:
            raise DataError(
                f"the merchants table: daily_budget_cny of {merchant} is above "
                f"{MAX_BUDGET:,}; leave it empty where there is no budget"
            )
    most = np.array(
        [
            affordable(Decimal(repr(budget[m])), share) if m in budget else cap
            for m, cap in zip(merchant_ids, caps.tolist(), strict=True)
        ],
        np.int64,
    )
    has_budget = most < caps
    poor = [merchant_ids[m] for m in np.flatnonzero(has_budget & (most == 0))]
    return np.minimum(caps, most), has_budget, _warnings(poor, share)


def _warnings(poor: list[str], share: Decimal) -> tuple[CodedWarning, ...]:
    if not poor:
        return ()
    fee_cny = f"{share.normalize():f}"
    return (
        warn(
            "BUDGETS_BELOW_FEE",
            num_merchants=len(poor),
            fee_cny=fee_cny,
            merchants=some(poor),
        ),
    )
