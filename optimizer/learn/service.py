"""Outcomes that do not say which service a parcel got: those of published nights."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from optimizer.build.model_file import load_model
from optimizer.config import expand_date
from optimizer.contracts.run_folder import RECORD
from optimizer.contracts.warnings import warn
from optimizer.errors import ConfigError, DataError, counted
from optimizer.night.folders import published_nights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import polars as pl

    from optimizer.config import Config
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.io.read import Source

#: As the command line has it and an installation begins with it.
_NEWEST = "latest"
_DAY = dt.timedelta(1)


def says_service(source: Source) -> bool:
    """
    Whether a table has a column of the service that each parcel got.

    Parameters
    ----------
    source
        A constant of its mapping stands for a column that it does not have.
    """
    constants = () if source.mapping is None else source.mapping.constants
    return "is_premium" in source.columns and "is_premium" not in constants


def refuse_published(frame: pl.DataFrame, label: str, config: Config) -> None:
    """
    Refuse outcomes of published nights that do not say what these decided.

    Parameters
    ----------
    frame
        Outcomes without a service, of the dates that are to be used.
    label
        Their name in messages.
    config
        With ``output``.

    Raises
    ------
    DataError
        When a night of one of the dates is published there: its premium parcels would
        count as standard ones.
    """
    if config.output is None:
        return
    nights = [*published_nights(config.output)]
    of_nights = frame.filter(frame["date"].is_in(nights))["date"].sort()
    if len(of_nights) == 0:
        return
    earlier = ""
    if len(frame.filter(frame["date"] < nights[0])):
        earlier = f", or take earlier dates alone (--to {nights[0] - _DAY})"
    raise DataError(
        f"{label}: {counted(len(of_nights), 'row')} from {of_nights[0]} to "
        f"{of_nights[-1]} are of nights that {config.output} has published, and no "
        "column says which of them got premium: all would be taken for standard ones; "
        f"join what these nights decided (--runs {config.output}), or add the column "
        f"is_premium{earlier}"
    )


def refuse_forgotten(frame: pl.DataFrame, label: str, config: Config) -> None:
    """
    Refuse outcomes of nights that left parcels to chance, if they do not say which.

    Parameters
    ----------
    frame
        Outcomes that say their service, of the dates that are to be used.
    label
        Their name in messages.
    config
        With ``output``.

    Raises
    ------
    DataError
        When a night of a date without any propensity is published there, with a
        holdout or with exploration: it would count as chosen, none as drawn.
    """
    if config.output is None:
        return
    known = frame.filter(frame["propensity"].is_not_null())["date"].unique()
    days = {*frame["date"].unique()}.difference(known)
    published = published_nights(config.output)
    drawn = sorted(day for day in days if _leaves_to_chance(published.get(day)))
    if not drawn:
        return
    rows = frame.filter(frame["date"].is_in(drawn))
    raise DataError(
        f"{label}: {counted(len(rows), 'row')} from {drawn[0]} to {drawn[-1]} are of "
        f"nights that {config.output} has published, which left parcels to chance, and "
        "no column says which: none would count as drawn; join what these nights "
        f"decided (--runs {config.output}), or add the columns propensity and arm"
    )


def _leaves_to_chance(night: Path | None) -> bool:
    """Whether a published night kept parcels back, or let some explore."""
    config = recorded_config(night)
    holdout = config.get("holdout") or {}
    shares = [float(holdout.get(name) or 0) for name in ("share", "explore_share")]
    explore = (config.get("objective") or {}).get("explore") or "blind"
    return any(shares) or explore != "blind"


def recorded_config(night: Path | None) -> Mapping[str, Any]:
    """
    The configuration that a night was decided by, of its record; empty: not known.

    Parameters
    ----------
    night
        Its folder; ``None``: there is none.
    """
    if night is None:
        return {}
    try:
        record = json.loads((night / RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    found = record.get("config") if isinstance(record, dict) else None
    return found if isinstance(found, dict) else {}


def later_than_premium(
    frame: pl.DataFrame, label: str, config: Config, as_of: dt.date
) -> list[CodedWarning]:
    """
    Say that parcels are later than premium ones, and that none is said to be one.

    Parameters
    ----------
    frame, label, config
        As for :func:`refuse_published`.
    as_of
        Day of learning, of the folder of models.
    """
    folder = f"{expand_date(config.learning.models, as_of)}/{_NEWEST}"
    try:
        model = load_model(folder).model
    except (ConfigError, DataError):
        return []
    # A history may have had premium parcels that no scan and no effect tells of.
    has_premium = model.num_premium or any(one.num_premium for one in model.promises)
    if not has_premium and model.kind == "prior":
        return []
    last = dt.date.fromisoformat(model.last_date)
    num_later = int((frame["date"] > last).sum())
    if not num_later:
        return []
    return [
        warn(
            "SERVICE_IS_NOT_TOLD",
            source=label,
            num_parcels=num_later,
            last_date=model.last_date,
            model=folder,
        )
    ]
