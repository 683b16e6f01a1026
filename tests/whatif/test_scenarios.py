"""Scenarios give what a run from scratch under their rules gives."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import optimizer
from optimizer.config import as_config
from optimizer.config.scenarios import HarmBorne, Scenario, load_scenarios
from optimizer.errors import ConfigError, DataError
from optimizer.night.api import solve_night
from optimizer.night.basis import Basis
from optimizer.testing import random_tables
from optimizer.whatif.base import Base
from optimizer.whatif.scenario_tables import (
    Scenarios,
    front_table,
    scenario_table,
    view_table,
)
from optimizer.whatif.scenarios import pareto_front, run_scenarios

DAY = dt.date(2026, 11, 22)

#: Each with what it does to the configuration, and to the slots.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], Decimal]] = {
    "cap": ({"cap_rate": "0.1"}, {"cap": {"rate": "0.1"}}, Decimal(1)),
    "fee": ({"fee_cny": "1.7"}, {"fee": {"amount_cny": "1.7"}}, Decimal(1)),
    "no fee": ({"fee_cny": 0}, {"fee": {"amount_cny": 0}}, Decimal(1)),
    "half the fee counts": ({"fee_share": "0.5"}, {"fee_share": "0.5"}, Decimal(1)),
    "less": ({"slots_factor": "0.7"}, {}, Decimal("0.7")),
    "more": ({"slots_factor": "1.3"}, {}, Decimal("1.3")),
    "a carrier out": (
        {"without_carriers": ["yunda"]},
        {"carriers": ["zhongtong", "yuantong"]},
        Decimal(1),
    ),
    "costs": ({"complaint_cost_cny": "70"}, {"complaint_cost_cny": "70"}, Decimal(1)),
    "all at once": (
        {
            "cap_rate": "0.5",
            "fee_cny": "0.3",
            "slots_factor": "1.5",
            "without_carriers": ["zhongtong"],
            "complaint_cost_cny": "130",
        },
        {
            "cap": {"rate": "0.5"},
            "fee": {"amount_cny": "0.3"},
            "carriers": ["yunda", "yuantong"],
            "complaint_cost_cny": "130",
        },
        Decimal("1.5"),
    ),
}
ALL = tuple(Scenario(name=name, **case[0]) for name, case in CASES.items())


def inputs_of(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """A small night with a fee, own caps, and open lanes on some seeds."""
    tables = random_tables(seed, num_orders=80, has_choice=seed % 2 > 0)
    config = tables.config
    config["policy"][0]["fee"]["amount_cny"] = "0.8"
    config["capacity"] = {"uncovered_lanes": "open" if seed % 3 else "closed"}
    own = pl.DataFrame({"merchant_id": ["m1", "m2"], "cap_override": [2, None]})
    given = {"orders": tables.orders, "capacity": tables.capacity, "merchants": own}
    return given | {"options": tables.options}, config


def base_of(given: dict[str, Any], config: dict[str, Any]) -> Base:
    """Solve a night of tables in memory."""
    settings = as_config(config)
    paths = {name: table for name, table in given.items() if table is not None}
    solved = solve_night(paths, settings, date=DAY, previous=None, progress=None)
    basis = Basis(DAY, is_published=False, is_compared=False)
    return Base(settings, DAY, paths, solved.night, basis)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_each_scenario_is_what_a_run_from_scratch_gives(seed: int) -> None:
    """
    Cap, fee, capacity, carriers and costs: the saving is that of a run on changed
    rules and tables, to the micro-CNY, and proved.
    """
    given, config = inputs_of(seed)
    outcomes = run_scenarios(base_of(given, config), ALL)
    for outcome in outcomes[1:]:
        _, changes, factor = CASES[outcome.name]
        policy, objective = dict(config["policy"][0]), dict(config["objective"])
        for name, value in changes.items():
            (objective if name in {*objective, "fee_share"} else policy)[name] = value
        rules = config | {"policy": [policy], "objective": objective}
        slots = [int(n * factor) for n in given["capacity"]["slots"]]
        capacity = given["capacity"].with_columns(slots=pl.Series(slots))
        night = optimizer.allocate(
            **given | {"capacity": capacity}, config=rules, date=DAY
        )
        assert outcome.answer.certificate.gap == night.certificate.gap == 0
        expected = night.certificate.primal_bound
        assert outcome.answer.saving == expected, outcome.name
        assert outcome.money.fees == Decimal(night.summary["fees_cny"]["total"])


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("is_array", [True, False])
def test_slots_of_one_carrier_are_multiplied_alone(seed: int, is_array: bool) -> None:
    """Its own factor instead of that of all, by arrays and on a night built again."""
    given, config = inputs_of(seed)
    if not is_array:
        config["holdout"] = {"explore_share": 0.3, "seed": 3}
    own = {"yunda": Decimal("2.5"), "zhongtong": Decimal(0)}
    asked = Scenario(name="own", slots_factor="0.7", slots_by_carrier=own)
    found = run_scenarios(base_of(given, config), (asked,))[1]
    rows = given["capacity"].select("carrier_id", "slots").rows()
    slots = [int(n * own.get(carrier, Decimal("0.7"))) for carrier, n in rows]
    capacity = given["capacity"].with_columns(slots=pl.Series(slots))
    night = optimizer.allocate(
        **given | {"capacity": capacity}, config=config, date=DAY
    )
    assert found.answer.saving == night.certificate.primal_bound


def test_a_factor_of_a_carrier_that_is_none_is_refused() -> None:
    """A misspelt carrier would change nothing."""
    given, config = inputs_of(1)
    asked = Scenario(name="own", slots_by_carrier={"yumda": 2})
    with pytest.raises(ConfigError, match=r"yumda.*it would change nothing"):
        run_scenarios(base_of(given, config), (asked,))


def test_scenarios_of_a_night_with_an_explore_arm_draw_it_anew() -> None:
    """The arm is a share of caps and slots, so it is drawn for each scenario's own."""
    given, config = inputs_of(2)
    config["holdout"] = {"explore_share": 0.5, "share": 0.2, "seed": 3}
    outcomes = run_scenarios(base_of(given, config), ALL[:2])
    for outcome, (_, changes, _) in zip(outcomes[1:], CASES.values(), strict=False):
        rules = config | {"policy": [config["policy"][0] | changes]}
        night = optimizer.allocate(**given, config=rules, date=DAY)
        assert night.summary["experiment"]["num_explored"] > 0
        assert outcome.answer.certificate == night.certificate


