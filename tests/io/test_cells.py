"""A cell means one thing, whatever tool wrote it; or it is named, and means nothing."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from optimizer.config import as_config
from optimizer.contracts.tables import CAPACITY, MERCHANTS, ORDERS
from optimizer.errors import ConfigError, DataError
from optimizer.io.cells import CellRules, cell_rules
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.read import open_source, read_batches
from optimizer.io.small_tables import checked_table
from optimizer.io.validate import check_batch

if TYPE_CHECKING:
    from pathlib import Path

    from optimizer.contracts.columns import Table

SHANGHAI = "Asia/Shanghai"
DAY = dt.date(2026, 11, 23)
CONFIG: dict[str, Any] = {
    "version": 1,
    "policy": [
        {
            "valid_from": "2022-01-12",
            "cap": {"rate": 0.03},
            "fee": {"amount_cny": 0.8},
            "carriers": ["yunda"],
        }
    ],
    "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
}


def orders(**columns: Any) -> pa.Table:
    """Sound orders, as many as the longest column that is given."""
    num_rows = max((len(values) for values in columns.values()), default=3)
    sound: dict[str, Any] = {"order_id": [f"o{row}" for row in range(num_rows)]}
    sound |= {name: ["a"] * num_rows for name in ("merchant_id", "carrier_id")}
    sound["region_id"] = ["a"] * num_rows
    return pa.table(sound | columns)


def write(table: pa.Table, way: str, folder: Path) -> Any:
    """Give a table as a file of some kind, or as it is."""
    path = folder / f"t.{way}"
    if way == "parquet":
        pq.write_table(table, path)
    elif way == "arrow":
        with pyarrow.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table)
    else:
        return table
    return path


def check(
    data: Any, table: Table = ORDERS, rules: CellRules | None = None
) -> tuple[pl.DataFrame, QuarantineLog]:
    """Rows that are kept, and the log."""
    source, log = open_source(data, table, rules=rules), QuarantineLog()
    parts = [check_batch(raw, source, log) for raw in read_batches(source)]
    return pl.concat(parts), log


def instant(hour: int, zone: str) -> pa.Array:
    """An instant of the 23rd in Shanghai, kept in some zone."""
    moment = dt.datetime(2026, 11, 23, hour, tzinfo=dt.timezone(dt.timedelta(hours=8)))
    return pa.array([moment] * 3, pa.timestamp("us", tz=zone))


@pytest.mark.parametrize("way", ["memory", "parquet", "arrow"])
@pytest.mark.parametrize("zone", ["UTC", SHANGHAI, "America/New_York"])
@pytest.mark.parametrize("hour", [0, 7, 9, 23])
def test_an_instant_is_a_day_of_the_configured_zone(
    hour: int, zone: str, way: str, tmp_path: Path
) -> None:
    """Whatever zone a timestamp is kept in, and wherever it is from."""
    table = orders(ship_date=instant(hour, zone))
    kept, _ = check(write(table, way, tmp_path), rules=CellRules(zone=SHANGHAI))

    assert kept["ship_date"].to_list() == [DAY] * 3


def test_the_day_changes_with_daylight_saving() -> None:
    """Half past midnight in winter is half past one in summer, in New York."""
    at = [dt.datetime(2026, month, 9, 4, 30, tzinfo=dt.UTC) for month in (1, 7)]
    table = orders(ship_date=pa.array(at, pa.timestamp("s", tz="UTC")))
    kept, _ = check(table, rules=CellRules(zone="America/New_York"))

    assert kept["ship_date"].to_list() == [dt.date(2026, 1, 8), dt.date(2026, 7, 9)]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_time_without_a_zone_stays_where_it_is(unit: str) -> None:
    """Nobody said that it is in another zone."""
    late = dt.datetime(2026, 11, 23, 23, 59)
    kept, _ = check(orders(ship_date=pa.array([late] * 3, pa.timestamp(unit))))

    assert kept["ship_date"].to_list() == [DAY] * 3


TIMES: list[tuple[str, pa.Array, list[str]]] = [
    ("UTC midnights", pa.array([dt.datetime(2026, 11, 23)] * 3,
                               pa.timestamp("us", "UTC")), ["MIDNIGHTS_IN_UTC"]),
    ("the zone's midnights", instant(0, "UTC"), []),
    ("one of three", pa.array([dt.datetime(2026, 11, 23, h) for h in (0, 3, 5)],
                              pa.timestamp("us", "UTC")), []),
    ("16:00 without a zone", pa.array([dt.datetime(2026, 11, 22, 16)] * 3),
     ["MIDNIGHTS_WITHOUT_ZONE"]),
    ("midnights without a zone", pa.array([dt.datetime(2026, 11, 23)] * 3), []),
    ("text", pa.array(["2026-11-23T00:00:00Z"] * 3), ["MIDNIGHTS_IN_UTC"]),
    ("text of 16:00", pa.array(["2026-11-22 16:00:00"] * 3),
     ["MIDNIGHTS_WITHOUT_ZONE"]),
    ("dates", pa.array([DAY] * 3), []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "codes"), [t[1:] for t in TIMES], ids=[t[0] for t in TIMES]
)
def test_dates_of_another_zone_are_told(values: pa.Array, codes: list[str]) -> None:
    """Most times of a column at midnight elsewhere were dates before an export."""
    _, log = check(orders(ship_date=values), rules=CellRules(zone=SHANGHAI))
    found = log.warnings(SHANGHAI)

    assert [warning.code for warning in found] == codes
    assert all("ship_date of orders" in str(warning) for warning in found)
    assert (
        check(orders(ship_date=values), rules=CellRules(zone="UTC"))[1].warnings("UTC")
        == []
    )


@pytest.mark.parametrize(
    ("spelling", "text"),
    [
        ("YYYY/MM/DD", "2026/11/23 0:00"),
        ("YYYY/MM/DD", "2026/11/23"),
        ("YYYY.MM.DD", "2026.11.23"),
        ("YYYYMMDD", "20261123"),
        ("YYYY年MM月DD日", "2026年11月23日"),
        ("DD.MM.YYYY", "23.11.2026"),
        ("DD/MM/YYYY", "23/11/2026 07:30:00"),
        ("MM/DD/YYYY", "11/23/2026"),
    ],
)
def test_a_spelling_of_dates_is_read_where_it_is_configured(
    spelling: str, text: str
) -> None:
    """And refused elsewhere, with the column and the key that would take it."""
    table = orders(ship_date=[text] * 3)
    kept, _ = check(table, rules=CellRules(date_formats=(spelling,)))
    assert kept["ship_date"].to_list() == [DAY] * 3

    _, log = check(table)
    with pytest.raises(DataError, match=r"ship_date is not a date .* date_formats"):
        log.refuse_beyond(
            Decimal(0), {"orders": 3}, {"orders": open_source(table, ORDERS)}
        )


FLAGS = {
    True: ["true", "TRUE", "t", "T", "yes", "Y", "y", "1", "1.0", " 1 ", "是"],
    False: ["false", "False", "f", "no", "N", "n", "0", "0.00", "否"],
}


@pytest.mark.parametrize("means", [True, False])
def test_words_of_flags(means: bool) -> None:
    """What PostgreSQL, MySQL, Hive, pandas, Excel and people write."""
    kept, _ = check(orders(is_eligible=FLAGS[means]))
    assert set(kept["is_eligible"]) == {means}


def numbers(values: list[int | None], kind: pa.DataType) -> pa.Array:
    """Values of a type; Arrow does not cast to small decimals."""
    if pa.types.is_decimal(kind):
        return pa.array([None if v is None else Decimal(v) for v in values], kind)
    return pa.array(values).cast(kind)


@pytest.mark.parametrize(
    "kind",
    [*(pa.int8(), pa.int16(), pa.int64(), pa.uint8(), pa.float32(), pa.float64()),
     *(pa.decimal128(1, 0), pa.decimal128(12, 2), pa.decimal256(40, 0))],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("way", ["memory", "parquet"])
def test_flags_as_numbers(kind: pa.DataType, way: str, tmp_path: Path) -> None:
    """1 and 0 of any numeric type; 2 is no flag."""
    values = numbers([1, 0, None], kind)
    kept, _ = check(write(orders(is_eligible=values), way, tmp_path))
    assert kept["is_eligible"].to_list() == [True, False, True]  # null: the default

    _, log = check(orders(is_eligible=numbers([1, 0, 2], kind)))
    assert log.frame().rows() == [("orders", 3, "is_eligible", "is not true or false")]


WHOLE = [
    pa.array([Decimal(1), Decimal(40), None], pa.decimal128(38, 0)),
    pa.array([Decimal("1.00"), Decimal("40.00"), None], pa.decimal128(12, 2)),
    pa.array([Decimal(1), Decimal(40), None], pa.decimal256(60, 9)),
    pa.array([1, 40, None], pa.uint8()),
    pa.array([1, 40, None], pa.uint64()),
    pa.array([1.0, 40.0, None], pa.float32()),
    pa.array([1.0, 40.0, None], pa.float16()),
    pa.array([1, 40, None], pa.int32()).dictionary_encode(),
    pc.run_end_encode(pa.array([1, 40, None], pa.int64())),
]


@pytest.mark.parametrize("values", WHOLE, ids=lambda values: str(values.type))
def test_whole_numbers_of_any_type_are_counts(values: pa.Array, tmp_path: Path) -> None:
    """The same numbers from memory, from Arrow and, where it has the type, Parquet."""
    table = orders(load=values)
    ways = ["memory", "arrow"]
    if not pa.types.is_run_end_encoded(values.type):
        ways.append("parquet")
    for way in ways:
        kept, _ = check(write(table, way, tmp_path))
        assert kept["load"].to_list() == [1, 40, 1]  # null: the default


def test_a_decimal_with_a_fraction_is_no_count() -> None:
    """It is named by row and column, not rounded."""
    values = pa.array([Decimal("3.5")], pa.decimal128(10, 1))
    given = pa.table({"carrier_id": ["a"], "slots": values})
    with pytest.raises(DataError, match="row 1: slots is not a whole number"):
        checked_table(open_source(given, CAPACITY), QuarantineLog())


ID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
IDS: list[tuple[pa.Array, str]] = [
    (pa.array([ID.bytes] * 3, pa.uuid()), str(ID)),
    (pa.array([Decimal(2**70)] * 3, pa.decimal128(38, 0)), str(2**70)),
    (pa.array(["a"] * 3, pa.string_view()), "a"),
    (pa.array(["a"] * 3).dictionary_encode(), "a"),
    (pc.run_end_encode(pa.array(["a"] * 3)), "a"),
    (pa.array([7] * 3, pa.uint64()), "7"),
]


@pytest.mark.parametrize(("values", "text"), IDS, ids=[str(v.type) for v, _ in IDS])
@pytest.mark.parametrize("way", ["memory", "arrow"])
def test_ids_of_any_type_are_their_text(
    values: pa.Array, text: str, way: str, tmp_path: Path
) -> None:
    """UUIDs with hyphens, whole numbers in full, encodings written out."""
    kept, _ = check(write(orders(outlet_id=values), way, tmp_path))
    assert kept["outlet_id"].to_list() == [text] * 3


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("outlet_id", pa.array([1.5]), "double, expected text, whole numbers or UUIDs"),
        ("outlet_id", pa.array([Decimal("1.5")]), r"decimal128\(2, 1\), expected text"),
        ("outlet_id", pa.array([b"x"]), "binary, expected text"),
        ("is_eligible", pa.array([DAY]), "words true, false, 1 or 0"),
        ("ship_date", pa.array([20261123]), "int64, expected dates"),
        ("load", pa.array([True]), "bool, expected whole numbers"),
    ],
)
def test_other_types_are_refused_with_the_cast_that_helps(
    column: str, values: pa.Array, words: str
) -> None:
    """What was found, what is taken, how to cast."""
    with pytest.raises(DataError, match=rf"{words}.*cast\({column} as "):
        check(orders(**{column: values}))


NOTHING = [
    "NULL",
    "null",
    "\\N",
    "nan",
    "NaN",
    "None",
    "#N/A",
    "N/A",
    "-",
    "无",
    "(null)",
]


@pytest.mark.parametrize("word", NOTHING)
def test_a_word_for_no_value_is_no_name(word: str) -> None:
    """In ids and texts it is named by row, or read as null where it is listed."""
    table = orders(merchant_id=["a", word, "a"], ineligible_reason=["x", "x", word])
    _, log = check(table)
    assert log.frame().select("row", "column").rows() == [
        (2, "merchant_id"),
        (3, "ineligible_reason"),
    ]
    given = pa.table({"carrier_id": [word], "slots": [1]})
    with pytest.raises(DataError, match=r"row 1: carrier_id is a word .* null_words"):
        checked_table(open_source(given, CAPACITY), QuarantineLog())

    rules = CellRules(null_words=(word,))
    kept, log = check(table, rules=rules)
    assert log.frame().rows() == [("orders", 2, "merchant_id", "is missing")]
    assert kept["ineligible_reason"].to_list() == ["x", None]
    source = open_source(given, CAPACITY, rules=rules)
    assert checked_table(source, QuarantineLog())["carrier_id"].to_list() == [None]


def test_listed_words_are_no_value_in_columns_of_any_kind(tmp_path: Path) -> None:
    r"""A CSV of MySQL has \N for numbers, flags and dates too."""
    path = tmp_path / "m.csv"
    path.write_text("merchant_id,num_orders,take_up,is_enrolled\nm1,\\N,\\N,\\N\n")
    source = open_source(path, MERCHANTS, rules=CellRules(null_words=("\\N",)))
    row = checked_table(source, QuarantineLog()).row(0, named=True)
    assert row["num_orders"] is None
    assert row["take_up"] is None or row["take_up"] == 1.0
    with pytest.raises(DataError, match="num_orders is not a whole number"):
        checked_table(open_source(path, MERCHANTS), QuarantineLog())


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("6.92346E+15", "is a rounded number, as spreadsheets write it"),
        ("7E+15", "is a rounded number, as spreadsheets write it"),
        ("6,9E+15", "is a rounded number, as spreadsheets write it"),
        ("6.923456789012345E15", "is a rounded number, as spreadsheets write it"),
        ("6923456789012345.0", "is a number with a decimal point"),
        ('="6923456789012345"', "is a formula, as spreadsheets write it"),
        ("'6923456789012345", "begins with an apostrophe"),
        ("6923456789012345\t", "has outer spaces or control characters"),
    ],
)
def test_ids_that_a_spreadsheet_changed_are_set_aside(value: str, rule: str) -> None:
    """With the reason; ids that only look a little like it stay."""
    _, log = check(orders(order_id=["E15", value, "1e5", "6.9-E+15", "a='b'"]))
    assert log.frame().rows() == [("orders", 2, "order_id", rule)]


def test_a_library_that_gives_up_is_the_fault_of_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A panic of Rust is no Exception: it is a refusal; an interrupt goes through."""
    panic = type("PanicException", (BaseException,), {})

    def give_up(*_: object) -> None:
        raise panic("called `Option::unwrap()` on a `None` value")

    monkeypatch.setattr("optimizer.io.read.plain_frame", give_up)
    with pytest.raises(DataError, match=r"the orders table: cannot be read \(called"):
        check(orders())

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("optimizer.io.read.plain_frame", stop)
    with pytest.raises(KeyboardInterrupt):
        check(orders())


