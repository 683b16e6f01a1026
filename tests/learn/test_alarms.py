"""Histories that cannot be measured as they stand are named, and sound ones are not."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from optimizer.build.model_file import load_model
from optimizer.errors import DataError
from optimizer.learn.alarms import full_stations
from optimizer.learn.estimators import Sample, difference
from optimizer.learn.evaluate import evaluate
from optimizer.learn.fit import learn
from optimizer.learn.history import read_history
from optimizer.learn.ledger import kept_accounts, ledger
from optimizer.learn.overlap import comparable, drawn_together
from optimizer.learn.risk import CrossFit
from optimizer.learn.window import Window
from optimizer.report.evaluation import evaluation_text
from optimizer.report.language import CHINESE
from tests.support.pages import visible
from tests.support.trial import DAY, outcomes, settings

AFTER = Window(DAY + dt.timedelta(45))  # returns are known after 30


def codes(table: pl.DataFrame, window: Window = AFTER) -> list[str]:
    return [told.code for told in read_history(table, settings(), window).warnings]


def test_a_sound_history_raises_no_alarm():
    """Twenty fair trials: not one is told anything."""
    assert [codes(outcomes(2_000, seed)) for seed in range(20)] == [[]] * 20


def test_rows_that_are_missing_change_the_sample_ratio():
    """Premium parcels with a complaint lost on the way: both arms were one in two."""
    table = outcomes(4_000, seed=1)
    lost = table.filter(~(pl.col("is_premium") & pl.col("complaint")))
    assert codes(lost) == ["SAMPLE_RATIO"]
    wrong = table.with_columns(propensity=pl.lit(0.6))
    assert codes(wrong) == ["SAMPLE_RATIO"]


@pytest.mark.slow
def test_stations_that_were_drawn_whole_are_no_wrong_ratio():
    """
    Three carriers on ten days, each kept back or not: told by unit, no history of 40 is
    alarming; taken for single draws, most are.
    """
    config = {
        unit: settings(holdout={"share": 0.5, "unit": unit})
        for unit in ("order", "station-day")
    }
    alarms = dict.fromkeys(config, 0)
    for seed in range(40):
        rng, table = np.random.default_rng(seed), outcomes(2_000, seed)
        station = np.array([3 * (n % 10) + n % 3 for n in range(2_000)])
        is_premium = (rng.random(30) < 0.5)[station]
        drawn = {"arm": pl.lit("policy"), "is_premium": pl.Series(is_premium)}
        for unit, given in config.items():
            past = read_history(table.with_columns(**drawn), given, AFTER)
            alarms[unit] += "SAMPLE_RATIO" in {told.code for told in past.warnings}
    assert alarms["station-day"] == 0
    assert alarms["order"] > 20


@pytest.mark.slow
def test_nights_whose_savings_were_drawn_are_no_wrong_ratio():
    """
    On each of ten nights all parcels are chosen by the draw, or none: no history of 40
    is alarming as drawn savings; taken for coins of their own, most are.
    """
    alarms = dict.fromkeys(("thompson", "margin"), 0)
    for seed in range(40):
        rng, table = np.random.default_rng(seed), outcomes(2_000, seed)
        night = np.arange(2_000) // 200
        told = {
            "date": pl.Series([DAY + dt.timedelta(int(n)) for n in night]),
            "is_premium": pl.Series((rng.random(10) < 0.5)[night]),
        }
        for arm in alarms:
            named = table.with_columns(arm=pl.lit(arm), **told)
            alarms[arm] += bool(read_history(named, settings(), AFTER).warnings)
    assert alarms["thompson"] == 0
    assert alarms["margin"] > 20


@pytest.mark.slow
def test_intervals_take_a_night_of_drawn_savings_as_one_draw():
    """
    Nights differ in their complaints, and premium does nothing: of 100 histories whose
    nights are drawn whole at least 0.92 of the 95 % intervals hold the truth, and fewer
    than 0.8 where parcels count as if each was drawn on its own.
    """
    config, held = settings(), dict.fromkeys(("thompson", "margin"), 0)
    for seed in range(100):
        rng = np.random.default_rng(seed)
        night = np.arange(3_000) // 100
        frame = pl.DataFrame(
            {
                "carrier_id": ["a", "b"] * 1_500,
                "date": [DAY + dt.timedelta(int(n)) for n in night],
            }
        )
        share = rng.beta(4, 16, 30)[night]
        half = np.full(3_000, 0.5)
        happened = (rng.random(3_000) < share).astype(float)
        is_premium = (rng.random(30) < 0.5)[night]
        for arm in held:
            together = drawn_together(frame.with_columns(arm=pl.lit(arm)), config)
            found = difference(Sample(happened, is_premium, half, half, half, together))
            held[arm] += found is not None and found.low <= 0 <= found.high
    assert held["thompson"] >= 0.92 * 100
    assert held["margin"] < 0.8 * 100


def test_a_score_that_equals_the_outcome_is_a_leak():
    """Also with noise; a good score of before is none."""
    table, rng = outcomes(4_000, seed=2), np.random.default_rng(1)
    after = 0.2 + 0.6 * table["complaint"].to_numpy() + 0.1 * rng.random(4_000)
    assert codes(table.with_columns(complaint_prob_standard=after)) == ["SCORE_LEAKS"]
    before = 0.2 + 0.6 * table["complaint"].to_numpy() + rng.normal(0, 0.5, 4_000)
    score = np.clip(before, 0, 1)
    assert codes(table.with_columns(complaint_prob_standard=score)) == []


def _columns_told(table: pl.DataFrame, **learning: list[str]) -> list[tuple[str, str]]:
    past = read_history(table, settings(learning=learning), AFTER)
    leaks = [told for told in past.warnings if told.code == "SCORE_LEAKS"]
    return [(told.values["score"], told.values["outcome"]) for told in leaks]


def test_every_column_that_is_learned_from_is_looked_at_for_a_leak():
    """
    A number that rises or falls with the outcome, one whose middle value is the
    outcome, a name that decides it; none that is not learned from.
    """
    table, rng = outcomes(4_000, seed=2), np.random.default_rng(1)
    complaint = table["complaint"].to_numpy()
    parcel = table.with_columns(
        up=pl.Series(complaint + 0.1 * rng.random(4_000)),
        down=pl.Series(complaint * -3.0),
        middle=pl.Series(np.where(complaint, 1.0, rng.integers(0, 2, 4_000) * 2.0)),
        tier=pl.Series(np.where(complaint, "c", rng.choice(["a", "b"], 4_000))),
    )
    numbers = ["up", "down", "middle"]
    assert _columns_told(parcel, features=numbers, categories=["tier"]) == [
        (name, "complaint") for name in (*numbers, "tier")
    ]
    assert _columns_told(parcel) == []


def test_a_column_that_is_filled_only_where_harm_happened_is_a_leak():
    """
    A reason, the same one for all and one of two; an amount that differs; also with 20
    parcels that have one without a harm. Gaps that know nothing of it are none.
    """
    table, rng = outcomes(4_000, seed=2), np.random.default_rng(1)
    complaint = table["complaint"].to_numpy()
    near = complaint.copy()
    near[np.flatnonzero(~complaint)[:20]] = True

    def filled(where: np.ndarray, value: np.ndarray) -> pl.Series:
        return pl.Series(value).set(pl.Series(~where), None)

    reason = np.repeat(np.array(["refund"]), 4_000)
    amount = rng.uniform(1, 90, 4_000)
    gaps = rng.random(4_000) < 0.3
    parcel = table.with_columns(
        one=filled(complaint, reason),
        two=filled(complaint, rng.choice(["refund", "again"], 4_000)),
        nearly=filled(near, reason),
        refund_cny=filled(complaint, amount),
        nearly_cny=filled(near, amount),
        harmless=filled(gaps, reason),
        harmless_cny=filled(gaps, amount),
        known_cny=filled(gaps, amount + 100 * complaint),
    )
    numbers = ["refund_cny", "nearly_cny", "harmless_cny", "known_cny"]
    names = ["one", "two", "nearly", "harmless"]
    told = [n for n in (*numbers, *names) if not n.startswith("harmless")]
    assert _columns_told(parcel, features=numbers, categories=names) == [
        (name, "complaint") for name in told
    ]


def test_names_of_single_parcels_and_good_columns_are_no_leak():
    """
    Each parcel a name of its own, or one of two: in-sample they tell all. A number of
    before the decision that tells much is none.
    """
    table, rng = outcomes(4_000, seed=2), np.random.default_rng(1)
    complaint = table["complaint"].to_numpy()
    many = table.with_columns(
        own=pl.Series([f"n{row}" for row in range(4_000)]),
        pair=pl.Series([f"n{row // 2}" for row in range(4_000)]),
        good=pl.Series(complaint + rng.normal(0, 0.5, 4_000)),
    )
    assert _columns_told(many, features=["good"], categories=["own", "pair"]) == []


def test_an_old_history_is_stale():
    """Sixty days after its last night, not before."""
    for days, told in ((69, []), (70, ["HISTORY_IS_STALE"])):
        assert codes(outcomes(600), Window(DAY + dt.timedelta(days))) == told


def test_full_stations_are_said_where_services_are_compared():
    """A quarter of the compared parcels had no room: the caveat stands there."""
    table = outcomes(2_000, seed=3)
    for every, is_told in ((4, True), (10, False), (None, False)):
        room = [None if every is None else row % every > 0 for row in range(2_000)]
        column = pl.Series(room, dtype=pl.Boolean)
        said = full_stations(table.with_columns(has_room=column))
        assert [told.code for told in said] == ["STATIONS_WERE_FULL"] * is_told


# Promised against realised


def promising(seed: int, times: float, num_rows: int = 4_000) -> pl.DataFrame:
    """A fair trial whose plans promise so many times the harm that they avoid."""
    table = outcomes(num_rows, seed)
    avoided = 0.5 * table["complaint_prob_standard"] * (30 + 18)
    chosen = {"arm": pl.lit("policy"), "saving_cny": times * avoided - 0.8}
    return table.with_columns(**chosen)


def test_the_ledger_tells_what_was_realised_of_what_was_promised():
    """
    Plans that promise twice what they avoid: the ratio is 2, its interval holds it, an
    alert says so, and nights and carriers add up.
    """
    found = evaluate(promising(5, 2.0), settings(), AFTER)
    whole, *rest = found.ledger
    table = promising(5, 2.0)

    assert (whole["by"], whole["num_parcels"]) == (None, 4_000)
    assert whole["promised_cny"] == pytest.approx((table["saving_cny"] + 0.8).sum() / 2)
    assert 1.6 < whole["ratio_low"] < 2 < whole["ratio_high"] < 2.6
    assert whole["low"] < whole["promised_cny"] / 2 < whole["high"]
    for by, num in (("date", 10), ("carrier_id", 3)):
        rows = [row for row in rest if row["by"] == by]
        assert len(rows) == num
        for name in ("promised_cny", "realised_cny"):
            assert sum(row[name] for row in rows) == pytest.approx(whole[name])
    assert [told.code for told in found.alerts] == ["PROMISED_IS_NOT_REALISED"]
    said = evaluation_text(found.to_json(), CHINESE)
    assert f"{whole['realised_cny']:,.2f}" in said
    assert "Promised" not in said
    blind = table.with_columns(arm=pl.lit("explore"))
    assert accounts(blind) == []


def lacking(table: pl.DataFrame, *columns: str, **config: Any) -> Any:
    """The evaluation of outcomes that do not have these columns."""
    return evaluate(table.drop(*columns), settings(**config), AFTER)


@pytest.mark.slow
def test_what_the_outcomes_do_not_record_is_not_told():
    """
    No returns, reasons and claims: no effect on them, no number of events, and a word.

    Where a return costs something, savings count it, and nothing can be held against
    them; where it costs nothing, they are, by complaints alone.
    """
    prior = {"prior": {"effect": 0.3, "complaint_prob": 0.1, "return_prob": 0.1}}
    table = promising(5, 2.0)
    names = ("logistics_return", "complaint_reason", "claim_cny")
    found = lacking(table, *names, learning=prior)
    assert {row["outcome"] for row in found.effects} == {"complaint"}
    assert {row["outcome"] for row in found.power} == {"complaint"}
    told = {warning.code for warning in found.warnings}
    assert told - {"SINGLE_DRAWS_ARE_TAKEN"} == {
        "OUTCOMES_LACK",
        "SAVINGS_ARE_NOT_KNOWN",
    }
    assert found.ledger == found.rules == []
    assert {row["claims_cny"] for row in found.claims} == {None}
    said = evaluation_text(found.to_json())
    assert "returns" not in said.replace("logistics_return", "")
    assert "do not record logistics_return, complaint_reason" in said
    assert "Not known, as the outcomes do not record all" in said

    free = {"objective": {"complaint_cost_cny": 30, "return_cost_cny": 0}}
    alone = lacking(table, *names, **free)
    assert alone.ledger[0]["num_parcels"] == len(table)
    free_of_returns = lacking(table.with_columns(logistics_return=False), **free)
    assert alone.ledger[0] == pytest.approx(free_of_returns.ledger[0])

    mapped = {"path": "other", "constants": {"complaint": "false"}}
    config = settings(learning={"history": mapped, **prior})
    neither = table.drop("complaint", "logistics_return")
    with pytest.raises(DataError, match="neither complaints nor returns"):
        evaluate(neither, config, AFTER)


@pytest.mark.slow
def test_a_model_keeps_what_plans_before_it_promised(tmp_path: Path):
    """
    It holds what came of plans that promise twice what they avoid, and the page shows
    it; parcels that no plan chose say nothing, nor do nights from before the policy.
    """
    config = settings(learning={"models": str(tmp_path)})
    table = promising(5, 2.0)
    found = learn(table, config, AFTER)
    past = found.model.realised
    assert past.num_parcels == 4_000
    promised = (table["saving_cny"] + 0.8).sum() / 2
    assert past.promised_cny == pytest.approx(promised, abs=0.01)
    assert past.low < past.promised_cny / 2 < past.high
    by = {"date": past.by_night, "carrier_id": past.by_carrier}
    assert (past.num_nights, *map(len, by.values())) == (10, 10, 3)
    for rows in by.values():
        promised = sum(row.promised_cny for row in rows)
        assert promised == pytest.approx(past.promised_cny, abs=0.1)
    shown = visible(found.report().html)
    for row in (past, *past.by_night, *past.by_carrier):
        assert f"{row.promised_cny:,.2f}" in shown
        assert f"{row.realised_cny:,.2f}" in found.card
    assert load_model(found.save(tmp_path)).model == found.model
    blind = learn(table.with_columns(arm=pl.lit("explore")), config, AFTER)
    assert blind.model.realised is None
    (row,) = config.policy
    row = row.model_copy(update={"valid_from": DAY + dt.timedelta(1)})
    late = config.model_copy(update={"policy": (row,)})
    rest = learn(table, late, AFTER).model.realised
    told = [(one.name, one.realised_cny) for one in rest.by_night]
    assert told == [(one.name, one.realised_cny) for one in past.by_night[1:]]
    assert [r["group"] for r in evaluate(table, late, AFTER).ledger][1:10] == [
        night.name for night in rest.by_night
    ]


def accounts(table: pl.DataFrame) -> list[dict[str, Any]]:
    """The ledger by predictions that are right."""
    past = read_history(table, settings(), AFTER)
    data = comparable(past.frame)
    risk = data.frame["complaint_prob_standard"].to_numpy()
    right = CrossFit(risk, risk / 2)
    return ledger(data, {"complaint": right, "return": right}, settings())


@pytest.mark.slow
def test_the_ledger_of_honest_plans_holds_their_promise():
    """Of 100 histories whose promises are true, 94 and more intervals hold them."""
    held, shrunk, measured = 0, [], []
    for seed in range(100):
        whole, *rest = accounts(promising(100 + seed, 1.0, 1_000))
        held += whole["low"] <= whole["promised_cny"] <= whole["high"]
        nights = [row for row in rest if row["by"] == "date"]
        shrunk += [row["shrunk_cny"] - row["promised_cny"] for row in nights]
        measured += [row["realised_cny"] - row["promised_cny"] for row in nights]
    assert held >= 94
    # Where nights do not differ, the shrunk sums are much nearer to the truth.
    assert np.std(shrunk) < 0.6 * np.std(measured)


@pytest.mark.slow
def test_a_chosen_tenth_of_noisy_predictions_promises_too_much():
    """
    Predictions that are right on average, and a plan of the largest tenth of them: the
    promise is too large, and the measured sum holds the truth nevertheless.
    """
    over, held = [], 0
    for seed in range(60):
        table, rng = outcomes(8_000, seed), np.random.default_rng(seed)
        avoided = 24 * table["complaint_prob_standard"].to_numpy()
        guess = avoided + rng.normal(0, 3, 8_000)
        best = guess >= np.quantile(guess, 0.9)
        promised = {"arm": pl.lit("policy"), "saving_cny": pl.Series(guess - 0.8)}
        chosen = table.with_columns(**promised).filter(pl.Series(best))
        whole = accounts(chosen)[0]
        truth = float(avoided[best].sum()) / 2
        over.append(whole["promised_cny"] / truth)
        held += whole["low"] <= truth <= whole["high"]
    assert min(over) > 1.1
    assert held >= 54


def test_a_model_keeps_the_last_nights_and_the_largest_carriers():
    """Of 20 nights the last 14, of 40 carriers the 24 that promised most."""
    rows = [(None, None, 10.0)]
    rows += [("date", f"2026-11-{day:02}", 1.0) for day in range(1, 21)]
    rows += [("carrier_id", f"c{number:02}", float(number)) for number in range(40)]
    sums = ("realised_cny", "low", "high", "shrunk_cny")
    found = [
        {"by": by, "group": group, "num_parcels": 5, "promised_cny": promised}
        | dict.fromkeys(sums, 1.0)
        for by, group, promised in rows
    ]
    past = kept_accounts(found)
    assert past.num_nights == 20
    assert [row.name for row in past.by_night][::13] == ["2026-11-07", "2026-11-20"]
    assert [row.name for row in past.by_carrier] == [f"c{n:02}" for n in range(16, 40)]
    found[0]["low"] = -np.inf
    assert kept_accounts(found) is None
    assert kept_accounts([]) is None


def test_without_promises_or_chance_there_is_no_ledger():
    """No saving_cny, or no known propensity: nothing to hold against each other."""
    empty = pl.Series([None] * 600, dtype=pl.Float64)
    assert accounts(outcomes(600).with_columns(saving_cny=empty)) == []
    table = promising(1, 1.0, 600).with_columns(propensity=pl.lit(None, pl.Float64))
    assert accounts(table) == []


def test_returns_that_are_not_ripe_leave_complaints_to_be_measured():
    """Complaints have their effect while all returns wait; the words say until when."""
    stated = {"maturity_days": {"complaint": 5, "return": 60}}
    found = evaluate(promising(1, 1.0, 600), settings(learning=stated), AFTER)
    assert {row["outcome"] for row in found.effects if row["by"]} == {"complaint"}
    assert (found.rules, found.ledger) == ([], [])
    told = {warning.code: str(warning) for warning in found.warnings}
    assert "600 of 600 parcels wait" in told["ROWS_WAIT"]
    assert "2027-01-01" in told["ROWS_WAIT"]


def test_a_named_column_that_leaks_teaches_no_model():
    """Learn refuses and says what to do; evaluate, which does not use it, warns."""
    table = outcomes(2_000, seed=2)
    leaking = table.with_columns(later=table["complaint"].cast(pl.Float64))
    config = settings(learning={"features": ["later"], "prior": {"effect": 0.3}})
    with pytest.raises(DataError, match=r"LEAK: later .* learning\.features"):
        learn(leaking, config, AFTER)
    told = read_history(leaking, config, AFTER).warnings
    assert "SCORE_LEAKS" in {warning.code for warning in told}


def test_young_parcels_of_which_nothing_says_that_they_are_ripe_are_counted():
    """Those of the last 14 days, by hand; with days stated they wait instead."""
    table = outcomes(1_000, seed=3)
    as_of = table["date"].max() + dt.timedelta(10)
    window = Window(as_of)
    young = int((table["date"] >= as_of - dt.timedelta(14)).sum())
    assert 0 < young < 1_000

    def told(**learning):
        past = read_history(table, settings(learning=learning), window)
        return [w for w in past.warnings if w.values.get("outcome") == "complaint"]

    (found,) = told()
    assert found.code == "MATURITY_NOT_KNOWN"
    assert found.values["num_rows"] == young
    stated = told(maturity_days={"complaint": 14, "return": 30})
    assert [one.code for one in stated] == ["ROWS_WAIT"]
