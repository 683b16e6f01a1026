r"""
Capacity of a row where slots hold purchases by quantile.

A row with :math:`c` slots takes plans in which more than :math:`c` purchases come in at
most a share :math:`1 - q` of nights. Where all take-ups are :math:`u`, purchases are
binomial, and the row holds the largest number of recommendations for which that is so.
Where they differ it holds the largest mean, in parts of a parcel, for which the
binomial distribution of that mean on all its parcels keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

#: Digits of every sum: far more than any limit has.
_DIGITS = 60


@dataclass(frozen=True, slots=True)
class Row:
    """
    A capacity row, as the statement describes it.

    Attributes
    ----------
    slots, most_taken
        Purchases that it takes; what all ways that count in it take together.
    low, high
        Least and greatest take-up of these.
    """

    slots: int
    most_taken: int
    low: Fraction
    high: Fraction


def fill_rooms(statement: duckdb.DuckDBPyConnection, quantile: Decimal) -> None:
    """Give the statement the capacity of each of its rows."""
    (scale,) = statement.execute("SELECT getvariable('scale')").fetchone() or (1,)
    rows = statement.execute(
        "SELECT of, id, slots, most_taken, low::VARCHAR, high::VARCHAR FROM counted"
    ).fetchall()
    known: dict[Row, int] = {}
    rooms = []
    for of, number, slots, most_taken, low, high in rows:
        row = Row(slots, most_taken, Fraction(low), Fraction(high))
        if row not in known:
            known[row] = room_of(row, int(scale), 1 - quantile)
        rooms.append((of, number, known[row]))
    if rooms:
        statement.executemany("INSERT INTO given_room VALUES (?, ?, ?)", rooms)


def room_of(row: Row, scale: int, limit: Decimal) -> int:
    """
    Capacity of a row, in parts of a parcel.

    Parameters
    ----------
    row
        The row.
    scale
        Parts of a parcel; 1 where all take-ups are equal.
    limit
        Share of nights in which purchases may be too many.

    Examples
    --------
    >>> quarter = Fraction(1, 4)
    >>> room_of(Row(13, 1000, quarter, quarter), 1, Decimal("0.05"))
    36
    """
    if row.low == row.high or row.most_taken == 0:
        part = max(1, ceil(row.high * scale)) if scale > 1 else 1
        most = max(row.slots, row.most_taken)
        return part * _largest(
            row.slots, most, lambda n: beyond(n, row.high, row.slots) <= limit
        )
    if row.most_taken <= row.slots:
        return row.slots * scale
    return _largest(
        0,
        row.slots * scale,
        lambda mean: (
            beyond(row.most_taken, Fraction(mean, scale * row.most_taken), row.slots)
            <= limit
        ),
    )


def _largest(fits: int, most: int, is_safe: Callable[[int], bool]) -> int:
    """Largest number up to ``most`` that is safe; ``fits`` is."""
    while fits < most:
        middle = (fits + most + 1) // 2
        if is_safe(middle):
            fits = middle
        else:
            most = middle - 1
    return fits


def beyond(number: int, chance: Fraction, slots: int) -> Decimal:
    """
    Probability that more than ``slots`` of some independent purchases happen.

    Examples
    --------
    >>> beyond(3, Fraction(1, 2), 2)
    Decimal('0.125')
    """
    if slots >= number or chance == 0:
        return Decimal(0)
    if chance == 1:
        return Decimal(1)
    with localcontext() as context:
        context.prec = _DIGITS
        context.Emin, context.Emax = -(10**9), 10**9
        yes = Decimal(chance.numerator) / Decimal(chance.denominator)
        term = (1 - yes) ** number
        within = term
        for bought in range(1, slots + 1):
            term = term * (number - bought + 1) / bought * yes / (1 - yes)
            within += term
        return max(Decimal(0), 1 - within).normalize()
