"""The recommended orders as the page lists them: bounded, and columns, not rows."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.config.report import MAX_ORDERS
from optimizer.contracts.platforms import FORMULA_STARTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

#: Rows of the table that can be read without a script, and of each page with one.
NUM_ROWS = 25
#: Bytes that the listed orders may take in the page, whatever the configuration.
MAX_BYTES = 3_000_000
#: Columns of repeated words, of amounts, and how the page calls them.
_WORDS = ("merchant_id", "carrier_id", "region_id", "reason")
_AMOUNTS = ("saving_cny", "margin_cny")
_ORDER = "order_id"
#: What ends a script or begins another element; JSON has an escape for it.
_MARKUP = re.compile("[<>&]")
#: Bytes of an order's numbers and codes, and of a character that is escaped.
_ROW_BYTES, _ESCAPED_BYTES = 40, 12
_PLAIN = r"[^ !#-%'-;=?-\[\]-~]"


@dataclass(frozen=True, slots=True)
class OrderList:
    """
    Recommended orders, those with the largest saving first.

    Attributes
    ----------
    rows
        The first of them, as a page without scripts shows them.
    num_listed, num_orders
        How many the page holds, and how many there are.
    reasons
        The reasons that they have, by code.
    has_margins
        Whether any of them has an exact margin.
    data
        All that are listed, as JSON without markup.
    formula_starts
        What begins a formula in a spreadsheet.
    """

    rows: list[dict[str, Any]]
    num_listed: int
    num_orders: int
    reasons: list[str]
    has_margins: bool
    data: str
    formula_starts: str = "".join(FORMULA_STARTS)


def recommended(decisions: pl.DataFrame) -> pl.DataFrame:
    """
    Take the recommended orders with what a page shows of them.

    Parameters
    ----------
    decisions
        Rows of the decisions, with ``region_id``.
    """
    chosen = decisions.filter("is_premium")
    return chosen.select(_ORDER, *_WORDS, *_AMOUNTS)


def list_orders(orders: pl.DataFrame, record: Mapping[str, Any]) -> OrderList | None:
    """
    List the orders with the largest saving, as many as are configured.

    Parameters
    ----------
    orders
        From :func:`recommended`, in any order.
    record
        As in ``run.json``.

    Returns
    -------
    OrderList or None
        ``None`` where no list is wanted.
    """
    import polars as pl

    most = record["config"].get("report", {}).get("max_orders", MAX_ORDERS)
    if most == 0:
        return None
    price = pl.col("saving_cny").neg()
    by_saving = _largest(orders, most).sort(price, _ORDER).head(most)
    listed = by_saving.head(_num_in_bytes(by_saving))
    margins = listed["margin_cny"]
    return OrderList(
        rows=listed.head(NUM_ROWS).to_dicts(),
        num_listed=listed.height,
        num_orders=orders.height,
        reasons=listed["reason"].unique().sort().to_list(),
        has_margins=margins.null_count() < len(margins),
        data=_as_json(listed),
    )


def _largest(orders: pl.DataFrame, most: int) -> pl.DataFrame:
    """Leave out what cannot be among the first: the rest is quick to sort."""
    import polars as pl

    if orders.height <= most:
        return orders
    least = orders["saving_cny"].top_k(most).min()
    return orders.filter(pl.col("saving_cny") >= least)


def _num_in_bytes(orders: pl.DataFrame) -> int:
    """How many of the first orders fit into ``MAX_BYTES``."""
    import polars as pl

    def size(column: str) -> pl.Expr:
        text = pl.col(column).fill_null("")
        return text.str.len_bytes() + _ESCAPED_BYTES * text.str.count_matches(_PLAIN)

    parts = [size(_ORDER) + _ROW_BYTES]
    parts += [
        pl.when(pl.col(column).is_first_distinct()).then(size(column)).otherwise(0)
        for column in _WORDS
    ]
    total = orders.select(pl.sum_horizontal(*parts).cum_sum()).to_series()
    return int((total <= MAX_BYTES).sum())


def _as_json(orders: pl.DataFrame) -> str:
    """Columns as JSON: sorted words and their numbers, amounts in micro-CNY."""
    import polars as pl

    micro = [(pl.col(name) * 1e6).round().cast(pl.Int64) for name in _AMOUNTS]
    columns: dict[str, Any] = {_ORDER: orders[_ORDER].to_list()}
    for name in _WORDS:
        words = orders[name].unique().sort()
        codes = pl.DataFrame({name: words}).with_row_index("code")
        numbers = orders.select(name).join(
            codes, on=name, how="left", nulls_equal=True, maintain_order="left"
        )
        columns[name] = {"words": words.to_list(), "codes": numbers["code"].to_list()}
    columns |= orders.select(micro).to_dict(as_series=False)
    text = json.dumps(columns, separators=(",", ":"))
    return _MARKUP.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
