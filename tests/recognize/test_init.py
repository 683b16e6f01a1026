"""From one's own exports to a first night, without editing a table."""

from __future__ import annotations

import gzip
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest

from optimizer.cli import init as command
from optimizer.config import load_config
from optimizer.errors import DataError
from optimizer.recognize import propose, sample, whole, write
from optimizer.recognize.names import ORDER_NAMES, OUTCOME_NAMES, plain
from tests.support.exports import EXPORTS
from tests.support.small_night import DAY, call

#: What each export's orders are read from.
WANTED = {
    "douyin": {
        "order_id": "主订单编号",
        "merchant_id": "商家ID",
        "carrier_id": "快递公司",
        "region_id": "收货省份",
        "category_id": "商品类目",
        "order_value_cny": "订单应付金额",
    },
    "taobao": {
        "order_id": "订单编号",
        "merchant_id": "店铺名称",
        "carrier_id": "物流公司",
        "region_id": "收货省份",
        "order_value_cny": "买家实付金额",
    },
    "jd": {
        "order_id": "订单号",
        "carrier_id": "承运商",
        "region_id": "收货省份",
        "order_value_cny": "应付金额",
    },
    "woocommerce": {
        "order_id": "Order ID",
        "carrier_id": "Shipping Method Title",
        "region_id": "State Code (Shipping)",
        "order_value_cny": "Order Total Amount",
    },
    "workbook": {
        "order_id": "订单号",
        "carrier_id": "快递",
        "region_id": "省份",
        "order_value_cny": "实付金额",
        "load": "件数",
    },
    "shopify": {
        "order_id": "Order Number",
        "merchant_id": "Vendor",
        "carrier_id": "Shipping Carrier",
        "region_id": "Shipping Province",
        "order_value_cny": "Total",
    },
    "odoo": {
        "order_id": "Order Reference",
        "merchant_id": "Company",
        "carrier_id": "Carrier",
        "region_id": "State Name",
        "order_value_cny": "Amount Total",
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_becomes_a_night_that_verifies(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Init, learn, validate, run and verify, and no table or configuration edited."""
    monkeypatch.chdir(tmp_path)
    tables = EXPORTS[name](Path())
    # Odoo's export has a capacity table, which says the slots.
    slots = () if name == "odoo" else ("--slots", 5)
    asked = (*slots, "--effect", "0.15", "--yes", "--json")
    begun = call(monkeypatch, capsys, "init", *tables, *asked)
    assert begun.code == 0, begun.err
    told = json.loads(begun.out)
    assert told["tables"]["orders"]["columns"] == WANTED[name]
    assert any("optimizer run" in line for line in told["next"])

    words = ("learn", "--config", "premium.yaml", "--as-of", DAY)
    learned = call(monkeypatch, capsys, *words)
    assert learned.code == 0, learned.err
    dated = ("--config", "premium.yaml", "--date", DAY)
    assert call(monkeypatch, capsys, "validate", *dated).code == 0
    ran = call(monkeypatch, capsys, "run", *dated)
    assert ran.code == 0, ran.err
    first = ran.out.splitlines()[1]
    # Premium parcels of an export were left to no chance: what is stated decides.
    assert first.startswith("  rests on   a stated prior")
    if name != "shopify":
        assert "  nobody     no order is worth its fee" in ran.out
    assert call(monkeypatch, capsys, "verify", f"runs/{DAY}").code == 0
    decisions = pl.read_parquet(f"runs/{DAY}/decisions.parquet")
    assert len(decisions) == len(sample.take_sample(str(tables[0])).rows)
    assert decisions["is_premium"].sum() > 0


SERVICES = ("standard", "premium")


def text(path: Path, *lines: str, encoding: str = "utf-8") -> str:
    path.write_bytes("\n".join(lines).encode(encoding))
    return str(path)


TWO = ("订单编号,子订单编号,店铺,快递,省份", "1,11,a,中通,浙江", "2,12,a,中通,浙江")


def test_what_is_unsure_is_asked_on_a_terminal_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two order numbers a person is asked; a pipe is told how to choose."""
    monkeypatch.chdir(tmp_path)
    path = text(Path("o.csv"), *TWO)
    refused = call(monkeypatch, capsys, "init", path)
    assert refused.code == 2
    assert "--column order_id=订单编号" in refused.err
    assert not Path("premium.yaml").exists()

    chosen = call(
        monkeypatch,
        capsys,
        "init",
        path,
        "--column",
        "order_id=子订单编号",
        "--out",
        "a",
    )
    assert chosen.code == 0
    assert "order_id: 子订单编号" in Path("a/premium.yaml").read_text("utf-8")

    monkeypatch.setattr(command.sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(command.typer, "prompt", lambda *_, **__: 2)
    asked = call(monkeypatch, capsys, "init", path, "--out", "b")
    assert asked.code == 0
    assert "which column is order_id" in asked.err
    assert "order_id: 子订单编号" in Path("b/premium.yaml").read_text("utf-8")


def test_a_number_that_repeats_is_not_the_orders(tmp_path: Path) -> None:
    """Of two numbers, one of them repeated, the other is the order: nothing to ask."""
    path = text(tmp_path / "o.csv", TWO[0], "1,11,a,中通,浙江", "1,12,a,中通,浙江")
    found = propose.propose(sample.take_sample(path), {}, None)
    assert found.unsure == ()
    assert found.choices[0].written == "子订单编号"


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "personal data": (
        ("订单号,收件人,手机号,快递,省份", "1,x,y,中通,浙江"),
        "personal data in 2 columns: 收件人, 手机号\nNo row was read.\nLeave them out",
    ),
    "no table of ours": (("甲,乙", "1,2"), "is no table that is recognised"),
    "no carrier": (("订单号,省份", "1,浙江"), "recognised as carrier_id; say which"),
    "a column twice": (("订单号,快递,快递,省份", "1,a,b,c"), "'快递' twice"),
    "empty": (("",), "is empty"),
    "no rows": (("订单号,快递,省份",), "has a header and no rows"),
    "a history alone": (
        ("订单号,快递,省份,发货日期,是否投诉", "1,中通,浙江,2026-11-01,否"),
        "is a history of past parcels, for it has 是否投诉",
    ),
    "a row that is too long": (
        ("订单号,快递,省份", "1,中通,浙江", "2,中通,浙江,杭州"),
        "line 3 has not as many cells as the header",
    ),
}


@pytest.mark.parametrize("option", ["effect", "complaint-prob", "return-prob", "fee"])
@pytest.mark.parametrize("text_of", ["30%", "abc", "nan", ""])
def test_a_share_or_amount_that_is_no_number_is_refused(
    option: str,
    text_of: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It names the option, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    orders = text(Path("o.csv"), "订单号,快递,省份", "1,中通,浙江")
    words = ("init", orders, "--yes", f"--{option}", text_of)
    found = call(monkeypatch, capsys, *words)
    assert found.code == 2
    assert found.err.startswith(f"error: --{option} must be a number")
    assert list(Path().iterdir()) == [Path("o.csv")]


def test_what_a_table_says_is_not_stated_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A rate that a history has, a shop that a column names, slots of a capacity table, an
    effect where orders have probabilities: each option would change nothing, and says
    so. Without these tables each is taken.
    """
    monkeypatch.chdir(tmp_path)
    orders = text(Path("o.csv"), "订单号,快递,省份,店铺", "1,中通,浙江,a")
    past = ["2026-11-01,8,中通,浙江,a,是", "2026-11-01,9,中通,浙江,a,否"]
    history = text(Path("h.csv"), "日期,订单号,快递,省份,店铺,是否投诉", *past)
    slots = text(Path("c.csv"), "快递,省份,上限", "中通,浙江,5")
    names = [f"{h}_prob_{s}" for h in ("complaint", "return") for s in SERVICES]
    known = text(
        Path("k.csv"),
        ",".join(["订单号,快递,省份", *names]),
        "1,中通,浙江" + ",0.1" * 4,
    )
    idle = [
        ((orders, history), "--complaint-prob", "0.5"),
        ((orders, history), "--complaint-prob", "0"),
        ((orders, history), "--return-prob", "0.5"),
        ((orders,), "--shop", "mine"),
        ((orders, slots), "--slots", 4),
        ((known,), "--effect", "0.2"),
    ]
    for number, (tables, *given) in enumerate(idle):
        words = ("init", *tables, "--yes", "--out", f"out{number}", *given)
        found = call(monkeypatch, capsys, *words)
        assert (found.code, Path(f"out{number}").exists()) == (2, False), found
        assert f"{given[0]}: would change nothing, as " in found.err
    bare = text(Path("b.csv"), "订单号,快递,省份", "1,中通,浙江")
    given = ["--complaint-prob", "0.05", "--return-prob", "0.04", "--effect", "0.2"]
    words = ("init", bare, "--yes", *given, "--shop", "mine", "--slots", 4)
    assert call(monkeypatch, capsys, *words).code == 0
    written = Path("premium.yaml").read_text("utf-8")
    for told in ("complaint_prob: 0.05", "return_prob: 0.04", "effect: 0.2", "mine"):
        assert told in written


@pytest.mark.parametrize("what", WRONG)
def test_tables_that_cannot_be_begun_with_are_refused(
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The refusal names the file and what to do, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    lines, message = WRONG[what]
    found = call(monkeypatch, capsys, "init", text(Path("o.csv"), *lines), "--yes")
    assert (found.code, "o.csv" in found.err) == (3, True)
    assert message in found.err
    assert list(Path().iterdir()) == [Path("o.csv")]


def test_other_refusals_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No file, a title above an Excel header, no orders, a file there."""
    monkeypatch.chdir(tmp_path)

    def said(*words: object) -> tuple[int, str]:
        found = call(monkeypatch, capsys, "init", *words, "--yes")
        return found.code, found.err

    assert said("none.csv") == (
        3,
        "error: none.csv: no such file; name the tables that you have\n",
    )
    slots = text(Path("c.csv"), "快递,上限", "中通,5")
    assert "none of the tables is one of orders" in said(slots)[1]
    book = openpyxl.Workbook()
    book.active.append(["十一月订单"])
    book.active.append(["订单号", "快递", "省份"])
    book.active.merge_cells("A1:C1")
    book.save("o.xlsx")
    assert "a title or a merged cell" in said("o.xlsx")[1]
    orders = text(Path("o.csv"), "订单号,快递,省份", "1,中通,浙江")
    assert said(orders)[0] == 0
    again = said(orders)
    assert again[0] == 2
    assert "premium.yaml: is there already" in again[1]
    assert said(orders, "--replace")[0] == 0
    assert "both orders" in said(orders, orders, "--replace")[1]


def test_carriers_that_nobody_knows_are_told_and_never_guessed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each unknown word with its rows and the nearest; the line shown is read."""
    monkeypatch.chdir(tmp_path)
    rows = ("1,中通,浙江", "2,飞天邮,浙江", "3,韵达大件,浙江", "4,飞天邮,浙江")
    path = text(Path("o.csv"), "订单号,快递,省份", *rows)
    found = propose.propose(sample.take_sample(path), {}, None)
    assert found.values == {"carrier_id": "known"}
    (note,) = found.notes
    assert "飞天邮 (2 rows), 韵达大件 (1 row; nearest: yunda): 3 rows" in note
    line = "carrier_id: {known: true, 飞天邮: CODE, 韵达大件: CODE}"
    assert f"under inputs.orders.values: {line}" in note
    assert call(monkeypatch, capsys, "init", path, "--slots", 1).code == 0
    as_told = line.replace("韵达大件: CODE", "韵达大件: yunda")
    written = Path("premium.yaml").read_text("utf-8")
    assert "carrier_id: known" in written
    Path("premium.yaml").write_text(written.replace("carrier_id: known", as_told))
    inputs = load_config("premium.yaml").inputs
    assert inputs is not None
    meant = inputs.orders.values["carrier_id"]
    assert (meant["韵达大件"], meant["中通"], meant["飞天邮"]) == (
        *("yunda", "zhongtong", "CODE"),
    )


def test_a_carrier_is_said_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--carrier makes a word a carrier of ours; a code that is none is refused."""
    monkeypatch.chdir(tmp_path)
    path = text(Path("o.csv"), "订单号,快递,省份", "1,中通,浙江", "2,韵达大件,浙江")
    wrong = call(monkeypatch, capsys, "init", path, "--carrier", "韵达大件=yundda")
    assert (wrong.code, "no carrier has the code 'yundda'" in wrong.err) == (2, True)
    right = call(
        monkeypatch, capsys, "init", path, "--slots", 1, "--carrier", "韵达大件=yunda"
    )
    assert right.code == 0
    assert "no carrier is known" not in right.out
    assert "premium is offered with zhongtong, yunda (policy" in right.out
    assert "yunda,浙江,1,1" in Path("capacity.csv").read_text("utf-8")


def test_a_night_says_who_unknown_carriers_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Validate and run name the words and their rows, and the line that says who."""
    monkeypatch.chdir(tmp_path)
    words = ("中通", "飞天邮", "韵达大件", "中通")
    rows = [f"{n},{words[n % 4]},浙江" for n in range(40)]
    orders = text(Path("o.csv"), "订单号,快递,省份", *rows)
    assert call(monkeypatch, capsys, "init", orders, "--slots", 2).code == 0
    assert call(monkeypatch, capsys, "learn", "--config", "premium.yaml").code == 0
    line = "carrier_id: {known: true, 韵达大件: CODE, 飞天邮: CODE}"
    dated = ("--config", "premium.yaml", "--date", DAY)
    for name in ("validate", "run"):
        said = call(monkeypatch, capsys, name, *dated)
        assert said.code == 0, said.err
        assert "under 韵达大件 (nearest: yunda), 飞天邮" in said.out
        assert f"under inputs.orders.values: {line}" in said.out
    assert "20 orders with carriers outside the roster" in said.out


def test_two_equal_numbers_of_an_order_are_no_question(tmp_path: Path) -> None:
    """Order ID and Order Number of a shop that does not number anew are one."""
    header = "Order ID,Order Number,Shipping Method Title,State Code (Shipping)"
    path = text(tmp_path / "o.csv", header, "1,1,ZTO,CN1", "2,2,ZTO,CN2")
    assert propose.propose(sample.take_sample(path), {}, None).unsure == ()
    path = text(tmp_path / "o.csv", header, "1,11,ZTO,CN1", "2,12,ZTO,CN2")
    (choice,) = propose.propose(sample.take_sample(path), {}, None).unsure
    assert (choice.written, choice.others) == ("Order ID", ("Order Number",))


AMOUNTS: dict[str, tuple[str, tuple[str, ...], str | None, str]] = {
    "a sign": ("实付金额", ("¥1,234.00", "￥20"), "cny", ""),
    "fen by name": ("实付金额（分）", ("123400", "2000"), "fen", ""),
    "fen perhaps": (
        "实付金额",
        ("123400", "2000"),
        None,
        "units: {order_value_cny: fen}",
    ),
    "dollars": ("Total", ("$12.50", "$1.00"), None, "is left out: Total is in $"),
}


@pytest.mark.parametrize("what", AMOUNTS)
def test_amounts_are_read_in_their_unit_or_said(what: str, tmp_path: Path) -> None:
    """A sign, fen by the column's name, fen perhaps, and other money."""
    name, values, unit, note = AMOUNTS[what]
    rows = [f'{n},中通,浙江,"{value}"' for n, value in enumerate(values)]
    path = text(tmp_path / "o.csv", f"订单号,快递,省份,{name}", *rows)
    found = propose.propose(sample.take_sample(path), {}, None)
    assert found.units.get("order_value_cny") == unit
    assert note in "".join(found.notes)
    assert ("order_value_cny" in {c.column for c in found.choices}) is (
        what != "dollars"
    )


def test_flags_in_chinese_are_told_apart(tmp_path: Path) -> None:
    """A flag's own words, and kinds of complaints of which one word means none."""
    header = "订单号,快递,省份,发货日期,是否投诉,物流退货"
    rows = ("1,中通,浙江,2026-11-01,是,拒收", "2,中通,浙江,2026-11-01,否,无")
    found = propose.propose(
        sample.take_sample(text(tmp_path / "h.csv", header, *rows)), {}, None
    )
    assert found.values["logistics_return"] == {"无": "false", "*": "true", "": "false"}
    assert "complaint" not in found.values


def test_orders_of_a_month_and_repeated_numbers_are_told(tmp_path: Path) -> None:
    """What would be one night of many days, and ids that a night refuses, are notes."""
    header = "订单号,快递,省份,付款时间"
    rows = [f"{n % 9},中通,浙江,2026-10-{1 + n:02d} 10:00" for n in range(10)]
    found = propose.propose(
        sample.take_sample(text(tmp_path / "o.csv", header, *rows)), {}, None
    )
    assert any("1 of 10 rows repeat one" in note for note in found.notes)
    assert any(
        "has 10 days in 10 rows, 2026-10-01 to 2026-10-10" in note
        for note in found.notes
    )
    rows = [f'="{n}",中通,浙江,2026-10-01' for n in range(3)]
    found = propose.propose(
        sample.take_sample(text(tmp_path / "o.csv", header, *rows)), {}, None
    )
    assert any("by which spreadsheets keep numbers" in note for note in found.notes)
    assert found.wrapped == ("order_id",)
    assert found.choices[0].shown == ("0", "1", "2")


def test_a_column_that_a_person_names_makes_the_table_known(tmp_path: Path) -> None:
    """Names that nobody knows are refused with --column, which then is enough."""
    path = text(tmp_path / "o.csv", "DDBH,WLGS,SHENG", "1,中通,浙江")
    with pytest.raises(DataError, match="--column order_id=DDBH"):
        propose.propose(sample.take_sample(path), {}, None)
    told = {"order_id": "DDBH", "carrier_id": "WLGS", "region_id": "SHENG"}
    found = propose.propose(sample.take_sample(path), told, None)
    assert (found.table, {c.column: c.written for c in found.choices}) == (
        "orders",
        told,
    )


def test_a_service_that_may_have_been_bought_or_given_is_told(tmp_path: Path) -> None:
    """One column of an ambiguous name is what was bought, with a note; of two each."""
    header = "订单号,快递,省份,发货日期,是否投诉,是否送货上门"
    path = text(tmp_path / "h.csv", header, "1,中通,浙江,2026-11-01,是,是")
    found = propose.propose(sample.take_sample(path), {}, None)
    assert {c.column for c in found.choices if c.written == "是否送货上门"} == {
        "is_premium"
    }
    assert any(
        "--column delivered_to_door=是否送货上门" in note for note in found.notes
    )
    path = text(
        tmp_path / "h.csv", header + ",音尊达", "1,中通,浙江,2026-11-01,是,是,是"
    )
    found = propose.propose(sample.take_sample(path), {}, None)
    read = {c.column: c.written for c in found.choices}
    assert (read["is_premium"], read["delivered_to_door"]) == ("音尊达", "是否送货上门")


def test_the_orders_number_of_shopify_is_no_persons_name(tmp_path: Path) -> None:
    """``Name`` beside Shopify's own columns is read; beside none of them it is not."""
    header = "Name,Financial Status,Shipping Method,Shipping Province"
    path = text(
        tmp_path / "o.csv", header, "#1001,paid,ZTO,浙江", "#1002,paid,ZTO,浙江"
    )
    found = propose.propose(sample.take_sample(path), {}, None)
    assert found.choices[0].written == "Name"
    path = text(tmp_path / "o.csv", "Name,Shipping Method", "Li,ZTO")
    with pytest.raises(DataError, match="personal data"):
        sample.take_sample(path)


def test_a_name_that_stands_twice_is_a_command_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that the refusal shows writes a table that is accepted."""
    monkeypatch.chdir(tmp_path)
    path = text(Path("o.csv"), "订单号,备注,快递,省份,备注", "1,a,中通,浙江,b")
    with pytest.raises(DataError, match="has the column '备注' twice") as refused:
        sample.take_sample(path)
    line = str(refused.value).splitlines()[-1].strip()
    exec(line.removeprefix('python -c "').removesuffix('"'), {})
    assert propose.propose(sample.take_sample("o-bare.csv"), {}, None).table == "orders"


def test_a_copy_without_personal_columns_is_a_command_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that the refusal shows writes a table that is accepted."""
    monkeypatch.chdir(tmp_path)
    header = "订单号;收货人;快递;省份"
    path = text(Path("o.csv"), header, "1;张;中通;浙江", encoding="gb18030")
    with pytest.raises(DataError) as refused:
        sample.take_sample(path)
    line = str(refused.value).splitlines()[-1].strip()
    program = line.removeprefix('python -c "').removesuffix('"')
    exec(program, {})
    assert sample.take_sample("o-bare.csv").rows.columns == ["订单号", "快递", "省份"]


def test_columns_under_a_merged_cell_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A name over two columns leaves one of them without: it is not passed over.

    Where the names stand in the second line, the command shown begins there.
    """
    monkeypatch.chdir(tmp_path)
    book = openpyxl.Workbook()
    book.active.append(["订单号", "收货", None, "快递"])
    book.active.append([None, "省份", "城市", None])
    for number in range(5):
        book.active.append([number, "浙江", "杭州", "中通"])
    book.active.merge_cells("B1:C1")
    book.save(tmp_path / "o.xlsx")
    with pytest.raises(DataError, match="1 of 4 column has values and no name"):
        sample.take_sample("o.xlsx")
    book = openpyxl.Workbook()
    book.active.append(["订单导出", None, None])
    for row in (["订单号", "省份", "快递"], [1, "浙江", "中通"]):
        book.active.append(row)
    book.active.merge_cells("A1:C1")
    book.save(tmp_path / "o.xlsx")
    with pytest.raises(DataError) as refused:
        sample.take_sample("o.xlsx")
    line = str(refused.value).splitlines()[-1].strip()
    exec(line.removeprefix('python -c "').removesuffix('"'), {})
    assert sample.take_sample("o-bare.csv").rows.columns == ["订单号", "省份", "快递"]


def test_one_command_mends_all_tables_that_a_copy_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Titles in a book and a name twice in a file: one refusal, one command."""
    monkeypatch.chdir(tmp_path)
    book = openpyxl.Workbook()
    book.active.append(["订单导出", None, None, None])
    for row in (["订单号", "省份", "快递", "商家"], ["1", "浙江", "中通", "m"]):
        book.active.append(row)
    book.active.merge_cells("A1:D1")
    book.save(tmp_path / "o.xlsx")
    lines = [
        "订单号,备注,日期,快递,省份,是否投诉,备注",
        "2,a,2026-11-01,中通,浙江,否,b",
    ]
    text(tmp_path / "h.csv", *lines)
    told = call(monkeypatch, capsys, "init", "o.xlsx", "h.csv", "--yes")
    assert told.code == 3
    assert "begin with o-bare.csv h-bare.csv" in told.err
    assert told.err.count("python -c") == 1
    line = next(one for one in told.err.splitlines() if "python -c" in one).strip()
    exec(line.removeprefix('python -c "').removesuffix('"'), {})
    made = ("init", "o-bare.csv", "h-bare.csv", "--yes")
    assert call(monkeypatch, capsys, *made).code == 0


ENCODINGS: dict[str, Any] = {
    "utf-8": "订单",
    "gb18030": "订单",
    "utf-16": "订单",
    "windows-1252": "Café, naïve",
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encodings_are_recognised(encoding: str, tmp_path: Path) -> None:
    """Each encoding by its own bytes, also where the sample ends inside of a sign."""
    word = ENCODINGS[encoding]
    lines = ["order_id;name_of_goods", *(f"{n};{word}" for n in range(50))]
    path = text(tmp_path / "o.csv", *lines, encoding=encoding)
    found = sample.take_sample(path)
    assert found.encoding == encoding
    assert found.rows["name_of_goods"].to_list() == [word] * 50


def test_an_encoding_that_is_not_what_it_says_is_refused(tmp_path: Path) -> None:
    """UTF-8 with cut signs is not taken for Chinese in another encoding, nor Köln."""
    good = "\n".join(["order_id,省份", *(f"{n},浙江省" for n in range(20))]).encode()
    path = tmp_path / "o.csv"
    path.write_bytes(good + "\n20,浙江".encode()[:-1] + b",\n")
    with pytest.raises(DataError, match="is mostly UTF-8 text, and line 22 holds"):
        sample.take_sample(str(path))
    path.write_bytes(b"\xef\xbb\xbf" + "order_id,省份\n1,浙江".encode("gb18030"))
    with pytest.raises(DataError, match="begins as UTF-8 text, and line 1 holds"):
        sample.take_sample(str(path))
    path.write_bytes("order_id,state\n1,Köln\n2,Zürich".encode("windows-1252"))
    found = sample.take_sample(str(path))
    assert (found.encoding, found.rows["state"][0]) == ("windows-1252", "Köln")


def test_large_tables_are_sampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound nothing is read, and the sample says that it is one."""
    monkeypatch.setattr(sample, "SAMPLE_BYTES", 1_000)
    monkeypatch.setattr(sample, "SAMPLE_ROWS", 20)
    lines = ["order_id,carrier,region", *(f"{n},中通,浙江" for n in range(500))]
    found = sample.take_sample(text(tmp_path / "o.csv", *lines))
    assert (found.is_whole, len(found.rows)) == (False, 20)
    pl.DataFrame({"order_id": range(500)}).write_parquet(tmp_path / "o.parquet")
    found = sample.take_sample(str(tmp_path / "o.parquet"))
    assert (found.is_whole, len(found.rows)) == (False, 20)


@pytest.mark.parametrize("form", ["csv", "gb18030", "csv.gz", "parquet", "arrow"])
def test_carriers_and_regions_after_the_sample_are_found(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Columns are known by the first rows; who delivers where, from all of them."""
    monkeypatch.setattr(sample, "SAMPLE_ROWS", 20)
    late = ["圆通", "西藏", "shop-2", "音尊达"]
    table = pl.DataFrame(
        {
            "订单号": [f"A-{n}" for n in range(500)],
            "快递": ["中通"] * 499 + late[:1],
            "省份": ["浙江"] * 498 + [None] + late[1:2],
            "店铺": ["shop-1"] * 499 + late[2:3],
            "配送服务": ["标准"] * 499 + late[3:],
            "是否投诉": ["否"] * 498 + ["是", "否"],
        }
    )
    path = tmp_path / {"gb18030": "o.csv"}.get(form, f"o.{form}")
    csv = table.write_csv().encode("gb18030" if form == "gb18030" else "utf-8")
    if form == "parquet":
        table.write_parquet(path)
    elif form == "arrow":
        table.write_ipc(path)
    else:
        path.write_bytes(gzip.compress(csv) if form == "csv.gz" else csv)
    found = propose.propose(sample.take_sample(str(path)), {}, None)
    assert (len(found.sample.rows), found.whole.num_rows) == (20, 500)
    assert found.whole.is_whole
    assert found.whole.counts("carrier_id") == {"中通": 499, "圆通": 1}
    assert found.whole.counts("region_id") == {"浙江": 498, "西藏": 1}
    assert found.whole.counts("merchant_id") == {"shop-1": 499, "shop-2": 1}
    assert found.values["is_premium"]["音尊达"] == "true"
    orders = table.drop("是否投诉", "配送服务").with_row_index("名次")
    orders.write_parquet(tmp_path / "n.parquet")
    given = propose.propose(sample.take_sample(str(tmp_path / "n.parquet")), {}, None)
    lines = written_capacity(given)
    assert lines[1:] == ["yuantong,西藏,7,1", "zhongtong,浙江,7,498"]


def written_capacity(orders: propose.Proposal) -> list[str]:
    """Lines of the capacity table that is laid out for a table of orders."""
    terms = write.Terms(
        complaint_cost_cny="1",
        return_cost_cny="1",
        fee_cny="1",
        shop="shop",
        slots=7,
        effect="0.3",
        complaint_prob="0.01",
        return_prob="0.02",
    )
    made = write.written({"orders": orders}, terms, Path())
    return made["capacity.csv"].splitlines()


def test_a_table_that_breaks_off_after_the_sample_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The beginning is proposed, with the fault: a run would refuse the table."""
    monkeypatch.setattr(sample, "SAMPLE_BYTES", 200)
    rows = [f"{n},中通,浙江" for n in range(100)]
    path = text(tmp_path / "o.csv", "订单号,快递,省份", *rows, '100,中通,"浙')
    found = propose.propose(sample.take_sample(path), {}, None)
    assert not found.whole.is_whole
    assert found.whole.counts("carrier_id") == {"中通": len(found.sample.rows)}
    assert any("later carriers and regions are missed" in n for n in found.notes)
    assert "the last quote is not closed" in found.notes[0]


def test_many_sentences_in_a_flag_are_not_all_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words that mean something stay, however many others there are."""
    monkeypatch.setattr(whole, "_MOST_WORDS", 5)
    rows = [f"{n},中通,浙江,reason {n}" for n in range(50)] + ["50,中通,浙江,无"]
    path = text(tmp_path / "h.csv", "订单号,快递,省份,投诉", *rows)
    found = propose.propose(sample.take_sample(path), {}, None)
    assert {*found.whole.words["complaint"]} == {"无", "reason 0"}
    assert found.values["complaint"] == {"无": "false", "*": "true", "": "false"}


def test_an_order_number_called_name_is_taken_if_it_looks_like_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--column order_id=Name``: #1001 is read, by the night too; names never are."""
    monkeypatch.chdir(tmp_path)
    header = "Name,Shipping Method,Shipping Province"
    rows = [f"#{1001 + n},ZTO,浙江" for n in range(60)]
    path = text(Path("o-2026-11-22.csv"), header, *rows)
    said = call(monkeypatch, capsys, "init", path, "--yes")
    assert said.code == 3
    assert "say so: --column order_id=Name" in said.err
    named = ("init", path, "--yes", "--slots", 9, "--column", "order_id=Name")
    assert call(monkeypatch, capsys, *named).code == 0
    night = ("--config", "premium.yaml", "--date", DAY)
    assert call(monkeypatch, capsys, "learn", *night[:2]).code == 0
    checked = call(monkeypatch, capsys, "validate", *night)
    assert checked.code == 0, checked.err
    for person in ("Li Wei", "张三", "13800138000", "12 Main Street"):
        text(Path(path), header, *rows, f"{person},ZTO,浙江")
        again = call(monkeypatch, capsys, *named, "--replace")
        assert again.code == 3
        assert "column Name is named as an id" in again.err
        assert person not in again.err
        refused = call(monkeypatch, capsys, "validate", *night)
        assert refused.code == 3
        assert "do not look like order numbers" in refused.err


def test_a_column_is_named_for_the_table_that_has_it(tmp_path: Path) -> None:
    """Orders and history may call the order's number differently."""
    text(tmp_path / "o.csv", "Name,快递,省份", "#1,中通,浙江")
    text(tmp_path / "h.csv", "订单号,快递,省份,是否投诉", "1,中通,浙江,否")
    places = [str(tmp_path / name) for name in ("o.csv", "h.csv")]
    told = command.Told({"order_id": "Name"}, {})
    found = command._proposals(places, told, may_ask=False)
    read = {kind: p.choices[0].written for kind, p in found.items()}
    assert read == {"orders": "Name", "outcomes": "订单号"}
    with pytest.raises(DataError, match="has no column 'Nmae', chosen for order_id"):
        command._proposals(
            places[1:], command.Told({"order_id": "Nmae"}, {}), may_ask=False
        )


#: Further columns of orders and capacity, what is written, and what is told.
LIMITED: dict[str, tuple[str, str, str, str, str]] = {
    "loads": ("件数", "2", "", "", "explore_share: 0 .*loads"),
    "pins": ("pin", "must", "", "", "share: 0 .*pins, which ask .*explore_share: 0"),
    "floors": ("x", "", "min_parcels", "1", "share: 0 .*floors.*explore_share: 0"),
    "crossing rows": ("x", "", "y", "", "explore_share: 0 .*rows that do not nest"),
    "units": ("load_kg", "3", "resource", "kg", "resources:\n  - kg.*units beside"),
}


@pytest.mark.parametrize("kind", LIMITED)
def test_what_is_begun_is_accepted_by_the_next_commands(
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is left to chance that these tables leave no room for."""
    monkeypatch.chdir(tmp_path)
    more, value, column, cell, words = LIMITED[kind]
    rows = [f"{n},中通,浙江,0.5,0.2,0.1,0.05,{value}" for n in range(60)]
    harms = "complaint_prob_standard,complaint_prob_premium"
    harms += ",return_prob_standard,return_prob_premium"
    text(Path("o-2026-11-22.csv"), f"订单号,快递,省份,{harms},{more}", *rows)
    lines = ["zhongtong,浙江,5,"]
    lines += [",浙江,4,"] if kind == "crossing rows" else []
    named = f"carrier_id,region_id,slots,{column or 'y'}"
    text(Path("c.csv"), named, *lines, f"zhongtong,,9,{cell}")
    said = call(monkeypatch, capsys, "init", "o-2026-11-22.csv", "c.csv", "--yes")
    assert said.code == 0, said.err
    written = Path("premium.yaml").read_text("utf-8")
    assert re.search(words, written, re.DOTALL), written
    assert (kind == "units") == ("rows count kg too" in said.out)
    night = ("--config", "premium.yaml", "--date", "2026-11-22")
    for name in ("validate", "run"):
        found = call(monkeypatch, capsys, name, *night)
        assert found.code == 0, found.err


def test_units_that_only_one_of_the_tables_has_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A load that no row counts, and rows that count what no order says."""
    monkeypatch.chdir(tmp_path)
    text(Path("o.csv"), "订单号,快递,省份,load_kg", "1,中通,浙江,3")
    said = call(monkeypatch, capsys, "init", "o.csv", "--yes", "--slots", 3)
    assert "not read: load_kg; where slots count such units" in said.out
    text(Path("c.csv"), "carrier_id,slots,resource", "zhongtong,5,", "zhongtong,9,min")
    said = call(monkeypatch, capsys, "init", "o.csv", "c.csv", "--yes", "--replace")
    assert "the orders have no column load_min, which these rows count" in said.out


def test_one_command_copies_all_tables_without_personal_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every table is named at once; what the command writes can be begun with."""
    monkeypatch.chdir(tmp_path)
    text(Path("o.csv"), "订单号,收货人,快递,省份", "1,张,中通,浙江")
    lines = ("订单号;下单日期;手机号;快递;是否投诉", "1;2026-11-01;138;中通;否")
    Path("old").mkdir()
    for month in ("09", "10"):
        text(Path(f"old/{month}.csv"), *lines, encoding="gb18030")
    said = call(monkeypatch, capsys, "init", "o.csv", "old", "--yes")
    assert said.code == 3
    assert "o.csv: looks like it holds personal data in 1 column: 收货人" in said.err
    assert (
        "old/*.csv: looks like it holds personal data in 1 column: 手机号" in said.err
    )
    assert "begin with o-bare.csv old-bare.csv" in said.err
    (line,) = [each for each in said.err.splitlines() if "python -c" in each]
    exec(line.strip().removeprefix('python -c "').removesuffix('"'), {})
    assert pl.read_csv("old-bare.csv").height == 2
    begun = call(monkeypatch, capsys, "init", "o-bare.csv", "old-bare.csv", "--yes")
    assert begun.code == 0, begun.err


def test_the_next_commands_are_those_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Learn, validate, run, verify; and returns that cost nothing need no column."""
    monkeypatch.chdir(tmp_path)
    text(Path("o-2026-11-22.csv"), "订单号,快递,省份", "1,中通,浙江")
    header = "订单号,下单日期,快递,省份,是否投诉"
    text(Path("h.csv"), header, "1,2026-11-01,中通,浙江,否")
    words = ("init", "o-2026-11-22.csv", "h.csv", "--yes", "--slots", 2)
    said = call(monkeypatch, capsys, *words, "--return-cost", 0).out
    begun = said.partition("next:\n")[2].split("\n")
    assert [line.split()[1] for line in begun if line] == [
        *("learn", "validate", "run", "verify")
    ]
    (line,) = [each for each in said.splitlines() if "logistics_return" in each]
    assert line.endswith("(no column): not needed, since a return costs nothing")
    said = call(monkeypatch, capsys, *words, "--replace", "--return-cost", 9).out
    (line,) = [each for each in said.splitlines() if "  logistics_return" in each]
    assert line.endswith("(no column): its risk is stated, not learned")


def test_a_history_without_returns_begins_without_their_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Nothing is invented of returns, and some of the plan is kept back and explored.

    What was promised can then be held against complaints, which are all that is known.
    """
    monkeypatch.chdir(tmp_path)
    rows = [f"{n},中通,浙江" for n in range(2_000)]
    text(Path("o-2026-11-22.csv"), "订单号,快递,省份", *rows)
    text(
        Path("h.csv"), "订单号,下单日期,快递,省份,是否投诉", "1,2026-11-01,中通,浙江,否"
    )
    words = ("init", "o-2026-11-22.csv", "h.csv", "--yes")
    said = call(monkeypatch, capsys, *words).out
    assert "a return nothing, as the history has none" in said
    config = load_config("premium.yaml")
    assert (config.objective.return_cost_cny, config.counts_returns) == (0, False)
    assert config.learning.prior is not None
    assert config.learning.prior.harm_probs() == (None, None)
    shares = config.holdout.share, config.holdout.explore_share
    assert shares == (Decimal("0.2"), Decimal("0.1"))
    call(monkeypatch, capsys, *words, "--replace", "--return-cost", 9)
    assert load_config("premium.yaml").objective.return_cost_cny == 9
    text(Path("o-2026-11-22.csv"), "订单号,快递,省份", *rows[:100])
    call(monkeypatch, capsys, *words, "--replace")
    few = load_config("premium.yaml").holdout
    assert (few.share, few.explore_share) == (Decimal("0.5"), Decimal("0.5"))


def test_a_damaged_file_is_a_refusal(tmp_path: Path) -> None:
    """A reader's error names the file."""
    (tmp_path / "o.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(DataError, match=r"o\.parquet"):
        sample.take_sample(str(tmp_path / "o.parquet"))


def test_capacity_is_laid_out_to_be_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without slots, each carrier and region stands there with its demand."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{n},{'ZTO' if n % 3 else '圆通'},浙江" for n in range(30)]
    orders = text(Path("orders-2026-11-22.csv"), "订单号,快递,省份", *rows)
    begun = call(monkeypatch, capsys, "init", orders)
    assert "fill in the column slots of capacity.csv" in begun.out
    assert "--date 2026-11-22" in begun.out
    assert Path("capacity.csv").read_text("utf-8").splitlines() == [
        "carrier_id,region_id,slots,demand",
        "yuantong,浙江,,10",
        "zhongtong,浙江,,20",
    ]
    run = ("run", "--config", "premium.yaml", "--date", DAY)
    unfilled = call(monkeypatch, capsys, "learn", "--config", "premium.yaml")
    assert "for any night: optimizer run --config premium.yaml" in unfilled.out
    unfilled = call(monkeypatch, capsys, *run)
    assert unfilled.code == 3
    assert "slots is empty in all of its 2 rows: it is not filled in" in unfilled.err
    config = load_config("premium.yaml")
    assert config.inputs is not None
    assert config.inputs.orders.path == "orders-{date}.csv"


def test_an_export_without_regions_becomes_a_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its carriers' slots hold everywhere, in a row without a region."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{n},{'ZTO' if n % 3 else '圆通'}" for n in range(300)]
    orders = text(Path("orders-2026-11-22.csv"), "订单号,快递", *rows)
    assert call(monkeypatch, capsys, "init", orders, "--slots", "20").code == 0
    assert call(monkeypatch, capsys, "learn", "--config", "premium.yaml").code == 0
    run = call(monkeypatch, capsys, "run", "--config", "premium.yaml", "--date", DAY)
    assert run.code == 0, run.err
    lines = Path("capacity.csv").read_text("utf-8").splitlines()
    assert lines[1:] == ["yuantong,,20,100", "zhongtong,,20,200"]


@pytest.mark.parametrize(
    ("day", "amount"),
    [
        ("订单付款时间", "买家实际支付金额"),
        ("订单支付时间", "订单实付金额"),
        ("成交时间", "订单总额"),
    ],
)
def test_names_with_the_order_before_them_are_known(day: str, amount: str) -> None:
    """An export that writes 订单 before its columns' names needs no ``--column``."""
    assert plain(day) in {plain(name) for name in OUTCOME_NAMES["date"]}
    assert plain(amount) in {plain(name) for name in ORDER_NAMES["order_value_cny"]}
