"""
Rows against the contract: rows that break a rule are quarantined, not repaired.

Rows of orders and options go to quarantine; of capacity and merchants, small
tables on which everything rests, a single broken row refuses the night.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from optimizer.contracts.columns import Column, polars_type
from optimizer.errors import DataError
from optimizer.io.cells import (
    midnights,
    typed,
)
from optimizer.io.contiguous import contiguous
from optimizer.io.glance import distinct_texts, names_matching
from optimizer.io.plain_texts import MAX_ID_BYTES, Looked
from optimizer.io.privacy import (
    SAMPLE_ROWS,
    hidden,
    refuse_names,
    refuse_personal_values,
)
from optimizer.io.quarantine import NUM_EXAMPLES
from optimizer.io.row_rules import (
    WORDED,
    column_rules,
    expanded_rules,
    hit_rules,
    is_clean,
    pattern_of_doubt,
)
from optimizer.io.words import find_words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from optimizer.io.cells import CellRules
    from optimizer.io.contiguous import LaidTexts
    from optimizer.io.quarantine import QuarantineLog
    from optimizer.io.read import Source
    from optimizer.io.words import Words

#: Of fewer rows columns are looked at one by one: an expression takes as long as they.
_FEW_ROWS = 50_000
#: Full-width letters, digits and signs as the ordinary ones.
_NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}


@dataclass(frozen=True, slots=True, eq=False)
class CheckedBatch:
    """
    Rows of a batch that follow all rules.

    Attributes
    ----------
    frame
        ``row`` and all columns of the contract in their types.
    words
        Texts of columns that codes were asked for, where the table has them.
    num_rows
        Rows of the batch, the broken ones included.
    keys
        The column that is the table's key alone, laid out; empty where none is, or
        rows were left out.
    """

    frame: pl.DataFrame
    words: Mapping[str, Words]
    num_rows: int
    keys: Mapping[str, LaidTexts] = field(default_factory=dict)

    def kept(self, is_kept: NDArray[np.bool_]) -> CheckedBatch:
        """Some of its rows."""
        if is_kept.all():
            return self
        words = {name: found.kept(is_kept) for name, found in self.words.items()}
        return CheckedBatch(self.frame.filter(is_kept), words, self.num_rows)


def check_batch(
    frame: pl.DataFrame, source: Source, log: QuarantineLog
) -> pl.DataFrame:
    """
    Keep the rows that follow all rules.

    Parameters
    ----------
    frame
        A batch from :func:`~optimizer.io.read.read_batches`.
    source
        Where it is from, with the contract.
    log
        Takes the rows that do not.

    Returns
    -------
    pl.DataFrame
        ``row`` and all columns of the contract in their types; optional columns
        that are missing have their default.

    Raises
    ------
    DataError
        When values look like personal data, or too many rows in a row are broken.
    """
    return checked_batch(frame, source, log).frame


def checked_batch(
    frame: pl.DataFrame,
    source: Source,
    log: QuarantineLog,
    coded: Collection[str] = (),
    known: Mapping[str, Words] | None = None,
) -> CheckedBatch:
    """
    Keep the rows that follow all rules, and the texts that become codes.

    Parameters
    ----------
    frame, source, log
        As for :func:`check_batch`.
    coded
        Columns of ids whose texts are found on the way.
    known
        Those of which they are known.

    Raises
    ------
    DataError
        As :func:`check_batch`.
    """
    import polars as pl

    table = source.table
    given = [table.column(name) for name in source.columns]
    kinds = {column.name: column.kind for column in given}
    worded = [name for name, kind in kinds.items() if kind in WORDED]
    words = {**known} if known else {}
    for name in worded:
        if name in coded and name not in words:
            words[name] = find_words(frame[name])
    texts = distinct_texts(frame, worded, table.key, words)
    keys = _laid_keys(frame, table.key, texts)
    looked = Looked(texts, keys)
    _refuse_personal(frame, source, texts, looked)
    _refuse_named_like_persons(frame, source, texts)
    for name in [column.name for column in given if column.kind == "date"]:
        found = midnights(frame[name], source.rules.zone)
        log.note_midnights(table.name, name, found)
    cast = _typed(frame, given, source.rules)
    doubtful = _doubtful_texts(texts, source, looked)
    rules = [
        rule
        for column in given
        if column.name in doubtful
        or not is_clean(frame[column.name], cast[column.name], column, source)
        for rule in column_rules(frame, column, source)
    ]
    hit = expanded_rules(cast, hit_rules(cast, rules))
    first = next(c for c in table.column_names if c in source.columns)
    for text, is_wrong, column, *_ in hit:
        wrong = cast.filter(is_wrong)
        ids = wrong[first].head(NUM_EXAMPLES).to_list()
        log.add(table.name, wrong["row"].to_numpy(), column, text, ids)
    checked = CheckedBatch(cast, words, len(frame), keys)
    if hit:
        any_rule = pl.any_horizontal(rule.wrong.fill_null(False) for rule in hit)
        is_broken = cast.select(any_rule).to_series().to_numpy()
        log.refuse_run(source, cast["row"].to_numpy()[is_broken])
        checked = checked.kept(~is_broken)
    return replace(checked, frame=_whole(checked.frame, table.columns, source.columns))


def _typed(
    frame: pl.DataFrame, columns: Sequence[Column], rules: CellRules
) -> pl.DataFrame:
    """Read columns as their kinds; those that are of their type already stay."""
    schema = frame.schema
    others = [c for c in columns if schema[c.name] != polars_type(c.kind)]
    if not others:
        return frame
    return frame.with_columns(typed(frame, column, rules) for column in others)


def require_rows(source: Source, num_rows: int) -> None:
    """
    Refuse an empty table.

    Raises
    ------
    DataError
        Saying that an empty export is not a night.
    """
    if num_rows == 0:
        raise DataError(
            f"{source.label}: has no rows; check the {source.table.name} export"
        )


def refuse_twins(ids: Iterable[str], column: str, label: str) -> None:
    """
    Refuse ids that differ only in case, width, spaces or encoding: one, not two.

    Parameters
    ----------
    ids
        Of one thing, from all tables.
    column
        The column that holds them.
    label
        Name of its tables in messages.

    Raises
    ------
    DataError
        Naming the first pair.
    """
    seen: dict[str, str] = {}
    for name in ids:
        plain = name if name.isascii() else _composed(name).translate(_NARROW)
        twin = seen.setdefault("".join(plain.split()).casefold(), name)
        if twin != name:
            # accents in one sign and in two look alike
            shown = ascii if _composed(name) == _composed(twin) else repr
            raise DataError(
                f"{label}: {column} {hidden(shown(twin))} and {hidden(shown(name))} "
                "differ only in case, width or spaces, or in how accents are encoded; "
                "write each id in one way"
            )


def _composed(name: str) -> str:
    """Letters with their accents as one sign, as most systems write them."""
    return unicodedata.normalize("NFC", name)


def _laid_keys(
    frame: pl.DataFrame, key: Sequence[str], texts: Mapping[str, pl.Series]
) -> dict[str, LaidTexts]:
    """The column that is a table's key alone, laid out once for all who read it."""
    return {name: contiguous(frame[name]) for name in key if [*key] == [name] and texts}


