"""Every bad input gets one clear line, its exit code, and leaves the old night."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.support.small_night import (
    DAY,
    Call,
    SmallNight,
    call,
    copy_night,
    make_night,
)
from tests.support.small_night import snapshot as files_of

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
    rest = pl.col(column) if dtype is None else pl.col(column).cast(dtype)
    return (
        pl.when(pl.int_range(pl.len()) == 0).then(given).otherwise(rest).alias(column)
    )


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


def both(*edits: Spoil) -> Spoil:
    """One change after the other."""

    def change(night: SmallNight) -> None:
        for edit in edits:
            edit(night)

    return change


def without_a_carrier(night: SmallNight) -> None:
    """Drop the capacity rows of the first order's carrier."""
    carrier = night.read("orders")["carrier_id"][0]
    capacity = night.read("capacity")
    night.write("capacity", capacity.filter(pl.col("carrier_id") != carrier))


ORDERS, CAPACITY, MERCHANTS = (
    r"orders\.parquet",
    r"capacity\.csv",
    r"merchants\.parquet",
)

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
        written("orders", lambda _: b""),
        3,
        f"{ORDERS}: is empty, without even a header",
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
        f"{ORDERS}: holds text, and its name says Parquet",
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
        "1,000 of 1,000 rows break a rule, so nothing is left",
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
        edited("orders", pl.lit("perhaps").alias("is_eligible")),
        3,
        f"{ORDERS}: .* is_eligible is not true or false: .*, first .* \\(row ",
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
    "all carriers outside the roster": Bad(
        lambda night: with_roster("pigeon")(night),
        3,
        "0 of .* carrier names are of the policy's carriers.*lookups.refuse_below: 0",
    ),
    "slots that are no number": Bad(
        edited("capacity", first_row("slots", "many", pl.String)),
        3,
        f"{CAPACITY}: row 1: slots is not a whole number; numbers are written",
    ),
    "half a slot": Bad(
        edited("capacity", first_row("slots", "1.5", pl.String)),
        3,
        f"{CAPACITY}: row 1: slots is not a whole number; numbers are written",
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
        f"{ORDERS}: 1 order_id more than once: .* in rows 1, 1001",
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
        f"{ORDERS}: 1 order_id in spellings that differ only in case or spaces",
    ),
    "merchants in two cases": Bad(
        respelled("merchant_id", str.upper),
        3,
        rf"{ORDERS} and .*{MERCHANTS}: merchant_id .* differ only in case, width or "
        "spaces, .*; write each id in one way",
    ),
    "carriers in two cases": Bad(
        respelled("carrier_id", str.title),
        3,
        "carrier_id .* differ only in case, width or spaces",
    ),
    "regions in two cases": Bad(
        respelled("region_id", str.lower),
        3,
        "region_id .* differ only in case, width or spaces",
    ),
    "a carrier in another case in the capacity": Bad(
        edited("capacity", pl.col("carrier_id").str.to_titlecase()),
        3,
        "carrier_id .* differ only in case, width or spaces",
    ),
    "a merchant in another case in its table": Bad(
        edited("merchants", pl.col("merchant_id").str.to_uppercase()),
        3,
        "merchant_id .* differ only in case, width or spaces",
    ),
    "a load that is none": Bad(
        edited("orders", pl.lit(0).alias("load")), 3, "load is below 1: 1,000 rows"
    ),
    "a penalty without a floor": Bad(
        edited("capacity", pl.lit(1.5).alias("penalty_cny")),
        3,
        "penalty_cny belongs to a floor; give min_parcels",
    ),
    "a penalty beyond all money": Bad(
        edited(
            "capacity",
            pl.lit(1).alias("min_parcels"),
            pl.lit(1e15).alias("penalty_cny"),
        ),
        3,
        "penalty_cny is at most 1,000,000",
    ),
    "a budget beyond all money": Bad(
        edited("merchants", pl.lit(1e300).alias("daily_budget_cny")),
        3,
        "daily_budget_cny of .* is above 1,000,000,000,000",
    ),
    "a date that is none": Bad(
        edited("capacity", pl.lit("2026-11-31").alias("service_date")),
        3,
        "service_date",
    ),
    "a pin that is no pin": Bad(
        rows("orders", lambda frame: frame.with_columns(pin=pl.lit("maybe"))),
        3,
        'pin is not "must" or "never": 1,000 rows',
    ),
    "a budget below 0": Bad(
        rows("merchants", lambda frame: frame.with_columns(daily_budget_cny=-9.5)),
        3,
        "daily_budget_cny is negative",
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
    "a column twice": Bad(
        written("capacity", lambda data: data.replace(b"outlet_id", b"region_id", 1)),
        3,
        f"{CAPACITY}: has the column 'region_id' twice",
    ),
    "a date before the policy": Bad(
        lambda night: night.configure(
            policy=[night.settings()["policy"][0] | {"valid_from": "2027-01-01"}]
        ),
        2,
        "no policy row is in force on 2026-11-22; the first starts on 2027-01-01",
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


def checked(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    night: SmallNight,
) -> Call:
    """Check the date as for a run by force."""
    given = ("validate", "--config", night.config, "--date", DAY, "--force")
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
    where, stdout stays empty, and the night that is published keeps every byte. A
    check without a run says the same.
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
    assert checked(monkeypatch, capsys, night) == found


@dataclass(frozen=True)
class Odd:
    """A night that is odd, not bad: it is published, and says what is odd."""

    spoil: Spoil
    says: str
    num_chosen: int | None = None


def with_rate(rate: float) -> Spoil:
    """Give the policy another cap."""

    def spoil(night: SmallNight) -> None:
        policy = night.settings()["policy"][0] | {"cap": {"rate": rate}}
        night.configure(policy=[policy])

    return spoil


def with_roster(*carriers: str) -> Spoil:
    """Give the policy another roster."""

    def spoil(night: SmallNight) -> None:
        policy = night.settings()["policy"][0] | {"carriers": carriers}
        night.configure(policy=[policy])

    return spoil


NOTHING = "0 of 1,000 orders"
ODD: dict[str, Odd] = {
    "one broken row of a thousand": Odd(
        edited("orders", first_row("complaint_prob_standard", 7.0)),
        r"of 999 orders[\s\S]*quarantine 1 order\n",
    ),
    "a carrier outside the roster": Odd(
        edited("orders", first_row("carrier_id", "pigeon")),
        r"warning    carrier pigeon is not in the policy's roster on this date: "
        "no parcel is recommended with it",
    ),
    "lanes without a capacity row": Odd(
        without_a_carrier,
        "warning    .* lanes have orders but no capacity row, so they take none "
        "of them .*carrier .* more",
    ),
    "no room anywhere": Odd(edited("capacity", pl.lit(0).alias("slots")), NOTHING, 0),
    "a cap of 0": Odd(with_rate(0), rf"{NOTHING} \(caps allow 0\)", 0),
    "a cap of 1": Odd(with_rate(1), r"\(caps allow 1,000\)"),
    "premium that only harms": Odd(
        edited("orders", pl.lit(1.0).alias("complaint_prob_premium")), NOTHING, 0
    ),
    "nobody eligible": Odd(
        edited("orders", pl.lit(value=False).alias("is_eligible")), NOTHING, 0
    ),
    "no merchant enrolled": Odd(
        edited("merchants", pl.lit(value=False).alias("is_enrolled")), NOTHING, 0
    ),
    "nobody takes it up": Odd(
        edited("merchants", pl.lit(0.0).alias("take_up")), NOTHING, 0
    ),
    "a single order": Odd(rows("orders", lambda frame: frame.head(1)), "of 1 order "),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_an_odd_input_is_published_and_says_what_is_odd(
    night: SmallNight,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
):
    """
    What breaks no rule is published with a proof and a word about what is odd; the
    good night is kept aside, and the new one verifies.
    """
    odd = ODD[name]
    old, before = night.run_dir.resolve(), files_of(night.run_dir)
    odd.spoil(night)
    found = run(monkeypatch, capsys, night)
    assert found.code == 0, found.err
    assert re.search(odd.says, found.out), found.out
    assert "the optimum, proved (gap 0)" in found.out
    assert files_of(old) == before
    decisions = pl.read_parquet(night.run_dir / "decisions.parquet")
    if odd.num_chosen is not None:
        assert decisions["is_premium"].sum() == odd.num_chosen
    assert call(monkeypatch, capsys, "verify", night.run_dir).code == 0


REASONS = {
    "a carrier outside the roster": "CARRIER_INACTIVE",
    "lanes without a capacity row": "CAPACITY_FULL",
    "a cap of 0": "CAP_ZERO",
    "premium that only harms": "NO_SAVING",
    "nobody eligible": "INELIGIBLE",
    "no merchant enrolled": "INELIGIBLE",
    "nobody takes it up": "NO_SAVING",
}


@pytest.mark.parametrize("name", REASONS)
def test_what_is_odd_about_an_order_is_its_reason(night: SmallNight, name: str):
    """A chosen order gets the reason that the oddity stands for."""
    decisions = pl.read_parquet(night.run_dir / "decisions.parquet")
    chosen = decisions.filter("is_premium")["order_id"][0]
    orders = night.read("orders").sort(pl.col("order_id") != chosen)
    night.write("orders", orders)
    ODD[name].spoil(night)
    night.run(is_forced=True)
    decisions = pl.read_parquet(night.run_dir / "decisions.parquet")
    assert decisions.filter(order_id=chosen)["reason"].item() == REASONS[name]


@pytest.mark.parametrize(("broken", "code"), [(1, 0), (2, 3)])
def test_the_threshold_of_broken_rows_is_exact(
    night: SmallNight,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: int,
    code: int,
):
    """
    At 0.1 % one broken row of 1,000 is set aside, by its number and rule and without
    its value; the second refuses the night.
    """
    value = pl.when(pl.int_range(pl.len()) < broken).then(7.125)
    column = "return_prob_standard"
    edited("orders", value.otherwise(column).alias(column))(night)
    found = run(monkeypatch, capsys, night)
    assert found.code == code
    assert "7.125" not in found.out + found.err
    if code == 0:
        aside = pl.read_parquet(night.run_dir / "quarantine.parquet")
        assert aside.rows() == [("orders", 1, column, "is outside [0, 1]")]
        decisions = pl.read_parquet(night.run_dir / "decisions.parquet")
        assert (
            night.read("orders")["order_id"][0] not in decisions["order_id"].to_list()
        )
    else:
        assert night.read("orders")["order_id"][1] in found.err


@pytest.mark.parametrize(
    "value", ["13800138000", "138****8000", "11010519491231002X", "wang@example.com"]
)
def test_no_personal_value_is_ever_repeated(
    night: SmallNight,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    value: str,
):
    """A personal value is refused wherever it stands, and shown nowhere."""
    for column in ("ineligible_reason", "outlet_id", "merchant_id"):
        original = night.read("orders")
        night.write("orders", original.with_columns(pl.lit(value).alias(column)))
        found = run(monkeypatch, capsys, night, "--json")
        night.write("orders", original)
        assert found.code == 3
        assert column in found.err
        assert value not in found.err + found.out


OPTIONS: dict[str, Bad] = {
    "no order known": Bad(
        lambda night: options(night, order_id=pl.lit("nobody")),
        3,
        r"options.parquet: .* of .* rows .*order_id names no order",
    ),
    "a pair twice": Bad(
        lambda night: options(night, twice),
        3,
        r"options\.parquet: 1 row with an order and carrier that another row names",
    ),
    "no rows": Bad(
        lambda night: options(night, lambda frame: frame.head(0)),
        3,
        r"options\.parquet: has no rows",
    ),
    "a probability above 1": Bad(
        lambda night: options(night, complaint_prob_premium=pl.lit(2.0)),
        3,
        r"options.parquet: .*complaint_prob_premium is outside \[0, 1\]",
    ),
    "carriers in two cases": Bad(
        lambda night: options(night, carrier_id=tenth("carrier_id", "Yunda")),
        3,
        r"capacity\.csv and .*options\.parquet: carrier_id .* differ only in case",
    ),
}


def options(night: SmallNight, *picks: Callable[..., Any], **columns: pl.Expr) -> None:
    """Move the orders' carriers to an options table, and spoil it."""
    orders = night.read("orders")
    own = ["carrier_id", "complaint_prob_premium", "return_prob_premium"]
    table = orders.select("order_id", *own).with_columns(**columns)
    for pick in picks:
        table = pick(table)
    path = night.input("orders").with_name("options.parquet")
    table.write_parquet(path)
    night.write("orders", orders.drop(own))
    inputs = night.settings()["inputs"]
    night.configure(inputs=inputs | {"options": str(path)})


@pytest.mark.parametrize("name", OPTIONS)
def test_bad_options_are_refused_in_one_clear_line(
    night: SmallNight,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
):
    """The table of options is held to the same rules as the orders, as is a check."""
    before = files_of(night.runs)
    OPTIONS[name].spoil(night)
    found = run(monkeypatch, capsys, night)
    assert found.code == OPTIONS[name].code, found
    assert re.search(OPTIONS[name].says, found.err), found.err
    assert len(found.err.splitlines()) == 1
    assert files_of(night.runs) == before
    assert checked(monkeypatch, capsys, night) == found


def test_a_refused_order_takes_its_options_with_it(night: SmallNight):
    """Of an order in quarantine the options are neither used nor counted as strays."""
    options(night)
    broken = first_row("complaint_prob_standard", 2.0)
    orders = night.read("orders")
    night.write("orders", orders.with_columns(broken))
    night.configure(quarantine={"max_share": 0.001})
    record = night.run(is_forced=True).record
    refused = pl.read_parquet(night.run_dir / "quarantine.parquet")
    assert refused.rows() == [("orders", 1, broken.meta.output_name(), OUTSIDE)]
    assert record["summary"]["num_orders"] == len(orders) - 1


OUTSIDE = "is outside [0, 1]"


def test_an_options_table_may_say_what_the_orders_said(night: SmallNight):
    """Moved to an options table unchanged, carriers and savings give the same night."""
    before = (night.run_dir / "decisions.parquet").read_bytes()
    options(night)
    night.run(is_forced=True)
    assert (night.run_dir / "decisions.parquet").read_bytes() == before
