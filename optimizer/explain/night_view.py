"""A night in six lines, and what one more slot is worth beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.contracts.headline import expected_words
from optimizer.errors import counted
from optimizer.report.figures import with_values
from optimizer.views import View, counts, gap_words

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping

    import polars as pl

    from optimizer.certify.certificate import Certificate
    from optimizer.contracts.warnings import CodedWarning

#: Warnings that say what all of a night rests on.
_BASIS = ("MODEL_IS_PRIOR", "RISK_IS_STATED")
_NUM_PRICES = 3


def night_view(
    date: dt.date | None,
    record: Mapping[str, Any],
    proof: Certificate,
    warnings: tuple[CodedWarning, ...],
    assumptions: tuple[CodedWarning, ...],
    lanes: pl.DataFrame,
    merchants: pl.DataFrame,
) -> View:
    """
    Say what was chosen, what it avoids, how it is proved, and why not more.

    Parameters
    ----------
    date
        Of the night; ``None`` where it is unknown.
    record
        Its record, with its summary and its rules.
    proof, warnings, assumptions
        Its certificate, what a person should look at, and what it takes for true.
    lanes, merchants
        Its tables, with the value of one more slot.
    """
    numbers = record["summary"]
    orders = f"{numbers['num_chosen']:,} of {counted(numbers['num_orders'], 'order')}"
    day = "" if date is None else f" of {date}"
    title = f"Night{day}: {orders} chosen (caps allow {numbers['sum_of_caps']:,})"
    others = {
        name: count for name, count in numbers["reasons"].items() if name != "CHOSEN"
    }
    verb, _, avoided = expected_words(record).partition(" ")
    rows = [
        (verb, avoided),
        ("proof", gap_words(proof.gap, proof.relative_gap)),
    ]
    if "draw" in numbers:
        by_draw = f"{numbers['saving_cny']:,.2f} CNY by the savings that were drawn"
        rows.append(("drawn", f"{by_draw}, which the proof is of"))
    if reasons := counts(others):
        rows.append(("others", reasons))
    if basis := [str(said) for said in warnings if said.code in _BASIS]:
        rows.append(("rests on", basis[0]))
    if taken := len(assumptions):
        said = counted(taken, "assumption")
        rows.append(("takes", f"{said} for true, in .assumptions"))
    if found := len(warnings):
        rows.append(("look at", f"{counted(found, 'warning')}, in .warnings"))
    return View(title, tuple(rows), tuple(_prices(lanes, merchants)))


def _prices(lanes: pl.DataFrame, merchants: pl.DataFrame) -> Iterator[tuple[str, str]]:
    """The lanes and merchants where one more slot brings most, or has a price."""
    valued = with_values(lanes, "one_more_around_cny")
    is_exact = lanes["one_more_around_cny"].null_count() == 0
    slot = "one more slot" if is_exact else "price of slot"
    for row in _dearest(valued, "carrier_id", "region_id", "outlet_id"):
        parts = (row["carrier_id"], row["region_id"], row["outlet_id"])
        place = "/".join(part or "" for part in parts).rstrip("/")
        around = ", with all around it" if is_exact else ""
        yield slot, f"{place}: {row['around']:,.2f} CNY{around}"
    for row in _dearest(with_values(merchants, "one_more_cny"), "merchant_id"):
        cap = "one more in cap" if row["alone"] is not None else "price in cap"
        yield cap, f"{row['merchant_id']}: {row['around']:,.2f} CNY"


def _dearest(table: pl.DataFrame, *names: str) -> list[dict[str, Any]]:
    import polars as pl

    price = pl.col("around")
    priced = table.filter(price > 0).sort(price.neg(), *names, nulls_last=False)
    return priced.head(_NUM_PRICES).to_dicts()
