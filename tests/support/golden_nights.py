"""One night for each kind of limit; the comment says why its answer is right."""

from __future__ import annotations

import datetime as dt

from tests.support.golden_night import Golden, lane

#: Three parcels of three merchants; a saves 5, b 4, c 3.
ABC = [("a", "m", "north", 5), ("b", "n", "north", 4), ("c", "o", "south", 3)]
FEE = {"fee": {"amount_cny": 1}}
HALF = {"fee": {"amount_cny": 1, "payer": {"merchant": 0.5, "platform": 0.5}}}
TAKE_UP = [
    {"merchant_id": "m", "take_up": 1.0},
    {"merchant_id": "n", "take_up": 0.5},
    {"merchant_id": "o", "take_up": 0.5},
]

GOLDEN = {
    # Two slots: a takes both and saves 5; b and c take one each and save 7.
    "a load": Golden(
        ABC,
        [lane("yunda", 2)],
        "bc",
        {"a": "CAPACITY_FULL"},
        order_columns={"load": {"a": 2}},
    ),
    # With three slots a and b fit and save 9; c finds no room.
    "a load that fits": Golden(
        ABC,
        [lane("yunda", 3)],
        "ab",
        {"c": "CAPACITY_FULL"},
        order_columns={"load": {"a": 2}},
    ),
    # a takes 3 slots and there are only 2, whatever else is chosen.
    "a load that never fits": Golden(
        ABC,
        [lane("yunda", 2)],
        "bc",
        {"a": "CAPACITY_FULL"},
        order_columns={"load": {"a": 3}},
    ),
    # The same beside a full cap: more cap would not help a.
    "a load that never fits, and a full cap": Golden(
        [("a", "m", "north", 5), ("b", "m", "north", 4)],
        [lane("yunda", 2)],
        "b",
        {"a": "CAPACITY_FULL"},
        order_columns={"load": {"a": 3}},
        merchants=[{"merchant_id": "m", "cap_override": 1}],
    ),
    # With zhongtong a takes one slot, with yunda two: zhongtong's 4 leaves room for b.
    "a load by carrier": Golden(
        [("a", "m", "north", {"yunda": 5, "zhongtong": 4}), ("b", "n", "north", 4)],
        [lane("-/north", 2), lane("yunda", 9), lane("zhongtong", 9)],
        "ab",
        order_columns={"load": {"a": 2}},
        option_columns={"load": {"a/zhongtong": 1}},
        rows={"region north": ("capacity", 2)},
    ),
    # North takes one parcel of all carriers together: a, not b.
    "a city's total": Golden(
        ABC,
        [lane("yunda", 9), lane("-/north", 1)],
        "ac",
        {"b": "CAPACITY_FULL"},
        rows={"region north": ("capacity", 1)},
    ),
    # A total that can never bind leaves the night a network.
    "a city's total that is slack": Golden(
        ABC,
        [lane("yunda", 2), lane("-/north", 2)],
        "ab",
        {"c": "CAPACITY_FULL"},
        "network",
        rows={"region north": ("capacity", 2)},
    ),
    # Depot serves north and south with one slot in all, and north has other parcels:
    # the rows cross. Depot takes a; b goes to another outlet; c has no room.
    "rows that cross": Golden(
        [
            ("a", "m", "north/depot", 5),
            ("b", "n", "north/other", 4),
            ("c", "o", "south/depot", 3),
        ],
        [lane("yunda/north", 2), lane("yunda/-/depot", 1)],
        "ab",
        {"c": "CAPACITY_FULL"},
        rows={"carrier yunda, outlet depot": ("capacity", 1)},
    ),
    # One van: a goes by van, so b does not; c goes by bike.
    "an attribute": Golden(
        ABC,
        [lane("yunda", 9), lane("yunda", 1, vehicle="van")],
        "ac",
        {"b": "CAPACITY_FULL"},
        order_columns={"vehicle": {"a": "van", "b": "van", "c": "bike"}},
        config={"capacity": {"attributes": ["vehicle"]}},
        rows={"carrier yunda, vehicle van": ("capacity", 1)},
    ),
    # Nine slots and 10 kg: a and b weigh 12 kg together, b and c 10; 5 + 3 save more
    # than 4 + 3, and a and c weigh 9.
    "kilograms": Golden(
        ABC,
        [lane("yunda", 9), lane("yunda", 10, resource="kg")],
        "ac",
        {"b": "CAPACITY_FULL"},
        order_columns={"load_kg": {"a": 6, "b": 7, "c": 3}},
        config={"capacity": {"resources": ["kg"]}},
        rows={"carrier yunda, resource kg": ("capacity", 9)},
        value_cny=8,
    ),
    # A knapsack of two dimensions, without a row of slots. Alone, 10 kg take a and c
    # (8), 7 minutes take b and c (7); both together only b and c. A letter weighs
    # nothing: d fits beside them.
    "kilograms and minutes": Golden(
        [*ABC, ("d", "o", "south", 1)],
        [
            lane("yunda", 10, resource="kg"),
            lane("-", 7, resource="minutes"),
        ],
        "bcd",
        {"a": "CAPACITY_FULL"},
        order_columns={
            "load_kg": {"a": 6, "b": 7, "c": 3, "d": 0},
            "load_minutes": {"a": 6, "b": 3, "c": 2, "d": 1},
        },
        config={"capacity": {"resources": ["kg", "minutes"]}},
        rows={
            "carrier yunda, resource kg": ("capacity", 10),
            "resource minutes": ("capacity", 6),
        },
        value_cny=8,
    ),
    # In yunda's van a takes all 6 kg; with zhongtong it is 7 kg, which that van has,
    # and b fits into yunda's. c weighs more than any van takes: the tree says so.
    "kilograms by carrier": Golden(
        [
            ("a", "m", "north", {"yunda": 5, "zhongtong": 4}),
            ("b", "n", "north", 4),
            ("c", "o", "north", 9),
        ],
        [
            lane("yunda", 9),
            lane("zhongtong", 9),
            lane("yunda", 6, resource="kg"),
            lane("zhongtong", 7, resource="kg"),
        ],
        "ab",
        {"c": "CAPACITY_FULL"},
        order_columns={"load_kg": {"a": 6, "b": 3, "c": 8}},
        option_columns={"load_kg": {"a/zhongtong": 7}},
        config={"capacity": {"resources": ["kg"]}},
        rows={
            "carrier yunda, resource kg": ("capacity", 3),
            "carrier zhongtong, resource kg": ("capacity", 7),
        },
        value_cny=8,
    ),
    # b and c are bought every second time: 5 expected kg hold 10 kg of them.
    "kilograms of purchases": Golden(
        ABC[1:],
        [lane("yunda", 5, resource="kg")],
        "bc",
        order_columns={"load_kg": {"b": 6, "c": 4}},
        merchants=TAKE_UP[1:],
        config={"capacity": {"resources": ["kg"], "count": "expected"}},
        problem_class="network",
        rows={"carrier yunda, resource kg": ("capacity", 10)},
    ),
    # Only vans have a row: bikes have no capacity at all, at the same place.
    "an attribute that no row takes": Golden(
        [(*order[:2], "north", order[3]) for order in ABC],
        [lane("yunda", 9, vehicle="van")],
        "ab",
        {"c": "CAPACITY_FULL"},
        order_columns={"vehicle": {"a": "van", "b": "van", "c": "bike"}},
        config={"capacity": {"attributes": ["vehicle"]}},
    ),
    # One slot on Monday, one on Tuesday: a, and c; b is Monday's second.
    "a service date": Golden(
        ABC,
        [
            lane("yunda", 1, service_date=dt.date(2026, 11, 23)),
            lane("yunda", 1, service_date=dt.date(2026, 11, 24)),
        ],
        "ac",
        {"b": "CAPACITY_FULL"},
        order_columns={
            "delivery_date": {"a": "2026-11-23", "b": "2026-11-23", "c": "2026-11-24"}
        },
        config={"capacity": {"counted_on": "delivery"}},
        problem_class="network",
    ),
    # A budget of 1.50 pays one fee of 1: the same as a cap of 1.
    "a merchant's budget": Golden(
        [("a", "m", "north", 5), ("b", "m", "north", 4), ("c", "n", "north", 3)],
        [lane("yunda", 9)],
        "ac",
        {"b": "BUDGET"},
        "network",
        merchants=[{"merchant_id": "m", "daily_budget_cny": 1.5}],
        policy=FEE,
    ),
    # The platform pays half of each fee, and 1 in all: two parcels.
    "a subsidy budget": Golden(
        ABC,
        [lane("yunda", 9)],
        "ab",
        {"c": "BUDGET"},
        policy=HALF | {"subsidy_budget_cny": 1},
        rows={"subsidy budget": ("subsidy", 2)},
    ),
    # South is to have one parcel: c takes a slot from b.
    "a floor": Golden(
        ABC,
        [lane("yunda", 2), lane("yunda/south", 9, min_parcels=1)],
        "ac",
        {"b": "CAPACITY_FULL"},
        rows={"carrier yunda, region south": ("min_parcels", 1)},
    ),
    # To break the floor costs 0.50, to keep it 1 (4 - 3): it is broken, and paid for.
    "a floor with a small penalty": Golden(
        ABC,
        [lane("yunda", 2), lane("yunda/south", 9, min_parcels=1, penalty_cny=0.5)],
        "ab",
        rows={"carrier yunda, region south": ("min_parcels", 0)},
        value_cny=8.5,
    ),
    # To break it costs 2: it is kept.
    "a floor with a large penalty": Golden(
        ABC,
        [lane("yunda", 2), lane("yunda/south", 9, min_parcels=1, penalty_cny=2)],
        "ac",
        rows={"carrier yunda, region south": ("min_parcels", 1)},
        value_cny=8,
    ),
    # Two slots; at least 0.3 of them for small merchants, so one: c for b.
    "a fairness floor": Golden(
        ABC,
        [lane("yunda", 2)],
        "ac",
        {"b": "CAPACITY_FULL"},
        merchants=[
            {"merchant_id": "m", "tier": "large"},
            {"merchant_id": "n", "tier": "large"},
            {"merchant_id": "o", "tier": "small"},
        ],
        config={"fairness": [{"column": "tier", "value": "small", "min_share": 0.3}]},
        rows={"tier small": ("fairness", 1)},
    ),
    # At most one parcel of north: a cap on a group.
    "a fairness ceiling": Golden(
        ABC,
        [lane("yunda", 9)],
        "ac",
        {"b": "CAP_FULL"},
        config={
            "fairness": [{"column": "region_id", "value": "north", "max_parcels": 1}]
        },
        rows={"region_id north": ("fairness", 1)},
    ),
    # m and n may have one each, their owner one of its two (half): a. The orders of
    # others, d among them, do not count.
    "an owner's cap": Golden(
        [*ABC, ("d", "p", "south", -1)],
        [lane("yunda", 9)],
        "ac",
        {"b": "CAP_FULL"},
        merchants=[
            {"merchant_id": "m", "owner_id": "w", "cap_override": 1},
            {"merchant_id": "n", "owner_id": "w", "cap_override": 1},
            {"merchant_id": "o", "owner_id": None, "cap_override": 1},
        ],
        policy={"cap": {"rate": 0.5, "group": "owner"}},
        rows={"owner w": ("owner_cap", 1)},
    ),
    # c is pinned, so that b finds no slot; d saves nothing and is pinned all the same.
    "a pin": Golden(
        [*ABC, ("d", "p", "south", -1)],
        [lane("yunda", 3)],
        "acd",
        {"b": "CAPACITY_FULL"},
        order_columns={"pin": {"c": "must", "d": "must"}},
    ),
    # Two slots hold four purchases at one half each: all three fit. A network.
    "purchases expected": Golden(
        ABC,
        [lane("yunda", 1)],
        "ab",
        {"c": "CAPACITY_FULL"},
        "network",
        merchants=[{"merchant_id": m, "take_up": 0.5} for m in "mno"],
        config={"capacity": {"count": "expected"}},
    ),
    # One slot: a alone (1.0), or b and c (0.5 + 0.5); halved savings: 5, or 2 + 1.5.
    "purchases that differ": Golden(
        ABC,
        [lane("yunda", 1)],
        "a",
        {"b": "CAPACITY_FULL"},
        merchants=TAKE_UP,
        config={"capacity": {"count": "expected"}},
    ),
    # North holds one purchase of all carriers together: a's, or half of b's. The whole
    # value of a is above that of b, and c is elsewhere.
    "a city's total of purchases that differ": Golden(
        ABC,
        [lane("yunda", 9), lane("-/north", 1)],
        "ac",
        {"b": "CAPACITY_FULL"},
        merchants=TAKE_UP,
        config={"capacity": {"count": "expected"}},
        rows={"region north": ("capacity", 1)},
    ),
    # Both of b and c are bought in 1 night of 4, all of b, c, d in 1 of 8. One slot
    # fits two recommendations in 75 % of nights, and three (1/2) in less.
    "purchases by quantile": Golden(
        ABC,
        [lane("yunda", 1)],
        "ab",
        {"c": "CAPACITY_FULL"},
        "network",
        merchants=[{"merchant_id": m, "take_up": 0.5} for m in "mno"],
        config={"capacity": {"count": "quantile", "quantile": 0.75}},
    ),
    # Take-ups differ. Two purchases of three parcels, each bought with 0.1333, come
    # together in 4.9 % of nights: one slot holds a mean of 0.40, and 0.45 is too much.
    # a and b have 0.35 together, all three 0.45.
    "purchases that differ, by quantile": Golden(
        ABC,
        [lane("yunda", 1)],
        "ab",
        {"c": "CAPACITY_FULL"},
        merchants=[
            {"merchant_id": "m", "take_up": 0.2},
            {"merchant_id": "n", "take_up": 0.15},
            {"merchant_id": "o", "take_up": 0.1},
        ],
        config={"capacity": {"count": "quantile"}},
    ),
    # One slot, a floor for south and a pin on b: pins come first, the floor is missed.
    "a conflict": Golden(
        ABC,
        [lane("yunda", 1), lane("yunda/south", 1, min_parcels=1)],
        "b",
        {"a": "CAPACITY_FULL"},
        order_columns={"pin": {"b": "must"}},
        conflicts=[("min_parcels", "carrier yunda, region south", 1, 0)],
    ),
    # The same with the floor first.
    "a conflict the other way": Golden(
        ABC,
        [lane("yunda", 1), lane("yunda/south", 1, min_parcels=1, priority=3)],
        "c",
        order_columns={"pin": {"b": "must"}},
        config={"pin_priority": 4},
        conflicts=[("pin", "b", 1, 0)],
    ),
    # A city's total alone: it covers its places, and lets one parcel of north through.
    "a city's total and no carrier's": Golden(
        ABC,
        [lane("-/north", 1), lane("-/south", 1)],
        "ac",
        {"b": "CAPACITY_FULL"},
        rows={"region north": ("capacity", 1), "region south": ("capacity", 1)},
    ),
    # A city's total covers north alone: south has no row, and is closed.
    "a city's total and an open end": Golden(
        ABC,
        [lane("-/north", 1)],
        "a",
        {"b": "CAPACITY_FULL", "c": "CAPACITY_FULL"},
        rows={"region north": ("capacity", 1)},
    ),
    # One row for all parcels of all carriers, everywhere.
    "a total of everything": Golden(
        ABC,
        [lane("-", 2)],
        "ab",
        {"c": "CAPACITY_FULL"},
        rows={"all parcels": ("capacity", 2)},
    ),
    # Every pin is stopped by something else; a, which is free, takes the slot.
    "pins that nothing can keep": Golden(
        [
            ("a", "m", "north", 5),
            ("b", "n", "north", 4),
            ("c", "o", "south", 3),
            ("d", "p", "north", 2),
            ("e", "q", "north", 2),
            ("f", "m", "north", {"yunda": 1}),
        ],
        [lane("yunda/north", 1), lane("yunda/south", 0)],
        "a",
        {"b": "CAP_ZERO", "c": "CAPACITY_FULL", "d": "INELIGIBLE", "e": "INELIGIBLE"},
        order_columns={
            "pin": dict.fromkeys("bcde", "must"),
            "is_eligible": dict.fromkeys("abcef", True) | {"d": False},
        },
        merchants=[
            {"merchant_id": "n", "cap_override": 0, "is_enrolled": True},
            {"merchant_id": "q", "cap_override": None, "is_enrolled": False},
        ],
        conflicts=[("pin", pinned, 1, 0) for pinned in "bcde"],
        stopped_by={
            "b": "CAP_ZERO",
            "c": "NO_SLOTS",
            "d": "INELIGIBLE",
            "e": "INELIGIBLE",
        },
    ),
    # Its carrier is not in the roster: the pin of b cannot be kept, and a is chosen.
    "a pin on a carrier that takes no part": Golden(
        [("a", "m", "north", 5), ("b", "n", "north", {"elsewhere": 4})],
        [lane("yunda", 1)],
        "a",
        {"b": "CARRIER_INACTIVE"},
        "network",
        order_columns={"pin": {"b": "must"}},
        conflicts=[("pin", "b", 1, 0)],
        stopped_by={"b": "CARRIER_INACTIVE"},
    ),
    # Two pins and one slot: the one that saves more is kept.
    "pins that stop each other": Golden(
        ABC,
        [lane("yunda", 1)],
        "b",
        order_columns={"pin": dict.fromkeys("bc", "must")},
        conflicts=[("pin", "c", 1, 0)],
        stopped_by={"c": "SLOTS"},
    ),
    # Three pins of a merchant whose cap is 1: two are stopped by it, by nothing else.
    "pins that fill a cap": Golden(
        [("a", "m", "north", 5), ("b", "m", "south", 4), ("c", "m", "north", 3)],
        [lane("yunda", 9)],
        "a",
        merchants=[{"merchant_id": "m", "cap_override": 1}],
        order_columns={"pin": dict.fromkeys("abc", "must")},
        conflicts=[("pin", "b", 1, 0), ("pin", "c", 1, 0)],
        stopped_by={"b": "CAPS", "c": "CAPS"},
    ),
    # Lanes have room for both pins; a total of all carriers does not.
    "a pin that a limit beside lanes stops": Golden(
        [("b", "n", "north", 4), ("c", "o", "south", 3)],
        [lane("yunda", 9), lane("-", 1)],
        "b",
        order_columns={"pin": dict.fromkeys("bc", "must")},
        conflicts=[("pin", "c", 1, 0)],
        stopped_by={"c": "OTHER_LIMITS"},
    ),
    # South is to have two of one slot; north three of two parcels, which caps halve.
    "floors above what there is": Golden(
        [*ABC, ("d", "o", "south", 2), ("e", "n", "north", 1)],
        [
            lane("yunda", 9),
            lane("yunda/south", 1, min_parcels=2),
            lane("yunda/north", 9, min_parcels=4),
        ],
        "abc",
        merchants=[{"merchant_id": "n", "cap_override": 1}],
        conflicts=[
            ("min_parcels", "carrier yunda, region north", 4, 2),
            ("min_parcels", "carrier yunda, region south", 2, 1),
        ],
        stopped_by={
            "carrier yunda, region north": "TOO_FEW_PARCELS",
            "carrier yunda, region south": "SLOTS",
        },
    ),
    # Two of three slots each are asked for where there are four: one fits.
    "a floor of heavier parcels than its slots hold": Golden(
        [("a", "m", "north", 5), ("b", "n", "north", 4)],
        [lane("yunda/north", 4, min_parcels=2)],
        "a",
        order_columns={"load": {"a": 3, "b": 3}},
        conflicts=[("min_parcels", "carrier yunda, region north", 2, 1)],
        stopped_by={"carrier yunda, region north": "SLOTS"},
    ),
    # Caps let two of small merchants through, and three are asked for.
    "a fairness floor above what there is": Golden(
        [*ABC, ("d", "o", "south", 2)],
        [lane("yunda", 9)],
        "abc",
        merchants=[
            {"merchant_id": "m", "tier": "large", "cap_override": None},
            {"merchant_id": "n", "tier": "small", "cap_override": None},
            {"merchant_id": "o", "tier": "small", "cap_override": 1},
        ],
        config={"fairness": [{"column": "tier", "value": "small", "min_parcels": 3}]},
        conflicts=[("fairness", "tier small", 3, 2)],
        stopped_by={"tier small": "CAPS"},
    ),
    # No merchant of tonight is tiny: that floor cannot be kept, and the night goes on.
    "a fairness floor of nobody": Golden(
        ABC,
        [lane("yunda", 9)],
        "abc",
        merchants=[{"merchant_id": x, "tier": "large"} for x in "mno"],
        config={"fairness": [{"column": "tier", "value": "tiny", "min_parcels": 1}]},
        conflicts=[("fairness", "tier tiny", 1, 0)],
        stopped_by={"tier tiny": "TOO_FEW_PARCELS"},
    ),
    # A penalty is for floors that may be missed: 2 are asked for, 1 is there.
    "a soft floor above what there is": Golden(
        ABC,
        [lane("yunda", 9), lane("yunda/south", 9, min_parcels=2, penalty_cny=1)],
        "abc",
        value_cny=11,
    ),
}
