r"""
The explore arm, drawn again.

Every open order enters the arm with probability :math:`\min(1, 2 e c / n)` over its
merchant's cap (:math:`c` parcels, :math:`n` open orders) and the rows around the lane
of one of its ways, chosen by hash. Orders are admitted one after the other, in the
order of another hash, while their cap and rows have room, and a fair coin gives
premium. All draws are keyed by seed, date and purpose.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb
    from numpy.typing import NDArray

_FULL = 2**64
_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Keyed:
    """The key of a night's draws: seed and date."""

    seed: int
    date: str

    def draw(self, key: NDArray[np.uint64], purpose: str) -> NDArray[np.uint64]:
        """Numbers below 2**64 for a purpose."""
        text = f"{self.seed}|{self.date}|{purpose}".encode()
        digest = hashlib.sha256(text).digest()
        first, second = (np.uint64(int.from_bytes(digest[i : i + 8])) for i in (0, 8))
        return finished(finished(key ^ first) + second)


def finished(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix as MurmurHash3 ends."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        values = (values ^ (values >> np.uint64(33))) * np.uint64(factor)
    return values ^ (values >> np.uint64(33))


def keys_of(ids: list[str]) -> NDArray[np.uint64]:
    """
    Keys of ids: FNV-1a over the bytes, finished.

    Examples
    --------
    >>> hex(int(keys_of(["a"])[0]))
    '0x82a2a958a9bece5b'
    """
    texts = [name.encode() for name in ids]
    state = np.full(len(texts), 0xCBF29CE484222325, np.uint64)
    length = np.array([len(text) for text in texts], np.int64)
    for place in range(int(length.max(initial=0))):
        row = np.flatnonzero(length > place)
        byte = np.array([texts[r][place] for r in row.tolist()], np.uint64)
        state[row] = (state[row] ^ byte) * np.uint64(0x100000001B3)
    return finished(state)


def false_draws(
    statement: duckdb.DuckDBPyConnection, holdout: Mapping[str, Any], date: str
) -> list[str]:
    """
    Find orders that are only in the published explore arm, or only in the draw.

    Parameters
    ----------
    statement
        After its plan.
    holdout
        As configured.
    date
        Of the night.
    """
    share = Fraction(str(holdout["explore_share"]))
    keyed = Keyed(int(holdout["seed"]), date)
    theirs = {
        order: (carrier, premium)
        for order, carrier, premium in statement.execute(
            "SELECT order_id, carrier_id, is_premium FROM decision WHERE is_in_pool"
        ).fetchall()
    }
    ours = _drawn(statement, share, keyed)
    return [
        f"order {name}: drawn is {ours.get(name)}, published {theirs.get(name)}"
        for name in sorted({*theirs, *ours})
        if theirs.get(name) != ours.get(name)
    ]


def _drawn(
    statement: duckdb.DuckDBPyConnection, share: Fraction, keyed: Keyed
) -> dict[str, tuple[str, bool]]:
    """Orders of the arm, with the carrier and the result of the coin."""
    lanes = Lanes.read(statement)
    caps = dict(
        (merchant, (cap, num))
        for merchant, cap, num in statement.execute(
            "SELECT merchant_id, cap, num_open FROM cap"
        ).fetchall()
    )
    rows = statement.execute(
        "SELECT d.order_id, d.true_merchant_id, w.place, w.carrier_id "
        "FROM decision AS d JOIN way AS w USING (number) "
        "WHERE d.order_id IS NOT NULL ORDER BY d.number"
    ).fetchall()
    ways: dict[str, list[tuple[int, str]]] = {}
    merchant_of = {}
    for order, merchant, place, carrier in rows:
        ways.setdefault(order, []).append((place, carrier))
        merchant_of[order] = merchant
    names = list(ways)
    key = keys_of(names)
    entry, coin, turn, lot = (
        keyed.draw(key, purpose) for purpose in ("pool", "coin", "turn", "option")
    )
    limit = {m: _limit(share, cap, num) for m, (cap, num) in caps.items()}
    waiting = []
    for at, name in enumerate(names):
        if int(entry[at]) >= limit[merchant_of[name]]:
            continue
        place, carrier = _pick(ways[name], lanes, lot[at])
        if int(entry[at]) < min(
            _limit(share, *lanes.rows[r]) for r in lanes.path[place]
        ):
            waiting.append((int(turn[at]), int(key[at]), at, place, carrier))
    used_cap: dict[str, int] = {}
    used_row: dict[int, int] = {}
    found = {}
    for _, _, at, place, carrier in sorted(waiting):
        merchant, path = merchant_of[names[at]], lanes.path[place]
        if used_cap.get(merchant, 0) >= caps[merchant][0] or any(
            used_row.get(row, 0) >= lanes.rows[row][0] for row in path
        ):
            continue
        is_premium = int(coin[at]) < _FULL // 2
        found[names[at]] = (carrier, is_premium)
        if is_premium:
            used_cap[merchant] = used_cap.get(merchant, 0) + 1
            for row in path:
                used_row[row] = used_row.get(row, 0) + 1
    return found


def _limit(share: Fraction, room: int, demand: int) -> int:
    """``min(1, 2 e room / demand)`` of 2**64, in whole numbers."""
    exact = 2 * share * room * _FULL / max(demand, 1)
    return min(exact.numerator // exact.denominator, _FULL - 1)


def _pick(ways: list[tuple[int, str]], lanes: Lanes, lot: np.uint64) -> tuple[int, str]:
    """One way of an order, by hash."""
    turn = np.array([lanes.turn[lanes.path[place][-1]] for place, _ in ways], np.uint64)
    with np.errstate(over="ignore"):
        mixed = finished(lot + turn * _ODD)
    ranked = sorted(zip(mixed.tolist(), turn.tolist(), ways, strict=True))
    return ranked[0][2]


@dataclass(frozen=True, slots=True)
class Lanes:
    """
    The lanes of a night.

    Attributes
    ----------
    path
        Rows of each place, the widest first.
    rows
        Slots and demand of each row.
    turn
        Its turn among all rows.
    """

    path: dict[int, list[int]]
    rows: dict[int, tuple[int, int]]
    turn: dict[int, int]

    @classmethod
    def read(cls, statement: duckdb.DuckDBPyConnection) -> Lanes:
        """Read them after the night's ways are stated."""
        path: dict[int, list[int]] = {}
        for place, row in statement.execute(
            "SELECT place, lane FROM path ORDER BY place, depth"
        ).fetchall():
            path.setdefault(place, []).append(row)
        rows = {
            row: (slots, num)
            for row, slots, num in statement.execute(
                "SELECT l.lane, l.slots, coalesce(sum(w.num), 0)::BIGINT "
                "FROM lane AS l LEFT JOIN path AS p USING (lane) "
                "LEFT JOIN (SELECT place, count(*) AS num FROM way GROUP BY place) "
                "AS w USING (place) GROUP BY ALL"
            ).fetchall()
        }
        depth = {
            row: at for rows_over in path.values() for at, row in enumerate(rows_over)
        }
        names = statement.execute(
            "SELECT lane, carrier_id, coalesce(region_id, ''), "
            "coalesce(outlet_id, ''), coalesce(day::VARCHAR, '') FROM lane"
        ).fetchall()
        above = dict(
            statement.execute("SELECT lane, above FROM lane_off_path").fetchall()
        )

        def depth_of(row: int) -> int:
            if row not in depth:
                wider = above[row]
                depth[row] = 0 if wider is None else depth_of(wider) + 1
            return depth[row]

        order = sorted((depth_of(row), name, row) for row, *name in names)
        return cls(path, rows, {row: at for at, (_, _, row) in enumerate(order)})
