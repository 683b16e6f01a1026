"""
What one draw decided on each night: a parcel's service, or that of a whole station.

It is a night's own, as its record has it, not what the configuration says now: stations
that were kept back whole, counted as single parcels, make every interval too narrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizer.contracts.warnings import warn
from optimizer.learn.service import recorded_config
from optimizer.night.folders import published_nights

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from pathlib import Path

    import polars as pl

    from optimizer.config import Config
    from optimizer.contracts.warnings import CodedWarning

#: Column of outcomes: whether whole stations were drawn on the row's night.
BY_STATION = "unit.is_station"
_STATION = "station-day"


def with_units(
    frame: pl.DataFrame, config: Config, nights: Mapping[dt.date, Path]
) -> tuple[pl.DataFrame, list[CodedWarning]]:
    """
    Say of each row whether its night drew whole stations.

    Parameters
    ----------
    frame
        Outcomes.
    config
        Its ``output`` is looked into where no nights are named; its ``holdout.unit``
        counts for nights without a record.
    nights
        Published nights by date, as they were named; perhaps none.

    Returns
    -------
    frame, warnings
        With the column ``BY_STATION``; and a word, where parcels of a plan were left to
        chance on nights without a record, of what was taken.
    """
    import polars as pl

    if not nights and config.output is not None:
        nights = published_nights(config.output)
    units = {}
    for day in frame["date"].unique().to_list():
        recorded = recorded_config(nights.get(day))
        if recorded:
            units[day] = (recorded.get("holdout") or {}).get("unit") == _STATION
    now = config.holdout.unit == _STATION
    days = pl.Series([*units], dtype=pl.Date)
    whole = pl.Series([day for day, unit in units.items() if unit], dtype=pl.Date)
    is_recorded = pl.col("date").is_in(days.implode())
    is_whole = pl.col("date").is_in(whole.implode())
    found = frame.with_columns(
        pl.when(is_recorded).then(is_whole).otherwise(now).alias(BY_STATION)
    )
    is_drawn = (pl.col("propensity") > 0) & (pl.col("propensity") < 1)
    taken = frame.filter(~is_recorded & is_drawn & (pl.col("arm") == "policy"))
    if not len(taken):
        return found, []
    code = "STATIONS_ARE_TAKEN" if now else "SINGLE_DRAWS_ARE_TAKEN"
    return found, [warn(code, num_parcels=len(taken))]


def drawn_whole(frame: pl.DataFrame, config: Config) -> pl.Series:
    """
    Whether each row's night drew whole stations; as configured where nobody says.

    Parameters
    ----------
    frame
        Outcomes, perhaps with the column of :func:`with_units`.
    config
        With ``holdout.unit``.
    """
    import polars as pl

    if BY_STATION in frame.columns:
        return frame[BY_STATION]
    now = config.holdout.unit == _STATION
    return pl.Series(BY_STATION, [now] * len(frame), dtype=pl.Boolean)
