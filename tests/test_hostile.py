"""
Hostile files: whatever is in them, there is one clear message or a right night.

A few hundred inputs in every test run, always the same; ten thousand by
``FUZZ_EXAMPLES=10000 pytest tests/test_hostile.py``. What is published is held
against a reader of its own here: Python's csv, float and Decimal.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from optimizer import allocate
from optimizer.cli.options import parse_date
from optimizer.config import Config, as_config, load_config
from optimizer.contracts.tables import EVERY_NIGHT
from optimizer.errors import ConfigError, OptimizerError
from optimizer.job import run_date
from optimizer.replay.run import verify_run
from tests.support.examples import examples
from tests.support.small_night import DAY, snapshot

NUM_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", examples(120).max_examples))

fuzzed = settings(
    max_examples=NUM_EXAMPLES,
    deadline=None,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)

TOKENS = [
    *(b"\x00", b"\xef\xbb\xbf", b"\xff\xfe", b"\xe9", b"\xed\xa0\x80", b"\xc0\xaf"),
    *(b"\r", b"\n", b"\r\n", b'"', b'""', b",", b";", b"\t", b"'", b"\\", b"\x1a"),
    *(b"=1+1", b"+1", b"@SUM(A1)", b"-1", b"../../etc/passwd", b"{date}", b"${HOME}"),
    *(b"NaN", b"inf", b"-inf", b"1e999", b"-0.0", b"1e-400", b"0x10", b"1_000"),
    *(b"99999999999999999999", b"9223372036854775808", b"-9223372036854775809"),
    *(b"0.1.2", b"1,5", b"1e3", b"5.0", b" 7 ", b"007", b"True", b"null", b"~"),
    *("１２".encode(), "٣".encode(), "\u2028".encode(), "\u202e".encode()),
    *("\u00a0".encode(), "İ".encode(), "ß".encode(), "e\u0301".encode()),
    *(b"0", b"1", b"0.5", b"2", b"m1", b"yunda", b"north", b"o1", b"never", b"must"),
    *(b": ", b"- ", b"#", b"&a", b"*a", b"!!python/object:os.system", b"<<: ", b"|"),
    *(b"{", b"}", b"[", b"]", b"%", b"---\n", b"?", b">", b"x" * 5_000),
]


@st.composite
def mutated(draw: Callable[..., Any], original: bytes) -> bytes:
    """Insert, replace, drop, repeat or cut, one to four times."""
    data = original
    for _ in range(draw(st.integers(1, 4))):
        first = draw(st.integers(0, len(data)))
        last = min(len(data), first + draw(st.integers(0, 12)))
        piece = draw(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=4)))
        how = draw(st.sampled_from(["insert", "replace", "drop", "repeat", "cut"]))
        data = {
            "insert": data[:first] + piece + data[first:],
            "replace": data[:first] + piece + data[last:],
            "drop": data[:first] + data[last:],
            "repeat": data[:last] + data[first:last] + data[last:],
            "cut": data[:first] if first > len(data) // 2 else data,
        }[how]
    return data


@st.composite
def with_odd_cells(draw: Callable[..., Any], original: bytes) -> bytes:
    """Put tokens into whole cells, so that they pass the parser."""
    rows = [line.split(b",") for line in original.splitlines()]
    for _ in range(draw(st.integers(1, 3))):
        row = rows[draw(st.integers(0, len(rows) - 1))]
        row[draw(st.integers(0, len(row) - 1))] = draw(st.sampled_from(TOKENS))
    end = draw(st.sampled_from([b"\n", b"\r\n"]))
    return end.join(b",".join(row) for row in rows) + end


def _orders() -> bytes:
    lines = [
        "order_id,merchant_id,carrier_id,region_id,complaint_prob_standard,"
        "complaint_prob_premium,return_prob_standard,return_prob_premium,"
        "is_eligible,load,order_value_cny"
    ]
    lines += [
        f"o{i},m{i % 3},{'yunda' if i % 2 else 'zhongtong'},{'north' if i % 4 else ''}"
        f"{'' if i % 4 else 'south'},0.{10 + i},0.05,0.{20 + i % 7},0.1,"
        f"{'true' if i % 5 else 'false'},1,{i}.50"
        for i in range(24)
    ]
    return ("\n".join(lines) + "\n").encode()


ORDERS = _orders()
CAPACITY = b"""carrier_id,region_id,slots
yunda,north,2
yunda,south,9
zhongtong,north,3
zhongtong,south,1
"""
SETTINGS: dict[str, Any] = {
    "version": 1,
    "not_null_words": [".."],
    "policy": [
        {
            "valid_from": "2022-01-12",
            "cap": {"rate": 0.3},
            "fee": {"amount_cny": 0.8},
            "carriers": ["zhongtong", "yunda"],
        }
    ],
    "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
    "inputs": {"orders": "orders.csv", "capacity": "capacity.csv"},
    "output": "runs",
    "quarantine": {"max_share": 0.5},
}
YAML = b"""version: 1
timezone: Asia/Shanghai
policy:
  - valid_from: 2022-01-12
    cap: {rate: 0.3, base: all_orders}
    fee: {amount_cny: 0.80}
    carriers: [zhongtong, yunda]
