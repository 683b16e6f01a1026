"""Rows that break a rule, as executors found them: the driver counts and refuses."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from optimizer.errors import DataError, counted
from optimizer.io.quarantine import NUM_EXAMPLES, QuarantineLog
from optimizer.spark.faults import found_by_executors
from optimizer.spark.noted import FAILED, LEAST, MESSAGE, VALUE, take_times

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from optimizer.io.read import Source
    from optimizer.spark.rows import Rules


class Counts(NamedTuple):
    """
    Rows of a table that keep its rules, those that do not, and which rules.

    Attributes
    ----------
    num_cells
        Cells that hold the good rows.
    """

    good: int
    broken: int
    rules: str
    num_cells: int

    @property
    def num_rows(self) -> int:
        """All of them."""
        return self.good + self.broken


def refuse_broken(
    checked: DataFrame, source: Source, rules: Rules, log: QuarantineLog
) -> Counts:
    """
    Refuse a table that is empty, too long, too broken, or refused by executors.

    Parameters
    ----------
    checked, source
        What executors found of the table, ``CHECKED`` rows; and its columns.
    rules
        Of the night.
    log
        Takes what was noted of times.

    Raises
    ------
    DataError
        With what breaks which rule.
    """
    from pyspark.sql import functions as F

    name, limits = source.table.name, source.rules.limits
    kind = F.coalesce(F.substring("broken_column", 1, len(VALUE)), F.lit(""))
    told = checked.filter((kind != VALUE) & (kind != LEAST))
    each = told.groupBy("broken_column", "broken_rule").agg(
        F.count(F.lit(1)).alias("count"), F.sum("num_rows").alias("num_rows")
    )
    by_rule, num_good, num_cells = {}, 0, 0
    for row in each.toArrow().to_pylist():
        if row["broken_column"] is None:
            num_good, num_cells = row["num_rows"], row["count"]
        else:
            by_rule[row["broken_column"], row["broken_rule"]] = row["count"]
    failed = [rule for column, rule in by_rule if column == FAILED]
    if failed:
        raise found_by_executors(f"the {name} table: {min(failed)}")
    take_times(log, by_rule)
    by_rule = {k: num for k, num in by_rule.items() if not k[0].startswith(MESSAGE)}
    rows = of_broken(checked).select("row").distinct()
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
    refuse_share(num_broken, num_rows, name, rules, which)
    if num_broken > limits.broken_rows_in_a_row:
        _refuse_run(checked, source)
    return Counts(num_good, num_broken, which, num_cells)


def of_broken(checked: DataFrame) -> DataFrame:
    """Rows of ``CHECKED`` that break a rule; packed rows and messages are none."""
    from pyspark.sql import functions as F

    return checked.filter(F.substring("broken_column", 1, 1) != MESSAGE)


def _refuse_run(checked: DataFrame, source: Source) -> None:
    """Refuse too many broken rows in a row: tasks see only those of their part."""
    import polars as pl

    columns = "row", "broken_column", "broken_rule", "order_id"
    broken = pl.DataFrame(pl.from_arrow(of_broken(checked).select(*columns).toArrow()))
    log = QuarantineLog()
    kinds = "broken_column", "broken_rule"
    for (column, rule), found in broken.sort(*columns).group_by(kinds):
        ids = found["order_id"].head(NUM_EXAMPLES).drop_nulls().to_list()
        name = source.table.name
        log.add(name, found["row"].to_numpy(), str(column), str(rule), ids)
    log.refuse_run(source, broken["row"].unique().sort().to_numpy())


def refuse_share(
    num_broken: int, num_rows: int, name: str, rules: Rules, which: str
) -> None:
    """
    Refuse a table of whose rows too many break a rule.

    Parameters
    ----------
    num_broken, num_rows
        Rows that do, and all.
    name
        Of the table.
    rules
        Of the night, with the share that is allowed.
    which
        Rules that are broken, in words.

    Raises
    ------
    DataError
        With these.
    """
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


def broken_rows(checked: DataFrame, name: str) -> DataFrame:
    """
    Rows of the quarantine table, of those that break a rule.

    Parameters
    ----------
    checked
        ``CHECKED`` rows.
    name
        Of their table.
    """
    from pyspark.sql import functions as F

    return of_broken(checked).select(
        F.lit(name).alias("source"),
        (F.col("row") + 1).alias("row"),
        F.col("broken_column").alias("column"),
        F.col("broken_rule").alias("rule"),
    )


def stray_rows(strays: DataFrame) -> DataFrame:
    """
    Rows of the quarantine table, of options that name no order.

    Parameters
    ----------
    strays
        With ``row``.
    """
    from pyspark.sql import functions as F

    return strays.select(
        F.lit("options").alias("source"),
        (F.col("row") + 1).alias("row"),
        F.lit("order_id").alias("column"),
        F.lit("names no order").alias("rule"),
    )
