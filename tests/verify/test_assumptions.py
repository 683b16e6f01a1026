"""What a night assumes is stated again, and a record that says otherwise is found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizer.build.assumed import _left_to_chance
from optimizer.build.learned_model import (
    HARMS,
    Account,
    Candidate,
    Doubt,
    Effect,
    Forest,
    Leak,
    LearnedModel,
    Pooled,
    Promise,
    Realised,
    Risk,
    Tree,
    Young,
)
from optimizer.build.model_file import model_text, named
from optimizer.config import Config, as_config
from optimizer.contracts.warnings import CodedWarning, rate_text, read_warning, warn
from optimizer.errors import ConfigError
from optimizer.replay.run import verify_run
from optimizer.verify.assumed import _chance, _rate
from optimizer.verify.engine import state_again
from optimizer.verify.night import verify_night
from tests.support.night_variants import Variant, settings, simulated
from tests.support.pages import visible
from tests.support.published_nights import edit_record, publish, record_of

NUMBER = "log1p(order_value_cny)"
VALUE = ("", NUMBER)
LEVELS = {
    "carrier_id": {"yunda": 0.2, "zhongtong": -0.1},
    "region_id": {"r00": 0.1},
    "category_id": {},
}
NAMES = [("", ""), ("carrier_id", "yunda"), ("carrier_id", "zhongtong")]
NAMES += [("region_id", "r00")]
SLOPE = {"slopes": {NUMBER: 0.05}, "ranges": {NUMBER: (3.0, 4.5)}}
RAISE = {"raised": 0.05, "doubt": Doubt(measured=0.4, error=0.2, taken=0.43)}
TREE = Tree(
    input=[0, -1, 1, -1, -1],
    threshold=[4.0, 0, 0.5, 0, 0],
    left=[1, -1, 3, -1, -1],
    right=[2, -1, 4, -1, -1],
    value=[0, 0.2, 0, 0.1, -0.3],
)


def _covariance(size: int) -> list[list[float]]:
    rng = np.random.default_rng(size)
    root = 0.1 * rng.normal(size=(size, size))
    return (root @ root.T).tolist()


def _effect(names: list[tuple[str, str]], **more: Any) -> Effect:
    levels: dict[str, dict[str, float]] = {} if len(names) == 1 else LEVELS
    keys = {"levels": levels} | more
    covariance = _covariance(len(names))
    return Effect(intercept=0.6, names=names, covariance=covariance, **keys)


FOREST = Forest(numbers=[NUMBER], levels=[("region_id", "r00")], members=[[TREE]])
EFFECTS = {
    "stated-risk": _effect([("", "")]),
    "share": _effect(NAMES),
    "logistic": _effect([*NAMES, VALUE], link="logit", **RAISE, **SLOPE),
    "boosted": _effect(
        [*NAMES, VALUE, ("", "forest")], forest=FOREST, forest_slope=0.4, **SLOPE
    ),
}


def _account(name: str, promised: float) -> Account:
    return Account(
        name=name,
        num_parcels=60,
        promised_cny=promised,
        realised_cny=0.7 * promised - 10,
        low=-0.5 * promised,
        high=1.9 * promised,
        likely_cny=0.7 * promised,
    )


#: Learners that others were held against.
TRIED = ("logistic", "boosted")


def _candidates(learner: str) -> list[Candidate]:
    """A contest that a learner won; for some there was none, and one is listed."""
    rivals = ["stated-risk"] if learner in TRIED else []
    return [
        Candidate(
            learner=name,
            value_cny=500,
            more_cny=0,
            error_cny=1,
            confidence=0.5,
            is_champion=name == learner,
        )
        for name in [*rivals, learner]
    ]


KNOWN = Pooled(share=0.55, error=0.05, prior_weight=0.01, num_premium=90)


def _model(learner: str, returns: Pooled = KNOWN) -> LearnedModel:
    """A model of a learner, which has seen most carriers and few regions."""
    promises = [
        Promise(
            carrier_id=carrier,
            region_id=None,
            num_premium=90,
            num_kept=80,
            mean=mean,
            low=0.7,
            high=0.95,
        )
        for carrier, mean in ((None, 0.88), ("yunda", 0.9), ("zhongtong", 0.8125))
    ]
    risk = Risk(
        intercept=-1.5, slopes={NUMBER: 0.05}, levels={"carrier_id": {"yunda": 0.3}}
    )
    unnamed = LearnedModel(
        format=2,
        version="",
        first_date="2026-10-01",
        last_date="2026-11-20",
        regime_breaks=[],
        kind="randomised",
        risk=dict.fromkeys(HARMS, risk),
        effect=dict.fromkeys(HARMS, EFFECTS[learner]),
        promises=promises,
        learner=learner,
        candidates=_candidates(learner),
        num_waiting=12,
        young=[
            Young(harm=harm, num_rows=40, num_parcels=900, num_days=14)
            for harm in HARMS
        ],
        leaks=[
            Leak(harm="complaint", column="category_id", share=0.9956),
            Leak(harm="return", column="region_id", share=0.993, is_left_out=True),
        ],
        pooled={"complaint": KNOWN, "return": returns},
        realised=Realised(
            num_parcels=1_200,
            promised_cny=2_000.5,
            realised_cny=1_400,
            low=-1,
            high=2_800,
            num_nights=20,
            by_night=[
                _account(f"2026-11-{day:02}", 100 + 9 * day % 70)
                for day in range(7, 21)
            ],
            by_carrier=[_account("yunda", 700), _account("zhongtong", 1_300)],
        ),
    )
    return named(unnamed, "2026-11-20")


def _night(
    folder: Path,
    learner: str,
    *,
    carriers_per_order: int = 1,
    returns: Pooled = KNOWN,
    **objective: Any,
) -> Path:
    """A night whose tables have no probability: the model gives them all."""
    tables = simulated(
        folder / "days", num_orders=400, carriers_per_order=carriers_per_order
    )
    given = {
        name: None
        if table is None
        else table.drop(c for c in table.columns if "_prob_" in c)
        for name, table in tables.items()
    }
    (folder / "model").mkdir()
    (folder / "model/model.json").write_text(model_text(_model(learner, returns)))
    more = {"model": str(folder / "model"), "holdout": {"share": 0.1}}
    config = settings(Variant(config=more))
    config["objective"] |= objective
    return publish(folder, given, config)


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night by a share for each level; no test may change it."""
    return _night(tmp_path_factory.mktemp("share"), "share")


