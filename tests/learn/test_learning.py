"""What is learned from outcomes, what is refused, and what a night makes of it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import optimizer
from optimizer.build.learned_model import LEVELS
from optimizer.build.model_file import load_model
from optimizer.build.model_prediction import kept_effect, premium_risk, risk_of
from optimizer.contracts.warnings import CodedWarning
from optimizer.errors import ConfigError, DataError
from optimizer.learn import learners
from optimizer.learn.estimators import METHODS
from optimizer.learn.evaluate import evaluate
from optimizer.learn.fit import learn
from optimizer.learn.history import read_history
from optimizer.learn.learned import save_model
from optimizer.learn.promise import promise_alerts, promises
from optimizer.learn.window import Window
from tests.support.trial import CARRIERS, DAY, outcomes, settings

AFTER = Window(DAY + dt.timedelta(30))
TONIGHT = DAY + dt.timedelta(40)


@pytest.fixture(scope="module", autouse=True)
def few_trees() -> Iterator[None]:
    """Learners compete as they do, but trees are not what is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learners, "_NUM_TREES", 2)
        yield


@pytest.fixture(scope="module")
def history() -> pl.DataFrame:
    """A fair trial of 6,000 parcels."""
    return outcomes(6_000, seed=1)


@pytest.fixture(scope="module")
def learned(history: pl.DataFrame):
    return learn(history, settings(), AFTER)


BAD = {
    "all premium": (
        {"is_premium": [True] * 60, "propensity": [0.5] * 60},
        "all 60 parcels got premium service",
    ),
    "none premium": (
        {"is_premium": [False] * 60, "propensity": [0.5] * 60},
        "all 60 parcels got standard service",
    ),
    "chance of 0": (
        {"is_premium": [True, False] * 30, "propensity": [0.0, 0.0] * 30},
        "30 rows had no chance of what they got",
    ),
    "chance of 1": (
        {"is_premium": [True, False] * 30, "propensity": [1.0, 1.0] * 30},
        "30 rows had no chance of what they got",
    ),
    "from the future": (
        {"date": [DAY + dt.timedelta(days=99)] * 60},
        "60 rows are of 2027-02-08 or later",
    ),
    "across a regime break": (
        {"date": [dt.date(2024, 2, 29), dt.date(2024, 3, 1)] * 30},
        "both sides of 2024-03-01",
    ),
    "only complaints": (
        {"complaint": [True] * 60},
        r"complaint is true for all of \d+ parcels",
    ),
    "a decision twice": (
        {"order_id": ["o1"] * 60, "date": [DAY] * 60},
        "60 rows share order and date with another row, first order o1",
    ),
    "no date": ({"date": ["soon"] * 60}, "date is not a date such as 2026-11-22"),
    "a propensity of 2": (
        {"propensity": [2.0] * 60},
        r"propensity is outside \[0, 1\]",
    ),
    "seen before it was sent": (
        {"observed_until": [DAY - dt.timedelta(1)] * 60},
        "60 rows have an observed_until before their date",
    ),
    "seen after the day of learning": (
        {"observed_until": [DAY + dt.timedelta(31)] * 60},
        "60 rows have an observed_until after 2026-12-01",
    ),
    "a day without a complaint": (
        {"complaint": [False] * 60, "complaint_date": [DAY + dt.timedelta(15)] * 60},
        "60 rows have a complaint_date and no complaint",
    ),
    "a return before the decision": (
        {
            "logistics_return": [True] * 60,
            "return_date": [DAY - dt.timedelta(1)] * 60,
        },
        "60 rows have a return_date before their date or after observed_until",
    ),
    "a phone number": ({"carrier_id": ["13800138000"] * 60}, "personal data"),
}


@pytest.mark.parametrize(("columns", "words"), BAD.values(), ids=BAD)
def test_a_history_that_cannot_teach_is_refused(columns, words):
    """Each is refused by a sentence that names what is wrong."""
    table = outcomes(60, **columns)
    with pytest.raises(DataError, match=words):
        learn(table, settings(), AFTER)


