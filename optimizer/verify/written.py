"""
The cheap half of verification: a night as it was written, before it is published.

It reads nothing but the folder: the record's form, every checksum, the tables' columns
and lengths, the evidence, and caps, slots and sums worked out from the decisions that
stand there. What needs the inputs is left to ``optimizer verify``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.contracts.run_folder import read_record
from optimizer.verify.form import false_form
from optimizer.verify.premises import (
    false_files,
    false_keys,
    false_root,
    false_shape,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import polars as pl


def false_writing(folder: Path) -> list[str]:
    """
    Find what a written night says that its own tables do not.

    Parameters
    ----------
    folder
        A whole version, published or not.

    Raises
    ------
    DataError
        When the folder is not a run at all.
    """
    record = read_record(folder)
    found = [*false_keys(folder), *false_form(record), *false_files(folder, record)]
    if found:
        return found
    found = [*false_shape(folder, record), *false_root(folder, record)]
    return found or [*_false_sums(folder, record)]


def _false_sums(folder: Path, record: Mapping[str, Any]) -> Iterator[str]:
    """Caps, slots and sums that do not follow from the decisions."""
    import polars as pl

    decisions = pl.scan_parquet(folder / "decisions.parquet").select(
        *("order_id", "merchant_id", "is_premium", "carrier_id", "saving_cny"),
        takes=pl.col("is_premium")
        | (pl.col("reason") == "HELD_OUT")
        & pl.col("arm").is_in(["policy", "thompson"]),
    )
    taking = decisions.filter("takes").collect()
    chosen = taking.filter("is_premium")
    merchants = pl.read_parquet(folder / "merchants.parquet")
    yield from _false_use(merchants, "merchants.parquet", "cap")
    used = taking.group_by("merchant_id").agg(counted=pl.len().cast(pl.Int64))
    both = merchants.join(used, on="merchant_id", how="full", coalesce=True)
    wrong = both.filter(pl.col("used").ne_missing(pl.col("counted").fill_null(0)))
    if len(wrong):
        yield f"merchants.parquet: used of {wrong['merchant_id'][0]} is not counted so"
    lanes = pl.read_parquet(folder / "lanes.parquet")
    yield from _false_use(lanes, "lanes.parquet", "slots")
    said = pl.read_parquet(folder / "recommendations.parquet")
    if not said.select(_TOLD).equals(chosen.select(_TOLD)):
        yield "recommendations.parquet are not the chosen orders of decisions.parquet"
    yield from _false_totals(chosen, merchants, record)


_TOLD = ("order_id", "merchant_id", "carrier_id", "saving_cny")


def _false_use(table: pl.DataFrame, name: str, room: str) -> Iterator[str]:
    """More used than there is, or a slack that is not what is left."""
    left = table[room] - table["used"]
    if (left < 0).any():
        yield f"{name}: more is used than {room} allows"
    if not left.equals(table["slack"].rename(room)):
        yield f"{name}: slack is not {room} less used"


def _false_totals(
    chosen: pl.DataFrame, merchants: pl.DataFrame, record: Mapping[str, Any]
) -> Iterator[str]:
    """Sums of the record's summary."""
    micro = (chosen["saving_cny"] * 1_000_000).round().cast(int).sum()
    true = {
        "num_orders": record["outputs"]["decisions.parquet"]["num_rows"],
        "num_chosen": len(chosen),
        "sum_of_caps": merchants["cap"].sum(),
        "saving_cny": micro / 1_000_000,
    }
    for key, value in true.items():
        if record["summary"][key] != value:
            said = record["summary"][key]
            yield f"summary.{key} is {said}, and the tables say {value}"
