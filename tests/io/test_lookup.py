"""A night's indexes lead to an order and to a merchant's rows, or say that they lie."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from optimizer.contracts.tables import (
    DECISIONS,
    MERCHANT_INDEX,
    MERCHANT_RESULTS,
    ORDER_INDEX,
)
from optimizer.errors import DataError
from optimizer.io import lookup, write
from optimizer.io.lookup import (
    check_ahead,
    merchant_decisions,
    merchant_row,
    order_row,
    rows_at,
)
from optimizer.io.order_keys import order_key
from optimizer.io.parquet_pages import read_footer
from optimizer.io.write import read_back, write_parquet
from tests.support.small_night import SmallNight


@pytest.fixture
def night(inputs_only: SmallNight, monkeypatch: pytest.MonkeyPatch) -> SmallNight:
    """A night of 2,000 orders in row groups of 256."""
    monkeypatch.setattr(write, "ROW_GROUP_ROWS", 256)
    inputs_only.run()
    return inputs_only


def test_orders_and_merchants_are_found_where_they_are(
    night: SmallNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    At every seam of row groups, by keys that two orders share, too; each merchant has
    its own rows and all of them; what is not there is not found.
    """
    table = pl.read_parquet(night.run_dir / DECISIONS.file)
    assert table.equals(table.sort("merchant_id", "order_id"))
    for row in (0, 1, 255, 256, 257, 1_023, 1_024, len(table) - 1):
        order = table["order_id"][row]
        assert order_row(night.run_dir, order).equals(table[row : row + 1])
    for unknown in ("", "~", "0"):
        assert order_row(night.run_dir, unknown).height == 0
    for (merchant,), rows in table.group_by("merchant_id"):
        assert merchant_decisions(night.run_dir, str(merchant)).equals(rows)
        few = ("reason", "order_id")
        asked = merchant_decisions(night.run_dir, str(merchant), few)
        assert asked.equals(rows.select(few))
    assert merchant_decisions(night.run_dir, "nobody").height == 0
    assert merchant_decisions(night.run_dir, "nobody", few).columns == [*few]
    # Two orders with one key: the row is told by its order_id.
    twin = order_key(table["order_id"][300])
    _edit(
        night.run_dir / ORDER_INDEX.file,
        lambda index: index.with_columns(
            order_key=pl.when(pl.col("row").is_in([299, 300]))
            .then(pl.lit(twin, pl.UInt64))
            .otherwise("order_key")
        ).sort("order_key", "row"),
    )
    found = order_row(night.run_dir, table["order_id"][300])
    assert found.equals(table[300:301])
    monkeypatch.setattr(lookup, "order_key", lambda _: twin)
    assert order_row(night.run_dir, table["order_id"][299]).equals(table[299:300])


