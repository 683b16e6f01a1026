"""
Rows against the contract: rows that break a rule are quarantined, not repaired.

Rows of orders and options go to quarantine; of capacity and merchants, small
tables on which everything rests, a single broken row refuses the night.
"""

from __future__ import annotations

import sys
import unicodedata
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from optimizer.contracts.columns import Column, polars_type
from optimizer.contracts.tables import CAPACITY, QUARANTINE
from optimizer.contracts.warnings import warn
from optimizer.errors import DataError, counted
from optimizer.io.cells import (
    ALL_WORD,
    FIRST_DAY,
    LAST_DAY,
    NULL_WORD,
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
from optimizer.io.words import find_words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from decimal import Decimal

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from optimizer.contracts.warnings import CodedWarning
    from optimizer.io.cells import CellRules, Midnights
    from optimizer.io.contiguous import LaidTexts
    from optimizer.io.read import Source
    from optimizer.io.words import Words

#: Largest count that is accepted; beyond it a number is a mistake.
MAX_COUNT = 10**12
_NUM_EXAMPLES = 5
#: Of fewer rows columns are looked at one by one: an expression takes as long as they.
_FEW_ROWS = 50_000
#: Kinds of columns that are text.
_WORDED = ("id", "text", "pin")
#: Full-width letters, digits and signs as the ordinary ones.
_NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
#: Outer spaces, and what nobody sees: controls, zero widths, marks of direction.
_UNTRIMMED = r"^\s|\s$|[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]"
_NO_FLAG = "is not true or false"
_NO_DATE = "is not a date such as 2026-11-22"
_NO_VALUE = "is a word for no value, such as NULL"
_NO_NAME = "is a word for all, or for a total"
_HEADER = "is the name of its column"
_NO_DAY = "is a day that stands for none, such as 1970-01-01"
_SPACED = "has outer spaces or control characters"
_NO_NUMBER = "is not a number"
_NO_WHOLE = "is not a whole number"
#: What an id is not: each rule, and the texts that break it.
_NO_IDS = {
    "is empty": "^$",
    _SPACED: _UNTRIMMED,
    _NO_VALUE: NULL_WORD,
    "is a rounded number, as spreadsheets write it": (
        r"^[+-]?[0-9](?:[.,][0-9]+)?[Ee]\+[0-9]{1,3}$"
        r"|^[+-]?[0-9]\.[0-9]+[Ee][0-9]{1,3}$"
    ),
    "is a number with a decimal point": r"^[+-]?[0-9]+\.0+$",
    "is a formula, as spreadsheets write it": "^=",
    "begins with an apostrophe": "^['\u2019]",
}
_PLAINLY = "numbers are written as 0.05 or 1200, without units or separators"
#: What to do, beside mending the export, by rule.
_HINTS = {
    _NO_FLAG: "flags are true, false, 1 or 0, t/f, yes/no, y/n, 是/否",
    _NO_DATE: "date_formats lists other spellings that are to be read",
    _NO_VALUE: (
        "null_words lists words that are to be read as no value, not_null_words those "
        "that are names"
    ),
    _NO_NAME: (
        "leave the cell empty where a limit holds for all, and totals out; a name that "
        "is such a word goes to not_null_words"
    ),
    _HEADER: "the header stands in the file more than once",
    _NO_DAY: "leave the cell empty where there is no date",
    _SPACED: "cut spaces off, such as trim(carrier_id)",
    _NO_NUMBER: _PLAINLY,
    _NO_WHOLE: _PLAINLY,
    **dict.fromkeys(list(_NO_IDS)[3:], "export ids as text, past no spreadsheet"),
}


class Rule(NamedTuple):
    """
    A rule of a column, and where a batch breaks it.

    ``parts`` are the rules that it stands for, as patterns of text: they are looked for
    only where it is broken, and not in the texts ``kept``.
    """

    text: str
    wrong: pl.Expr
    column: str = ""
    parts: Mapping[str, str] = {}
    kept: Sequence[str] = ()


class Finding(NamedTuple):
    """Rows of one table that break one rule in one column."""

    source: str
    rows: NDArray[np.int64]
    column: str
    rule: str
    ids: tuple[str, ...]


class QuarantineLog:
    """Collects the rows that break a rule, with a few ids for the message."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self._midnights: dict[tuple[str, str], list[Midnights]] = {}
        self._runs: dict[str, tuple[int, int]] = {}

    def add(
        self,
        source: str,
        rows: NDArray[np.int64],
        column: str,
        rule: str,
        ids: Sequence[str] = (),
    ) -> None:
        """
        Note rows (from 0) of a table that break a rule in a column.

        Parameters
        ----------
        source
            Table that the rows are of.
        rows
            ``(k,) int64``: positions in the table, from 0.
        column
            Column that breaks the rule; empty where it is the whole row.
        rule
            The rule, as the quarantine table has it.
        ids
            Some ids of the rows, for messages.
        """
        if len(rows):
            shown = tuple(hidden(name[:MAX_ID_BYTES]) for name in ids[:_NUM_EXAMPLES])
            self._findings.append(Finding(source, rows, column, rule, shown))

    def refuse_run(self, source: Source, rows: NDArray[np.int64]) -> None:
        """
        Stop where too many broken rows follow each other: the rest is as broken.

        Parameters
        ----------
        source
            The table.
        rows
            ``(k,) int64``, ascending: broken rows of its next batch, from 0.

        Raises
        ------
        DataError
            With the first of them, and what is wrong with it.
        """
        import numpy as np

        if len(rows) == 0:
            return
        name, most = source.table.name, source.rules.limits.broken_rows_in_a_row
        starts = np.flatnonzero(np.diff(rows, prepend=rows[0] - 2) != 1)
        first, length = rows[starts], np.diff(starts, append=len(rows))
        begun, num_before = self._runs.get(name, (-1, 0))
        if begun + num_before == first[0]:
            first[0], length[0] = begun, length[0] + num_before
        self._runs[name] = int(first[-1]), int(length[-1])
        longest = int(np.argmax(length))
        if length[longest] > most:
            raise DataError(
                f"{source.label}: {int(length[longest]):,} rows in a row, from row "
                f"{int(first[longest]) + 1:,} on, break a rule; "
                f"limits.broken_rows_in_a_row allows {most:,}: "
                f"{_by_rule([f for f in self._findings if f.source == name])}; mend "
                f"the export{self.hints(name)}"
            )

    def note_midnights(self, source: str, column: str, found: Midnights) -> None:
        """Note times of a date column that look like dates of another zone."""
        if found.num_times:
            self._midnights.setdefault((source, column), []).append(found)

    def take(self, other: QuarantineLog) -> None:
        """Note of another log's tables what it noted of their dates."""
        for column, found in other._midnights.items():
            self._midnights.setdefault(column, []).extend(found)

    def warnings(self, zone: str) -> list[CodedWarning]:
        """Warn of date columns in which most times look like dates of another zone."""
        found = []
        for (source, column), parts in self._midnights.items():
            num_times = sum(part.num_times for part in parts)
            for code, num in (
                ("MIDNIGHTS_IN_UTC", sum(part.num_in_utc for part in parts)),
                ("MIDNIGHTS_WITHOUT_ZONE", sum(part.num_naive for part in parts)),
            ):
                if num * 2 > num_times:
                    names = {"table": source, "column": column, "zone": zone}
                    found.append(warn(code, num_cells=num, **names))
        return found

    def refuse_beyond(self, max_share: Decimal, counts: Mapping[str, int]) -> None:
        """
        Refuse the night if too many of a table's rows are broken, or all of them.

        Parameters
        ----------
        max_share
            Largest share, compared exactly.
        counts
            Rows read of each table.

        Raises
        ------
        DataError
            With the number of rows by column and rule, and a few ids.
        """
        for source, num_rows in counts.items():
            found = [f for f in self._findings if f.source == source]
            num_broken = _num_distinct(found)
            if 0 < num_broken == num_rows:
                raise DataError(
                    f"{source}: {num_broken:,} of {counted(num_rows, 'row')} break a "
                    f"rule, so nothing is left: {_by_rule(found)}; mend the export"
                    f"{_hints(found)}"
                )
            if num_broken > Fraction(max_share) * num_rows:
                raise DataError(
                    f"{source}: {num_broken:,} of {counted(num_rows, 'row')} "
                    f"({num_broken / num_rows:.2%}) break a rule, more than the "
                    f"{max_share:%} that quarantine.max_share allows: "
                    f"{_by_rule(found)}; mend the export{_hints(found)}"
                )

    def refuse_any(self) -> None:
        """
        Refuse tables of which a row is broken, be it one.

        Raises
        ------
        DataError
            With the number of rows by column and rule, and a few ids.
        """
        for source in dict.fromkeys(f.source for f in self._findings):
            found = [f for f in self._findings if f.source == source]
            raise DataError(
                f"new {source}: {counted(_num_distinct(found), 'row')} break a rule: "
                f"{_by_rule(found)}; a change is taken whole or not at all, so mend it"
                f"{_hints(found)}"
            )

    def hints(self, source: str) -> str:
        """Hints about a table's broken rows, ready to follow a message."""
        return _hints(f for f in self._findings if f.source == source)

    def has_any(self, source: str) -> bool:
        """Whether a table has broken rows."""
        return any(finding.source == source for finding in self._findings)

    def frame(self) -> pl.DataFrame:
        """All broken rows as the quarantine table; rows count from 1."""
        import polars as pl

        none = pl.DataFrame(schema=QUARANTINE.schema)
        if not self._findings:
            return none
        parts = [
            pl.DataFrame({"row": f.rows + 1}).select(
                pl.lit(f.source).alias("source"),
                pl.col("row").cast(pl.Int64),
                pl.lit(f.column).alias("column"),
                pl.lit(f.rule).alias("rule"),
            )
            for f in self._findings
        ]
        return pl.concat([none, *parts]).sort(pl.all())


def _num_distinct(findings: Sequence[Finding]) -> int:
    import numpy as np

    if not findings:
        return 0
    return len(np.unique(np.concatenate([f.rows for f in findings])))


def _by_rule(findings: Sequence[Finding]) -> str:
    totals: dict[tuple[str, str], tuple[int, tuple[str, ...]]] = {}
    for f in findings:
        count, ids = totals.get((f.column, f.rule), (0, ()))
        totals[f.column, f.rule] = count + len(f.rows), (ids + f.ids)[:_NUM_EXAMPLES]
    return "; ".join(
        f"{column} {rule}: {counted(count, 'row')}"
        + (f", first {', '.join(ids)}" if ids else "")
        for (column, rule), (count, ids) in sorted(totals.items())
    )


def _hints(found: Iterable[Finding]) -> str:
    """Hints on what may be done about broken rules."""
    hints = dict.fromkeys(_HINTS[f.rule] for f in found if f.rule in _HINTS)
    return "".join(f"; {hint}" for hint in hints)


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
    worded = [name for name, kind in kinds.items() if kind in _WORDED]
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
        or not _is_clean(frame[column.name], cast[column.name], column, source)
        for rule in _rules(frame, column, source)
    ]
    hit = _expanded(cast, _hit(cast, rules))
    first = next(c for c in table.column_names if c in source.columns)
    for text, is_wrong, column, *_ in hit:
        wrong = cast.filter(is_wrong)
        ids = wrong[first].head(_NUM_EXAMPLES).drop_nulls().to_list()
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


