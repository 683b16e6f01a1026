r"""
Savings that are drawn, valued again, and the plans of all draws, filled again.

Each further draw has a plan: ways in the order of their saving less the prices of their
lanes, equal ones by the order's key and then by lane, are taken if they save something
and order, cap and slots have room. With the plan of the night itself the number of
plans that choose an order is counted, and its propensity is its share of them.
"""

from __future__ import annotations

from collections import Counter
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.verify.drawn_models import as_measured, drawn_again, num_draws
from optimizer.verify.draws import Lanes, keys_of
from optimizer.verify.learned import Scores

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb
    from numpy.typing import NDArray


def note_savings(
    statement: duckdb.DuckDBPyConnection, record: Mapping[str, Any]
) -> None:
    """
    Save by the mean, and by each further draw, for every offer of the night.

    Fills ``draw_offer``: order and carrier, and their savings, the mean's first.
    """
    import pyarrow as pa

    scores = Scores.read(statement, record)
    by = "options" if scores.has_options else "orders"
    offers = statement.execute(_OFFERS[by]).fetchnumpy()
    place = np.argsort(scores.ways_number)
    number = np.asarray(offers["way_number"], np.int64)
    way = place[np.searchsorted(scores.ways_number, number, sorter=place)]
    reach = np.asarray(offers["reach"], np.float64)
    models = [as_measured(scores.model)] + [
        drawn_again(scores.model, record, k) for k in range(1, num_draws(record) + 1)
    ]
    value = _Value(statement, record)
    savings = np.column_stack(
        [
            value.savings(reach, scores.filled(model), scores.at[way], way)
            for model in models
        ]
    )
    table = pa.table(
        {
            "number": np.asarray(offers["number"], np.int64),
            "carrier_id": pa.array(offers["carrier_id"], pa.string()),
            "savings": pa.FixedSizeListArray.from_arrays(
                pa.array(savings.ravel()), len(models)
            ),
        }
    )
    statement.register("draw_given", table)
    statement.execute("CREATE TEMP TABLE draw_offer AS FROM draw_given")
    statement.unregister("draw_given")


class _Value:
    """What harm avoided is worth in this night."""

    def __init__(
        self, statement: duckdb.DuckDBPyConnection, record: Mapping[str, Any]
    ) -> None:
        asked = "complaint_cost", "return_cost", "counted_fee"
        found = statement.execute(
            f"SELECT {', '.join(f'getvariable({name!r})' for name in asked)}"
        ).fetchall()
        self._complaint, self._return, self._fee = found[0]
        objective = record["config"]["objective"]
        self._doubt = 0.0
        if objective["confidence"] is not None:
            self._doubt = NormalDist().inv_cdf(float(objective["confidence"])) * float(
                objective["relative_error"]
            )

    def savings(
        self,
        reach: NDArray[np.float64],
        filled: Mapping[str, NDArray[np.float64]],
        order: NDArray[np.int64],
        way: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Savings of offers in micro-CNY, by the places of their orders and ways."""
        drop = {
            harm: filled[f"{harm}_prob_standard"][order]
            - filled[f"{harm}_prob_premium"][way]
            for harm in ("complaint", "return")
        }
        harm = drop["complaint"] * self._complaint + drop["return"] * self._return
        harm = harm - self._doubt * np.abs(harm)
        return np.rint(reach * harm).astype(np.int64) - int(self._fee)


def count_plans(
    statement: duckdb.DuckDBPyConnection, record: Mapping[str, Any]
) -> None:
    """Fill ``draw_true``: the mean saving of each order, and plans that choose it."""
    import pyarrow as pa

    ways = statement.execute(_WAYS).fetchall()
    planned = dict(statement.execute("SELECT number, place FROM chosen").fetchall())
    mean: dict[int, int] = {}
    for number, _, _, place, savings in ways:
        if planned.get(number, place) == place:
            mean[number] = max(mean.get(number, savings[0]), savings[0])
    count = Counter({number: 1 for number in planned if number in mean})
    for plan in _plans(statement, ways, num_draws(record)):
        count.update(plan)
    order = sorted(mean)
    table = pa.table(
        {
            "number": order,
            "mean": [mean[number] for number in order],
            "num": [count[number] for number in order],
        }
    )
    statement.register("draw_given", table)
    statement.execute("INSERT INTO draw_true BY NAME FROM draw_given")
    statement.unregister("draw_given")


def _plans(
    statement: duckdb.DuckDBPyConnection, ways: list[Any], num: int
) -> Iterator[set[int]]:
    """Orders of the plan of each further draw."""
    lanes = Lanes.read(statement)
    price_of = dict(
        statement.execute(
            "SELECT p.place, sum(s.part_price)::BIGINT FROM path AS p "
            "JOIN lane_said AS s USING (lane) GROUP BY p.place"
        ).fetchall()
    )
    caps = dict(statement.execute("SELECT merchant_id, cap FROM cap").fetchall())
    key = keys_of([order_id for _, order_id, *_ in ways]).tolist()
    turn = [lanes.turn[lanes.path[place][-1]] for *_, place, _ in ways]
    by_key = sorted(range(len(ways)), key=lambda at: (key[at], turn[at]))
    for draw in range(1, num + 1):
        asking = []
        for at in by_key:
            number, _, merchant, place, savings = ways[at]
            if savings[draw] > 0:
                worth = savings[draw] - price_of[place]
                asking.append((worth, number, merchant, place))
        asking.sort(key=lambda one: -one[0])
        cap, room = dict(caps), {row: slots for row, (slots, _) in lanes.rows.items()}
        taken: set[int] = set()
        for _, number, merchant, place in asking:
            path = lanes.path[place]
            if number in taken or not cap[merchant] or not all(room[r] for r in path):
                continue
            taken.add(number)
            cap[merchant] -= 1
            for row in path:
                room[row] -= 1
        yield taken


_OFFERS = {
    "orders": """
SELECT o.number, o.number AS way_number, o.carrier_id, o.take_up * k.kept AS reach
FROM orders AS o
JOIN sendable AS k ON k.carrier_id = o.carrier_id AND k.region_id = o.region_id
WHERE o.kept_out IS NULL
    AND (k.takes_unsafe OR o.number NOT IN (SELECT number FROM unsafe))
""",
    "options": """
SELECT o.number, w.number AS way_number, w.carrier_id, o.take_up * k.kept AS reach
FROM options AS w
JOIN orders AS o ON o.number = w.order_number
JOIN sendable AS k ON k.carrier_id = w.carrier_id AND k.region_id = o.region_id
WHERE o.kept_out IS NULL
    AND (k.takes_unsafe OR o.number NOT IN (SELECT number FROM unsafe))
""",
}
_WAYS = """
SELECT w.number, d.order_id, w.merchant_id, w.place, o.savings
FROM way AS w
JOIN decision AS d USING (number)
JOIN draw_offer AS o ON o.number = w.number AND o.carrier_id = w.carrier_id
WHERE d.order_id IS NOT NULL
"""
