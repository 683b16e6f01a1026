"""The loop on worlds is resumable, and its figures are what they say."""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmarks import (
    evaluation,
    hillstrom,
    intervals,
    outcomes,
    uplift_peers,
    worlds,
    worlds_tables,
)
from optimizer.simulate.dates import START

SIZES = {"num_orders": 800, "num_merchants": 4}


@pytest.fixture(scope="module")
def finished() -> dict[str, object]:
    """One night of learning in a world without an effect."""
    return worlds.repetition("null", 1, 1, SIZES, worlds.SETTINGS)


def test_a_repetition_has_every_rule_and_none_beats_the_truth(finished):
    """All rules are there; where premium does nothing, every one loses its fees."""
    net = finished["judged"]["1"]["net_cny"]
    rules = {"learned", *worlds_tables.PEERS, "columns", "truth"}
    assert set(net) == rules
    assert net["truth"] == 0
    assert max(net.values()) == 0
    assert net["risk"] < 0
    assert all(one["true"] == 0 for one in finished["intervals"])


def test_finished_repetitions_are_left_out(finished, tmp_path, capsys, monkeypatch):
    """``--resume`` runs what is missing; a line cut short counts as missing."""
    path, ran = tmp_path / "found.jsonl", []
    path.write_text(json.dumps(finished) + "\n" + '{"world": "null", "se')

    def run(world, seed, *rest):
        ran.append((world, seed))
        return finished | {"seed": seed}

    monkeypatch.setattr(worlds, "repetition", run)
    words = ["--world", "null", "--repetitions", "2", "--file", str(path)]
    with pytest.raises(SystemExit, match="give --resume"):
        worlds.main(words)
    path.write_text(path.read_text() + "\n")
    worlds.main([*words, "--resume"])
    assert ran == [("null", 2)]
    assert "| `null` | 2 |" in capsys.readouterr().out


def test_the_truth_is_the_best_plan_and_full_stations_cost():
    """No rule avoids more than the truth; with crowding a plan avoids less."""
    night = worlds.Platform("categories", 1, SIZES).night(START)
    worth = worlds.true_worth(night)
    best, lot = (
        worlds.gain(night, worlds.decide(*worlds.valued(night, values), START, {}))
        for values in (worth, np.full(len(worth), 5.0))
    )
    assert best > lot
    large = {"num_orders": 3_000, "num_merchants": 4}
    crowded = worlds.Platform("spill-over", 1, large).night(START)
    worth = worlds.true_worth(crowded)
    plan = worlds.decide(*worlds.valued(crowded, worth), START, {})
    chosen = crowded.orders["order_id"].is_in(
        plan.recommendations["order_id"].to_list()
    )
    assert worlds.gain(crowded, plan) < worth[chosen.to_numpy()].sum()


def record(seed: int, learned: float) -> dict[str, object]:
    """A repetition whose figures are known."""
    net = dict.fromkeys(worlds_tables.PEERS, 50.0) | {"learned": learned}
    net |= {"columns": 100.0, "truth": 200.0, "ridge": 80.0}
    judged = {"net_cny": net, "promised_cny": 60.0, "realised_cny": 50.0}
    interval = {"low": 0.1, "high": 0.2, "true": 0.15, "estimate": 0.12}
    interval |= {"population": "policy", "outcome": "complaint"}
    return {
        "world": "plain",
        "seed": seed,
        "nights": 20,
        "judged": {"5": judged, "20": judged},
        "intervals": [interval, interval | {"true": -0.1}],
    }


def test_the_table_says_what_the_records_hold():
    """Ratios, the least of a seed, coverage and wrong signs of two known records."""
    text = worlds_tables.table([record(1, 70.0), record(2, 90.0)])
    row = next(line for line in text.splitlines() if line.startswith("| `plain` | 2"))
    cells = [cell.strip() for cell in row.split("|")[3:-1]]
    assert cells[0].startswith("0.80 ± ")
    assert cells[2].endswith("(1.40)")
    assert cells[4].startswith("1.00 ± ")
    assert cells[4].endswith("ridge")
    assert cells[5:] == ["0.50 ± 0.00", "1.20 ± 0.00", "2/4", "2/4", ""]
    told = next(line for line in text.splitlines() if line.startswith("| promised by"))
    assert told == "| promised by the model | 0/2 | 1.20 | 1.20 to 1.20 | 0.20 |"
    assert "| measured by the experiment | 0/2 | 4.80 | 4.80 to 4.80 | 3.80 |" in text


