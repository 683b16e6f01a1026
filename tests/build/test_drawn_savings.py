"""Savings that are drawn: one optimum for them, and propensities that are true."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optimizer
from optimizer.build.drawn_savings import Draws, count_plans, draw_seed, fill
from optimizer.build.experiment import make_experiment
from optimizer.build.model_draws import drawn_model
from optimizer.build.model_file import named
from optimizer.cli.run import _avoided, _draw_words
from optimizer.config import as_config, config_json
from optimizer.errors import ConfigError
from optimizer.model.problem import Problem
from optimizer.model.solution import SolveParams
from optimizer.night.api import solve_night
from optimizer.simulate import simulate_night
from optimizer.solvers import solve
from optimizer.testing import assert_certified, random_problem
from tests.support.drawn_models import RAISED, a_model, written
from tests.support.examples import examples
from tests.support.pages import visible

DAY = dt.date(2026, 11, 22)
PREMIUM = ["complaint_prob_premium", "return_prob_premium"]


def simulated(num_orders):
    """A small simulated night without premium probabilities."""
    night = simulate_night(num_orders=num_orders, num_merchants=10, seed=5)
    slots = night.capacity["slots"]
    return replace(
        night,
        orders=night.orders.drop(PREMIUM),
        capacity=night.capacity.with_columns(slots=slots * 3 + 1),
    )


@pytest.fixture(scope="module")
def day():
    """A night that all tests decide."""
    return simulated(900)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a model with uncertainty."""
    return written(tmp_path_factory.mktemp("drawn"), a_model())


def configured(model, *, seed=3, num_draws=30, share=0, **more):
    """A configuration whose savings are drawn."""
    return {
        "version": 1,
        "policy": [
            {
                "valid_from": "2022-01-12",
                "cap": {"rate": 0.1},
                "fee": {"amount_cny": 0.8},
                "carriers": ["zhongtong", "yuantong", "yunda"],
            }
        ],
        "objective": {
            "complaint_cost_cny": 30,
            "return_cost_cny": 18,
            "explore": "thompson",
            "num_draws": num_draws,
        },
        "holdout": {"seed": seed, "share": share},
        "model": model,
        **more,
    }


def decide(day, config, **more):
    """A night in memory."""
    tables = {"merchants": day.merchants} | more
    orders = tables.pop("orders", day.orders)
    return optimizer.allocate(orders, day.capacity, config=config, date=DAY, **tables)


# Merchant 0 has one place, merchant 1 two; lane 0 has two slots, lane 1 one. Order 1
# may go on either lane.
BY_HAND = Problem(
    merchant_start=np.array([0, 2, 5]),
    cap=np.array([1, 2]),
    option_start=np.array([0, 1, 3, 4, 5, 6]),
    option_lane=np.array([0, 0, 1, 0, 0, 1], np.int32),
    option_saving=np.array([9, 1, 8, 5, 4, 7]),
    slots=np.array([2, 1]),
    lane_parent=np.array([-1, -1], np.int32),
    key=np.array([5, 4, 3, 2, 1], np.uint64),
    row=np.arange(5),
)


def test_a_night_by_hand():
    """
    At prices 0 and 6 the first draw takes order 0 (9) and order 2 (5), which fill the
    first lane, so that order 3 (4) has none and order 4 goes on the other one, where it
    nets 1. In the second draw order 1 nets 6 on the second lane and takes its slot
    before order 4. In the third draw orders 2 and 3 are worth the same, and the one
    with the smaller key comes first.
    """
    price = np.array([0, 6])
    saving = np.array([[9, 1, 8, 5, 4, 7], [0, 0, 12, -1, 0, 11], [0, 0, 0, 5, 5, 0]]).T
    plans = [p.tolist() for p in fill(BY_HAND, price, np.arange(6), np.array(saving))]
    assert plans == [[0, 3, 5], [2], [4, 3]]
    draws = Draws("", np.zeros(6, np.int64), np.arange(6), np.array(saving))
    # The night's own plan takes orders 0, 2 and 4.
    count = count_plans(BY_HAND, np.array([0, 3, 5]), price, draws)
    assert count.tolist() == [2, 1, 3, 1, 2]


@given(st.integers(0, 10_000))
@examples(40)
@pytest.mark.slow
def test_filled_plans_keep_every_limit_and_at_its_own_prices_are_near_the_best(seed):
    """
    No order twice, no cap, no lane and none around it above its slots, nothing that
    saves nothing; and at the prices of the optimum what is filled saves at least 0.8 of
    it.
    """
    rng = np.random.default_rng(seed)
    problem = random_problem(rng)
    solution = solve(problem, "auto", SolveParams())
    price = solution.lane_price.copy()
    for lane, parent in enumerate(problem.lane_parent.tolist()):
        price[lane] += price[parent] if parent >= 0 else 0
    option = np.arange(problem.num_options)
    (plan,) = fill(problem, price, option, problem.option_saving[:, None])

    owner = np.searchsorted(problem.option_start, plan, side="right") - 1
    merchant = np.searchsorted(problem.merchant_start, owner, side="right") - 1
    assert len(set(owner.tolist())) == len(plan)
    used_caps = np.bincount(merchant, minlength=problem.num_merchants)
    assert (used_caps <= problem.cap).all()
    used = np.zeros(problem.num_lanes, np.int64)
    for lane in problem.option_lane[plan].tolist():
        row = lane
        while row >= 0:
            used[row] += 1
            row = int(problem.lane_parent[row])
    assert (used <= problem.slots).all()
    assert (problem.option_saving[plan] > 0).all()
    best = int(problem.option_saving[solution.chosen].sum())
    assert best * 0.8 <= int(problem.option_saving[plan].sum()) <= best


