"""What tools write: each row of docs/develop/inputs.md is a night that says so."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optimizer.config import as_config
from optimizer.errors import DataError
from optimizer.night.run import Around, run_night
from optimizer.telemetry.alerts import recorded_alerts
from optimizer.verify.audit import audit_text
from optimizer.verify.night import verify_night
from optimizer.verify.written import false_writing
from tests.support.published_nights import record_of

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = dt.date(2026, 11, 22)
PAGE = Path("docs/develop/inputs.md")
NUM_ORDERS, NUM_CHOSEN = 80, 2
#: Rows whose cells are changed where not all are.
FEW = 3
CAPACITY = "carrier_id,region_id,slots,service_date\nyunda,north,50,2026-11-22\n"
POLICY = {
    "valid_from": "2022-01-12",
    "cap": {"rate": 0.03},
    "fee": {"amount_cny": 0.8},
    "carriers": ["yunda"],
}


def orders() -> pl.DataFrame:
    """Two merchants of 40 orders; each may have one, and their last save most."""
    number = pl.int_range(NUM_ORDERS, eager=True)
    return pl.DataFrame(
        {
            "order_id": [f"o{n:03}" for n in number],
            "merchant_id": ["m1", "m2"] * (NUM_ORDERS // 2),
            "carrier_id": "yunda",
            "region_id": "north",
            "complaint_prob_standard": (0.1 + number * 0.002).round(4),
            "complaint_prob_premium": 0.05,
            "return_prob_standard": 0.1,
            "return_prob_premium": 0.05,
            "ship_date": DAY,
        }
    )


@dataclass(frozen=True)
class Row:
    """
    How orders (or capacity) are written, and what becomes of them.

    ``told``: code of a warning; ``aside``: the rule that rows break; ``refused``: words
    of the message; ``listed``: the configuration under which it is read all the same.
    """

    write: Callable[[Path], tuple[Path, str]]
    told: str | None = None
    aside: str | None = None
    refused: str | None = None
    listed: dict[str, Any] = field(default_factory=dict)


def text(change: Callable[[list[str]], str]) -> Any:
    """Orders as CSV, their lines changed."""

    def write(folder: Path) -> tuple[Path, str]:
        path = folder / "orders.csv"
        lines = orders().write_csv().splitlines()
        path.write_text(change(lines), encoding="utf-8", newline="")
        return path, CAPACITY

    return write


def cells(column: str, value: str, num: int = NUM_ORDERS) -> Any:
    """Orders as CSV, the first cells of a column written so."""

    def write(folder: Path) -> tuple[Path, str]:
        frame = orders().cast(pl.String)
        own = frame[column] if column in frame.columns else [None] * NUM_ORDERS
        new = pl.Series(column, [value] * num + list(own)[num:])
        frame.with_columns(new).write_csv(folder / "orders.csv")
        return folder / "orders.csv", CAPACITY

    return write


def typed(column: str, values: pa.Array) -> Any:
    """Orders as Parquet, a column in another type."""

    def write(folder: Path) -> tuple[Path, str]:
        table = orders().drop(column, strict=False).to_arrow()
        path = folder / "orders.parquet"
        pq.write_table(table.append_column(column, values), path)
        return path, CAPACITY

    return write


def slots(value: Any, kind: pa.DataType) -> Any:
    """Capacity as Parquet, its slots in another type."""

    def write(folder: Path) -> tuple[Path, str]:
        row = {"carrier_id": ["yunda"], "region_id": ["north"]}
        path = folder / "capacity.parquet"
        pq.write_table(pa.table(row | {"slots": pa.array([value], kind)}), path)
        orders().write_parquet(folder / "orders.parquet")
        return folder / "orders.parquet", str(path)

    return write


def between(sign: str) -> Callable[[list[str]], str]:
    """Lines with another sign between cells."""
    return lambda lines: "\n".join(lines).replace(",", sign)


def all_of(value: Any, kind: pa.DataType | None = None) -> pa.Array:
    """One value in every row."""
    return pa.array([value] * NUM_ORDERS, kind)


def remarked(lines: list[str], remark: str) -> str:
    """Lines with a remark at the end of each."""
    return "\n".join([f"{lines[0]},remark", *(f"{x},{remark}" for x in lines[1:])])


def encoded(code: str) -> Any:
    """Orders as CSV with a remark in Chinese, in some encoding."""

    def write(folder: Path) -> tuple[Path, str]:
        lines = remarked(orders().write_csv().splitlines(), "备注")
        (folder / "orders.csv").write_bytes(lines.encode(code))
        return folder / "orders.csv", CAPACITY

    return write


def limits(*rows: str) -> Any:
    """Sound orders, and more rows of capacity."""

    def write(folder: Path) -> tuple[Path, str]:
        orders().write_parquet(folder / "orders.parquet")
        return folder / "orders.parquet", CAPACITY + "".join(f"{x}\n" for x in rows)

    return write


def int96(folder: Path) -> tuple[Path, str]:
    """Days as Spark writes timestamps."""
    times = pa.array([dt.datetime(2026, 11, 21, 16)] * NUM_ORDERS, pa.timestamp("ns"))
    table = orders().drop("ship_date").to_arrow().append_column("ship_date", times)
    path = folder / "orders.parquet"
    pq.write_table(table, path, use_deprecated_int96_timestamps=True)
    return path, CAPACITY


def quoted(lines: list[str]) -> str:
    """All cells in quotes."""
    return "\n".join(f'"{line}"'.replace(",", '","') for line in lines)


NO_VALUE = "is a word for no value, such as NULL"
NO_DATE = "is not a date such as 2026-11-22"
ROUNDED = "is a rounded number, as spreadsheets write it"
INSTANT = dt.datetime(2026, 11, 21, 16, tzinfo=dt.UTC)
ROWS = {
    "bytes with a mark": Row(text(lambda t: "\ufeff" + "\r\n".join(t))),
    "semicolons": Row(text(between(";")), told="CSV_SEPARATOR"),
    "tabs": Row(text(between("\t")), told="CSV_SEPARATOR"),
    "bars": Row(text(between("|")), told="CSV_SEPARATOR"),
    "a line sep=": Row(
        text(lambda t: "sep=;\n" + between(";")(t)), told="CSV_SEPARATOR"
    ),
    "padding columns": Row(
        text(lambda t: "\n".join(line + ",," for line in t)), told="CSV_UNNAMED_COLUMNS"
    ),
    "padding rows": Row(
        text(lambda t: "\n".join([*t[:9], "," * 8, *t[9:], "," * 8])),
        told="CSV_EMPTY_ROWS",
    ),
    "an index column": Row(
        text(lambda t: "\n".join(f"{n or ''},{line}" for n, line in enumerate(t))),
        told="CSV_UNNAMED_COLUMNS",
    ),
    "header in another case": Row(
        text(lambda t: "\n".join([t[0].upper(), *t[1:]])), told="CSV_HEADER_SPELLING"
    ),
    "spaces in the header": Row(
        text(lambda t: "\n".join([t[0].replace(",", " , "), *t[1:]])),
        told="CSV_HEADER_SPELLING",
    ),
    "line breaks in quotes": Row(
        text(lambda t: remarked(t, '"a\nb ""c"""')),
        told="CSV_LINE_BREAKS",
    ),
    "a quote that is not closed": Row(
        text(lambda t: remarked(t, '"5 box')),
        refused="quote",
    ),
    "all cells quoted": Row(text(quoted)),
    "carriage returns alone": Row(text("\r".join)),
    "lines that end in two ways": Row(
        text(lambda t: "\r\n".join(t[:9]) + "\r\n" + "\n".join(t[9:]))
    ),
    "a remark in GBK": Row(encoded("gb18030"), refused="is not UTF-8"),
    "Unicode text": Row(encoded("utf-16"), refused="UTF-16"),
    "backslashes before quotes": Row(
        text(lambda t: remarked(t, '"a \\"box\\" b"')), refused="inside of a cell twice"
    ),
    "a title above the header": Row(
        text(lambda t: "\n".join(["orders of the day", *t])),
        refused="is its first line the header",
    ),
    "a count below the rows": Row(
        text(lambda t: "\n".join([*t, "(80 rows)"])),
        refused="line 82 has not .* lines that are no rows",
    ),
    "names with the table": Row(
        text(lambda t: "\n".join([t[0].replace("order_id", "o.order_id"), *t[1:]])),
        refused="rename 'o.order_id' to order_id",
    ),
    "bytes of 1 between cells": Row(text(between("\x01")), refused="by another sign"),
    "no header": Row(text(lambda t: "\n".join(t[1:])), refused="is its first line"),
    "a byte of 0": Row(
        text(lambda t: remarked(t, "\0")), refused="bytes of value 0"),
    "names in camel case": Row(cells("isEligible", "false"),
                               refused="named 'isEligible', .* rename it to is_elig"),
    "a mark of deleted rows": Row(cells("_fivetran_deleted", "false"),
                                  told="DELETED_ROWS_COUNT"),
    "(blank)": Row(cells("outlet_id", "(blank)", FEW), aside=NO_VALUE,
                   listed={"null_words": ["(blank)"]}),
    "a default partition": Row(
        cells("outlet_id", "__HIVE_DEFAULT_PARTITION__", FEW), aside=NO_VALUE,
        listed={"null_words": ["__HIVE_DEFAULT_PARTITION__"]}),
    "a place called NA": Row(cells("outlet_id", "NA", FEW), aside=NO_VALUE,
                             listed={"not_null_words": ["NA"]}),
    "a limit for *": Row(limits("yunda,*,5,"), refused="is a word for all.*leave"),
    "a line of totals": Row(limits("合计,,50,"), refused="or for a total.*totals out"),
    "carriers of no roster": Row(cells("carrier_id", "YD"),
                                 refused="0 of 1 carrier names are of the policy's"),
    "names of a fixed length": Row(cells("carrier_id", "yunda     ", FEW),
                                   aside="has outer spaces or control characters"),
    "NULL": Row(cells("outlet_id", "NULL", FEW), aside=NO_VALUE,
                listed={"null_words": ["NULL"]}),
    "backslash N": Row(cells("outlet_id", "\\N", FEW), aside=NO_VALUE,
                       listed={"null_words": ["\\N"]}),
    "nan": Row(cells("outlet_id", "nan", FEW), aside=NO_VALUE,
               listed={"null_words": ["nan"]}),
    "a dash": Row(cells("ineligible_reason", "-", FEW), aside=NO_VALUE,
                  listed={"null_words": ["-"]}),
    "NULL in Parquet": Row(
        typed("outlet_id", pa.array(["NULL"] * FEW + [None] * (NUM_ORDERS - FEW))),
        aside=NO_VALUE, listed={"null_words": ["NULL"]},
    ),
    "a merchant called null": Row(cells("merchant_id", "null", FEW), aside=NO_VALUE),
    "rounded ids": Row(cells("order_id", "6.92E+15", 1), aside=ROUNDED),
    "ids as doubles in text": Row(cells("order_id", "6923456789012345.0", 1),
                                  aside="is a number with a decimal point"),
    "ids as formulas": Row(cells("order_id", '="6923"', 1),
                           aside="is a formula, as spreadsheets write it"),
    "ids with an apostrophe": Row(cells("order_id", "'6923", 1),
                                  aside="begins with an apostrophe"),
    "ids with a tab": Row(cells("order_id", "6923\t", 1),
                          aside="has outer spaces or control characters"),
    "ids as doubles": Row(typed("order_id", pa.array([float(n) for n in range(80)])),
                          refused=r"double, expected text.*cast\(order_id as bigint"),
    "ids as whole numbers": Row(typed("order_id", pa.array(range(NUM_ORDERS)))),
    "ids as decimals": Row(typed("order_id", pa.array(
        [Decimal(10**25 + 1 + n) for n in range(NUM_ORDERS)], pa.decimal128(38, 0)))),
    "ids as decimals with digits": Row(
        typed("order_id", pa.array([Decimal(n) for n in range(80)],
                                   pa.decimal128(20, 2))),
        refused=r"decimal128\(20, 2\), expected text.*cast\(order_id as bigint"),
    "ids as bytes": Row(typed("order_id", pa.array([b"%d" % n for n in range(80)])),
                        refused=r"binary, expected text.*cast\(order_id as varchar"),
    "uuid": Row(typed("order_id", pa.array(
        [uuid.UUID(int=n << 90).bytes for n in range(NUM_ORDERS)], pa.uuid()))),
    "categories": Row(typed("region_id", all_of("north").dictionary_encode())),
    "dates as timestamps with a zone": Row(
        typed("ship_date", all_of(INSTANT, pa.timestamp("us", "UTC")))),
    "dates as timestamps": Row(typed("ship_date", all_of(dt.datetime(2026, 11, 22)))),
    "times in INT96": Row(int96, refused=r"is INT96.*cast\(ship_date as date"),
    "times in nanoseconds": Row(
        typed("ship_date", all_of(INSTANT, pa.timestamp("ns", "UTC")))),
    "a zone that nobody lists": Row(
        typed("ship_date", all_of(INSTANT, pa.timestamp("us", "GMT+8")))),
    "1970-01-01": Row(cells("ship_date", "1970-01-01", FEW),
                      aside="is a day that stands for none, such as 1970-01-01"),
    "times of never": Row(
        typed("ship_date", pa.array(
            [2**63 - 1] * FEW + [None] * (NUM_ORDERS - FEW)).view(pa.timestamp("us"))),
        aside="is a day that stands for none, such as 1970-01-01"),
    "an offset of no zone": Row(cells("ship_date", "2026-11-22 00:00:00+99:99", FEW),
                                aside=NO_DATE),
    "times in text": Row(cells("ship_date", "2026-11-22 00:00:00")),
    "times with an offset": Row(cells("ship_date", "2026-11-21T16:00:00.000Z")),
    "dates with slashes": Row(cells("ship_date", "2026/11/22 0:00", FEW), aside=NO_DATE,
                              listed={"date_formats": ["YYYY/MM/DD"]}),
    "dates without signs": Row(cells("ship_date", "20261122", FEW), aside=NO_DATE,
                               listed={"date_formats": ["YYYYMMDD"]}),
    "dates with dots": Row(cells("ship_date", "22.11.2026", FEW), aside=NO_DATE,
                           listed={"date_formats": ["DD.MM.YYYY"]}),
    "dates in Chinese": Row(cells("ship_date", "2026年11月22日", FEW), aside=NO_DATE,
                            listed={"date_formats": ["YYYY年MM月DD日"]}),
    "days since 1900": Row(cells("ship_date", "46348", FEW), aside=NO_DATE),
    "a date as a number": Row(typed("ship_date", all_of(20261122, pa.int32())),
                              refused=r"int32, expected dates.*cast\(ship_date"),
    "t and f": Row(cells("is_eligible", "t")),
    "Y and N": Row(cells("is_eligible", "Y")),
    "是 and 否": Row(cells("is_eligible", "是")),
    "TRUE": Row(cells("is_eligible", "TRUE")),
    "flags as 1.0": Row(cells("is_eligible", "1.0")),
    "tinyint": Row(typed("is_eligible", all_of(1, pa.int8()))),
    "other words of a flag": Row(cells("is_eligible", "maybe", FEW),
                                 aside="is not true or false"),
    "thousands with commas": Row(cells("load", "1,000", FEW),
                                 aside="is not a whole number"),
    "digits of full width": Row(cells("load", "１", FEW),
                                aside="is not a whole number"),
    "HUGEINT": Row(slots(Decimal(50), pa.decimal128(38, 0))),
    "decimals of whole numbers": Row(slots(Decimal("50.00"), pa.decimal128(12, 2))),
    "decimals with a fraction": Row(slots(Decimal("3.5"), pa.decimal128(10, 1)),
                                    refused="slots is not a whole number"),
    "whole numbers as doubles": Row(slots(50.0, pa.float64())),
    "decimals of probabilities": Row(typed("complaint_prob_premium", all_of(
        Decimal("0.05"), pa.decimal128(38, 18)))),
    "a decimal comma": Row(cells("return_prob_premium", "0,5", FEW),
                           aside="is not a number"),
    "an underscore in a number": Row(cells("return_prob_premium", "0.0_5", FEW),
                                     aside="is not a number"),
    "percent": Row(cells("return_prob_premium", "5%", FEW), aside="is not a number"),
    "nan in numbers": Row(typed("return_prob_premium", pa.array(
        [float("nan")] * FEW + [0.05] * (NUM_ORDERS - FEW))), aside="is not a number"),
}  # fmt: skip


