"""Worlds: each is what its sentence says, and ``plain`` is what it was."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from functools import cache

import numpy as np
import polars as pl
import pytest

from optimizer.errors import ConfigError
from optimizer.simulate import SimulatedNight, simulate, simulate_night
from optimizer.simulate.dates import START
from optimizer.simulate.laws import DEMANDING, WORLDS, find_law
from optimizer.simulate.reveal import is_crowded, outcomes_of
from tests.support.small_night import call

OTHERS = [name for name in WORLDS if name != "plain"]
#: Of orders and truth of a plain night of 400 parcels, since before there were worlds.
PLAIN = "b3979d0dcd53e806f5bf055c9ef149aada4bade2538e0454676c4fbd4e08b0a5"


@cache
def night_of(world: str, days: int = 0, num_orders: int = 4_000) -> SimulatedNight:
    return simulate_night(
        num_orders=num_orders,
        num_merchants=20,
        seed=7,
        day=START + timedelta(days),
        world=world,
    )


def known(world: str, days: int = 0) -> pl.DataFrame:
    """Orders with their truth and the share of harm that premium truly removes."""
    night = night_of(world, days)
    both = night.orders.join(night.truth, on=["order_id", "carrier_id"])
    left = pl.col("true_complaint_prob_premium") / pl.col(
        "true_complaint_prob_standard"
    )
    return both.with_columns(removed=(1 - left) / pl.col("true_door_kept_prob"))


def effects(world: str, *by: str, days: int = 0) -> dict[object, float]:
    """Mean share of complaints that a kept promise removes, by group."""
    found = known(world, days).group_by(*by).agg(pl.col("removed").mean()).sort(by)
    return {row[:-1] if len(by) > 1 else row[0]: row[-1] for row in found.rows()}


def told(
    world: str, premium: pl.Expr, *, days: int = 0, until: int | None = None
) -> pl.DataFrame:
    """Outcomes of a night on which the named parcels were recommended."""
    night = night_of(world, days)
    day = START + timedelta(days)
    decided = night.orders.join(night.truth, on=["order_id", "carrier_id"]).select(
        "order_id",
        "carrier_id",
        is_premium=premium,
        arm=pl.lit("explore"),
        propensity=pl.lit(0.5),
    )
    observed = None if until is None else day + timedelta(until)
    tables = night.orders, night.truth, night.merchants
    return outcomes_of(decided, *tables, day, 5.0, observed)


def test_plain_is_what_it_was():
    """The world of before has its rows of before, to the last digit."""
    night = night_of("plain", num_orders=400)
    text = night.orders.write_csv() + night.truth.write_csv()
    assert hashlib.sha256(text.encode()).hexdigest() == PLAIN


@pytest.mark.parametrize("world", OTHERS)
def test_worlds_differ_in_their_law_alone(world):
    """Same merchants, parcels, values and capacity; never the same premium outcomes."""
    night, plain = night_of(world), night_of("plain")
    same = ["order_id", "merchant_id", "carrier_id", "outlet_id", "order_value_cny"]
    assert night.orders.select(same).equals(plain.orders.select(same))
    assert night.capacity.equals(plain.capacity)
    assert night.merchants.equals(plain.merchants)
    truth = "true_complaint_prob_premium"
    assert not night.truth[truth].equals(plain.truth[truth])
    assert night.orders.schema["category_id"] == pl.String
    assert night.orders["station_distance_m"].min() > 0


@pytest.mark.parametrize("world", OTHERS)
def test_truth_has_both_outcomes_and_no_nulls(world):
    """Every parcel's two outcomes come as often as their probabilities say."""
    truth = night_of(world).truth
    assert sum(truth.null_count().row(0)) == 0
    for harm in ("complaint", "return"):
        for service in ("standard", "premium"):
            chance = truth[f"true_{harm}_prob_{service}"]
            assert chance.is_between(0, 1).all()
            error = truth[f"{harm}_{service}"].sum() - chance.sum()
            assert abs(error) < 4 * chance.sum() ** 0.5
    broken = truth.filter(~pl.col("door_kept"))
    assert (broken["complaint_standard"] == broken["complaint_premium"]).all()


def test_a_world_on_disk_is_the_one_in_memory(tmp_path):
    """Files of a world, and the columns that it alone has, equal the tables."""
    written = simulate(
        tmp_path, num_orders=4_000, num_merchants=20, num_days=1, seed=7,
        world="spill-over",
    )  # fmt: skip
    night = night_of("spill-over")
    assert pl.read_parquet(written.folders[0] / "truth.parquet").equals(night.truth)
    assert pl.read_parquet(written.folders[0] / "orders.parquet").equals(night.orders)


