"""First rows that are kept in memory are those of the file."""

from __future__ import annotations

import itertools
import random
import threading
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from optimizer.contracts.tables import DECISIONS
from optimizer.desk import first_rows, kept_rows
from optimizer.desk.asked import Part
from optimizer.desk.first_rows import find_first_rows
from optimizer.desk.kept_rows import KeptRows
from optimizer.desk.rows import SHOWN, SORTABLE, Rows

if TYPE_CHECKING:
    from pathlib import Path

    from optimizer.desk.first_rows import FirstRows

#: Choices of a decision and a carrier, some of which no order has.
REASONS = (None, "CHOSEN", "CAP_FULL", "NOBODY")
CARRIERS = (None, "yunda", "sf")
#: As a table is published, and by each column either way.
SORTS = [(None, False), *((key, down) for key in SORTABLE for down in (False, True))]


def drawn_orders(seed: int, number: int) -> list[tuple[object, ...]]:
    """Orders of few amounts, so that most are tied; some amounts are missing."""
    chance = random.Random(seed)
    amounts = (None, -1.0, 0.0, 0.0, 0.0, 2.0)
    return [
        (
            chance.choice(["CHOSEN", "CAP_FULL", "CAP_FULL", "NO_SAVING"]),
            chance.choice([None, None, "yunda", "sf"]),
            chance.choice(amounts),
            chance.choice(amounts),
        )
        for _ in range(number)
    ]


def choice(
    folder: Path, reason: str | None, carrier_id: str | None
) -> tuple[dict[str, str], pl.DataFrame]:
    """A choice as it is asked for, and the rows that it means."""
    given = {"reason": reason, "carrier_id": carrier_id}
    only = {name: value for name, value in given.items() if value is not None}
    rows = pl.read_parquet(folder / DECISIONS.file).select(SHOWN)
    return only, rows.filter(*(pl.col(name) == value for name, value in only.items()))


def decisions_of(orders: list[tuple[object, ...]], folder: Path) -> None:
    """Write decisions in an order that no column has, in small row groups."""
    rows = pl.DataFrame(
        orders, ("reason", "carrier_id", "saving_cny", "margin_cny"), orient="row"
    ).select(
        pl.col("reason", "carrier_id").cast(pl.String),
        pl.col("saving_cny", "margin_cny").cast(pl.Float64),
        order_id=pl.int_range(pl.len()).cast(pl.String).str.reverse(),
        merchant_id=pl.lit("m"),
    )
    present = {name: kind for name, kind in DECISIONS.schema.items()}
    lacking = [pl.lit(None, present[c]).alias(c) for c in present if c not in rows]
    whole = rows.with_columns(lacking).select([*present])
    whole.write_parquet(folder / DECISIONS.file, row_group_size=7)


@pytest.mark.parametrize(("sort", "is_descending"), SORTS)
@pytest.mark.parametrize("depth", [1, 4, 9])
def test_what_is_kept_is_what_the_file_says(
    tmp_path: Path, sort: str | None, is_descending: bool, depth: int
) -> None:
    """
    Any page is as a sort of all rows has it, or is not kept: with ties, gaps, blocks.

    It is kept where it ends among the first rows, and where all cells are whole.
    """
    decisions_of(drawn_orders(depth, 60), tmp_path)
    first = find_first_rows(tmp_path, depth=depth, num_block=7)
    assert first is not None
    for reason, carrier in itertools.product(REASONS, CARRIERS):
        only, rows = choice(tmp_path, reason, carrier)
        if sort is not None:
            directions = [is_descending, False]
            rows = rows.drop_nulls(sort).sort([sort, "order_id"], descending=directions)
        largest = rows.group_by("reason", "carrier_id").len()["len"].max() or 0
        for page, size in itertools.product((1, 2, 3), (1, 4, 5)):
            part = Part(sort, is_descending, page, size)
            found = first.page(only, part)
            if found is None:
                assert page * size > depth < largest
            else:
                shown = rows.slice(part.offset, size).to_dicts()
                assert found == Rows(shown, rows.height)
                assert page * size <= depth or largest <= depth


def test_a_merchant_is_looked_up_in_the_file(tmp_path: Path) -> None:
    """Cells know decisions and carriers alone."""
    decisions_of([("CHOSEN", "sf", 1.0, 1.0)], tmp_path)
    first = find_first_rows(tmp_path)
    assert first is not None
    assert first.page({"merchant_id": "m"}, Part(None, False, 1, 50)) is None
    assert first.page({}, Part(None, False, 1, 50)) is not None


def test_a_night_that_is_given_up_is_read_no_further(tmp_path: Path) -> None:
    """Between two blocks it is asked whether anybody still wants it."""
    decisions_of([("CHOSEN", "sf", 1.0, 1.0)] * 9, tmp_path)
    asked = iter([False, True])
    found = find_first_rows(tmp_path, num_block=3, is_given_up=lambda: next(asked))
    assert found is None
    assert next(asked, None) is None


def test_no_page_waits_for_first_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While they are made there are none; then there are; a night that is out goes."""
    gate = threading.Event()

    def waiting(folder: Path, **how: Any) -> FirstRows | None:
        assert gate.wait(60)
        return find_first_rows(folder, **how)

    monkeypatch.setattr(kept_rows, "find_first_rows", waiting)
    monkeypatch.setattr(kept_rows, "NUM_NIGHTS", 1)
    nights = [tmp_path / "one", tmp_path / "two"]
    for folder in nights:
        folder.mkdir()
        decisions_of([("CHOSEN", "sf", 1.0, 1.0)], folder)
    kept = KeptRows()
    first, second = kept.begun(nights[0]), kept.begun(nights[1])
    assert kept.of(nights[1]) is None
    gate.set()
    assert first.result(60) is None
    assert second.result(60) is not None
    assert kept.of(nights[1]) is second.result()
    kept.close()
    assert kept.of(nights[0]) is None


def test_a_damaged_night_has_no_first_rows(tmp_path: Path) -> None:
    """What is wrong is told to who reads the file, not by what is made beside."""
    (tmp_path / DECISIONS.file).write_bytes(b"PAR1")
    kept = KeptRows()
    assert kept.begun(tmp_path).result(60) is None
    kept.close()


def test_a_night_of_very_many_carriers_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded by the number of cells times the rows of each."""
    orders = [("CHOSEN", f"c{number}", 1.0, 1.0) for number in range(9)]
    decisions_of(orders, tmp_path)
    monkeypatch.setattr(first_rows, "MAX_CELLS", 9)
    assert find_first_rows(tmp_path, num_block=4) is not None
    monkeypatch.setattr(first_rows, "MAX_CELLS", 8)
    assert find_first_rows(tmp_path, num_block=4) is None