def test_an_order_needs_one_row_group_of_each_file(
    night: SmallNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages of one group of the index and one of the decisions are checked."""
    read: list[list[int]] = []
    reads = lookup.read_groups

    def counted(path, groups, wanted, *rows):
        read.append(list(wanted))
        return reads(path, groups, wanted, *rows)

    monkeypatch.setattr(lookup, "read_groups", counted)
    table = pl.read_parquet(night.run_dir / DECISIONS.file)
    order_row(night.run_dir, table["order_id"][1_000])
    assert [len(groups) for groups in read] == [1, 1]
    assert read[1] == [1_000 // 256]


@pytest.mark.parametrize("spread", ["even", "crowded", "twins", "one"])
def test_a_key_is_found_wherever_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spread: str
) -> None:
    """
    However keys are spread, all rows of a key are found, those over a seam too; and
    evenly spread ones, as they are in a night, by a few rows of one group.
    """
    monkeypatch.setattr(write, "ROW_GROUP_ROWS", 4_096)
    draw = np.random.default_rng(7)
    most = np.uint64(2**64 - 1)
    keys = {
        "even": draw.integers(0, most, 9_000, np.uint64, endpoint=True),
        "crowded": np.append(draw.integers(0, 9_000, 8_999, np.uint64), most),
        "twins": draw.integers(0, 3, 9_000, np.uint64) * np.uint64(2**62),
        "one": np.zeros(1, np.uint64),
    }[spread]
    keys.sort()
    index = pl.DataFrame({"order_key": keys, "row": np.arange(len(keys))[::-1]})
    index = index.sort("order_key", "row")
    write_parquet(index, tmp_path / ORDER_INDEX.file, ORDER_INDEX)
    sizes: list[int] = []
    reads = lookup.read_groups

    def counted(*given):
        found = reads(*given)
        sizes.append(found.height)
        return found

    monkeypatch.setattr(lookup, "read_groups", counted)
    places = (0, 1, 4_095, 4_096, -1)
    for key in {int(keys[at % len(keys)]) for at in places} | {5}:
        monkeypatch.setattr(lookup, "order_key", lambda _, key=key: key)
        expected = index.filter(pl.col("order_key") == key)["row"].to_list()
        assert sorted(lookup._rows_of(tmp_path, "")) == sorted(expected)
    if spread == "even":
        assert max(sizes) <= 2 * (64 + 4 * 64)


def test_a_group_is_checked_once_and_again_when_its_file_has_changed(
    night: SmallNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ahead, all of a night's groups; then none; each of a file that has changed."""
    checked: list[str] = []
    checks = lookup.check_pages

    def counted(file, group):
        checked.append(Path(file.name).name)
        checks(file, group)

    monkeypatch.setattr(lookup, "check_pages", counted)
    check_ahead(night.run_dir)
    table = pl.read_parquet(night.run_dir / DECISIONS.file)
    num_groups = -(-len(table) // 256)
    whole = Counter({DECISIONS.file: num_groups, ORDER_INDEX.file: num_groups})
    assert Counter(checked) == whole
    for row in range(0, len(table), 100):
        order_row(night.run_dir, table["order_id"][row])
    assert Counter(checked) == whole
    path = night.run_dir / DECISIONS.file
    raw = bytearray(path.read_bytes())
    order = read_footer(path)[1][1].chunks[0]
    raw[order.start + order.num_bytes - 9] ^= 1
    path.write_bytes(raw)
    with pytest.raises(DataError):
        order_row(night.run_dir, table["order_id"][256])
    with pytest.raises(DataError):
        check_ahead(night.run_dir)


def test_a_small_table_is_read_once_and_again_when_it_has_changed(
    night: SmallNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A merchant's row comes from memory; a table that changed is read again."""
    read: list[Path] = []
    reads = lookup.read_groups

    def counted(path, *how):
        read.append(path)
        return reads(path, *how)

    monkeypatch.setattr(lookup, "read_groups", counted)
    path = night.run_dir / MERCHANT_RESULTS.file
    table = pl.read_parquet(path)
    for row in table.iter_rows(named=True):
        assert merchant_row(night.run_dir, row["merchant_id"]) == row
    assert read == [path]
    _edit(path, lambda merchants: merchants.with_columns(pl.col("cap") + 1))
    one = table["merchant_id"][0]
    assert merchant_row(night.run_dir, one)["cap"] == table["cap"][0] + 1
    raw = bytearray(path.read_bytes())
    raw[read_footer(path)[1][0].chunks[0].start + 40] ^= 1
    path.write_bytes(raw)
    with pytest.raises(DataError):
        merchant_row(night.run_dir, one)


def test_a_page_that_is_not_as_it_was_written_is_not_read(night: SmallNight) -> None:
    """A bit of an order's row group: an error; orders of other groups are found."""
    path = night.run_dir / DECISIONS.file
    table = pl.read_parquet(path)
    _, groups = read_footer(path)
    saving = next(c for c in groups[3].chunks if c.name == "saving_cny")
    raw = bytearray(path.read_bytes())
    raw[saving.start + saving.num_bytes - 9] ^= 1
    path.write_bytes(raw)
    with pytest.raises(DataError, match="the checksum of a page of saving_cny"):
        order_row(night.run_dir, table["order_id"][3 * 256 + 7])
    other = table["order_id"][2 * 256 + 7]
    assert order_row(night.run_dir, other).equals(table[2 * 256 + 7 : 2 * 256 + 8])


def _edit(path: Path, change) -> None:
    changed = change(read_back(path))
    path.unlink()
    write_parquet(changed, path, {t.file: t for t in _TABLES}[path.name])


_TABLES = (ORDER_INDEX, MERCHANT_INDEX, MERCHANT_RESULTS, DECISIONS)


def test_an_index_that_leads_nowhere_is_an_error(night: SmallNight) -> None:
    """Rows behind the end of the decisions are told, and what says more."""
    folder = night.run_dir
    order = pl.read_parquet(folder / DECISIONS.file)["order_id"][7]
    _edit(folder / ORDER_INDEX.file, lambda t: t.with_columns(pl.col("row") + 5_000))
    with pytest.raises(DataError, match="fewer rows than its index says"):
        order_row(folder, order)
    with pytest.raises(DataError, match="optimizer verify says more"):
        rows_at(folder / DECISIONS.file, 1_990, 2_001)
