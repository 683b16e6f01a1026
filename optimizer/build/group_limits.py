"""Limits for groups: capacity other than lanes, floors, fairness, owners, subsidies."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.capacity import match_rows
from optimizer.build.side_limits import Draft, Limit
from optimizer.config.cap import cap_of
from optimizer.config.money import micro_cny
from optimizer.errors import DataError
from optimizer.model.side_constraints import HARD, NO_CEILING, NO_FLOOR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    from optimizer.build.capacity import CapacityRow, Cells
    from optimizer.build.take_up import Counting
    from optimizer.config import PolicyRow
    from optimizer.config.fairness import FairnessRule


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """
    A night's options in the order of the problem, with the attributes that rules use.

    Attributes
    ----------
    cells
        Places, dates and attributes; ``cell`` in the problem's order.
    merchant
        ``(num_options,) int64``.
    load
        ``(num_options,) int64``: slots that each takes.
    amounts
        ``(num_options,) int64`` by resource: what each takes of it.
    merchant_ids
        By merchant.
    facts
        Columns of the merchants table: values by merchant, ``None`` where unknown.
    num_orders, cap
        ``(num_merchants,) int64``: base and cap of each.
    counting
        How purchases are counted.
    """

    cells: Cells
    merchant: NDArray[np.int64]
    load: NDArray[np.int64]
    amounts: Mapping[str, NDArray[np.int64]]
    merchant_ids: Sequence[str]
    facts: Mapping[str, Sequence[str | None]]
    num_orders: NDArray[np.int64]
    cap: NDArray[np.int64]
    counting: Counting

    def part(self, option: NDArray[np.int64]) -> NDArray[np.int64]:
        """Weight of a recommendation of each option."""
        return self.counting.part[self.merchant[option]]


def capacity_drafts(placed: Placed, rows: Sequence[CapacityRow]) -> Iterator[Draft]:
    """Capacity rows that are no lanes: limits on what matching options take."""
    counting = placed.counting
    for row, option in _matching(placed, rows):
        low, high = take_up_range(placed, option)
        taken = placed.load[option]
        if row.resource is not None:
            taken = placed.amounts[row.resource][option]
        most = counting.room(row.slots, int(taken.sum()), low, high)
        weight = taken * placed.part(option)
        limit = Limit(
            "capacity",
            row.name,
            high=most,
            scale=counting.scale,
            resource=row.resource,
        )
        is_load = row.resource is None
        yield Draft(limit, option[taken > 0], weight[taken > 0], counts_load=is_load)


def floor_drafts(placed: Placed, rows: Sequence[CapacityRow]) -> Iterator[Draft]:
    """Floors of capacity rows: least number of recommended parcels that match."""
    having = [row for row in rows if row.min_parcels]
    for row, option in _matching(placed, having):
        limit = Limit(
            "min_parcels",
            row.name,
            low=row.min_parcels,
            penalty=row.penalty,
            priority=row.priority,
        )
        yield Draft(limit, option, np.ones(len(option), np.int64))


def shut_draft(placed: Placed, cells: NDArray[np.bool_]) -> Iterator[Draft]:
    """Closed cells: no capacity row takes them, but others of their place have one."""
    if cells.any():
        option = np.flatnonzero(cells[placed.cells.cell])
        limit = Limit("capacity", "parcels that no row takes", high=0)
        yield Draft(limit, option, np.ones(len(option), np.int64))


def fairness_drafts(
    placed: Placed, rules: Sequence[FairnessRule], base: int
) -> Iterator[Draft]:
    """
    Floors and ceilings of groups, in recommended parcels.

    Parameters
    ----------
    placed
        The night.
    rules
        From the configuration.
    base
        Base of shares: the most parcels that caps and lanes allow.

    Raises
    ------
    DataError
        When no order has a value that only a ceiling names: it may be misspelt.
    """
    for rule in rules:
        option = _group(placed, rule)
        name = f"{rule.column} {', '.join(rule.group)}"
        low, high = NO_FLOOR, NO_CEILING
        if rule.min_share is not None or rule.min_parcels is not None:
            low = rule.min_parcels or ceil(Fraction(rule.min_share or 0) * base)
        if rule.max_share is not None:
            high = floor(Fraction(rule.max_share) * base)
        if rule.max_parcels is not None:
            high = rule.max_parcels
        penalty = HARD if rule.penalty_cny is None else micro_cny(rule.penalty_cny)
        limit = Limit("fairness", name, low, high, penalty, rule.priority)
        yield Draft(limit, option, np.ones(len(option), np.int64))


def owner_drafts(placed: Placed, policy: PolicyRow) -> Iterator[Draft]:
    """Caps of owners: the same share of all their merchants' parcels together."""
    owners: dict[str, list[int]] = {}
    for merchant, owner in enumerate(placed.facts["owner_id"]):
        if owner is not None:
            owners.setdefault(owner, []).append(merchant)
    for owner, theirs in sorted(owners.items()):
        is_theirs = np.zeros(len(placed.cap), np.bool_)
        is_theirs[theirs] = True
        most = cap_of(int(placed.num_orders[theirs].sum()), policy.cap.rate)
        if int(placed.cap[theirs].sum()) > most:
            option = np.flatnonzero(is_theirs[placed.merchant])
            limit = Limit("owner_cap", f"owner {owner}", high=most)
            yield Draft(limit, option, np.ones(len(option), np.int64))


