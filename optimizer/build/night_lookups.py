"""All look-ups of a night: which places name something, and the known names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizer.build.lookups import Lookup, LookupCount, count_lookup, table_lookup
from optimizer.config import objective_on

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import polars as pl

    from optimizer.build.encode import NightCodes
    from optimizer.config import Config, EligibilityRule, PolicyRow

#: Columns whose names stand in several tables.
PLACES = ("carrier_id", "region_id", "outlet_id")
#: A column of the orders with more values than these is not one of names.
MAX_VALUES = 100_000
#: Of so many merchants, in the table and in the night, one must be the same.
MANY_MERCHANTS = 10


class ColumnValues:
    """Values of the orders' columns that eligibility rules compare, batch by batch."""

    def __init__(self, rules: Sequence[EligibilityRule]) -> None:
        known = (*PLACES, "merchant_id", "order_id")
        columns = {r.column for r in rules if _values(r) and r.column not in known}
        self._seen: dict[str, set[str]] = {column: set() for column in sorted(columns)}

    def note(self, frame: pl.DataFrame) -> None:
        """Note a batch; a column with too many values is dropped."""
        for column, seen in [*self._seen.items()]:
            seen.update(frame[column].unique().drop_nulls().cast(str).to_list())
            if len(seen) > MAX_VALUES:
                del self._seen[column]

    def seen(self) -> Mapping[str, set[str]]:
        """Values by column."""
        return self._seen


def names_of_codes(
    coder: NightCodes, merchant_ids: Iterable[str], values: ColumnValues
) -> dict[str, set[str]]:
    """Names that the orders and options have, by column."""
    known = {name: {*seen} for name, seen in values.seen().items()}
    known |= {
        "merchant_id": {*merchant_ids},
        "carrier_id": {*coder.carriers.ids},
        "region_id": {*coder.regions.ids},
        "outlet_id": {*coder.outlets.ids},
    }
    for at, name in enumerate(coder.groups.columns):
        known[name] = {group[at] or "" for group in coder.groups.values()} - {""}
    return known


def count_lookups(
    known: Mapping[str, set[str]],
    capacity: pl.DataFrame,
    merchants: pl.DataFrame | None,
    config: Config,
    policy: PolicyRow,
) -> tuple[LookupCount, ...]:
    """
    Count how many names of a night's tables and configuration are found.

    Parameters
    ----------
    known
        Names in orders and options, by column.
    capacity, merchants
        The checked tables.
    config, policy
        The rules of the night.

    Raises
    ------
    DataError
        When a name differs from a known one only in how it is written.
    """
    found = [*_tables(known, capacity, merchants, config, policy)]
    wider = {column: {*names} for column, names in known.items()}
    for column in PLACES:
        wider[column] |= {*capacity[column].drop_nulls()}
    if merchants is not None:
        wider["merchant_id"] |= {*merchants["merchant_id"]}
    found.append(
        Lookup(
            place="policy.carriers",
            column="carrier_id",
            names=dict.fromkeys(policy.carriers, ""),
            known={*wider["carrier_id"]},
            is_told=False,
        )
    )
    for row in config.policy:
        wider["carrier_id"] |= {*row.carriers}
    found += _rules(wider, config, policy)
    return tuple(count_lookup(lookup) for lookup in found)


def _tables(
    known: Mapping[str, set[str]],
    capacity: pl.DataFrame,
    merchants: pl.DataFrame | None,
    config: Config,
    policy: PolicyRow,
) -> Iterator[Lookup]:
    """Names in tables, compared with orders and options only."""
    if merchants is not None:
        there = known["merchant_id"]
        # a few merchants may all have a night without orders; many do not
        must_find = min(len(there), len(merchants)) >= MANY_MERCHANTS
        yield table_lookup(
            merchants, "merchant_id", "merchants", there, must_find=must_find
        )
    for column in (*PLACES, *config.capacity.attributes):
        there = known.get(column, set())
        there = there | {*policy.carriers} if column == "carrier_id" else there
        num_for_all = capacity[column].null_count()
        if num_for_all < len(capacity):
            yield table_lookup(
                capacity,
                column,
                "capacity",
                there,
                is_told=column in PLACES,
                must_find=num_for_all == 0,
            )


def _rules(
    known: Mapping[str, set[str]], config: Config, policy: PolicyRow
) -> Iterator[Lookup]:
    """Names in the configuration, each rule alone."""
    for number, peak in enumerate(config.capacity.peaks):
        for name in peak.carriers:
            place = f"capacity.peaks[{number}].carriers"
            yield _one(place, "carrier_id", (name,), known)
    for number, kept in enumerate(objective_on(config, policy).fulfilment):
        place = f"objective.fulfilment[{number}]"
        yield _one(place, "carrier_id", (kept.carrier_id,), known)
        if kept.region_id is not None:
            yield _one(place, "region_id", (kept.region_id,), known)
    for number, rule in enumerate(policy.eligibility):
        names = _values(rule)
        if names and rule.column in known:
            yield _one(f"policy.eligibility[{number}]", rule.column, names, known)
    for number, group in enumerate(config.fairness):
        if group.column in known:
            names = group.group
            lookup = _one(f"fairness[{number}]", group.column, names, known)
            yield lookup


def _one(
    place: str, column: str, names: Iterable[str], known: Mapping[str, set[str]]
) -> Lookup:
    return Lookup(
        place=place,
        column=column,
        names=dict.fromkeys(names, ""),
        known=known[column],
        is_told=column in (*PLACES, "merchant_id") and not place.startswith("fairness"),
    )


def _values(rule: EligibilityRule) -> tuple[str, ...]:
    """Texts that a rule compares with."""
    listed = rule.within or rule.not_in
    if listed:
        return listed
    value = rule.equals if rule.equals is not None else rule.differs
    return (value,) if isinstance(value, str) else ()
