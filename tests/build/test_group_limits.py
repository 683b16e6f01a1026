"""What rules ask for becomes exactly the rows that plain counting gives."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optimizer
from optimizer.build.night import Intake, take_in
from optimizer.clock import StageClock
from optimizer.config import as_config, policy_on
from optimizer.errors import ConfigError, DataError
from tests.support.examples import examples
from tests.support.golden_night import Golden, lane
from tests.support.golden_nights import ABC, GOLDEN
from tests.support.nights import capacity_of, config_of, orders_of

CARRIERS, REGIONS, OUTLETS = ["yunda", "zhongtong"], ["r0", "r1"], ["o0", "o1", None]


def take(golden: Golden) -> Intake:
    """Read and build a night."""
    config = as_config(golden.settings())
    return take_in(golden.tables(), config, policy_on(config, None), StageClock())


def random_golden(seed: int) -> Golden:
    """Orders with loads, weights and vehicles, and capacity rows of any pattern."""
    draw = np.random.default_rng(seed)
    orders, vehicles, loads, weighs, by_carrier = [], {}, {}, {}, {}
    for number in range(int(draw.integers(1, 12))):
        region, outlet = REGIONS[draw.integers(2)], OUTLETS[draw.integers(3)]
        ways = draw.choice(CARRIERS, size=draw.integers(1, 3), replace=False)
        place = region if outlet is None else f"{region}/{outlet}"
        name = f"i{number}"
        orders.append((name, f"m{draw.integers(3)}", place, {str(w): 1 for w in ways}))
        vehicles[name] = [None, "van", "bike"][draw.integers(3)]
        loads[name] = int(draw.integers(1, 4))
        weighs[name] = int(draw.integers(0, 4))
        if draw.random() < 0.3:
            by_carrier[f"{name}/{ways[0]}"] = int(draw.integers(0, 6))
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for _ in range(int(draw.integers(1, 9))):
        names = [
            None if draw.random() < 0.4 else values[draw.integers(2)]
            for values in (CARRIERS, REGIONS, OUTLETS, ["van", "bike"])
        ]
        names.append("kg" if draw.random() < 0.3 or not rows else None)
        keys = ("carrier_id", "region_id", "outlet_id", "vehicle", "resource")
        limits = {"slots": int(draw.integers(0, 12))}
        if draw.random() < 0.3 and limits["slots"] and names[-1] is None:
            limits["min_parcels"] = int(draw.integers(1, limits["slots"] + 1))
        rows[tuple(names)] = dict(zip(keys, names, strict=True)) | limits
    return Golden(
        orders,
        [*rows.values()],
        "",
        order_columns={"vehicle": vehicles, "load": loads, "load_kg": weighs},
        option_columns={"load_kg": by_carrier},
        config={
            "capacity": {"attributes": ["vehicle"], "resources": ["kg"]},
            "lookups": {"refuse_below": 0},  # rows may name places of no order
        },
    )


def taken(golden: Golden, order: str, carrier: str, resource: str | None) -> int:
    """What an order takes with a carrier, of slots or of a resource."""
    if resource is None:
        return golden.order_columns["load"][order]
    own = golden.order_columns[f"load_{resource}"][order]
    by_carrier = golden.option_columns[f"load_{resource}"]
    return by_carrier.get(f"{order}/{carrier}", own)


def fits_rows(golden: Golden, chosen: list[tuple[str, str]]) -> tuple[bool, int]:
    """Whether chosen (order, carrier) pairs keep all rows, and parcels below floors."""
    places = {order: place.partition("/") for order, _, place, _ in golden.orders}
    is_within, missing = True, 0
    covered = {pair: False for pair in chosen}
    for row in golden.capacity:
        load = count = 0
        for order, carrier in chosen:
            region, _, outlet = places[order]
            values = {
                "carrier_id": carrier,
                "region_id": region,
                "outlet_id": outlet or None,
                "vehicle": golden.order_columns["vehicle"][order],
            }
            if all(row[k] is None or row[k] == v for k, v in values.items()):
                load += taken(golden, order, carrier, row["resource"])
                count += 1
                covered[order, carrier] = True
        is_within &= load <= row["slots"]
        missing += max(0, row.get("min_parcels", 0) - count)
    return is_within and all(covered.values()), missing


@pytest.mark.slow
@examples(150)
@given(seed=st.integers(0, 2**32))
def test_the_built_night_allows_what_the_capacity_table_allows(seed: int) -> None:
    """
    For any choice of options, lanes and side rows of the problem agree with the rows
    of the table counted one by one: loads within slots, no parcel without a row that
    takes it, and as many parcels missing in floors.
    """
    golden = random_golden(seed)
    intake = take(golden)
    problem, index = intake.problem, intake.index
    draw = np.random.default_rng(seed)
    names = [order for order, *_ in golden.orders]
    for _ in range(8):
        picks = np.flatnonzero(draw.random(problem.num_options) < draw.random())
        order = np.searchsorted(problem.option_start, picks, side="right") - 1
        picks = picks[np.unique(order, return_index=True)[1]]
        order = np.searchsorted(problem.option_start, picks, side="right") - 1
        carriers = [index.places[k].carrier_id for k in problem.option_lane[picks]]
        chosen = [
            (names[problem.row[i]], c) for i, c in zip(order, carriers, strict=True)
        ]
        is_within, missing = fits_rows(golden, chosen)
        from tests.support.packing_oracle import broken, keeps_limits

        plan = tuple(picks.tolist())
        if problem.side is None:
            from tests.support.oracles import is_feasible

            assert is_feasible(problem, plan) == is_within
            continue
        free = dataclasses.replace(
            problem, cap=np.full(problem.num_merchants, 99, np.int64)
        )
        assert keeps_limits(free, plan) == is_within, (seed, chosen)
        assert sum(broken(free, plan).values()) == missing, (seed, chosen)


@pytest.mark.slow
@examples(25)
@given(seed=st.integers(0, 2**32))
def test_the_plan_is_the_best_that_the_capacity_table_allows(seed: int) -> None:
    """
    Slots and kilograms of up to six orders, counted row by row for every choice of
    carriers: no choice that keeps all rows saves more, and the gap is 0.
    """
    given_night = random_golden(seed)
    draw = np.random.default_rng(seed)
    orders = [
        (*order[:3], {carrier: int(draw.integers(1, 9)) for carrier in order[3]})
        for order in given_night.orders[:6]
    ]
    rows = [row | {"min_parcels": 0} for row in given_night.capacity]
    golden = dataclasses.replace(given_night, orders=orders, capacity=rows)
    night = golden.solve()
    picks = itertools.product(*([None, *ways] for *_, ways in orders))
    plans = (
        [(order[0], c) for order, c in zip(orders, pick, strict=True) if c is not None]
        for pick in picks
    )
    value = {(name, c): ways[c] for name, _, _, ways in orders for c in ways}

    def worth(plan: list[tuple[str, str]]) -> int:
        return sum(map(value.__getitem__, plan))

    # From the dearest down, the first that fits is the best: few are looked at.
    from_the_dearest = sorted(plans, key=worth, reverse=True)
    best = worth(next(p for p in from_the_dearest if fits_rows(golden, p)[0]))
    chosen = [*night.recommendations.select("order_id", "carrier_id").iter_rows()]
    assert fits_rows(golden, chosen)[0]
    assert night.certificate.primal_bound == best * 1_000_000
    assert night.certificate.gap == 0


@pytest.mark.parametrize(
    ("name", "keys", "says"),
    [
        (
            "a fairness floor",
            {
                "config": {
                    "fairness": [{"column": "size", "value": "x", "max_share": 1}]
                }
            },
            "neither the orders nor the merchants table has a column size",
        ),
        (
            "a fairness floor",
            {
                "config": {
                    "fairness": [{"column": "tier", "value": "x", "max_share": 1}]
                }
            },
            "no order of the night has tier 'x'; known are large, small",
        ),
        (
            "a fairness floor",
            {
                "config": {
                    "fairness": [
                        {"column": "is_eligible", "value": "x", "max_share": 1}
                    ]
                },
                "order_columns": {"is_eligible": dict.fromkeys("abc", True)},
            },
            "column is_eligible of the orders table holds no names",
        ),
        (
            "an attribute",
            {"order_columns": {}},
            "has no column vehicle, and capacity.attributes names it",
        ),
        (
            "a floor",
            {"capacity": [lane("yunda", 1, priority=2)]},
            "priority belongs to a floor",
        ),
        (
            "kilograms",
            {"order_columns": {}},
            "has no column load_kg",
        ),
        (
            "kilograms",
            {"order_columns": {"load_kg": {"a": 1, "b": -1, "c": 1}}},
            "load_kg",
        ),
        (
            "kilograms",
            {"order_columns": {"load_kg": {"a": 1, "c": 1}}},
            "load_kg",
        ),
        (
            "kilograms",
            {"capacity": [lane("yunda", 9, resource="kgs")]},
            r"row 1 \(carrier yunda, resource kgs\): capacity.resources lists kg, not "
            r"kgs .*; did you mean kg\?",
        ),
        (
            "kilograms",
            {"capacity": [lane("yunda", 9)]},
            "no row counts kg, and capacity.resources lists it",
        ),
        (
            "kilograms",
            {"capacity": [lane("yunda", 9, resource="kg", min_parcels=1)]},
            "min_parcels counts parcels, and the row counts kg",
        ),
        (
            "kilograms",
            {"capacity": [lane("yunda", n, resource="kg") for n in (9, 8)]},
            "carrier_id, region_id, outlet_id, service_date, resource",
        ),
    ],
)
def test_rules_that_do_not_fit_the_tables_are_refused(
    name: str, keys: dict[str, Any], says: str
) -> None:
    """The message names the rule, the table and the value."""
    golden = dataclasses.replace(GOLDEN[name], **keys)
    with pytest.raises(DataError, match=says):
        take(golden)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (
            {"fairness": [{"column": "t", "value": v, "min_share": 0.6} for v in "ab"]},
            "the min_share of t add up to 1.2, above 1",
        ),
        (
            {"fairness": [{"column": "t", "value": "a"}]},
            r"fairness\[0\]: must have a floor",
        ),
        (
            {"fairness": [{"column": "t", "min_share": 0.1}]},
            "must have value, or values",
        ),
        (
            {
                "fairness": [
                    {"column": "t", "value": "a", "min_share": 0.5, "max_share": 0.1}
                ]
            },
            "the floor 0.5 is above the ceiling 0.1",
        ),
        (
            {
                "fairness": [
                    {"column": "t", "value": "a", "min_share": 0.5, "min_parcels": 1}
                ]
            },
            "as a share or in parcels, not both",
        ),
        (
            {
                "fairness": [
                    {"column": "t", "value": "a", "max_share": 0.5, "penalty_cny": 1}
                ]
            },
            "penalty_cny belongs to a floor",
        ),
        ({"capacity": {"attributes": ["slots"]}}, "must name further columns"),
        ({"capacity": {"resources": ["kg", "kg"]}}, "each once"),
        ({"capacity": {"resources": ["parcels"]}}, "got 'parcels'"),
        ({"capacity": {"resources": ["kg"], "attributes": ["load_kg"]}}, "load_kg or"),
        (
            {"capacity": {"resources": ["kg"], "counted_on": "ship"}},
            "resources need counted_on: order",
        ),
        ({"capacity": {"quantile": 0.2}}, "capacity.quantile: must be between"),
        ({"on_conflict": "ignore"}, "on_conflict: must be relax or refuse"),
        ({"pin_priority": -1}, "pin_priority: must be between 0 and 1000"),
    ],
)
def test_rules_that_contradict_themselves_are_refused(
    keys: dict[str, Any], says: str
) -> None:
    """The configuration is refused with the key that is wrong."""
    with pytest.raises(ConfigError, match=says):
        as_config(Golden(ABC, [], "", config=keys).settings())


@pytest.mark.parametrize(
    ("count", "take_up", "high"),
    [
        ("recommendations", [0.25, 0.25], 2),
        ("expected", [0.25, 0.25], 8),
        ("expected", [0.25, 0.5], 2),  # purchases, in quarters of one
    ],
)
def test_a_subsidy_pays_for_what_slots_count(
    count: str, take_up: list[float], high: int
) -> None:
    """0.90 CNY at 0.40 a parcel: two of them, or so many as two are bought of."""
    fee = {"amount_cny": 0.80, "payer": {"merchant": 0.5, "platform": 0.5}}
    policy = {"cap": {"rate": 0.2}, "fee": fee, "subsidy_budget_cny": 0.90}
    merchants = pl.DataFrame({"merchant_id": ["m1", "m2"], "take_up": take_up})
    night = optimizer.allocate(
        orders_of(),
        capacity_of(),
        config=config_of(policy, capacity={"count": count}),
        merchants=merchants,
    )
    assert night.rows is not None
    assert night.rows.filter(kind="subsidy")["high"].to_list() == [high]


def test_a_subsidy_that_nobody_pays_is_refused() -> None:
    """A budget for a share of 0 would limit nothing."""
    golden = Golden(ABC, [], "", policy={"subsidy_budget_cny": 5})
    with pytest.raises(ConfigError, match="limits nothing where the platform pays no"):
        as_config(golden.settings())


def test_a_quantile_of_loads_is_refused() -> None:
    """The binomial counts parcels, not slots; the message says what to do."""
    golden = dataclasses.replace(
        GOLDEN["a load"], config={"capacity": {"count": "quantile"}}
    )
    with pytest.raises(ConfigError, match=r"quantile counts parcels .* drop the loads"):
        take(golden)
    rules = {"resources": ["kg"], "count": "quantile"}
    heavy = dataclasses.replace(GOLDEN["kilograms"], config={"capacity": rules})
    with pytest.raises(ConfigError, match="the load_kg column has others"):
        take(heavy)


def test_a_column_of_resources_that_nobody_named_is_refused() -> None:
    """Rows of kilograms would count parcels; the message says where to name them."""
    golden = GOLDEN["a load"]
    capacity = golden.tables()["capacity"]
    assert capacity is not None
    with_column = capacity.with_columns(resource=pl.lit("kg"))
    with pytest.raises(DataError, match=r"column resource, and capacity\.resources"):
        golden.solve(capacity=with_column)


@pytest.mark.parametrize("other", [None, "minutes"])
def test_rows_of_units_that_nobody_listed_are_no_repeated_rows(
    other: str | None,
) -> None:
    """Slots and kilograms, or kilograms and minutes: told is the key, not to delete."""
    golden = GOLDEN["a load"]
    capacity = golden.tables()["capacity"]
    assert capacity is not None
    rows = [capacity.with_columns(resource=pl.lit(r)) for r in (other, "kg")]
    words = rf"write resources: \[kg{', minutes' if other else ''}\] under capacity"
    with pytest.raises(DataError, match=words):
        golden.solve(capacity=pl.concat(rows, how="vertical_relaxed"))


def test_rows_that_an_unread_column_tells_apart_are_told_so() -> None:
    """Rows of vehicles are no repeated rows: the key that tells them apart is named."""
    golden = GOLDEN["a load"]
    capacity = golden.tables()["capacity"]
    assert capacity is not None
    rows = [capacity.with_columns(truck=pl.lit(name)) for name in ("t1", "t2")]
    words = r"keep one row for each, or .* \(.*truck.*\) .* capacity\.attributes"
    with pytest.raises(DataError, match=words):
        golden.solve(capacity=pl.concat(rows))


@pytest.mark.parametrize("name", ["a load", "a pin", "a floor"])
def test_what_is_advised_for_exploring_nights_is_accepted(name: str) -> None:
    """Pins and floors leave no parcel to keep back either: both are told at once."""
    golden = GOLDEN[name]
    held = {"explore_share": 0.1, "share": 0.2}
    keys = golden.config | {"holdout": held}
    with pytest.raises(ConfigError) as refused:
        dataclasses.replace(golden, config=keys).solve()
    may_stay = "may stay" in str(refused.value)
    assert may_stay == (name == "a load")
    assert may_stay != ("holdout.share to 0" in str(refused.value))
    advised = held | ({} if may_stay else {"share": 0})
    none = golden.settings()["objective"] | {"explore": "none"}
    keys |= {"holdout": advised, "objective": none}
    dataclasses.replace(golden, config=keys).solve()


def test_weights_that_fit_nowhere_are_named() -> None:
    """As with slots: the warning counts the parcels and says where the first is."""
    warnings = take(GOLDEN["kilograms by carrier"]).warnings
    (heavy,) = (w for w in warnings if w.code == "LOADS_ABOVE_SLOTS")
    assert heavy.values == {"num_parcels": 1, "first_row": 3}


def test_a_budget_below_one_fee_is_named() -> None:
    """The merchant gets nothing, and the warning says which and why."""
    golden = dataclasses.replace(
        GOLDEN["a merchant's budget"],
        merchants=[{"merchant_id": "m", "daily_budget_cny": 0.99}],
    )
    (warning,) = take(golden).warnings
    assert str(warning).endswith("one parcel (1 CNY), which buys none: m")


def test_a_budget_buys_exactly_what_it_pays_for() -> None:
    """0.3 / 0.1 is 3 in decimals, and 2 in floating point."""
    golden = dataclasses.replace(
        GOLDEN["a merchant's budget"],
        orders=[(f"i{n}", "m", "north", 1) for n in range(9)],
        merchants=[{"merchant_id": "m", "daily_budget_cny": 0.3}],
        policy={"fee": {"amount_cny": 0.1}},
    )
    assert take(golden).problem.cap.tolist() == [3]


def test_a_row_of_an_attribute_that_no_parcel_has_is_named() -> None:
    """Capacity for lorries limits nothing where all go by van; a warning says so."""
    golden = GOLDEN["an attribute"]
    rows = [golden.capacity[0], lane("yunda", 1, vehicle="lorry")]
    (warning,) = take(dataclasses.replace(golden, capacity=rows)).warnings
    assert str(warning).endswith("orders table: carrier yunda, vehicle lorry")


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        (
            [lane("yunda", 9), lane("yund", 5, resource="kg")],
            "as there: carrier yund, resource kg; not known: 'yund' (nearest: yunda)",
        ),
        (
            [lane("yunda", 9), lane("-/nroth", 5, resource="kg")],
            "region nroth, resource kg; not known: 'nroth' (nearest: north)",
        ),
        # Nothing goes to the east tonight: its row of slots knows it.
        (
            [
                lane("yunda", 9),
                lane("yunda/east", 9),
                lane("yunda/east", 5, resource="kg"),
            ],
            None,
        ),
        # So does the roster know a carrier that nothing goes with.
        ([lane("yunda", 9), lane("zhongtong", 5, resource="kg")], None),
    ],
)
def test_a_row_of_a_resource_for_nobody_is_named(
    rows: list[dict[str, Any]], named: str | None
) -> None:
    """A misspelt carrier or region limits nothing; a warning says what was meant."""
    warnings = take(dataclasses.replace(GOLDEN["kilograms"], capacity=rows)).warnings
    told = [w for w in warnings if w.code == "UNKNOWN_IN_RESOURCE_ROWS"]
    assert [str(w).endswith(named or "") for w in told] == [True] * bool(named)


def test_keeping_the_previous_plan_is_said_not_to_be_done() -> None:
    """On packing nights the setting has no use, and a warning says so."""
    keys = {"solver": {"keep_previous": True}}
    packing = dataclasses.replace(GOLDEN["a load"], config=keys)
    network = dataclasses.replace(GOLDEN["a merchant's budget"], config=keys)
    assert [w.code for w in take(packing).warnings] == ["KEEP_PREVIOUS_UNUSED"]
    assert take(network).warnings == ()
