"""
Outcomes of published nights, revealed from the truth that the simulator knows.

A recommendation is bought with the merchant's take-up; then the parcel's outcome is
that of premium service with the carrier that was chosen, else that of standard
service. Reasons, scans and claims are simulated to match it. Where the truth says so
(:mod:`optimizer.simulate.laws`) parcels have a take-up of their own, harm is known
after a delay, stations that are full do harm, and the outcomes lack the scores.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.contracts.columns import polars_type
from optimizer.contracts.complaints import BENEFIT_OF_REASON, BROKEN_PROMISE
from optimizer.contracts.run_folder import SUCCESS, read_record
from optimizer.contracts.tables import OUTCOMES
from optimizer.errors import ConfigError, DataError
from optimizer.io.write import read_back, write_frames
from optimizer.simulate.ids import Stream, stream

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray

#: How complaints are shared out over their reasons: mostly the door.
_REASONS = tuple(BENEFIT_OF_REASON)
_WEIGHTS = np.array([8, 2, 1, 2, 2, 4, 1, 1, 1, 2, 0.5, 1, 0.5])
#: Columns of orders that no contract knows and outcomes keep.
_FEATURES = ("station_distance_m",)
#: Promises kept that no scan shows.
_UNSCANNED = 0.03


def reveal_outcomes(
    runs: Path, nights: Path, out: Path, observed_until: dt.date | None = None
) -> tuple[Path, ...]:
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
    observed_until
        Day until which outcomes are known, nights after it left out; ``None``: for
        ever.

    Returns
    -------
    tuple of Path
        The tables, by date.

    Raises
    ------
    ConfigError
        When nothing is published, or nothing until that day.
    DataError
        When a published night was not simulated here.
    """
    published = sorted(p for p in runs.glob("*-*-*") if (p / SUCCESS).is_file())
    if not published:
        raise ConfigError(f"{runs}: holds no published night; run one first")
    if observed_until is not None:
        published = [p for p in published if p.name <= observed_until.isoformat()]
    if not published:
        raise ConfigError(
            f"{runs}: holds no published night until {observed_until}; name a later day"
        )
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for run_dir in published:
        frame = reveal_night(run_dir, nights / run_dir.name, observed_until)
        kinds: dict[str, Any] = {c.name: polars_type(c.kind) for c in OUTCOMES.columns}
        kinds |= {name: frame.schema[name] for name in _FEATURES if name in frame}
        path = out / f"{run_dir.name}.parquet"
        partial = path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        write_frames([frame], partial, kinds)
        partial.replace(path)
        written.append(path)
    return tuple(written)


def reveal_night(
    run_dir: Path, night: Path, observed_until: dt.date | None = None
) -> pl.DataFrame:
    """
    Outcomes of one published night, by ``order_id``.

    Parameters
    ----------
    run_dir, night
        The published night, and the simulated one.
    observed_until
        As for :func:`reveal_outcomes`.

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
        decisions=_decided(run_dir),
        orders=read_back(night / "orders.parquet"),
        truth=read_back(night / "truth.parquet"),
        merchants=merchants,
        day=day,
        compensation_cny=float(policy["compensation"]["amount_cny"]),
        observed_until=observed_until,
    )
    if frame.height == 0:
        raise DataError(f"{run_dir}: none of its orders is in {night}")
    return frame


def _decided(run_dir: Path) -> pl.DataFrame:
    """A night's decisions, beside drawn savings their means."""
    decisions = read_back(run_dir / "decisions.parquet")
    if not (run_dir / "draws.parquet").is_file():
        return decisions
    means = read_back(run_dir / "draws.parquet").select("order_id", "mean_saving_cny")
    return decisions.join(means, on="order_id", how="left", maintain_order="left")


