"""
Outcomes of published nights, revealed from the truth that the simulator knows.

A recommendation is bought with the merchant's take-up; then the parcel's outcome is
that of premium service with the carrier that was chosen, else that of standard
service. Reasons, scans and claims are simulated to match it.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.contracts.complaints import BENEFIT_OF_REASON, BROKEN_PROMISE
from optimizer.contracts.run_folder import SUCCESS, read_record
from optimizer.contracts.tables import OUTCOMES
from optimizer.errors import ConfigError, DataError
from optimizer.io.write import read_back, write_parquet
from optimizer.simulate.ids import Stream, stream

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

#: How complaints are shared out over their reasons: mostly the door.
_REASONS = tuple(BENEFIT_OF_REASON)
_WEIGHTS = np.array([8, 2, 1, 2, 2, 4, 1, 1, 1, 2, 0.5, 1, 0.5])
#: Promises kept that no scan shows.
_UNSCANNED = 0.03


def reveal_outcomes(runs: Path, nights: Path, out: Path) -> tuple[Path, ...]:
    """
    Write the outcomes of every published night, one table a date.

    Parameters
    ----------
    runs
        Folder of published nights.
    nights
        Folder of simulated nights, by date, with their truth.
    out
        Where ``{date}.parquet`` go; those that are there are replaced.

    Returns
    -------
    tuple of Path
        The tables, by date.

    Raises
    ------
    ConfigError
        When nothing is published.
    DataError
        When a published night was not simulated here.
    """
    published = sorted(p for p in runs.glob("*-*-*") if (p / SUCCESS).is_file())
    if not published:
        raise ConfigError(f"{runs}: holds no published night; run one first")
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for run_dir in published:
        frame = reveal_night(run_dir, nights / run_dir.name)
        path = out / f"{run_dir.name}.parquet"
        partial = path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        write_parquet(frame, partial, OUTCOMES)
        partial.replace(path)
        written.append(path)
    return tuple(written)


def reveal_night(run_dir: Path, night: Path) -> pl.DataFrame:
    """
    Outcomes of one published night, by ``order_id``.

    Raises
    ------
    DataError
        When the night has no truth, or that of another night.
    """
    day = dt.date.fromisoformat(run_dir.name)
    policy = read_record(run_dir)["policy"]
    if not (night / "truth.parquet").is_file():
        raise DataError(
            f"{night}: has no truth.parquet; outcomes can be revealed of simulated "
            "nights alone"
        )
    merchants = read_back(night / "merchants.parquet")
    frame = outcomes_of(
        read_back(run_dir / "decisions.parquet"),
        read_back(night / "orders.parquet"),
        read_back(night / "truth.parquet"),
        merchants,
        day,
        float(policy["compensation"]["amount_cny"]),
    )
    if frame.height == 0:
        raise DataError(f"{run_dir}: none of its orders is in {night}")
    return frame


def outcomes_of(
    decisions: pl.DataFrame,
    orders: pl.DataFrame,
    truth: pl.DataFrame,
    merchants: pl.DataFrame,
    day: dt.date,
    compensation_cny: float,
) -> pl.DataFrame:
    """
    Outcomes of a night's parcels.

    Parameters
    ----------
    decisions
        As published.
    orders, truth, merchants
        The simulated night.
    day
        Its date.
    compensation_cny
        Paid for a broken promise that was complained of.

    Returns
    -------
    pl.DataFrame
        An outcomes table, ascending by ``order_id``.
    """
    import polars as pl

    own = truth.unique("order_id", keep="first", maintain_order=True)
    known = [name for name in ("saving_cny", "has_room") if name in decisions.columns]
    carried = decisions.select(
        *("order_id", "is_premium", "arm", "propensity", *known),
        carrier="carrier_id",
    )
    frame = (
        carried.join(orders.drop("carrier_id", strict=False), on="order_id")
        .join(own.select("order_id", "carrier_id"), on="order_id")
        .with_columns(carrier_id=pl.coalesce("carrier", "carrier_id"))
        .join(truth, on=["order_id", "carrier_id"])
        .join(merchants.select("merchant_id", "take_up"), on="merchant_id")
        .sort("order_id")
    )
    lots = stream(0, Stream.OUTCOMES, day.toordinal()).random((4, len(frame)))
    bought = frame["is_premium"].to_numpy() & (lots[0] < frame["take_up"].to_numpy())
    kept = frame["door_kept"].to_numpy()
    columns: dict[str, Any] = {"date": pl.lit(day)}
    for name, harm in (("complaint", "complaint"), ("logistics_return", "return")):
        premium, standard = frame[f"{harm}_premium"], frame[f"{harm}_standard"]
        columns[name] = np.where(bought, premium.to_numpy(), standard.to_numpy())
    reason = _reasons(bought & kept, lots[1])
    complaint = columns["complaint"]
    is_scanned = bought & ~(kept & (lots[2] < _UNSCANNED))
    columns["is_bought"] = pl.Series(bought).set(~frame["is_premium"], None)
    columns["complaint_reason"] = pl.Series(reason).set(pl.Series(~complaint), None)
    columns["delivered_to_door"] = pl.Series(kept).set(pl.Series(~is_scanned), None)
    columns["num_scans"] = (4 + 3 * lots[3]).astype(np.int64)
    columns["claim_cny"] = np.where(bought & ~kept & complaint, compensation_cny, 0.0)
    frame = frame.with_columns(
        **{
            k: v if isinstance(v, pl.Expr) else pl.Series(k, v)
            for k, v in columns.items()
        }
    )
    return _contract(frame)


def _reasons(is_kept: np.ndarray[Any, Any], lot: np.ndarray[Any, Any]) -> list[str]:
    """Draw reasons; where the promise was kept, nobody complains about the door."""
    weights = _WEIGHTS / _WEIGHTS.sum()
    door = np.array([reason in BROKEN_PROMISE for reason in _REASONS])
    elsewhere = np.where(door, 0, _WEIGHTS) / _WEIGHTS[~door].sum()
    any_reason = np.searchsorted(np.cumsum(weights)[:-1], lot, side="right")
    no_door = np.searchsorted(np.cumsum(elsewhere)[:-1], lot, side="right")
    return [_REASONS[at] for at in np.where(is_kept, no_door, any_reason).tolist()]


def _contract(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns of the contract, with nulls where the simulator has none."""
    import polars as pl

    missing = [c for c in OUTCOMES.column_names if c not in frame.columns]
    return frame.with_columns(pl.lit(None).alias(c) for c in missing).select(
        OUTCOMES.column_names
    )
