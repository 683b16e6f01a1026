"""Every bad input gets one clear line, its exit code, and leaves the old night."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from nightly.small_night import DAY, Call, SmallNight, call, copy_night, make_night
from nightly.small_night import snapshot as files_of

Spoil = Callable[[SmallNight], None]


@pytest.fixture(scope="module")
def good_night(tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    """A good night that no test may change."""
    folder = tmp_path_factory.mktemp("good") / "night"
    night = make_night(folder, num_orders=1_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        night.run()
    return night


@pytest.fixture
def night(
    good_night: SmallNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SmallNight:
    """The same night to spoil, with the good one published."""
    return copy_night(good_night, tmp_path / "night", monkeypatch)


@dataclass(frozen=True)
class Bad:
    """One way to spoil a night, and what must be said about it."""

    spoil: Spoil
    code: int
    says: str


def edited(name: str, *edits: pl.Expr) -> Spoil:
    """Change columns of an input."""
    return lambda night: night.write(name, night.read(name).with_columns(*edits))


def first_row(column: str, value: Any, dtype: Any = None) -> pl.Expr:
    """Change a column in the first row alone."""
    given = pl.lit(value, dtype=dtype)
    return pl.when(pl.int_range(pl.len()) == 0).then(given).otherwise(column).alias(column)


def tenth(column: str, value: Any) -> pl.Expr:
    """Change a column in every tenth row."""
    is_tenth = pl.int_range(pl.len()) % 10 == 0
    return pl.when(is_tenth).then(pl.lit(value)).otherwise(column).alias(column)


def rows(name: str, pick: Callable[[pl.DataFrame], pl.DataFrame]) -> Spoil:
    """Pick, repeat or drop rows or columns of an input."""
    return lambda night: night.write(name, pick(night.read(name)))


def removed(name: str) -> Spoil:
    """Delete an input."""
    return lambda night: night.input(name).unlink()


def written(name: str, change: Callable[[bytes], bytes]) -> Spoil:
    """Change an input's bytes."""

    def spoil(night: SmallNight) -> None:
        path = night.input(name)
        path.write_bytes(change(path.read_bytes()))

    return spoil


def configured(**keys: Any) -> Spoil:
    """Change the configuration."""
    return lambda night: night.configure(**keys)


def twice(frame: pl.DataFrame) -> pl.DataFrame:
    """Repeat the first row."""
    return pl.concat([frame, frame.head(1)])


def respelled(column: str, change: Callable[[str], str]) -> Spoil:
    """Repeat the first order under an id that differs in spelling alone."""

    def pick(frame: pl.DataFrame) -> pl.DataFrame:
        spelled = change(frame[column][0])
        other = frame.head(1).with_columns(pl.lit(spelled).alias(column))
        if column != "order_id":
            other = other.with_columns(order_id=pl.lit("another-order"))
        return pl.concat([frame, other])

    return rows("orders", pick)


def flip(data: bytes) -> bytes:
    """Flip one bit in the middle of the data."""
    place = len(data) // 3
    return data[:place] + bytes([data[place] ^ 8]) + data[place + 1 :]


def crossing(frame: pl.DataFrame) -> pl.DataFrame:
    """Add a row for an outlet in all regions beside rows for regions."""
    outlet = frame.filter(pl.col("outlet_id").is_not_null()).head(1)
    anywhere = outlet.with_columns(region_id=pl.lit(None, pl.String), slots=pl.lit(1))
    other = frame.filter(
        (pl.col("carrier_id") == outlet["carrier_id"][0])
        & (pl.col("region_id") != outlet["region_id"][0])
    )["region_id"][0]
    elsewhere = outlet.with_columns(region_id=pl.lit(other))
    return pl.concat([frame, anywhere, elsewhere])


ORDERS, CAPACITY, MERCHANTS = r"orders\.parquet", r"capacity\.csv", r"merchants\.parquet"

