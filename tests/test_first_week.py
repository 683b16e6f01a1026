"""The page of the first week, from two exports to an evaluated week and the next."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from optimizer.errors import ConfigError, DataError
from optimizer.questions import evaluate
from tests.support.rights import as_user

PAGE = Path(__file__).parents[1] / "docs" / "tutorial" / "first-week.md"
NUM, NUM_MERCHANTS = 4_000, 20
NIGHTS = [f"2026-11-{day}" for day in range(22, 29)]
PAST = [f"2026-10-{day}" for day in range(20, 30)]
#: What premium removes of the complaints, in truth.
REMOVED = 0.6


def parcels(day: str) -> tuple[pl.DataFrame, np.ndarray]:
    """A day's orders as an export has them, and the risk of each on standard."""
    rng = np.random.default_rng(int(day.replace("-", "")))
    merchant = rng.permutation(np.arange(NUM) % NUM_MERCHANTS)
    carrier, region = rng.integers(0, 2, NUM), rng.integers(0, 2, NUM)
    risk = 0.04 * (1 + merchant / 5) * (1 + carrier)
    table = {
        "订单号": [f"{day}-{row:05}" for row in range(NUM)],
        "店铺": [f"店{number:02}" for number in merchant],
        "快递公司": np.array(["中通", "圆通"])[carrier],
        "收货省份": np.array(["浙江", "江苏"])[region],
        "下单时间": [f"{day} 10:00:00"] * NUM,
    }
    return pl.DataFrame(table), risk


def complaints(days: list[str], runs: Path | None = None) -> pl.DataFrame:
    """Parcels of some days and who complained; fewer of those on premium."""
    parts = []
    for day in days:
        table, risk = parcels(day)
        if runs is not None:
            decisions = pl.read_parquet(runs / day / "decisions.parquet")
            chosen = decisions.filter("is_premium")["order_id"]
            is_premium = table["订单号"].is_in(chosen.implode()).to_numpy()
            risk = np.where(is_premium, (1 - REMOVED) * risk, risk)
        lot = np.random.default_rng(len(parts)).random(NUM)
        said = np.where(lot < risk, "是", "否")
        parts.append(table.with_columns(pl.Series("是否投诉", said)))
    return pl.concat(parts)


def told(folder: Path, line: str, *expected: str) -> str:
    """Run a line of the page; it succeeds and prints what stands there."""
    done = as_user(folder, *shlex.split(line)[1:])
    assert done.code == 0, (line, done.err)
    for words in expected:
        assert words in done.out, (line, words, done.out)
    return done.out


def lines_of(text: str) -> list[tuple[str, list[str]]]:
    """Commands of all consoles of a page, and what they print."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            line, *shown = part.splitlines()
            found.append((line, [words.strip() for words in shown if words.strip()]))
    return found


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The page's commands, one after the other, and what each of them said."""
    folder = tmp_path_factory.mktemp("week")
    for day in (*NIGHTS, "2026-12-13"):
        parcels(day)[0].write_csv(folder / f"orders-{day}.csv")
    complaints(PAST).write_csv(folder / "history.csv")
    said = {}
    for line, shown in lines_of(PAGE.read_text("utf-8")):
        if line.endswith(NIGHTS[-1]):
            for day in NIGHTS[1:-1]:
                told(folder, line.replace(NIGHTS[-1], day))
        if "evaluate" in line:
            table = complaints(NIGHTS, folder / "runs")
            table.write_csv(folder / "complaints.csv")
        said[line] = told(folder, line, *shown)
    return folder, said


@pytest.mark.slow
def test_the_week_is_evaluated_from_two_exports(
    week: tuple[Path, dict[str, str]],
) -> None:
    """The effect is measured by parcels left to chance, and the ledger is there."""
    folder, said = week
    given = {"config": folder / "premium.yaml", "as_of": "2026-12-13"}
    (line,) = [line for line in said if line.startswith("optimizer evaluate")]
    assert "Not known" not in said[line]
    found = evaluate(folder / "complaints.csv", runs=folder / "runs", **given)
    assert found.window["kind"] == "randomised"
    assert {row["outcome"] for row in found.effects} == {"complaint"}
    (whole,) = [
        row
        for row in found.effects
        if row["by"] is None
        and (row["population"], row["method"]) == ("policy", "difference")
    ]
    drawn = pl.concat(
        pl.read_parquet(folder / "runs" / day / "decisions.parquet") for day in NIGHTS
    ).filter(pl.col("propensity").is_between(0, 1, closed="none"))
    policy = drawn.filter(pl.col("arm") == "policy")
    assert whole["num_treated"] == policy["is_premium"].sum()
    assert whole["num_control"] == (~policy["is_premium"]).sum()
    assert whole["low"] > 0
    assert found.ledger[0]["num_parcels"] == len(policy)
    promised = policy["propensity"] * (policy["saving_cny"] + 0.8)
    assert found.ledger[0]["promised_cny"] == pytest.approx(promised.sum())


@pytest.mark.slow
def test_decisions_that_do_not_fit_are_refused_or_told(
    week: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    """No night of these dates, other order numbers, lost rows, and no folder."""
    folder, _ = week
    given = {"config": folder / "premium.yaml", "as_of": "2026-12-13"}
    runs, table = folder / "runs", pl.read_csv(folder / "complaints.csv")
    path = tmp_path / "complaints.csv"
    with pytest.raises(ConfigError, match="holds no published night"):
        evaluate(folder / "complaints.csv", runs=tmp_path, **given)
    with pytest.raises(DataError, match="have no date of the published nights"):
        evaluate(folder / "history.csv", runs=runs, **given)
    table.with_columns(pl.format("x{}", "订单号").alias("订单号")).write_csv(path)
    with pytest.raises(DataError, match="under the same order_id and date"):
        evaluate(path, runs=runs, **given)
    table[::2].write_csv(path)
    codes = {told.code for told in evaluate(path, runs=runs, **given).warnings}
    assert "DECISIONS_WITHOUT_OUTCOME" in codes
    with pytest.raises(DataError, match="--runs"):
        evaluate(folder / "complaints.csv", **given)
