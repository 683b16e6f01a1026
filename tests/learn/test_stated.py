"""A first model out of stated risks alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

import optimizer
from optimizer.build.learned_model import NO_RISK
from optimizer.config import as_config
from optimizer.contracts.warnings import warn
from optimizer.errors import ConfigError, DataError
from optimizer.learn.stated import is_stated, stated_model
from optimizer.testing import make_config
from tests.support.published_nights import edit_record
from tests.support.small_night import DAY, call, make_night

if TYPE_CHECKING:
    from optimizer.learn.learned import Learned

PRIOR = {"effect": 0.5, "complaint_prob": 0.2, "return_prob": 0.1}


def test_stated_risks_are_those_of_every_order() -> None:
    """The model's risk is the stated one, whatever the order; nothing was seen."""
    policy = {
        "valid_from": "2022-01-12",
        "cap": {"rate": 0.03},
        "fee": {"amount_cny": 0.8},
        "carriers": ["yunda"],
    }
    keys = {
        "version": 1,
        "policy": [policy],
        "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
    }
    config = as_config(keys | {"learning": {"prior": PRIOR}})
    assert is_stated(config)
    model = stated_model(config).model
    for harm, share in (("complaint", 0.2), ("return", 0.1)):
        risk = model.risk[harm]
        assert (risk.slopes, risk.levels) == ({}, {})
        assert risk.intercept == pytest.approx(_logit(share))
    assert model.version == stated_model(config).model.version
    effect_alone = as_config(keys | {"learning": {"prior": {"effect": 0.5}}})
    assert not is_stated(effect_alone)
    with pytest.raises(ConfigError, match="must state effect, complaint_prob"):
        stated_model(effect_alone)
    with pytest.raises(ConfigError, match="both complaint_prob and return_prob"):
        as_config(keys | {"learning": {"prior": {"effect": 0.5, "return_prob": 0.1}}})


def _logit(share: float) -> float:
    import math

    return math.log(share / (1 - share))


@pytest.mark.slow
def test_a_night_on_stated_risks_says_so_first_and_verifies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Savings are what the statement gives by hand; both warnings come first."""
    monkeypatch.chdir(tmp_path)
    night = make_night(tmp_path, 400)
    orders = night.read("orders")
    night.write("orders", orders.drop([c for c in orders.columns if "prob" in c]))
    night.configure(model="models/latest", learning={"prior": PRIOR})
    assert call(monkeypatch, capsys, "learn", "--config", night.config).code == 0
    words = ("run", "--config", night.config, "--date", DAY)
    ran = call(monkeypatch, capsys, *words)
    assert ran.code == 0, ran.err
    first, second = ran.out.splitlines()[1:3]
    assert first.startswith("  rests on   a stated prior")
    assert second.startswith("  rests on   no history")
    assert call(monkeypatch, capsys, "verify", night.run_dir).code == 0

    saving = pl.read_parquet(night.run_dir / "recommendations.parquet")["saving_cny"]
    take_up = dict(night.read("merchants").select("merchant_id", "take_up").iter_rows())
    # A premium parcel removes half of the harm; nothing invented is taken off that.
    most = 0.5 * (0.2 * 30 + 0.1 * 18) * max(v or 1 for v in take_up.values())
    assert saving.max() == pytest.approx(most - 0.8, abs=1e-6)
    codes = [
        w["code"]
        for w in json.loads((night.run_dir / "run.json").read_text())["warnings"]
    ]
    assert {"MODEL_IS_PRIOR", "RISK_IS_STATED"} <= set(codes)


@pytest.mark.slow
@pytest.mark.parametrize("given", ["all", "risks", "one risk", "premium"])
def test_a_night_tells_of_its_model_only_what_it_takes_from_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: str,
) -> None:
    """
    Where the tables have the probabilities, nothing rests on what is stated: who is
    chosen is not chosen by lot, and no order's risk is the stated one. A record that
    says otherwise does not verify.
    """
    monkeypatch.chdir(tmp_path)
    night = make_night(tmp_path, 400)
    standard = ["complaint_prob_standard", "return_prob_standard"]
    premium = ["complaint_prob_premium", "return_prob_premium"]
    own = {
        **{"all": standard + premium, "risks": standard},
        **{"one risk": standard[:1], "premium": premium},
    }[given]
    orders = night.read("orders")
    left = [c for c in orders.columns if "prob" in c and c not in own]
    night.write("orders", orders.drop(left))
    night.configure(model="models/latest", learning={"prior": PRIOR})
    assert call(monkeypatch, capsys, "learn", "--config", night.config).code == 0
    words = ("run", "--config", night.config, "--date", DAY)
    ran = call(monkeypatch, capsys, *words)
    assert ran.code == 0, ran.err
    record = json.loads((night.run_dir / "run.json").read_text())
    told = [one["code"] for one in (*record["warnings"], *record["assumptions"])]
    assert "RISK_IS_STATED" not in told
    assert ("MODEL_IS_PRIOR" in told) == (given in ("risks", "one risk"))
    taken = {"all": 0, "risks": 0, "one risk": 1, "premium": 2}[given]
    assert told.count("RISK_TAKEN") == taken
    assert ("PROBABILITIES_GIVEN" in told) == (given in ("all", "premium"))
    assert call(monkeypatch, capsys, "verify", night.run_dir).code == 0
    false = warn("RISK_TAKEN", harm="complaint", share="0.200").to_json()
    wrong = [*record["assumptions"], false]
    if taken:
        wrong = [one for one in record["assumptions"] if one["code"] != "RISK_TAKEN"]
    edit_record(night.run_dir, lambda record: record.update(assumptions=wrong))
    assert call(monkeypatch, capsys, "verify", night.run_dir).code == 4


def test_a_night_without_probabilities_names_the_three_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Validate and run alike: a model, one of past parcels, one of what is stated."""
    monkeypatch.chdir(tmp_path)
    night = make_night(tmp_path, 400)
    orders = night.read("orders")
    night.write("orders", orders.drop([c for c in orders.columns if "prob" in c]))
    for command in ("validate", "run"):
        words = (command, "--config", night.config, "--date", DAY)
        said = call(monkeypatch, capsys, *words)
        assert said.code == 3
        assert "has no column complaint_prob_standard, return_prob_standard" in said.err
        for way in ("model: models/latest", "learning.history", "{prior: {effect"):
            assert way in said.err


