"""How many orders the driver of a far night takes by itself."""

from __future__ import annotations

import datetime as dt

import pytest

from optimizer.config import as_config
from optimizer.errors import MachineError
from optimizer.spark import driver_memory
from optimizer.spark.driver_inputs import brought_inputs
from optimizer.testing import random_tables

DAY = dt.date(2026, 11, 22)
GB = 10**9


class Large:
    """A lakehouse's table that is only counted."""

    mapInArrow = None

    def count(self):
        """Rows."""
        return 7_000_000


def test_a_night_that_does_not_fit_the_driver_is_refused_before_it_is_brought(
    monkeypatch,
):
    """With what it needs, what is free, and what to do; both tables are counted."""
    config = as_config(random_tables(1).config)
    tables = {"orders": Large(), "options": Large(), "capacity": "none.csv"}
    monkeypatch.setattr(driver_memory, "free_bytes", lambda: 9 * GB)
    with (
        pytest.raises(MachineError) as told,
        brought_inputs(config, DAY, tables),
    ):
        pytest.fail("it was brought")
    text = str(told.value)
    assert "14,000,000 rows of orders and options" in text
    assert "9 GB are free. Give it more memory" in text


@pytest.mark.parametrize(
    ("limit", "free"),
    [("6000000000", 6 - 2 + 0.5), ("max", 8), ("1000000000", 0)],
    ids=["of the container", "of the machine", "none"],
)
def test_what_is_free_is_of_the_machine_and_of_its_container(
    tmp_path, monkeypatch, limit, free
):
    """The less of both; files that nobody reads may leave a container's memory."""
    (tmp_path / "meminfo").write_text(
        f"MemFree: 1 kB\nMemAvailable: {8 * GB // 1024} kB\n"
    )
    told = {"max": limit, "current": str(2 * GB), "stat": f"inactive_file {GB // 2}"}
    for name, text in told.items():
        (tmp_path / f"memory.{name}").write_text(f"{text}\n")
    monkeypatch.setattr(driver_memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(driver_memory, "_GROUP", tmp_path)
    assert driver_memory.free_bytes() == free * GB
