"""Eligibility rules of the policy as expressions on the orders table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from optimizer.contracts.columns import Column, Table, polars_type
from optimizer.contracts.tables import ORDERS
from optimizer.errors import ConfigError, DataError
from optimizer.io.cells import typed
from optimizer.io.read import read_batches
from optimizer.model.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from optimizer.config import EligibilityRule
    from optimizer.contracts.columns import Kind
    from optimizer.io.read import Source

_FITTING = {
    "flag": ("flag",),
    "text": ("text", "id", "pin"),
    "number": ("number", "count", "money", "probability"),
}
_NOT_SAID = "no reason given"
#: Names of so many orders are kept rather than read again.
FEW_ORDERS = 100_000
_NAMED = ("row", "order_id", "region_id", "is_eligible", "ineligible_reason")


def orders_table(rules: Sequence[EligibilityRule]) -> Table:
    """
    Add the columns that rules name to the contract of the orders.

    Raises
    ------
    ConfigError
        When a rule compares a column with a value of another kind.
    """
    columns = {column.name: column for column in ORDERS.columns}
    for rule in rules:
        wanted = _kind(rule)
        known = columns.get(rule.column)
        if known is None:
            meaning = "named by policy eligibility"
            columns[rule.column] = Column(rule.column, wanted or "text", meaning)
        elif wanted and known.kind not in _FITTING[wanted]:
            raise ConfigError(
                f"policy eligibility: the column {rule.column} cannot be compared in "
                f"this way ({rule.reason}); use {_USE[known.kind]}"
            )
    return replace(ORDERS, columns=tuple(columns.values()))


_USE = {"flag": "is: true or is: false"}
_USE |= dict.fromkeys(("text", "id", "pin"), "is, is_not, in or not_in")
_USE |= dict.fromkeys(_FITTING["number"], "below, above or is_missing")
_USE |= {"date": "is_missing"}


def require_columns(source: Source, rules: Sequence[EligibilityRule]) -> None:
    """
    Refuse orders without a column that a rule names: no rule is silently off.

    Raises
    ------
    DataError
        Naming the columns.
    """
    missing = sorted({rule.column for rule in rules} - set(source.columns))
    filled = [column.name for column in ORDERS.columns if column.default is not None]
    missing = [name for name in missing if name not in filled]
    if missing:
        raise DataError(
            f"{source.label}: has no column {', '.join(missing)}, which policy "
            "eligibility names; export it, or drop the rule"
        )


def apply_rules(frame: pl.DataFrame, rules: Sequence[EligibilityRule]) -> pl.DataFrame:
    """
    Make orders ineligible that a rule matches, and say why.

    Parameters
    ----------
    frame
        Checked orders: ``is_eligible``, ``ineligible_reason``, and what rules name.
    rules
        The first that matches gives the reason; an order that was not eligible before
        keeps its own.

    Examples
    --------
    >>> import polars as pl
    >>> from optimizer.config import EligibilityRule
    >>> rule = {"column": "status", "is": "refunded", "reason": "refunded"}
    >>> frame = pl.DataFrame({
    ...     "is_eligible": [True, True],
    ...     "ineligible_reason": pl.Series([None, None], dtype=pl.String),
    ...     "status": ["refunded", None],
    ... })
    >>> apply_rules(frame, [EligibilityRule(**rule)])["ineligible_reason"].to_list()
    ['refunded', None]
    """
    import polars as pl

    reason = pl.coalesce(
        pl.when(~pl.col("is_eligible")).then(
            pl.col("ineligible_reason").fill_null(_NOT_SAID)
        ),
        *(pl.when(_matches(rule)).then(pl.lit(rule.reason)) for rule in rules),
    )
    frame = frame.with_columns(ineligible_reason=reason)
    return frame.with_columns(is_eligible=pl.col("ineligible_reason").is_null())


class KeptNames:
    """
    Names of the orders of a small night that is in memory, noted while it is checked.

    A larger night, or one in files, is read again instead (:func:`named_orders`).
    """

    def __init__(self, source: Source) -> None:
        self._parts: list[list[pl.Series]] = []
        self._is_small = source.memory is not None and (
            source.memory.num_rows <= FEW_ORDERS
        )

    def note(self, frame: pl.DataFrame) -> None:
        """Note a batch of checked orders, to which the rules have been applied."""
        if self._is_small:
            self._parts.append([frame[name] for name in _NAMED])

    @property
    def is_any(self) -> bool:
        """Whether names are noted; else they have to be read again."""
        return bool(self._parts)

    def named(self) -> pl.DataFrame:
        """What :func:`named_orders` would read, where names are noted."""
        import polars as pl

        frame = pl.concat(map(pl.DataFrame, self._parts))
        if frame["is_eligible"].all():
            return pl.DataFrame([frame[name] for name in _NAMED[:3]])
        why = frame["ineligible_reason"].fill_null(_NOT_SAID)
        told = why.set(frame["is_eligible"], None)
        return pl.DataFrame([*(frame[name] for name in _NAMED[:3]), told])


def named_orders(
    source: Source, status: NDArray[np.uint8], rules: Sequence[EligibilityRule]
) -> Iterator[pl.DataFrame]:
    """
    Read the orders' names again, of the rows that were not quarantined.

    Parameters
    ----------
    source
        The orders.
    status
        ``(num_rows,) uint8``: of each row.
    rules
        Give reasons, as the table may.

    Yields
    ------
    pl.DataFrame
        ``row``, ``order_id``, ``region_id``, and ``ineligible_reason`` where the
        table or the policy has reasons; in the order of the table.
    """
    import polars as pl

    names = {"is_eligible", "ineligible_reason", *(rule.column for rule in rules)}
    known = [name for name in source.columns if name in names]
    columns = [
        "row",
        "order_id",
        "region_id",
        *(["ineligible_reason"] if known else []),
    ]
    for raw in read_batches(source, ["order_id", "region_id", *known]):
        why = _reasons(raw, source, rules) if known else None
        batch = raw if why is None else raw.with_columns(ineligible_reason=why)
        kept = pl.Series(status[raw["row"].to_numpy()] != Reason.QUARANTINED)
        yield batch.filter(kept).select(columns)


def _reasons(
    raw: pl.DataFrame, source: Source, rules: Sequence[EligibilityRule]
) -> pl.Series:
    """Reasons why orders as read are not eligible; null where they are."""
    import polars as pl

    names = ["is_eligible", "ineligible_reason", *(rule.column for rule in rules)]
    columns = [source.table.column(name) for name in dict.fromkeys(names)]
    frame = raw.select(
        (
            typed(raw, column, source.rules)
            if column.name in raw.columns
            else pl.lit(None, polars_type(column.kind))
        ).alias(column.name)
        for column in columns
    )
    frame = frame.with_columns(pl.col("is_eligible").fill_null(True))
    return apply_rules(frame, rules)["ineligible_reason"]


def _kind(rule: EligibilityRule) -> Kind | None:
    """Kind of the values that a rule compares with; ``None``: any."""
    if rule.is_missing is not None:
        return None
    if rule.below is not None or rule.above is not None:
        return "number"
    value = rule.equals if rule.equals is not None else rule.differs
    return "flag" if isinstance(value, bool) else "text"


def _matches(rule: EligibilityRule) -> pl.Expr:
    import polars as pl

    value = pl.col(rule.column)
    if rule.is_missing is not None:
        return value.is_null() == rule.is_missing
    if rule.below is not None:
        return (value < float(rule.below)).fill_null(False)
    if rule.above is not None:
        return (value > float(rule.above)).fill_null(False)
    if rule.not_in is not None:
        return ~value.is_in(rule.not_in).fill_null(False)
    if rule.within is not None:
        return value.is_in(rule.within).fill_null(False)
    if rule.differs is not None:
        return ~(value == rule.differs).fill_null(False)
    return (value == rule.equals).fill_null(False)