@pytest.mark.slow
def test_dates_may_be_text_and_a_window_may_leave_the_break_out():
    """CSV dates are read; --from on the far side of the break is accepted."""
    table = outcomes(1_000, seed=2)
    early = outcomes(200, seed=3).with_columns(
        date=pl.lit(dt.date(2024, 2, 1)), order_id=pl.format("e{}", "order_id")
    )
    text = pl.concat([table, early]).with_columns(pl.col("date").cast(pl.String))
    window = Window(AFTER.as_of, first=dt.date(2024, 3, 1))
    found = learn(text, settings(), window)
    assert found.model.first_date == DAY.isoformat()


@pytest.mark.slow
def test_the_last_days_alone_are_learned_from_where_that_is_asked():
    """``learning.days`` is the first date of each day of learning; --from wins."""
    late = outcomes(1_000, seed=2)
    early = outcomes(200, seed=3).with_columns(
        date=pl.lit(DAY - dt.timedelta(10)), order_id=pl.format("e{}", "order_id")
    )
    table = pl.concat([late, early])
    first = {}
    for days, given in ((None, None), (35, None), (60, None), (35, "2020-01-01")):
        rules = settings(**({} if days is None else {"learning": {"days": days}}))
        found = optimizer.learn_model(
            table, config=rules, first=given, as_of=DAY + dt.timedelta(30)
        )
        first[days, given] = found.model.first_date
    old, new = (DAY - dt.timedelta(10)).isoformat(), DAY.isoformat()
    assert first == {
        (None, None): old,
        (35, None): new,
        (60, None): old,
        (35, "2020-01-01"): old,
    }


def effect_spread(frame, effect):
    """Standard deviation of :func:`kept_effect`, ``(n,) float64``."""
    place = {name: at for at, name in enumerate(effect.names)}
    rows = np.zeros((len(frame), len(effect.names)))
    rows[:, 0] = 1.0
    for column in LEVELS:
        if column in frame.columns:
            at = frame[column].cast(pl.String).to_list()
            for row, level in enumerate(at):
                if (column, level) in place:
                    rows[row, place[column, level]] = 1.0
    variance = np.einsum("ij,jk,ik->i", rows, np.array(effect.covariance), rows)
    return np.asarray(np.sqrt(np.maximum(variance, 0)))


@pytest.mark.slow
def test_the_effect_is_found_and_said_with_its_uncertainty(history, learned):
    """Premium halves both risks at 90 % of the doors: the share is 0.5 / 0.9."""
    for harm in ("complaint", "return"):
        effect = learned.model.effect[harm]
        risk = risk_of(history, learned.model.risk[harm])
        left = premium_risk(risk, kept_effect(history, effect), effect.link)
        share = left.sum() / risk.sum()
        # An error of the odds is one of the share by the part that is left.
        spread = share * float(effect_spread(history.head(50), effect).mean())
        assert abs(1 - share - 0.5 / 0.9) < 3 * spread
        assert 0.02 < spread < 0.25
        assert np.corrcoef(risk, history["complaint_prob_standard"])[0, 1] > 0.95
    assert learned.model.kind == "randomised"


@pytest.mark.slow
def test_an_effect_may_be_negative(tmp_path):
    """Where premium doubles the harm, the share is surely below 0, and none is sent."""
    table = outcomes(8_000, seed=4)
    flip = table.with_columns(
        is_premium=~pl.col("is_premium"), delivered_to_door=~pl.col("is_premium")
    )
    found = learn(flip, settings(), AFTER)
    effect = found.model.effect["complaint"]
    spread = effect_spread(flip.head(1), effect)[0]
    assert kept_effect(flip, effect).mean() + 2 * spread < 0
    config = with_model(save_model(found, tmp_path))
    night = optimizer.allocate(night_orders(), CAPACITY, config=config, date=TONIGHT)
    # Worse than the fee alone: the harm that it adds is counted.
    assert night.orders["saving_cny"].max() < -0.8
    assert len(night.recommendations) == 0


@pytest.mark.slow
def test_row_order_does_not_change_the_model(history, learned):
    """The same rows in another order give the same model, to the byte."""
    shuffled = history.sample(fraction=1, shuffle=True, seed=8)
    assert learn(shuffled, settings(), AFTER).model == learned.model