objective:
  complaint_cost_cny: 30.00
  return_cost_cny: 18.00
inputs:
  orders: nights/{date}/orders.csv
  capacity: s3://bucket/{date}/capacity.csv
output: runs
outputs:
  - {table: lanes, to: "postgresql://night@db/shop?table=lanes"}
quarantine: {max_share: 0.5}
"""


@fuzzed
@given(text=mutated(YAML))
def test_any_yaml_is_a_configuration_or_one_message(
    tmp_path_factory: pytest.TempPathFactory, text: bytes
) -> None:
    """Accepted as a whole, or refused with the file's name and what to do."""
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(text)
    try:
        config = load_config(path)
    except ConfigError as refused:
        for line in str(refused).splitlines():
            assert line.startswith(str(path)), line
        return
    assert isinstance(config, Config)
    assert as_config(json.loads(config.model_dump_json())) == config


def number(text: str) -> float | None:
    """A number as Python reads it; strict about what Python alone accepts."""
    try:
        return float(text.strip()) if text.isascii() and "_" not in text else None
    except ValueError:
        return None


def rows_of(data: bytes) -> list[dict[str, str]]:
    """A CSV file as Python reads it."""
    text = data.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def check_night(
    tables: dict[str, pl.DataFrame], orders: bytes, capacity: bytes
) -> None:
    """Hold a published night against the bytes of its inputs."""
    rows = {row["order_id"]: row for row in rows_of(orders)}
    of_merchant = Counter(row["merchant_id"] for row in rows.values())
    chosen = tables["decisions"].filter("is_premium")
    for name, num_chosen in chosen["merchant_id"].value_counts().iter_rows():
        assert num_chosen * 10 <= of_merchant[name] * 3
    names = ("complaint_prob_standard", "complaint_prob_premium")
    names += ("return_prob_standard", "return_prob_premium")
    for row in chosen.iter_rows(named=True):
        given_row = rows[row["order_id"]]
        assert given_row["merchant_id"] == row["merchant_id"]
        assert given_row["carrier_id"] == row["carrier_id"]
        assert given_row.get("is_eligible", "true").strip().lower() in {"true", "1", ""}
        cs, cp, rs, rp = (number(given_row[name]) for name in names)
        assert None not in (cs, cp, rs, rp)
        assert all(0 <= p <= 1 for p in (cs, cp, rs, rp))
        assert abs(30 * (cs - cp) + 18 * (rs - rp) - 0.8 - row["saving_cny"]) < 2e-6
    slots = {
        (row.get("carrier_id"), row.get("region_id") or None): row["slots"]
        for row in rows_of(capacity)
    }
    for row in tables["lanes"].iter_rows(named=True):
        said = slots.get((row["carrier_id"], row["region_id"]), "0")  # 0: no row
        assert Decimal(said.strip()) == row["slots"] >= row["used"]


def nights_of(folder: Path) -> dict[str, bytes | str]:
    """All that is published, and all leftovers; locks and state are neither."""
    files = snapshot(folder / "runs").items()
    apart = (".locks", ".state")
    return {name: content for name, content in files if not name.startswith(apart)}


def is_clear(error: OptimizerError) -> None:
    """A message is a few lines for a person, whatever the file holds."""
    assert 20 < len(str(error)) < 3_000
    assert "Traceback" not in str(error)


def run_in(
    folder: Path, orders: bytes, capacity: bytes
) -> dict[str, pl.DataFrame] | None:
    """Run a night of these files; ``None`` where it was refused with a message."""
    (folder / "orders.csv").write_bytes(orders)
    (folder / "capacity.csv").write_bytes(capacity)
    config = as_config(
        SETTINGS
        | {
            "inputs": {n: str(folder / f"{n}.csv") for n in ("orders", "capacity")},
            "output": str(folder / "runs"),
        }
    )
    before = nights_of(folder)
    try:
        report = run_date(config, DAY, is_forced=True)
    except OptimizerError as error:
        is_clear(error)
        unchanged = nights_of(folder)
        assert unchanged == before
        return None
    assert verify_run(report.run_dir).is_valid
    return {
        name: pl.read_parquet(report.run_dir / f"{name}.parquet")
        for name in ("decisions", "lanes")
    }


