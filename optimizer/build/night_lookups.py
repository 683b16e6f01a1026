"""All look-ups of a night: which places name something, and the known names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from optimizer.build.lookups import Lookup, LookupCount, count_lookup, table_lookup
from optimizer.config import objective_on
from optimizer.contracts.tables import DELIVERIES
from optimizer.contracts.warnings import some, warn
from optimizer.errors import ConfigError
from optimizer.io.cells import NULL_WORD, cell_rules
from optimizer.io.read import open_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import polars as pl

    from optimizer.build.encode import NightCodes
    from optimizer.config import Config, EligibilityRule, PolicyRow
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.io.read import Source

#: Columns whose names stand in several tables.
PLACES = ("carrier_id", "region_id", "outlet_id")
#: A column of the orders with more values than these is not one of names.
MAX_VALUES = 100_000
#: Of so many merchants, in the table and in the night, one must be the same.
MANY_MERCHANTS = 10


class ColumnValues:
    """
    Values of the orders' columns that eligibility rules compare, batch by batch.

    Parameters
    ----------
    rules
        The rules.
    further
        Columns beside those that they compare.

    Attributes
    ----------
    dropped
        Columns with too many values.
    """

    def __init__(
        self, rules: Sequence[EligibilityRule], further: Sequence[str] = ()
    ) -> None:
        known = (*PLACES, "merchant_id", "order_id")
        columns = {r.column for r in rules if _values(r)[1] and r.column not in known}
        columns |= {*further}
        self._seen: dict[str, set[str]] = {column: set() for column in sorted(columns)}
        self.dropped: list[str] = []

    def note(self, frame: pl.DataFrame) -> None:
        """Note a batch; a column with too many values is dropped."""
        for column, seen in [*self._seen.items()]:
            seen.update(frame[column].unique().drop_nulls().cast(str).to_list())
            if len(seen) > MAX_VALUES:
                del self._seen[column]
                self.dropped.append(column)

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
    ConfigError
        When a rule names a word for no value.
    """
    found = [*_tables(known, capacity, merchants, config, policy)]
    found.append(
        Lookup(
            place="orders and options",
            column="carrier_id",
            names=dict.fromkeys(sorted(known["carrier_id"]), ""),
            known={*policy.carriers},
            is_table=True,
            is_told=False,  # UNKNOWN_CARRIERS tells them
            must_find=True,
            known_as="of the policy's carriers",
        )
    )
    wider = {column: {*names} for column, names in known.items()}
    for column in PLACES:
        wider[column] |= {*capacity[column].to_list()} - {None}
    if merchants is not None:
        wider["merchant_id"] |= {*merchants["merchant_id"].to_list()}
    key = f"{_key_of(config, policy)}.carriers"
    found.append(
        Lookup(
            place=key,
            column="carrier_id",
            names=_listed(config, key, policy.carriers),
            known={*wider["carrier_id"]},
            is_told=False,
        )
    )
    for row in config.policy:
        wider["carrier_id"] |= {*row.carriers}
    rules = [*_rules(wider, config, policy)]
    _refuse_null_words([found[-1], *rules], config.not_null_words)
    found += rules
    return tuple(count_lookup(lookup) for lookup in found)


def _refuse_null_words(rules: Iterable[Lookup], kept: Sequence[str]) -> None:
    """Refuse rules on words for no value: no row that counts has such a name."""
    for rule in rules:
        for name, place in rule.names.items():
            if re.match(NULL_WORD, name) and name not in kept:
                where = f" ({place})" if place else ""
                raise ConfigError(
                    f"{rule.place}{where}: {name!r} is a word for no value, which no "
                    "row has as a name; drop it (is_missing asks for empty cells), or "
                    "list it in not_null_words"
                )


def warn_allowed(
    config: Config, sources: Mapping[str, Source], deliveries: Any = None
) -> list[CodedWarning]:
    """
    Warn of columns of ``privacy.allow`` that no table of the night has.

    Parameters
    ----------
    config
        The configuration.
    sources
        The night's tables, by name.
    deliveries
        Path or table of deliveries, which are read elsewhere; ``None``: there is none.
    """
    allowed = config.privacy.allow
    if allowed is None:
        return []
    tables = {**sources}
    if deliveries is not None:
        name, rules = DELIVERIES.name, cell_rules(config)
        tables[name] = open_source(deliveries, DELIVERIES, rules=rules)
    there = {name for s in tables.values() for name in (*s.columns, *s.unread)}
    missing = [name for name in allowed.columns if name not in there]
    if not missing:
        return []
    told = {"tables": some([*tables]), "columns": some(missing)}
    return [warn("ALLOWED_IN_NO_TABLE", num_columns=len(missing), **told)]


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
        key = f"capacity.peaks[{number}].carriers"
        for name, place in _listed(config, key, peak.carriers).items():
            yield _one(key, "carrier_id", {name: place}, known)
    row, origin = _key_of(config, policy), config.origin
    own = "" if policy.objective.fulfilment is None else f"{row}."
    for number, kept in enumerate(objective_on(config, policy).fulfilment):
        key = f"{own}objective.fulfilment[{number}]"
        for column in ("carrier_id", "region_id"):
            name = getattr(kept, column)
            if name is not None:
                names = {name: origin.place(f"{key}.{column}")}
                yield _one(key, column, names, known)
    for number, rule in enumerate(policy.eligibility):
        key = f"{row}.eligibility[{number}]"
        operator, values = _values(rule)
        if values and rule.column in known:
            names = _listed(config, f"{key}.{operator}", values)
            yield _one(key, rule.column, names, known)
    for number, group in enumerate(config.fairness):
        if group.column in known:
            key = f"fairness[{number}]"
            names = _listed(config, f"{key}.values", group.group)
            yield _one(key, group.column, names, known)


def _key_of(config: Config, policy: PolicyRow) -> str:
    """Key of a policy row, as the file has it."""
    dates = [row.valid_from for row in config.policy]
    return f"policy[{dates.index(policy.valid_from)}]"


def _listed(config: Config, key: str, names: Sequence[str]) -> dict[str, str]:
    """Names of a list in the configuration, each with its file and line."""
    place = config.origin.place
    return {name: place(f"{key}[{at}]") for at, name in enumerate(names)}


def _one(
    place: str, column: str, names: dict[str, str], known: Mapping[str, set[str]]
) -> Lookup:
    return Lookup(
        place=place,
        column=column,
        names=names,
        known=known[column],
        is_told=column in (*PLACES, "merchant_id") and not place.startswith("fairness"),
    )


def _values(rule: EligibilityRule) -> tuple[str, tuple[str, ...]]:
    """Key and texts that a rule compares with."""
    for key, listed in (("in", rule.within), ("not_in", rule.not_in)):
        if listed:
            return key, listed
    for key, value in (("is", rule.equals), ("is_not", rule.differs)):
        if isinstance(value, str):
            return key, (value,)
    return "", ()
