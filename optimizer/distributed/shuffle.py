"""
From Spark tables to cached blocks: check rows where they are, then one shuffle.

Rows are checked and valued in the partitions that they come in, so a giant merchant's
rows are spread over the cluster. Then each merchant goes to a block; giants are placed
one by one on the least filled block, the others by hash. In a block an order costs
some 50 nanoseconds a pass, so a block that holds a giant holds nobody up for long.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

from optimizer.data.read import open_source
from optimizer.data.tables import OPTIONS, ORDERS
from optimizer.distributed.blocks import BLOCK, build_block
from optimizer.distributed.rows import (
    FAILED,
    OPTION_ROWS,
    ORDER_ROWS,
    VALUED_ROWS,
    check_options,
    check_orders,
    value_options,
)
from optimizer.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from optimizer.data.read import Source
    from optimizer.data.tables import Table
    from optimizer.distributed.rows import Rules

#: Orders in a block, about.
MAX_ROWS = 1_000_000
#: A merchant with more than this share of a block is placed by itself.
GIANT = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Cached blocks, and the refused rows."""

    blocks: DataFrame
    quarantine: DataFrame


def prepare(
    orders: DataFrame, options: DataFrame | None, rules: Rules, rows_per_block: int
) -> Prepared:
    """
    Check, value and shuffle a night; parameters as in :func:`allocate`.

    Raises
    ------
    DataError
        When a table is refused.
    """
    from pyspark.sql import functions as F

    required = () if options is not None else _OWN_CARRIER
    checked = _checked_orders(orders, options is not None, required, rules)
    good = checked.filter(F.col("broken_column").isNull())
    broken = [_broken(checked, "orders")]
    if options is None:
        valued = good.withColumn("is_option", F.col("status") == 255)
    else:
        source = _source(options, OPTIONS, ())
        ways = _numbered(options, source).mapInArrow(
            partial(check_options, source=source), OPTION_ROWS
        )
        ways = ways.persist()
        _refuse_broken(ways, "options", rules)
        known = orders.select(F.col("order_id").cast("string"))
        is_good = F.col("broken_column").isNull()
        strays = ways.filter(is_good).join(known, "order_id", "left_anti")
        broken += [_broken(ways, "options"), _stray(strays)]
        _refuse_share(strays.count(), ways.count(), "options", rules)
        valued = _joined(good, ways.filter(is_good), rules)
    blocks = _blocks(valued, good, rules, rows_per_block)
    quarantine = broken[0]
    for more in broken[1:]:
        quarantine = quarantine.union(more)
    return Prepared(blocks, quarantine)


_OWN_CARRIER = ("carrier_id", "complaint_prob_premium", "return_prob_premium")


def _checked_orders(
    orders: DataFrame, is_choice: bool, required: tuple[str, ...], rules: Rules
) -> DataFrame:
    """Orders checked and encoded, cached."""
    source = _source(orders, ORDERS, required)
    task = partial(check_orders, source=source, rules=rules, is_choice=is_choice)
    checked = _numbered(orders, source).mapInArrow(task, ORDER_ROWS).persist()
    _refuse_broken(checked, "orders", rules)
    _refuse_repeats(checked)
    return checked


def _source(table: DataFrame, contract: Table, required: tuple[str, ...]) -> Source:
    """Hold a Spark table's columns against its contract."""
    from pyspark.sql.pandas.types import to_arrow_schema

    empty = to_arrow_schema(table.schema).empty_table()
    return open_source(empty, contract, require=required)


def _numbered(table: DataFrame, source: Source) -> DataFrame:
    from pyspark.sql import functions as F

    return table.select(*source.columns, F.monotonically_increasing_id().alias("row"))


def _refuse_broken(checked: DataFrame, name: str, rules: Rules) -> None:
    """Refuse an empty table, one that executors refused, or too many broken rows."""
    from pyspark.sql import functions as F

    is_broken = F.col("broken_column").isNotNull()
    rules_broken = (
        checked.filter(is_broken)
        .groupBy("broken_column", "broken_rule")
        .agg(F.countDistinct("row").alias("rows"))
        .toArrow()
        .to_pylist()
    )
    failed = [r["broken_rule"] for r in rules_broken if r["broken_column"] == FAILED]
    if failed:
        raise DataError(min(failed))
    good = checked.filter(~is_broken).count()
    bad = checked.filter(is_broken).select("row").distinct().count() if rules_broken else 0
    if good + bad == 0:
        raise DataError(f"the {name} table has no rows; check the {name} export")
    listed = [f"{r['broken_column']} {r['broken_rule']}: {r['rows']:,} rows" for r in rules_broken]
    _refuse_share(bad, good + bad, name, rules, "; ".join(sorted(listed)))