def _if_low(record: dict[str, Any]) -> dict[str, str]:
    (found,) = [a for a in record["assumptions"] if a["code"] == "SAVING_IF_LOW"]
    values: dict[str, str] = found["values"]
    return values


@pytest.mark.slow
@pytest.mark.parametrize(
    ("learner", "carriers"),
    [("stated-risk", 1), ("share", 3), ("logistic", 1), ("boosted", 3)],
)
def test_what_a_night_assumes_is_stated_again(
    learner: str, carriers: int, tmp_path: Path
) -> None:
    """For every learner, with a choice of carriers and without, both agree."""
    run = _night(tmp_path, learner, carriers_per_order=carriers)
    record = record_of(run)
    assert state_again(run, record) == []
    codes = [one["code"] for one in record["assumptions"]]
    assert codes[:2] == ["EFFECT_WEIGHED"] * 2
    assert "PROMISED_BEFORE" in codes
    assert len(record["realised"]["by_night"]) == 14
    shown = visible((run / "report.html").read_text())
    assert "all 20 nights" in shown
    assert "14 of 20 nights are listed, the last that have" in shown
    assert ("EFFECT_BY_ORDER" in codes) == (learner in TRIED)
    assert ("EFFECT_UNTRIED" in codes) == (learner == "share")
    rest = ["KEPT_MEASURED", "KEPT_AS_POOL", "MODEL_AGE", "ROWS_WAITED"]
    rest += ["YOUNG_COUNTED", "YOUNG_COUNTED", "HISTORY_LEAKS", "LEAK_LEFT_OUT"]
    assert codes[-10:] == [*rest, "HELD_AT_RANDOM", "SAVING_IF_LOW"]
    assert "40 of 900 parcels of the history, at most 14 days old" in shown
    assert "LEAK: in the history category_id told of nearly every parcel" in shown
    assert "nothing was learned from region_id" in shown
    values = _if_low(record)
    low, saving = (float(values[n].replace(",", "")) for n in ("low_cny", "saving_cny"))
    assert low < saving
    if learner == "boosted":
        assert verify_run(run).findings == ()


@pytest.mark.slow
def test_an_effect_that_nothing_says_anything_of_is_not_told_as_stated(
    tmp_path: Path,
) -> None:
    """No prior, and a history without a return: not known, by both statements."""
    nothing = Pooled(share=0, error=0, prior_weight=None, num_premium=0)
    run = _night(tmp_path, "share", returns=nothing)
    record = record_of(run)
    told = [(one["code"], one["values"].get("harm")) for one in record["assumptions"]]
    assert told[:2] == [("EFFECT_WEIGHED", "complaint"), ("EFFECT_UNKNOWN", "return")]
    assert state_again(run, record) == []
    stated = warn("EFFECT_STATED", harm="return", share="0", low="0", high="0")
    wrong = [
        stated.to_json() if one["code"] == "EFFECT_UNKNOWN" else one
        for one in record["assumptions"]
    ]
    found = state_again(run, record | {"assumptions": wrong})
    assert any("EFFECT_UNKNOWN (return) is left out" in str(one) for one in found)


