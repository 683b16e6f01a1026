"""The published report, checked against the night's record and tables."""

from __future__ import annotations

import datetime as dt
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from optimizer.contracts.run_folder import REPORT, SCHEMA_VERSION, read_record
from optimizer.contracts.tables import (
    DECISIONS,
    FIGURES,
    NIGHTS,
    PUBLISHED,
    RECOMMENDATIONS,
)
from optimizer.errors import DataError
from optimizer.explain.week import NUM_DAYS, night_row, row_and_run
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.published_tables import scan_table
from optimizer.night.publish import VERSIONS
from optimizer.replay.run_tables import differences, read_published
from optimizer.report import recommended, report_figures, report_html
from optimizer.report.margins import margins_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import polars as pl

_NIGHTS, _FIGURES = NIGHTS.file, FIGURES.file


def false_report(
    folder: Path, record: Mapping[str, Any], tables: Mapping[str, pl.DataFrame]
) -> list[str]:
    """
    Parts of the report that do not follow from record and tables.

    Pages of other versions may use other words: their numbers are made again, but the
    page is checked only against its checksum.

    Parameters
    ----------
    folder
        Where the night is.
    record
        As in ``run.json``.
    tables
        All that it has but the decisions, by file name.
    """
    found = _false_nights(folder, record, tables[_NIGHTS].rows())
    figures = [report_figures(record, tables)]
    found += differences(_FIGURES, [tables[_FIGURES]], figures)
    if _is_made_by_this(record):
        found += _false_page(folder, record, tables)
    return found


def _is_made_by_this(record: Mapping[str, Any]) -> bool:
    """Whether this version writes the page in the same words."""
    made_by = record["identity"]["version"]
    is_new = record["schema_version"] == SCHEMA_VERSION
    return is_new and made_by == version("premium-delivery-optimizer")


#: Tables as long as the night's orders, of which a page shows none or some.
_NOT_SHOWN = {table.file for table in PUBLISHED.values() if table.maker == "rows"}
_NOT_SHOWN |= {DECISIONS.file}


def false_page(folder: Path) -> list[str]:
    """
    Findings if the report of a published night does not match its record and tables.

    Parameters
    ----------
    folder
        Where the night is.
    """
    record = read_record(folder)
    names = record["outputs"].keys() & PUBLISHED.keys() - _NOT_SHOWN
    tables = read_published(folder, names).tables
    return _false_page(folder, record, tables)


def _false_page(
    folder: Path, record: Mapping[str, Any], tables: Mapping[str, pl.DataFrame]
) -> list[str]:
    """A finding if the page does not follow from a night's record and tables."""
    decisions = scan_table(folder, DECISIONS.file)
    chosen = decisions.filter("is_premium")
    places = tables[RECOMMENDATIONS.file].lazy().select("order_id", "region_id")
    with damaged_is_data_error(str(folder / DECISIONS.file)):
        placed = chosen.join(places, on="order_id", how="left").collect()
        margins = margins_of(decisions)
    page = report_html(record, tables, recommended(placed), margins).encode()
    is_same = (folder / REPORT).read_bytes() == page
    return [] if is_same else [f"{REPORT} is not of this night"]


def _false_nights(
    folder: Path, record: Mapping[str, Any], nights: list[tuple[Any, ...]]
) -> list[str]:
    """
    Rows of the week that do not match the nights that they name.

    An earlier night that is gone, or was replaced since, proves nothing either way.
    """
    tonight = night_row(record)
    first = tonight[0] - dt.timedelta(days=NUM_DAYS)
    days = [row[0] for row in nights]
    if not nights or nights[-1] != (*tonight, None):
        return [f"{_NIGHTS}: its last row is not this night's"]
    if days != sorted({*days}) or days[0] < first:
        return [f"{_NIGHTS}: has other nights than those of the four weeks before"]
    versions = folder.parent.parent
    beside = versions.parent if versions.name == VERSIONS else folder.parent
    return [
        f"{_NIGHTS}: the row of {row[0]} is not what that night says"
        for row in nights[:-1]
        if not _is_of_night(beside / row[0].isoformat(), row)
    ]


def _is_of_night(folder: Path, row: tuple[Any, ...]) -> bool:
    """Whether a row is of a night, as far as the night is there to tell."""
    try:
        record = read_record(folder)
    except DataError:
        return True
    there = row_and_run(record)
    return there is None or there[-1] != row[-1] or there == row