def test_only_the_last_days_are_learned_from(monkeypatch):
    """With ``--days`` neither the learner nor a peer sees an older row."""
    seen = []
    learned = worlds.learned

    def watched(history, settings, day, folder):
        seen.append((day, history["date"].min(), history["date"].max()))
        return learned(history, settings, day, folder)

    monkeypatch.setattr(worlds, "learned", watched)
    row = worlds.repetition("plain", 1, 3, SIZES, worlds.SETTINGS, 2)
    assert row["days"] == 2
    (day, first, last) = seen[-1]
    assert (day - first).days == 2
    assert (day - last).days == 1


def test_rankings_are_judged_by_what_parcels_are_truly_worth(finished):
    """The truth ranks best; a rule without an opinion has no Qini; null worlds none."""
    true = np.random.default_rng(1).gamma(2.0, 1.0, 500)
    best = worlds.true_areas(true, true)
    assert worlds.true_areas(np.ones(500), true)[1] == pytest.approx(0, abs=1e-12)
    assert worlds.true_areas(-true, true)[1] == pytest.approx(-best[1])
    for seed in range(20):
        rank = np.random.default_rng(seed).random(500)
        assert worlds.true_areas(rank, true)[1] < best[1]
    told = finished["judged"]["1"]["qini_cny"]
    assert set(told) == set(finished["judged"]["1"]["net_cny"])
    assert not any(told.values())


def test_the_tables_beside_libraries_are_of_repetitions_that_had_all_of_them():
    """Other repetitions count in the first table alone."""
    rows = [record(1, 70.0), record(2, 90.0)]
    last = rows[0]["judged"]["20"]
    last["net_cny"] = last["net_cny"] | dict.fromkeys(uplift_peers.LEARNERS, 30.0)
    last["qini_cny"] = dict.fromkeys(last["net_cny"], 0.02)
    last["auuc_cny"] = dict.fromkeys(last["net_cny"], 0.07)
    lines = worlds_tables.table(rows).splitlines()
    at = next(n for n, line in enumerate(lines) if "world, CNY a night" in line)
    assert lines[at + 2].startswith("| `plain` | 2 | 27 |")
    at = next(n for n, line in enumerate(lines) if "beside libraries" in line)
    assert "| econml_dr | econml_forest | causalml_x | sklift_two |" in lines[at]
    assert lines[at + 2].startswith("| `plain` | 1 | 23 |")
    assert lines[at + 2].endswith("| 10 | 10 | 10 | 10 | 33 | 67 |")
    at = next(n for n, line in enumerate(lines) if "Qini by true worth" in line)
    assert lines[at + 2].startswith("| `plain` | 1 | 2.0 |")
    at = next(n for n, line in enumerate(lines) if "AUUC by true worth" in line)
    assert lines[at + 2].startswith("| `plain` | 1 | 7.0 |")


def two_means(trial):
    """A learner without a library: least squares of each service."""
    x = np.column_stack([np.ones(len(trial.x)), trial.x])
    cny = trial.harm_cny()
    by_service = [
        np.linalg.lstsq(x[trial.premium == side], cny[trial.premium == side])[0]
        for side in (0, 1)
    ]
    less = by_service[0] - by_service[1]
    return lambda new: np.column_stack([np.ones(len(new)), new]) @ less


