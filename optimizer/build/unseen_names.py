"""
Names of a night that a learned model has no number for, counted by row.

A carrier, region, merchant or other learned category beside known ones has the estimate
of all of them. How much of a night rests on that is counted while it is read.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import polars as pl

    from optimizer.build.learned_model import LearnedModel

#: A column that options have instead of the orders, where there are options.
CARRIER = "carrier_id"


def known_names(model: LearnedModel | None) -> dict[str, set[str]]:
    """Names that a model has numbers for, by column; columns without any left out."""
    found: dict[str, set[str]] = {}
    if model is None:
        return found
    for levels in (
        *(risk.levels for risk in model.risk.values()),
        *(effect.levels for effect in model.effect.values()),
    ):
        for column, offsets in levels.items():
            found.setdefault(column, set()).update(offsets)
    # Names that only the trees of an effect ask for.
    forests = (effect.forest for effect in model.effect.values())
    for column, name in (pair for one in forests if one for pair in one.levels):
        found.setdefault(column, set()).add(name)
    return {column: names for column, names in found.items() if names}


class UnseenNames:
    """
    Counts rows with names that a model does not know, batch by batch.

    Parameters
    ----------
    known
        As :func:`known_names` gives them.

    Examples
    --------
    >>> import polars as pl
    >>> seen = UnseenNames({"region_id": {"r1"}})
    >>> seen.note(pl.DataFrame({"region_id": ["r1", "r2", "r2", None]}), ["region_id"])
    >>> seen.counts
    {'region_id': Counter({'r2': 2})}
    """

    def __init__(self, known: Mapping[str, set[str]]) -> None:
        self._known = known
        self.counts: dict[str, Counter[str]] = {column: Counter() for column in known}

    @property
    def of_orders(self) -> list[str]:
        """Columns that orders have also where carriers are in the options."""
        return [column for column in self._known if column != CARRIER]

    def note(self, frame: pl.DataFrame, columns: Iterable[str]) -> None:
        """Note some columns of a batch; those that it or the model lacks are not."""
        for column in {*columns} & {*self._known} & {*frame.columns}:
            names = unseen(frame[column], self._known[column]).drop_nulls()
            found = names.value_counts()
            self.counts[column].update(dict(found.iter_rows()))


def unseen(names: pl.Series, known: set[str]) -> pl.Series:
    """Names of a column that are not known; null where one is, or there is none."""
    import polars as pl

    plain = names.cast(pl.String)
    is_known = plain.is_in(pl.Series([*known], dtype=pl.String).implode())
    return plain.to_frame("").select(pl.when(~is_known).then(pl.col(""))).to_series()


def unseen_by_row(frame: pl.DataFrame, known: Mapping[str, set[str]]) -> pl.Series:
    """By order, its unseen names as a JSON object by column; null where it has none."""
    import polars as pl

    seen = UnseenNames(known)
    columns = [column for column in seen.of_orders if column in frame.columns]
    if not columns:
        return pl.Series([None] * len(frame), dtype=pl.String)
    found = pl.DataFrame({c: unseen(frame[c], known[c]) for c in columns})
    # The same few names are in many rows, and most rows have none.
    each = found.unique()
    told = [
        json.dumps(row) if (row := {c: n for c, n in names.items() if n}) else None
        for names in each.iter_rows(named=True)
    ]
    named = each.with_columns(pl.Series("told", told, dtype=pl.String))
    both = found.join(named, columns, "left", nulls_equal=True, maintain_order="left")
    return both.to_series(len(columns)).rename("")


def counted_by_column(rows: pl.Series) -> dict[str, Counter[str]]:
    """Add up what :func:`unseen_by_row` gives."""
    found: dict[str, Counter[str]] = {}
    for row, count in rows.drop_nulls().value_counts().sort(rows.name).iter_rows():
        for column, name in json.loads(row).items():
            found.setdefault(column, Counter())[name] += count
    return found
