"""A first model out of stated risks alone."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from optimizer.config import as_config
from optimizer.errors import ConfigError
from optimizer.learn.stated import is_stated, stated_model
from tests.support.small_night import DAY, call, make_night

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
    # Half of all promises are kept, and a kept one removes half of the harm.
    best = 0.5 * 0.5 * (0.2 * 30 + 0.1 * 18) - 0.8
    assert len(saving) > 0
    assert saving.max() <= best * max([v or 1 for v in take_up.values()]) + 1e-6
    codes = [
        w["code"]
        for w in json.loads((night.run_dir / "run.json").read_text())["warnings"]
    ]
    assert {"MODEL_IS_PRIOR", "RISK_IS_STATED"} <= set(codes)


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


def test_a_history_of_standard_parcels_alone_names_the_ways_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No premium, no returns: each refusal says what to write, and that is enough."""
    monkeypatch.chdir(tmp_path)
    night = make_night(tmp_path, 400)
    lines = ["order_id,date,merchant_id,carrier_id,region_id,complaint"]
    lines += [
        f"h{n},2026-10-{1 + n % 28:02d},m,yunda,r,{n % 9 == 0}".lower()
        for n in range(600)
    ]
    Path("history.csv").write_text("\n".join(lines), "utf-8")

    def learned(**learning: object) -> tuple[int, str]:
        history = {"path": "history.csv"} | learning.pop("reading", {})  # type: ignore[operator]
        night.configure(learning={"history": history} | learning)
        asked = ("learn", "--config", night.config, "--as-of", DAY)
        found = call(monkeypatch, capsys, *asked)
        return found.code, found.err

    code, said = learned()
    assert code == 3
    assert "has no column is_premium, logistics_return" in said
    shown = "constants: {is_premium: 'false', logistics_return: 'false'}"
    assert shown in said
    constants = {"is_premium": "false", "logistics_return": "false"}
    code, said = learned(reading={"constants": constants})
    assert (code, "{prior: {effect: 0.3}}" in said) == (3, True)
    code, said = learned(reading={"constants": constants}, prior={"effect": 0.3})
    assert code == 0, said
    code, said = learned(reading={"constants": constants}, prior=PRIOR)
    assert code == 0, said
