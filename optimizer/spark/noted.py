"""What executors note of all rows of a table, in rows beside them for the driver."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.changed_ids import NUM_LOOKED_AT
from optimizer.build.night_lookups import MAX_VALUES, ColumnValues
from optimizer.io.cells import Midnights
from optimizer.io.quarantine import QuarantineLog

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from pyspark.sql import DataFrame

    from optimizer.build.changed_ids import IdSample
    from optimizer.config import EligibilityRule

#: First sign of a message; no column's name has it.
MESSAGE = "\0"
#: Column of a message: what was refused, so that the driver refuses it.
FAILED = "\0failed"
#: A value of the column whose name follows; that it has too many of them.
VALUE, MANY = "\0value:", "\0many:"
#: An order among those whose keys are the least; its key is the row.
LEAST = "\0least"
#: What the times of all date columns of a task look like.
TIMES = "\0times"


@dataclass(frozen=True, slots=True, eq=False)
class Noted:
    """
    What is known of all rows of a night's large tables.

    Attributes
    ----------
    log
        What the times of their date columns look like.
    values
        Values by column, of those with few enough.
    looked_at
        Ids of some orders, the same as on one machine.
    """

    log: QuarantineLog = field(default_factory=QuarantineLog)
    values: Mapping[str, set[str]] = field(default_factory=dict)
    looked_at: Sequence[str] = ()


def values_asked(rules: Sequence[EligibilityRule], *, is_choice: bool) -> ColumnValues:
    """
    Columns of the orders whose values the driver asks for; none is noted yet.

    Parameters
    ----------
    rules
        Of eligibility.
    is_choice
        Whether carriers come from an options table; their outlets go before those of
        orders, which blocks then do not have.
    """
    return ColumnValues(rules, ("outlet_id",) if is_choice else ())


def messages(
    values: ColumnValues, log: QuarantineLog, looked: IdSample
) -> pl.DataFrame:
    """
    Put into rows what a task noted.

    Parameters
    ----------
    values, log
        What it noted of the rows that it kept, and of all.
    looked
        Orders among them that are looked at.
    """
    import polars as pl

    told = [(f"{MANY}{column}", "") for column in values.dropped]
    for column, seen in values.seen().items():
        told += [(f"{VALUE}{column}", value) for value in sorted(seen)]
    if times := log.midnights():
        told.append((TIMES, json.dumps(times)))
    kinds = {"broken_column": pl.String, "broken_rule": pl.String}
    said = pl.DataFrame(told, schema=kinds, orient="row")
    if looked.ids is None:
        return said
    names = pl.DataFrame(
        {"row": looked.keys.view(np.int64), "order_id": looked.ids}
    ).with_columns(broken_column=pl.lit(LEAST))
    return pl.concat([said, names], how="diagonal")


def take_times(log: QuarantineLog, counts: Mapping[tuple[str, str], int]) -> None:
    """
    Note on the driver what tasks noted of times.

    Parameters
    ----------
    log
        Takes it.
    counts
        By column and rule: how many rows say so, messages too.
    """
    for (column, text), count in counts.items():
        for source, name, *numbers in json.loads(text) if column == TIMES else ():
            found = Midnights(*(number * count for number in numbers))
            log.note_midnights(source, name, found)


def gather_values(checked: DataFrame, asked: ColumnValues) -> dict[str, set[str]]:
    """
    Gather the values of columns, but for those with too many, as on one machine.

    Parameters
    ----------
    checked
        Rows with the messages of all tasks.
    asked
        The columns.
    """
    from pyspark.sql import functions as F

    found = {}
    for column in asked.seen():
        value, many = f"{VALUE}{column}", f"{MANY}{column}"
        told = checked.filter(F.col("broken_column").isin(value, many))
        each = told.select("broken_column", "broken_rule").distinct()
        rows = each.limit(MAX_VALUES + 1).toArrow()
        kinds = Counter(rows["broken_column"].to_pylist())
        if many not in kinds and kinds[value] <= MAX_VALUES:
            found[column] = {*rows["broken_rule"].to_pylist()}
    return found


def gather_looked_at(checked: DataFrame) -> list[str]:
    """
    Ids of the orders whose keys, as numbers without a sign, are the least.

    Parameters
    ----------
    checked
        Rows with the messages of all tasks.
    """
    from pyspark.sql import functions as F

    told = checked.filter(F.col("broken_column") == LEAST)
    least = told.orderBy(F.col("row") < 0, "row").limit(NUM_LOOKED_AT)
    return list(least.select("order_id").toArrow()["order_id"].to_pylist())
