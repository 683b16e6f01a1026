"""
The cheap half of verification of a cluster's night, before its record names it.

Executors read back what they wrote; caps, slots and sums are counted again from the
decisions that stand there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.contracts.tables import (
    DECISIONS,
    LANE_RESULTS,
    MERCHANT_RESULTS,
    RECOMMENDATIONS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pyspark.sql import DataFrame

    from optimizer.contracts.columns import Table

_TOLD = ["order_id", "merchant_id", "carrier_id", "saving_cny"]


def false_writing(
    read: Callable[[Table], DataFrame], summary: Mapping[str, Any]
) -> list[str]:
    """
    Find what a written night says that its own tables do not.

    Parameters
    ----------
    read
        Opens a published table.
    summary
        Of the night's record.
    """
    from pyspark.sql import functions as F

    decisions, merchants = read(DECISIONS), read(MERCHANT_RESULTS)
    is_kept = F.col("arm").isin("policy", "thompson")
    is_held_out = (F.col("reason") == "HELD_OUT") & is_kept
    taking = decisions.filter(
        F.col("is_premium") | F.coalesce(is_held_out, F.lit(False))
    )
    used = taking.groupBy("merchant_id").agg(F.count("*").alias("counted"))
    differing = merchants.join(used, "merchant_id", "full_outer").filter(
        F.coalesce("used", F.lit(-1)) != F.coalesce("counted", F.lit(0))
    )
    chosen = decisions.filter("is_premium").select(_TOLD)
    told = read(RECOMMENDATIONS).select(_TOLD)
    return [
        *_false_sums(decisions, merchants, summary),
        *_any(differing, "merchants: used is not counted so"),
        *_any(_false_use(merchants, "cap"), "merchants: cap, used and slack disagree"),
        *_any(
            _false_use(read(LANE_RESULTS), "slots"),
            "lanes: slots, used and slack disagree",
        ),
        *_any(
            chosen.exceptAll(told).union(told.exceptAll(chosen)),
            "recommendations are not the chosen orders",
        ),
    ]


def _false_use(table: DataFrame, room: str) -> DataFrame:
    """Rows where more is used than there is, or the slack is not what is left."""
    return table.filter(f"slack < 0 OR slack != {room} - used")


def _any(rows: DataFrame, words: str) -> Iterator[str]:
    found = rows.head()
    if found is not None:
        yield f"{words}, first {found[0]}"


def _false_sums(
    decisions: DataFrame, merchants: DataFrame, summary: Mapping[str, Any]
) -> Iterator[str]:
    """Sums of the record's summary that the tables do not give."""
    from pyspark.sql import functions as F

    micro = F.round(F.col("saving_cny") * 1_000_000).cast("bigint")
    zero = F.lit(0)
    sums = decisions.agg(
        F.count("*").alias("num_orders"),
        F.count(F.when(F.col("is_premium"), 1)).alias("num_chosen"),
        F.coalesce(F.sum(F.when(F.col("is_premium"), micro)), zero).alias("micro"),
    ).toArrow()
    row = {name: sums[name][0].as_py() for name in sums.column_names}
    caps = merchants.agg(F.coalesce(F.sum("cap"), zero).alias("cap")).toArrow()
    true = {
        "num_orders": row["num_orders"],
        "num_chosen": row["num_chosen"],
        "sum_of_caps": caps["cap"][0].as_py(),
        "saving_cny": row["micro"] / 1_000_000,
    }
    for key, value in true.items():
        if summary[key] != value:
            yield f"summary.{key} is {summary[key]}, and the tables say {value}"
