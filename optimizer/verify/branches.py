r"""
The bound by branches, walked through a second time.

The tree says of each node whether its plans have an order on a carrier. A node has no
children, or two: with and without. Each node without children has prices; what its
plans are worth at most follows from these, with everything that the way to it fixes
taken out of choice, its load out of its lane.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.verify.whole_lanes import most_worth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import duckdb
    from numpy.typing import NDArray

#: Prices times loads stay far inside 64 bits, or are no prices.
MAX_CHARGE = 2**60

_WAYS = """
SELECT d.order_id, w.carrier_id, w.number, w.saving::BIGINT AS saving,
    (w.load * c.part)::BIGINT AS load, c.part::BIGINT AS part, w.place, w.cell,
    w.merchant_id, p.deepest
FROM way AS w
JOIN counting AS c USING (merchant_id)
JOIN place_price AS p USING (place)
JOIN decision AS d USING (number)
WHERE NOT d.is_in_pool
ORDER BY w.number, w.carrier_id
"""
_LANES = """
SELECT l.lane, (s.room - u.explored)::BIGINT AS room, p.row,
    h.lane IS NOT NULL AS has_child
FROM lane AS l
JOIN lane_said AS s USING (lane)
JOIN lane_used AS u USING (lane)
LEFT JOIN has_child AS h USING (lane)
LEFT JOIN (
    SELECT file_row_number + 1 AS row, *
    FROM read_parquet(getvariable('run') || '/lanes.parquet', file_row_number = true)
) AS p ON p.carrier_id = l.carrier_id AND p.region_id IS NOT DISTINCT FROM l.region_id
    AND p.outlet_id IS NOT DISTINCT FROM l.outlet_id
    AND p.service_date IS NOT DISTINCT FROM l.day
ORDER BY l.lane
"""
_CAPS = """
SELECT c.merchant_id, (c.cap - u.explored)::BIGINT AS room, p.row
FROM cap_said AS c
JOIN cap_used AS u USING (merchant_id)
JOIN (
    SELECT file_row_number + 1 AS row, merchant_id FROM read_parquet(
        getvariable('run') || '/merchants.parquet', file_row_number = true)
) AS p USING (merchant_id)
ORDER BY c.merchant_id
"""
_LIMITS = """
SELECT l.id, l.high, l.weight, l.scale, l.used, l.penalty, p.row,
    CASE WHEN l.penalty IS NULL THEN least(l.low, l.used) ELSE l.low END AS low,
    coalesce(l.low, 0) > 0 AS has_floor
FROM limit_said AS l
JOIN (
    SELECT file_row_number + 1 AS row, "kind", "limit",
        row_number() OVER (PARTITION BY "kind", "limit" ORDER BY file_row_number) AS nth
    FROM rows_said
) AS p ON p."kind" = l.kind AND p."limit" = l.name
    AND p.nth = l.nth
