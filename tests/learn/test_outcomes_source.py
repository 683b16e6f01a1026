"""Outcomes may stand in a database, as the tables of a night may."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from urllib.parse import quote

import duckdb
import polars as pl
import pytest

import optimizer
from optimizer.errors import ConfigError, DataError
from optimizer.learn.base_rates import base_rates
from tests.support.small_night import call
from tests.support.trial import outcomes, settings

AS_OF = "2026-12-01"


@pytest.fixture
def tables(tmp_path: Path) -> tuple[str, str]:
    """The same outcomes in a file and in a database: its path, and an address."""
    rows = outcomes(1_500, seed=1)
    rows.write_parquet(tmp_path / "past.parquet")
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as shop:
        shop.execute("create table past as select * from rows order by random()")
    place = quote(str(tmp_path / "shop.duckdb"))
    return str(tmp_path / "past.parquet"), f"duckdb://{place}?table=past"


@pytest.mark.slow
def test_a_database_teaches_what_a_file_does(
    tables: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same model, effects and rates; of the copies nothing is left."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    file, address = tables
    models, effects, rates = [], [], []
    for place in (file, address):
        config = settings(learning={"history": place, "regime_breaks": []})
        models.append(optimizer.learn_model(config=config, as_of=AS_OF).model)
        effects.append(optimizer.evaluate(config=config, as_of=AS_OF).effects)
        rates.append(base_rates(config, dt.date.fromisoformat(AS_OF)))
    assert models[0] == models[1]
    assert effects[0] == effects[1] != []
    assert rates[0] == rates[1] != ()
    assert [*scratch.iterdir()] == []


def test_what_is_not_there_or_no_address_is_refused(tables: tuple[str, str]) -> None:
    """By what the message says: no such table, or no such kind of place."""
    address = tables[1]
    with pytest.raises(DataError, match="nowhere"):
        optimizer.learn_model(address.replace("past", "nowhere"), config=settings())
    with pytest.raises(ConfigError, match="the address of the outcomes"):
        optimizer.learn_model("ftp://shop/past.csv", config=settings())
    with pytest.raises(ConfigError, match=r"learning\.history"):
        settings(learning={"history": "hdfs://shop/past"})


def test_init_takes_a_history_out_of_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its columns are recognised, and learn reads it where it is."""
    monkeypatch.chdir(tmp_path)
    past = pl.DataFrame(
        {
            "订单号": [f"A{n}" for n in range(400)],
            "下单日期": ["2026-11-01"] * 400,
            "快递": ["中通"] * 400,
            "省份": ["浙江"] * 400,
            "是否投诉": ["是" if n % 20 == 0 else "否" for n in range(400)],
        }
    )
    with duckdb.connect("shop.duckdb") as shop:
        shop.register("rows", past.to_arrow())
        shop.execute("create table past as select * from rows")
    Path("o-2026-11-22.csv").write_text("订单号,快递,省份\nB1,中通,浙江\n", "utf-8")
    address = f"duckdb://{quote(str(tmp_path / 'shop.duckdb'))}?table=past"
    words = ("init", "o-2026-11-22.csv", address, "--slots", 5, "--return-cost", 0)
    begun = call(monkeypatch, capsys, *words, "--yes")
    assert begun.code == 0, begun.err
    learned = call(monkeypatch, capsys, "learn", "--config", "premium.yaml")
    assert learned.code == 0, learned.err
    assert "400" in learned.out


def test_files_that_record_different_harms_are_refused(tmp_path: Path) -> None:
    """
    A file without returns says nothing of them; it does not say that there were none.

    Where a return costs nothing the two are read together.
    """
    rows = outcomes(400, seed=1)
    half = len(rows) // 2
    whole, lacking = tmp_path / "whole.parquet", tmp_path / "lacking.parquet"
    rows[:half].write_parquet(whole)
    rows[half:].drop("logistics_return").write_parquet(lacking)
    prior = {"effect": 0.3, "complaint_prob": 0.1, "return_prob": 0.05}
    both = [str(whole), str(lacking)]
    config = settings(learning={"prior": prior, "regime_breaks": []})
    with pytest.raises(DataError, match=r"lacking\.parquet does not record .*_return"):
        optimizer.learn_model(both, config=config, as_of=AS_OF)
    costs = {"complaint_cost_cny": 30, "return_cost_cny": 0}
    free = settings(learning={"regime_breaks": []}, objective=costs)
    found = optimizer.evaluate(both, config=free, as_of=AS_OF)
    assert {row["outcome"] for row in found.effects} == {"complaint"}
    counted = [row for row in found.effects if row["by"] is None]
    assert max(r["num_treated"] + r["num_control"] for r in counted) > half