@pytest.fixture(scope="module")
def solved(day, model):
    """A night of 100 further draws, with its problem."""
    tables = {"orders": day.orders, "capacity": day.capacity}
    config = configured(model, num_draws=100)
    return solve_night(
        tables | {"merchants": day.merchants},
        config,
        date=DAY,
        previous=None,
        progress=None,
    ).night


@pytest.mark.slow
def test_propensities_are_near_what_solving_every_draw_gives(solved):
    """
    The solver decides each of 100 draws to its optimum: how often it chooses an order
    is, on average over those that any draw chooses, within 0.03 of the propensity, and
    never further than 0.25; as many are chosen in all, within 2 %.
    """
    problem, draws = solved.problem, solved.names.draws
    owner = np.repeat(np.arange(problem.num_orders), np.diff(problem.option_start))
    true = np.zeros(problem.num_orders)
    true[owner[solved.solution.chosen]] += 1
    for each in draws.saving.T:
        saving = np.full(problem.num_options, -1)
        saving[draws.option] = each
        plan = solve(replace(problem, option_saving=saving), "auto", SolveParams())
        true[owner[plan.chosen]] += 1
    true /= 101
    logged = solved.outcomes.propensity[problem.row]
    either = (true > 0) | (logged > 0)
    assert either.sum() > 50
    assert len(np.unique(true[either])) > 10
    apart = abs(true - logged)[either]
    assert apart.mean() < 0.03
    assert apart.max() < 0.25
    assert logged.sum() == pytest.approx(true.sum(), rel=0.02)


@pytest.mark.slow
def test_propensities_tell_how_often_nights_choose(model):
    """
    Over 30 seeds, each a night of its own, an order is premium as often as its
    propensities say on average (within four standard errors for all but 1 in 50), and
    chosen orders weighted by the inverse stand for all that may be chosen.
    """
    premium, chance, square, drawn = [], [], [], []
    day = simulated(400)
    for seed in range(30):
        orders = decide(day, configured(model, seed=seed, num_draws=10)).orders
        premium.append(orders["is_premium"].to_numpy())
        chance.append(orders["propensity"].to_numpy())
        inverse = 1 / np.maximum(chance[-1], 1e-9)
        square.append(float(inverse[premium[-1]].sum()))
        drawn.append(int((chance[-1] > 0).sum()))
    often, said = np.mean(premium, axis=0), np.mean(chance, axis=0)
    error = np.sqrt(said * (1 - said) / 30 * (1 + 1 / 10)) + 1e-3
    assert np.mean(abs(often - said) > 4 * error) < 0.02
    assert said.max() > 0.5
    total = np.array(square) - np.array(drawn)
    assert abs(total.mean()) < 4 * total.std() / 30**0.5 + 0.02 * np.mean(drawn)


def test_one_proved_optimum_for_the_drawn_savings(day, model):
    """
    The night is that of the drawn model without any exploration, certificate and all;
    the mean of each saving stands beside it, and is that of the model as measured.
    """
    config = configured(model, share=0)
    night = decide(day, config)
    assert_certified(night)
    assert night.certificate.gap == 0
    experiment = make_experiment(
        as_config(config).holdout, DAY, as_config(config).objective
    )
    seed = int(draw_seed(experiment), 16)
    plain = {key: value for key, value in config.items() if key != "objective"}
    plain["objective"] = {"complaint_cost_cny": 30, "return_cost_cny": 18}
    drawn = written(Path(model) / "drawn", named(drawn_model(a_model(), seed=seed)))
    other = decide(day, plain | {"model": drawn})
    assert night.certificate == other.certificate
    same = ["order_id", "is_premium", "carrier_id", "saving_cny"]
    assert night.orders.select(same).equals(other.orders.select(same))
    measured = written(Path(model) / "mean", as_measured(a_model()))
    mean = decide(day, plain | {"model": measured})
    both = night.draws.join(mean.orders.select("order_id", by="saving_cny"), "order_id")
    assert (both["mean_saving_cny"] == both["by"]).all()
    told = night.summary["draw"]
    chosen = night.draws.join(night.recommendations.select("order_id"), "order_id")
    assert told["seed"] == draw_seed(experiment)
    assert told["mean_saving_cny"] == pytest.approx(chosen["mean_saving_cny"].sum())
    assert told["num_drawn"] == (night.orders["arm"] == "thompson").sum() > 20