def subsidy_draft(placed: Placed, policy: PolicyRow) -> Iterator[Draft]:
    """The platform's budget: its share of the fee is the same for every parcel."""
    if policy.subsidy_budget_cny is None:
        return
    counting = placed.counting
    share = policy.fee.amount_cny * policy.fee.payer.platform
    parcels = affordable(policy.subsidy_budget_cny, share)
    option = np.arange(len(placed.merchant))
    most = parcels * counting.scale
    if counting.rule != "recommendations" and counting.is_equal:
        _, high = take_up_range(placed, option)
        most = max(parcels, len(option)) if high == 0 else int(parcels / high)
    limit = Limit("subsidy", "subsidy budget", high=most, scale=counting.scale)
    yield Draft(limit, option, placed.part(option))


def affordable(budget: Decimal, share: Decimal) -> int:
    """
    Number of parcels whose fee share a budget pays for, exactly.

    Examples
    --------
    >>> from decimal import Decimal
    >>> affordable(Decimal("2.40"), Decimal("0.80"))
    3
    """
    return int(Fraction(budget) / Fraction(share))


def take_up_range(
    placed: Placed, option: NDArray[np.int64]
) -> tuple[Fraction, Fraction]:
    """Least and greatest take-up of some options; 1 where there are none."""
    used = np.unique(placed.merchant[option]).tolist()
    rates = [placed.counting.take_up[merchant] for merchant in used] or [Fraction(1)]
    return min(rates), max(rates)


def _matching(
    placed: Placed, rows: Sequence[CapacityRow]
) -> Iterator[tuple[CapacityRow, NDArray[np.int64]]]:
    """Each row with the options that match it, ascending."""
    cell, row = match_rows(rows, placed.cells)
    by_cell = np.argsort(placed.cells.cell, kind="stable")
    sizes = np.bincount(placed.cells.cell, minlength=len(placed.cells.values))
    ends = np.cumsum(sizes)
    cells_of: list[list[int]] = [[] for _ in rows]
    for this, number in zip(cell.tolist(), row.tolist(), strict=True):
        cells_of[number].append(this)
    for number, found in enumerate(rows):
        parts = [by_cell[ends[c] - sizes[c] : ends[c]] for c in cells_of[number]]
        option = np.concatenate([np.zeros(0, np.int64), *parts])
        yield found, np.sort(option)


def _group(placed: Placed, rule: FairnessRule) -> NDArray[np.int64]:
    """Options of a rule's group, ascending."""
    column, group = rule.column, set(rule.group)
    if column in placed.cells.columns:
        at = placed.cells.columns.index(column)
        values: Sequence[str | None] = [cell[at] for cell in placed.cells.values]
        number: NDArray[np.integer] = placed.cells.cell
    else:
        is_id = column == "merchant_id"
        values = placed.merchant_ids if is_id else placed.facts[column]
        number = placed.merchant
    missing = sorted(group - set(values))
    has_floor = rule.min_share is not None or rule.min_parcels is not None
    if missing and not has_floor:
        known = sorted({value for value in values if value is not None})
        raise DataError(
            f"fairness: no order of the night has {column} {missing[0]!r}; known are "
            f"{', '.join(known[:8])}{' …' if len(known) > 8 else ''}: mend the "
            "configuration or the table"
        )
    is_in = np.array([value in group for value in values], np.bool_)
    return np.flatnonzero(is_in[number])