def _standard_parcels(columns: str = "") -> pl.DataFrame:
    """
    A history of complaints about standard parcels; nothing else is known.

    All are of one merchant, half of whose parcels had none.
    """
    risky = [n % 9 == 0 for n in range(600)]
    is_theirs = [n % 9 in (0, 4) for n in range(600)]
    return pl.DataFrame(
        {
            "order_id": [f"h{n}" for n in range(600)],
            "date": [f"2026-10-{1 + n % 28:02d}" for n in range(600)],
            "merchant_id": ["m" if one else "n" for one in is_theirs],
            "carrier_id": ["yunda"] * 600,
            "region_id": ["r"] * 600,
            "complaint": risky,
        }
    ).with_columns(pl.lit(value=False).alias(name) for name in columns.split())


def _learned(history: pl.DataFrame, returns: float = 18, **prior: float) -> Learned:
    objective = {"complaint_cost_cny": 30, "return_cost_cny": returns}
    config = make_config(
        objective=objective, learning={"prior": prior} if prior else {}
    )
    return optimizer.learn_model(history, config=config, as_of=DAY)


def test_a_history_of_standard_parcels_alone_names_the_ways_on() -> None:
    """No premium, no returns: each refusal says what to write, and that is enough."""
    wanted = "has no column is_premium, logistics_return"
    with pytest.raises(DataError, match=wanted) as found:
        _learned(_standard_parcels())
    for way in ("{prior: {effect: 0.3}}", "return_prob: 0.02", "return_cost_cny: 0"):
        assert way in str(found.value)
    with pytest.raises(DataError, match=r"all 600 parcels got .* \{prior: \{effect"):
        _learned(_standard_parcels("is_premium logistics_return"))
    found = _learned(_standard_parcels("is_premium logistics_return"), effect=0.3)
    never = next(w for w in found.warnings if w.code == "HARM_NEVER_HAPPENED")
    # Three in n is the bound where nothing happened to n.
    assert never.values["high"] == "0.4980%"
    assert never.values["num_parcels"] == 600
    _learned(_standard_parcels(), effect=0.3, complaint_prob=0.1, return_prob=0.1)


