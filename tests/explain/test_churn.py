"""An earlier night: what is read of it, where it lets a solve start, what changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from optimizer.build.assemble import Names
from optimizer.build.lanes import Place
from optimizer.errors import DataError
from optimizer.explain.churn import Previous, churn_table, read_previous, start_prices
from optimizer.model.problem import Problem

LANE = ("carrier_id", "region_id", "outlet_id", "shadow_price_cny")


def chosen(**carrier: str) -> pl.DataFrame:
    return pl.DataFrame(
        {"order_id": [*carrier], "carrier_id": [*carrier.values()]},
        schema={"order_id": pl.String, "carrier_id": pl.String},
    )


def previous(*lanes: tuple[str, str | None, str | None, float | None]) -> Previous:
    schema = dict.fromkeys(LANE[:3], pl.String) | {LANE[3]: pl.Float64}
    return Previous(chosen(), pl.DataFrame([*lanes], schema=schema, orient="row"))


def test_churn_says_what_was_added_removed_and_moved() -> None:
    """Kept parcels are not listed; the others stand by order_id, with both carriers."""
    before = Previous(
        chosen(d="yunda", a="yunda", b="yunda", c="zhongtong"), pl.DataFrame()
    )
    after = chosen(e="yunda", c="yunda", a="yunda", d="yunda")
    assert churn_table(before, after).rows() == [
        ("b", "REMOVED", "yunda", None),
        ("c", "MOVED", "zhongtong", "yunda"),
        ("e", "ADDED", None, "yunda"),
    ]


@pytest.mark.parametrize("first", [{}, {"a": "yunda"}])
def test_churn_of_an_unchanged_night_is_an_empty_table(first: dict[str, str]) -> None:
    """No changes: no rows, and the columns are there."""
    found = churn_table(Previous(chosen(**first), pl.DataFrame()), chosen(**first))
    assert found.rows() == []
    assert found.columns == [
        *("order_id", "change", "carrier_id_before", "carrier_id_after")
    ]


def night_of(*places: Place, parent: list[int]) -> tuple[Problem, Names]:
    """One order that saves 5 CNY, and some lanes."""
    problem = Problem(
        merchant_start=np.array([0, 1]),
        cap=np.array([1]),
        option_start=np.array([0, 1]),
        option_lane=np.zeros(1, np.int32),
        option_saving=np.array([5_000_000]),
        slots=np.ones(len(places), np.int64),
        lane_parent=np.array(parent, np.int32),
        key=np.zeros(1, np.uint64),
        row=np.zeros(1, np.int64),
    )
    status, merchant = np.zeros(1, np.uint8), np.zeros(1, np.int32)
    return problem, Names(("m",), np.array([1]), places, (), status, merchant)


def test_a_solve_starts_from_the_prices_of_the_same_lanes() -> None:
    """Prices add up along the tree; a new lane costs what the lane around it costs."""
    places = (
        Place("yunda", None, None),
        Place("yunda", "north", None),
        Place("yunda", "south", None),
    )
    problem, index = night_of(*places, parent=[-1, 0, 0])
    before = previous(
        ("yunda", None, None, 1.5), ("yunda", "north", None, 0.25), ("sf", "x", "y", 9)
    )
    found = start_prices(before, problem, index)
    assert found is not None
    assert found.tolist() == [1_500_000, 1_750_000, 1_500_000]


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (None, 0),
        (float("nan"), 0),
        (float("inf"), 0),
        (float("-inf"), 0),
        (-3.0, 0),
        (1e300, 5_000_000),
        (5.000001, 5_000_000),
        (0.0000015, 2),
    ],
)
def test_what_is_no_price_counts_as_none(price: float | None, expected: int) -> None:
    """Missing, negative and infinite prices are 0; none is above the best saving."""
    problem, index = night_of(Place("yunda", None, None), parent=[-1])
    found = start_prices(previous(("yunda", None, None, price)), problem, index)
    assert found is not None
    assert found.tolist() == [expected]


def test_a_lane_with_room_for_all_starts_without_a_price() -> None:
    """A limit that was lifted since: its slots are not filled one by one."""
    places = Place("yunda", None, None), Place("sf", None, None)
    problem, index = night_of(*places, parent=[-1, -1])
    roomy = replace(problem, slots=np.array([1, 10**15]))
    before = previous(("yunda", None, None, 2.0), ("sf", None, None, 3.0))
    found = start_prices(before, roomy, index)
    assert found is not None
    assert found.tolist() == [2_000_000, 0]


def test_a_night_with_other_lanes_gives_no_start() -> None:
    """Where no lane is the same, the solve starts cold."""
    problem, index = night_of(Place("yunda", None, None), parent=[-1])
    assert start_prices(previous(("sf", None, None, 2.0)), problem, index) is None
    assert start_prices(previous(), problem, index) is None


@pytest.mark.parametrize("wrong", [7, {"chosen": []}, pl.DataFrame(), object()])
def test_what_is_no_night_is_refused_by_its_kind(wrong: object) -> None:
    """The message says what was given, and what to give."""
    kind = type(wrong).__name__
    with pytest.raises(DataError, match=rf"previous is a {kind}; give a Night or the"):
        read_previous(wrong)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    """Neither a folder without its mark of success nor one that is not there."""
    for folder in (tmp_path, tmp_path / "nowhere", str(tmp_path)):
        with pytest.raises(DataError, match="is not a published run"):
            read_previous(folder)
