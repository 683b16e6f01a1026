"""
What a night is made of, in numbers, before it is solved: probabilities and demand.

It looks on while a night is taken in (:class:`~optimizer.build.night.Look`), so that it
counts what a run counts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.carryover import compare_roundings
from optimizer.build.encode import leaf_places

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.capacity import CapacityRow
    from optimizer.build.lanes import Place
    from optimizer.build.night import Intake
    from optimizer.build.side_constraints import NightInputs
    from optimizer.io.read import Source

#: Between these a probability of harm is plausible: a model gives no 0, and parcels of
#: which half are complained about are not sent.
PLAUSIBLE = (0.0, 0.5)
_PLACE = {"carrier_id", "region_id", "outlet_id", "service_date"}
_COLUMNS = tuple(
    f"{harm}_prob_{service}"
    for harm in ("complaint", "return")
    for service in ("standard", "premium")
)


@dataclass(frozen=True, slots=True)
class BaseRate:
    """
    A share of standard parcels with a harm that is known from elsewhere.

    Attributes
    ----------
    harm
        ``complaint`` or ``return``.
    against
        Where it is from: ``history``, ``model`` (its card) or ``prior``.
    rate
        The share.
    num_parcels
        Parcels that it was counted on; ``None``: it is stated.
    num_refused
        Rows of the same table that break a rule, and were not counted.
    """

    harm: str
    against: str
    rate: float
    num_parcels: int | None = None
    num_refused: int = 0


@dataclass(frozen=True, slots=True)
class Lane:
    """
    Capacity rows of one carrier and region, and the orders that want them.

    Attributes
    ----------
    carrier_id, region_id
        ``None``: rows for all of them together.
    num_orders
        Orders that may be recommended and could go there.
    num_slots
        Slots that are left for tonight; ``None``: no row covers the place.
    """

    carrier_id: str | None
    region_id: str | None
    num_orders: int
    num_slots: int | None

    @property
    def num_short(self) -> int:
        """Orders beyond the slots."""
        return max(0, self.num_orders - (self.num_slots or 0))

    def to_json(self) -> dict[str, Any]:
        """Give the numbers, with slots for each order."""
        share = None
        if self.num_orders and self.num_slots is not None:
            share = self.num_slots / self.num_orders
        return asdict(self) | {
            "num_short": self.num_short,
            "slots_per_order": share,
        }


class Survey:
    """Notes probabilities batch by batch, and in the end which rows orders want."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, int], pl.DataFrame] = {}
        self._sources: dict[str, Source] = {}
        self.lanes: tuple[Lane, ...] = ()
        self.num_other_rows = 0
        self.active_without_row: tuple[str, ...] = ()

    def batch(self, source: Source, frame: pl.DataFrame) -> None:
        """Note a batch; one that is read again, as with another salt, once."""
        name = source.table.name
        self._sources[name] = source
        if len(frame):
            there = [column for column in _COLUMNS if column in frame.columns]
            self._parts[name, int(frame["row"][0])] = frame.select(there)

    def night(self, given: NightInputs) -> None:
        """Count the demand for each lane."""
        self.lanes = tuple(count_demand(given))
        further = (row for row in given.capacity if not _is_place(row))
        self.num_other_rows = sum(1 for _ in further)
        self.active_without_row = _carriers_without_row(self.lanes, given)

    def probabilities(self) -> dict[str, Any]:
        """
        Describe each column of probabilities.

        Returns
        -------
        dict
            ``columns``: ranges by column, with who gave it; ``worse_with_premium``: by
            harm, the share of orders that premium is said to harm more, where orders
            have both numbers; ``plausible``: the limits that count.
        """
        found: list[dict[str, Any]] = []
        worse: dict[str, float] = {}
        for name, source in self._sources.items():
            parts = [part for (table, _), part in self._parts.items() if table == name]
            if not parts:
                continue
            import polars as pl

            frame = pl.concat(parts)
            found += [
                _column(frame[column], source)
                for column in frame.columns
                if frame[column].null_count() == 0
            ]
            worse |= _worse(frame)
        return {
            "columns": found,
            "worse_with_premium": worse,
            "plausible": {"above": PLAUSIBLE[0], "below": PLAUSIBLE[1]},
        }


