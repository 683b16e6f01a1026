"""Personal data is refused by name and by look, and never repeated in a message."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

import optimizer
from optimizer.cli.main import app
from optimizer.contracts.tables import CAPACITY, ORDERS, TABLES
from optimizer.errors import DataError
from optimizer.io.cells import CellRules
from optimizer.io.privacy import looks_personal
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.read import open_source, read_batches
from optimizer.io.validate import check_batch
from tests.support.nights import DATE, capacity_of, config_of, orders_of

if TYPE_CHECKING:
    from pathlib import Path

PERSONAL_COLUMNS = [
    *("phone", "PHONE", "receiver_tel", "receiverTel", "mobile_no", "contact-phone"),
    *("email", "buyer_email", "E-Mail", "wechat_id", "address", "addr_line_1"),
    *("delivery.address", "street", "recipient", "consignee", "buyerName", "name"),
    *("full_name", "FirstName", "last name", "passport", "birthday", "id_card"),
    *("idcard", "ID_NUMBER", "姓名", "收件人", "收货人姓名", "手机号", "联系电话"),
    *("收货地址", "买家昵称", "身份证号", "邮箱", "微信号"),
    *("customer_name", "userName", "member-name", "username", "phone2", "tel1"),
    *("phone_num", "联系方式", "手机号标识"),
    *("mobileno", "PhoneNumber", "電話", "收貨人", "手機號碼", "聯絡人"),
    *("phones", "emails", "addresses", "receivers", "ＰＨＯＮＥ", "姓 名", "家庭住址"),
    *("cust_name", "客户名称", "会员名", "旺旺", "wangwang", "qq", "QQ号", "openid"),
    *("birth_date", "date_of_birth", "id_no", "护照号", "银行卡号", "bank_card"),
    *("house_number", "room_no", "given_name", "family_name", "shouji", "dianhua"),
    *("xingming", "ship_to_name", "billing_name", "address_line2"),
]
PERSONAL_VALUES = [
    *("13800138000", "138 0013 8000", "138-0013-8000", "+8613800138000"),
    *("86 13800138000", " 19912345678 ", "138****8000", "1380013****", "王*", "李**"),
    *("a.b@example.com", "A_B+c@mail.example.cn"),
    *("11010519491231002X", "11010519491231002x", "440524188001010014"),
    *("008613800138000", "(+86)13800138000", "138.0013.8000", "138–0013–8000"),
    *("138\u00a00013\u00a08000", "１３８００１３８０００", "＋8613800138000"),
    *("1380 0138 000", "138-001-38000", "tel:13800138000", "[13800138000]"),
    *("010-62345678", "0755-8234567", "(021)62345678", "+86 10-62345678"),
    *("+852 2345 6789", "+1 415-555-0123", "u1＠qq.com", "u1@例子.中国"),
    *("138xxxx8000", "138••••8000", "138＊＊＊＊8000", "王*明", "*明"),
    *("110105 19491231 002X", "１１０１０５１９４９１２３１００２X"),
]
#: Of ids alone: a rule for spreadsheets would else be broken first, and say the value.
DRESSED_VALUES = [
    *("'13800138000", '="13800138000"', "13800138000.0", '"13800138000"'),
    *("o-13800138000", "13800138000_1", "20261122-13800138000"),
]
HARMLESS_VALUES = [
    *("o-17", "20261122-AB12CD", "1234567", "12800138000", "138001380001"),
    *("110105194912310021", "44052418800101001", "CN-11", "海淀区", "a@b", "@", ""),
    *("f" * 32, "gift", "SF1380013800013", "*", "2026-11-22"),
    *("001-2345678", "21-2345678", "1380-0138-0001", "138.0013", "+1", "x" * 40),
    *("330000000138001380", "2026-11-22 12:00:00", "17-0000-00123", "0x1380013800"),
]


@pytest.mark.parametrize("column", PERSONAL_COLUMNS)
def test_a_column_that_names_a_person_is_refused(column: str) -> None:
    """Even if the contract ignores it: the table should not have come here."""
    frame = pl.DataFrame({"carrier_id": ["yunda"], "slots": [1], column: ["S3CRET"]})

    with pytest.raises(DataError, match="personal data in column") as caught:
        open_source(frame, CAPACITY)
    assert column in str(caught.value)
    assert "S3CRET" not in str(caught.value)


OF_A_KIND = [
    *("mail_class", "is_mobile", "address_type", "recipient_type", "email_opt_in"),
    *("contact_rate", "isMobile", "has_email", "num_contacts", "phone_verified"),
    *("buyer_level", "receiver-kind", "sms_opt_out", "mobile_channel", "mail_count"),
    *("是否手机下单", "地址类型", "买家等级", "联系人数量", "电话次数"),
    *("phone_hash", "email_sha256", "phone_md5", "buyer_id_hash", "receiver_city"),
    *("phone_brand", "mobile_os", "mobile_app_version", "buyer_segment", "mail_no"),
    *("mailNo", "address_id", "contact_attempts", "手机型号", "收货城市", "收货地区"),
]


@pytest.mark.parametrize("column", OF_A_KIND)
def test_a_column_of_a_kind_is_dropped_unread(column: str) -> None:
    """It is about mail, devices or addresses, and is nobody's; the source names it."""
    frame = pl.DataFrame({"carrier_id": ["yunda"], "slots": [1], column: ["x"]})
    source = open_source(frame, CAPACITY)
    assert source.unread == (column,)
    (batch,) = read_batches(source)
    assert column not in batch.columns


