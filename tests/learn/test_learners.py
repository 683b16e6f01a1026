"""Learners that compete: what each finds, who is in force, what a night makes of it."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from optimizer.build.learned_model import Forest, Tree
from optimizer.build.model_draws import drawn_model
from optimizer.build.model_file import load_model, named
from optimizer.build.model_prediction import kept_effect, premium_risk, risk_of
from optimizer.errors import ConfigError, DataError
from optimizer.learn.effect import Belief
from optimizer.learn.evaluate import evaluate
from optimizer.learn.fit import learn
from optimizer.learn.history import read_history
from optimizer.learn.learned import save_model
from optimizer.learn.learners import LEARNERS, predict
from optimizer.learn.models_folder import in_force
from optimizer.learn.posterior import Group, posterior
from optimizer.learn.stated import stated_model
from optimizer.learn.window import Window
from tests.support.pages import visible
from tests.support.small_night import DAY as NIGHT
from tests.support.small_night import call, make_night
from tests.support.trial import DAY, fair_trial, outcomes, settings

AFTER = Window(DAY + dt.timedelta(30))


def _by_category(num: int) -> np.ndarray:
    return np.where(np.arange(num) % 2 == 0, 0.9, -0.5)


@pytest.mark.parametrize("name", ["share", "logistic", "boosted"])
def test_a_learner_finds_that_premium_hurts_a_category(name: str) -> None:
    """The share removed is far above 0 in one category and below 0 in the other."""
    trial = fair_trial(6_000, 3, _by_category(6_000))
    effect = LEARNERS[name].fit(trial)
    left = premium_risk(trial.risk, kept_effect(trial.frame, effect), effect.link)
    removed = 1 - left / trial.risk
    is_a = (trial.frame["category_id"] == "a").to_numpy()
    assert removed[is_a].mean() == pytest.approx(0.9, abs=0.15)
    assert removed[~is_a].mean() == pytest.approx(-0.5, abs=0.25)
    plain = LEARNERS["stated-risk"].fit(trial)
    assert plain.names == [("", "")]


def test_noise_alone_is_shrunk_to_the_pool() -> None:
    """Where all parcels are alike, shares differ by less than their own errors say."""
    trial = fair_trial(1_000, 4)
    found = predict(trial.frame, LEARNERS["share"].fit(trial))
    assert found.mean.std() < 0.5 * found.spread.mean()
    assert (found.mean > 0).all()


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of forty small trials the 95 % interval of the share holds 0.5 in 34 at least."""
    num_held = 0
    for seed in range(40):
        trial = replace(fair_trial(600, seed), belief=Belief(0.0, 1.0))
        effect = LEARNERS["stated-risk"].fit(trial)
        half = 1.96 * effect.covariance[0][0] ** 0.5
        num_held += abs(effect.intercept - 0.5) <= half
    assert num_held >= 34


def test_the_spread_of_a_group_is_what_its_rows_say() -> None:
    """Levels that lie apart keep their distance; levels that do not are pooled."""
    sure, start, spread = np.diag([50.0] * 8), np.zeros(8), np.ones(8)
    far = np.tile([0.5, -0.5], 4)
    apart = posterior(sure, sure @ far, start, spread, [Group(tuple(range(8)), 0.25)])
    near = far / 20
    alike = posterior(sure, sure @ near, start, spread, [Group(tuple(range(8)), 0.25)])
    assert abs(apart.mean[0] / far[0]) > 0.8
    assert abs(alike.mean[0] / near[0]) < 0.4