@pytest.mark.parametrize("word", ["*", "ALL", "total", "合计", "全国"])
def test_a_word_for_all_is_no_name_of_a_limit(word: str) -> None:
    """It would take the limit off; elsewhere, and where it is listed, it is a name."""
    given = pa.table({"carrier_id": ["a"], "region_id": [word], "slots": [1]})
    with pytest.raises(DataError, match=r"row 1: region_id is a word for all.*leave"):
        checked_table(open_source(given, CAPACITY), QuarantineLog())
    for rules, read in (
        (CellRules(not_null_words=(word,)), word),
        (CellRules(null_words=(word,)), None),
    ):
        source = open_source(given, CAPACITY, rules=rules)
        assert checked_table(source, QuarantineLog())["region_id"].to_list() == [read]
    merchants = open_source(pa.table({"merchant_id": [word]}), MERCHANTS)
    assert len(checked_table(merchants, QuarantineLog())) == 1


def test_a_name_that_looks_like_no_value_is_kept_where_it_is_listed() -> None:
    """Namibia is NA; spaces around it, and other words, break their rules as before."""
    table = orders(
        merchant_id=["NA", " NA", "nan"], ineligible_reason=["NA", "x", None]
    )
    _, log = check(table, rules=CellRules(not_null_words=("NA",)))
    assert log.frame().select("row", "rule").rows() == [
        (2, "has outer spaces or control characters"),
        (2, "is a word for no value, such as NULL"),
        (3, "is a word for no value, such as NULL"),
    ]