def test_the_front_has_no_point_that_another_beats() -> None:
    """
    More money avoids more harm, each further CNY less than the one before; the plan of
    tonight does not lie below it; and the first point is the most that can be
    avoided at all.
    """
    given, config = inputs_of(1)
    base = base_of(given, config)
    front = pareto_front(base, 9)
    assert len(front) >= 4
    spent = [point.num_chosen for point in front]
    harm = [point.harm_micro_cny for point in front]
    assert spent == sorted(spent, reverse=True)
    slopes = [
        (harm[i] - harm[i + 1]) / (spent[i] - spent[i + 1])
        for i in range(len(front) - 1)
    ]
    assert all(slope > 0 for slope in slopes)
    assert slopes == sorted(slopes)
    free = config["policy"][0] | {"fee": {"amount_cny": 0}}
    most = optimizer.allocate(**given, config=config | {"policy": [free]}, date=DAY)
    assert harm[0] == most.certificate.primal_bound
    (tonight,) = run_scenarios(base, ())
    at = int(tonight.money.harm_avoided * 10**6)
    for (n1, h1), (n0, h0) in itertools.pairwise(zip(spent, harm, strict=True)):
        if n0 <= tonight.money.num_chosen <= n1:
            line = h0 + (h1 - h0) * (tonight.money.num_chosen - n0) / (n1 - n0)
            assert at >= line - 1