def test_without_premium_history_a_prior_is_needed_and_named():
    """No premium parcel: refused, or the configured prior, which is said."""
    table = outcomes(3_000, is_premium=[False] * 3_000, propensity=[0.0] * 3_000)
    with pytest.raises(DataError, match="all 3,000 parcels got standard service"):
        learn(table, settings(), AFTER)
    prior = {"learning": {"prior": {"effect": 0.3}}}
    found = learn(table, settings(**prior), AFTER)
    assert found.model.kind == "prior"
    assert found.model.effect["return"].intercept == 0.3
    assert any("nothing of it was measured" in str(told) for told in found.warnings)


@pytest.mark.slow
def test_a_carrier_without_history_gets_the_pool(history):
    """It is named in a warning; effect and promise are what the others show."""
    some = history.filter(pl.col("carrier_id") != "yunda")
    found = learn(some, settings(), AFTER)
    assert any("no premium history of yunda" in str(told) for told in found.warnings)
    assert "yunda" not in found.model.effect["complaint"].levels["carrier_id"]


@pytest.mark.slow
def test_a_carrier_without_scans_is_not_called_one_without_history(history, learned):
    """Its parcels taught the effect; what is missing are scans, and that is said."""
    is_yunda = pl.col("carrier_id") == "yunda"
    unseen = history.with_columns(
        delivered_to_door=pl.when(~is_yunda).then("delivered_to_door")
    )
    told = {w.code: w.values for w in learn(unseen, settings(), AFTER).warnings}
    assert "CARRIERS_NOT_MEASURED" not in told
    num = len(history.filter(is_yunda & pl.col("is_premium")))
    assert told["CARRIERS_NOT_SCANNED"] == {"num_parcels": num, "carriers": ("yunda",)}
    assert "CARRIERS_NOT_SCANNED" not in {w.code for w in learned.warnings}


@pytest.mark.slow
def test_serial_complainers_earn_nothing(history, learned):
    """Beyond the limit a customer's parcels teach nothing: the risk stays."""
    extra = outcomes(300, seed=9, complaint=[True] * 300).with_columns(
        order_id=pl.format("s{}", "order_id"),
        customer_key=pl.lit("c1"),
        is_premium=pl.lit(value=False),
    )
    both = pl.concat([history, extra], how="diagonal")
    limit = {"learning": {"max_complaints_per_customer": 2}}
    limited = learn(both, settings(**limit), AFTER)
    free = learn(both, settings(), AFTER)

    def mean(found):
        return risk_of(history, found.model.risk["complaint"]).mean()

    assert mean(limited) == pytest.approx(mean(learned), rel=0.02)
    assert mean(free) > 1.1 * mean(learned)
    assert any("298 parcels beyond 2" in str(told) for told in limited.warnings)


def test_limiting_customers_moves_no_effect():
    """
    Half of the parcels are of 400 customers with ten each: limited to two, the effect
    stays what it is, because a parcel counts or not whatever happened to it.
    """
    table = outcomes(8_000, seed=31).with_columns(
        customer_key=pl.Series(
            [f"c{n % 400}" if n < 4_000 else None for n in range(8_000)]
        )
    )
    limit = {"learning": {"max_complaints_per_customer": 2}}
    rows = read_history(table, settings(**limit), AFTER).rows
    kept = rows.drop_nulls("customer_key")

    assert kept["customer_key"].value_counts()["count"].to_list() == [2] * 400
    for column in ("is_premium", "complaint"):
        whole = table.drop_nulls("customer_key")[column].mean()
        assert kept[column].mean() == pytest.approx(whole, abs=0.05)


