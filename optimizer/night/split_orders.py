"""
Orders that look split to make the base of a cap larger: small, equal, of one merchant.

They are counted by groups, so that rows that stand in many places can be counted where
they are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from optimizer.contracts.columns import Column
from optimizer.contracts.tables import ORDERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from optimizer.config.operations import Splitting
    from optimizer.contracts.columns import Table


def asked_orders(columns: Sequence[str]) -> Table:
    """
    The contract of the orders with what is read of them, and no other column.

    Parameters
    ----------
    columns
        That are equal in orders of one group.

    Examples
    --------
    >>> asked_orders(["buyer_key"]).column_names
    ('merchant_id', 'order_value_cny', 'buyer_key')
    """
    wanted = dict.fromkeys(("merchant_id", "order_value_cny", *columns))
    known = {column.name: column for column in ORDERS.columns}
    new = {name: Column(name, "id", "named by alerts.splitting") for name in wanted}
    return replace(ORDERS, columns=tuple(known.get(name, new[name]) for name in wanted))


def count_groups(orders: pl.DataFrame, rule: Splitting) -> pl.DataFrame:
    """
    Count orders by merchant, and small ones by their group as well.

    Parameters
    ----------
    orders
        Of :func:`asked_orders`; a missing value makes no group.
    rule
        Which orders are small, and what is equal in those of one group.

    Returns
    -------
    pl.DataFrame
        ``merchant_id``, ``group`` (null: all orders), ``num_orders``; those of parts of
        the orders may be added up.
    """
    import polars as pl

    value = pl.col("order_value_cny").cast(pl.Float64, strict=False)
    small = orders.filter(value < float(rule.below_cny)).drop_nulls(list(rule.columns))
    equal = pl.struct(pl.col(name).cast(pl.String) for name in rule.columns)
    names = equal.struct.json_encode()
    parts = (
        orders.with_columns(group=pl.lit(None, pl.String)),
        small.with_columns(group=names),
    )
    return pl.concat(
        part.group_by("merchant_id", "group").agg(num_orders=pl.len().cast(pl.Int64))
        for part in parts
    )


def sizes_of(groups: pl.DataFrame, rule: Splitting) -> pl.DataFrame:
    """
    Orders of each merchant, and how many there are if each large group counts once.

    Parameters
    ----------
    groups
        From :func:`count_groups`.
    rule
        How large a group is that counts once.
    """
    import polars as pl

    num, is_group = pl.col("num_orders"), pl.col("group").is_not_null()
    many = groups.filter(is_group & (num >= rule.group_size))
    extra = many.group_by("merchant_id").agg(extra=(num - 1).sum())
    seen = groups.filter(~is_group).join(extra, on="merchant_id")
    once = num - pl.col("extra")
    return seen.select("merchant_id", num, num_counted_once=once)