def test_a_row_taken_for_the_header_is_refused() -> None:
    """What is personal is not a name of a column, and is not repeated."""
    frame = pl.DataFrame({"carrier_id": ["a"], "slots": [1], "13800138000": ["x"]})
    with pytest.raises(DataError, match="is the header missing") as caught:
        open_source(frame, CAPACITY)
    assert "13800138000" not in str(caught.value)


NOT_PERSONAL = CellRules(not_personal=("order_id", "receiver_name", "outlet_id"))


def test_what_is_declared_no_persons_is_read() -> None:
    """By its name, and as numbers; nothing else that looks personal."""
    phones = [f"1{3 + n % 7}{(n * 7_919_123_457) % 10**9:09d}" for n in range(60)]
    frame = orders_with("order_id", phones)
    with pytest.raises(DataError, match=r"privacy\.allow"):
        check(frame)
    assert check(frame, rules=NOT_PERSONAL) == 60
    named = frame.with_columns(receiver_name=pl.lit("x"))
    assert check(named, rules=NOT_PERSONAL) == 60
    for value in ("a.b@example.com", "138****8000", "11010519491231002X"):
        with pytest.raises(DataError, match="outlet_id"):
            check(orders_with("outlet_id", [value] * 10), rules=NOT_PERSONAL)
    with pytest.raises(DataError, match="column phone"):
        check(frame.with_columns(phone=pl.lit("x")), rules=NOT_PERSONAL)


COUNTERS = {
    "one by one": range(13_000_000_000, 13_000_000_200),
    "spaced": range(15_500_000_000, 15_500_019_400, 97),
    "across the beginning": range(12_999_999_990, 13_000_000_190),
    "of a busy platform": range(18_600_000_000, 18_600_900_000, 4_500),
}


@pytest.mark.parametrize("numbers", COUNTERS.values(), ids=COUNTERS)
def test_a_counter_is_no_phone_number(numbers: range) -> None:
    """In whatever order its ids come."""
    values = [str(n) for n in numbers]
    assert check(orders_with("order_id", values)) == len(values)
    turned = [values[(7 * n) % len(values)] for n in range(len(values))]
    assert check(orders_with("order_id", turned)) == len(values)