csv_files = st.one_of(
    st.tuples(with_odd_cells(ORDERS), st.just(CAPACITY)),
    st.tuples(mutated(ORDERS), st.just(CAPACITY)),
    st.tuples(st.just(ORDERS), with_odd_cells(CAPACITY)),
    st.tuples(st.just(ORDERS), mutated(CAPACITY)),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all nights of a test: each replaces the one before."""
    return tmp_path_factory.mktemp("hostile")


def forget_nights(folder: Path) -> None:
    """Forget the nights of earlier examples."""
    shutil.rmtree(folder / "runs", ignore_errors=True)


def test_the_untouched_files_make_a_night(folder: Path) -> None:
    """The files that are fuzzed are good ones, and the check can tell."""
    tables = run_in(folder, ORDERS, CAPACITY)
    assert tables is not None
    check_night(tables, ORDERS, CAPACITY)
    assert tables["decisions"]["is_premium"].sum() == 6
    with pytest.raises(AssertionError):
        check_night(tables, ORDERS.replace(b"0.33,", b"0.43,"), CAPACITY)


@pytest.mark.slow
@fuzzed
@given(files=csv_files)
@example(files=(ORDERS.replace(b"o3,", b"o\x003,"), CAPACITY))
@example(files=(ORDERS.decode().encode("utf-16"), CAPACITY))
@example(files=(b"\xef\xbb\xbf" + ORDERS, b"\xef\xbb\xbf" + CAPACITY))
def test_any_csv_is_a_right_night_or_one_message(
    folder: Path, files: tuple[bytes, bytes]
) -> None:
    """What is published follows from the bytes as Python reads them, and is proved."""
    forget_nights(folder)
    tables = run_in(folder, *files)
    if tables is not None:
        check_night(tables, *files)


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Orders as Parquet with page checksums, and the night that they make."""
    frame = pl.read_csv(ORDERS).drop("is_eligible", "load", "order_value_cny")
    path = tmp_path_factory.mktemp("parquet") / "orders.parquet"
    pyarrow.parquet.write_table(frame.to_arrow(), path, write_page_checksum=True)
    data = path.read_bytes()
    capacity = pl.read_csv(CAPACITY)
    config = {k: v for k, v in SETTINGS.items() if k not in {"inputs", "output"}}
    orders = allocate(path, capacity, config=config).orders
    return {"path": path, "bytes": data, "capacity": capacity} | {
        "config": config,
        "orders": orders,
        "pages": len(data) - 8 - int.from_bytes(data[-8:-4], "little"),
    }


@pytest.mark.slow
@fuzzed
@given(data=st.data())
def test_any_damage_to_parquet_is_refused_or_changes_nothing(
    parquet: dict[str, Any], data: st.DataObject
) -> None:
    """
    A file whose pages are damaged is refused or gives the same night.

    Behind the pages stands the footer, which has no checksum: damage there ends in
    a message or in a night, never in another failure.
    """
    broken = data.draw(mutated(parquet["bytes"]))
    parquet["path"].write_bytes(broken)
    try:
        night = allocate(parquet["path"], parquet["capacity"], config=parquet["config"])
    except OptimizerError as error:
        is_clear(error)
        return
    assert night.certificate.is_feasible
    assert night.certificate.gap == 0
    footer = parquet["bytes"][parquet["pages"] :]
    if broken.endswith(footer) and len(broken) == len(parquet["bytes"]):
        assert night.orders.equals(parquet["orders"])


odd_values = st.one_of(
    st.floats(),
    st.integers(-(2**70), 2**70),
    st.text(max_size=5),
    st.none(),
    st.booleans(),
    st.binary(max_size=3),
    st.dates(),
    st.decimals(allow_nan=False, allow_infinity=False, places=3),
    st.lists(st.integers(0, 3), max_size=2),
)


@pytest.mark.slow
@fuzzed
@given(data=st.data())
def test_any_types_in_parquet_are_a_right_night_or_one_message(
    parquet: dict[str, Any], data: st.DataObject
) -> None:
    """Columns of any type and any values are refused, or read as what they say."""
    frame = pl.read_csv(ORDERS)
    name = data.draw(st.sampled_from(frame.columns))
    kind = data.draw(
        st.sampled_from(
            [
                *(pl.Float32, pl.Float64, pl.Int8, pl.Int64, pl.UInt64, pl.Int128),
                *(pl.String, pl.Binary, pl.Boolean, pl.Date, pl.Categorical, pl.Null),
                *(pl.Datetime("us", "America/New_York"), pl.Time, pl.Duration),
                *(pl.Decimal(38, 3), pl.List(pl.Int64), pl.Struct({"a": pl.Int64})),
            ]
        )
    )
    values = data.draw(st.lists(odd_values, min_size=24, max_size=24))
    frame = frame.with_columns(_typed(values, kind).alias(name))
    try:
        frame.write_parquet(parquet["path"])
    except pl.exceptions.PolarsError:
        return  # no such file can be made
    try:
        night = allocate(parquet["path"], parquet["capacity"], config=parquet["config"])
    except OptimizerError as error:
        is_clear(error)
        return
    assert night.certificate.is_feasible
    # Prices need not prove a packing night of a few parcels to the last one.
    assert night.certificate.gap == 0 or night.problem_class == "packing"
    assert set(night.orders["order_id"]) <= set(frame["order_id"].cast(pl.String))


def _typed(values: list[Any], kind: Any) -> pl.Series:
    """The values that fit a type; null for the others."""
    none = pl.Series([None], dtype=kind)
    fitting = []
    for value in values:
        try:
            made = pl.Series([value], dtype=kind, strict=False)
        except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError):
            made = none
        except RuntimeError:  # how polars refuses a decimal that is too large
            made = none
        fitting.append(made if made.dtype == none.dtype else none)
    return pl.concat(fitting)