def _column(values: pl.Series, source: Source) -> dict[str, Any]:
    at = {"min": 0.0, "q25": 0.25, "median": 0.5, "q75": 0.75, "max": 1.0}
    low, high = PLAUSIBLE
    is_odd = (values <= low) | (values >= high)
    is_given = values.name in source.columns
    return {
        "table": source.table.name,
        "column": values.name,
        "given_by": "table" if is_given else "model",
        "num_rows": len(values),
        **{name: values.quantile(q, "nearest") for name, q in at.items()},
        "mean": values.mean(),
        "share_implausible": float(is_odd.sum()) / len(values),
    }


def _worse(frame: pl.DataFrame) -> dict[str, float]:
    """By harm, the share of orders whose risk is higher with premium."""
    found = {}
    for harm in ("complaint", "return"):
        names = f"{harm}_prob_standard", f"{harm}_prob_premium"
        if all(n in frame.columns and not frame[n].null_count() for n in names):
            higher = frame[names[1]] > frame[names[0]]
            found[harm] = float(higher.sum()) / max(len(frame), 1)
    return found


def calibration(
    probabilities: Mapping[str, Any], rates: Iterable[BaseRate]
) -> list[dict[str, Any]]:
    """
    Hold the mean risk on standard service against rates that are known.

    Parameters
    ----------
    probabilities
        From :meth:`Survey.probabilities`.
    rates
        What is known.

    Returns
    -------
    list of dict
        ``harm``, ``against``, ``predicted``, ``known``, ``ratio`` (``None`` where the
        known rate is 0), ``num_parcels``, ``num_refused``.
    """
    mean = {row["column"]: row["mean"] for row in probabilities["columns"]}
    return [
        {
            "harm": rate.harm,
            "against": rate.against,
            "predicted": mean[column],
            "known": rate.rate,
            "ratio": mean[column] / rate.rate if rate.rate else None,
            "num_parcels": rate.num_parcels,
            "num_refused": rate.num_refused,
        }
        for rate in rates
        if (column := f"{rate.harm}_prob_standard") in mean
    ]


def count_merchants(intake: Intake) -> dict[str, Any]:
    """
    Count merchants, and those with at least one slot under each rounding of the cap.

    Returns
    -------
    dict
        ``num_merchants``; ``num_open``: orders that may be recommended;
        ``rounding``: the one of the night; ``rate``; ``tonight`` and ``roundings`` by
        name: ``num_slots``, ``num_merchants_with`` and ``num_merchants_without``. Only
        those of ``tonight`` know overrides, budgets, fractions of earlier nights and
        slots of the explore arm.
    """
    index, cap = intake.index, intake.problem.cap
    compared = compare_roundings(
        intake.policy.cap, index.merchant_num_orders, index.merchant_num_open
    )
    num = len(index.merchant_ids)
    num_with = int(np.sum(cap > 0))
    return {
        "num_merchants": num,
        "num_open": int(index.merchant_num_open.sum()),
        "rounding": intake.policy.cap.rounding,
        "rate": float(intake.policy.cap.rate),
        "tonight": {
            "num_slots": int(cap.sum()),
            "num_merchants_with": num_with,
            "num_merchants_without": num - num_with,
        },
        "roundings": {
            name: {
                "num_slots": given["num_slots"],
                "num_merchants_with": num - int(given["num_merchants_without"]),
                "num_merchants_without": int(given["num_merchants_without"]),
            }
            for name, given in sorted(compared.items())
        },
    }