@pytest.mark.parametrize("is_premium", [False, True])
def test_complaints_beyond_the_limit_move_no_mean(is_premium):
    """
    By hand, alike on both services: of one who complains 2 or 200 times two count, all
    others count as before, and the share of complaints is that of two more.
    """
    table = outcomes(1_000, seed=33)
    limit = settings(learning={"max_complaints_per_customer": 2})

    def arm(num: int) -> tuple[int, int]:
        serial = outcomes(num, seed=9, complaint=[True] * num).with_columns(
            order_id=pl.format("s{}", "order_id"),
            customer_key=pl.lit("serial"),
            is_premium=pl.lit(is_premium),
        )
        both = pl.concat([table, serial], how="diagonal")
        rows = read_history(both, limit, AFTER).rows
        rows = rows.filter(pl.col("is_premium") == is_premium)
        return len(rows), int(rows["complaint"].sum())

    alone = table.filter(pl.col("is_premium") == is_premium)
    by_hand = (len(alone) + 2, int(alone["complaint"].sum()) + 2)
    assert arm(2) == arm(200) == by_hand


# Promise-keeping and compensation


def broken(
    table: pl.DataFrame, carrier: str, share: float, claim: float
) -> pl.DataFrame:
    """Let a carrier break more promises, and pay for each."""
    lot = np.random.default_rng(11).random(len(table)) < share
    hit = (table["carrier_id"] == carrier) & table["is_premium"] & pl.Series(lot)
    return table.with_columns(
        delivered_to_door=pl.when(hit)
        .then(statement=False)
        .otherwise("delivered_to_door"),
        claim_cny=pl.when(hit).then(claim).otherwise("claim_cny"),
    )


def by_carrier(table: pl.DataFrame) -> dict[str, float]:
    return {
        p.carrier_id: p.mean
        for p in promises(table)
        if p.carrier_id and p.region_id is None
    }


def test_promises_are_counted_by_hand():
    """Ten parcels, six kept: one scan contradicted, a claim, one broken, one bare."""
    kept = [True, True, True, True, True, True, True, True, False, None]
    reason = [None] * 6 + ["NO_DOORSTEP_DELIVERY"] + [None] * 3
    table = outcomes(
        10,
        carrier_id=["yunda"] * 10,
        region_id=["north"] * 10,
        is_premium=[True] * 10,
        delivered_to_door=pl.Series(kept, dtype=pl.Boolean),
        complaint=[False] * 6 + [True] + [False] * 3,
        complaint_reason=pl.Series(reason, dtype=pl.String),
        claim_cny=[0.0] * 7 + [5.0, 0.0, 0.0],
    ).with_columns(is_bought=pl.lit(None, pl.Boolean))
    found = {(p.carrier_id, p.region_id): p for p in promises(table)}
    assert found["yunda", "north"].num_premium == 10
    assert found["yunda", "north"].num_kept == 6
    pool = found[None, None]
    assert pool.mean == pytest.approx((1 + 6) / (2 + 10))


def test_small_lanes_shrink_to_their_carrier_and_large_ones_do_not():
    """One broken parcel in a new region says little; two hundred say much."""
    table = outcomes(6_000, seed=12)
    few = outcomes(2, seed=13, region_id=["far"] * 2).with_columns(
        order_id=pl.format("f{}", "order_id"),
        carrier_id=pl.lit("yunda"),
        is_premium=pl.lit(value=True),
        delivered_to_door=pl.lit(value=False),
    )
    many = pl.concat(
        [
            few.with_columns(order_id=pl.format(f"{i}{{}}", "order_id"))
            for i in range(99)
        ]
    )
    both = [pl.concat([table, extra], how="diagonal") for extra in (few, many)]
    shares = []
    for frame in both:
        frame = frame.with_columns(is_bought=pl.lit(None, pl.Boolean))
        found = {(p.carrier_id, p.region_id): p.mean for p in promises(frame)}
        shares.append(found["yunda", "far"])
    assert shares[0] > 0.6
    assert shares[1] < 0.1


@pytest.mark.slow
def test_a_carrier_below_its_contract_raises_an_alert(history):
    """Whole interval below the contract: named, with its counts."""
    found = evaluate(broken(history, "yunda", 0.5, 5.0), settings(), AFTER)
    assert [told.values["carrier"] for told in found.alerts] == ["yunda"]
    assert "below the contract's 80%" in str(found.alerts[0])
    ledger = {row["carrier_id"]: row["claims_cny"] for row in found.claims}
    assert ledger["yunda"] > 2_000
    assert ledger["zhongtong"] == 0


