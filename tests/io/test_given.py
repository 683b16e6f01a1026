"""What is handed over as a table and is none: one line, which never echoes a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import optimizer
from optimizer.errors import ConfigError, DataError
from optimizer.io.given import may_be_path
from tests.support.nights import CONFIG, capacity_of, orders_of

PHONE = "13800138000"
ROWS = [{"order_id": PHONE, "merchant_id": "m1"}]


class Broken:
    """A table of another library that fails when its rows are asked for."""

    def __arrow_c_stream__(self, *_: Any) -> Any:
        """Fail as such libraries do: with a value in the message."""
        raise RuntimeError(f"cannot convert '{PHONE}x' to int")


NO_TABLES: dict[str, Any] = {
    "a frame that cannot be cast": pl.LazyFrame(ROWS).select(
        pl.col("order_id").str.to_date()
    ),
    "a frame without its column": pl.LazyFrame(ROWS).select("gone"),
    "a frame of no file": pl.scan_parquet(f"{PHONE}.parquet"),
    "a table that breaks": Broken(),
    "a class": pl.DataFrame,
    "values of several types": pd.DataFrame({"order_id": [PHONE, 5]}),
    "rows": ROWS,
    "a list of lists": [[PHONE, "m1"]],
    "a list of frames": [pl.DataFrame(ROWS)],
    "paths and a number": ("a.csv", 5),
    "a dict": {"order_id": [PHONE]},
    "a generator": (row for row in ROWS),
    "a set": {PHONE},
    "an array": np.zeros((2, 2)),
    "a series": pl.Series("order_id", [PHONE]),
    "bytes": PHONE.encode(),
    "a number": 5,
    "nothing": None,
    "CSV as text": f"order_id,merchant_id\n{PHONE},m1\n",
    "JSON as text": f'{{"order_id": "{PHONE}"}}',
    "a row as text": f"{PHONE},m1,yunda",
    "a long text": "x" * 5_000,
    "a long name": Path("x" * 256 + ".csv"),
    "a long path": "a/" * 3_000 + "x.csv",
    "an empty text": "",
    "a list of rows as text": [f"{PHONE},m1"],
}


@pytest.mark.parametrize("given", NO_TABLES.values(), ids=NO_TABLES)
@pytest.mark.parametrize("name", ["orders", "capacity", "options", "merchants"])
def test_what_is_no_table_is_refused_in_a_line(name: str, given: Any) -> None:
    """Whichever table it is for; the line names what is taken, and holds no value."""
    if given is None and name in ("options", "merchants"):
        return
    tables = {"orders": orders_of(), "capacity": capacity_of()} | {name: given}
    with pytest.raises(DataError) as refused:
        optimizer.allocate(
            tables.pop("orders"), tables.pop("capacity"), config=CONFIG, **tables
        )
    said = str(refused.value)
    assert said.startswith(f"the {name} table ")
    assert "give a path" in said
    assert "polars, pandas, pyarrow or duckdb" in said
    assert len(said) < 300
    assert PHONE not in said
    assert "\n" not in said


def test_a_path_with_a_number_is_a_path_where_it_leads_somewhere(
    tmp_path: Path,
) -> None:
    """A folder may be called like a phone; one that is not there is not named."""
    path = tmp_path / PHONE / "orders.parquet"
    assert not may_be_path(str(path))
    path.parent.mkdir()
    orders_of().write_parquet(path)
    assert optimizer.allocate(path, capacity_of(), config=CONFIG).orders.height == 200


@pytest.mark.parametrize("given", ["x" * 5_000, f"{PHONE},m1", "a\nb"])
def test_a_previous_night_that_is_a_text_is_refused(given: str) -> None:
    """The same, where the folder of a run is taken."""
    with pytest.raises(DataError, match="give a Night or the folder of a run") as found:
        optimizer.allocate(orders_of(), capacity_of(), config=CONFIG, previous=given)
    assert PHONE not in str(found.value)


def test_a_configuration_as_text_is_refused_in_a_line() -> None:
    """It is no path; the message does not repeat it."""
    with pytest.raises(ConfigError, match="is a text of YAML, and no path") as refused:
        optimizer.allocate(orders_of(), capacity_of(), config=f"version: 1\n# {PHONE}")
    assert PHONE not in str(refused.value)


@pytest.mark.parametrize("given", [None, 5, ["o"], orders_of()])
def test_explain_takes_the_id_of_an_order(given: Any) -> None:
    """Anything else is refused by its type, not printed."""
    night = optimizer.allocate(orders_of(), capacity_of(), config=CONFIG)
    with pytest.raises(DataError, match="an order_id is a text, got a value of type"):
        night.explain(given)