def count_demand(given: NightInputs) -> list[Lane]:
    """
    Count the orders that want each carrier and region that has a capacity row.

    Rows for outlets and days are added up. Rows for all regions, or for all carriers,
    stand beside those for one; rows that name an attribute are left out. An order that
    may go with several carriers counts with each of them, and once where a row is for
    all.

    Parameters
    ----------
    given
        The night before its problem is made, slots as they are left for it.

    Returns
    -------
    list of Lane
        The largest shortage first; ties by name.
    """
    places = leaf_places(given.coder)
    count = np.bincount(given.options.leaf, minlength=len(places))
    groups: dict[tuple[str | None, str | None], list[CapacityRow]] = {}
    for row in given.capacity:
        if _is_place(row):
            wanted = dict(row.wanted)
            key = wanted.get("carrier_id"), wanted.get("region_id")
            groups.setdefault(key, []).append(row)
    inside = {key: {_inner(row) for row in rows} for key, rows in groups.items()}
    leaves: dict[tuple[str | None, str | None], list[int]] = {k: [] for k in groups}
    for leaf in np.flatnonzero(count).tolist():
        own = _groups_of(places[leaf], inside)
        for key in own or [(places[leaf].carrier_id, places[leaf].region_id)]:
            leaves.setdefault(key, []).append(leaf)
    found = []
    for key, members in leaves.items():
        num_orders = int(count[members].sum())
        if key[0] is None:
            num_orders = _distinct_orders(given, members, len(places))
        slots = _slots(groups[key]) if key in groups else None
        found.append(Lane(*key, num_orders, slots))
    return sorted(
        found, key=lambda lane: (-lane.num_short, -lane.num_orders, _name(lane))
    )


def _is_place(row: CapacityRow) -> bool:
    return dict(row.wanted).keys() <= _PLACE


def _inner(row: CapacityRow) -> tuple[Any, Any]:
    wanted = dict(row.wanted)
    return wanted.get("outlet_id"), wanted.get("service_date")


def _name(lane: Lane) -> tuple[str, str]:
    return lane.carrier_id or "", lane.region_id or ""


def _groups_of(
    place: Place,
    inside: Mapping[tuple[str | None, str | None], set[tuple[Any, Any]]],
) -> list[tuple[str | None, str | None]]:
    """Carrier and region of all rows that take a place's parcels."""
    outlets, days = {place.outlet_id, None}, {place.service_date, None}
    inner = {(outlet, day) for outlet in outlets for day in days}
    keys = dict.fromkeys(
        (carrier, region)
        for carrier in (place.carrier_id, None)
        for region in (place.region_id, None)
    )
    return [key for key in keys if not inner.isdisjoint(inside.get(key, ()))]


def _distinct_orders(
    given: NightInputs, members: Sequence[int], num_leaves: int
) -> int:
    is_member: NDArray[np.bool_] = np.zeros(num_leaves, np.bool_)
    is_member[members] = True
    return len(np.unique(given.options.order[is_member[given.options.leaf]]))


def _slots(rows: Iterable[CapacityRow]) -> int:
    """Slots of all days: of the row for all outlets, or of the outlets' rows in sum."""
    whole: dict[Any, int] = {}
    parts: dict[Any, int] = {}
    for row in rows:
        outlet, day = _inner(row)
        if outlet is None:
            whole[day] = row.slots
        else:
            parts[day] = parts.get(day, 0) + row.slots
    return sum((parts | whole).values())


def _carriers_without_row(lanes: Sequence[Lane], given: NightInputs) -> tuple[str, ...]:
    """Carriers of the roster that orders want, none of whose places has a row."""
    covered = {lane.carrier_id for lane in lanes if lane.num_slots is not None}
    if None in covered:
        return ()
    wanted = {lane.carrier_id for lane in lanes if lane.num_orders}
    named = {dict(row.wanted).get("carrier_id") for row in given.capacity}
    lacking = {c for c in wanted if c is not None} - covered - named
    return tuple(sorted(lacking))