def _hit(cast: pl.DataFrame, rules: Sequence[Rule]) -> list[Rule]:
    """Rules that any row breaks."""
    if not rules:
        return []
    broken = cast.select(
        rule.wrong.any().alias(str(number)) for number, rule in enumerate(rules)
    ).row(0)
    return [rule for rule, is_broken in zip(rules, broken, strict=True) if is_broken]


def _expanded(cast: pl.DataFrame, hit: Sequence[Rule]) -> list[Rule]:
    """Expand combined rules into those of their parts that are broken."""
    import polars as pl

    whole = [rule for rule in hit if not rule.parts]
    parts = [
        Rule(text, _matches(pl.col(rule.column), pattern, rule.kept), rule.column)
        for rule in hit
        for text, pattern in rule.parts.items()
    ]
    return [*whole, *_hit(cast, parts)]


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
    whole = _patterns(tuple(texts), source.table.name)
    # A column with a digit in its name may have its header among its texts.
    is_numbered = any(sign.isdigit() for name in texts for sign in name)
    rest = texts if is_numbered else looked.may_break()
    return {*names_matching(rest, whole, MAX_ID_BYTES)}


@lru_cache
def _patterns(columns: tuple[str, ...], table: str) -> str:
    """Pattern of a text that may break a rule."""
    patterns = [*_NO_IDS.values(), *(f"(?i)^{name}$" for name in columns)]
    if table == CAPACITY.name:
        patterns.append(ALL_WORD)
    return "|".join(f"(?:{pattern})" for pattern in patterns)