@pytest.mark.slow
def test_where_savings_are_drawn_what_was_measured_is_told(tmp_path: Path) -> None:
    """The draw has no doubt added; what the plan saves is by the mean of the draws."""
    run = _night(tmp_path, "logistic", explore="thompson", num_draws=10)
    record = record_of(run)
    assert state_again(run, record) == []
    codes = [one["code"] for one in record["assumptions"]]
    assert codes[-2:] == ["DRAW_AT_RANDOM", "SAVING_IF_LOW"]
    assert "EFFECT_RAISED" not in codes
    # Kept-back parcels are of the plan, so that it saves more than the summary says.
    mean = record["summary"]["draw"]["mean_saving_cny"]
    assert float(_if_low(record)["saving_cny"].replace(",", "")) >= mean


def _without(code: str) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        kept = [one for one in record["assumptions"] if one["code"] != code]
        record["assumptions"] = kept

    return change


def _saying(code: str, **values: Any) -> Callable[[dict[str, Any]], None]:
    """Another value, with the sentence that belongs to it."""

    def change(record: dict[str, Any]) -> None:
        for one in record["assumptions"]:
            if one["code"] == code:
                one["values"].update(values)
                said = read_warning(one)
                assert said is not None
                one["text"] = said.text

    return change


def _more(record: dict[str, Any]) -> None:
    record["assumptions"].append(
        {"code": "PROBABILITIES_GIVEN", "values": {}, "text": "…"}
    )


def _promised_less(record: dict[str, Any]) -> None:
    record["realised"]["by_carrier"][0]["promised_cny"] = 480


def _no_ledger(record: dict[str, Any]) -> None:
    del record["realised"]["by_night"]


def _a_cent_off(record: dict[str, Any]) -> None:
    """Two cents: the sums of both statements may differ by one."""
    low = float(_if_low(record)["low_cny"].replace(",", ""))
    _saying("SAVING_IF_LOW", low_cny=f"{low + 0.02:,.2f}")(record)