def test_words_that_are_names_must_look_like_none() -> None:
    """An option that does nothing is refused, and a word in both lists."""
    for more, words in (
        ({"not_null_words": ["north"]}, "drop it"),
        ({"not_null_words": ["NA"], "null_words": ["NA"]}, "both list 'NA'"),
    ):
        with pytest.raises(ConfigError, match=words):
            cell_rules(as_config(CONFIG | more))
    assert cell_rules(as_config(CONFIG | {"not_null_words": ["NA", "ALL"]}))


def test_a_header_in_the_middle_is_no_row() -> None:
    """Files that were put together have it again; nothing else of it may be broken."""
    given = pa.table(
        {"merchant_id": ["m1", "Merchant_ID"], "owner_id": ["w", "owner_id"]}
    )
    with pytest.raises(DataError, match="row 2: merchant_id is the name of its column"):
        checked_table(open_source(given, MERCHANTS), QuarantineLog())


@pytest.mark.parametrize(
    "day", ["1970-01-01", "1900-01-01", "1899-12-30", "2099-12-31", "1999-12-31"]
)
def test_a_day_that_stands_for_none_is_no_day(day: str) -> None:
    """In text and in dates, of any table; those of this century are days."""
    for kind in (pa.string(), pa.date32()):
        values = pa.array([day, "2000-01-01", "2099-12-30"]).cast(kind)
        _, log = check(orders(ship_date=values))
        assert log.frame().select("row", "column").rows() == [(1, "ship_date")]
        assert "stands for none" in log.frame()["rule"][0]