def _is_clean(raw: pl.Series, value: pl.Series, column: Column, source: Source) -> bool:
    """
    Whether no value breaks a rule of :func:`_rules`, texts' own rules aside.

    Most columns are clean, and this is a hundred times faster than to ask each rule.
    """
    if column.name in source.required and raw.null_count():
        return False
    if raw.null_count() != value.null_count():
        return False
    if column.kind == "count" and raw.dtype.is_float():
        return False
    if column.kind in (*_WORDED, "flag"):
        return column.kind != "pin" or set(value.unique()) <= {"must", "never", None}
    value = value.drop_nulls() if value.null_count() else value
    return len(value) == 0 or _is_in_range(value, column)


def _is_in_range(value: pl.Series, column: Column) -> bool:
    """Whether all of some values, none of them null, keep :func:`_value_rules`."""
    if column.kind == "date":
        return value.is_between(FIRST_DAY, LAST_DAY).all()
    import numpy as np

    values = value.to_numpy()
    least, most = values.min(), values.max()  # NaN where there is one
    if column.kind == "number":
        return bool(np.isfinite(least) and np.isfinite(most))
    low = column.minimum if column.kind == "count" else 0
    high = {"probability": 1, "count": MAX_COUNT}.get(column.kind, sys.float_info.max)
    return bool(low <= least and most <= high)


