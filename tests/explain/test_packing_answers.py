"""Answers on nights with loads, floors, pins, budgets and crossing rows."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import optimizer
import optimizer.testing
from optimizer.compare.runs import compare_runs
from optimizer.config import as_config
from optimizer.config.scenarios import Scenario
from optimizer.errors import ConfigError, DataError, SolveError
from optimizer.explain.parts import explain_lane, explain_merchant, explain_night
from optimizer.job import run_date
from optimizer.night.api import solve_night
from optimizer.night.basis import Basis
from optimizer.whatif.base import Base
from optimizer.whatif.price_list import price_list
from optimizer.whatif.robustness import Doubt, robustness
from optimizer.whatif.scenario_tables import scenario_table
from optimizer.whatif.scenarios import pareto_front, run_scenarios
from tests.support.golden_night import Golden, lane
from tests.support.golden_nights import ABC, GOLDEN, HALF

DAY = dt.date(2026, 11, 22)

#: What a scenario changes, what that is in the policy row, and times the slots.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], Decimal]] = {
    "cap": ({"cap_rate": "0.5"}, {"cap": "0.5"}, Decimal(1)),
    "fee": ({"fee_cny": "2"}, {"fee": "2"}, Decimal(1)),
    "less": ({"slots_factor": "0.5"}, {}, Decimal("0.5")),
    "more": (
        {"slots_factor": "2", "fee_cny": "0.4"},
        {"fee": "0.4"},
        Decimal(2),
    ),
}
SCENARIOS = tuple(Scenario(name=name, **case[0]) for name, case in CASES.items())


def base_of(golden: Golden) -> Base:
    """Solve a golden night."""
    settings = as_config(golden.settings())
    tables: dict[str, Any] = {n: t for n, t in golden.tables().items() if t is not None}
    solved = solve_night(tables, settings, date=DAY, previous=None, progress=None)
    basis = Basis(DAY, is_published=False, is_compared=False)
    return Base(settings, DAY, tables, solved.night, basis)


def from_scratch(golden: Golden, name: str) -> optimizer.Night:
    """Run a night on changed rules and a changed capacity table."""
    _, changes, factor = CASES[name]
    config = golden.settings()
    policy = config["policy"][0]
    if "cap" in changes:
        policy["cap"] = policy["cap"] | {"rate": changes["cap"]}
    if "fee" in changes:
        policy["fee"] = policy["fee"] | {"amount_cny": changes["fee"]}
    tables = golden.tables()
    slots = [int(count * factor) for count in tables["capacity"]["slots"]]
    tables["capacity"] = tables["capacity"].with_columns(slots=pl.Series(slots))
    return optimizer.allocate(**tables, config=config, date=DAY)


@pytest.mark.slow
@pytest.mark.parametrize("name", GOLDEN)
def test_scenarios_of_packing_nights_are_what_runs_from_scratch_give(name: str) -> None:
    """
    Floors, budgets and shares follow caps, fees and slots: value, bound and what
    clashes are those of a run on changed rules and tables.
    """
    golden = GOLDEN[name]
    base = base_of(golden)
    for scenario in SCENARIOS:
        try:
            night = from_scratch(golden, scenario.name)
        except DataError as error:
            # A pin at a merchant without a slot, say: refused, with the scenario named.
            words = re.escape(f"scenario '{scenario.name}': {error}")
            with pytest.raises(DataError, match=words):
                run_scenarios(base, (scenario,))
            continue
        _, outcome = run_scenarios(base, (scenario,))
        proof = outcome.answer.certificate
        assert proof == night.certificate, scenario.name
        assert float(outcome.money.saving) == night.summary["saving_cny"]
        row = scenario_table([outcome]).row(0, named=True)
        assert row["penalties_cny"] == night.summary.get("penalties_cny", 0)
        assert row["num_conflicts"] == night.summary.get("num_conflicts", 0)


def test_a_budget_that_is_slack_tonight_binds_under_a_dearer_fee() -> None:
    """
    By hand: half of each fee of 1 from a subsidy of 1.50 is three parcels, all there
    are; at a fee of 2 it is one, the dearest; and merchant m's budget of 1 buys none.
    """
    golden = Golden(
        ABC,
        [lane("yunda", 9)],
        "abc",
        policy=HALF | {"subsidy_budget_cny": 1.5},
        merchants=[{"merchant_id": m, "daily_budget_cny": 1.0} for m in "mno"],
    )
    base = base_of(golden)
    assert base.problem.problem_class == "network"
    outcomes = run_scenarios(base, (Scenario(name="dear", fee_cny=2),))
    assert [outcome.money.num_chosen for outcome in outcomes] == [3, 1]
    (_, free) = run_scenarios(base, (Scenario(name="free", payer={"merchant": 1}),))
    assert free.money.num_chosen == 3
    poor = Golden(
        ABC,
        [lane("yunda", 9)],
        "abc",
        policy={"fee": {"amount_cny": 1}},
        merchants=[{"merchant_id": "m", "daily_budget_cny": 1.0}],
    )
    outcomes = run_scenarios(base_of(poor), (Scenario(name="dear", fee_cny=2),))
    assert [outcome.money.num_chosen for outcome in outcomes] == [3, 2]


@pytest.mark.parametrize(
    ("name", "holdout", "words"),
    [
        ("a load", {"explore_share": 0.1}, "this night also has loads; set objective"),
        ("rows that cross", {"explore_share": 0.1}, "also has crossing rows"),
        ("a subsidy budget", {"explore_share": 0.1}, "also has a subsidy budget"),
        ("a pin", {"share": 0.1}, "would break what pins ask for"),
        ("a floor", {"share": 0.1}, "would break what floors ask for"),
    ],
)
def test_chance_and_limits_that_it_would_break_are_refused(
    name: str, holdout: dict[str, float], words: str
) -> None:
    """Random parcels know no loads or budgets, and pins and floors no chance."""
    golden = GOLDEN[name]
    config = golden.settings() | {"holdout": holdout}
    with pytest.raises(ConfigError, match=words):
        optimizer.allocate(**golden.tables(), config=config, date=DAY)


def test_kept_back_parcels_of_a_packing_night_stay_in_its_proof() -> None:
    """By hand: half of b and c (4 + 3) is kept back by lot; their slots stay used."""
    golden = GOLDEN["a load"]
    config = golden.settings() | {"holdout": {"share": 0.5, "seed": 3}}
    night = optimizer.allocate(**golden.tables(), config=config, date=DAY)
    optimizer.testing.assert_certified(night)
    kept = night.decisions.filter(pl.col("reason") == "HELD_OUT")
    assert kept.height == 1
    assert night.certificate.primal_bound == 7_000_000
    assert night.summary["saving_cny"] == 7 - kept["saving_cny"].item()
    assert night.summary["penalties_cny"] == 0
    assert night.lanes["used"].to_list() == [2]


def test_a_carrier_that_is_out_takes_nothing_on_a_packing_night() -> None:
    """By hand: a could go with yunda alone or zhongtong (4, one slot); b has yunda."""
    outcomes = run_scenarios(
        base_of(GOLDEN["a load by carrier"]),
        (
            Scenario(name="no yunda", without_carriers=("yunda",)),
            Scenario(name="none", without_carriers=("yunda", "zhongtong")),
        ),
    )
    assert [float(o.money.saving) for o in outcomes] == [8, 4, 0]
    pinned = run_scenarios(
        base_of(GOLDEN["a pin"]), (Scenario(name="none", without_carriers=("yunda",)),)
    )
    assert [len(o.answer.certificate.conflicts) for o in pinned] == [0, 2]


def test_the_front_of_a_packing_night_by_hand() -> None:
    """
    Two slots, and a (5) takes both: b and c save 7 for two fees. A threshold above 3
    leaves c out, and then a is better than b alone.
    """
    front = pareto_front(base_of(GOLDEN["a load"]), 3)
    points = [(point.num_chosen, point.harm_micro_cny) for point in front]
    assert points[0] == (2, 7_000_000)
    assert points[-1] == (1, 5_000_000)
    assert all(point.gap_micro_cny == 0 for point in front)


@pytest.mark.parametrize(
    "name", ["a load", "a floor", "a pin", "a city's total that is slack"]
)
def test_there_is_no_price_list_where_prices_do_not_say_what_one_more_brings(
    name: str,
) -> None:
    """Further limits, even slack ones, are refused; the message says what to do."""
    with pytest.raises(SolveError, match=r"loads, floors, pins.*optimizer scenarios"):
        price_list(base_of(GOLDEN[name]))


def test_a_long_solve_tells_its_gap() -> None:
    """The progress of a packing night has the gap of the plan so far."""
    heard: list[str] = []
    golden = GOLDEN["a floor"]
    optimizer.allocate(
        **golden.tables(), config=golden.settings(), date=DAY, progress=heard.append
    )
    told = [float(text.split()[4].rstrip("%")) for text in heard if "within" in text]
    assert told
    assert all(gap >= 0 for gap in told)
    assert heard[0] == "read"


def test_plans_of_packing_nights_have_nothing_to_be_compared_with() -> None:
    """Simpler plans know no loads: they would break rules, so it is refused."""
    with pytest.raises(SolveError, match="loads, floors, pins"):
        robustness(base_of(GOLDEN["a load"]), Doubt(0.3))


def published(golden: Golden, folder: Path) -> Path:
    """Publish a golden night."""
    folder.mkdir()
    inputs = {}
    for name, table in golden.tables().items():
        if table is not None:
            inputs[name] = str(folder / f"{name}.parquet")
            table.write_parquet(inputs[name])
    config = golden.settings() | {"inputs": inputs, "output": str(folder / "runs")}
    return run_date(as_config(config), DAY).run_dir


@pytest.mark.slow
def test_limits_beside_lanes_are_compared_too(tmp_path: Path) -> None:
    """A floor that came, and one that rose by one, with prices on both sides."""
    plain = Golden(ABC, [lane("yunda", 2)], "ab")
    floors = [
        Golden(ABC, [lane("yunda", 2), lane("yunda/south", 9, min_parcels=n)], "ac")
        for n in (0, 1)
    ]
    names = ["plain", "no floor", "a floor"]
    runs = [
        published(golden, tmp_path / name)
        for golden, name in zip([plain, *floors], names, strict=True)
    ]
    assert compare_runs(runs[0], runs[1]).limits.is_empty()
    (row,) = compare_runs(runs[0], runs[2]).limits.to_dicts()
    assert (row["kind"], row["low_before"], row["low_after"]) == (
        "min_parcels",
        None,
        1,
    )
    assert row["shadow_price_cny_before"] is None
    (back,) = compare_runs(runs[2], runs[1]).limits.to_dicts()
    assert (back["low_before"], back["low_after"]) == (1, None)
    assert compare_runs(runs[2], runs[2]).limits.is_empty()


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", ["kilograms", "a floor with a small penalty"])
def test_limits_beside_lanes_are_explained_by_their_names(
    name: str, language: str, tmp_path: Path
) -> None:
    """Rows of a resource and floors: use, limit and price; a wrong name gets one."""
    run_dir = published(GOLDEN[name], tmp_path / "night")
    rows = pl.read_parquet(run_dir / "rows.parquet")
    for row in rows.iter_rows(named=True):
        found = explain_lane(run_dir, row["limit"], language)
        assert found == row | {"sentence": found["sentence"]}
        limit = row["low"] if row["high"] is None else row["high"]
        for number in (row["used"], limit):
            assert f"{number:,}" in found["sentence"]
        assert f"{row['shadow_price_cny']:,.2f}" in found["sentence"]
    with pytest.raises(DataError, match=re.escape(repr(rows["limit"][0]))):
        explain_lane(run_dir, "yunda/kg", language)


@pytest.mark.parametrize("name", ["a load", "a floor with a small penalty", "a pin"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_published_packing_night_explains_its_parts(
    name: str, language: str, tmp_path: Path
) -> None:
    """Parts add up to the night's value, and to what each merchant's parcels save."""
    golden = GOLDEN[name]
    run_dir = published(golden, tmp_path / "night")
    night = explain_night(run_dir, language)
    value = golden.solve().certificate.primal_bound / 1e6
    parts = sum(night[f"{part}_cny"] for part in ("lanes", "caps", "orders", "other"))
    assert night["saving_cny"] == pytest.approx(value, abs=1e-6)
    assert parts - night["gap_cny"] == pytest.approx(value, abs=1e-6)
    saved = sum(
        explain_merchant(run_dir, merchant, language)["saving_cny"]
        for merchant in "mno"
    )
    chosen = pl.read_parquet(run_dir / "recommendations.parquet")
    assert saved == pytest.approx(
        chosen.filter(pl.col("merchant_id").is_in([*"mno"]))["saving_cny"].sum()
    )
    price = explain_lane(run_dir, "yunda", language)
    assert f"{price['shadow_price_cny']:,.2f}" in price["sentence"]
    assert "one more" not in price["sentence"]