def publish(row: Row, folder: Path, more: dict[str, Any]) -> Path:
    """Run the night of a row; give its folder."""
    folder.mkdir(exist_ok=True)
    path, capacity = row.write(folder)
    if "\n" in capacity:
        (folder / "capacity.csv").write_text(capacity)
        capacity = str(folder / "capacity.csv")
    config = {
        "version": 1,
        "policy": [POLICY],
        "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
        "capacity": {"counted_on": "ship"},
        "quarantine": {"max_share": 0.5},
        "inputs": {"orders": str(path), "capacity": capacity},
        "output": str(folder / "runs"),
    }
    run_night(
        as_config(config | more),
        DAY,
        around=Around(audit_text, recorded_alerts, false_writing),
    )
    return folder / "runs" / DAY.isoformat()


def test_the_page_has_the_rows_that_are_tested() -> None:
    """What the page says is tested, and what is tested is on the page."""
    page = PAGE.read_text(encoding="utf-8")
    named = re.findall(r"^\| (.+?) \|", page, re.MULTILINE)[1:]
    assert named[0] != "row"
    assert sorted(named) == sorted(ROWS)
    for line in page.splitlines():
        name = line.split(" | ")[0].removeprefix("| ")
        if name in ROWS:
            row, said = ROWS[name], line.split(" | ")[-1]
            assert ("set aside" in said) == (row.aside is not None or "3.5" in line)
            assert said.startswith("refused") <= (row.refused is not None)
            assert ("reported" in said) == (row.told is not None)


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_what_a_tool_writes(name: str, tmp_path: Path) -> None:
    """Read, reported, set aside or refused as the page says; the night verifies."""
    row = ROWS[name]
    if row.refused:
        with pytest.raises(DataError, match=row.refused):
            publish(row, tmp_path, {})
        return
    runs = [(publish(row, tmp_path, {}), row.aside)]
    if row.listed:
        runs.append((publish(row, tmp_path / "listed", row.listed), None))
    for run, aside in runs:
        rules = pl.read_parquet(run / "quarantine.parquet")["rule"].unique().to_list()
        codes = [warning["code"] for warning in record_of(run)["warnings"]]
        assert rules == ([aside] if aside else [])
        assert codes == ([row.told] if row.told else [])
        assert len(pl.read_parquet(run / "recommendations.parquet")) == NUM_CHOSEN
        assert verify_night(run).findings == ()