def test_peers_learn_from_randomised_parcels_in_money(monkeypatch):
    """Parcels of one carrier lose harm, others none: worth 12 CNY each, and nothing."""
    learners = {"two_means": ("numpy", two_means), "gone": ("no_such_module", None)}
    monkeypatch.setattr(uplift_peers, "LEARNERS", learners)
    assert uplift_peers.installed() == ["two_means"]
    rng, n = np.random.default_rng(1), 6_000
    first, premium = rng.random(n) < 0.5, rng.random(n) < 0.5
    chance = np.where(first & premium, 0.1, 0.5)
    history = pl.DataFrame(
        {
            "carrier_id": np.where(first, "a", "b"),
            "order_value_cny": rng.uniform(10, 200, n),
            "complaint_prob_standard": rng.uniform(0.4, 0.6, n),
            "is_premium": premium,
            "propensity": np.full(n, 0.5),
            "complaint": rng.random(n) < chance,
            "logistics_return": rng.random(n) < 0.2,
        }
    )
    # Rows that were not randomised, all of them harmed on premium, teach nothing.
    others = history.with_columns(
        propensity=pl.lit(0.0), complaint=pl.col("is_premium")
    )
    (predict,) = uplift_peers.fit_all(pl.concat([history, others])).values()
    worth = predict(history)
    assert worth[first].mean() == pytest.approx(12, abs=1.5)
    assert worth[~first].mean() == pytest.approx(0, abs=1.5)
    assert uplift_peers.fit_all(history.head(30)) == {}


def test_the_least_is_said_where_highest_risk_loses():
    """There no ratio has a meaning: it is what the plan avoids more, a night."""
    rows = [record(1, 70.0), record(2, 90.0)]
    for row in rows:
        row["judged"]["5"]["net_cny"] |= {"risk": -20.0}
    text = worlds_tables.table(rows)
    row = next(line for line in text.splitlines() if line.startswith("| `plain` | 2"))
    assert row.split("|")[5].strip() == "loss (+30 CNY)"


def test_shipped_learns_in_a_folder_of_its_own(monkeypatch):
    """A newest model where the benchmark runs is none of its: the folder is empty."""
    columns = ("mens", "womens", "newbie", "recency", "visit")
    table = pl.DataFrame({name: [0, 1] for name in columns})
    words = {"arm": ["mens", "control"], "zip_code": "Urban", "channel": "Web"}
    table = table.with_columns(history=pl.lit(30.0))
    table = table.with_columns(
        **{
            name: pl.Series([value] * 2 if isinstance(value, str) else value)
            for name, value in words.items()
        }
    )
    asked = []

    def learn(history, config, window):
        folder = Path(config.learning.models)
        asked.append((folder.is_absolute(), list(folder.iterdir())))
        raise LookupError

    monkeypatch.setattr("optimizer.learn.fit.learn", learn)
    with pytest.raises(LookupError):
        hillstrom.shipped(table, table, "mens", 1)
    assert asked == [(True, [])]


def test_an_experiment_without_learning_has_the_truth_of_its_own_parcels():
    """Both harms have an interval; where premium does nothing every truth is 0."""
    found = intervals.repetition("null", 2, 2, SIZES)["intervals"]
    assert {(one["population"], one["outcome"]) for one in found} >= {
        ("policy", "complaint"),
        ("policy", "logistics_return"),
    }
    assert all(abs(one["true"]) < 1e-12 for one in found)
    assert all(one["low"] <= one["estimate"] <= one["high"] for one in found)


def test_intervals_are_counted_by_what_they_say():
    """Held, wrong, clearly wrong and falsely alarmed intervals, one of each kind."""
    held = {"low": 0.1, "high": 0.296, "true": 0.2, "population": "policy"}
    wrong = {"low": -0.3, "high": -0.1, "true": 0.01}
    clearly = {"low": -0.3, "high": -0.1, "true": 0.2}
    alarm, calm = ({"low": low, "high": 0.3, "true": 0.0} for low in (0.1, -0.1))
    told = [held, wrong, clearly, alarm, calm]
    text = intervals.table([{"world": "plain", "seed": 1, "intervals": told}])
    cells = [cell.strip() for cell in text.splitlines()[-1].split("|")[2:-1]]
    assert [cell.split(":")[0] for cell in cells] == [
        "1",
        "2/5",
        "2/3",
        "1/2",
        "1/2",
        "0.25",
    ]


def test_every_method_is_counted_where_all_are_known():
    """Each has its own line; a platform that kept one method alone is not in it."""
    plain = {"method": "difference", "low": -0.2, "high": 0.2, "true": 0.0}
    plain |= {"low_always": -0.4, "high_always": 0.4, "population": "policy"}
    other = plain | {"method": "adjusted", "low": 0.1, "low_always": 0.1}
    row = {"world": "null", "seed": 1, "intervals": [plain]}
    text = intervals.table([row, row | {"seed": 2, "by_method": [plain, other]}])
    told = [line.split("|")[1:-1] for line in text.splitlines() if "`" in line[:5]]
    first, second = ([cell.split(":")[0].strip() for cell in one] for one in told[-2:])
    assert first == ["`difference`", "1/1", "0/1", "1/1", "1.00"]
    assert second == ["`adjusted`", "0/1", "1/1", "0/1", "0.25"]