def test_bad_luck_alone_raises_no_alert():
    """Four kept of six is below 80 %, and not surely so; 40 of 60 is surely so."""

    def alerts(num_kept: int, num_premium: int) -> list[CodedWarning]:
        table = outcomes(
            num_premium,
            carrier_id=["yunda"] * num_premium,
            region_id=["north"] * num_premium,
            is_premium=[True] * num_premium,
            delivered_to_door=[row < num_kept for row in range(num_premium)],
            complaint=[False] * num_premium,
        ).with_columns(is_bought=pl.lit(None, pl.Boolean))
        return promise_alerts(promises(table), Decimal("0.8"))

    assert alerts(4, 6) == []
    assert len(alerts(40, 60)) == 1


def night_orders(num_rows: int = 600) -> pl.DataFrame:
    """A night without premium probabilities, the same for each carrier."""
    risk = np.random.default_rng(3).beta(2, 8, num_rows // 3).repeat(3)
    return pl.DataFrame(
        {
            "order_id": [f"n{row}" for row in range(num_rows)],
            "merchant_id": ["m1"] * num_rows,
            "carrier_id": [CARRIERS[row % 3] for row in range(num_rows)],
            "region_id": ["north"] * num_rows,
            "order_value_cny": [50.0] * num_rows,
            "complaint_prob_standard": risk,
            "return_prob_standard": risk,
        }
    )


CAPACITY = pl.DataFrame({"carrier_id": CARRIERS, "slots": [1_000] * 3})


def chosen_by_carrier(config) -> dict[str, int]:
    night = optimizer.allocate(night_orders(), CAPACITY, config=config, date=TONIGHT)
    counts = dict.fromkeys(CARRIERS, 0)
    counts |= dict(night.recommendations["carrier_id"].value_counts().iter_rows())
    return counts


def with_model(folder, **more):
    policy = settings().model_dump(mode="json")["policy"][0]
    policy["cap"]["rate"] = 0.1
    return {
        "version": 1,
        "policy": [policy | more],
        "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
        "model": str(folder),
    }


@pytest.mark.slow
def test_a_worse_carrier_never_gains_parcels_by_paying_claims(history, tmp_path):
    """
    The more promises it breaks and pays for, the fewer parcels it gets; and what a
    claim pays, to whomever, moves no parcel.
    """
    counts = []
    for share, claim in ((0.0, 0.0), (0.3, 5.0), (0.6, 5.0), (0.6, 500.0)):
        table = broken(history, "yunda", share, claim)
        folder = save_model(
            learn(table, settings(), AFTER), tmp_path / f"{share}{claim}"
        )
        counts.append(chosen_by_carrier(with_model(folder))["yunda"])
    assert counts[0] > counts[1] > counts[2]
    assert counts[3] <= counts[2]
    paid = [
        chosen_by_carrier(
            with_model(folder, compensation={"amount_cny": amount, "payee": "merchant"})
        )
        for amount in (0, 5, 5_000)
    ]
    assert paid[0] == paid[1] == paid[2]


# The model on a night


def test_a_night_uses_the_model_where_probabilities_are_missing(learned, tmp_path):
    """Savings are what the model says, recomputed here from its plain numbers."""
    folder = save_model(learned, tmp_path)
    config = with_model(folder)
    orders = night_orders()
    night = optimizer.allocate(orders, CAPACITY, config=config, date=TONIGHT)
    model = load_model(folder).model
    kept = {(p.carrier_id, p.region_id): p.mean for p in model.promises}
    harm = 0.0
    for name, cost in (("complaint", 30), ("return", 18)):
        share = model.effect[name]
        for row in orders.sort("order_id").iter_rows(named=True):
            removed = share.intercept
            for column, offsets in share.levels.items():
                level = "north" if column == "region_id" else row.get(column)
                removed += offsets.get(level, 0.0)
            for number, slope in share.slopes.items():
                column = number.partition("(")[2].rstrip(")")
                value = row[column]
                if number.startswith("logit"):
                    value = min(max(value, 1e-5), 1 - 1e-5)
                    value = math.log(value / (1 - value))
                else:
                    value = math.log1p(value)
                low, high = share.ranges[number]
                removed += slope * min(max(value, low), high)
            risk = row[f"{name}_prob_standard"]
            odds = risk / (1 - risk) * math.exp(-removed)
            drop = risk - odds / (1 + odds)
            harm += kept[row["carrier_id"], "north"] * drop * cost
    found = night.orders["saving_cny"].sum()
    assert found == pytest.approx(harm - 0.8 * len(orders), abs=0.01)
    assert night.certificate.gap == 0


def test_options_get_the_effect_of_their_own_carrier(learned, tmp_path):
    """An order with a choice is valued as if it had each carrier alone."""
    config = with_model(save_model(learned, tmp_path))
    single = night_orders(30)
    savings = optimizer.allocate(single, CAPACITY, config=config, date=TONIGHT)
    best = (
        savings.orders.join(single, on="order_id")
        .group_by("merchant_id", "complaint_prob_standard")
        .agg(pl.col("saving_cny").max())
    )
    orders = single.gather_every(3).drop("carrier_id")
    options = orders.select("order_id").join(
        pl.DataFrame({"carrier_id": CARRIERS}), how="cross"
    )
    choice = optimizer.allocate(
        orders, CAPACITY, config=config, options=options, date=TONIGHT
    )
    assert sorted(choice.orders["saving_cny"]) == pytest.approx(
        sorted(best["saving_cny"])
    )


def test_columns_that_are_there_win(learned, tmp_path):
    """With probabilities in the orders nothing of the model counts, promises least."""
    orders = night_orders().with_columns(
        complaint_prob_premium=pl.col("complaint_prob_standard") * 0.4,
        return_prob_premium=pl.col("return_prob_standard") * 0.4,
    )
    config = with_model(save_model(learned, tmp_path))
    plain = {key: value for key, value in config.items() if key != "model"}
    found, expected = (
        optimizer.allocate(orders, CAPACITY, config=c, date=TONIGHT).orders
        for c in (config, plain)
    )
    assert found.equals(expected)


def test_misuse_of_a_model_is_refused(learned, tmp_path):
    """A night that it has seen, a missing one, half the columns, no date."""
    config = with_model(save_model(learned, tmp_path))
    orders, capacity = night_orders(), CAPACITY

    def run(config, orders=orders, date=TONIGHT):
        return optimizer.allocate(orders, capacity, config=config, date=date)

    with pytest.raises(ConfigError, match="knows the night of 2026-11-10 already"):
        run(config, date=dt.date(2026, 11, 10))
    with pytest.raises(ConfigError, match="needs its date"):
        run(config, date=None)
    with pytest.raises(ConfigError, match="no such file; make one with"):
        run(config | {"model": str(tmp_path / "none")})
    half = orders.with_columns(complaint_prob_premium=pl.lit(0.1))
    with pytest.raises(DataError, match="has complaint_prob_premium and no return"):
        run(config, orders=half)
    lacking = orders.drop("complaint_prob_standard")
    with pytest.raises(ConfigError, match=r"logit\(complaint_prob_standard\)"):
        run(config, orders=lacking)
    with pytest.raises(DataError, match="has no column complaint_prob_premium"):
        run({k: v for k, v in config.items() if k != "model"})
    path = tmp_path / "latest" / "model.json"
    text = path.read_text()
    path.write_text(text.replace('"format": 2', '"format": 3'))
    with pytest.raises(ConfigError, match=r"of format 3, and this .* knows 1 to 2"):
        run(config)
    path.write_text(text.replace('"num_kept": ', '"num_kept": 1'))
    with pytest.raises(ConfigError, match="was changed after it was learned"):
        run(config)
    path.write_text(text.replace('"risk"', '"risks"'))
    with pytest.raises(ConfigError, match="is not as a model of format 2 should be"):
        run(config)
    path.write_text(text[:-9])
    with pytest.raises(DataError, match="is damaged or truncated"):
        run(config)


def test_a_model_of_before_formats_were_written_down_is_read(learned, tmp_path):
    """
    As the first versions wrote it, its version the hash of its bytes: with its format
    and without it is read; a changed number in it, or a part that came later, is told.
    """
    path = save_model(learned, tmp_path) / "model.json"
    found = json.loads(path.read_text())
    later = {"learner": found["learner"]}
    kept = ("first_date", "last_date", "regime_breaks", "kind", "promises")
    first = {name: found[name] for name in kept} | {"version": ""}
    for part, names in (
        ("risk", ("intercept", "slopes", "levels")),
        ("effect", ("intercept", "levels", "names", "covariance")),
    ):
        first[part] = {
            harm: {name: numbers[name] for name in names}
            for harm, numbers in found[part].items()
        }

    def text(model: dict[str, Any]) -> str:
        return json.dumps(model, indent=1, sort_keys=True) + "\n"

    for told in ({}, {"format": 1}):
        old = first | told
        digest = hashlib.sha256(text(old).encode()).hexdigest()[:8]
        old["version"] = f"{found['last_date']}-{digest}"
        path.write_text(text(old))
        model = load_model(path.parent).model
        assert (model.format, model.promises) == (1, learned.model.promises)
        surer = dict.fromkeys(old["effect"], old["effect"]["return"])
        for changed in ({"effect": surer}, later, {"last_date": "2026-11-09"}):
            path.write_text(text(old | changed))
            with pytest.raises(ConfigError, match="was changed after it was learned"):
                load_model(path.parent)
    asked = r"says that it is of format 1, and was learned in format 2.*write 2 there"
    for lowered in ({}, {"format": 1}):
        del found["format"]
        found |= lowered
        path.write_text(text(found))
        with pytest.raises(ConfigError, match=asked):
            load_model(path.parent)
        found |= {"format": 1}
    found["kind"] = "observational"
    path.write_text(text(found))
    with pytest.raises(ConfigError, match="was changed after it was learned"):
        load_model(path.parent)


@pytest.mark.slow
def test_new_rules_after_the_model_are_warned_of(learned, tmp_path):
    """A regime break between the history and the night is said in the night."""
    breaks = (DAY + dt.timedelta(20)).isoformat()
    config = settings(learning={"regime_breaks": [breaks]})
    folder = save_model(learn(outcomes(2_000, seed=3), config, AFTER), tmp_path)
    night = optimizer.allocate(
        night_orders(), CAPACITY, config=with_model(folder), date=TONIGHT
    )
    assert any("new rules are in force" in str(told) for told in night.warnings)


def test_the_card_says_what_the_model_rests_on(learned):
    """Window, breaks, effect with uncertainty, promises and calibration."""
    for words in (
        "nights 2026-11-01 to 2026-11-10; rules changed on 2024-03-01",
        "6,000 parcels",
        "| complaint | pool |",
        "## Promises kept",
        "## Calibration of return on standard service (mean error 0.0",
    ):
        assert words in learned.card


@pytest.mark.slow
def test_evaluate_gives_every_outcome_and_method(history):
    """JSON-ready rows with all fields; the truth lies in the pooled intervals."""
    found = json.loads(json.dumps(asdict(evaluate(history, settings(), AFTER))))
    pooled = [row for row in found["effects"] if row["by"] is None]
    truth = history["complaint_prob_standard"].mean() / 2
    for outcome in ("complaint", "logistics_return"):
        rows = {r["method"]: r for r in pooled if r["outcome"] == outcome}
        assert set(rows) == {"difference", "adjusted", "ipw", "doubly_robust"}
        for row in rows.values():
            assert row["low"] < truth < row["high"]
            assert row["num_treated"] + row["num_control"] == len(history)
        assert (
            rows["doubly_robust"]["high"] - rows["doubly_robust"]["low"]
            < rows["difference"]["high"] - rows["difference"]["low"]
        )
    for row in found["effects"]:
        assert row["low_together"] <= row["low"] <= row["estimate"]
        assert row["estimate"] <= row["high"] <= row["high_together"]
        assert row["low_always"] < row["low"] < row["high"] < row["high_always"]
    regions = {r["num_together"] for r in found["effects"] if r["by"] == "region_id"}
    assert regions == {4}  # two regions and two harms
    groups = {(r["by"], r["group"]) for r in found["effects"]}
    assert {("carrier_id", "yunda"), ("region_id", "north")} <= groups
    rules = {row["rule"]: row for row in found["rules"]}
    assert set(rules) == {"random", "risk", "value", "measured"}
    assert rules["risk"]["qini"]["low"] > 0
    assert rules["measured"]["qini"]["low"] > 0
    assert rules["random"]["qini"]["high"] < rules["risk"]["qini"]["low"]
    assert all(row["num_nights"] > 0 for row in found["power"])


@pytest.mark.slow
def test_complaints_are_attributed_to_the_benefit_that_failed():
    """Only door complaints fall: the door shows an effect, the desk none."""
    table = outcomes(5_000, seed=14)
    rng = np.random.default_rng(15)
    is_premium = table["is_premium"].to_numpy()
    kind = rng.random(len(table))
    door = kind < np.where(is_premium, 0.05, 0.15)
    desk = (kind > 0.9) & ~door
    reason = np.where(door, "NO_DOORSTEP_DELIVERY", "WHY_RETURNED")
    table = table.with_columns(
        complaint=pl.Series(door | desk),
        complaint_reason=pl.Series(reason).set(pl.Series(~(door | desk)), None),
    )
    found = evaluate(table, settings(), AFTER)
    effects = {
        row["outcome"]: row
        for row in found.effects
        if row["method"] == "difference" and row["by"] is None
    }
    assert effects["complaint:door"]["low"] > 0.08
    desk_row = effects["complaint:exclusive_desk"]
    assert desk_row["low"] < 0 < desk_row["high"]


@pytest.mark.slow
def test_all_outcomes_zero_is_measured_and_said(history):
    """Nothing happened to anybody: an effect of 0, an interval, and a warning."""
    quiet = history.with_columns(complaint=pl.lit(value=False))
    found = evaluate(quiet, settings(), AFTER)
    rows = [r for r in found.effects if r["outcome"] == "complaint" and r["by"] is None]
    assert [row["method"] for row in rows] == list(METHODS)
    assert all(row["low"] < 0 < row["high"] for row in rows)
    assert rows[0]["estimate"] == 0
    assert any("estimated without predictions" in str(told) for told in found.warnings)


def test_outcomes_of_nights_are_read_beside_an_export_that_is_mapped(
    tmp_path: Path,
) -> None:
    """
    ``learning.history`` has names of its own and states what it lacks; outcomes that
    are named instead have the names of the contract, and are read by these.
    """
    table = outcomes(400, 3)
    table.filter(~pl.col("is_premium")).select(
        pl.col("order_id").alias("订单编号"),
        *("date", "merchant_id", "carrier_id", "region_id", "complaint"),
    ).write_csv(tmp_path / "export.csv")
    table.write_parquet(tmp_path / "nights.parquet")
    history = {
        "path": str(tmp_path / "export.csv"),
        "columns": {"order_id": "订单编号"},
        "constants": {"is_premium": "false", "logistics_return": "false"},
    }
    prior = {"effect": 0.3, "complaint_prob": 0.1, "return_prob": 0.1}
    config = settings(learning={"history": history, "prior": prior})
    window = Window(DAY + dt.timedelta(30))
    export = read_history(str(tmp_path / "export.csv"), config, window).rows
    assert not export["is_premium"].any()
    found = read_history(str(tmp_path / "nights.parquet"), config, window).rows
    assert found["is_premium"].sum() == table["is_premium"].sum() > 0


@pytest.mark.parametrize("way", [learn, evaluate])
def test_outcomes_older_than_the_policy_are_refused(way):
    """They name the nights, the first row of the policy, and what to do."""
    table = outcomes(600).with_columns(date=pl.lit(dt.date(2021, 5, 1)))
    words = "2021-05-01 to 2021-05-01, are older than the policy.*from 2022-01-12"
    with pytest.raises(DataError, match=words):
        way(table, settings(), AFTER)
