"""
What published nights decided, joined to an export of what happened.

A night's decisions are read in parts, only the columns that outcomes have of them, and
of each part what the export asks for: no night is ever in memory whole.
"""

from __future__ import annotations

import datetime as dt
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.contracts.run_folder import SUCCESS
from optimizer.contracts.warnings import warn
from optimizer.errors import ConfigError, DataError, counted
from optimizer.io.damage import damaged_is_data_error
from optimizer.night.folders import dated_folders

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import polars as pl

    from optimizer.contracts.warnings import CodedWarning

#: Columns of outcomes that are the decisions'.
DECIDED = ("is_premium", "propensity", "arm", "saving_cny", "has_room")
#: Decisions that are in memory at once, and outcomes that are joined to them: the more,
#: the fewer times a night is read.
_NUM_ROWS, _NUM_JOINED = 100_000, 500_000


def nights_to_join(runs: Path) -> dict[dt.date, Path]:
    """
    Find the nights of a folder whose decisions can be joined, by date.

    Copies of nights count, which are folders and no links.

    Parameters
    ----------
    runs
        The configured ``output``, perhaps with ``{date}``.

    Raises
    ------
    ConfigError
        When it holds none.
    """
    found = {
        # The night that its date stands for now.
        day: folder.resolve()
        for day, folder in dated_folders(str(runs)).items()
        if (folder / SUCCESS).is_file()
    }
    if not found:
        raise ConfigError(f"{runs}: holds no published night; name the folder of runs")
    return found


def with_decisions(
    frame: pl.DataFrame, nights: Mapping[dt.date, Path], *, is_told: bool = False
) -> pl.DataFrame:
    """
    Say of the orders of published nights which service they got, and by what chance.

    Parameters
    ----------
    frame
        Outcomes. Rows of other dates, and orders that no night had, stay as they are.
    nights
        As from :func:`nights_to_join`.
    is_told
        Whether the outcomes' own ``is_premium`` is told, and not a default.

    Raises
    ------
    DataError
        When it contradicts what a night decided: these are not its outcomes.
    """
    import polars as pl

    days = [day for day in frame["date"].unique().sort().to_list() if day in nights]
    if not days:
        return frame
    decided = pl.concat(
        part.join(ids, on="order_id", how="semi")
        for day in days
        for ids in [frame.filter(pl.col("date") == day).select("order_id")]
        for part in _decisions(nights[day], day)
    )
    joined = frame.join(
        decided, on=("order_id", "date"), how="left", maintain_order="left"
    )
    is_decided = pl.col("decided.is_premium").is_not_null()
    if is_told:
        _refuse_contradictions(joined, nights)
    columns = [
        pl.when(is_decided).then(f"decided.{name}").otherwise(name).alias(name)
        for name in DECIDED
    ]
    found = joined.with_columns(columns).select(frame.columns)
    return _with_means(found, {day: nights[day] for day in days})


def _refuse_contradictions(
    joined: pl.DataFrame, nights: Mapping[dt.date, Path]
) -> None:
    """Refuse outcomes that say another service than the night of their date."""
    import polars as pl

    decided = joined.filter(pl.col("decided.is_premium").is_not_null())
    other = decided.filter(pl.col("is_premium") != pl.col("decided.is_premium"))
    if not len(other):
        return
    first = other.sort("date", "order_id").row(0, named=True)
    words = {True: "premium", False: "standard"}
    raise DataError(
        f"outcomes: {counted(len(other), 'row')} of {len(decided):,} say another "
        "service than the night of their date decided, first order "
        f"{first['order_id']} of {first['date']}: is_premium says "
        f"{words[first['is_premium']]}, {nights[first['date']]} "
        f"{words[first['decided.is_premium']]}; name the folder of the nights whose "
        "outcomes these are (--runs), or leave the column is_premium out: it is what "
        "was recommended, whatever a merchant bought"
    )


def _with_means(frame: pl.DataFrame, nights: Mapping[dt.date, Path]) -> pl.DataFrame:
    """Say of nights whose savings were drawn what these are by their means."""
    import polars as pl

    paths = {day: night / "draws.parquet" for day, night in nights.items()}
    drawn = {day: path for day, path in paths.items() if path.is_file()}
    if not drawn:
        return frame
    means = pl.concat(
        part.join(ids, on="order_id", how="semi")
        for day, path in drawn.items()
        for ids in [frame.filter(pl.col("date") == day).select("order_id")]
        for part in _means(path, day)
    )
    joined = frame.join(
        means, on=("order_id", "date"), how="left", maintain_order="left"
    )
    mean = pl.coalesce("drawn.mean_saving_cny", "mean_saving_cny")
    return joined.with_columns(mean_saving_cny=mean).select(frame.columns)