WHERE l.can_bind
ORDER BY l.id
"""
_COUNTS = """
SELECT w.number, w.carrier_id, i.id, NULL FROM way AS w JOIN in_cell AS i USING (cell)
WHERE i.id NOT IN (SELECT id FROM bound_row WHERE weight = 'resource')
UNION ALL
SELECT w.number, w.carrier_id, i.id, NULL
FROM way AS w JOIN of_merchant AS i USING (merchant_id)
UNION ALL
SELECT w.number, w.carrier_id, l.id, NULL FROM way AS w, limit_said AS l
WHERE l.weight = 'part'
UNION ALL
SELECT number, carrier_id, id, taken::BIGINT FROM resource_entry
"""


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """
    All ways of the night's orders, and its limits.

    Attributes
    ----------
    number
        ``{(order_id, carrier_id): way}``.
    order, merchant, lane, load, saving
        ``(k,) int64`` by way; ``lane`` is the one that holds no other on its path.
    lane_use, row_use
        ``(k, n) int64``: what a way takes of each lane and each further limit.
    cap, room, high, low
        Limits of merchants, lanes and further rows; -1: no ceiling, no floor.
    lowest
        ``(num_rows,) int64``: how far below 0 the price of a floor may be.
    has_child
        ``(num_lanes,) bool``: lanes around others.
    must
        ``(num_orders,) bool``: pins that the plan keeps.
    rows
        Rows of published tables as places here, by table.
    scale
        What published prices of each place are divided by, by table.
    """

    number: Mapping[tuple[str, str], int]
    order: NDArray[np.int64]
    merchant: NDArray[np.int64]
    lane: NDArray[np.int64]
    load: NDArray[np.int64]
    saving: NDArray[np.int64]
    lane_use: NDArray[np.int64]
    row_use: NDArray[np.int64]
    cap: NDArray[np.int64]
    room: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    lowest: NDArray[np.int64]
    has_child: NDArray[np.bool_]
    must: NDArray[np.bool_]
    rows: Mapping[str, Mapping[Any, int]]
    scale: Mapping[str, NDArray[np.int64]]


def fill_branches(statement: duckdb.DuckDBPyConnection) -> list[str]:
    """
    Give the statement the bound of the tree.

    Parameters
    ----------
    statement
        With the plan, the limits and the ways of the night.

    Returns
    -------
    list of str
        What is wrong with the tree, so that it bounds nothing.
    """
    try:
        ways = _ways(statement)
        nodes = statement.execute(
            "SELECT node, parent, order_id, carrier_id, is_in FROM branches_said "
            "ORDER BY file_row_number"
        ).fetchall()
        leaves = dict(_leaves(nodes, ways.number))
        prices = _prices(statement, ways, leaves)

        def most(node: int, is_filled: bool) -> tuple[int, int] | None:
            return _most(ways, leaves[node], prices[node], is_filled)

        bounds = _bounded([*leaves], most, _enough(statement))
        if not bounds:
            raise _WrongTreeError("no branch leaves any plan")
    except _WrongTreeError as error:
        return [str(error)]
    least, most_of_all = (max(side) for side in zip(*bounds, strict=True))
    statement.execute("INSERT INTO given_branches VALUES (?, ?)", [least, most_of_all])
    return []


def _enough(statement: duckdb.DuckDBPyConnection) -> int | None:
    """What a branch's bound has to stay below to bear the published one out."""
    ((bound, unit),) = statement.execute(
        "SELECT claim('$.certificate.dual_bound')::HUGEINT, "
        "greatest(1, coalesce(claim('$.certificate.unit')::BIGINT, 1))"
    ).fetchall()
    return None if bound is None else bound + unit


def _bounded(
    nodes: list[int],
    most: Callable[[int, bool], tuple[int, int] | None],
    enough: int | None,
) -> list[tuple[int, int]]:
    """
    Bound all leaves; large lanes are filled only where a price of their slots is
    not enough, and no more of them once a leaf refutes what is published.

    Parameters
    ----------
    nodes
        The leaves.
    most
        Both sides of a leaf's bound, its large lanes filled or not; ``None``: no plan.
    enough
        What all have to stay below; ``None`` where nothing is published.
    """
    bounds = {node: both for node in nodes if (both := most(node, False)) is not None}
    for node in sorted(bounds, key=lambda node: (-bounds[node][1], node)):
        if enough is not None and bounds[node][1] < enough:
            break
        filled = most(node, True)
        if filled is not None:
            bounds[node] = filled
        if enough is None or bounds[node][0] >= enough:
            break
    return [*bounds.values()]


class _WrongTreeError(Exception):
    """The tree bounds nothing."""


def _leaves(
    nodes: list[tuple[Any, ...]], number: Mapping[tuple[str, str], int]
) -> Iterator[tuple[int, list[tuple[int, bool]]]]:
    """Walk from node 0; nodes without children, and what the way to each fixes."""
    children: dict[int | None, list[tuple[Any, ...]]] = {}
    for row in nodes:
        children.setdefault(row[1], []).append(row)
    roots = children.get(None, [])
    if len(roots) != 1 or roots[0] != (0, None, None, None, roots[0][4]):
        raise _WrongTreeError("node 0 is not the only one without a parent")
    stack: list[tuple[int, list[tuple[int, bool]]]] = [(0, [])]
    seen: set[int] = set()
    while stack:
        node, way = stack.pop()
        if node in seen:
            raise _WrongTreeError(f"node {node} is there twice")
        seen.add(node)
        below = children.get(node, [])
        if not below:
            yield node, way
            continue
        about = {(row[2], row[3]) for row in below}
        if sorted(str(row[4]) for row in below) != ["False", "True"] or len(about) > 1:
            raise _WrongTreeError(
                f"node {node} is not divided into plans with an option and without it"
            )
        (option,) = about
        if option not in number:
            raise _WrongTreeError(
                f"node {node} is divided by order {option[0]} on {option[1]}, which is "
                "no option"
            )
        stack += [(row[0], [*way, (number[option], row[4])]) for row in below]
    if len(seen) != len(nodes):
        raise _WrongTreeError(f"{len(nodes) - len(seen):,} nodes do not hang on node 0")


