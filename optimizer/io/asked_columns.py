"""Columns beyond the contract that the configuration names."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING

from optimizer.contracts.columns import Column, Table
from optimizer.contracts.tables import (
    CAPACITY,
    MERCHANTS,
    OPTIONS,
    ORDERS,
    load_column,
)
from optimizer.errors import DataError
from optimizer.io.small_tables import refuse_unlisted_resources

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from optimizer.config import Config
    from optimizer.io.read import Source

#: Known of every option, without being asked for.
_KNOWN = ("carrier_id", "region_id", "outlet_id", "merchant_id")
#: Kinds of columns that can be named as numbers, and as names.
_KINDS = {
    "features": ("number", "count", "money", "probability"),
    "categories": ("id",),
}


def contracts(config: Config, orders: Table = ORDERS) -> dict[str, Table]:
    """
    Contracts of the tables, with the columns that this configuration adds.

    Parameters
    ----------
    config
        With attributes, resources and fairness rules.
    orders
        Contract of the orders table, perhaps with columns of eligibility rules.
    """
    attributes = config.capacity.attributes
    groups = [rule.column for rule in config.fairness]
    resources = config.capacity.resources
    named = [*attributes, *(["resource"] if resources else [])]
    capacity = _with(CAPACITY, named)
    orders = _with_loads(_with(orders, [*attributes, *groups]), resources, "order")
    return {
        "orders": with_features(orders, config) if config.model else orders,
        "capacity": replace(capacity, key=(*CAPACITY.key, *named)),
        "options": _with_loads(OPTIONS, resources, "option"),
        "merchants": _with(MERCHANTS, groups),
    }


def with_features(table: Table, config: Config) -> Table:
    """
    A table with the columns that learning asks for beside the contract's.

    Parameters
    ----------
    table
        Orders, or outcomes.
    config
        With ``learning``.
    """
    learning = config.learning
    asked: list[Column] = []
    for kind, names in (("number", learning.features), ("id", learning.categories)):
        asked += [
            Column(name, kind, "named in the configuration")  # type: ignore[arg-type]
            for name in names
            if name not in table.column_names
        ]
    return replace(table, columns=(*table.columns, *asked))


def require_features(source: Source, config: Config) -> None:
    """
    Refuse a table that lacks a column that learning asks for, or has another kind.

    Raises
    ------
    DataError
        With the nearest name that the table has, or the key that the column belongs to.
    """
    _refuse_other_kinds(source, config)
    for name in (*config.learning.features, *config.learning.categories):
        if name in source.columns:
            continue
        known = [*source.columns, *source.unread]
        near = difflib.get_close_matches(name, known, 1)
        instead = f"; did you mean {near[0]}?" if near else ""
        raise DataError(
            f"{source.label}: has no column {name}, and learning.features or "
            f"learning.categories names it{instead}"
        )


def _refuse_other_kinds(source: Source, config: Config) -> None:
    """Refuse columns of the contract that are named as what they do not hold."""
    learning, known = config.learning, source.table.column_names
    asked = [("features", name) for name in learning.features]
    asked += [("categories", name) for name in learning.categories]
    for key, name in asked:
        kind = source.table.column(name).kind if name in known else None
        if kind is None or kind in _KINDS[key]:
            continue
        holds, instead = f"a {kind}", "take it out"
        if kind in _KINDS["categories"]:
            holds, instead = "text", "name it under learning.categories"
        elif kind in _KINDS["features"]:
            holds, instead = "a number", "name it under learning.features"
        raise DataError(
            f"{source.label}: learning.{key} names {name}, which is {holds}; {instead}"
        )


def _with(table: Table, names: Iterable[str]) -> Table:
    new = dict.fromkeys(name for name in names if name not in table.column_names)
    meaning = "named in the configuration"
    further = (Column(name, "id", meaning) for name in new)
    return replace(table, columns=(*table.columns, *further))


def _with_loads(table: Table, resources: Iterable[str], of: str) -> Table:
    """Columns with what an order takes, and an option that takes something else."""
    meaning = {"order": "units that it takes", "option": "the order's own if missing"}
    loads = tuple(
        Column(load_column(name), "count", meaning[of], is_required=of == "order")
        for name in resources
    )
    return replace(table, columns=(*table.columns, *loads))


def asked_columns(config: Config, sources: Mapping[str, Source]) -> tuple[str, ...]:
    """
    Columns of the orders table whose values rules ask for.

    Raises
    ------
    DataError
        When a column that the configuration names is missing.
    """
    if config.model is not None:
        require_features(sources["orders"], config)
    asked = []
    for name in config.capacity.attributes:
        for table in ("orders", "capacity"):
            _require(name, table, sources, "capacity.attributes names it")
        asked.append(name)
    _check_resources(config, sources)
    asked += [
        rule.column for rule in config.fairness if _is_asked(rule.column, sources)
    ]
    return tuple(dict.fromkeys(asked))


def _require(name: str, table: str, sources: Mapping[str, Source], why: str) -> None:
    if name not in sources[table].columns:
        raise DataError(
            f"{sources[table].label}: has no column {name}, and {why}; add it to the "
            f"{table} table"
        )


def _check_resources(config: Config, sources: Mapping[str, Source]) -> None:
    """Refuse rows that name a resource where the configuration has none of them."""
    capacity = sources["capacity"]
    if config.capacity.resources:
        _require("resource", "capacity", sources, "capacity.resources is given")
    else:
        refuse_unlisted_resources(capacity)


def _is_asked(column: str, sources: Mapping[str, Source]) -> bool:
    """Whether a fairness column is one of the orders', to be read with them."""
    if column in _KNOWN:
        return False
    for name in ("orders", "merchants"):
        source = sources.get(name)
        if source is not None and column in source.columns:
            if source.table.column(column).kind != "id":
                raise DataError(
                    f"fairness: column {column} of the {name} table holds no names; "
                    "group by a column of names, such as tier"
                )
            return name == "orders"
    raise DataError(
        f"fairness: neither the orders nor the merchants table has a column {column}; "
        "add it, or mend fairness in the configuration"
    )


def columns_there(sources: Mapping[str, Source]) -> set[str]:
    """Columns that the orders have, and ``options.load``."""
    columns = {*sources["orders"].columns}
    if "options" in sources and "load" in sources["options"].columns:
        columns.add("options.load")
    return columns
