"""The whole loop on simulated nights: run, reveal, learn, run again, measure."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import optimizer
from optimizer.build.model_prediction import kept_effect, premium_risk, risk_of
from optimizer.config import as_config
from optimizer.contracts.columns import polars_type
from optimizer.contracts.tables import OUTCOMES
from optimizer.learn.fit import learn
from optimizer.learn.history import read_history
from optimizer.learn.learned import save_model
from optimizer.learn.window import Window
from optimizer.simulate import simulate_night
from optimizer.simulate.reveal import outcomes_of
from optimizer.simulate.world import CARRIER_IDS, NUM_REGIONS, REGION_IDS, make_world
from tests.support.small_night import Call, call

START = dt.date(2026, 11, 1)
NUM_NIGHTS, NUM_ORDERS, NUM_MERCHANTS, SEED = 30, 10_000, 40, 7
PREMIUM = ["complaint_prob_premium", "return_prob_premium"]
# What the simulator's promise removes on average of an eligible parcel's harm: four in
# five parcels are helped by 2/3, nine in a hundred hurt by 0.45, and of these 15 in a
# hundred are not eligible.
MEAN_EFFECT = (0.80 * 2 / 3 - 0.09 * 0.85 * 0.45) / (1 - 0.09 * 0.15)


def config(**more: object) -> dict[str, object]:
    policy = {
        "valid_from": "2022-01-12",
        "cap": {"rate": 0.03},
        "fee": {"amount_cny": 0.8},
        "compensation": {"amount_cny": 5},
        "carriers": list(CARRIER_IDS),
    }
    objective = {"complaint_cost_cny": 30, "return_cost_cny": 18}
    return {"version": 1, "policy": [policy], "objective": objective} | more


def night_of(day: dt.date):
    return simulate_night(
        num_orders=NUM_ORDERS, num_merchants=NUM_MERCHANTS, seed=SEED, day=day
    )


def decide(night, orders: pl.DataFrame, day: dt.date, **more: object):
    return optimizer.allocate(
        orders,
        night.capacity,
        config=config(**more),
        merchants=night.merchants,
        date=day,
    )


def true_gain(night, decided) -> float:
    """Harm that the recommendations really avoid, from the true probabilities."""
    chosen = decided.recommendations.select("order_id", "merchant_id", "carrier_id")
    known = chosen.join(night.truth, on=["order_id", "carrier_id"]).join(
        night.merchants, on="merchant_id"
    )
    drop = [
        pl.col(f"true_{h}_prob_standard") - pl.col(f"true_{h}_prob_premium")
        for h in ("complaint", "return")
    ]
    gain = pl.col("take_up") * (30 * drop[0] + 18 * drop[1])
    return known.select(gain.sum()).item()


def true_kept() -> dict[tuple[str, str], float]:
    """Promise-keeping of each carrier and region, over its outlets."""
    world = make_world(SEED, num_orders=NUM_ORDERS, num_merchants=NUM_MERCHANTS)
    return {
        (carrier, region): world.outlets.lane_kept_prob[c * NUM_REGIONS + r]
        for c, carrier in enumerate(CARRIER_IDS)
        for r, region in enumerate(REGION_IDS)
    }


def lawful(night) -> pl.DataFrame:
    """Orders with premium risks by the simulator's own law, given their columns."""
    kept, pairs = true_kept(), night.orders.select("carrier_id", "region_id").rows()
    share = MEAN_EFFECT * pl.Series([kept[pair] for pair in pairs])
    return night.orders.with_columns(
        complaint_prob_premium=pl.col("complaint_prob_standard") * (1 - share),
        return_prob_premium=pl.col("return_prob_standard") * (1 - 0.9 * share),
    )


def random_worth(night, day: dt.date) -> pl.DataFrame:
    """Orders whose worth is drawn: the optimum then fills its caps at random."""
    lot = np.random.default_rng(day.toordinal()).uniform(0.5, 0.9, NUM_ORDERS)
    return night.orders.with_columns(
        pl.Series("complaint_prob_standard", lot),
        complaint_prob_premium=pl.lit(0.0),
        return_prob_standard=pl.lit(0.0),
        return_prob_premium=pl.lit(0.0),
    )


@pytest.fixture(scope="module")
def learned_nights() -> pl.DataFrame:
    """
    Thirty nights that began with a belief and were left to chance in part.

    The model is learned again after 10 and 20 nights.
    """
    chance = {"holdout": {"share": 0.1, "explore_share": 0.1, "seed": 1}}
    model: dict[str, object] = {}
    told: list[pl.DataFrame] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(NUM_NIGHTS):
            day = START + dt.timedelta(number)
            night = night_of(day)
            if number % 10 == 0:
                past = pl.concat(told) if told else _quiet(night)
                prior = {"learning": {"prior": {"effect": 0.3}}}
                found = learn(past, as_config(config(**prior)), Window(day))
                model = {"model": str(save_model(found, Path(folder)))}
            decided = decide(night, night.orders.drop(PREMIUM), day, **chance, **model)
            told.append(
                outcomes_of(
                    decided.decisions,
                    night.orders,
                    night.truth,
                    night.merchants,
                    day,
                    5.0,
                )
            )
    return pl.concat(told)


