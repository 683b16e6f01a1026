r"""
The night's saving in parts: limits times prices, and what orders save beyond them.

At the certificate's prices, with lane prices :math:`\lambda`, cap prices
:math:`\mu` and surpluses :math:`d_i`,

.. math::

   \text{saving} = \underbrace{\sum_r \mathrm{slots}_r \lambda_r}_{\text{lanes}}
   + \underbrace{\sum_m \mathrm{cap}_m \mu_m}_{\text{caps}}
   + \underbrace{\sum_i \max(0, d_i)}_{\text{orders}} - \text{gap},

so at gap 0 the parts add up to the saving, to the micro-CNY. A lane's part is the value
of its scarcity; an order's is what it saves beyond what its slot and its place in the
cap would bring elsewhere. The rest of the bound comes from other rows (budgets,
floors), less the value of slots that parcels explored at random take. All figures are
of the certified plan: with a holdout, held-out parcels are included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Contributions:
    """
    The parts of a night's saving, integer micro-CNY.

    Attributes
    ----------
    lanes, caps, orders
        Slots times lane prices, caps times cap prices, and positive surpluses, summed.
    other
        What other rows contribute to the bound, less the value of the slots that
        explored parcels take; 0 where there are neither.
    gap
        How far the bound is above the plan.
    """

    lanes: int
    caps: int
    orders: int
    other: int
    gap: int

    @property
    def saving(self) -> int:
        """What the parts add up to: the plan's saving."""
        return self.lanes + self.caps + self.orders + self.other - self.gap


def night_contributions(
    decisions: pl.LazyFrame,
    merchants: pl.DataFrame,
    lanes: pl.DataFrame,
    *,
    dual_bound: int,
    gap: int,
) -> Contributions:
    """
    Split a night's saving into its parts.

    Parameters
    ----------
    decisions, merchants, lanes
        The published tables.
    dual_bound, gap
        Of the certificate, micro-CNY.
    """
    orders = decisions.select(_surplus().sum()).collect().item() or 0
    by_lane = lanes.select(lane_part().sum()).item() or 0
    by_cap = merchants.select(cap_part().sum()).item() or 0
    other = dual_bound - by_lane - by_cap - orders
    return Contributions(by_lane, by_cap, orders, other, gap)


def merchant_contributions(
    decisions: pl.LazyFrame, merchants: pl.DataFrame
) -> pl.DataFrame:
    """
    Split each merchant's saving into its parts, in integer micro-CNY.

    Returns
    -------
    pl.DataFrame
        ``merchant_id``, ``saving``, ``cap``, ``orders`` and ``lanes``: the last is
        what the merchant's chosen parcels pay for their slots at the lanes' prices,
        so that the three parts add up to the saving in every row.
    """
    import polars as pl

    ours = ["policy", "margin", "thompson"]
    is_planned = pl.col("arm").is_in(ours).fill_null(value=False)
    is_planned &= pl.col("reason").is_in(["CHOSEN", "HELD_OUT"])
    found = decisions.group_by("merchant_id").agg(
        saving=micro("saving_cny").filter(is_planned).sum(), orders=_surplus().sum()
    )
    caps = merchants.lazy().select("merchant_id", cap=cap_part())
    both = caps.join(found, on="merchant_id", how="left").with_columns(
        pl.col("saving", "orders").fill_null(0)
    )
    paid = pl.col("saving") - pl.col("cap") - pl.col("orders")
    return (
        both.select("merchant_id", "saving", "cap", "orders", lanes=paid)
        .sort("merchant_id")
        .collect()
    )


def micro(column: str) -> pl.Expr:
    """Published money in integer micro-CNY; null counts as 0."""
    import polars as pl

    return (pl.col(column) * 1e6).round().cast(pl.Int64).fill_null(0)


def lane_part() -> pl.Expr:
    """What a lane contributes: its slots at its price."""
    import polars as pl

    return pl.col("slots") * micro("shadow_price_cny")


def cap_part() -> pl.Expr:
    """What a cap contributes: its slots at its price."""
    import polars as pl

    return pl.col("cap") * micro("shadow_price_cny")


def _surplus() -> pl.Expr:
    """What an order of the solved night saves beyond all its prices."""
    import polars as pl

    is_explored = (pl.col("arm") == "explore").fill_null(value=False)
    return micro("surplus_cny").clip(lower_bound=0) * ~is_explored
