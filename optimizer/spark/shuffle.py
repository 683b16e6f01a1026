"""
From Spark tables to cached blocks: check rows where they are, then one shuffle.

Rows are checked and valued in their own partitions, so a giant merchant's rows are
spread over the cluster. Then each merchant goes to a block by the hash of its name.
Orders of a merchant that would fill a large part of a block go to several, by their
keys, each part to the least filled block. So no block is much larger than the others.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from optimizer.build.encode import OPEN
from optimizer.errors import DataError, counted
from optimizer.io.quarantine import NUM_EXAMPLES, QuarantineLog
from optimizer.spark.blocks import BLOCK, build_blocks
from optimizer.spark.faults import found_by_executors
from optimizer.spark.files import FileTable
from optimizer.spark.noted import (
    FAILED,
    MESSAGE,
    VALUE,
    Noted,
    gather_looked_at,
    gather_values,
    take_times,
    values_asked,
)
from optimizer.spark.rows import (
    OPTION_ROWS,
    ORDER_ROWS,
    VALUED_ROWS,
    check_options,
    check_orders,
    plain_frames,
    value_options,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from optimizer.io.read import Source
    from optimizer.spark.files import Task
    from optimizer.spark.rows import Rules

#: Orders in a block, about.
MAX_ROWS = 1_000_000
#: Orders in a block, at least, where there is more than one for each core.
LEAST_ROWS = 20_000
#: Blocks in one partition, at most about: what is cached, lost and built again in one.
BLOCKS_TOGETHER = 5
#: Tasks at once that are asked for, over Spark Connect.
MOST_TASKS = 10_000
#: Repeated ids that are looked at; different ids share a key once in many nights.
MOST_TWINS = 1_000
#: Numbers that are tried for each block; of a thousand blocks all find one.
TICKETS = 20
#: A merchant with more than this share of a block is cut, into parts of this size.
GIANT = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """
    Cached blocks, and the refused rows.

    Attributes
    ----------
    blocks
        Rows of ``BLOCK``.
    quarantine
        Rows of the quarantine table.
    num_quarantined
        Rows of the orders table that are in it.
    num_rows
        Rows of each large table.
    cached
        DataFrames that only the blocks and the quarantine need.
    noted
        What executors noted of all rows.
    salt
        Of the order keys.
    """

    blocks: DataFrame
    quarantine: DataFrame
    num_quarantined: int
    num_rows: Mapping[str, int]
    cached: tuple[DataFrame, ...]
    noted: Noted
    salt: int = 0

    def settle(self) -> None:
        """Keep the quarantine, and free the intermediate data."""
        self.quarantine.persist().count()
        for frame in self.cached:
            frame.unpersist()

    def release(self) -> None:
        """Free what is cached."""
        for frame in (self.blocks, self.quarantine, *self.cached):
            frame.unpersist()


class Counts(NamedTuple):
    """Rows of a table that keep its rules, those that do not, and which rules."""

    good: int
    broken: int
    rules: str

    @property
    def num_rows(self) -> int:
        """All of them."""
        return self.good + self.broken


def prepare(
    orders: DataFrame | FileTable,
    options: DataFrame | FileTable | None,
    sources: Mapping[str, Source],
    rules: Rules,
    rows_per_block: int,
) -> Prepared:
    """
    Check, value and shuffle a night.

    Parameters
    ----------
    orders, options, rows_per_block
        As in :func:`allocate`.
    sources
        Columns that the tables have, and those that they must have; without rows.
    rules
        Of the night.

    Raises
    ------
    DataError
        When a table is refused.
    """
    from pyspark.sql import functions as F

    is_good = F.col("broken_column").isNull()
    log = QuarantineLog()
    checked, counts = _checked_orders(orders, sources, rules, log)
    good, cached = checked.filter(is_good), [checked]
    quarantine, num_rows = _broken(checked, "orders"), {"orders": counts.num_rows}
    asked = values_asked(rules.policy.eligibility, is_choice=options is not None)
    noted = Noted(log, gather_values(checked, asked), gather_looked_at(good))
    if options is None:
        is_open = F.col("status") == int(OPEN)
        valued = good.withColumns({"is_active": is_open, "is_option": is_open})
    else:
        ways, found = _checked_options(options, sources["options"], rules, log)
        cached.append(ways)
        num_rows["options"] = found.num_rows
        known = checked.filter(F.col("order_id").isNotNull()).select("order_id")
        kept = ways.filter(is_good)
        strays = kept.join(known, "order_id", "left_anti")
        quarantine = quarantine.union(_broken(ways, "options")).union(_stray(strays))
        if num_strays := strays.count():
            stray = f"order_id names no order: {num_strays:,} rows"
            said = "; ".join(filter(None, (found.rules, stray)))
            lost = num_strays + found.broken
            _refuse_share(lost, found.num_rows, "options", rules, said)
        valued = _joined(good, kept, rules)
    num_tasks = tasks_at_once(good.sparkSession)
    num_blocks = count_blocks(counts.good, rows_per_block, num_tasks)
    placed = {}
    if num_blocks > 1:
        sizes = good.groupBy("merchant_id").count()
        rows = min(rows_per_block, -(-counts.good // num_blocks))
        placed = _giants(sizes, num_blocks, max(1, int(GIANT * rows)))
    num_parts = count_parts(num_blocks, num_tasks)
    blocks = _blocks(valued, placed, num_blocks, num_parts, rules)
    return Prepared(blocks, quarantine, counts.broken, num_rows, tuple(cached), noted)


def count_blocks(num_rows: int, rows_per_block: int, num_tasks: int) -> int:
    """
    How many blocks a night has: one for each core, unless it is too small or large.

    Parameters
    ----------
    num_rows, rows_per_block
        Orders of the night, and of a block at most, about.
    num_tasks
        Tasks that the cluster runs at once.

    Examples
    --------
    >>> [count_blocks(n, 1_000_000, 16) for n in (9, 100_000, 900_000, 40_000_000)]
    [1, 5, 16, 40]
    """
    by_size = -(-num_rows // rows_per_block)
    return max(1, by_size, min(num_tasks, num_rows // LEAST_ROWS))


def count_parts(num_blocks: int, num_tasks: int) -> int:
    """
    How many partitions keep the blocks: one for each core, unless they are too large.

    A task costs Spark more than a pass over a block does: some 35 ms of CPU in Python
    and as much in Java. So a core has its blocks in one.

    Parameters
    ----------
    num_blocks
        Of the night.
    num_tasks
        Tasks that the cluster runs at once.

    Examples
    --------
    >>> [count_parts(n, 16) for n in (1, 16, 40, 1_000)]
    [1, 16, 16, 200]
    """
    return min(num_blocks, max(num_tasks, -(-num_blocks // BLOCKS_TOGETHER)))


def tasks_at_once(session: SparkSession) -> int:
    """
    How many tasks a cluster runs at once, as far as it tells.

    Parameters
    ----------
    session
        On it.
    """
    context = getattr(session, "_sc", None)
    if context is not None:
        return int(context.defaultParallelism)
    # Over Spark Connect: a table of numbers comes in as many parts.
    numbers = session.range(MOST_TASKS).mapInArrow(_one_of_each_part, "part int")
    return max(1, len(numbers.toArrow()))


def _one_of_each_part(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    if any(batch.num_rows for batch in batches):
        yield pa.RecordBatch.from_pydict({"part": pa.array([0], pa.int32())})


def _checked_orders(
    orders: DataFrame | FileTable,
    sources: Mapping[str, Source],
    rules: Rules,
    log: QuarantineLog,
) -> tuple[DataFrame, Counts]:
    """Orders checked and encoded, cached; and how many there are."""
    source, is_choice = sources["orders"], "options" in sources
    mine = rules.for_rows()
    task = partial(check_orders, source=source, rules=mine, is_choice=is_choice)
    checked = map_frames(orders, source, task, ORDER_ROWS).persist()
    counts = _refuse_broken(checked, source, rules, log)
    if isinstance(orders, FileTable):
        orders.refuse_other_number(counts.good + counts.broken)
    _refuse_repeats(checked)
    return checked, counts


def _checked_options(
    options: DataFrame | FileTable, source: Source, rules: Rules, log: QuarantineLog
) -> tuple[DataFrame, Counts]:
    """Options checked, cached; and how many there are."""
    task = partial(check_options, source=source)
    ways = map_frames(options, source, task, OPTION_ROWS).persist()
    counts = _refuse_broken(ways, source, rules, log)
    if isinstance(options, FileTable):
        options.refuse_other_number(counts.good + counts.broken)
    return ways, counts


def map_frames(
    table: DataFrame | FileTable, source: Source, task: Task, schema: str
) -> DataFrame:
    """
    Give a table's rows, numbered, to a task.

    Parameters
    ----------
    table, source
        The rows, and the columns that are read of them.
    task
        From frames to rows of the schema.
    schema
        Of what comes out.
    """
    from pyspark.sql import functions as F

    if isinstance(table, FileTable):
        return table.map_frames(source, task, schema)
    number = F.monotonically_increasing_id().alias("row")
    rows = table.select(*source.columns, number)
    return rows.mapInArrow(partial(_of_rows, source=source, task=task), schema)


def _of_rows(
    batches: Iterable[pa.RecordBatch], source: Source, task: Task
) -> Iterator[pa.RecordBatch]:
    yield from task(plain_frames(batches, source))


def _refuse_broken(
    checked: DataFrame, source: Source, rules: Rules, log: QuarantineLog
) -> Counts:
    """Refuse a table that is empty, too long, too broken, or refused by executors."""
    from pyspark.sql import functions as F

    name, limits = source.table.name, source.rules.limits
    kind = F.coalesce(F.substring("broken_column", 1, len(VALUE)), F.lit(""))
    told = checked.filter(kind != VALUE).groupBy("broken_column", "broken_rule")
    by_rule = {
        (row["broken_column"], row["broken_rule"]): row["count"]
        for row in told.count().toArrow().to_pylist()
    }
    num_good = by_rule.pop((None, None), 0)
    failed = [rule for column, rule in by_rule if column == FAILED]
    if failed:
        raise found_by_executors(f"the {name} table: {min(failed)}")
    take_times(log, by_rule)
    by_rule = {k: num for k, num in by_rule.items() if not k[0].startswith(MESSAGE)}
    rows = _of_broken(checked).select("row").distinct()
    num_broken = rows.count() if by_rule else 0
    num_rows = num_good + num_broken
    if num_rows == 0:
        raise DataError(f"the {name} table has no rows; check the {name} export")
    if num_rows > limits.num_rows:
        raise DataError(
            f"{source.label}: has more than {limits.num_rows:,} rows, which "
            "limits.num_rows allows; is it the export of one day?"
        )
    said = [f"{c} {r}: {count:,} rows" for (c, r), count in by_rule.items()]
    which = "; ".join(sorted(said))
    _refuse_share(num_broken, num_rows, name, rules, which)
    if num_broken > limits.broken_rows_in_a_row:
        _refuse_run(checked, source)
    return Counts(num_good, num_broken, which)


def _of_broken(checked: DataFrame) -> DataFrame:
    """Rows that break a rule; messages are none."""
    from pyspark.sql import functions as F

    return checked.filter(F.substring("broken_column", 1, 1) != MESSAGE)


def _refuse_run(checked: DataFrame, source: Source) -> None:
    """Refuse too many broken rows in a row: tasks see only those of their part."""
    import polars as pl

    columns = "row", "broken_column", "broken_rule", "order_id"
    broken = pl.DataFrame(pl.from_arrow(_of_broken(checked).select(*columns).toArrow()))
    log = QuarantineLog()
    kinds = "broken_column", "broken_rule"
    for (column, rule), found in broken.sort(*columns).group_by(kinds):
        ids = found["order_id"].head(NUM_EXAMPLES).drop_nulls().to_list()
        name = source.table.name
        log.add(name, found["row"].to_numpy(), str(column), str(rule), ids)
    log.refuse_run(source, broken["row"].unique().sort().to_numpy())


def _refuse_share(
    num_broken: int, num_rows: int, name: str, rules: Rules, which: str
) -> None:
    share = rules.config.quarantine.max_share
    if 0 < num_broken == num_rows:
        raise DataError(
            f"{name}: {num_broken:,} of {counted(num_rows, 'row')} break a rule, so "
            f"nothing is left: {which}; mend the export"
        )
    if num_broken > Fraction(share) * num_rows:
        raise DataError(
            f"{name}: {num_broken:,} of {num_rows:,} rows break a rule, more than the "
            f"{share:%} that quarantine.max_share allows: {which}; mend the export"
        )


def _refuse_repeats(checked: DataFrame) -> None:
    """Refuse duplicate orders, and orders in two spellings."""
    from pyspark.sql import functions as F

    good = checked.filter(F.col("broken_column").isNull())
    keys = good.groupBy("folded_key").count().filter("count > 1").select("folded_key")
    some = keys.limit(MOST_TWINS).toArrow()["folded_key"].to_pylist()
    if not some:
        return
    ids = good.filter(F.col("folded_key").isin(some)).select("order_id")
    alike: dict[str, list[str]] = {}
    for name in sorted(ids.toArrow()["order_id"].to_pylist()):
        alike.setdefault(name.strip().casefold(), []).append(name)
    found = [names for names in alike.values() if len(names) > 1]
    if found:
        shown = "; ".join(" and ".join(map(repr, names[:2])) for names in found[:5])
        raise DataError(
            "the orders table: order_id more than once, or in spellings that differ "
            f"only in case or spaces: {shown}; an order is decided once, so keep one "
            "row for each"
        )


def _broken(checked: DataFrame, name: str) -> DataFrame:
    from pyspark.sql import functions as F

    return _of_broken(checked).select(
        F.lit(name).alias("source"),
        (F.col("row") + 1).alias("row"),
        F.col("broken_column").alias("column"),
        F.col("broken_rule").alias("rule"),
    )


def _stray(strays: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    return strays.select(
        F.lit("options").alias("source"),
        (F.col("row") + 1).alias("row"),
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
    return joined.mapInArrow(
        partial(value_options, rules=rules.for_rows()), VALUED_ROWS
    )


def _giants(sizes: DataFrame, num_blocks: int, most: int) -> dict[str, list[int]]:
    """Blocks of the merchants that are split."""
    from pyspark.sql import functions as F

    giants = sizes.filter(F.col("count") > most).toArrow()
    names, counts = (giants[name].to_pylist() for name in ("merchant_id", "count"))
    return _place(dict(zip(names, counts, strict=True)), num_blocks, most)


def _blocks(
    valued: DataFrame,
    placed: dict[str, list[int]],
    num_blocks: int,
    num_parts: int,
    rules: Rules,
) -> DataFrame:
    """Bring each merchant's rows together; cached, in memory and on disk."""
    from pyspark.sql import functions as F

    columns = [field.split()[0] for field in VALUED_ROWS.split(", ")]
    block = F.pmod(F.xxhash64("merchant_id"), F.lit(num_blocks)).cast("int")
    rows = valued
    if placed:  # some engines of Spark Connect take no table without rows
        of_giant = valued.sparkSession.createDataFrame(_giants_table(placed))
        rows = valued.join(F.broadcast(of_giant), "merchant_id", "left")
        part = F.pmod(F.col("key"), F.size("blocks").cast("bigint")).cast("int")
        block = F.when(F.col("blocks").isNull(), block).otherwise(
            F.element_at("blocks", part + 1)
        )
    tickets = F.array(*map(F.lit, _tickets(valued.sparkSession, num_blocks)))
    made = rows.select(*columns, block.alias("block"))
    ticket = F.element_at(tickets, F.col("block") + 1)
    together = made.withColumn("ticket", ticket).repartition(num_blocks, "ticket")
    bare = together.drop("ticket")
    build = partial(build_blocks, rules=rules.for_blocks())
    built = bare.mapInArrow(build, BLOCK)
    if num_parts < num_blocks:  # built one by one all the same
        built = built.coalesce(num_parts)
    return built.persist()