@pytest.mark.parametrize(("num", "high"), [(600, 0.00498), (6, 0.39304)])
def test_a_stated_rate_that_the_history_refutes_gives_way_to_its_bound(
    num: int, high: float
) -> None:
    """
    None of 600 parcels: at 95 % below 0.5 %, whatever is stated; none of 6 refutes
    nothing. Both are said; complaints as returns; what no column records stays.
    """
    history = _standard_parcels("is_premium logistics_return").head(num)
    history = history.with_columns(complaint=pl.lit(value=False))
    prior = {"effect": 0.3, "complaint_prob": 0.1, "return_prob": 0.2}
    found = _learned(history, **prior)
    is_refuted = high < 0.1
    code = "HARM_BELOW_STATED" if is_refuted else "HARM_NOT_YET_SEEN"
    told = {w.values["outcome"]: w for w in found.warnings if w.code == code}
    stated = {"complaint": 0.1, "logistics_return": 0.2}
    assert told.keys() == stated.keys()
    for outcome, share in stated.items():
        assert told[outcome].values["high"] == f"{1 - 0.05 ** (1 / num):.4%}"
        assert told[outcome].values["stated"] == f"{share:.4%}"
        intercept = found.model.risk[outcome.removeprefix("logistics_")].intercept
        wanted = min(share, high)
        assert 1 / (1 + np.exp(-intercept)) == pytest.approx(wanted, rel=1e-3)
    rest = _learned(history.drop("logistics_return"), **prior)
    assert "HARM_IS_ABSENT" in {w.code for w in rest.warnings}
    assert 1 / (1 + np.exp(-rest.model.risk["return"].intercept)) == pytest.approx(0.2)


def test_a_history_of_returns_alone_learns_as_its_message_says(tmp_path: Path) -> None:
    """Without complaints it names the way on; that way, their stated rate stays."""
    path = tmp_path / "outcomes.parquet"
    rows = _standard_parcels("is_premium")
    rows = rows.rename({"complaint": "logistics_return"})
    rows.write_parquet(path)
    prior = {"effect": 0.3, "complaint_prob": 0.1, "return_prob": 0.2}
    with pytest.raises(DataError, match=r"no column complaint.*constants") as error:
        _learned(rows, **prior)
    assert "complaint: 'false'" in str(error.value)
    history = {"path": str(path), "constants": {"complaint": "false"}}
    config = make_config(
        objective={"complaint_cost_cny": 30, "return_cost_cny": 18},
        learning={"prior": prior, "history": history},
    )
    model = optimizer.learn_model(str(path), config=config, as_of=DAY).model
    assert 1 / (1 + np.exp(-model.risk["complaint"].intercept)) == pytest.approx(0.1)
    assert model.risk["return"].levels["merchant_id"]


def test_returns_that_cost_nothing_need_no_history_and_no_stated_rate() -> None:
    """Complaints alone teach the risk; the effect is stated; returns are nothing."""
    learned = _learned(_standard_parcels(), returns=0, effect=0.3)
    model = learned.model
    assert "| complaint | pool | +0.300 |" in learned.card
    assert "| return | pool |" not in learned.card
    assert [*learned.to_json()["pooled"]] == ["complaint"]
    assert (model.kind, model.effect["complaint"].intercept) == ("prior", 0.3)
    risk = model.risk["complaint"]
    assert risk.levels["merchant_id"]["m"] > risk.levels["merchant_id"]["n"]
    assert model.risk["return"] == NO_RISK
    assert [p.mean for p in model.promises] == [1.0]
    objective = {"complaint_cost_cny": 30, "return_cost_cny": 0}
    stated = {"prior": {"effect": 0.3, "complaint_prob": 0.1}}
    config = as_config(make_config(objective=objective, learning=stated))
    assert stated_model(config).model.risk["return"] == NO_RISK


def test_promises_are_what_is_stated_where_nothing_scans_them() -> None:
    """kept_share is multiplied where it is stated, and nothing is where it is not."""
    for kept, found in (({}, 1.0), ({"kept_share": 0.6}, 0.6)):
        model = _learned(_standard_parcels(), returns=0, effect=0.3, **kept).model
        assert [p.mean for p in model.promises] == [found]