Change = Callable[[dict[str, Any]], None]
#: Changes of one record each, and what is said of them.
PLANTED: dict[str, list[tuple[Change, str]]] = {
    "left out": [
        (_without("SAVING_IF_LOW"), "SAVING_IF_LOW is left out"),
        (_without("HELD_AT_RANDOM"), "HELD_AT_RANDOM is left out"),
        (_without("KEPT_AS_POOL"), "KEPT_AS_POOL is left out"),
    ],
    "other facts": [
        (_saying("PROMISED_BEFORE", realised_cny="2,000.50"), "realised_cny is 1,400"),
        (_saying("MODEL_AGE", num_days=1), "num_days is 2, not 1"),
        (_saying("KEPT_AS_POOL", share="1.000"), "share is 0.880, not 1.000"),
    ],
    "a history without fault": [
        (_without("HISTORY_LEAKS"), "HISTORY_LEAKS (complaint) is left out"),
        (_saying("YOUNG_COUNTED", num_rows=1), "(return): num_rows is 40, not 1"),
    ],
    "another leak": [
        (_saying("HISTORY_LEAKS", share="0.501"), "share is 0.996, not 0.501"),
        (_without("LEAK_LEFT_OUT"), "LEAK_LEFT_OUT (return) is left out"),
    ],
    "a surer effect": [
        (_saying("EFFECT_WEIGHED", low="0.540"), "(return): low is 0.452, not 0.540"),
        (_a_cent_off, "SAVING_IF_LOW: low_cny is"),
    ],
    "another ledger": [
        (_promised_less, "realised: by_carrier is not what the model has"),
        (_no_ledger, "realised: by_night is not what the model has"),
    ],
    "less of the prior, and a word more": [
        (_saying("EFFECT_WEIGHED", weight="0.000"), "weight is 0.010, not 0.000"),
        (_more, "PROBABILITIES_GIVEN is not so"),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", PLANTED)
def test_an_assumption_that_is_not_that_of_the_night_is_found(
    fault: str, share: Path
) -> None:
    """Left out, invented, or with another value, if by two cents: it is named."""
    record = record_of(share)
    for change, _ in PLANTED[fault]:
        change(record)
    (found,) = state_again(share, record)
    assert found.check == "assumptions"
    for _, words in PLANTED[fault]:
        assert words in str(found)


@pytest.mark.slow
def test_assumptions_are_within_the_evidence(share: Path, tmp_path: Path) -> None:
    """
    The chain has the record, and with it what is assumed.

    A changed one is not the record that the chain has; without a chain, and with all
    hashes made anew, the statement tells.
    """
    shutil.copytree(share.parent, tmp_path / "runs", symlinks=True)
    run = tmp_path / "runs" / share.name
    edit_record(run, _without("SAVING_IF_LOW"))
    chained = "; ".join(verify_night(run).findings)
    assert "run.json is not the record that the chain of evidence has" in chained
    (tmp_path / "runs/.evidence.jsonl").unlink()
    alone = "; ".join(verify_night(run).findings)
    assert "assumptions: SAVING_IF_LOW is left out" in alone
    replayed = "; ".join(verify_run(run).findings)
    assert "assumptions" in replayed


@pytest.mark.slow
def test_a_record_of_before_assumptions_says_that_it_has_none(
    share: Path, tmp_path: Path
) -> None:
    """Such a night holds; what was not said is not taken for checked."""
    shutil.copytree(share.parent, tmp_path / "runs", symlinks=True)
    run = tmp_path / "runs" / share.name
    (tmp_path / "runs/.evidence.jsonl").unlink()
    edit_record(run, lambda record: record.pop("assumptions"))
    found = verify_night(run)
    assert found.findings == ()
    assert any(words.startswith("assumptions: ") for words in found.unchecked)
    assert json.loads((run / "run.json").read_text()).get("assumptions") is None


@pytest.mark.slow
def test_what_would_let_the_first_order_be_chosen_is_stated_again(
    tmp_path: Path,
) -> None:
    """
    A night whose fee nobody is worth says at which fee, and at which cost, the first
    is chosen; so do its page and, in SQL, the statement, which finds another fee.
    """
    tables = simulated(tmp_path / "days", num_orders=300)
    config = settings(Variant())
    for row in config["policy"]:
        row["fee"] = {"amount_cny": "97"}
    run = publish(tmp_path, tables, config)
    record = record_of(run)
    assert record["summary"]["num_chosen"] == 0
    assert state_again(run, record) == []
    (said,) = [one for one in record["warnings"] if one["code"] == "FIRST_CHOSEN_AT"]
    best = record["summary"]["reasons"]["NO_SAVING"]
    assert best > 0
    fee = said["values"]["fee_cny"]
    assert 0 < float(fee) < 97
    shown = visible((run / "report.html").read_text())
    assert f"at a fee that counts of {fee} CNY or less" in shown
    said["values"]["fee_cny"] = "1.00"
    (found,) = state_again(run, record)
    assert f"FIRST_CHOSEN_AT: fee_cny is {fee}, not 1.00" in str(found)


@pytest.mark.parametrize("explore", ["blind", "margin", "thompson", "none"])
@pytest.mark.parametrize("held", ["0", "0.2"])
@pytest.mark.parametrize("explored", ["0", "0.1"])
def test_what_is_left_to_chance_is_said_without_a_share_of_nothing(
    explore: str, held: str, explored: str
) -> None:
    """Both statements name the same shares, and neither says that 0 % are random."""
    share = explored if explore != "thompson" else "0"
    rules = {"share": held, "explore_share": share}
    if explore == "margin" and share == "0":
        with pytest.raises(ConfigError):
            _at_random(explore, rules)
        return
    config, said = _at_random(explore, rules)
    told = {"objective": {"explore": explore}, "holdout": rules}
    assert (said.code, dict(said.values)) == _chance(told)
    assert not set(said.values.values()) & {"0", "0.0"}
    assert " 0% " not in f" {said} "
    assert ("explored" in said.values) == (
        explore in {"blind", "margin"} and share != "0"
    )
    assert config.objective.explore == explore


def _at_random(explore: str, rules: dict[str, str]) -> tuple[Config, CodedWarning]:
    config = settings(Variant(config={"holdout": rules, "model": "model"}))
    config["objective"] |= {"explore": explore}
    made = as_config(config)
    return made, _left_to_chance(made)


def test_a_rate_of_few_in_ten_thousand_is_no_nothing() -> None:
    """A rate below 1 % has two digits, and both statements write the same ones."""
    rates = [0.5 / (num + 1) for num in (*range(1, 300), 2_000, 10**6)]
    for rate in [*rates, 0.00995, 0.0099499, 0.01, 0.0005, 1e-7, 0.25]:
        assert rate_text(rate) == _rate(rate)
        assert float(rate_text(rate)) == pytest.approx(rate, rel=0.06)
    said = warn("RISK_TAKEN", harm="complaint", share=rate_text(0.000249))
    assert "is 0.025% (complaint)" in str(said)