def test_a_world_with_options_has_a_truth_for_each():
    """Where an order may go with several carriers, each has its outcomes."""
    night = simulate_night(
        num_orders=500, num_merchants=5, seed=7, carriers_per_order=3, world="take-up"
    )
    assert night.options is not None
    keys = ["order_id", "carrier_id"]
    assert night.truth.select(keys).equals(night.options.select(keys))


def test_two_harms_premium_mends_least_where_the_score_is_highest():
    """Premium removes far less of a high risk than of a low one; it hurts nobody."""
    frame = known("two-harms").sort("complaint_prob_standard")
    low, high = frame.head(1_000)["removed"].mean(), frame.tail(200)["removed"].mean()
    assert low > 0.6
    assert high < 0.25
    assert frame["removed"].min() > 0


def test_categories_one_is_hurt_and_complained_about_most():
    """Food is hurt, all others are not; its risk is the highest of all."""
    found = effects("categories", "category_id")
    assert [name for name, share in found.items() if share < 0] == ["food"]
    assert max(found.values()) > 0.7
    risk = (
        known("categories")
        .group_by("category_id")
        .agg(pl.col("complaint_prob_standard").mean())
    )
    assert risk.sort("complaint_prob_standard")["category_id"][-1] == "food"


def test_hidden_two_columns_hint_together_and_neither_alone():
    """By category or by value effects are alike; by both they are far apart."""
    frame = known("hidden").with_columns(
        dear=pl.col("order_value_cny") > 60,
        first=pl.col("category_id").is_in(["apparel", "beauty", "electronics"]),
    )
    for one in ("dear", "first"):
        low, high = sorted(frame.group_by(one).agg(pl.col("removed").mean())["removed"])
        assert high - low < 0.15
    both = frame.group_by(pl.col("dear") == pl.col("first"))
    low, high = sorted(both.agg(pl.col("removed").mean())["removed"])
    assert high - low > 0.5


def test_distance_decides_and_outcomes_keep_the_column():
    """Far from the station premium removes most harm, beside it nearly nothing."""
    frame = known("distance").sort("station_distance_m")
    assert frame.head(300)["removed"].mean() < 0.2
    assert frame.tail(300)["removed"].mean() > 0.7
    shown = told("distance", pl.lit(value=True))
    assert shown["station_distance_m"].is_not_null().all()


def test_hidden_score_outcomes_lack_what_nights_have():
    """The night's orders have the scores, its outcomes do not; elsewhere they do."""
    assert night_of("hidden-score").orders["complaint_prob_standard"].min() > 0
    scores = ["complaint_prob_standard", "return_prob_standard"]
    shown = told("hidden-score", pl.lit(value=True))
    assert shown.select(pl.col(scores).is_null().all()).row(0) == (True, True)
    assert told("null", pl.lit(value=True))[scores[0]].is_not_null().all()


def test_drift_turns_the_order_of_categories_and_swings_risk():
    """In a month the best category becomes the worst; the weeks' risks differ."""
    first, later = (effects("drift", "category_id", days=d) for d in (0, 30))
    assert max(first, key=first.get) == min(later, key=later.get)
    ratio = [
        known("drift", d)
        .select(
            pl.col("true_complaint_prob_standard").sum()
            / pl.col("complaint_prob_standard").sum()
        )
        .item()
        for d in (2, 5)
    ]
    assert ratio[0] > 1.2 * ratio[1]


def test_worsening_carrier_keeps_its_promises_until_it_does_not():
    """After the sixth day yuantong comes down and does more harm; no other does."""
    before, after = (
        known("worsening-carrier", d)
        .group_by("carrier_id")
        .agg(
            pl.col("true_door_kept_prob").mean(),
            risk=pl.col("true_complaint_prob_standard").sum()
            / pl.col("complaint_prob_standard").sum(),
        )
        .sort("carrier_id")
        for d in (0, 12)
    )
    fell = after["true_door_kept_prob"] / before["true_door_kept_prob"]
    rose = after["risk"] / before["risk"]
    for name, kept, risk in zip(before["carrier_id"], fell, rose, strict=True):
        expected = (0.25, 1.5) if name == "yuantong" else (1.0, 1.0)
        assert (kept, risk) == pytest.approx(expected, abs=0.1), name


def test_take_up_what_gains_is_bought_less():
    """Fewer are bought than merchants state, and fewer of those that gain."""
    shown = told("take-up", pl.lit(value=True))
    assert shown["is_bought"].mean() < shown["take_up"].mean() - 0.2
    both = shown.join(
        known("take-up").select("order_id", "removed"), on="order_id"
    ).group_by(pl.col("removed") > 0.5)
    bought = dict(both.agg(pl.col("is_bought").mean()).rows())
    assert bought[True] < 0.6 * bought[False]


