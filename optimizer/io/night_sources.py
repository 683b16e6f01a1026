"""The tables of a night, found and checked for the columns that this night needs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from optimizer.errors import DataError
from optimizer.io.given import refuse_no_table
from optimizer.io.read import open_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optimizer.contracts.columns import Table
    from optimizer.io.cells import CellRules
    from optimizer.io.read import Source

_STANDARD = ("complaint_prob_standard", "return_prob_standard")
#: Columns of the probabilities on premium service.
PREMIUM_PROBS = ("complaint_prob_premium", "return_prob_premium")


def open_night(
    tables: Mapping[str, Any],
    contracts: Mapping[str, Table],
    *,
    has_model: bool,
    rules: CellRules,
) -> dict[str, Source]:
    """
    Open a night's tables.

    Parameters
    ----------
    tables
        Paths or tables by name; ``None`` where there is none.
    contracts
        What columns each table may have.
    has_model
        Whether a learned model fills missing probability columns. It never fills a
        null in a column that is there.
    rules
        Rules for reading cells.

    Raises
    ------
    DataError
        When a table, or a column that it needs, is missing.
    """
    for name in ("orders", "capacity"):
        refuse_no_table(tables.get(name), name)
    given = {
        name: table for name, table in contracts.items() if tables.get(name) is not None
    }
    needed = _needed("options" in given)
    sources = {}
    for name, table in given.items():
        wanted = needed.get(name, ())
        must = [c for c in wanted if c not in (*_STANDARD, *PREMIUM_PROBS)]
        source = open_source(tables[name], table, require=must, rules=rules)
        there = {*wanted} & {*source.columns}
        if not has_model and len(there) < len(wanted):
            raise DataError(_ways(source, [c for c in wanted if c not in there]))
        sources[name] = replace(source, required=source.required | there)
    return sources


def _ways(source: Source, lacking: Sequence[str]) -> str:
    """Say which probabilities are lacking, and the three ways to have them."""
    return (
        f"{source.label}: has no column {', '.join(lacking)}, and no model gives it; "
        "add it to the export, or let the configuration name a model (model: "
        "models/latest), which `optimizer learn` makes: of past parcels with premium "
        "ones among them (learning.history); of past complaints alone, with what you "
        "believe that premium does (learning: {prior: {effect: 0.3}} as well); or, "
        "where there are none, of what you state (learning: {prior: {effect: 0.3, "
        "complaint_prob: 0.01, return_prob: 0.02}}, with no return_prob where "
        "objective.return_cost_cny is 0)"
    )


def _needed(has_options: bool) -> dict[str, tuple[str, ...]]:
    """Columns that orders and options must have where there is no model."""
    if has_options:
        return {"orders": _STANDARD, "options": PREMIUM_PROBS}
    return {"orders": ("carrier_id", *_STANDARD, *PREMIUM_PROBS)}


def lacking_risks(sources: Mapping[str, Source]) -> frozenset[str]:
    """Harms whose probability on standard service is left to a model."""
    there = sources["orders"].columns
    return frozenset(
        name.removesuffix("_prob_standard") for name in _STANDARD if name not in there
    )


def lacks_premium(sources: Mapping[str, Source]) -> bool:
    """
    Whether the premium probabilities are left to a model.

    Raises
    ------
    DataError
        When a table has one of the two columns and not the other.
    """
    source = sources.get("options", sources["orders"])
    lacking = [name for name in PREMIUM_PROBS if name not in source.columns]
    if len(lacking) == 1:
        (there,) = {*PREMIUM_PROBS} - {*lacking}
        raise DataError(
            f"{source.label}: has {there} and no {lacking[0]}; give both, or neither "
            "and the model gives both"
        )
    return bool(lacking)
