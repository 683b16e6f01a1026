"""Columns that orders and history share beside ours, which may tell parcels apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.config.learning import LATER_COLUMNS
from optimizer.io.cells import (
    ALL_WORD,
    DATE_SPELLINGS,
    NULL_WORD,
    CellRules,
    days_of,
)
from optimizer.io.privacy import holds_personal, is_personal_column

if TYPE_CHECKING:
    from collections.abc import Collection

    import polars as pl

    from optimizer.recognize.propose import Proposal

#: Names of what is written after the night, wherever the word stands.
_LATER = re.compile(
    r"售后|退款|退货|退换|投诉|赔|评价|评分|签收|妥投|状态|完成|结算|时效|物流轨迹|工单"
    r"|status|state$|refund|after[ _-]?sale|return|complain|claim|deliver|signed|rating"
    r"|review|fulfil|closed|cancel|settle|track|outcome|premium|音尊达|上门",
    re.IGNORECASE,
)
#: Names of texts that people write, and of numbers that only name something.
_TEXT = re.compile(
    r"备注|留言|说明|描述|标题|商品名|note|comment|remark|message|memo|title|descr|url"
    r"|link|图片|链接",
    re.IGNORECASE,
)
_ID = re.compile(
    r"(?:编号|编码|单号|货号|号|号码|代码|条码|邮编|sku|spu|id|code|no|number|sn|key"
    r"|zip|postcode|barcode|hash)$",
    re.IGNORECASE,
)
_TIME = re.compile(r"时间|日期|date|time|_at$| at$|timestamp|day$", re.IGNORECASE)
#: Different names beyond which a column is a text or an id, and their length.
_MOST_NAMES, _LONGEST = 50, 40
#: A number as large names something, and one that counts rows: so many differ.
_NO_QUANTITY, _SHARE_OF_AN_ID = 1e8, 0.9
_LEAST_ROWS = 20


@dataclass(frozen=True, slots=True)
class Further:
    """
    Columns under their own names.

    Attributes
    ----------
    numbers, names
        What ``learning.features`` and ``learning.categories`` may list.
    """

    numbers: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def further_columns(
    orders: Proposal, history: Proposal | None, loads: Collection[str] = ()
) -> Further:
    """
    Find columns of both tables that risk and effect might depend on.

    Left out is what names an order, a time or a person, what people write, and what is
    written after the night. A name cannot say all of that, so a person decides.

    Parameters
    ----------
    orders, history
        The proposals for both tables.
    loads
        Columns that are read as loads.
    """
    if history is None:
        return Further()
    taken = {c.written for p in (orders, history) for c in p.choices} | {*loads}
    here, there = orders.sample.rows, history.sample.rows
    shared = [
        name
        for name in there.columns
        if name in here.columns and name not in taken and not _is_left_out(name)
    ]
    kinds = {name: _kind(here[name], there[name]) for name in shared}
    return Further(
        tuple(name for name, kind in kinds.items() if kind == "number"),
        tuple(name for name, kind in kinds.items() if kind == "name"),
    )


def _is_left_out(name: str) -> bool:
    """Whether a column's name says that it is nothing to learn from."""
    patterns = (_LATER, _TEXT, _ID, _TIME)
    known = name in LATER_COLUMNS or name in ("order_id", "customer_key")
    bare = name.strip()
    return known or is_personal_column(name) or any(p.search(bare) for p in patterns)


def _kind(here: pl.Series, there: pl.Series) -> str:
    """``number``, ``name``, or nothing that can be learned from."""
    import polars as pl

    both = [_cells(column) for column in (here, there)]
    is_sparse = any(
        len(part) < max(_LEAST_ROWS, len(column) / 2)
        for part, column in zip(both, (here, there), strict=True)
    )
    cells = pl.concat(both)
    if is_sparse or both[1].n_unique() < 2 or _is_date(cells):
        return ""
    if cells.cast(pl.Float64, strict=False).is_finite().fill_null(value=False).all():
        return "" if any(_is_id(part.cast(pl.Float64)) for part in both) else "number"
    names = cells.unique()
    longest = int(names.str.len_chars().max())  # type: ignore[arg-type]
    if len(names) > _MOST_NAMES or longest > _LONGEST:
        return ""
    words = names.to_list()
    return "" if any(map(holds_personal, words)) or _has_null_words(names) else "name"


def _is_id(number: pl.Series) -> bool:
    """Whether whole numbers name something: too large, or nearly each in its row."""
    if not (number % 1 == 0).all():
        return False
    low, high = float(str(number.min())), float(str(number.max()))
    if max(-low, high) >= _NO_QUANTITY:
        return True
    is_dense = high - low < 2 * len(number)
    return is_dense and number.n_unique() > _SHARE_OF_AN_ID * len(number)


def _has_null_words(names: pl.Series) -> bool:
    """Whether a name would be read as no value, or as all."""
    return bool(names.str.contains(f"{NULL_WORD}|{ALL_WORD}").any())


def _cells(column: pl.Series) -> pl.Series:
    """What stands in a column, blanks left out."""
    bare = column.str.strip_chars()
    return bare.filter((bare != "").fill_null(value=False))


def _is_date(cells: pl.Series) -> bool:
    rules = CellRules(date_formats=tuple(DATE_SPELLINGS))
    return bool(days_of(cells.unique(), rules).is_not_null().any())


def further_yaml(found: Further) -> str:
    """Lines of ``learning``, commented out; empty where there is nothing."""
    import yaml

    lists = {"features": found.numbers, "categories": found.names}
    lines = [
        "  # "
        + yaml.safe_dump(
            {key: [*names]}, allow_unicode=True, width=10_000, default_flow_style=None
        )
        for key, names in lists.items()
        if names
    ]
    if not lines:
        return ""
    return (
        "  # Further columns of both tables. Take the sign off where a column is known "
        "before\n"
        "  # the night and not written over later: else it tells what happened.\n"
        + "".join(lines)
    )


def further_told(found: Further, config: str) -> list[str]:
    """Name the columns, and say what to decide."""
    parts = [
        f"{', '.join(names)} ({what})"
        for what, names in (("numbers", found.numbers), ("names", found.names))
        if names
    ]
    if not parts:
        return []
    return [
        f"not learned from: {', '.join(parts)}; where a column is known before the "
        "night and not written over later, take the sign off in "
        f"{config} (learning.features, learning.categories)"
    ]