def test_a_drawn_night_is_told_by_the_mean_of_its_model(day, model):
    """
    What is shown as expected is the mean; the draw stands beside it, named as drawn,
    and is what the certificate is of.
    """
    night = decide(day, configured(model, share=0))
    mean = night.summary["draw"]["mean_saving_cny"]
    drawn = night.summary["saving_cny"]
    assert f"{mean:,.2f}" != f"{drawn:,.2f}"
    assert drawn == pytest.approx(night.certificate.primal_bound / 1e6)
    shown = dict(night._view().rows)
    assert shown["avoids"].startswith(f"{mean:,.2f} CNY of expected harm")
    assert shown["drawn"].startswith(f"{drawn:,.2f} CNY by the savings that were drawn")
    numbers = dict(night.summary)
    assert f"{mean:,.2f} CNY of expected harm" in _avoided(night.record)
    assert f"by them the plan avoids {drawn:,.2f} CNY" in _draw_words(numbers)
    said = visible(night.report().html)
    assert said.index(f"{mean:,.2f}") < said.index(f"{drawn:,.2f}")
    numbers["draw"] = numbers["draw"] | {"mean_saving_cny": -3.0}
    assert _avoided({**night.record, "summary": numbers}).startswith(
        "costs      3.00 CNY"
    )


def as_measured(model):
    """A model without what is no measurement but the benefit of doubt."""
    changed = {
        harm: effect.model_copy(update={"intercept": effect.intercept - RAISED})
        for harm, effect in model.effect.items()
    }
    return named(model.model_copy(update={"effect": changed}))


def test_the_holdout_keeps_some_of_the_chosen_back(day, model):
    """
    With a holdout of 0.2 every propensity is 0.8 times what it is without, and of the
    chosen orders those that are drawn and those that all plans choose are kept back.
    """
    without = decide(day, configured(model)).orders
    held = decide(day, configured(model, share=0.2))
    orders = held.orders
    assert (orders["propensity"] - 0.8 * without["propensity"]).abs().max() < 1e-12
    assert orders["arm"].equals(without["arm"])
    kept = orders.filter(reason="HELD_OUT")
    assert "thompson" in kept["arm"].to_list()
    assert held.summary["experiment"]["num_kept_back"] == len(kept)


def test_the_same_seed_gives_the_same_bytes_whatever_rows_and_threads(day, model):
    """Shuffled rows, or one thread: the same orders, draws and figures; not so another
    seed.
    """
    first = decide(day, configured(model))
    shuffled = day.orders.sample(fraction=1, shuffle=True, seed=9)
    again = decide(day, configured(model, solver={"num_threads": 1}), orders=shuffled)
    assert first.orders.equals(again.orders)
    assert first.draws.equals(again.draws)
    assert first.summary == again.summary
    other = decide(day, configured(model, seed=4))
    assert not other.orders.equals(first.orders)
    assert first.summary["draw"]["seed"] != other.summary["draw"]["seed"]


def test_options_are_drawn_as_orders_are(day, model):
    """Each order's own carrier as its only option: the same decisions and draws."""
    options = day.orders.select("order_id", "carrier_id")
    night = decide(
        day, configured(model), orders=day.orders.drop("carrier_id"), options=options
    )
    own = decide(day, configured(model))
    names = ["order_id", "is_premium", "saving_cny", "arm", "propensity"]
    known = own.draws["order_id"].to_list()
    one, other = (
        found.orders.select(names).filter(pl.col("order_id").is_in(known))
        for found in (night, own)
    )
    assert one.equals(other)
    assert night.draws.equals(own.draws)


def test_what_cannot_be_drawn_is_refused(day, model, tmp_path):
    """
    No model, a share for random parcels, a number of draws where none are made: each is
    told by the configuration; own premium probabilities, an effect that is stated for
    sure, and limits beside caps and lanes by the night.
    """
    config = configured(model)
    for change, words in [
        ({"model": None}, "none is named: set model"),
        (
            {"holdout": {"explore_share": 0.1}},
            "write explore_share: 0 under holdout, where 0.1 stands",
        ),
        (
            {"objective": config["objective"] | {"explore": "blind"}},
            "num_draws counts draws of savings, and there are none",
        ),
    ]:
        with pytest.raises(ConfigError, match=words):
            as_config(config | change)
    given_all = day.orders.with_columns(
        **{name: pl.lit(0.01) for name in PREMIUM},
    )
    with pytest.raises(ConfigError, match="bring premium probabilities of their own"):
        decide(day, config, orders=given_all)
    sure = written(tmp_path / "sure", a_model(spread=0.0))
    with pytest.raises(
        ConfigError, match="nothing to draw: the effects of model made-"
    ):
        decide(day, config | {"model": sure})
    pinned = day.orders.with_columns(pin=pl.lit("must"))
    with pytest.raises(ConfigError, match=r"set objective\.explore to none"):
        decide(day, config, orders=pinned)


def test_other_nights_record_no_draws():
    """What nights of before say of themselves stays as it was."""
    plain = {"complaint_cost_cny": 30, "return_cost_cny": 18}
    policy = configured("m")["policy"]
    recorded = config_json(
        as_config({"version": 1, "policy": policy, "objective": plain})
    )
    assert not {"explore", "num_draws"} & recorded["objective"].keys()