def _refuse_share(
    num_broken: int, num_rows: int, name: str, rules: Rules, which: str = ""
) -> None:
    share = rules.config.quarantine.max_share
    if num_broken > Fraction(share) * num_rows:
        raise DataError(
            f"{name}: {num_broken:,} of {num_rows:,} rows break a rule, more than the "
            f"{share:%} that quarantine.max_share allows: "
            f"{which or 'order_id names no order'}; mend the export"
        )


def _refuse_repeats(checked: DataFrame) -> None:
    """Refuse orders that stand twice, or in two spellings."""
    from pyspark.sql import functions as F

    good = checked.filter(F.col("broken_column").isNull())
    keys = good.groupBy("folded_key").count().filter("count > 1").select("folded_key")
    some = keys.limit(5)
    ids = good.join(some, "folded_key", "left_semi").select("order_id").limit(10)
    found = sorted(ids.toArrow()["order_id"].to_pylist())
    if found:
        raise DataError(
            f"the orders table: order_id more than once, or in two spellings: "
            f"{', '.join(found)}; an order is decided once, so keep one row for each"
        )


def _broken(checked: DataFrame, name: str) -> DataFrame:
    from pyspark.sql import functions as F

    return checked.filter(F.col("broken_column").isNotNull()).select(
        F.lit(name).alias("source"),
        (F.col("row") + 1).alias("row"),
        F.col("broken_column").alias("column"),
        F.col("broken_rule").alias("rule"),
    )


def _stray(strays: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    return strays.select(
        F.lit("options").alias("source"),
        F.lit(None).cast("bigint").alias("row"),
        F.lit("order_id").alias("column"),
        F.lit("names no order").alias("rule"),
    )


def _joined(good: DataFrame, ways: DataFrame, rules: Rules) -> DataFrame:
    """Each order with each of its options, valued."""
    from pyspark.sql import functions as F

    options = ways.select(
        "order_id",
        "carrier_id",
        F.col("outlet_id").alias("option_outlet_id"),
        "complaint_prob_premium",
        "return_prob_premium",
    )
    basis = good.drop("carrier_id", "saving", "row", "broken_column", "broken_rule")
    joined = basis.join(options, "order_id", "left")
    return joined.mapInArrow(partial(value_options, rules=rules), VALUED_ROWS)


def _blocks(
    valued: DataFrame, good: DataFrame, rules: Rules, rows_per_block: int
) -> DataFrame:
    """Bring each merchant's rows together; cached, in memory and on disk."""
    from pyspark.sql import functions as F

    num_blocks = max(1, -(-good.count() // rows_per_block))
    sizes = good.groupBy("merchant_id").count()
    giants = sizes.filter(F.col("count") > int(GIANT * rows_per_block)).toArrow()
    names, counts = (giants[name].to_pylist() for name in ("merchant_id", "count"))
    placed = _place(dict(zip(names, counts, strict=True)), num_blocks)
    of_giant = valued.sparkSession.createDataFrame(
        [*placed.items()], "merchant_id string, place int"
    )
    hashed = F.pmod(F.xxhash64("merchant_id"), F.lit(num_blocks)).cast("int")
    block = F.coalesce(F.col("place"), hashed).alias("block")
    columns = [field.split()[0] for field in VALUED_ROWS.split(", ")]
    rows = valued.join(of_giant, "merchant_id", "left").select(*columns, block)
    together = rows.repartitionById(num_blocks, "block")
    return together.mapInArrow(partial(build_block, rules=rules), BLOCK).persist()


def _place(sizes: dict[str, int], num_blocks: int) -> dict[str, int]:
    """
    Put giants on blocks, the largest first, each on the least filled one.

    Examples
    --------
    >>> _place({"a": 5, "b": 4, "c": 3}, 2)
    {'a': 0, 'b': 1, 'c': 1}
    """
    filled = [(0, block) for block in range(num_blocks)]
    placed = {}
    for name, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        total, block = heapq.heappop(filled)
        placed[name] = block
        heapq.heappush(filled, (total + size, block))
    return placed