def test_at_the_indifferent_fee_a_party_gains_nothing() -> None:
    """
    For the same plan: the views add up to harm avoided less fees, and a party that
    paid the fee named for it would gain 0.
    """
    given, config = inputs_of(0)
    config["policy"][0]["fee"]["payer"] = {"merchant": "0.75", "platform": "0.25"}
    outcomes = run_scenarios(base_of(given, config), ALL[:3])
    borne = HarmBorne(merchant="0.5", platform="0.25", consumer="0.25")
    views = view_table(outcomes, borne)
    for outcome in outcomes:
        rows = views.filter(pl.col("name") == outcome.name)
        whole = float(outcome.money.harm_avoided - outcome.money.fees)
        assert rows["net_cny"].sum() == pytest.approx(whole)
        for row in rows.iter_rows(named=True):
            share = {"merchant": 0.75, "platform": 0.25, "consumer": 0.0}[row["party"]]
            paid = share * outcome.money.num_chosen
            if row["indifferent_fee_cny"] is None:
                assert paid == 0
                continue
            fees = paid * row["indifferent_fee_cny"]
            assert row["harm_avoided_cny"] == pytest.approx(fees)
    assert view_table(outcomes, None).is_empty()


def test_the_page_holds_every_scenario_and_no_markup_of_its_name() -> None:
    """Names are escaped; each scenario, view and point is drawn; nothing is loaded."""
    given, config = inputs_of(2)
    base = base_of(given, config)
    evil = '<script>alert("x")</script>'
    outcomes = run_scenarios(base, (Scenario(name=evil, cap_rate="0.2"),))
    table = scenario_table(outcomes)
    front = front_table(pareto_front(base, 6), base.night.policy)
    views = view_table(outcomes, HarmBorne())
    found = Scenarios(DAY, table, front, views, base.basis)
    page = found.report().html
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 2 * (3 + 3)
    assert page.count("<circle") == 2 * front.height
    assert page.count('class="bar"') == 2 * table.height
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("scenarios: [{name: a, cap: 1}]", "1: scenarios[0].cap: extra inputs"),
        ("scenarios: [{name: a, cap_rate: 2}]", "scenarios[0].cap_rate: input should"),
        ("scenarios: [{name: a}, {name: a}]", "must not share a name, as 'a' does"),
        ("sweep:\n  fee_cny: [-1]", "2: sweep.fee_cny[0]"),
        ("harm_borne: {platform: 1}", "must add up to 1"),
        ("[1, 2]", "valid dictionary"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(
    tmp_path: Path, text: str, words: str
) -> None:
    """Every wrong key is named, with the file and the line."""
    path = tmp_path / "scenarios.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_scenarios(path)
    assert words in str(refused.value)
    assert str(refused.value).startswith(str(path))


def test_a_sweep_is_a_scenario_for_each_value(tmp_path: Path) -> None:
    """Lists become scenarios that are named for what they set."""
    path = tmp_path / "scenarios.yaml"
    path.write_text("sweep: {cap_rate: [0.01, 0.02], fee_cny: [0]}")
    found = load_scenarios(path).all_scenarios()
    assert [one.name for one in found] == [
        "cap_rate 0.01",
        "cap_rate 0.02",
        "fee_cny 0",
    ]
    assert [one.cap_rate for one in found] == [Decimal("0.01"), Decimal("0.02"), None]


@pytest.mark.parametrize(("name", "said"), [("Yunda", "differ"), ("sto", "nothing")])
def test_a_scenario_without_a_carrier_that_nobody_knows_is_refused(
    name: str, said: str
) -> None:
    """It would be tonight again, under another name."""
    scenario = Scenario(name="one out", without_carriers=(name,))
    with pytest.raises((ConfigError, DataError), match=f"one out.*{name}.*{said}"):
        run_scenarios(base_of(*inputs_of(0)), (scenario,))