def test_hillstrom_judges_a_ranking_by_what_it_finds():
    """A ranking by the effect itself has a high Qini, one by lot nearly none."""
    rng = np.random.default_rng(11)  # not that of the split
    size = 6_000
    helped = rng.random(size) < 0.3
    mailed = rng.random(size) < 0.5
    chance = np.where(helped & mailed, 0.6, 0.1)
    table = pl.DataFrame(
        {
            "arm": np.where(mailed, "mens", "control"),
            "visit": (rng.random(size) < chance).astype(int),
            "history": 1.0 + helped,
        }
    )
    found = {
        name: hillstrom.repetition(table, "mens", 1, name)
        for name in ("highest value", "random")
    }
    best, lot = found["highest value"], found["random"]
    assert best["qini"] > 0.02 > abs(lot["qini"])
    assert best["policy"] == pytest.approx(0.3 * (0.5 - 0.02), abs=0.03)
    assert "| mens | random | 1 |" in hillstrom.results([best, lot])


def test_hillstrom_says_of_which_file_and_by_which_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each repetition has both; older ones are counted, and another file is refused."""
    told: dict[str, Any] = dict.fromkeys(("auuc", "qini", "policy", "seconds"), 0.0)
    old = told | {"campaign": "mens", "seed": 9, "method": "highest risk"}
    monkeypatch.setattr(hillstrom, "repetition", lambda *given: dict(old))
    data, kept = tmp_path / "trial.parquet", tmp_path / "kept.jsonl"
    rows = pl.DataFrame({name: [1] for name in hillstrom.COLUMNS} | {"spend": [2.0]})
    rows.write_parquet(data)
    words = [str(data), "--file", str(kept), "--methods", "highest risk", "--resume"]
    kept.write_text(json.dumps(old) + "\n")
    hillstrom.main([*words, "--repetitions", "1"])
    sha256 = hashlib.sha256(data.read_bytes()).hexdigest()
    rest = worlds.read_records([kept])[1:]
    assert [row["sha256"] for row in rest] == [sha256] * 2
    assert "spend" not in rest[0]["columns"]
    shown = capsys.readouterr().out
    assert "1 of 3 repetitions are of before" in shown
    version = metadata.version("scikit-learn")
    assert f"highest risk, 2: scikit-learn {version}." in shown
    data.write_bytes(data.read_bytes() + b" ")
    with pytest.raises(SystemExit, match="is of another file"):
        hillstrom.main(words)


def test_the_page_is_of_the_repetitions_that_are_kept():
    """Every figure of the page is one of its records, each a whole repetition."""
    shown = outcomes.PAGE.read_text("utf-8")
    assert outcomes.page(shown) == shown, "run python -m benchmarks.outcomes page"
    for path in (outcomes.HERE / f"{name}.jsonl" for name in outcomes.TABLES):
        lines = path.read_text("utf-8").splitlines()
        assert len(worlds.read_records([path])) == len(lines) > 0


@pytest.mark.parametrize("main", [outcomes.main, evaluation.main])
def test_a_command_line_is_helped_or_refused(main, capsys):
    """Help, no word at all, a word too many, an unknown one: no traceback."""
    for words, code in ((["--help"], 0), ([], 2), (["peers", "1"], 2), (["x"], 2)):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert left.value.code == code
    assert "usage" in capsys.readouterr().out


def test_an_unknown_world_is_refused_with_the_nearest(tmp_path: Path):
    """Of both commands that go over worlds; settings that are no JSON, too."""
    for what in ("worlds", "intervals"):
        with pytest.raises(SystemExit, match="no 'nul'; did you mean null"):
            outcomes.main([what, "--world", "nul", "--file", str(tmp_path / "none")])
    with pytest.raises(SystemExit):
        outcomes.main(["worlds", "--settings", "{"])
    with pytest.raises(SystemExit):
        outcomes.main(["hillstrom", str(tmp_path / "none.parquet")])
