"""
From Spark tables to cached blocks: check rows where they are, then one shuffle.

Rows are checked and valued in their own partitions, so a giant merchant's rows are
spread over the cluster, and packed: Spark moves cells of rows, and reads none. Then
each merchant goes to a block by the hash of its name.
Orders of a merchant that would fill a large part of a block go to several, by their
keys, each part to the least filled block. So no block is much larger than the others.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from optimizer.errors import DataError
from optimizer.io.quarantine import QuarantineLog
from optimizer.spark.blocks import BLOCK, build_blocks
from optimizer.spark.files import FileTable
from optimizer.spark.join import JOINED, OF_OPTIONS, join_options
from optimizer.spark.noted import (
    LEAST,
    Noted,
    gather_looked_at,
    gather_values,
    values_asked,
)
from optimizer.spark.packed import PARTED, part_rows
from optimizer.spark.parts import (
    KEYS_OF_PART,
    REPEATED,
    SIZES,
    block_of_order,
    large_merchants,
    orders_of_keys,
    part_ids,
    part_keys,
    part_of_order,
    repeated_keys,
)
from optimizer.spark.refused_rows import (
    Counts,
    broken_rows,
    refuse_broken,
    refuse_share,
    stray_rows,
)
from optimizer.spark.rows import (
    CHECKED,
    check_options,
    check_orders,
    plain_frames,
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
#: Orders and options that are joined at once, at most about.
JOINED_ROWS = 2_000_000
#: Keys that are looked at for others alike at once, at most about.
SORTED_KEYS = 8_000_000
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
    log = QuarantineLog()
    checked, counts = _checked_orders(orders, sources, rules, log)
    num_tasks = tasks_at_once(checked.sparkSession)
    _refuse_repeats(checked, counts.good, rules.salt, num_tasks)
    cached, num_rows = [checked], {"orders": counts.num_rows}
    quarantine = broken_rows(checked, "orders")
    asked = values_asked(rules.policy.eligibility, is_choice=options is not None)
    noted = Noted(log, gather_values(checked, asked), gather_looked_at(checked))
    valued = _packed(checked)
    if options is not None:
        ways, found = _checked_options(options, sources["options"], rules, log)
        num_rows["options"] = found.num_rows
        num_parts = count_blocks(counts.good + found.good, JOINED_ROWS, num_tasks)
        joined = _joined(checked, ways, num_parts, rules)
        strays = joined.filter("row is not null")
        quarantine = quarantine.union(broken_rows(ways, "options")).union(
            stray_rows(strays)
        )
        if num_strays := strays.count():
            stray = f"order_id names no order: {num_strays:,} rows"
            said = "; ".join(filter(None, (found.rules, stray)))
            lost = num_strays + found.broken
            refuse_share(lost, found.num_rows, "options", rules, said)
        cached += [ways, joined]
        valued = _packed(joined)
    num_blocks = count_blocks(counts.good, rows_per_block, num_tasks)
    placed = {}
    if num_blocks > 1:
        rows = min(rows_per_block, -(-counts.good // num_blocks))
        most = max(1, int(GIANT * rows))
        placed = _giants(_packed(checked), counts.num_cells, num_blocks, most)
    num_parts = count_parts(num_blocks, num_tasks)
    blocks = _blocks(valued, placed, num_blocks, num_parts, rules)
    return Prepared(blocks, quarantine, counts.broken, num_rows, tuple(cached), noted)


def count_blocks(num_rows: int, most_rows: int, num_tasks: int) -> int:
    """
    In how many parts rows are taken: one for each core, unless they are few or many.

    Parameters
    ----------
    num_rows, most_rows
        All rows, and those of a part at most, about.
    num_tasks
        Tasks that the cluster runs at once.

    Examples
    --------
    >>> [count_blocks(n, 1_000_000, 16) for n in (9, 100_000, 900_000, 40_000_000)]
    [1, 5, 16, 40]
    """
    by_size = -(-num_rows // most_rows)
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
    checked = map_frames(orders, source, task, CHECKED).persist()
    counts = refuse_broken(checked, source, rules, log)
    if isinstance(orders, FileTable):
        orders.refuse_other_number(counts.good + counts.broken)
    return checked, counts


def _checked_options(
    options: DataFrame | FileTable, source: Source, rules: Rules, log: QuarantineLog
) -> tuple[DataFrame, Counts]:
    """Options checked, cached; and how many there are."""
    task = partial(check_options, source=source)
    ways = map_frames(options, source, task, CHECKED).persist()
    counts = refuse_broken(ways, source, rules, log)
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


def _packed(checked: DataFrame) -> DataFrame:
    """Cells of good rows alone."""
    return checked.filter("rows is not null").select("rows", "num_rows")


def _refuse_repeats(
    checked: DataFrame, num_orders: int, salt: int, num_tasks: int
) -> None:
    """Refuse duplicate orders, and orders in two spellings."""
    num_parts = count_blocks(num_orders, SORTED_KEYS, num_tasks)
    keys = checked.filter("folded_keys is not null").select("folded_keys")
    parted = keys.mapInArrow(partial(part_keys, num_parts=num_parts), KEYS_OF_PART)
    together = _brought_together(parted, "part", num_parts)
    repeated = together.mapInArrow(repeated_keys, REPEATED)
    some = repeated.limit(MOST_TWINS).toArrow()["folded_key"].to_pylist()
    if not some:
        return
    named = partial(orders_of_keys, keys=some, salt=salt)
    ids = _packed(checked).mapInArrow(named, "order_id string")
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


def _joined(
    checked: DataFrame, ways: DataFrame, num_parts: int, rules: Rules
) -> DataFrame:
    """Each order with each of its options, valued; and options without; cached."""
    from pyspark.sql import functions as F

    part = partial(part_of_order, num_parts=num_parts, salt=rules.salt)
    is_known = F.col("order_id").isNotNull() & (F.col("broken_column") != LEAST)
    known = checked.filter(is_known).select("order_id")
    each = (
        _packed(checked).mapInArrow(partial(part_rows, part_of=part), PARTED),
        _packed(ways).mapInArrow(
            partial(part_rows, part_of=part, kind=OF_OPTIONS), PARTED
        ),
        known.mapInArrow(partial(part_ids, part_of=part), PARTED),
    )
    both = each[0].union(each[1]).union(each[2])
    together = _brought_together(both, "part", num_parts)
    return together.mapInArrow(
        partial(join_options, rules=rules.for_rows()), JOINED
    ).persist()


def _giants(
    good: DataFrame, num_cells: int, num_blocks: int, most: int
) -> dict[str, list[int]]:
    """
    Blocks of the merchants that are split.

    A cell tells its larger merchants alone. So a merchant may be held for smaller than
    it is, by half of the most at worst: half of that is looked for, and the answer is
    the same in whatever blocks.
    """
    from pyspark.sql import functions as F

    least = max(1, most // (2 * num_cells))
    told = good.mapInArrow(partial(large_merchants, least=least), SIZES)
    sizes = told.groupBy("merchant_id").agg(F.sum("num_orders").alias("num_orders"))
    giants = sizes.filter(F.col("num_orders") > most // 2).toArrow()
    names, counts = (giants[name].to_pylist() for name in ("merchant_id", "num_orders"))
    return _place(dict(zip(names, counts, strict=True)), num_blocks, most)


def _blocks(
    valued: DataFrame,
    placed: dict[str, list[int]],
    num_blocks: int,
    num_parts: int,
    rules: Rules,
) -> DataFrame:
    """Bring each merchant's rows together; cached, in memory and on disk."""
    block = partial(block_of_order, num_blocks=num_blocks, placed=placed)
    parted = valued.mapInArrow(partial(part_rows, part_of=block), PARTED)
    bare = _brought_together(parted, "part", num_blocks)
    build = partial(build_blocks, rules=rules.for_blocks())
    built = bare.mapInArrow(build, BLOCK)
    if num_parts < num_blocks:  # built one by one all the same
        built = built.coalesce(num_parts)
    return built.persist()


def _brought_together(rows: DataFrame, part: str, num_parts: int) -> DataFrame:
    """Rows of a part in one partition, which no other part shares if it can be."""
    from pyspark.sql import functions as F

    tickets = F.array(*map(F.lit, _tickets(rows.sparkSession, num_parts)))
    ticket = F.element_at(tickets, F.col(part) + 1)
    together = rows.withColumn("ticket", ticket).repartition(num_parts, "ticket")
    return together.drop("ticket")


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