def test_a_stated_harm_beside_premium_parcels_has_the_stated_effect() -> None:
    """Returns that no parcel has: the complaints are measured, the returns stated."""
    history = _standard_parcels("is_premium logistics_return").with_columns(
        is_premium=pl.int_range(600) % 2 == 0, propensity=pl.lit(0.5)
    )
    prior = {"effect": 0.4, "complaint_prob": 0.1, "return_prob": 0.1}
    model = _learned(history, **prior).model
    assert model.kind == "randomised"
    assert model.effect["return"].intercept == 0.4
    assert model.effect["complaint"].intercept != 0.4


@pytest.mark.parametrize("harm", ["complaint", "return"])
def test_a_list_of_complaints_alone_is_told_what_works(
    harm: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """
    All parcels had the harm, stated or not: what the message says to write is learned
    from, word by word.
    """
    monkeypatch.chdir(tmp_path)
    outcome = {"complaint": "complaint", "return": "logistics_return"}[harm]
    rows = _standard_parcels("is_premium logistics_return")
    rows = rows.with_columns(pl.lit(value=True).alias(outcome))
    rows.write_csv("outcomes.csv")
    night = make_night(tmp_path, 400)
    given = ("learn", "--config", night.config, "--as-of", DAY)
    with_history = (*given, "--history", "outcomes.csv")
    for prior in ({"effect": 0.3}, PRIOR):
        night.configure(learning={"prior": prior})
        said = call(monkeypatch, capsys, *with_history)
        assert said.code == 3
        assert f"{outcome} is true for all of 600 parcels" in said.err
        assert "a row for every parcel of these days" in said.err
    stated = json.loads(_quoted(re.search(r"\((learning: .*\}\})\)", said.err)[1]))
    night.configure(**stated)
    if harm == "complaint":
        assert "no --history, no learning.history" in said.err
        said = call(monkeypatch, capsys, *given)
    else:
        assert "leave the column out" in said.err
        rows.drop("logistics_return").write_csv("outcomes.csv")
        said = call(monkeypatch, capsys, *with_history)
    assert said.code == 0, said.err


def _quoted(text: str) -> str:
    """A mapping as the messages write it, as JSON."""
    return "{" + re.sub(r"(\w+):", r'"\1":', text) + "}"


def test_returns_that_cost_nothing_and_are_always_true_are_left_out() -> None:
    """The message says so, and what it says is learned from."""
    rows = _standard_parcels().with_columns(logistics_return=pl.lit(value=True))
    with pytest.raises(DataError, match="leave the column out, since a return costs"):
        _learned(rows, returns=0, effect=0.3)
    found = _learned(rows.drop("logistics_return"), returns=0, effect=0.3)
    assert found.model.risk["return"] == NO_RISK


def test_no_effect_is_read_from_a_list_of_complaints() -> None:
    """Evaluate says first that of parcels that all complained nothing is measured."""
    rows = _standard_parcels().with_columns(
        complaint=pl.lit(value=True),
        is_premium=pl.int_range(600) % 2 == 0,
        propensity=pl.lit(0.5),
    )
    objective = {"complaint_cost_cny": 30, "return_cost_cny": 0}
    config = make_config(objective=objective)
    found = optimizer.evaluate(rows, config=config, as_of=DAY)
    (told,) = [w for w in found.warnings if w.code == "ALWAYS_HAPPENED"]
    assert dict(told.values) == {"outcome": "complaint", "num_parcels": 600}
    assert "a row for every parcel" in str(told)
    some = rows.with_columns(complaint=pl.int_range(600) % 7 == 0)
    codes = {
        w.code for w in optimizer.evaluate(some, config=config, as_of=DAY).warnings
    }
    assert not codes & {"ALWAYS_HAPPENED", "NO_PREDICTIONS"}


def test_evaluate_without_a_service_is_told_of_published_nights() -> None:
    """A stated effect measures nothing: the message names what evaluate can use."""
    with pytest.raises(DataError, match=r"is_premium.*\(--runs FOLDER\)"):
        optimizer.evaluate(_standard_parcels(), config=make_config(), as_of=DAY)
