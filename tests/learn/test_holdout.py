"""What is left to chance on a night: the draws, the slots they use, and the proof."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optimizer
from optimizer.build.experiment import (
    Experiment,
    ExploreField,
    draw_pool,
    is_held,
    station_keys,
)
from optimizer.errors import ConfigError
from optimizer.io.write import read_back
from optimizer.replay.run import verify_run
from optimizer.simulate import simulate_night
from optimizer.testing import assert_certified
from optimizer.verify.night import verify_night
from tests.support.examples import examples
from tests.support.small_night import DAY, SmallNight

CONFIG = {
    "version": 1,
    "policy": [
        {
            "valid_from": "2022-01-12",
            "cap": {"rate": 0.03},
            "fee": {"amount_cny": 0.8},
            "carriers": ["zhongtong", "yuantong", "yunda", "shunfeng"],
        }
    ],
    "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
}


def chance(share: float, explore_share: float, seed: int = 1) -> dict[str, object]:
    return {"share": share, "explore_share": explore_share, "seed": seed}


def experiment(
    hold: Fraction, explore: Fraction, seed: int = 1, day: dt.date = DAY
) -> Experiment:
    return Experiment(hold, explore, seed, day)


@pytest.fixture(scope="module", params=[1, 3])
def simulated(request):
    """A day with one carrier an order, and one with three."""
    return simulate_night(
        num_orders=8_000, num_merchants=30, seed=5, carriers_per_order=request.param
    )


def solve(day, holdout, **more):
    tables = {"merchants": day.merchants, "options": day.options} | more
    config = CONFIG | {"holdout": holdout}
    orders = tables.pop("orders", day.orders)
    return optimizer.allocate(orders, day.capacity, config=config, date=DAY, **tables)


def test_keeping_back_changes_nothing_but_who_gets_it(simulated):
    """
    The plan, its certificate and its prices are those without a holdout; of the
    chosen, some are kept back, and the cost is exactly their savings.
    """
    plain, thinned = solve(simulated, chance(0, 0)), solve(simulated, chance(0.25, 0))
    is_kept_back = thinned.orders["reason"] == "HELD_OUT"
    planned = thinned.orders.filter(thinned.orders["is_premium"] | is_kept_back)

    assert thinned.certificate == plain.certificate
    assert thinned.lanes.equals(plain.lanes)
    chosen = plain.orders.filter("is_premium")["order_id"]
    assert planned["order_id"].to_list() == chosen.to_list()
    assert 0.15 < is_kept_back.sum() / len(chosen) < 0.35
    lost = thinned.orders.filter(is_kept_back)["saving_cny"].sum()
    told = thinned.summary["experiment"]
    assert told["kept_back_cost_cny"] == pytest.approx(lost, abs=1e-6)
    assert thinned.summary["saving_cny"] == pytest.approx(
        plain.summary["saving_cny"] - lost, abs=1e-6
    )
    assert set(planned["propensity"]) == {0.75}


def test_a_station_is_kept_back_whole_or_not_at_all(simulated):
    """
    By station and day: all chosen parcels of a place share their service, the
    propensity is that of single parcels, the plan the same; another day, other places.
    """
    by_station = chance(0.5, 0) | {"unit": "station-day"}
    plain, night = solve(simulated, chance(0, 0)), solve(simulated, by_station)
    assert night.certificate == plain.certificate

    regions = simulated.orders.select("order_id", "region_id")
    given = simulated.orders if simulated.options is None else simulated.options
    where = given.select("order_id", "carrier_id", "outlet_id").join(
        regions, "order_id"
    )
    held = pl.col("reason") == "HELD_OUT"
    chosen = night.orders.filter(held | pl.col("is_premium")).join(
        where, on=["order_id", "carrier_id"]
    )
    places = chosen.group_by("carrier_id", "region_id", "outlet_id").agg(
        num_services=pl.col("is_premium").n_unique(), is_held=held.first()
    )
    assert places["num_services"].to_list() == [1] * len(places)
    assert 0.2 < places["is_held"].mean() < 0.8
    assert set(chosen["propensity"]) == {0.5}
    other = solve(simulated, by_station | {"seed": 2})
    assert not other.orders["reason"].equals(night.orders["reason"])


def test_both_arms_stay_within_caps_and_slots_and_the_rest_is_proved(simulated):
    """Explored and kept-back parcels count in caps and lanes; the rest is optimal."""
    night = solve(simulated, chance(0.1, 0.2))

    assert_certified(night)
    assert night.certificate.gap == 0
    by_reason = dict(night.orders["reason"].value_counts().iter_rows())
    assert by_reason["EXPLORED"] > 5
    pool = night.orders.filter(night.orders["arm"] == "explore")
    assert set(pool["propensity"]) == {0.5}
    assert set(pool["reason"]) == {"EXPLORED", "HELD_OUT"}
    assert (night.merchants["used"] <= night.merchants["cap"]).all()
    assert (night.lanes["used"] <= night.lanes["slots"]).all()
    # Caps and slots are shown as they were before the arm took its own.
    assert (night.merchants["cap"] == night.merchants["num_orders"] * 3 // 100).all()
    given = simulated.capacity["slots"].sum()
    assert night.lanes["slots"].sum() <= given


def test_the_bound_on_the_cost_of_exploring_holds(simulated):
    """Without the explore arm the night is worth at most what the summary says."""
    without = solve(simulated, chance(0, 0))
    for seed in range(5):
        with_arm = solve(simulated, chance(0, 0.2, seed))
        lost = without.summary["saving_cny"] - with_arm.summary["saving_cny"]
        told = with_arm.summary["experiment"]["explore_cost_at_most_cny"]
        assert -1e-6 <= lost <= told + 1e-6


def test_the_draw_is_the_same_in_any_row_order_and_another_on_another_day(simulated):
    """Shuffled rows, the same arms; another seed or date, other arms."""
    shuffled = simulated.orders.sample(fraction=1, shuffle=True, seed=9)
    options = simulated.options
    if options is not None:
        options = options.sample(fraction=1, shuffle=True, seed=9)
    first = solve(simulated, chance(0.2, 0.2))
    again = solve(simulated, chance(0.2, 0.2), orders=shuffled, options=options)
    other = solve(simulated, chance(0.2, 0.2, seed=2))

    assert first.orders.equals(again.orders)
    assert not first.orders["arm"].equals(other.orders["arm"], null_equal=True)
    key = np.arange(1_000, dtype=np.uint64)
    rules = experiment(Fraction(1, 2), Fraction(0))
    later = experiment(Fraction(1, 2), Fraction(0), day=DAY + dt.timedelta(1))
    assert 400 < int(is_held(key, rules).sum()) < 600
    assert 400 < int((is_held(key, rules) != is_held(key, later)).sum()) < 600


fields = st.tuples(
    st.lists(st.integers(0, 2), min_size=1, max_size=12),
    st.lists(st.integers(0, 3), min_size=3, max_size=3),
    st.lists(st.integers(0, 2), min_size=3, max_size=3),
    st.integers(0, 999),
)


@given(fields)
@examples(200)
def test_the_pool_fits_whatever_the_limits(given_field):
    """Every cap and every lane with its parent takes what the coin gives it."""
    merchants, caps, slots, seed = given_field
    size = len(merchants)
    parent = np.array([-1, 0, 0], np.int32)
    lane = (np.arange(size) % 2 + 1).astype(np.int32)
    field = ExploreField(
        key=np.arange(size, dtype=np.uint64) * np.uint64(7919),
        row=np.arange(size),
        merchant=np.array(merchants, np.int32),
        is_open=np.ones(size, bool),
        order=np.arange(size),
        lane=lane,
        saving=np.arange(size),
        cap=np.array(caps),
        slots=np.array(slots),
        parent=parent,
    )
    pool, member = draw_pool(field, experiment(Fraction(0), Fraction(1), seed))
    taken = member[pool.is_premium]
    use = np.bincount(field.merchant[taken], minlength=3)
    by_lane = np.bincount(lane[taken], minlength=3)
    by_lane[0] += by_lane[1:].sum()

    assert (use == pool.used_cap).all()
    assert (by_lane == pool.used_slots).all()
    assert (use <= field.cap).all()
    assert (by_lane <= field.slots).all()


@pytest.mark.slow
def test_the_pool_is_a_fair_sample_and_its_coin_is_fair():
    """Over 4,000 dates: entry as the formula says, and half of the pool is premium."""
    size, cap = 40, 2
    field = ExploreField(
        key=np.arange(size, dtype=np.uint64),
        row=np.arange(size),
        merchant=np.zeros(size, np.int32),
        is_open=np.ones(size, bool),
        order=np.arange(size),
        lane=np.zeros(size, np.int32),
        saving=np.arange(size),
        cap=np.array([cap]),
        slots=np.array([100]),
        parent=np.array([-1], np.int32),
    )
    entered, premium, nights = np.zeros(size), np.zeros(size), 4_000
    for day in range(nights):
        date = DAY + dt.timedelta(day)
        pool, member = draw_pool(
            field, experiment(Fraction(0), Fraction(1, 20), 1, date)
        )
        entered[member] += 1
        premium[member[pool.is_premium]] += 1
    share = 2 * cap / 20 / size  # 2 e cap / n
    assert entered.sum() / nights / size == pytest.approx(share, rel=0.05)
    assert premium.sum() / entered.sum() == pytest.approx(0.5, abs=0.03)
    assert abs(np.corrcoef(entered, field.saving)[0, 1]) < 0.4
    assert entered.min() > 0


def test_a_holdout_without_a_date_is_refused():
    """The draw is keyed by the date, so a night needs one."""
    day = simulate_night(num_orders=500, num_merchants=5, seed=1)
    config = CONFIG | {"holdout": chance(0.1, 0)}
    with pytest.raises(ConfigError, match="needs the date of the night"):
        optimizer.allocate(day.orders, day.capacity, config=config)


@pytest.mark.slow
def test_stations_that_are_kept_back_are_proved_again(inputs_only: SmallNight):
    """Both ways of verification draw the stations, and find the same."""
    by_station = chance(0.5, 0, seed=3) | {"unit": "station-day"}
    inputs_only.configure(holdout=by_station)
    inputs_only.run()
    assert verify_run(inputs_only.run_dir).findings == ()
    assert verify_night(inputs_only.run_dir).findings == ()
    decided = read_back(inputs_only.run_dir / "decisions.parquet")
    assert set(decided.drop_nulls("arm")["reason"]) == {"CHOSEN", "HELD_OUT"}


@pytest.mark.slow
def test_stations_of_another_draw_do_not_pass(
    inputs_only: SmallNight, monkeypatch: pytest.MonkeyPatch
):
    """A night whose stations were drawn by other keys is found false."""
    inputs_only.configure(holdout=chance(0.5, 0, seed=3) | {"unit": "station-day"})
    monkeypatch.setattr(
        "optimizer.explain.outcomes.station_keys",
        lambda places: station_keys(places) ^ np.uint64(1),
    )
    inputs_only.run()
    found = verify_night(inputs_only.run_dir).findings
    assert any("kept back" in str(finding) for finding in found), found


def test_a_published_night_with_both_arms_is_proved_again(inputs_only: SmallNight):
    """Verification draws both arms again; a swapped parcel does not pass."""
    inputs_only.configure(holdout=chance(0.3, 0.5))
    inputs_only.run()
    verdict = verify_run(inputs_only.run_dir)
    decided = read_back(inputs_only.run_dir / "decisions.parquet")

    assert verdict.findings == ()
    arms = set(decided.drop_nulls("arm").select("arm", "reason").rows())
    assert arms == {
        ("policy", "CHOSEN"),
        ("policy", "HELD_OUT"),
        ("explore", "EXPLORED"),
        ("explore", "HELD_OUT"),
    }
    taken = read_back(inputs_only.run_dir / "recommendations.parquet")
    assert set(taken["order_id"]) == set(decided.filter("is_premium")["order_id"])
    from optimizer.explain.sentences import explain_run

    held = decided.filter(pl.col("reason") == "HELD_OUT")
    for arm, words in (("policy", "kept back at random"), ("explore", "by even")):
        told = held.filter(pl.col("arm") == arm)["order_id"][0]
        assert words in explain_run(inputs_only.run_dir, told)["sentence"]