@pytest.mark.parametrize("num_prefixes", [1, 3, 40])
def test_phone_numbers_are_refused_from_few_prefixes_too(num_prefixes: int) -> None:
    """Numbers by lot, within one prefix or many; the message holds none of them."""
    rng = np.random.default_rng(5)
    prefixes = rng.permutation(np.arange(130, 200))[:num_prefixes]
    values = [
        f"{prefix}{rest:08d}"
        for prefix, rest in zip(
            rng.choice(prefixes, 500), rng.integers(0, 10**8, 500), strict=True
        )
    ]
    with pytest.raises(DataError, match="order_id") as caught:
        check(orders_with("order_id", values))
    assert not [value for value in values if value in str(caught.value)]


def test_phone_numbers_in_clumps_are_refused() -> None:
    """Many numbers of each of two prefixes lie close, and as far apart as prefixes."""
    values = [str(p * 10**8 + 3_000 * n) for p in (130, 199) for n in range(300)]
    with pytest.raises(DataError, match="order_id"):
        check(orders_with("order_id", values))


@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow"])
def test_files_are_refused_before_a_row_is_read(suffix: str, tmp_path: Path) -> None:
    """All columns are named at once, with the file."""
    frame = pl.DataFrame({"carrier_id": "a", "slots": 1, "手机": "x", "mail": "y"})
    path = tmp_path / f"capacity.{suffix}"
    writers = {"csv": "write_csv", "parquet": "write_parquet", "arrow": "write_ipc"}
    getattr(frame, writers[suffix])(path)

    with pytest.raises(DataError, match=f"^{path}: .* column 手机, mail; export"):
        open_source(path, CAPACITY)


def test_ordinary_columns_are_not_mistaken() -> None:
    """No column of a contract, nor usual others, counts as personal."""
    names = {n for table in TABLES for n in table.column_names}
    usual = ["sku", "weight_kg", "city", "warehouse", "hotel_zone", "named_day", "品类"]
    usual += ["merchant_name", "carrier_name", "region_name", "owned_by", "telling"]
    required = {"carrier_id": ["a"], "slots": [1]}
    frame = pl.DataFrame({name: ["x"] for name in [*names, *usual]} | required)
    wanted = frame.select(*required, *(names - set(CAPACITY.column_names)), *usual)

    assert open_source(wanted, CAPACITY).columns == ("carrier_id", "slots")


@pytest.mark.parametrize("value", PERSONAL_VALUES)
def test_personal_values_look_personal(value: str) -> None:
    """Phone, e-mail, masked and identity numbers in their usual spellings."""
    assert looks_personal(value)


@pytest.mark.parametrize("value", HARMLESS_VALUES)
def test_ids_do_not_look_personal(value: str) -> None:
    """Ids, places and wrong check digits are not mistaken."""
    assert not looks_personal(value)


def orders_with(column: str, values: list[str | None]) -> pl.DataFrame:
    """Sound orders, one column given."""
    num_rows = len(values)
    return pl.DataFrame(
        {
            "order_id": [f"o{row}" for row in range(num_rows)],
            "merchant_id": "m1",
            "region_id": "r1",
            "complaint_prob_standard": 0.1,
            "return_prob_standard": 0.1,
        }
        | {column: pl.Series(values, dtype=pl.String)}
    )


def check(
    frame: pl.DataFrame, batch_rows: int = 1_000, rules: CellRules | None = None
) -> int:
    """Number of rows that pass."""
    source, log = open_source(frame, ORDERS, rules=rules), QuarantineLog()
    batches = read_batches(source, batch_rows=batch_rows)
    return sum(len(check_batch(batch, source, log)) for batch in batches)


@pytest.mark.parametrize("value", PERSONAL_VALUES)
@pytest.mark.parametrize("column", ["order_id", "merchant_id", "outlet_id"])
def test_ids_made_of_personal_data_are_refused_unseen(column: str, value: str) -> None:
    """The message names the column and the cure, never the value."""
    with pytest.raises(DataError, match=f"column {column} look like") as caught:
        check(orders_with(column, [value] * 10))
    assert value.strip() not in str(caught.value)
    assert "hashed ids" in str(caught.value)