def _tickets(session: SparkSession, num_blocks: int) -> list[int]:
    """
    Find a number for each block whose hash brings it to a partition of its own.

    Rows are brought together by the hash of a column, which every engine can do. Where
    an engine hashes otherwise, blocks share partitions, and nothing else changes.
    """
    from pyspark.sql import functions as F

    many = session.range(TICKETS * num_blocks + TICKETS).select(
        F.col("id").cast("int").alias("number"),
        F.pmod(F.hash(F.col("id").cast("int")), F.lit(num_blocks)).alias("part"),
    )
    first = many.groupBy("part").agg(F.min("number").alias("number")).toArrow()
    found = first["number"].to_pylist()
    others = (at for at in range(-1, -num_blocks - 1, -1))
    return sorted(found) + [next(others) for _ in range(num_blocks - len(found))]


def _giants_table(placed: dict[str, list[int]]) -> pa.Table:
    import pyarrow as pa

    names = pa.array(placed.keys(), pa.string())
    blocks = pa.array(placed.values(), pa.list_(pa.int32()))
    return pa.table({"merchant_id": names, "blocks": blocks})


def _place(sizes: dict[str, int], num_blocks: int, most: int) -> dict[str, list[int]]:
    """
    Split giants into parts of at most ``most`` orders, each on the least filled block.

    Examples
    --------
    >>> _place({"a": 9, "b": 4}, 2, 5)
    {'a': [0, 1], 'b': [0]}
    """
    filled = [(0, block) for block in range(num_blocks)]
    placed: dict[str, list[int]] = {}
    for name, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        num_parts = min(num_blocks, -(-size // most))
        taken = [heapq.heappop(filled) for _ in range(num_parts)]
        placed[name] = [block for _, block in taken]
        for total, block in taken:
            heapq.heappush(filled, (total + -(-size // num_parts), block))
    return placed
