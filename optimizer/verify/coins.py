r"""
The margin arm, paired and tossed again.

A merchant with :math:`n` parcels in the plan has
:math:`\lfloor e\,n + u \rfloor` pairs, :math:`u` the first 64 bits of SHA-256 of
seed, date, ``margin`` and merchant. A pair is a parcel of the plan and an open one
beside it, both of the merchant and on one lane. Pairs are taken one after the other: of
the parcels that are still free the two whose savings differ least, then those of the
smaller keys. A parcel of the plan keeps its place if its draw for ``margin`` is below
one half.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from optimizer.verify.draws import Keyed, keys_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb

_FULL = 2**64


@dataclass(frozen=True, slots=True)
class _Parcel:
    """A parcel that a pair may have: its key, its saving and how it would go."""

    key: int
    order: str
    carrier: str
    saving: int


def false_coins(
    statement: duckdb.DuckDBPyConnection, holdout: Mapping[str, Any], date: str
) -> list[str]:
    """
    Find orders that are only in the published margin arm, or only in the restated one.

    Parameters
    ----------
    statement
        After its plan.
    holdout
        As configured.
    date
        Of the night.
    """
    theirs = {
        order: (carrier, premium)
        for order, carrier, premium in statement.execute(
            "SELECT order_id, carrier_id, is_premium FROM decision WHERE arm = 'margin'"
        ).fetchall()
    }
    keyed = Keyed(int(holdout["seed"]), date)
    ours = _tossed(statement, Fraction(str(holdout["explore_share"])), keyed)
    return [
        f"order {name}: the coin says {ours.get(name)}, published {theirs.get(name)}"
        for name in sorted({*theirs, *ours})
        if theirs.get(name) != ours.get(name)
    ]


def _tossed(
    statement: duckdb.DuckDBPyConnection, share: Fraction, keyed: Keyed
) -> dict[str, tuple[str, bool]]:
    """Orders of all pairs, with their carrier and whether they get premium."""
    planned = statement.execute(
        "SELECT merchant_id, count(*) FROM chosen "
        "WHERE merchant_id IS NOT NULL GROUP BY merchant_id"
    ).fetchall()
    quota = {
        merchant: number
        for merchant, num in planned
        if (number := _num_pairs(share, num, merchant, keyed))
    }
    if not quota:
        return {}
    statement.execute("CREATE TEMP TABLE coin_quota (merchant_id VARCHAR, num BIGINT)")
    statement.executemany("INSERT INTO coin_quota VALUES (?, ?)", [*quota.items()])
    statement.execute(_LANE_OF)
    inside, outside = _groups(statement, _INSIDE), _groups(statement, _OUTSIDE)
    lanes_of: dict[str, list[int]] = {}
    for merchant, lane in inside:
        lanes_of.setdefault(merchant, []).append(lane)
    found: dict[str, tuple[str, bool]] = {}
    for merchant, lanes in lanes_of.items():
        pairs = _paired(
            [
                (inside[merchant, lane], outside.get((merchant, lane), []))
                for lane in lanes
            ],
            quota[merchant],
        )
        coins = keyed.draw(keys_of([one.order for one, _ in pairs]), "margin")
        for (one, other), coin in zip(pairs, coins.tolist(), strict=True):
            is_kept = coin < _FULL // 2
            found[one.order] = one.carrier, is_kept
            found[other.order] = other.carrier, not is_kept
    return found


def _num_pairs(share: Fraction, num_planned: int, merchant: str, keyed: Keyed) -> int:
    """Pairs of a merchant: its share, and perhaps one more for the fraction."""
    text = f"{keyed.seed}|{keyed.date}|margin|{merchant}"
    part = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    exact = share * num_planned * _FULL
    return (exact.numerator // exact.denominator + part) // _FULL


def _paired(
    lanes: list[tuple[list[_Parcel], list[_Parcel]]], number: int
) -> list[tuple[_Parcel, _Parcel]]:
    """Take the cheapest pairs of a merchant, one after the other."""
    used: set[str] = set()
    found: list[tuple[_Parcel, _Parcel]] = []
    while len(found) < number:
        heads = []
        for inner, outer in lanes:
            one = next((p for p in inner if p.order not in used), None)
            other = next((p for p in outer if p.order not in used), None)
            if one is not None and other is not None:
                heads.append(
                    (one.saving - other.saving, one.key, other.key, one, other)
                )
        if not heads:
            break
        *_, one, other = min(heads, key=lambda head: head[:3])
        used |= {one.order, other.order}
        found.append((one, other))
    return found


def _groups(
    statement: duckdb.DuckDBPyConnection, query: str
) -> dict[tuple[str, int], list[_Parcel]]:
    """Parcels by merchant and lane, the nearest to the cut-off first."""
    found: dict[tuple[str, int], list[_Parcel]] = {}
    for merchant, lane, key, *rest in statement.execute(query).fetchall():
        found.setdefault((merchant, lane), []).append(_Parcel(key, *rest))
    return found


_LANE_OF = """
CREATE TEMP TABLE coin_lane AS
SELECT place, max_by(lane, depth) AS lane FROM path GROUP BY place
"""
_INSIDE = """
SELECT c.merchant_id, l.lane, key_of(d.order_id, 0) AS key, d.order_id, d.carrier_id,
    c.saving
FROM chosen AS c
JOIN decision AS d USING (number)
JOIN coin_lane AS l USING (place)
SEMI JOIN coin_quota AS q ON q.merchant_id = c.merchant_id
ORDER BY c.saving, key
"""
# No pair is further from the cut-off than the number of pairs.
_OUTSIDE = """
SELECT merchant_id, lane, key, order_id, carrier_id, saving FROM (
    SELECT w.merchant_id, l.lane, key_of(d.order_id, 0) AS key, d.order_id,
        w.carrier_id, w.saving, q.num
    FROM way AS w
    JOIN decision AS d USING (number)
    JOIN coin_lane AS l USING (place)
    JOIN coin_quota AS q ON q.merchant_id = w.merchant_id
    SEMI JOIN (
        SELECT c.merchant_id, l.lane FROM chosen AS c JOIN coin_lane AS l USING (place)
    ) AS has ON has.merchant_id = w.merchant_id AND has.lane = l.lane
    WHERE d.kept_out IS NULL AND d.order_id IS NOT NULL
        AND w.number NOT IN (SELECT number FROM chosen)
)
QUALIFY row_number() OVER (
    PARTITION BY merchant_id, lane ORDER BY saving DESC, key
) <= num
ORDER BY saving DESC, key
"""