def _refuse_personal(
    frame: pl.DataFrame,
    source: Source,
    distinct: Mapping[str, pl.Series],
    looked: Looked,
) -> None:
    kinds = {name: source.table.column(name).kind for name in distinct}
    ids = [name for name, kind in kinds.items() if kind == "id"]
    # Of a key the first texts are those of the first rows; of others with many, not.
    many = {
        name: frame[name].head(SAMPLE_ROWS)
        for name, values in distinct.items()
        if len(values) > SAMPLE_ROWS and [*source.table.key] != [name]
    }
    few = [name for name in ids if name not in many]
    looked_at = looked.may_be_personal(few, SAMPLE_ROWS)
    if many:
        of_ids = {name: values for name, values in many.items() if name in ids}
        looked_at |= Looked(of_ids).may_be_personal()
    looked_at = {name: looked_at[name] for name in ids if name in looked_at}
    for name, kind in kinds.items():
        if kind == "text":
            looked_at[name] = many.get(name, distinct[name]).head(SAMPLE_ROWS)
    allowed = source.rules.not_personal
    refuse_personal_values(frame, looked_at, ids, source.label, allowed)


def _refuse_named_like_persons(
    frame: pl.DataFrame, source: Source, texts: Iterable[str]
) -> None:
    """Refuse ids of a column that is mapped from one named like a person's data."""
    read = {} if source.mapping is None else source.mapping.columns
    for name, written in read.items():
        is_id = name in texts and source.table.column(name).kind == "id"
        if is_id and written not in source.rules.not_personal:
            refuse_names(frame[name], written, source.label)


def _doubtful_texts(
    texts: Mapping[str, pl.Series], source: Source, looked: Looked
) -> set[str]:
    """Columns of which a text may break a rule: these are looked at one by one."""
    whole = pattern_of_doubt(tuple(texts), source.table.name)
    # A column with a digit in its name may have its header among its texts.
    is_numbered = any(sign.isdigit() for name in texts for sign in name)
    rest = texts if is_numbered else looked.may_break()
    return {*names_matching(rest, whole, MAX_ID_BYTES)}


def _whole(
    frame: pl.DataFrame, columns: tuple[Column, ...], given: tuple[str, ...]
) -> pl.DataFrame:
    """``row`` and all columns of a contract, with their defaults."""
    import polars as pl

    if len(frame) > _FEW_ROWS:  # a column that is missing takes no memory
        return frame.select("row", *_all_filled(columns, given))
    found = [frame["row"]]
    for column in columns:
        if column.name not in given:
            found.append(_default(column).new_from_index(0, len(frame)))
            continue
        value = frame[column.name]
        if column.default is not None and value.null_count():
            value = value.fill_null(column.default)
        found.append(value)
    return pl.DataFrame(found)


@lru_cache
def _default(column: Column) -> pl.Series:
    """A missing column's value."""
    import polars as pl

    return pl.Series(column.name, [column.default], polars_type(column.kind))


@lru_cache
def _all_filled(
    columns: tuple[Column, ...], given: tuple[str, ...]
) -> tuple[pl.Expr, ...]:
    """All columns of a contract; making them costs as much as using them."""
    return tuple(_filled(column, given) for column in columns)


def _filled(column: Column, given: Sequence[str]) -> pl.Expr:
    """The column with its default for nulls, or filled with it where it is missing."""
    import polars as pl

    kind = polars_type(column.kind)
    if column.name not in given:
        return pl.lit(column.default, dtype=kind).alias(column.name)
    value = pl.col(column.name)
    return value if column.default is None else value.fill_null(column.default)
