r"""
The bound by branches, walked through a second time.

The tree says of each node whether its plans have an order on a carrier. A node has no
children, or two: with and without. Each node without children has prices; what its
plans are worth at most follows from these, with everything that the way to it fixes
taken out of choice, its load out of its lane.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.verify.leaves import (
    MAX_CHARGE,
    Leaf,
    Ways,
    WrongTreeError,
    most_of_leaves,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import duckdb
    from numpy.typing import NDArray

_WAYS = """
SELECT d.order_id, w.carrier_id, w.number, w.saving::BIGINT AS saving,
    e.units::BIGINT AS load, c.part::BIGINT AS part, w.place, w.cell,
    w.merchant_id, p.deepest
FROM way AS w
JOIN (SELECT number, place, units FROM charged) AS e USING (number, place)
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
        fixed = dict(_leaves(nodes, ways.number))
        prices = _prices(statement, ways, fixed)
        leaves = {
            node: Leaf(node=node, fixed=way, prices=prices[node])
            for node, way in fixed.items()
        }

        def most(nodes: Sequence[int], is_filled: bool) -> list[tuple[int, int] | None]:
            asked = [leaves[node] for node in nodes]
            return most_of_leaves(ways, asked, is_filled=is_filled)

        bounds = _bounded([*leaves], most, _enough(statement))
        if not bounds:
            raise WrongTreeError("no branch leaves any plan")
    except WrongTreeError as error:
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
    most: Callable[[Sequence[int], bool], list[tuple[int, int] | None]],
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
        Both sides of the leaves' bounds, large lanes filled or not; ``None``: no plan.
    enough
        What all have to stay below; ``None`` where nothing is published.
    """
    priced = zip(nodes, most(nodes, False), strict=True)
    bounds = {node: both for node, both in priced if both is not None}
    for node in sorted(bounds, key=lambda node: (-bounds[node][1], node)):
        if enough is not None and bounds[node][1] < enough:
            break
        (filled,) = most([node], True)
        if filled is not None:
            bounds[node] = filled
        if enough is None or bounds[node][0] >= enough:
            break
    return [*bounds.values()]


def _leaves(
    nodes: list[tuple[Any, ...]], number: Mapping[tuple[str, str], int]
) -> Iterator[tuple[int, list[tuple[int, bool]]]]:
    """Walk from node 0; nodes without children, and what the way to each fixes."""
    children: dict[int | None, list[tuple[Any, ...]]] = {}
    for row in nodes:
        children.setdefault(row[1], []).append(row)
    roots = children.get(None, [])
    if len(roots) != 1 or roots[0] != (0, None, None, None, roots[0][4]):
        raise WrongTreeError("node 0 is not the only one without a parent")
    stack: list[tuple[int, list[tuple[int, bool]]]] = [(0, [])]
    seen: set[int] = set()
    while stack:
        node, way = stack.pop()
        if node in seen:
            raise WrongTreeError(f"node {node} is there twice")
        seen.add(node)
        below = children.get(node, [])
        if not below:
            yield node, way
            continue
        about = {(row[2], row[3]) for row in below}
        if sorted(str(row[4]) for row in below) != ["False", "True"] or len(about) > 1:
            raise WrongTreeError(
                f"node {node} is not divided into plans with an option and without it"
            )
        (option,) = about
        if option not in number:
            raise WrongTreeError(
                f"node {node} is divided by order {option[0]} on {option[1]}, which is "
                "no option"
            )
        stack += [(row[0], [*way, (number[option], row[4])]) for row in below]
    if len(seen) != len(nodes):
        raise WrongTreeError(f"{len(nodes) - len(seen):,} nodes do not hang on node 0")


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
) -> dict[int, dict[tuple[str, int], int]]:
    """Prices of each leaf, by table and place in it."""
    found: dict[int, dict[tuple[str, int], int]] = {node: {} for node in leaves}
    listed = statement.execute(
        'SELECT node, "table", "row", order_id, micro_of(price_cny)::HUGEINT '
        "FROM branch_prices_said ORDER BY file_row_number"
    ).fetchall()
    for node, table, row, order_id, price in listed:
        at = ways.rows.get(table, {}).get(order_id if table == "orders" else row)
        if node not in found or at is None or price is None:
            raise WrongTreeError(
                f"a price of {table} is of node {node}, row {row}, order {order_id}, "
                "which have none"
            )
        scale = int(ways.scale[table][at])
        if price % scale or not -MAX_CHARGE < price < MAX_CHARGE:
            raise WrongTreeError(f"a price of {table} in node {node} is none")
        found[node][table, at] = price // scale
    return found
