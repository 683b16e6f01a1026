"""Limits beside caps and nesting rows that tables have, as far as a beginning shows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.contracts.tables import load_column
from optimizer.io.cells import ALL_WORD

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from optimizer.recognize.propose import Proposal

_LOAD, _RESOURCE = "load_", "resource"


@dataclass(frozen=True, slots=True)
class Resources:
    """
    Units that rows and parcels count beside slots.

    Attributes
    ----------
    listed
        What ``capacity.resources`` has to list: each that a row names.
    lacking
        Columns of orders that these need and that are not there.
    idle
        Columns of orders that look like loads and that no row counts.
    """

    listed: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()


def resources_in(proposals: Mapping[str, Proposal]) -> Resources:
    """Find the units that a column ``resource`` of the capacity table names."""
    header = proposals["orders"].sample.rows.columns
    there = [name for name in header if re.fullmatch(r"load_\w+", name)]
    capacity = proposals.get("capacity")
    if capacity is None or _RESOURCE not in capacity.sample.rows.columns:
        return Resources(idle=tuple(there))
    named = tuple(sorted({*_filled(capacity, _RESOURCE)}))
    wanted = [load_column(name) for name in named]
    return Resources(
        listed=named,
        lacking=tuple(name for name in wanted if name not in header),
        idle=tuple(name for name in there if name not in wanted),
    )


def resources_told(found: Resources) -> list[str]:
    """Say what is read as a load, and what would have to be there."""
    told = []
    if found.listed:
        told.append(f"rows count {', '.join(found.listed)} too (capacity.resources)")
    if found.lacking:
        told.append(
            f"the orders have no column {', '.join(found.lacking)}, which these rows "
            "count: add it to the export, whole units that a parcel takes"
        )
    if found.idle:
        told.append(
            f"not read: {', '.join(found.idle)}; where slots count such units, name "
            f"them in a column resource of the capacity table "
            f"({found.idle[0].removeprefix(_LOAD)}), and under capacity.resources"
        )
    return told


def asking_in(proposals: Mapping[str, Proposal]) -> str:
    """What asks for parcels, so that none may be kept back; empty: nothing."""
    pins = (word.lower() == "must" for word in _filled(proposals["orders"], "pin"))
    floors = _filled(proposals.get("capacity"), "min_parcels")
    asking = {"pins": any(pins), "floors": any(number != "0" for number in floors)}
    return " and ".join(name for name, is_there in asking.items() if is_there)


def further_in(proposals: Mapping[str, Proposal]) -> str:
    """Limits that exploring does not look at; empty: none is seen."""
    orders, capacity = proposals["orders"], proposals.get("capacity")
    found = {
        "loads": any(number != "1" for number in _filled(orders, "load")),
        "units beside slots": bool(resources_in(proposals).listed),
        "rows that do not nest": capacity is not None and _has_crossing(capacity),
    }
    return ", ".join(name for name, is_there in found.items() if is_there)


def _has_crossing(capacity: Proposal) -> bool:
    """Whether a row is of all carriers, or of an outlet in all regions."""
    rows = len(capacity.sample.rows)
    carrier, region, outlet = (
        _named(capacity.series(name), rows)
        for name in ("carrier_id", "region_id", "outlet_id")
    )
    each = zip(carrier, region, outlet, strict=True)
    return any(not of or (at and not within) for of, within, at in each)


def _named(column: pl.Series | None, rows: int) -> list[bool]:
    """Whether each row names a place in a column; one for all of them names none."""
    if column is None:
        return [False] * rows
    cells = (str(cell or "").strip() for cell in column.to_list())
    return [bool(cell) and not re.fullmatch(ALL_WORD, cell) for cell in cells]


def _filled(proposal: Proposal | None, column: str) -> list[str]:
    """What stands in a column of ours, or of that very name; blanks left out."""
    if proposal is None:
        return []
    cells = proposal.series(column)
    if cells is None and column in proposal.sample.rows.columns:
        cells = proposal.sample.rows[column]
    if cells is None:
        return []
    words = (str(cell).strip() for cell in cells.drop_nulls().to_list())
    return [word for word in words if word]
