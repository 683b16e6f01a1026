"""Every published table has one maker, and makes what the contract says."""

from __future__ import annotations

import datetime as dt
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from optimizer.contracts import tables
from optimizer.contracts.columns import Table
from optimizer.contracts.tables import (
    CONFLICTS,
    DECISIONS,
    EVERY_NIGHT,
    PUBLISHED,
    ROW_RESULTS,
    SOME_NIGHTS,
    TABLES,
)
from optimizer.explain.makers import OF_DECISIONS, OF_NIGHT, OF_ROWS, night_tables
from optimizer.explain.makers import sorted_decisions as decisions_of
from optimizer.night.api import solve_night
from optimizer.night.record import OF_RECORD
from optimizer.spark.write import OF_CLUSTER
from optimizer.testing import random_tables

if TYPE_CHECKING:
    from pathlib import Path

    from optimizer.explain.certified_night import CertifiedNight

DAY = dt.date(2026, 11, 22)


def certified(*, has_floor: bool) -> CertifiedNight:
    """A small night; with a floor that no plan keeps, or with caps and lanes alone."""
    made = random_tables(7, num_orders=60)
    capacity, config = made.capacity, made.config
    if has_floor:
        many = pl.lit(10_000)
        capacity = capacity.with_columns(slots=many, min_parcels=many)
        config = config | {"on_conflict": "relax"}
    inputs = {"orders": made.orders, "capacity": capacity}
    return solve_night(inputs, config, date=DAY, previous=None, progress=None).night


def test_every_table_is_listed() -> None:
    """A contract that is not among the tables would be published by nobody."""
    defined = {entry for entry in vars(tables).values() if isinstance(entry, Table)}

    assert defined == set(TABLES)
    assert len(TABLES) == len(defined)
    assert len({table.file for table in PUBLISHED.values()}) == len(PUBLISHED)


def test_every_published_table_has_one_maker() -> None:
    """By what it is made of, and by the engine that makes it."""
    by_maker: dict[str, set[Table]] = {}
    for table in PUBLISHED.values():
        by_maker.setdefault(table.maker, set()).add(table)

    assert by_maker["night"] == set(OF_NIGHT)
    assert by_maker["decisions"] == {DECISIONS, *OF_DECISIONS}
    assert by_maker["rows"] == set(OF_ROWS)
    assert by_maker["record"] == set(OF_RECORD)
    assert {t for t in TABLES if "spark" in t.engines} == set(OF_CLUSTER)
    assert all("local" in table.engines for table in PUBLISHED.values())


@pytest.mark.parametrize("has_floor", [False, True], ids=["plain", "floor"])
def test_makers_keep_the_contract(has_floor: bool, tmp_path: Path) -> None:
    """
    Columns and types are the contract's; a table of every night is always made, and
    the others where there is what they are of.
    """
    night = certified(has_floor=has_floor)
    collected: dict[str, list[pl.DataFrame]] = {}
    decisions = pl.concat(decisions_of(night, tmp_path / "scratch", collected))
    made = night_tables(night) | {f: pl.concat(c) for f, c in collected.items()}
    made[DECISIONS.file] = decisions.select(DECISIONS.column_names)

    expected = {ROW_RESULTS.file, CONFLICTS.file} if has_floor else set()
    assert made.keys() & SOME_NIGHTS.keys() == expected
    not_here = {f for f, table in EVERY_NIGHT.items() if table.maker == "record"}
    assert EVERY_NIGHT.keys() - made.keys() == not_here
    for file, frame in made.items():
        assert dict(frame.schema) == PUBLISHED[file].schema, file


def test_a_certified_night_refuses_writes() -> None:
    """What was certified is what is told: no maker can change plan, price or reason."""
    night = certified(has_floor=True)

    for record in (night.problem, night.names, night.solution, night.outcomes):
        arrays: list[np.ndarray[Any, Any]] = [
            value
            for value in (getattr(record, field.name) for field in fields(record))
            if isinstance(value, np.ndarray) and len(value)
        ]
        assert arrays
        for array in arrays:
            with pytest.raises(ValueError, match="read-only"):
                array[0] = array[-1]