def _quiet(night) -> pl.DataFrame:
    """A day before the service: everything on standard."""
    nothing = night.orders.select(
        "order_id",
        is_premium=pl.lit(value=False),
        carrier_id=pl.lit(None, pl.String),
        arm=pl.lit(None, pl.String),
        propensity=pl.lit(0.0),
    )
    day = START - dt.timedelta(1)
    return _told(night, nothing, day)


def _told(night, decisions: pl.DataFrame, day: dt.date) -> pl.DataFrame:
    """What happened to a night."""
    return outcomes_of(decisions, night.orders, night.truth, night.merchants, day, 5.0)


@pytest.mark.slow
def test_thirty_nights_teach_what_the_oracle_knows(learned_nights, tmp_path):
    """
    The plan realises at least 95 % of what it would with the simulator's own law in
    place of the model, and at least twice what random parcels would.
    """
    after = START + dt.timedelta(NUM_NIGHTS)
    found = learn(learned_nights, as_config(config()), Window(after))
    model = save_model(found, tmp_path)
    total = np.zeros(3)
    for number in range(3):
        day = after + dt.timedelta(number)
        night = night_of(day)
        plain = night.orders.drop(PREMIUM)
        total += [
            true_gain(night, decide(night, plain, day, model=str(model))),
            true_gain(night, decide(night, lawful(night), day)),
            true_gain(night, decide(night, random_worth(night, day), day)),
        ]
    learned, law, lot = total
    assert learned >= 0.95 * law
    assert learned >= 2 * lot


@pytest.mark.slow
def test_what_is_learned_is_what_is_true(learned_nights):
    """The effect within three standard deviations, and each carrier's promises."""
    found = learn(
        learned_nights, as_config(config()), Window(dt.date(2027, 1, 1))
    ).model
    for harm, factor in (("complaint", 1.0), ("return", 0.9)):
        effect = found.effect[harm]
        risk = risk_of(learned_nights, found.risk[harm])
        removed = kept_effect(learned_nights, effect)
        left = premium_risk(risk, removed, effect.link).sum() / risk.sum()
        spread = found.pooled[harm].error
        assert abs(1 - left - factor * MEAN_EFFECT) < 3 * spread
        assert spread < 0.25
    truth, bought = true_kept(), learned_nights.filter("is_bought")
    for promise in found.promises:
        if promise.carrier_id is None or promise.region_id is not None:
            continue
        rows = bought.filter(pl.col("carrier_id") == promise.carrier_id)
        pairs = rows.select("carrier_id", "region_id").rows()
        # Of those kept, 3 in a hundred have no scan, which proves nothing.
        expected = 0.97 * np.mean([truth[pair] for pair in pairs])
        error = (expected * (1 - expected) / len(pairs)) ** 0.5
        # Outlets of one region differ beyond chance, hence 4 and not 3.
        assert abs(promise.mean - expected) < 4 * error, promise
    assert found.kind == "randomised"


def test_outcomes_are_those_of_the_truth():
    """Who got it and bought it has the premium outcome, everybody else the standard."""
    day = START
    night = night_of(day)
    decided = decide(
        night, night.orders, day, holdout={"share": 0.2, "explore_share": 0.2}
    )
    told = _told(night, decided.decisions, day)
    assert dict(told.select(OUTCOMES.column_names).schema.items()).keys() == set(
        OUTCOMES.column_names
    )
    read = read_history(told, as_config(config()), Window(START + dt.timedelta(40)))
    # These nights have no record that says what one draw decided.
    assert {told.code for told in read.warnings} == {"SINGLE_DRAWS_ARE_TAKEN"}
    assert read.frame.schema["date"] == polars_type("date")()
    both = told.join(night.truth, on=["order_id", "carrier_id"])
    assert len(both) == len(told) == NUM_ORDERS
    bought = both.filter("is_bought")
    assert len(bought) < told["is_premium"].sum()
    assert (bought["complaint"] == bought["complaint_premium"]).all()
    rest = both.filter(~pl.col("is_bought").fill_null(value=False))
    assert (rest["complaint"] == rest["complaint_standard"]).all()
    assert (rest["logistics_return"] == rest["return_standard"]).all()
    paid = both.filter(pl.col("claim_cny") > 0)
    assert (paid["is_bought"] & ~paid["door_kept"] & paid["complaint"]).all()
    assert told["complaint_reason"].is_not_null().equals(told["complaint"])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    inputs = {
        "orders": "data/nights/{date}/orders.parquet",
        "capacity": "data/nights/{date}/capacity.csv",
        "merchants": "data/nights/{date}/merchants.parquet",
    }
    chance = {"share": 0.3, "explore_share": 1.0, "seed": 1}
    learning = {"history": "outcomes/*.parquet"}
    text = config(inputs=inputs, output="runs", holdout=chance, learning=learning)
    Path("config.yaml").write_text(json.dumps(text))
    return tmp_path