def _ways(statement: duckdb.DuckDBPyConnection) -> Ways:
    """Read ways and limits from the statement."""
    ways = statement.execute(_WAYS).fetchall()
    lanes = statement.execute(_LANES).fetchall()
    caps = statement.execute(_CAPS).fetchall()
    limits = statement.execute(_LIMITS).fetchall()
    lane_at = {row[0]: at for at, row in enumerate(lanes)}
    cap_at = {row[0]: at for at, row in enumerate(caps)}
    limit_at = {row[0]: at for at, row in enumerate(limits)}
    order_at = {key: at for at, key in enumerate(dict.fromkeys(row[2] for row in ways))}
    way_at = {(row[2], row[1]): at for at, row in enumerate(ways)}
    load = _whole(row[4] for row in ways)
    lane_use = np.zeros((len(ways), len(lanes)), np.int64)
    paths: dict[int, list[int]] = {}
    for place, lane in statement.execute("SELECT place, lane FROM path").fetchall():
        paths.setdefault(place, []).append(lane_at[lane])
    for at, row in enumerate(ways):
        lane_use[at, paths[row[6]]] = row[4]
    row_use = np.zeros((len(ways), len(limits)), np.int64)
    for order, carrier, limit, taken in statement.execute(_COUNTS).fetchall():
        way = way_at.get((order, carrier))
        if limit in limit_at and way is not None:
            weight = limits[limit_at[limit]][2]
            amount = {"load": ways[way][4], "part": ways[way][5]}.get(weight, 1)
            row_use[way, limit_at[limit]] = amount if taken is None else taken
    kept = {
        row[0] for row in statement.execute("SELECT number FROM kept_pin").fetchall()
    }
    parts = statement.execute("SELECT getvariable('scale')::BIGINT").fetchall()
    return Ways(
        number={(row[0], row[1]): at for at, row in enumerate(ways)},
        order=_whole(order_at[row[2]] for row in ways),
        merchant=_whole(cap_at[row[8]] for row in ways),
        lane=_whole(lane_at[row[9]] for row in ways),
        load=load,
        saving=_whole(row[3] for row in ways),
        lane_use=lane_use,
        row_use=row_use,
        cap=_whole(row[1] for row in caps),
        room=_whole(row[1] for row in lanes),
        high=_whole(-1 if row[1] is None else row[1] for row in limits),
        low=_whole(row[7] if row[8] else -1 for row in limits),
        lowest=_whole(
            0 if not row[8] else MAX_CHARGE if row[5] is None else row[5]
            for row in limits
        ),
        has_child=np.array([row[3] for row in lanes], np.bool_),
        must=np.array([key in kept for key in order_at], np.bool_),
        rows={
            "lanes": {row[2]: at for at, row in enumerate(lanes)},
            "merchants": {row[2]: at for at, row in enumerate(caps)},
            "rows": {row[6]: at for at, row in enumerate(limits)},
            "orders": {row[0]: order_at[row[2]] for row in ways},
        },
        scale={
            "lanes": np.full(len(lanes), parts[0][0], np.int64),
            "merchants": np.ones(len(caps), np.int64),
            "rows": _whole(row[3] for row in limits),
            "orders": np.ones(len(order_at), np.int64),
        },
    )


def _whole(values: Any) -> NDArray[np.int64]:
    return np.array([*values], np.int64)