@pytest.mark.parametrize("share", [0.4, 0.6])
def test_the_share_of_phone_numbers_is_one_of_rows(share: float) -> None:
    """Not of different values: of four, three are phone numbers."""
    num_phones = int(1_000 * share)
    few_phones = ["13800138000", "13911112222", "18612345678"]
    phones = [few_phones[n % 3] for n in range(num_phones)]
    others = ["shop"] * (1_000 - num_phones)
    frame = orders_with("merchant_id", phones + others)
    if share < 0.5:
        assert check(frame) == 1_000
        return
    with pytest.raises(DataError, match="column merchant_id look like"):
        check(frame)


@pytest.mark.parametrize(("num_cards", "is_refused"), [(900, False), (1_100, True)])
def test_identity_numbers_are_told_from_long_ids(
    num_cards: int, is_refused: bool
) -> None:
    """By the checksum of each, among 2,000 numbers of the same length."""
    rng = np.random.default_rng(5)
    weights = 2 ** np.arange(17, 0, -1)
    numbers = rng.integers(0, 10, (2_000, 17))
    turn = np.arange(2_000) >= num_cards  # from here on the last sign is another
    last = ["10X98765432"[n] for n in (numbers @ weights + turn) % 11]
    ids = ["".join(map(str, n)) + sign for n, sign in zip(numbers, last, strict=True)]
    assert sum(map(looks_personal, ids)) == num_cards
    frame = orders_with("order_id", ids)
    if not is_refused:
        assert check(frame, 2_000) == 2_000
        return
    with pytest.raises(DataError, match="column order_id look like"):
        check(frame, 2_000)


@pytest.mark.parametrize("value", DRESSED_VALUES)
def test_what_stands_around_a_number_does_not_hide_it(value: str) -> None:
    """Marks of spreadsheets and parts of an id; the message holds no digit of it."""
    rng = np.random.default_rng(3)
    others = [f"1{n:010d}" for n in rng.integers(3 * 10**9, 10**10, 10)]
    values = [value.replace("13800138000", number) for number in others]
    with pytest.raises(DataError, match="column order_id look like") as caught:
        check(orders_with("order_id", values))
    assert not [number for number in others if number in str(caught.value)]


@pytest.mark.parametrize("value", ["'13800138000", "=13800138000", " 13800138000"])
def test_a_broken_row_does_not_say_its_phone_number(value: str) -> None:
    """A few such ids are no column of them; the rule is said, and no digit."""
    frame = orders_with("order_id", [value, "o-2", "o-3"])
    source, log = open_source(frame, ORDERS), QuarantineLog()
    for batch in read_batches(source):
        check_batch(batch, source, log)
    with pytest.raises(DataError, match="order_id") as caught:
        log.refuse_beyond(Decimal(0), {"orders": 3}, {"orders": source})
    assert "13800138000" not in str(caught.value)


def test_a_repeated_order_does_not_say_its_phone_number() -> None:
    """The rows are enough to find it."""
    names = ["13800138000", "13800138000", *(f"o-{n}" for n in range(8))]
    with pytest.raises(DataError, match="rows 1, 2") as caught:
        optimizer.allocate(
            orders_of(("m1",), 10, order_id=names), capacity_of(), config=config_of()
        )
    assert "13800138000" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "is_fine"),
    [
        ("送到中关村大街1号", False),
        ("3栋2单元501室", False),
        ("12 Main Street", False),
        ("收件人：王小明", False),
        ("王女士不在家", False),
        ("偏远中转", True),
        ("2号线停运", True),
        ("buyer prefers the station", True),
        ("退款中，3天后", True),
        ("100 % full", True),
    ],
)
def test_names_and_addresses_in_free_text_are_refused(text: str, is_fine: bool) -> None:
    """A house, a room, a name with its title; a reason says none of them."""
    frame = orders_with("ineligible_reason", [None, text])
    if is_fine:
        assert check(frame) == 2
    else:
        with pytest.raises(DataError, match="names, addresses") as caught:
            check(frame)
        assert text not in str(caught.value)


