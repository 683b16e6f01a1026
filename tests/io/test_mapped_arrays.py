"""Arrays in files are the same arrays, and a disk that does not take them is named."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from optimizer.errors import MachineError
from optimizer.io.array_records import join
from optimizer.io.mapped_arrays import Gathered, mapped, room_of


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Arrays of each kind that a night has."""

    key: NDArray[np.uint64]
    amounts: NDArray[np.int64]
    is_open: NDArray[np.bool_]
    absent: NDArray[np.int64]


def rows(first: int, size: int) -> Rows:
    """Rows whose numbers follow each other."""
    return Rows(
        key=np.arange(first, first + size, dtype=np.uint64) << np.uint64(40),
        amounts=np.arange(2 * first, 2 * (first + size)).reshape(size, 2),
        is_open=np.arange(first, first + size) % 3 == 0,
        absent=np.zeros(0, np.int64),
    )


def assert_same(found: Rows, wanted: Rows) -> None:
    for name in Rows.__slots__:
        one, other = getattr(found, name), getattr(wanted, name)
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert np.array_equal(one, other)


@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=8),
    room=st.one_of(st.none(), st.integers(0, 3_000)),
)
def test_gathered_rows_are_joined_rows(sizes: list[int], room: int | None):
    """Whatever comes, and wherever the limit falls: in memory, in files, or in both."""
    gathered: Gathered[Rows] = Gathered(room)
    starts = np.cumsum([0, *sizes]).tolist()
    parts = [rows(first, size) for first, size in zip(starts, sizes, strict=False)]
    for part in parts:
        gathered.append(part)
    assert_same(gathered.joined(), join(parts))


def test_mapped_rows_are_the_same_and_cannot_be_written():
    """Arrays that were one stay one, those not named stay where they are."""

    @dataclass(frozen=True)
    class Ends:
        low: NDArray[np.int64]
        high: NDArray[np.int64]
        other: NDArray[np.int64]
        none: NDArray[np.int64] | None = None

    low = np.arange(5)
    given = Ends(low, low, low + 1)
    found = mapped(given, ["low", "high", "none"])
    assert found.low is found.high
    assert found.low.tolist() == low.tolist()
    assert found.other is given.other
    assert found.none is None
    with pytest.raises(ValueError, match="read-only"):
        found.low[0] = 7


@pytest.mark.parametrize("how", ["gathered", "mapped"])
def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch, how: str):
    """How much should go where, and what to do."""
    monkeypatch.setattr(
        tempfile,
        "TemporaryFile",
        lambda **_: Path("/dev/full").open("w+b"),  # noqa: SIM115
    )
    words = r"solver.memory_gb: .* GB of orders cannot .*no space .*; make room"

    def fill() -> None:
        if how == "mapped":
            mapped(rows(0, 9), Rows.__slots__)
            return
        gathered: Gathered[Rows] = Gathered(0)
        gathered.append(rows(0, 9))
        gathered.joined()

    with pytest.raises(MachineError, match=words):
        fill()


def test_a_table_may_take_a_tenth_of_the_limit():
    """Tables live side by side; without a limit each may take what it likes."""
    assert room_of(Decimal("0.5")) == 50_000_000
    assert room_of(None) is None
