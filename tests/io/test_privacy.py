"""Personal data is refused by name and by look, and never repeated in a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from optimizer.contracts.tables import CAPACITY, ORDERS, TABLES
from optimizer.errors import DataError
from optimizer.io.privacy import looks_personal
from optimizer.io.read import open_source, read_batches
from optimizer.io.validate import QuarantineLog, check_batch

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
    *("mobileno", "PhoneNumber", "電話", "收貨人", "手機號碼", "聯絡人"),
]
PERSONAL_VALUES = [
    *("13800138000", "138 0013 8000", "138-0013-8000", "+8613800138000"),
    *("86 13800138000", " 19912345678 ", "138****8000", "1380013****", "王*", "李**"),
    *("a.b@example.com", "A_B+c@mail.example.cn"),
    *("11010519491231002X", "11010519491231002x", "440524188001010014"),
]
HARMLESS_VALUES = [
    *("o-17", "20261122-AB12CD", "1234567", "12800138000", "138001380001"),
    *("110105194912310021", "44052418800101001", "CN-11", "海淀区", "a@b", "@", ""),
    *("f" * 32, "gift", "SF1380013800013", "*", "2026-11-22"),
]


@pytest.mark.parametrize("column", PERSONAL_COLUMNS)
def test_a_column_that_names_a_person_is_refused(column: str) -> None:
    """Even if the contract ignores it: the table should not have come here."""
    frame = pl.DataFrame({"carrier_id": ["yunda"], "slots": [1], column: ["S3CRET"]})

    with pytest.raises(DataError, match="personal data in column") as caught:
        open_source(frame, CAPACITY)
    assert column in str(caught.value)
    assert "S3CRET" not in str(caught.value)


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


def check(frame: pl.DataFrame, batch_rows: int = 1_000) -> int:
    """Number of rows that pass."""
    source, log = open_source(frame, ORDERS), QuarantineLog()
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