@pytest.mark.parametrize("world", ["delayed", "delayed-null"])
def test_delayed_harm_is_known_sooner_on_premium(world):
    """On the second day most premium harm is known and most standard harm is not."""
    premium, standard = pl.lit(value=True), pl.lit(value=False)
    shares = []
    for service in (premium, standard):
        early, whole = told(world, service, until=2), told(world, service)
        assert early["observed_until"].unique().to_list() == [START + timedelta(2)]
        assert whole["observed_until"].is_null().all()
        for harm, dated in (
            ("complaint", "complaint_date"),
            ("logistics_return", "return_date"),
        ):
            assert (early[harm] == early[dated].is_not_null()).all()
            assert (
                early[dated].drop_nulls().is_between(START, START + timedelta(2)).all()
            )
        assert not (early["complaint"] & ~whole["complaint"]).any()
        assert (early["complaint"] == early["complaint_reason"].is_not_null()).all()
        shares.append(early["complaint"].sum() / whole["complaint"].sum())
        late = told(world, service, until=200)
        assert late["complaint"].equals(whole["complaint"])
    assert shares[0] > 0.6 > 0.5 > shares[1]


def test_spill_over_full_stations_harm_standard_parcels_of_high_risk():
    """Where the last slot is bought others have more harm; elsewhere nothing moves."""
    truth = night_of("spill-over").truth.sort("order_id")
    slots = pl.col("station_slots")
    bought = truth.select(
        (pl.int_range(pl.len()).over("station_id") < slots) & (slots > 0)
    ).to_series()
    full = is_crowded(truth, bought.to_numpy())
    assert full.any()
    assert np.array_equal(full, (truth["station_slots"] > 0).to_numpy())
    nothing = np.zeros(len(truth), np.bool_)
    assert not is_crowded(truth, nothing).any()
    first = pl.int_range(pl.len()).over("station_id") < slots
    nobody, many = (told("spill-over", p) for p in (pl.lit(value=False), first))
    both = many.join(nobody, on="order_id", suffix="_alone").filter(
        ~pl.col("is_premium")
    )
    worse = both.filter(pl.col("complaint") & ~pl.col("complaint_alone"))
    assert len(worse) > 5
    assert (worse["complaint_prob_standard"] > DEMANDING).all()
    assert (both["complaint"] >= both["complaint_alone"]).all()
    risen = truth["true_complaint_prob_standard_crowded"].sum()
    assert risen < 1.2 * truth["true_complaint_prob_standard"].sum()


@pytest.mark.parametrize("world", ["null", "delayed-null"])
def test_null_premium_changes_nothing(world):
    """Both potential outcomes of every parcel are the same; the belief is not."""
    truth = night_of(world).truth
    for harm in ("complaint", "return"):
        assert truth[f"{harm}_standard"].equals(truth[f"{harm}_premium"])
        assert np.allclose(
            truth[f"true_{harm}_prob_standard"], truth[f"true_{harm}_prob_premium"]
        )
    orders = night_of(world).orders
    believed = orders["complaint_prob_premium"] / orders["complaint_prob_standard"]
    assert believed.mean() < 0.7


def test_the_effect_of_half_is_about_half():
    """Where nothing but something else is wrong, the effect is near one half."""
    for world in ("hidden-score", "delayed", "spill-over", "worsening-carrier"):
        assert known(world)["removed"].mean() == pytest.approx(0.5, abs=0.06)


def test_unknown_names_are_refused_with_the_nearest(monkeypatch, capsys, tmp_path):
    """A slip names what was meant, a stranger's word all there are; nothing is made."""
    with pytest.raises(ConfigError, match="did you mean two-harms"):
        find_law("two-harm")
    with pytest.raises(ConfigError, match="known are plain, two-harms"):
        simulate_night(num_orders=9, num_merchants=1, seed=1, world="xyz")
    out = tmp_path / "data"
    words = ("simulate", "--out", out, "--orders", 9, "--merchants", 1)
    done = call(monkeypatch, capsys, *words, "--world", "catgories")
    assert (done.code, "did you mean categories?" in done.err) == (2, True)
    assert not out.exists()


def test_the_command_lists_them(monkeypatch, capsys):
    """``--world list`` gives each name a line and its sentence after it."""
    done = call(monkeypatch, capsys, "simulate", "--world", "list")
    assert done.code == 0
    names = [line for line in done.out.splitlines() if not line.startswith(" ")]
    assert names == list(WORLDS)
    assert " ".join(done.out.split()).count("Premium changes nothing.") == 1


def test_a_world_that_is_not_is_named_before_anything_that_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever misspells a world reads its name and the list, though --out lacks too."""
    done = call(monkeypatch, capsys, "simulate", "--world", "nope", "--orders", "10")
    assert done.code == 2
    assert "nope" in done.err
    assert "two-harms" in done.err
    assert "--out" not in done.err
