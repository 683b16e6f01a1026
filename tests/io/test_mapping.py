"""Tables under other names, words and units are read as the contract's."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer import allocate
from optimizer.config import as_config
from optimizer.config.load import config_json
from optimizer.contracts.carrier_names import SPELLINGS, known_carriers
from optimizer.contracts.tables import CAPACITY, ORDERS
from optimizer.errors import ConfigError, DataError
from optimizer.io.cells import CellRules, cell_rules
from optimizer.io.mapping import with_meanings
from optimizer.io.read import open_source, read_batches
from optimizer.verify.cells import cells_text
from tests.support.small_night import DAY, SmallNight, call, make_night

#: How an export of a shop names our columns.
NAMES = {
    "order_id": "订单编号",
    "merchant_id": "店铺",
    "carrier_id": "快递公司",
    "region_id": "收货省份",
    "order_value_cny": "实付金额",
    "complaint_prob_standard": "投诉率",
    "complaint_prob_premium": "投诉率(上门)",
    "return_prob_standard": "退货率",
    "return_prob_premium": "退货率(上门)",
    "is_eligible": "可上门",
}
PROBABILITIES = [name for name in NAMES if "prob" in name]
MAPPING: dict[str, Any] = {
    "columns": NAMES,
    "values": {"carrier_id": "known", "is_eligible": {"可以": True, "*": False}},
    "units": {"order_value_cny": "cny", **dict.fromkeys(PROBABILITIES, "percent")},
}


def exported(orders: pl.DataFrame) -> pl.DataFrame:
    """Orders as the shop exports them; a column of ours is there, and means another."""
    spelled = {code: words[0] for code, words in SPELLINGS.items()}
    percent = [
        (pl.col(name) * 100).round(2).map_elements("{}%".format, pl.String).alias(name)
        for name in PROBABILITIES
    ]
    value = pl.col("order_value_cny").round(2)
    told = orders.select(list(NAMES)).with_columns(
        *percent,
        carrier_id=pl.col("carrier_id").replace(spelled),
        order_value_cny=value.map_elements("¥{:,}".format, pl.String),
        is_eligible=pl.when(pl.col("is_eligible"))
        .then(pl.lit("可以"))
        .otherwise(pl.lit("不可以")),
    )
    return told.rename(NAMES).with_columns(order_id=pl.lit("row of an export"))


def plain(export: pl.DataFrame) -> pl.DataFrame:
    """What the mapping reads of an export, by Python alone."""
    rows = []
    for row in export.to_dicts():
        read = {name: row[written] for name, written in NAMES.items()}
        for name in PROBABILITIES:
            read[name] = float(read[name].rstrip("%")) / 100
        read["order_value_cny"] = float(re.sub("[¥,]", "", read["order_value_cny"]))
        read["carrier_id"] = known_carriers()[read["carrier_id"]]
        read["is_eligible"] = read["is_eligible"] == "可以"
        rows.append(read)
    return pl.DataFrame(rows)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[SmallNight, pl.DataFrame]:
    """A night, and its orders as a shop exports them."""
    night = make_night(tmp_path_factory.mktemp("shop"), 400)
    return night, exported(night.read("orders"))


def as_excel(frame: pl.DataFrame, path: Path) -> None:
    book = openpyxl.Workbook()
    book.create_sheet("说明", 0).append(["made by the shop"])
    sheet = book["Sheet"]
    for row in [frame.columns, *frame.iter_rows()]:
        sheet.append(list(row))
    book.save(path)


def kept_as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Ids as exporters write them for spreadsheets."""
    order, merchant = pl.col(NAMES["order_id"]), pl.col(NAMES["merchant_id"])
    return frame.with_columns(
        pl.format('="{}"', order).alias(NAMES["order_id"]),
        pl.format("'{}\t", merchant).alias(NAMES["merchant_id"]),
    )