def _prices(
    statement: duckdb.DuckDBPyConnection,
    ways: Ways,
    leaves: Mapping[int, Any],
) -> dict[int, dict[str, NDArray[np.int64]]]:
    """Prices of each leaf by table; 0 where none is published."""
    found = {
        node: {table: np.zeros(len(one), np.int64) for table, one in ways.scale.items()}
        for node in leaves
    }
    listed = statement.execute(
        'SELECT node, "table", "row", order_id, micro_of(price_cny)::HUGEINT '
        "FROM branch_prices_said ORDER BY file_row_number"
    ).fetchall()
    for node, table, row, order_id, price in listed:
        at = ways.rows.get(table, {}).get(order_id if table == "orders" else row)
        if node not in found or at is None or price is None:
            raise _WrongTreeError(
                f"a price of {table} is of node {node}, row {row}, order {order_id}, "
                "which have none"
            )
        scale = int(ways.scale[table][at])
        if price % scale or not -MAX_CHARGE < price < MAX_CHARGE:
            raise _WrongTreeError(f"a price of {table} in node {node} is none")
        found[node][table][at] = price // scale
    for node, prices in found.items():
        _check(ways, node, prices)
    return found


def _check(ways: Ways, node: int, prices: Mapping[str, NDArray[np.int64]]) -> None:
    """Refuse prices with which no bound holds."""
    row = prices["rows"]
    is_wrong = (
        np.any(prices["lanes"] < 0)
        or np.any(prices["merchants"] < 0)
        or np.any((prices["orders"] < 0) & ~ways.must)
        or np.any((row > 0) & (ways.high < 0))
        or np.any(-row > ways.lowest)
    )
    if is_wrong:
        raise _WrongTreeError(f"a price of node {node} bounds nothing")
    most = sum(int(np.abs(each).max(initial=0)) for each in prices.values())
    amount = int(max(ways.lane_use.max(initial=1), ways.row_use.max(initial=1)))
    if most * amount * max(len(row) + len(ways.room), 1) > MAX_CHARGE:
        raise _WrongTreeError(f"a price of node {node} is beyond any saving")


def _most(
    ways: Ways,
    fixed: list[tuple[int, bool]],
    prices: Mapping[str, NDArray[np.int64]],
    is_filled: bool,
) -> tuple[int, int] | None:
    """
    Most that a leaf's plans can be worth, from both sides; ``None``: it has none.

    Parameters
    ----------
    ways, fixed, prices
        The night, what the way to the leaf fixes, and its prices.
    is_filled
        Whether large lanes are filled, not only priced: then both sides may differ.
    """
    taken = sorted({way for way, is_in in fixed if is_in})
    left_out = {way for way, is_in in fixed if not is_in}
    orders = ways.order[taken]
    is_free = ~np.isin(ways.order, orders)
    is_free[[*left_out]] = False
    can_be = np.isin(np.arange(len(ways.must)), orders)
    can_be[ways.order[is_free]] = True
    of_merchant = np.bincount(ways.merchant[taken], minlength=len(ways.cap))
    is_above = (ways.high >= 0) & (ways.row_use[taken].sum(axis=0) > ways.high)
    if (
        len({*orders.tolist()}) < len(taken)
        or left_out.intersection(taken)
        or np.any(of_merchant > ways.cap)
        or np.any(ways.lane_use[taken].sum(axis=0) > ways.room)
        or np.any(is_above)
        or not np.all(can_be[ways.must])
    ):
        return None
    outer = np.where(ways.has_child, prices["lanes"], 0)
    value = ways.saving - ways.lane_use @ outer - ways.row_use @ prices["rows"]
    value -= prices["merchants"][ways.merchant] + prices["orders"][ways.order]
    limit = np.where(prices["rows"] > 0, ways.high, ways.low)
    total = sum(
        _dot(amount, price)
        for amount, price in (
            (ways.cap, prices["merchants"]),
            (ways.room, outer),
            (limit, prices["rows"]),
            (np.ones_like(prices["orders"]), prices["orders"]),
        )
    ) + sum(value[taken].tolist())
    least = most = total
    for lane in np.unique(ways.lane[is_free]).tolist():
        here = np.flatnonzero(is_free & (ways.lane == lane) & (value > 0))
        here = here[np.lexsort((-value[here], ways.load[here]))]
        forced = [way for way in taken if ways.lane[way] == lane]
        room = int(ways.room[lane]) - int(ways.load[forced].sum())
        worth, by_price = most_worth(
            ways.load[here], value[here], room, is_filled=is_filled
        )
        least, most = least + worth, most + by_price
    return least, most


def _dot(amount: NDArray[np.int64], price: NDArray[np.int64]) -> int:
    """Sum of products, of any size."""
    used = np.flatnonzero(price)
    pairs = zip(amount[used].tolist(), price[used].tolist(), strict=True)
    return sum(one * other for one, other in pairs)