def _rules(frame: pl.DataFrame, column: Column, source: Source) -> list[Rule]:
    """Rules of a column."""
    import polars as pl

    value = pl.col(column.name)
    found: list[Rule] = []
    if column.name in source.required:
        was_null = pl.lit(frame[column.name].is_null())
        found.append(Rule("is missing", was_null))
    if frame.schema[column.name] not in (polars_type(column.kind), pl.Null):
        raw = frame[column.name]
        found[:0] = _cast_rules(raw, value, column)
    found += _text_rules(value, column, source)
    found += _value_rules(value, column)
    return [rule._replace(column=column.name) for rule in found]


def _cast_rules(raw: pl.Series, value: pl.Expr, column: Column) -> list[Rule]:
    """Values that the cast to the column's kind lost."""
    import polars as pl

    words = {"flag": _NO_FLAG, "count": _NO_WHOLE, "date": _NO_DATE}
    was_given = pl.lit(raw.is_not_null())
    lost = [Rule(words.get(column.kind, _NO_NUMBER), value.is_null() & was_given)]
    if column.kind == "count" and raw.dtype.is_float():
        lost.append(Rule(words["count"], pl.lit(raw) != value.cast(pl.Float64)))
    return lost


def _text_rules(value: pl.Expr, column: Column, source: Source) -> list[Rule]:
    """Rules of ids and texts: most are looked at with one pattern alone."""
    kept = source.rules.not_null_words
    if column.kind == "text":
        return [Rule(_NO_VALUE, _matches(value, NULL_WORD, kept))]
    if column.kind != "id":
        return []
    parts = dict(_NO_IDS)
    if column.name.endswith("_id"):
        parts[_HEADER] = f"(?i)^{column.name}$"
    if source.table.name == CAPACITY.name:
        parts[_NO_NAME] = ALL_WORD
    whole = "|".join(f"(?:{pattern})" for pattern in parts.values())
    too_long = value.str.len_bytes() > MAX_ID_BYTES
    return [
        Rule(f"is longer than {MAX_ID_BYTES} bytes", too_long),
        Rule("", _matches(value, whole, kept), parts=parts, kept=kept),
    ]


def _matches(value: pl.Expr, pattern: str, kept: Sequence[str]) -> pl.Expr:
    """Where a text matches a pattern and is none of those that are kept."""
    found = value.str.contains(pattern)
    return found & ~value.is_in(list(kept)) if kept else found


def _value_rules(value: pl.Expr, column: Column) -> list[Rule]:
    import polars as pl

    if column.kind == "date":
        days = pl.lit(FIRST_DAY), pl.lit(LAST_DAY)
        return [Rule(_NO_DAY, ~value.is_between(*days))]
    if column.kind == "probability":
        return [
            Rule(_NO_NUMBER, value.is_nan()),
            Rule("is outside [0, 1]", ~value.is_between(0, 1) & ~value.is_nan()),
        ]
    if column.kind in ("money", "number"):
        finite = Rule("is not a finite number", ~value.is_finite())
        negative = Rule("is negative", value < 0)
        return [finite] if column.kind == "number" else [finite, negative]
    if column.kind == "count":
        least = column.minimum
        return [
            Rule(f"is below {least}" if least else "is negative", value < least),
            Rule(f"is above {MAX_COUNT:,}", value > MAX_COUNT),
        ]
    if column.kind == "pin":
        return [Rule('is not "must" or "never"', ~value.is_in(["must", "never"]))]
    return []


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
