"""The first configuration out of tables that are not files: sampled, and then read."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from optimizer.errors import ConfigError, DataError
from optimizer.recognize import sample
from tests.support.places import SENTINEL, Place
from tests.support.small_night import DAY, call


def export(num_rows: int = 300) -> pl.DataFrame:
    """Orders as a shop's database has them: its names, words, amounts and times."""
    words = ("中通快递", "圆通速递", "飞天邮")
    return pl.DataFrame(
        {
            "订单编号": [700_000 + n for n in range(num_rows)],
            "快递公司": [words[n % 3] for n in range(num_rows)],
            "收货省份": [("浙江省", "广东省")[n % 2] for n in range(num_rows)],
            "实付金额": [f"¥{n + 1:,}.50" for n in range(num_rows)],
            "是否可上门": [("可以", "无")[n % 2] for n in range(num_rows)],
            "Order No.": ["x"] * num_rows,
        }
    )


def test_a_table_in_any_place_becomes_a_night(
    tmp_path: Path,
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """
    Init samples the address, and writes it without a secret; what it wrote is read.

    The merchant that no column names, words of carriers and flags, and amounts that are
    text are read from databases as they are from files.
    """
    monkeypatch.chdir(tmp_path)
    place.put("shop_orders", export())
    address = place.address("shop_orders")
    day = address.replace("{date}", str(DAY))
    begun = call(monkeypatch, capsys, "init", day, "--slots", 5, "--yes")
    assert begun.code == 0, begun.err
    assert "orders (300 rows)" in begun.out
    assert "飞天邮 (100 rows)" in begun.out
    written = Path("premium.yaml").read_text("utf-8")
    assert address in written.replace("\n", "").replace("  ", "")
    assert SENTINEL not in begun.out + begun.err + written
    assert call(monkeypatch, capsys, "learn", "--config", "premium.yaml").code == 0
    dated = ("--config", "premium.yaml", "--date", DAY)
    checked = call(monkeypatch, capsys, "validate", *dated)
    assert checked.code == 0, checked.err
    assert "orders: 300 rows" in checked.out
    assert "quarantine: 0 rows" in checked.out


def test_columns_of_people_are_refused_before_a_row_is_read(place: Place) -> None:
    """The refusal names the columns and what to do, and no password."""
    place.put("people", export().with_columns(手机号=pl.lit("13800138000")))
    with pytest.raises(DataError, match="手机号") as refused:
        sample.take_sample(place.address("people").replace("{date}", str(DAY)))
    assert "13800138000" not in str(refused.value)
    assert SENTINEL not in str(refused.value)


def test_a_table_is_sampled_and_not_read(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many rows are taken and no more, and the sample says that it is a part."""
    monkeypatch.setattr(sample, "SAMPLE_ROWS", 20)
    place.put("many", export())
    found = sample.take_sample(place.address("many").replace("{date}", str(DAY)))
    assert (found.is_whole, len(found.rows)) == (False, 20)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (f"postgresql://night:{SENTINEL}@db/shop?table=orders", "set PGPASSWORD"),
        (f"sqlite:///shop.db?password={SENTINEL}", "an address of postgresql"),
        ("s3://bucket/orders/{date}.parquet", "a day's table"),
    ],
)
def test_addresses_that_are_none_are_refused_without_their_secrets(
    address: str, says: str
) -> None:
    """A password in an address is refused, and not repeated."""
    with pytest.raises((ConfigError, DataError), match=says) as refused:
        sample.take_sample(address)
    assert SENTINEL not in str(refused.value)