@pytest.fixture(scope="module")
def contested(tmp_path_factory: pytest.TempPathFactory):
    """A history in which premium helps one category and hurts the riskier other."""
    num, rng = 4_000, np.random.default_rng(8)
    table = outcomes(num, 8).with_columns(
        category_id=pl.Series(np.tile(["a", "b"], num // 2)),
        tier=pl.Series(np.tile(["gold", "plain"], num // 2)),
        distance=pl.Series(rng.uniform(0, 900, num)).set(
            pl.arange(num, eager=True) % 50 == 0, None
        ),
        date=pl.Series([DAY + dt.timedelta(row // 2 % 2) for row in range(num)]),
        merchant_id=pl.lit("m"),
    )
    risk = table["complaint_prob_standard"].to_numpy() * np.tile([0.8, 1.2], num // 2)
    left = np.where(table["is_premium"].to_numpy(), 1 - _by_category(num), 1)
    table = table.with_columns(
        complaint_prob_standard=pl.Series(risk.clip(0, 0.6)),
        complaint=pl.Series(rng.random(num) < (risk * left).clip(0, 1)),
    )
    folder = tmp_path_factory.mktemp("models")
    learning = {
        "models": str(folder),
        "features": ["distance"],
        "categories": ["tier"],
    }
    config = settings(learning=learning)
    before = learn(table.head(400), config, AFTER)
    simple = named(before.model.model_copy(update={"learner": "stated-risk"}))
    save_model(replace(before, model=simple), folder)
    return table, config, learn(table, config, AFTER), folder


@pytest.mark.slow
def test_the_learner_in_force_goes_when_another_is_surely_better(contested) -> None:
    """Highest risk is beaten; the next model starts from who won; the card has both."""
    table, config, found, folder = contested
    model = found.model
    assert [one.learner for one in model.candidates] == list(LEARNERS)
    winner = next(one for one in model.candidates if one.is_champion)
    assert winner.learner == model.learner != "stated-risk"
    assert winner.confidence >= config.learning.confidence
    (before,) = (one for one in model.candidates if one.learner == "stated-risk")
    assert before.more_cny == 0
    assert winner.more_cny > 0
    assert f"| {winner.learner} | {winner.value_cny:,.0f}" in found.card
    page, needed = found.report().html, f"{config.learning.confidence:.0%}"
    told = visible(page)
    assert f"{winner.learner} takes over: its plan is worth" in told
    assert f"概率为 {winner.confidence:.1%}；达到 {needed} 即可" in page
    for one in model.candidates:
        assert f"{one.value_cny:,.2f}" in told
        assert f"{one.more_cny:+,.2f}" in told
    save_model(found, folder)
    again = learn(table, config, AFTER)
    rows = again.model.candidates
    assert next(o for o in rows if o.learner == model.learner).more_cny == 0
    assert f"{model.learner} stays in force" in visible(again.report("zh").html)
    (folder / "latest" / "model.json").write_text("{")
    codes = {told.code for told in learn(table.head(400), config, AFTER).warnings}
    assert "LEARNER_NOT_KNOWN" in codes


@pytest.mark.slow
def test_a_first_model_starts_from_odds(tmp_path: Path) -> None:
    """Where no model is, and after one of stated effects, ``logistic`` is in force."""
    config = settings(learning={"models": str(tmp_path)})
    assert in_force(config, AFTER) == ("logistic", [])
    prior = settings(
        learning={
            "models": str(tmp_path),
            "prior": {"effect": 0.3, "complaint_prob": 0.1, "return_prob": 0.1},
        }
    )
    save_model(stated_model(prior), tmp_path)
    assert in_force(config, AFTER) == ("logistic", [])


def test_without_a_difference_the_learner_in_force_stays(tmp_path: Path) -> None:
    """Where all parcels gain alike the plan stays; few harms decide none."""
    config = settings(learning={"models": str(tmp_path)})
    found = learn(outcomes(1_500, 21), config, AFTER).model
    assert found.learner == "logistic"
    assert len(found.candidates) > 1
    rarely = {"complaint": 40, "logistics_return": 50}
    happened = {name: np.arange(400) % each == 0 for name, each in rarely.items()}
    few = learn(outcomes(400, 21, **happened), config, AFTER)
    assert [one.learner for one in few.model.candidates] == ["logistic"]
    told = visible(few.report().html)
    assert "logistic is in force: too few harms" in told
    with pytest.raises(ConfigError, match="language"):
        few.report("fr")


@pytest.mark.slow
def test_further_columns_are_learned_by_and_asked_for(contested) -> None:
    """Named columns are in risk and effect; one that is missing is refused."""
    table, config, found, _ = contested
    risk = found.model.risk["complaint"]
    assert "log1p(distance)" in risk.slopes
    assert set(risk.levels["tier"]) == {"gold", "plain"}
    assert risk.fills["distance"] == pytest.approx(450, abs=40)
    with pytest.raises(DataError, match=r"no column distance, .* mean distances\?"):
        learn(table.rename({"distance": "distances"}), config, AFTER)
    with pytest.raises(ConfigError, match="must not name complaint"):
        settings(learning={"features": ["complaint"]})


@pytest.mark.slow
def test_a_night_with_trees_and_odds_verifies_and_a_changed_model_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second statement walks the same trees; one changed number is refused."""
    monkeypatch.chdir(tmp_path)
    night = make_night(tmp_path, 400)
    orders = night.read("orders")
    orders = orders.drop(c for c in orders.columns if c.endswith("prob_premium"))
    far = pl.Series(np.arange(len(orders)) * 3.0)
    night.write("orders", orders.with_columns(distance=far.set(far < 30, None)))
    prior = {"effect": 0.5, "complaint_prob": 0.2, "return_prob": 0.1}
    night.configure(
        model="models/latest",
        learning={"prior": prior, "features": ["distance"]},
    )
    assert call(monkeypatch, capsys, "learn", "--config", night.config).code == 0
    stated = load_model(tmp_path / "models/latest").model
    split = Tree(
        input=[0, -1, 1, -1, -1],
        threshold=[5.0, 0, 0.5, 0, 0],
        left=[1, -1, 3, -1, -1],
        right=[2, -1, 4, -1, -1],
        value=[0, -0.2, 0, 0.1, 0.4],
    )
    merchant = str(orders["merchant_id"][0])
    forest = Forest(
        numbers=["log1p(distance)"],
        levels=[("merchant_id", merchant)],
        members=[[split, split], [split]],
    )
    changed = {
        "names": [("", ""), ("", "log1p(distance)"), ("", "forest")],
        "covariance": np.diag([0.04, 0.01, 0.01]).tolist(),
        "slopes": {"log1p(distance)": 0.1},
        "ranges": {"log1p(distance)": (1.0, 6.0)},
        "fills": {"distance": 300.0},
        "forest": forest,
        "forest_slope": 0.5,
    }
    both = {
        harm: stated.effect[harm].model_copy(update=changed | {"link": link})
        for harm, link in (("complaint", "share"), ("return", "logit"))
    }
    model = named(stated.model_copy(update={"effect": both}))
    path = tmp_path / "models/latest/model.json"
    path.write_text(model.model_dump_json())
    ran = call(monkeypatch, capsys, "run", "--config", night.config, "--date", NIGHT)
    assert ran.code == 0, ran.err
    checked = call(monkeypatch, capsys, "verify", night.run_dir)
    assert checked.code == 0, checked.out + checked.err

    one, two = drawn_model(model, seed=1), drawn_model(model, seed=2)
    assert one == drawn_model(model, seed=1)
    assert one.effect["return"].slopes != two.effect["return"].slopes
    assert len(one.effect["complaint"].forest.members) == 1

    path.write_text(
        path.read_text().replace('"forest_slope":0.5', '"forest_slope":0.6')
    )
    with pytest.raises(ConfigError, match="was changed after it was learned"):
        load_model(path.parent)
    round_about = split.model_copy(update={"left": [0, -1, 3, -1, -1]})
    circle = forest.model_copy(update={"members": [[round_about]]})
    effect = both["complaint"].model_copy(update={"forest": circle})
    wrong = named(model.model_copy(update={"effect": both | {"complaint": effect}}))
    path.write_text(wrong.model_dump_json())
    with pytest.raises(ConfigError, match="is not as a model of format 2 should be"):
        load_model(path.parent)


@pytest.mark.slow
def test_unrandomised_parcels_decide_nothing_and_are_said_to_contradict(
    tmp_path: Path,
) -> None:
    """Chosen for a hidden score, premium looks harmful; the coin says it helps."""
    num, rng = 12_000, np.random.default_rng(5)
    hidden = rng.random(num) < 0.2
    risk = np.where(hidden, 0.4, 0.05)
    drawn = rng.random(num) < 0.1
    is_premium = np.where(drawn, rng.random(num) < 0.5, hidden)
    left = np.where(is_premium, 0.5, 1.0)
    table = outcomes(num, 5).with_columns(
        complaint_prob_standard=pl.lit(None, pl.Float64),
        is_premium=is_premium,
        propensity=pl.Series(np.where(drawn, 0.5, np.where(hidden, 1.0, 0.0))),
        complaint=pl.Series(rng.random(num) < risk * left),
        delivered_to_door=pl.Series(is_premium),
    )
    config = settings(learning={"models": str(tmp_path)})
    found = learn(table, config, AFTER)
    told = {w.values.get("outcome") for w in found.warnings if "HIDDEN" in w.code}
    assert told == {"complaint"}
    # The risk is of parcels that were not chosen; the part removed is of all that drew.
    effect = found.model.effect["complaint"]
    risk = risk_of(table, found.model.risk["complaint"])
    left = premium_risk(risk, kept_effect(table, effect), effect.link)
    assert 1 - left.mean() / risk.mean() == pytest.approx(0.5, abs=0.15)


def test_more_outcomes_than_wanted_are_drawn_by_hash_in_any_order() -> None:
    """All randomised rows stay, of the others one in so many, in any order the same."""
    table = outcomes(400, 2).with_columns(
        propensity=pl.Series(np.where(np.arange(400) < 40, 0.5, 0.0)),
        is_premium=pl.Series((np.arange(400) < 40) & (np.arange(400) % 2 == 0)),
    )
    config = settings()
    some = read_history(table, config, AFTER, most_beside=100)
    again = read_history(table.reverse(), config, AFTER, most_beside=100)
    assert some.rows.equals(again.rows)
    assert some.times == 4
    kept = set(some.rows["order_id"])
    assert set(table["order_id"][:40]) <= kept
    assert 40 < len(kept) <= 140
    (told,) = [w for w in some.warnings if w.code == "OUTCOMES_DRAWN"]
    assert told.values == {"num_parcels": len(kept) - 40, "times": 4}
    assert json.dumps(told.to_json())


def test_a_table_beyond_memory_is_measured_on_the_same_parcels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Of many parcels beside the randomised ones some are drawn, and said to be.

    What is compared is the same, and so is the difference in means to the last bit.
    """
    size, num_drawn = 4_000, 1_000
    at = np.arange(size)
    table = outcomes(size, 5).with_columns(
        propensity=pl.Series(np.where(at < num_drawn, 0.5, 0.0)),
        is_premium=pl.Series((at < num_drawn) & (at % 2 == 0)),
    )
    whole = evaluate(table, settings(), AFTER)
    monkeypatch.setattr("optimizer.learn.evaluate.MOST_BESIDE", 500)
    some = evaluate(table.reverse(), settings(), AFTER)
    assert "OUTCOMES_DRAWN" not in {told.code for told in whole.warnings}
    assert "OUTCOMES_DRAWN" in {told.code for told in some.warnings}
    assert some.window["num_parcels"] <= num_drawn + 500 < whole.window["num_parcels"]
    assert some.window["num_compared"] == whole.window["num_compared"]
    found = [
        [row for row in one.effects if row["method"] == "difference"]
        for one in (some, whole)
    ]
    assert found[0] == found[1] != []
