"""
All checks of a night's names: twins, look-ups, and what a spreadsheet made of them.

Who decides again and again mostly has the same merchants and places. What names alone
decide is found once for the same names, tables and rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from optimizer.build.changed_ids import warn_alike, warn_changed
from optimizer.build.lookups import lookup_warnings
from optimizer.build.night_lookups import count_lookups, names_of_codes
from optimizer.io.kept import Kept, Same
from optimizer.io.validate import refuse_twins

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import polars as pl

    from optimizer.build.encode import NightCodes
    from optimizer.build.lookups import LookupCount
    from optimizer.build.night_lookups import ColumnValues
    from optimizer.config import Config, PolicyRow
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.io.read import Source

#: What is found of more names is not kept.
_MOST_NAMES = 20_000


class NamesFound(NamedTuple):
    """
    What is known of a night's names.

    Attributes
    ----------
    lookups
        How many names of tables and configuration are found.
    unfound
        Warnings of those that are not.
    changed
        Warnings of names that look as a spreadsheet leaves them, or are nearly alike.
    """

    lookups: tuple[LookupCount, ...]
    unfound: tuple[CodedWarning, ...]
    changed: tuple[CodedWarning, ...]


_FOUND: Kept[NamesFound] = Kept(4)


def check_names(  # noqa: PLR0913 - names of all tables, and the rules that they stand in
    coder: NightCodes,
    merchant_ids: Iterable[str],
    values: ColumnValues,
    *,
    capacity: pl.DataFrame,
    merchants: pl.DataFrame | None,
    sources: Mapping[str, Source],
    config: Config,
    policy: PolicyRow,
) -> NamesFound:
    """
    Check the names of a night; again only where one of them, or a rule, is another.

    Parameters
    ----------
    coder
        Codes of the night, with all names.
    merchant_ids
        Merchants that have orders.
    values
        Values of columns that rules compare.
    capacity, merchants
        The checked tables.
    sources
        All tables, for messages.
    config, policy
        The rules of the night.

    Raises
    ------
    ConfigError, DataError
        When a name is written in two ways, or finds nothing where it must.
    """
    known = names_of_codes(coder, merchant_ids, values)
    names = {
        "merchant_id": coder.merchants.ids,
        "carrier_id": coder.carriers.ids,
        "region_id": coder.regions.ids,
        "outlet_id": coder.outlets.ids,
    }

    def found() -> NamesFound:
        _refuse_all_twins(names, capacity, sources)
        lookups = count_lookups(known, capacity, merchants, config, policy)
        limits = config.lookups
        unfound = lookup_warnings(lookups, limits.warn_below, limits.refuse_below)
        changed = [*warn_changed(names), *warn_alike(names)]
        return NamesFound(lookups, tuple(unfound), tuple(changed))

    if sum(map(len, (*known.values(), *names.values()))) > _MOST_NAMES:
        return found()
    of_all = {*names["merchant_id"]}  # all places are known, but not all merchants
    tables = Same(capacity), Same(merchants)
    return _FOUND.get((Same(config), Same(policy), *tables, known, of_all), found)


def _refuse_all_twins(
    names: Mapping[str, list[str]],
    capacity: pl.DataFrame,
    sources: Mapping[str, Source],
) -> None:
    """Refuse ids of one thing in two spellings, across all tables."""
    for column, known in names.items():
        ids = dict.fromkeys(known)
        if column in capacity.columns:
            ids |= dict.fromkeys(capacity[column].to_list())
            ids.pop(None, None)  # type: ignore[call-overload]
        having = [s.label for s in sources.values() if column in s.columns]
        refuse_twins(ids, column, " and ".join(having))