WAYS: dict[str, Any] = {
    "utf-8.csv": lambda f, p: p.write_bytes(f.write_csv().encode()),
    "gb18030.csv": lambda f, p: p.write_bytes(f.write_csv().encode("gb18030")),
    "utf-16.csv": lambda f, p: p.write_bytes(f.write_csv().encode("utf-16")),
    "semicolons.csv": lambda f, p: f.write_csv(p, separator=";"),
    "wrapped.csv": lambda f, p: kept_as_text(f).write_csv(p),
    "table.parquet": lambda f, p: f.write_parquet(p),
    "table.arrow": lambda f, p: f.write_ipc(p),
    "book.xlsx": as_excel,
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_an_export_gives_the_night_of_the_contracts_table(
    way: str,
    shop: tuple[SmallNight, pl.DataFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Any file of the export is read as the table it stands for, and verify agrees."""
    night, export = shop
    path = tmp_path / way
    WAYS[way](export, path)
    mapping = MAPPING | {"path": str(path)}
    encoding = way.removesuffix(".csv")
    if encoding in ("gb18030", "utf-16"):
        mapping |= {"encoding": encoding}
    if way == "wrapped.csv":
        mapping |= {"wrapped": ["order_id", "merchant_id"]}
    if way == "book.xlsx":
        mapping |= {"sheet": "Sheet"}
    given_config = night.settings()
    inputs = given_config["inputs"] | {"orders": mapping}
    for name in ("capacity", "merchants"):
        inputs[name] = str(night.input(name))
    config = given_config | {"inputs": inputs, "output": str(tmp_path / "runs")}
    (tmp_path / "c.yaml").write_text(json.dumps(config))
    words = ("run", "--config", tmp_path / "c.yaml", "--date", DAY)
    assert call(monkeypatch, capsys, *words).code == 0
    run_dir = tmp_path / "runs" / DAY.isoformat()
    stated = call(monkeypatch, capsys, "verify", run_dir)
    assert stated.code == 0, stated.out + stated.err

    wanted = allocate(
        plain(export),
        night.input("capacity"),
        merchants=night.input("merchants"),
        config=given_config | {"inputs": None},
        date=DAY,
    )
    chosen = ["order_id", "is_premium", "saving_cny", "reason"]
    published = pl.read_parquet(run_dir / "decisions.parquet").sort("order_id")
    assert published["reason"].n_unique() > 2
    assert published.select(chosen).equals(
        wanted.orders.sort("order_id").select(chosen)
    )


FAULTS = {
    "hundredths": (
        "optimizer.io.mapping._DIVISORS",
        {"cny": 1, "fen": 1, "percent": 1},
    ),
    "other words": ("optimizer.io.mapping.OTHERWISE", "no word"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_verify_sees_a_table_that_is_read_wrongly(
    fault: str,
    shop: tuple[SmallNight, pl.DataFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where our reading of units or words is wrong, the second statement differs."""
    night, export = shop
    export.with_columns(
        pl.col(written).str.replace(r"^\d", "0")
        for name, written in NAMES.items()
        if name in PROBABILITIES
    ).write_parquet(tmp_path / "o.parquet")
    config = night.settings()
    inputs = {"orders": MAPPING | {"path": str(tmp_path / "o.parquet")}}
    inputs["capacity"] = str(night.input("capacity"))
    config["objective"] = {"complaint_cost_cny": 9_000, "return_cost_cny": 9_000}
    config |= {"inputs": inputs, "output": str(tmp_path / "runs")}
    config["quarantine"] = {"max_share": 1}
    (tmp_path / "c.yaml").write_text(json.dumps(config))
    words = ("run", "--config", tmp_path / "c.yaml", "--date", DAY)
    with monkeypatch.context() as patched:
        patched.setattr(*FAULTS[fault])
        assert call(monkeypatch, capsys, *words).code == 0
    stated = call(monkeypatch, capsys, "verify", tmp_path / "runs" / DAY.isoformat())
    assert stated.code == 4


AMOUNTS = st.one_of(
    st.from_regex(
        r"[¥￥]? ?[+-]?[0-9]{1,3}(,[0-9]{3}){0,3}(\.[0-9]{1,4})? ?[元%]?",
        fullmatch=True,
    ),
    st.from_regex(r"[0-9]{1,3}([.][0-9]{3}){0,2}(,[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(
        ["", "¥", "1,23", "12,34.5", "１２", "1.2.3", "abc", "1e3", " 7 ", "-"]
    ),
)


def by_python(text: str, decimal: str) -> float | None:
    """An amount, by splitting and counting."""
    bare = text.strip(" \t")
    for sign in ("CNY", "RMB", "¥", "￥"):
        if bare.startswith(sign):
            bare = bare[len(sign) :].removeprefix(" ")
            break
    for sign in ("元", "分", "%", "％", "CNY", "RMB"):
        if bare.endswith(sign):
            bare = bare[: -len(sign)].removesuffix(" ")
            break
    digits = bare[1:] if bare[:1] in ("+", "-") else bare
    whole, sign, part = digits.partition(decimal)
    groups = whole.split("." if decimal == "," else ",")
    is_digits = all(g.isascii() and g.isdigit() for g in groups)
    is_grouped = len(groups) == 1 or (
        1 <= len(groups[0]) <= 3 and all(len(g) == 3 for g in groups[1:])
    )
    if not (is_digits and is_grouped) or (
        sign and not (part.isascii() and part.isdigit())
    ):
        return None
    value = float("".join(groups) + (f".{part}" if sign else ""))
    return -value if bare[:1] == "-" else value


@pytest.mark.slow
@settings(deadline=None)
@given(texts=st.lists(AMOUNTS, min_size=1, max_size=20), decimal=st.sampled_from(".,"))
def test_amounts_are_read_as_by_hand_and_as_in_sql(
    texts: list[str], decimal: str
) -> None:
    """Texts are amounts, or no numbers, alike in ours, in SQL and in plain Python."""
    mapping = as_config(
        {
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
            "inputs": {
                "orders": {
                    "path": "o.csv",
                    "units": {"order_value_cny": "cny"},
                    "decimal": decimal,
                },
                "capacity": "c.csv",
            },
        }
    )
    frame = pl.DataFrame({"order_value_cny": texts})
    ours = with_meanings(frame, ORDERS, cell_rules(mapping).mappings["orders"], "o")
    with duckdb.connect() as engine:
        macros = [
            statement
            for statement in re.split(r";\s*\n", cells_text(config_json(mapping)))
            if re.search(r"MACRO (number_of|amount|amount_with_comma)\(", statement)
        ]
        engine.execute(
            "CREATE MACRO bare(text) AS trim(text::VARCHAR, E' \\t\\r\\n\\v\\f')"
        )
        for macro in macros:
            engine.execute(macro)
        name = "amount" if decimal == "." else "amount_with_comma"
        frame_of_texts = frame
        stated = engine.sql(
            f"SELECT {name}(order_value_cny) FROM frame_of_texts"
        ).fetchall()
        assert len(frame_of_texts) == len(stated)
    for text, found, (again,) in zip(
        texts, ours["order_value_cny"], stated, strict=True
    ):
        wanted = by_python(text, decimal)
        if wanted is None:
            assert math.isnan(found), text
            assert math.isnan(again), text
        else:
            assert found == again == wanted, text


def config_with(orders: Any, **keys: Any) -> dict[str, Any]:
    policy = {
        "valid_from": "2022-01-12",
        "cap": {"rate": 0.03},
        "fee": {"amount_cny": 0.8},
        "carriers": ["zhongtong", "yuantong"],
    }
    return {
        "version": 1,
        "policy": [policy],
        "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
        "inputs": {"orders": orders, "capacity": "c.csv"},
        **keys,
    }


WRONG = {
    "no such column": (
        {"columns": {"oder_id": "编号"}},
        "inputs.orders.columns: no rule reads a column 'oder_id'; is it order_id",
    ),
    "a unit of an id": ({"units": {"order_id": "fen"}}, "order_id is no amount"),
    "words of an amount": (
        {"values": {"order_value_cny": {"a": "1"}}},
        "order_value_cny holds numbers or dates, not words",
    ),
    "one column twice": (
        {"columns": {"order_id": "a", "merchant_id": "a"}},
        "columns must not read 'a' twice",
    ),
    "signs around an amount": (
        {"wrapped": ["order_value_cny"]},
        "inputs.orders.wrapped: order_value_cny holds no words",
    ),
    "an unknown encoding": ({"encoding": "big5"}, "inputs.orders.encoding: must be"),
    "an unknown unit": ({"units": {"order_value_cny": "usd"}}, "must be cny, fen or"),
    "no path": ({"columns": {"order_id": "a"}, "path": None}, "inputs.orders.path"),
}


@pytest.mark.parametrize("what", WRONG)
def test_mappings_that_mean_nothing_are_refused(what: str) -> None:
    """Each is named by its key, with what would be right."""
    mapping, message = WRONG[what]
    with pytest.raises(ConfigError, match=re.escape(message)):
        as_config(config_with({"path": "o.csv"} | mapping))


def test_a_path_alone_is_recorded_as_before() -> None:
    """A mapping that only names the path is the path: nights stay the same nights."""
    short = as_config(config_with("o.csv"))
    long = as_config(config_with({"path": "o.csv"}))
    assert config_json(short)["inputs"]["orders"] == "o.csv"
    assert config_json(short) == config_json(long)
    full = as_config(config_with({"path": "o.csv", "columns": {"order_id": "编号"}}))
    assert as_config(config_json(full)) == full


def rules_of(orders: Any) -> CellRules:
    return cell_rules(as_config(config_with(orders)))


def test_a_column_that_the_export_lacks_is_named_with_the_nearest(
    tmp_path: Path,
) -> None:
    """The message has the configured name, ours, and what the file has."""
    path = tmp_path / "o.csv"
    path.write_text("订单编码,店铺\na,b\n")
    rules = rules_of({"path": str(path), "columns": {"order_id": "订单编号"}})
    with pytest.raises(DataError, match=r"no column '订单编号'.*order_id.*订单编码"):
        open_source(path, ORDERS, rules=rules)


def test_an_export_in_another_encoding_than_configured_is_refused(
    tmp_path: Path,
) -> None:
    """UTF-8 read as GB18030, or the reverse, is an error with the file's name."""
    path = tmp_path / "o.csv"
    header = "order_id,merchant_id,region_id,备注"
    for written, configured in (("gb18030", "utf-8"), ("utf-16", "gb18030")):
        path.write_bytes(f"{header}\n1,2,3,订单\n".encode(written))
        rules = rules_of({"path": str(path), "encoding": configured})
        with pytest.raises(DataError, match=f"o.csv.*{configured.upper()}"):
            list(read_batches(open_source(path, ORDERS, rules=rules)))


def test_words_have_one_meaning(tmp_path: Path) -> None:
    """Listed words, every other word, empty cells, and words that are none of them."""
    path = tmp_path / "o.csv"
    path.write_text(
        "order_id,merchant_id,region_id,carrier_id,is_eligible,pin\n"
        "1,m,r, 中通 ,是的,必须\n2,m,r,yuantong,,不\n3,m,r,龙邮,否认,must\n"
    )
    values = {
        "carrier_id": "known",
        "is_eligible": {"是的": True, "": True, "*": False},
        "pin": {"必须": "must"},
    }
    rules = rules_of({"path": str(path), "values": values})
    (frame,) = read_batches(open_source(path, ORDERS, rules=rules))
    assert frame["carrier_id"].to_list() == ["zhongtong", "yuantong", "龙邮"]
    assert frame["is_eligible"].to_list() == ["true", "true", "false"]
    assert frame["pin"].to_list() == ["must", "不", "must"]


def test_capacity_has_its_own_mapping(tmp_path: Path) -> None:
    """A table's mapping holds for that table alone."""
    path = tmp_path / "c.csv"
    path.write_text("快递,slots\n申通快递,5\n")
    config = config_with("o.csv")
    config["inputs"]["capacity"] = {
        "path": str(path),
        "columns": {"carrier_id": "快递"},
        "values": {"carrier_id": "known"},
    }
    rules = cell_rules(as_config(config))
    (frame,) = read_batches(open_source(path, CAPACITY, rules=rules))
    assert frame.select("carrier_id", "slots").row(0) == ("shentong", "5")
    assert "carrier_id" not in open_source(path, CAPACITY).columns


@pytest.mark.slow
def test_columns_that_the_table_lacks_may_be_constants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shop's own export names no shop: every row is its; verify agrees."""
    monkeypatch.chdir(tmp_path)
    header = "order_id,region_id,carrier_id,complaint_prob_standard,"
    header += "complaint_prob_premium,return_prob_standard,return_prob_premium"
    rows = [f"o-{n},r,yuantong,0.{n + 10},0.01,0,0" for n in range(80)]
    Path("o.csv").write_text("\n".join([header, *rows]) + "\n")
    Path("c.csv").write_text("carrier_id,slots\nyuantong,50\n")
    mapping = {"path": "o.csv", "constants": {"merchant_id": "me", "is_eligible": True}}
    Path("c.yaml").write_text(json.dumps(config_with(mapping, output="runs")))
    words = ("run", "--config", "c.yaml", "--date", DAY)
    assert call(monkeypatch, capsys, *words).code == 0
    assert call(monkeypatch, capsys, "verify", f"runs/{DAY}").code == 0
    merchants = pl.read_parquet(f"runs/{DAY}/merchants.parquet")
    assert merchants.select("merchant_id", "used").row(0) == ("me", 2)

    source = open_source("o.csv", ORDERS, rules=rules_of(mapping))
    (frame,) = read_batches(source, ["merchant_id"])
    assert frame["merchant_id"].to_list() == ["me"] * 80
    both = rules_of({"path": "o.csv", "constants": {"region_id": "all"}})
    with pytest.raises(DataError, match=r"has a column region_id.*a constant"):
        open_source("o.csv", ORDERS, rules=both)


def test_excel_ids_that_a_cell_cannot_hold_are_refused(tmp_path: Path) -> None:
    """Numbers of more than 15 digits in a column of ids are rounded; text is not."""
    path = tmp_path / "o.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["order_id", "merchant_id", "region_id"])
    book.active.append([6923460000000012345, "m", "r"])
    book.save(path)
    with pytest.raises(DataError, match=r"order_id.*15 digits.*column of text"):
        open_source(path, ORDERS)
    book.active["A2"] = "6923460000000012345"
    book.save(path)
    (frame,) = read_batches(open_source(path, ORDERS))
    assert frame["order_id"].to_list() == ["6923460000000012345"]


@pytest.mark.parametrize("content", [b"no zip at all", b"PK\x03\x04 torn"])
def test_a_damaged_excel_file_is_refused(content: bytes, tmp_path: Path) -> None:
    """Whatever calamine says of it, the refusal names the file."""
    path = tmp_path / "o.xlsx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"o.xlsx.*cannot be read as an Excel file"):
        open_source(path, ORDERS)


@pytest.mark.slow
def test_rows_of_a_database_are_read_by_the_mapping(
    shop: tuple[SmallNight, pl.DataFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A table of a database under its own names gives a night that verifies."""
    night, export = shop
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as database:
        numbers = [(name, NAMES[name]) for name in PROBABILITIES]
        read = (
            plain(export)
            .rename(NAMES)
            .with_columns(pl.col(written) * 100 for _, written in numbers)
        )
        assert len(read)
        database.execute("CREATE TABLE orders AS SELECT * FROM read")
    mapping = {
        "path": f"duckdb://{tmp_path}/shop.duckdb?table=orders",
        "columns": NAMES,
        "units": dict.fromkeys(PROBABILITIES, "percent"),
    }
    config = night.settings()
    inputs = {"orders": mapping, "capacity": str(night.input("capacity"))}
    config |= {"inputs": inputs, "output": str(tmp_path / "runs")}
    (tmp_path / "c.yaml").write_text(json.dumps(config))
    words = ("run", "--config", tmp_path / "c.yaml", "--date", DAY)
    ran = call(monkeypatch, capsys, *words)
    assert ran.code == 0, ran.err
    stated = call(monkeypatch, capsys, "verify", tmp_path / "runs" / DAY.isoformat())
    assert stated.code == 0, stated.out
