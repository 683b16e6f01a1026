"""Rows that break a rule: set aside, counted, and told; too many refuse the night."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from optimizer.contracts.tables import QUARANTINE
from optimizer.contracts.warnings import warn
from optimizer.errors import DataError, counted
from optimizer.io.plain_texts import MAX_ID_BYTES
from optimizer.io.privacy import hidden
from optimizer.io.row_rules import HINTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from optimizer.contracts.warnings import CodedWarning
    from optimizer.io.cells import Midnights
    from optimizer.io.read import Source

#: Ids of broken rows that a message shows.
NUM_EXAMPLES = 5


class Finding(NamedTuple):
    """Rows of one table that break one rule in one column, and ids of the first."""

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
        ids: Sequence[str | None] = (),
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
            Ids of the first rows, for messages; ``None`` of a row that has none.
        """
        if len(rows):
            first = [name or "" for name in ids[:NUM_EXAMPLES]]
            shown = tuple(hidden(name[:MAX_ID_BYTES]) for name in first)
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

    def midnights(self) -> list[tuple[str, str, int, int, int]]:
        """Table and column, and the sums of what was noted of its times."""
        return [
            (
                *column,
                sum(part.num_times for part in parts),
                sum(part.num_in_utc for part in parts),
                sum(part.num_naive for part in parts),
            )
            for column, parts in self._midnights.items()
        ]

    def warnings(self, zone: str) -> list[CodedWarning]:
        """Warn of date columns in which most times look like dates of another zone."""
        found = []
        for source, column, num_times, num_in_utc, num_naive in self.midnights():
            for code, num in (
                ("MIDNIGHTS_IN_UTC", num_in_utc),
                ("MIDNIGHTS_WITHOUT_ZONE", num_naive),
            ):
                if num * 2 > num_times:
                    names = {"table": source, "column": column, "zone": zone}
                    found.append(warn(code, num_cells=num, **names))
        return found

    def refuse_beyond(
        self,
        max_share: Decimal,
        counts: Mapping[str, int],
        sources: Mapping[str, Source],
    ) -> None:
        """
        Refuse the night if too many of a table's rows are broken, or all of them.

        Parameters
        ----------
        max_share
            Largest share, compared exactly.
        counts
            Rows read of each table.
        sources
            Where each is from; files are looked at again for the first broken rows.

        Raises
        ------
        DataError
            With the number of rows by column and rule, and files, rows and ids of the
            first.
        """
        for name, num_rows in counts.items():
            found = [f for f in self._findings if f.source == name]
            num_broken = _num_distinct(found)
            is_all = 0 < num_broken == num_rows
            if not is_all and num_broken <= Fraction(max_share) * num_rows:
                continue
            source, most = sources[name], "so nothing is left"
            if not is_all:
                most = f"more than the {max_share:%} that quarantine.max_share allows"
            share = "" if is_all else f" ({num_broken / num_rows:.2%})"
            raise DataError(
                f"{source.label}: {num_broken:,} of {counted(num_rows, 'row')}{share} "
                f"break a rule, {most}: {_by_rule(found, source)}; mend the export"
                f"{_hints(found)}"
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

    def left_out(self, source: Source, num_rows: int) -> list[CodedWarning]:
        """
        Say how many of a history's rows are broken, and by which rules.

        Parameters
        ----------
        source
            The table.
        num_rows
            Its rows.
        """
        found = [f for f in self._findings if f.source == source.table.name]
        if not found:
            return []
        rules: dict[str, int] = {}
        for f in sorted(found, key=lambda one: (one.column, one.rule)):
            broken = f"{f.column} {f.rule}".strip()
            rules[broken] = rules.get(broken, 0) + len(f.rows)
        told = tuple(f"{rule} ({number:,})" for rule, number in rules.items())
        return [
            warn(
                "OUTCOMES_REFUSED",
                num_rows=_num_distinct(found),
                num_all=num_rows,
                table=source.label,
                rules=told,
            )
        ]

    def num_broken(self, source: str) -> int:
        """Count a table's broken rows, each once."""
        return _num_distinct([f for f in self._findings if f.source == source])

    def has_any(self, source: str) -> bool:
        """Whether a table has broken rows."""
        return any(finding.source == source for finding in self._findings)

    def frame(self) -> pl.DataFrame:
        """All broken rows as the quarantine table; rows count from 1."""
        import polars as pl

        none = _none_broken()
        if not self._findings:
            return none.clone()
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


@cache
def _none_broken() -> pl.DataFrame:
    """The quarantine table of a night without broken rows."""
    import polars as pl

    return pl.DataFrame(schema=QUARANTINE.schema)


def _num_distinct(findings: Sequence[Finding]) -> int:
    import numpy as np

    if not findings:
        return 0
    return len(np.unique(np.concatenate([f.rows for f in findings])))


def _by_rule(findings: Sequence[Finding], source: Source | None = None) -> str:
    """Rows by column and rule, and the first of them: ids, and places in the files."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for f in findings:
        groups.setdefault((f.column, f.rule), []).append(f)
    first = {rule: _first_of(group) for rule, group in groups.items()}
    places = _places({row for rows in first.values() for row, _ in rows}, source)
    said = []
    for (column, rule), group in sorted(groups.items()):
        shown = []
        for row, name in first[column, rule]:
            place = places.get(row, "")
            both = f"{name} ({place})" if name and place else name or place
            shown += [both] if both else []
        count = sum(len(f.rows) for f in group)
        text = f"{column} {rule}: {counted(count, 'row')}"
        said.append(text + (f", first {', '.join(shown)}" if shown else ""))
    return "; ".join(said)


def _first_of(group: Sequence[Finding]) -> list[tuple[int, str]]:
    """The first rows, from 1, that break a rule, with their ids; empty: has none."""
    # There are as many ids as rows, or none at all: a rule of whole rows has none.
    heads = (zip_longest(f.rows[:NUM_EXAMPLES].tolist(), f.ids) for f in group)
    found = sorted((row + 1, name or "") for head in heads for row, name in head)
    return found[:NUM_EXAMPLES]


def _places(rows: set[int], source: Source | None) -> dict[int, str]:
    """Where rows are, for a message that names the table: its file only of several."""
    from optimizer.io.row_places import find_rows

    if source is None:
        return {}
    found = find_rows(source, rows)
    if len(source.files) == 1:
        return {
            row: f"row {place.row:,}" if place.line is None else f"line {place.line:,}"
            for row, place in found.items()
        }
    return {row: str(place) for row, place in found.items()}


def _hints(found: Iterable[Finding]) -> str:
    """Hints on what may be done about broken rules."""
    hints = dict.fromkeys(HINTS[f.rule] for f in found if f.rule in HINTS)
    return "".join(f"; {hint}" for hint in hints)