@pytest.mark.parametrize("zone", ["GMT+8", "UTC+8", "Beijing", "Z", "+08:00", "PRC"])
def test_an_instant_is_one_whatever_its_zone_is_called(zone: str) -> None:
    """Also in zones that a library below does not know, and in nanoseconds."""
    moment = dt.datetime(2026, 11, 21, 19, tzinfo=dt.UTC)
    for unit in ("s", "us", "ns"):
        values = pa.array([moment] * 3, pa.timestamp(unit, "UTC"))
        kept, _ = check(orders(ship_date=values.cast(pa.timestamp(unit, zone))))
        assert kept["ship_date"].to_list() == [dt.date(2026, 11, 22)] * 3


def test_a_time_of_an_unclear_zone_is_refused(tmp_path: Path) -> None:
    """INT96 is an instant to Spark, and a time on the wall to others."""
    path = tmp_path / "o.parquet"
    values = pa.array([dt.datetime(2026, 11, 21, 19)] * 3, pa.timestamp("ns"))
    table = orders(ship_date=values).append_column("unread", values)
    pq.write_table(table, path, use_deprecated_int96_timestamps=True)
    with pytest.raises(DataError, match=r"ship_date is INT96.*cast\(ship_date as date"):
        open_source(path, ORDERS)
    pq.write_table(
        table.drop_columns("ship_date"), path, use_deprecated_int96_timestamps=True
    )
    assert open_source(path, ORDERS).unread == ("unread",)


def test_a_table_of_which_nothing_is_left_is_refused() -> None:
    """However many broken rows are allowed."""
    table = orders(merchant_id=[None, "NULL", " x"])
    _, log = check(table)
    sources = {"orders": open_source(table, ORDERS)}
    with pytest.raises(DataError, match=r"3 of 3 rows break a rule.*trim"):
        log.refuse_beyond(Decimal(1), {"orders": 3}, sources)
    log.refuse_beyond(Decimal(1), {"orders": 4}, sources)