BAD: dict[str, Bad] = {
    "orders missing": Bad(removed("orders"), 3, f"{ORDERS}: no such file"),
    "capacity missing": Bad(removed("capacity"), 3, f"{CAPACITY}: no such file"),
    "merchants missing": Bad(removed("merchants"), 3, f"{MERCHANTS}: no such file"),
    "a day without orders": Bad(
        rows("orders", lambda frame: frame.head(0)), 3, f"{ORDERS}: has no rows"
    ),
    "no capacity rows": Bad(
        rows("capacity", lambda frame: frame.head(0)), 3, f"{CAPACITY}: has no rows"
    ),
    "no merchant rows": Bad(
        rows("merchants", lambda frame: frame.head(0)), 3, f"{MERCHANTS}: has no rows"
    ),
    "an empty orders file": Bad(
        written("orders", lambda _: b""), 3, f"{ORDERS}: is damaged .*empty"
    ),
    "an empty capacity file": Bad(
        written("capacity", lambda _: b""), 3, f"{CAPACITY}: .*empty"
    ),
    "truncated Parquet": Bad(
        written("orders", lambda data: data[: len(data) // 2]),
        3,
        f"{ORDERS}: is damaged or truncated .*fetch it again",
    ),
    "a flipped bit": Bad(written("orders", flip), 3, f"{ORDERS}: is damaged"),
    "text in a Parquet file": Bad(
        written("orders", lambda _: b"order_id,merchant_id\n1,2\n"),
        3,
        f"{ORDERS}: is damaged",
    ),
    "a CSV in another encoding": Bad(
        written("capacity", lambda data: data.replace(b"CN-11", "北京".encode("gbk"))),
        3,
        f"{CAPACITY}: is not UTF-8 text; export it as UTF-8",
    ),
    "a CSV in UTF-16": Bad(
        written("capacity", lambda data: data.decode().encode("utf-16")),
        3,
        f"{CAPACITY}: is not UTF-8",
    ),
    "a CSV row too short": Bad(
        written("capacity", lambda data: data + b"yunda,3\n"), 3, f"{CAPACITY}: .*cells"
    ),
    "a CSV cut in the middle": Bad(
        written("capacity", lambda data: data[: data.rfind(b",")]),
        3,
        f"{CAPACITY}: .*cells",
    ),
    "a column missing": Bad(
        rows("orders", lambda frame: frame.drop("region_id")),
        3,
        f"{ORDERS}: has no column region_id",
    ),
    "a capacity column missing": Bad(
        rows("capacity", lambda frame: frame.drop("slots")),
        3,
        f"{CAPACITY}: has no column slots",
    ),
    "a probability above 1": Bad(
        edited("orders", tenth("complaint_prob_standard", 1.5)),
        3,
        r"100 of 1,000 rows .*complaint_prob_standard is outside \[0, 1\]: 100 rows",
    ),
    "a probability below 0": Bad(
        edited("orders", tenth("return_prob_premium", -0.1)),
        3,
        r"return_prob_premium is outside \[0, 1\]",
    ),
    "a probability in per cent": Bad(
        edited("orders", pl.col("complaint_prob_standard") * 100),
        3,
        r"complaint_prob_standard is outside \[0, 1\]",
    ),
    "not a number": Bad(
        edited("orders", tenth("complaint_prob_premium", float("nan"))),
        3,
        "complaint_prob_premium is not a number: 100 rows",
    ),
    "an infinite probability": Bad(
        edited("orders", tenth("complaint_prob_premium", float("inf"))),
        3,
        r"complaint_prob_premium is outside \[0, 1\]",
    ),
    "a probability left out": Bad(
        edited("orders", tenth("return_prob_standard", None)),
        3,
        "return_prob_standard is missing: 100 rows",
    ),
    "every row broken": Bad(
        edited("orders", pl.lit(2.0).alias("complaint_prob_standard")),
        3,
        r"1,000 of 1,000 rows \(100\.00%\) break a rule",
    ),
    "probabilities as text": Bad(
        edited("orders", pl.col("complaint_prob_standard").cast(pl.String)),
        3,
        f"{ORDERS}: column complaint_prob_standard is .*expected a number",
    ),
    "ids as decimals": Bad(
        edited("orders", pl.lit(1.5).alias("merchant_id")),
        3,
        f"{ORDERS}: column merchant_id is double, expected text",
    ),
    "flags as text": Bad(
        edited("orders", pl.lit("yes").alias("is_eligible")),
        3,
        f"{ORDERS}: column is_eligible is .*expected true/false",
    ),
    "order ids left out": Bad(
        edited("orders", tenth("order_id", None)), 3, "order_id is missing: 100 rows"
    ),
    "empty merchants": Bad(
        edited("orders", tenth("merchant_id", "")), 3, "merchant_id is empty: 100 rows"
    ),
    "spaces around ids": Bad(
        edited("orders", tenth("region_id", " CN-11")),
        3,
        "region_id has outer spaces or control characters: 100 rows",
    ),
    "negative slots": Bad(
        edited("capacity", first_row("slots", -1)),
        3,
        f"{CAPACITY}: row 1: slots is negative",
    ),
    "slots that are no number": Bad(
        edited("capacity", first_row("slots", "many").cast(pl.String)),
        3,
        f"{CAPACITY}: row 1: slots is not a whole number",
    ),
    "half a slot": Bad(
        edited("capacity", first_row("slots", 1.5)),
        3,
        f"{CAPACITY}: row 1: slots is not a whole number",
    ),
    "slots left out": Bad(
        edited("capacity", first_row("slots", None)),
        3,
        f"{CAPACITY}: row 1: slots is missing",
    ),
    "slots beyond reason": Bad(
        edited("capacity", first_row("slots", 10**13)),
        3,
        f"{CAPACITY}: row 1: slots is above",
    ),
    "a take-up above 1": Bad(
        edited("merchants", first_row("take_up", 1.2)),
        3,
        rf"{MERCHANTS}: row 1: take_up is outside \[0, 1\]",
    ),
    "an order twice": Bad(
        rows("orders", twice),
        3,
        f"{ORDERS}: 1 order_ids stand more than once: .* in rows 1, 1001",
    ),
    "a capacity row twice": Bad(
        rows("capacity", twice),
        3,
        f"{CAPACITY}: 2 rows share their carrier_id, region_id, outlet_id",
    ),
    "a merchant twice": Bad(
        rows("merchants", twice), 3, f"{MERCHANTS}: 2 rows share their merchant_id"
    ),
    "order ids in two cases": Bad(
        respelled("order_id", str.upper),
        3,
        f"{ORDERS}: 1 order_ids differ only in case or spaces",
    ),
    "merchants in two cases": Bad(
        respelled("merchant_id", str.upper),
        3,
        "merchant_id .* differ only in case or spaces; write each id in one way",
    ),
    "carriers in two cases": Bad(
        respelled("carrier_id", str.title),
        3,
        "carrier_id .* differ only in case or spaces",
    ),
    "regions in two cases": Bad(
        respelled("region_id", str.lower),
        3,
        "region_id .* differ only in case or spaces",
    ),
    "a carrier in another case in the capacity": Bad(
        edited("capacity", pl.col("carrier_id").str.to_titlecase()),
        3,
        "carrier_id .* differ only in case or spaces",
    ),
    "a merchant in another case in its table": Bad(
        edited("merchants", pl.col("merchant_id").str.to_uppercase()),
        3,
        "merchant_id .* differ only in case or spaces",
    ),
    "rows that cross": Bad(rows("capacity", crossing), 3, "capacity rows cross: "),
    "a load": Bad(
        edited("orders", pl.lit(2).alias("load")), 3, "load other than 1; .*drop"
    ),
    "a pin that forces": Bad(
        edited("orders", first_row("pin", "must", pl.String))
        if False
        else rows("orders", lambda frame: frame.with_columns(pin=pl.lit("must"))),
        3,
        'pins orders to "must"; .*drop those pins',
    ),
    "a pin that is no pin": Bad(
        rows("orders", lambda frame: frame.with_columns(pin=pl.lit("maybe"))),
        3,
        'pin is not "must" or "never": 1,000 rows',
    ),
    "a budget": Bad(
        rows("merchants", lambda frame: frame.with_columns(daily_budget_cny=9.5)),
        3,
        "daily_budget_cny; .*drop the column",
    ),
    "fewer orders than there are": Bad(
        rows("merchants", lambda frame: frame.with_columns(num_orders=1)),
        3,
        "fewer orders than the orders table has",
    ),
    "a name": Bad(
        rows("orders", lambda frame: frame.with_columns(receiver_name=pl.lit("x"))),
        3,
        f"{ORDERS}: looks like it holds personal data in column receiver_name",
    ),
    "a phone column": Bad(
        rows("merchants", lambda frame: frame.with_columns(pl.lit("x").alias("手机"))),
        3,
        f"{MERCHANTS}: looks like it holds personal data in column 手机",
    ),
    "phone numbers as a reason": Bad(
        edited("orders", tenth("ineligible_reason", "13800138000")),
        3,
        f"{ORDERS}: values of column ineligible_reason look like personal data",
    ),
    "a cap above 1": Bad(
        configured(policy=[{"cap": {"rate": 3}}]), 2, r"policy\[0\]\.cap\.rate: must be"
    ),
    "an unknown key": Bad(
        configured(sover={}), 2, "sover: unknown key; did you mean 'solver'"
    ),
    "no inputs": Bad(configured(inputs=None), 2, "needs inputs and output"),
    "a file of another kind": Bad(
        configured(inputs={"orders": "config.yaml", "capacity": "x.csv"}),
        3,
        r"config\.yaml: is not a kind of file that is read here",
    ),
    "a folder": Bad(
        configured(inputs={"orders": "nights", "capacity": "x.csv"}),
        3,
        "nights: is a folder; name a file or a glob",
    ),
    "a glob without a match": Bad(
        configured(inputs={"orders": "nights/*.csv", "capacity": "x.csv"}),
        3,
        r"nights/\*\.csv: no file matches",
    ),
}


def run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    night: SmallNight,
    *words: str,
) -> Call:
    """Run the date by force, so that the inputs are looked at."""
    given = ("run", "--config", night.config, "--date", DAY, "--force", *words)
    return call(monkeypatch, capsys, *given)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_input_is_refused_in_one_clear_line(
    night: SmallNight,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
):
    """
    The exit code says whose turn it is, one line on stderr says what is wrong and
    where, stdout stays empty, and the night that is published keeps every byte.
    """
    bad = BAD[name]
    before = files_of(night.runs)
    bad.spoil(night)
    found = run(monkeypatch, capsys, night)
    assert found.code == bad.code, found.err
    lines = found.err.splitlines()
    assert found.err.startswith("error: "), found.err
    assert len(lines) == 1 or bad.code == 2, found.err
    assert re.search(bad.says, found.err), found.err
    assert "Traceback" not in found.err
    assert found.out == ""
    assert files_of(night.runs) == before
