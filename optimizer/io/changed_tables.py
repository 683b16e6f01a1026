"""
A night's tables with a few changes: other slots, new orders, orders that went.

Changes are given as tables and checked by the contracts of the tables that they change.
What is changed is then the table as it stands: its names, words and units stay, so that
the same configuration reads it, and a second statement of the night does.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from optimizer.config.mapping import InputTable
from optimizer.contracts.columns import Table, polars_type
from optimizer.contracts.tables import ORDERS
from optimizer.errors import DataError, counted
from optimizer.io.cells import typed
from optimizer.io.mapping import takes_text
from optimizer.io.privacy import hidden
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.read import as_it_stands, open_source, read_batches
from optimizer.io.row_rules import MAX_COUNT
from optimizer.io.small_tables import checked_table
from optimizer.io.validate import check_batch, require_rows

if TYPE_CHECKING:
    import polars as pl

    from optimizer.contracts.columns import Column
    from optimizer.io.cells import CellRules
    from optimizer.io.read import Source

#: Why a cancelled order is not eligible.
CANCELLED = "cancelled"
_NUM_NAMED = 5
#: What a table of ids has.
_ID_COLUMN = ORDERS.column("order_id")
#: What tables of all libraries have, and columns have not.
_SIGNS_OF_TABLES = ("columns", "column_names", "schema", "collect")
#: How columns of polars and pandas, of pyarrow, and of numpy give their values.
_TO_LIST = ("to_list", "to_pylist", "tolist")
#: Parts of a row's key that are no text.
_PARTS = {"service_date": (dt.date, "date")}
_FLOORS = ("min_parcels", "penalty_cny", "priority")


@dataclass(frozen=True, slots=True, eq=False)
class TableChanges:
    """
    What changes of a night's tables, each part checked by itself.

    Attributes
    ----------
    slots
        The capacity table's key columns, and ``slots``; ``None``: as they are.
    drop, cancel
        Ids of orders that do not exist any more, and of those that are not to be
        served; each once.
    add, options
        New orders, and their options; ``None``: none.
    """

    slots: pl.DataFrame | None
    drop: pl.Series
    cancel: pl.Series
    add: Source | None
    options: Source | None

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        is_same = self.slots is None and self.add is None
        return is_same and not len(self.drop) and not len(self.cancel)


def read_changes(
    given: Mapping[str, Any], contracts: Mapping[str, Table], rules: CellRules
) -> TableChanges:
    """
    Read and check what changes.

    Parameters
    ----------
    given
        ``capacity``, ``add``, ``options``, ``drop`` and ``cancel``, as for
        :meth:`optimizer.Night.change`; ``None`` where there is none.
    contracts
        Of the night's tables, with the columns that its rules ask for.
    rules
        How its cells are read.

    Raises
    ------
    DataError
        When nothing changes, or a part breaks its contract, repeats an id or a row,
        or contradicts another.
    """
    drop = _ids(given.get("drop"), "drop", rules)
    cancel = _ids(given.get("cancel"), "cancel", rules)
    slots, add, options = given.get("capacity"), given.get("add"), given.get("options")
    if options is not None and add is None:
        raise DataError("options are those of added orders: give these with add")
    changes = TableChanges(
        slots=None if slots is None else _slots(slots, contracts["capacity"], rules),
        drop=drop,
        cancel=cancel,
        add=None if add is None else open_source(add, contracts["orders"], rules=rules),
        options=None
        if options is None
        else open_source(options, contracts["options"], rules=rules),
    )
    if changes.is_empty:
        raise DataError(
            "nothing changes: give capacity, add, drop or cancel, with a row at least"
        )
    both = drop.filter(drop.is_in(cancel.implode()))
    if len(both):
        raise DataError(
            f"{_named(both)} to be dropped and to be cancelled: a dropped order is "
            "none of the merchant's any more, a cancelled one still is; choose one"
        )
    return changes


def _ids(given: Any, name: str, rules: CellRules) -> pl.Series:
    """Ids of orders: from a sequence of text, or a table with a column of them."""
    import polars as pl

    if given is None:
        return pl.Series("order_id", [], pl.String)
    listed = _listed(given, name)
    if listed is None:
        ids = _ids_of_table(given, name, rules)
    else:
        for value in listed:
            if not isinstance(value, str) or not value:
                got = type(value).__name__ if value != "" else "text without a sign"
                raise DataError(f"{name}: an order_id is a text, got a {got}")
        ids = pl.Series("order_id", listed, pl.String)
    twice = ids.filter(ids.is_duplicated()).unique(maintain_order=True)
    if len(twice):
        raise DataError(f"{name}: {_named(twice)} named more than once; name each once")
    return ids


def _listed(given: Any, name: str) -> list[Any] | None:
    """Values of a sequence, or a column of any library; ``None``: a table or path."""
    if isinstance(given, str | os.PathLike) or _is_table(given):
        return None
    for method in _TO_LIST:
        if hasattr(given, method):
            listed = getattr(given, method)()
            break
    else:
        is_many = isinstance(given, Iterable) and not isinstance(given, bytes | Mapping)
        listed = [*given] if is_many else None
    if not isinstance(listed, list):
        raise DataError(
            f"{name}: got a {type(given).__name__}; give order ids as a list of texts, "
            "or a table or path with a column of them"
        )
    return listed


def _is_table(given: Any) -> bool:
    """Whether something is a table of any library, and no column."""
    if any(hasattr(given, sign) for sign in _SIGNS_OF_TABLES):
        return True
    is_column = any(hasattr(given, method) for method in _TO_LIST)
    return hasattr(given, "__arrow_c_stream__") and not is_column


def _is_path(given: Any) -> bool:
    """Whether something is a path, or a list of them."""
    parts = given if isinstance(given, list | tuple) and given else [given]
    return all(isinstance(part, str | os.PathLike) for part in parts)


def _ids_of_table(given: Any, name: str, rules: CellRules) -> pl.Series:
    """Ids of a table, under the name that the orders table has for them."""
    import polars as pl

    contract = Table(name, "ids of orders", (replace(_ID_COLUMN),))
    mapping, mappings = rules.mappings.get("orders"), {}
    if mapping is not None and "order_id" in mapping.columns:
        written = {"order_id": mapping.columns["order_id"]}
        wrapped = tuple(n for n in mapping.wrapped if n == "order_id")
        mappings[name] = InputTable(
            path=mapping.path,
            columns=written,
            wrapped=wrapped,
            encoding=mapping.encoding,
        )
    source = open_source(given, contract, rules=replace(rules, mappings=mappings))
    parts = []
    for batch in read_batches(source):
        ids = batch["order_id"]
        missing = ids.null_count()
        if missing:
            raise DataError(
                f"{source.label}: {counted(missing, 'row')} without an order_id; write "
                "one in each row"
            )
        parts.append(ids)
    return pl.concat(parts) if parts else pl.Series("order_id", [], pl.String)


def _slots(given: Any, contract: Table, rules: CellRules) -> pl.DataFrame:
    """The rows whose slots change: key columns, and slots."""
    if isinstance(given, Mapping):
        given = _frame_of(given, contract)
        rules = replace(rules, mappings={})
    elif not _is_path(given) and not _is_table(given):
        raise DataError(
            f"capacity: got a {type(given).__name__}; give a mapping of rows to slots, "
            'such as {"yunda": 20}, or a table or path with columns of both'
        )
    source = open_source(given, contract, rules=rules)
    table = checked_table(source, QuarantineLog())
    for column in _FLOORS:
        if table[column].null_count() < len(table):
            raise DataError(
                f"{source.label}: column {column} is filled in; only slots can change "
                "so, and a floor needs a run of the whole night"
            )
    return table.select(*contract.key, "slots")


def _frame_of(given: Mapping[Any, Any], contract: Table) -> pl.DataFrame:
    """Slots by carrier, or by carrier, region, outlet and day, as a table."""
    import polars as pl

    width, rows = len(contract.key), []
    for key, slots in given.items():
        parts = key if isinstance(key, tuple | list) else (key,)
        if len(parts) > width:
            raise DataError(
                f"capacity: a key has {len(parts)} parts, and a row is named by "
                f"{', '.join(contract.key)}"
            )
        place = (*parts, *[None] * (width - len(parts)))
        for name, part in zip(contract.key, place, strict=True):
            kind, word = _PARTS.get(name, (str, "text"))
            is_right = isinstance(part, kind) and not isinstance(part, dt.datetime)
            if part is not None and not is_right:
                got = type(part).__name__
                raise DataError(
                    f"capacity: a key is a carrier, or a tuple of "
                    f"{', '.join(contract.key)} with None for all; {name} is a {word}, "
                    f"got a {got}"
                )
        if isinstance(slots, bool) or not hasattr(slots, "__index__"):
            got = type(slots).__name__
            raise DataError(f"capacity: slots are a whole number, got a {got}")
        if not 0 <= int(slots) <= MAX_COUNT:
            raise DataError(
                f"capacity: slots are from 0 to {MAX_COUNT:,}, got {int(slots):,}"
            )
        rows.append((*place, int(slots)))
    kinds = contract.schema
    schema = {name: kinds[name] for name in contract.key} | {"slots": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _named(ids: pl.Series) -> str:
    """So many orders, and a few of them."""
    shown = ", ".join(hidden(name) for name in ids.head(_NUM_NAMED).to_list())
    more = ", …" if len(ids) > _NUM_NAMED else ""
    return f"{counted(len(ids), 'order')} ({shown}{more})"


def refuse_unknown(missing: pl.Series, name: str) -> None:
    """
    Refuse ids that are not in the night.

    Raises
    ------
    DataError
        With their number, and a few.
    """
    if len(missing):
        raise DataError(
            f"{name}: not in the night: {_named(missing)}; a refused row is "
            "not either. Look at the ids, and at the night that is changed"
        )


def refuse_known(known: pl.Series) -> None:
    """
    Refuse new orders that are in the night already.

    Raises
    ------
    DataError
        With their number, and a few ids.
    """
    if len(known):
        raise DataError(
            f"add: in the night already: {_named(known)}; an order whose data change "
            "is dropped and added in one change"
        )


def refuse_unknown_rows(missing: pl.DataFrame) -> None:
    """
    Refuse slots of capacity rows that the night does not have.

    Parameters
    ----------
    missing
        Key columns of the rows.

    Raises
    ------
    DataError
        With their number, and a few.
    """
    if missing.is_empty():
        return
    words = [
        ", ".join(
            f"{name.removesuffix('_id')} {value}"
            for name, value in row.items()
            if value is not None
        )
        or "all parcels"
        for row in missing.head(_NUM_NAMED).iter_rows(named=True)
    ]
    more = "; …" if len(missing) > _NUM_NAMED else ""
    raise DataError(
        f"capacity: the night has no row for {'; '.join(words)}{more} "
        f"({counted(len(missing), 'row')} in all); a new row needs a run of the whole "
        "night"
    )


def changed_tables(
    sources: Mapping[str, Source], changes: TableChanges
) -> dict[str, pl.DataFrame]:
    """
    Change tables as they stand.

    Rows that go are left out, new ones stand at the end, all others as they were.

    Parameters
    ----------
    sources
        The night's tables: ``orders`` and ``capacity``, and ``options`` where it has
        them.
    changes
        What changes.

    Returns
    -------
    dict of str to pl.DataFrame
        The tables that are not what they were, under their own names and words.

    Raises
    ------
    DataError
        When an order or a row is not there, or is there already.
    """
    found = {}
    if changes.slots is not None:
        found["capacity"] = _with_slots(sources["capacity"], changes.slots)
    if changes.add is None and not len(changes.drop) and not len(changes.cancel):
        return found
    if changes.options is not None and "options" not in sources:
        raise DataError("the night has no options table: its orders name their carrier")
    if changes.add is not None and "options" in sources and changes.options is None:
        raise DataError("the night has an options table: give those of the new orders")
    found["orders"] = _with_orders(sources["orders"], changes)
    is_less = len(changes.drop) > 0 and "options" in sources
    if is_less or changes.options is not None:
        found["options"] = _with_options(sources["options"], changes)
    return found


def _with_slots(source: Source, slots: pl.DataFrame) -> pl.DataFrame:
    """The capacity table with other slots."""
    import polars as pl

    key = [*source.table.key]
    there = checked_table(source, QuarantineLog())
    missing = slots.join(there, on=key, how="anti", nulls_equal=True)
    refuse_unknown_rows(missing.select(key))
    now = there.join(
        slots.rename({"slots": "now"}),
        on=key,
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )["now"]
    frame, name = as_it_stands(source), _written(source, "slots")
    kind = frame.schema[name]
    changed = pl.select(pl.coalesce(now.cast(kind), frame[name])).to_series()
    return frame.with_columns(changed.alias(name))


def _with_orders(source: Source, changes: TableChanges) -> pl.DataFrame:
    """The orders table without some orders, with others, and some not eligible."""
    ids = _all_ids(source)
    for name, wanted in (("drop", changes.drop), ("cancel", changes.cancel)):
        refuse_unknown(wanted.filter(~wanted.is_in(ids.implode())), name)
    frame = as_it_stands(source)
    is_cancelled = ids.is_in(changes.cancel.implode()).fill_null(value=False)
    if is_cancelled.any():
        frame = _cancelled(frame, source, is_cancelled)
    stays = ~ids.is_in(changes.drop.implode()).fill_null(value=False)
    frame = frame.filter(stays)
    if changes.add is None:
        return frame
    _refuse_broken(source, changes.add)
    new = _all_ids(changes.add)
    # A set of the few is made once; one of a million, for each of them.
    refuse_known(ids.filter(stays & ids.is_in(new.implode())))
    return _joined(frame, source, changes.add)


def _refuse_broken(source: Source, added: Source) -> None:
    """Refuse new rows that break the contract, or lack what the others have."""
    for name in source.columns:
        column = source.table.column(name)
        is_needed = column.is_required or column.kind == "probability"
        if (is_needed or name == "carrier_id") and name not in added.columns:
            raise DataError(
                f"{added.label}: has no column {_written(source, name)}, which the "
                f"night's {source.table.name} have; export the new ones alike"
            )
    log, num_rows = QuarantineLog(), 0
    for batch in read_batches(added):
        num_rows += len(batch)
        check_batch(batch, added, log)
    require_rows(added, num_rows)
    log.refuse_any()


def _with_options(source: Source, changes: TableChanges) -> pl.DataFrame:
    """The options table without those of dropped orders, with those of new ones."""
    ids = _all_ids(source)
    stays = ~ids.is_in(changes.drop.implode()).fill_null(value=False)
    frame = as_it_stands(source).filter(stays)
    if changes.options is not None:
        _refuse_broken(source, changes.options)
    return frame if changes.options is None else _joined(frame, source, changes.options)


def _all_ids(source: Source) -> pl.Series:
    """``order_id`` of each row of a table."""
    import polars as pl

    none = pl.Series("order_id", [], pl.String)  # of a night whose orders all went
    batches = read_batches(source, ["order_id"])
    return pl.concat([none, *(batch["order_id"] for batch in batches)])


def _written(source: Source, name: str) -> str:
    """The name that a column of the contract has in the table."""
    return name if source.mapping is None else source.mapping.written(name)


def _digits(numbers: pl.Series, mapping: InputTable | None) -> pl.Series:
    """Numbers as a table of texts has them: exact, without an exponent."""
    import polars as pl

    sign = "." if mapping is None else mapping.decimal
    found = [
        None if number is None else f"{Decimal(repr(number)):f}".replace(".", sign)
        for number in numbers.to_list()
    ]
    return pl.Series(found, dtype=pl.String)


def _cancelled(
    frame: pl.DataFrame, source: Source, is_cancelled: pl.Series
) -> pl.DataFrame:
    """Orders of which some are not eligible, and why."""
    import polars as pl

    mapping = source.mapping
    eligible, reason = (
        _written(source, name) for name in ("is_eligible", "ineligible_reason")
    )
    if mapping is not None and {"is_eligible", "ineligible_reason"} & {
        *mapping.constants
    }:
        raise DataError(
            f"{source.label}: the configuration gives is_eligible or its reason a "
            "constant, so no order can be cancelled; drop it, or take that out"
        )
    no: Any = False
    kind = frame.schema.get(eligible, pl.Boolean)
    if kind == pl.String:
        words = {} if mapping is None else mapping.values.get("is_eligible", {})
        no = next((word for word, meant in words.items() if meant == "false"), "false")
    elif kind != pl.Boolean:
        no = 0
    was = pl.col(eligible) if eligible in frame.columns else pl.lit(None, kind)
    why = pl.col(reason) if reason in frame.columns else pl.lit(None, pl.String)
    is_out = pl.lit(is_cancelled)
    return frame.with_columns(
        pl.when(is_out).then(pl.lit(no, kind)).otherwise(was).alias(eligible),
        pl.when(is_out).then(pl.lit(CANCELLED)).otherwise(why).alias(reason),
    )


def _joined(frame: pl.DataFrame, source: Source, added: Source) -> pl.DataFrame:
    """New rows below a table's, in its types."""
    import polars as pl

    by_name = {_written(source, c.name): c for c in source.table.columns}
    more = as_it_stands(added)
    kinds = dict(frame.schema)
    for name, given in more.schema.items():
        column, kind = by_name[name], given
        is_read = source.is_text or takes_text(source.mapping, column.name, column.kind)
        if given == pl.String and not is_read:
            kind = polars_type(column.kind)()
        kinds.setdefault(name, kind)
    taken = [
        _like(more, name, kind, by_name[name], source).alias(name)
        if name in more.columns
        else pl.lit(None, kind).alias(name)
        for name, kind in kinds.items()
    ]
    more = more.select(taken)
    return pl.concat([frame, more], how="diagonal")


def _like(
    frame: pl.DataFrame, name: str, kind: Any, column: Column, source: Source
) -> pl.Expr:
    """A column of new rows in the type that it has in the table."""
    import polars as pl

    given, value, rules = frame.schema[name], pl.col(name), source.rules
    if given == kind:
        return value
    if kind == pl.String and column.kind == "date":
        as_named = frame.select(value.alias(column.name))
        days = as_named.select(typed(as_named, column, rules)).to_series()
        return pl.lit(days.cast(pl.String))
    if kind == pl.String and given.is_float():
        return pl.lit(_digits(frame[name], source.mapping))
    if given == pl.String and kind != pl.String:
        as_named = frame.select(pl.col(name).alias(column.name))
        read = as_named.select(typed(as_named, column, rules)).to_series()
        if read.null_count() > frame[name].null_count():
            raise DataError(
                f"add: column {name} has text that is no {column.kind}; export the new "
                "orders as the others are"
            )
        return pl.lit(read).cast(kind)
    return value.cast(kind)