def outcomes_of(
    decisions: pl.DataFrame,
    orders: pl.DataFrame,
    truth: pl.DataFrame,
    merchants: pl.DataFrame,
    day: dt.date,
    compensation_cny: float,
    observed_until: dt.date | None = None,
) -> pl.DataFrame:
    """
    Outcomes of a night's parcels.

    Parameters
    ----------
    decisions
        As published; beside drawn savings perhaps ``mean_saving_cny``.
    orders, truth, merchants
        The simulated night.
    day
        Its date.
    compensation_cny
        Paid for a broken promise that was complained of.
    observed_until
        Day until which outcomes are known; ``None``: for ever.

    Returns
    -------
    pl.DataFrame
        An outcomes table, ascending by ``order_id``.
    """
    import polars as pl

    own = truth.unique("order_id", keep="first", maintain_order=True)
    told = ("saving_cny", "mean_saving_cny", "has_room")
    known = [name for name in told if name in decisions.columns]
    carried = decisions.select(
        *("order_id", "is_premium", "arm", "propensity", *known),
        carrier="carrier_id",
    )
    stated = merchants.select("merchant_id", "take_up")
    frame = (
        carried.join(orders.drop("carrier_id", strict=False), on="order_id")
        .join(own.select("order_id", "carrier_id"), on="order_id")
        .with_columns(carrier_id=pl.coalesce("carrier", "carrier_id"))
        .join(truth, on=["order_id", "carrier_id"])
        .join(stated, on="merchant_id")
        .sort("order_id")
    )
    lots = stream(0, Stream.OUTCOMES, day.toordinal()).random((4, len(frame)))
    take_up = frame["take_up"]
    if "true_take_up_prob" in frame.columns:
        take_up = frame["true_take_up_prob"]
    bought = frame["is_premium"].to_numpy() & (lots[0] < take_up.to_numpy())
    crowded = is_crowded(frame, bought)
    kept = frame["door_kept"].to_numpy()
    columns: dict[str, Any] = {"date": pl.lit(day)}
    for name, harm in (("complaint", "complaint"), ("logistics_return", "return")):
        columns[name] = _happened(frame, harm, bought, crowded)
        delay = _delay_days(frame, harm, bought)
        if delay is None:
            continue
        if observed_until is not None:
            columns[name] = columns[name] & (delay <= (observed_until - day).days)
        dates = np.datetime64(day) + delay.astype("timedelta64[D]")
        columns[f"{harm}_date"] = pl.Series(dates).set(pl.Series(~columns[name]), None)
    reason = _reasons(bought & kept, lots[1])
    complaint = columns["complaint"]
    is_scanned = bought & ~(kept & (lots[2] < _UNSCANNED))
    columns["is_bought"] = pl.Series(bought).set(~frame["is_premium"], None)
    columns["complaint_reason"] = pl.Series(reason).set(pl.Series(~complaint), None)
    columns["delivered_to_door"] = pl.Series(kept).set(pl.Series(~is_scanned), None)
    columns["observed_until"] = pl.lit(observed_until, pl.Date)
    columns["num_scans"] = (4 + 3 * lots[3]).astype(np.int64)
    columns["claim_cny"] = np.where(bought & ~kept & complaint, compensation_cny, 0.0)
    frame = frame.with_columns(
        **{
            k: v if isinstance(v, pl.Expr) else pl.Series(k, v)
            for k, v in columns.items()
        }
    )
    if "is_score_kept" in frame.columns:
        scores = ("complaint_prob_standard", "return_prob_standard")
        frame = frame.with_columns(pl.lit(None, pl.Float64).alias(c) for c in scores)
    return _contract(frame)


def is_crowded(frame: pl.DataFrame, is_bought: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """
    Which parcels go to a station whose premium slots are all taken, ``(n,) bool``.

    Parameters
    ----------
    frame
        A night's parcels with their truth; nothing is crowded where it has no slots of
        stations.
    is_bought
        ``(n,) bool``: which of them go on premium service.
    """
    import polars as pl

    if "station_slots" not in frame.columns:
        return np.zeros(len(frame), np.bool_)
    slots = pl.col("station_slots")
    taken = pl.Series("taken", is_bought).cast(pl.Int64)
    full = (slots > 0) & (pl.col("taken").sum().over("station_id") >= slots)
    return frame.with_columns(taken).select(full).to_series().to_numpy()


def _happened(
    frame: pl.DataFrame,
    harm: str,
    bought: NDArray[np.bool_],
    crowded: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """The potential outcome of the service that was given, where it was given."""
    standard = frame[f"{harm}_standard"].to_numpy()
    if crowded.any():
        hurried = frame[f"{harm}_standard_crowded"].to_numpy()
        standard = np.where(crowded, hurried, standard)
    return np.where(bought, frame[f"{harm}_premium"].to_numpy(), standard)


def _delay_days(
    frame: pl.DataFrame, harm: str, bought: NDArray[np.bool_]
) -> NDArray[np.int64] | None:
    """Days until a harm is known on the service that was given; ``None``: at once."""
    if f"{harm}_standard_delay_days" not in frame.columns:
        return None
    premium, standard = (
        frame[f"{harm}_{service}_delay_days"].to_numpy()
        for service in ("premium", "standard")
    )
    return np.where(bought, premium, standard)


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
    features = [c for c in _FEATURES if c in frame.columns]
    return frame.with_columns(pl.lit(None).alias(c) for c in missing).select(
        *OUTCOMES.column_names, *features
    )