def each_with_decisions(
    batches: Iterable[pl.DataFrame],
    nights: Mapping[dt.date, Path],
    *,
    is_told: bool = False,
) -> Iterator[pl.DataFrame]:
    """
    Join outcomes that come in batches, several together.

    Parameters
    ----------
    batches
        Outcomes.
    nights
        As from :func:`nights_to_join`; without any, batches stay as they are.
    is_told
        As for :func:`with_decisions`.

    Raises
    ------
    DataError
        As :func:`with_decisions` does.
    """
    import polars as pl

    waiting: list[pl.DataFrame] = []
    for batch in batches:
        if not nights:
            yield batch
            continue
        waiting.append(batch)
        if sum(map(len, waiting)) >= _NUM_JOINED:
            yield with_decisions(pl.concat(waiting), nights, is_told=is_told)
            waiting = []
    if waiting:
        yield with_decisions(pl.concat(waiting), nights, is_told=is_told)


def without_outcome(
    frame: pl.DataFrame, nights: Mapping[dt.date, Path]
) -> list[CodedWarning]:
    """
    Count parcels on premium, or left to chance, of which the outcomes have no row.

    Parameters
    ----------
    frame
        Outcomes with their decisions.
    nights
        As from :func:`nights_to_join`.

    Raises
    ------
    DataError
        When the outcomes have no date of any night, or none of these parcels.
    """
    import polars as pl

    days = [day for day in frame["date"].unique().sort().to_list() if day in nights]
    if not days:
        raise DataError(
            f"outcomes: {frame['date'][0]} to {frame['date'][-1]} have no date of the "
            f"published nights, {min(nights)} to {max(nights)}; give the outcomes of "
            "these nights, or leave --runs out"
        )
    decided = pl.concat(
        part.filter(_is_told("decided."))
        for day in days
        for part in _decisions(nights[day], day)
    )
    there = decided.join(frame, on=("order_id", "date"), how="semi")
    if len(decided) and not len(there):
        raise DataError(
            f"outcomes: have none of the {len(decided):,} parcels that the nights from "
            f"{days[0]} to {days[-1]} gave premium or left to chance, such as "
            f"{decided['order_id'][0]}; they must be under the same order_id and date"
        )
    lost = len(decided) - len(there)
    if not lost:
        return []
    return [warn("DECISIONS_WITHOUT_OUTCOME", num_parcels=lost, num_all=len(decided))]


def _is_told(prefix: str) -> pl.Expr:
    import polars as pl

    chance = pl.col(f"{prefix}propensity").fill_null(0.0)
    return pl.col(f"{prefix}is_premium") | ((chance > 0) & (chance < 1))


def _decisions(night: Path, day: dt.date) -> Iterator[pl.DataFrame]:
    """A night's decisions in parts, at least one, their columns marked."""
    import polars as pl
    import pyarrow as pa
    import pyarrow.parquet

    path = night / "decisions.parquet"
    with damaged_is_data_error(str(path)):
        file = pyarrow.parquet.ParquetFile(path, page_checksum_verification=True)
        with file:
            schema = file.schema_arrow
            lacking = [name for name in DECIDED if name not in schema.names]
            if "propensity" in lacking:
                raise DataError(
                    f"{night}: was published without propensities; run it again"
                )
            read = ["order_id", *(name for name in DECIDED if name not in lacking)]
            empty = pa.schema([schema.field(name) for name in read]).empty_table()
            parts = file.iter_batches(_NUM_ROWS, columns=read)
            for part in chain([empty], parts):
                table = pl.DataFrame(pl.from_arrow(part)).with_columns(
                    pl.lit(
                        None, pl.Boolean if name == "has_room" else pl.Float64
                    ).alias(name)
                    for name in lacking
                )
                yield table.select(
                    "order_id",
                    pl.lit(day).alias("date"),
                    *(pl.col(name).alias(f"decided.{name}") for name in DECIDED),
                )


def _means(draws: Path, day: dt.date) -> Iterator[pl.DataFrame]:
    """The means beside a night's drawn savings, in parts, at least one."""
    import polars as pl
    import pyarrow as pa
    import pyarrow.parquet

    read = ["order_id", "mean_saving_cny"]
    with damaged_is_data_error(str(draws)):
        file = pyarrow.parquet.ParquetFile(draws, page_checksum_verification=True)
        with file:
            schema = file.schema_arrow
            empty = pa.schema([schema.field(name) for name in read]).empty_table()
            for part in chain([empty], file.iter_batches(_NUM_ROWS, columns=read)):
                yield pl.DataFrame(pl.from_arrow(part)).select(
                    "order_id",
                    pl.lit(day).alias("date"),
                    pl.col("mean_saving_cny")
                    .cast(pl.Float64)
                    .alias("drawn.mean_saving_cny"),
                )