def test_a_thin_counter_is_one_where_it_keeps_to_a_narrow_range() -> None:
    """A platform of fifty million orders, of which a few hundred are here."""
    rng = np.random.default_rng(11)
    values = [str(n) for n in rng.integers(13_000_000_000, 13_050_000_000, 300)]
    assert check(orders_with("order_id", values)) == 300
    prefixed = [f"o-{value}" for value in values]
    assert check(orders_with("order_id", prefixed)) == 300


@pytest.mark.parametrize(("num_alike", "is_fine"), [(1, True), (5, True), (6, False)])
def test_ids_may_look_like_a_phone_by_chance(num_alike: int, is_fine: bool) -> None:
    """Up to half of a column may; nulls do not count as other values."""
    values = ["13800138000"] * num_alike + ["o-1"] * (10 - num_alike) + [None] * 90
    frame = orders_with("outlet_id", values)

    if is_fine:
        assert check(frame) == 100
    else:
        with pytest.raises(DataError, match="outlet_id"):
            check(frame)


@pytest.mark.parametrize(
    ("text", "is_fine"),
    [
        ("call 138 0013 8000 before noon", False),
        ("请先打13800138000，谢谢", False),
        ("answer to a.b@example.com.", False),
        ("card 11010519491231002X shown", False),
        ("card 110105194912310021 shown", True),
        ("waybill SF1380013800013 lost", True),
        ("13800138000123 is its number", True),
        ("refund on 2026-11-22, 12:00", True),
    ],
)
def test_a_sentence_is_refused_by_any_part_of_it(text: str, is_fine: bool) -> None:
    """A number in a sentence is found; within another number or id it is none."""
    frame = orders_with("ineligible_reason", [None, text])

    if is_fine:
        assert check(frame) == 2
    else:
        with pytest.raises(DataError, match="ineligible_reason"):
            check(frame)


def test_free_text_is_refused_at_the_first_such_value() -> None:
    """One phone number as a reason is one too many, in whatever batch it stands."""
    reasons: list[str | None] = ["gift"] * 50 + ["13800138000"] + ["gift"] * 49

    assert check(orders_with("ineligible_reason", ["gift"] * 100), batch_rows=10) == 100
    with pytest.raises(DataError, match="ineligible_reason") as caught:
        check(orders_with("ineligible_reason", reasons), batch_rows=10)
    assert "13800138000" not in str(caught.value)


@pytest.mark.slow
def test_what_was_allowed_and_what_was_not_read_is_on_record(tmp_path: Path) -> None:
    """With its reason; the second statement reads the same, and the night holds."""
    orders = orders_of(receiver_name="x", mail_class="y")
    orders.write_parquet(tmp_path / "orders.parquet")
    capacity_of().write_csv(tmp_path / "capacity.csv")
    allowed = {"columns": ["receiver_name"], "reason": "name of a locker"}
    config = config_of(
        inputs={
            "orders": str(tmp_path / "orders.parquet"),
            "capacity": str(tmp_path / "capacity.csv"),
        },
        output=str(tmp_path / "runs"),
        privacy={"allow": allowed},
    )
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    call = ["--config", str(path), "--date", DATE]
    said = CliRunner().invoke(app, ["validate", *call]).output
    assert "orders: not read, as no rule asks for it: receiver_name, mail_class" in said
    done = CliRunner().invoke(app, ["run", *call], obj={})
    assert done.exit_code == 0, done.output
    record = json.loads((tmp_path / "runs" / DATE / "run.json").read_text())
    assert record["config"]["privacy"] == {"allow": allowed}
    assert record["inputs"]["orders"]["unread"] == ["receiver_name", "mail_class"]
    done = CliRunner().invoke(app, ["verify", str(tmp_path / "runs" / DATE)])
    assert (done.exit_code, "holds" in done.output) == (0, True), done.output