@pytest.mark.slow
def test_the_commands_close_the_loop(folder, monkeypatch, capsys):
    """Simulate, run, reveal, learn, run with the model, verify, evaluate."""

    def told(*words: object) -> Call:
        done = call(monkeypatch, capsys, *words)
        assert done.code == 0, done.err
        return done

    by = ("--config", "config.yaml")
    told("simulate", "--out", "data", "--orders", 6_000, "--merchants", 10, "--days", 4)
    days = [f"2026-11-{22 + n}" for n in range(4)]
    for day in days[:3]:
        assert "at random" in told("run", *by, "--date", day).out
    listed = told("simulate", "outcomes", "--runs", "runs", "--nights", "data/nights")
    assert listed.out.split() == [f"outcomes/{day}.parquet" for day in days[:3]]
    learned = json.loads(told("learn", *by, "--as-of", days[3], "--json").out)
    assert learned["kind"] == "randomised"
    assert Path(learned["model_dir"], "card.md").is_file()

    orders = Path(f"data/nights/{days[3]}/orders.parquet")
    pl.read_parquet(orders).drop(PREMIUM).write_parquet(orders)
    text = json.loads(Path("config.yaml").read_text()) | {"model": "models/latest"}
    Path("config.yaml").write_text(json.dumps(text))
    told("run", *by, "--date", days[3])
    assert "holds" in told("verify", f"runs/{days[3]}").out
    again = told("run", *by, "--date", days[3])
    assert "already published" in again.out

    measured = json.loads(told("evaluate", *by, "--as-of", days[3], "--json").out)
    fields = {
        "estimate",
        "low",
        "high",
        "num_treated",
        "num_control",
        "outcome",
        "method",
    }
    assert all(fields <= set(row) for row in measured["effects"])
    window = ("--from", days[0], "--to", days[1], "--as-of", days[3])
    assert "chosen   complaints" in told("evaluate", *by, *window).out

    model = Path("models/latest/model.json")
    model.write_text(model.read_text().replace('"num_kept": ', '"num_kept":  '))
    changed = call(monkeypatch, capsys, "run", *by, "--date", days[3])
    assert (changed.code, "the model changed since" in changed.err) == (2, True)
    assert "holds" in told("verify", f"runs/{days[3]}").out  # from the kept one
    Path("config.yaml").write_text(json.dumps(text | {"keep": {"versions": 1}}))
    assert "would remove: 0 items" in told("prune", *by).out
    shutil.rmtree("runs/.inputs")
    shutil.copytree(model.parent, "models/another")
    broken = call(monkeypatch, capsys, "verify", f"runs/{days[3]}")
    assert (broken.code, "model_sha256" in broken.out) == (4, True)
    restored = Path("models/another/model.json")
    restored.write_text(restored.read_text().replace('"num_kept":  ', '"num_kept": '))
    assert "holds" in told("verify", f"runs/{days[3]}").out  # from beside latest


@pytest.mark.slow
def test_commands_refuse_in_words(folder, monkeypatch, capsys):
    """No run, no truth, no history, dates the wrong way round: codes 2 and 3."""
    by = ("--config", "config.yaml")
    reveal = ("simulate", "outcomes", "--runs", "runs", "--nights", "data/nights")
    cases = [
        ((*reveal,), 2, "runs: holds no published night"),
        (("learn", *by), 3, "no file matches"),
        (("evaluate", *by, "--history", "x.csv"), 3, "x.csv: no such file"),
        (("learn", *by, "--from", "2026-02-02", "--to", "2026-01-01"), 2, "is after"),
        (("simulate", "--orders", 10), 2, "Missing option '--out'"),
    ]
    for words, code, text in cases:
        done = call(monkeypatch, capsys, *words)
        assert (done.code, text in done.err) == (code, True), done.err
    call(
        monkeypatch,
        capsys,
        "simulate",
        "--out",
        "data",
        "--orders",
        500,
        "--merchants",
        5,
    )
    call(monkeypatch, capsys, "run", *by, "--date", "2026-11-22")
    Path("data/nights/2026-11-22/truth.parquet").unlink()
    done = call(monkeypatch, capsys, *reveal)
    assert (done.code, "has no truth.parquet" in done.err) == (3, True)


def test_without_the_extra_the_words_say_what_to_install(monkeypatch):
    """A nightly run needs no scikit-learn; learning names the extra."""
    from optimizer import extras
    from optimizer.errors import ConfigError

    real = extras.import_module

    def missing(name: str):
        if name.split(".")[0] in ("sklearn", "scipy"):
            raise ModuleNotFoundError(name)
        return real(name)

    monkeypatch.setattr(extras, "import_module", missing)

    with pytest.raises(ConfigError, match=r"premium-delivery-optimizer\[outcomes\]"):
        learn(pl.DataFrame(), as_config(config()), Window(START))