@fuzzed
@given(text=st.one_of(st.text(max_size=12), st.from_regex(r"\d{4}-\d{2}-\d{2}(T.*)?")))
@example(text="2026-11-22\n")
@example(text="../../etc")
@example(text="２０２６-11-22")
@example(text="2026-02-30")
@example(text="2026-11-22T00:00+08:00")
def test_a_date_is_a_plain_date_or_refused(text: str) -> None:
    """What comes into ``{date}`` is ten characters, digits and dashes."""
    try:
        day = parse_date(text)
    except ConfigError:
        return
    assert day.isoformat() == text
    assert len(text) == 10
    assert text.isascii()


@pytest.mark.parametrize(
    "date",
    [
        dt.datetime(2026, 11, 22, 23, 30, tzinfo=dt.UTC),
        dt.datetime(2026, 11, 22),
        20261122,
    ],
)
def test_a_time_is_not_a_business_date(date: Any) -> None:
    """Whether 23:30 UTC is the 22nd or the 23rd is not for this tool to guess."""
    orders, capacity = pl.read_csv(ORDERS), pl.read_csv(CAPACITY)
    config = {k: v for k, v in SETTINGS.items() if k not in {"inputs", "output"}}
    with pytest.raises(ConfigError, match="date must be"):
        allocate(orders, capacity, config=config, date=date)


@pytest.mark.parametrize("zone", ["Pacific/Apia", "America/New_York", "Asia/Kathmandu"])
@pytest.mark.parametrize("day", ["2026-03-08", "2026-11-01", "2028-02-29"])
def test_the_clock_of_the_machine_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str, day: str
) -> None:
    """In any time zone, on nights of 23 and 25 hours, the tables are the same bytes."""
    made = []
    for number, here in enumerate(("Asia/Shanghai", zone)):
        monkeypatch.setenv("TZ", here)
        time.tzset()
        place = tmp_path / str(number)
        for name, data in (("orders", ORDERS), ("capacity", CAPACITY)):
            (tmp_path / f"{name}.csv").write_bytes(data)
        inputs = {n: str(tmp_path / f"{n}.csv") for n in ("orders", "capacity")}
        config = as_config(SETTINGS | {"inputs": inputs, "output": str(place)})
        run_dir = run_date(config, dt.date.fromisoformat(day)).run_dir
        made.append({p.name: p.read_bytes() for p in run_dir.glob("*.parquet")})
    monkeypatch.undo()
    time.tzset()
    assert made[0] == made[1]
    assert len(made[0]) == len(EVERY_NIGHT)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x]\nb: [*a, *a]\n",
        "a: &a {b: c}\n<<: *a\n",
        "{" * 5_000,
        "[" * 100_000,
        "a: " * 100_000,
        "- " * 300_000,
        "\n".join(f"k{i}: 1" for i in range(200_000)),
        "!!python/object/apply:os.system [ls]",
        "version: 1\n---\nversion: 1\n",
        "version: " + "9" * 100_000,
    ],
)
def test_a_bomb_is_refused_at_once(tmp_path: Path, text: str) -> None:
    """Aliases, depth, size, tags: a message within moments and little memory."""
    path = tmp_path / "bomb.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"bomb\.yaml") as refused:
        load_config(path)
    assert len(str(refused.value)) < 3_000


@pytest.mark.parametrize("name", ["../../escape", "a/b", "..", "CON", "x" * 200])
def test_no_id_becomes_a_path(tmp_path: Path, name: str) -> None:
    """Ids that look like paths stay text: nothing is written outside of the output."""
    orders = ORDERS.replace(b",m1,", f",{name},".encode())
    folder = tmp_path / "inner"
    folder.mkdir()
    tables = run_in(folder, orders, CAPACITY)
    assert tables is not None
    assert name in set(tables["decisions"]["merchant_id"])
    assert [path.name for path in tmp_path.iterdir()] == ["inner"]
    known = {"orders.csv", "capacity.csv", "runs"}
    assert {path.name for path in folder.iterdir()} == known
