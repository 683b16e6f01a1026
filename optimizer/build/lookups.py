"""
Look-ups: names in one place that select rows in another, and how many are found.

A name that is not found would silently select nothing: a merchant who takes no part
keeps its slots, a peak leaves its carrier unchanged. So each place that names something
is counted here. A name that differs from a known one only in spelling, so that a person
would read the same name, is refused.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from optimizer.contracts.warnings import some, warn
from optimizer.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from decimal import Decimal

    import polars as pl

    from optimizer.contracts.warnings import CodedWarning

#: Names that a count gives of those that find nothing.
NUM_SHOWN = 5
#: Among more names than these no near ones are looked for: it would take minutes.
MAX_SEARCHED = 20_000
#: Marks that exports put around a name, and what nobody sees.
_MARKS = r"""[\s\p{Cf}\p{Cc}"'`´‘’“”«»=]"""


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """
    One place that names things.

    Attributes
    ----------
    place
        Its name in messages: a table, or a key of the configuration.
    column
        Kind of its names, such as ``merchant_id``.
    names
        The names, each once, with the place of the first: a row, or file and line.
    known
        All known names.
    is_table
        Whether the place is a table; else it is a key of the configuration.
    is_told
        Whether unknown names are warned of; false for values that come and go.
    must_find
        Whether a night of use finds at least one of the names.
    known_as
        What known names are, for messages.
    """

    place: str
    column: str
    names: dict[str, str]
    known: Collection[str]
    is_table: bool = False
    is_told: bool = True
    must_find: bool = False
    known_as: str = "of the night"


@dataclass(frozen=True)
class Missing:
    """
    A name that is not found.

    Attributes
    ----------
    name, where
        The name, and its place.
    known
        Known names, among which near ones are looked for once somebody asks.
    """

    name: str
    where: str
    known: Collection[str] = field(repr=False, compare=False)

    @cached_property
    def near(self) -> tuple[str, ...]:
        """The known names closest to it."""
        return _near(self.name, self.known)

    @property
    def unplaced(self) -> str:
        """Say it without its place: a record is the same wherever its rules stood."""
        return self._told("")

    def __str__(self) -> str:
        """Say it in a few words."""
        return self._told(self.where)

    def _told(self, where: str) -> str:
        more = [text for text in (where, _like(self.near)) if text]
        return f"{self.name!r}" + (f" ({'; '.join(more)})" if more else "")


@dataclass(frozen=True, slots=True)
class LookupCount:
    """
    How many names of one place are found.

    Attributes
    ----------
    place, column
        As of :class:`Lookup`.
    num_names, num_found, num_known
        Different names there, those that are known, and all that are known.
    missing
        The first names that are not found.
    is_table, is_told, must_find, known_as
        As of :class:`Lookup`.
    """

    place: str
    column: str
    num_names: int
    num_found: int
    num_known: int
    missing: tuple[Missing, ...]
    is_table: bool
    is_told: bool
    must_find: bool
    known_as: str

    @property
    def share(self) -> float:
        """Share of findable names that are found: 1 where either side is complete."""
        most = min(self.num_names, self.num_known)
        return self.num_found / most if most else 1.0

    @property
    def text(self) -> str:
        """Say it in a line."""
        found = f"{self.num_found:,} of {self.num_names:,}"
        what = self.column.removesuffix("_id")
        said = f"{self.place}: {found} {what} names are {self.known_as}"
        if not self.missing:
            return said
        num_more = self.num_names - self.num_found - len(self.missing)
        more = f" and {num_more:,} more" if num_more else ""
        return f"{said}; not {', '.join(map(str, self.missing))}{more}"

    def to_json(self) -> dict[str, Any]:
        """Give numbers, missing names and the line."""
        return {
            "place": self.place,
            "column": self.column,
            "num_names": self.num_names,
            "num_found": self.num_found,
            "num_known": self.num_known,
            "missing": [
                {"name": m.name, "where": m.where, "near": list(m.near)}
                for m in self.missing
            ],
            "text": self.text,
        }


def table_lookup(
    frame: pl.DataFrame,
    column: str,
    place: str,
    known: Collection[str],
    *,
    is_told: bool = True,
    must_find: bool = False,
) -> Lookup:
    """
    Names in a column of a table, each with its first row, from 1.

    Parameters
    ----------
    frame
        The checked table, with ``row``.
    column
        Column whose values are names.
    place
        The table's name in messages.
    known
        Names that can be found.
    is_told
        Whether unknown names are warned of.
    must_find
        Whether a night of use finds at least one of the names.
    """
    frame = frame if frame["row"].is_sorted() else frame.sort("row")
    # from the last row to the first, so that the first stays
    rows: dict[str, int] = dict(
        zip(*(frame[c].to_list()[::-1] for c in (column, "row")), strict=True)
    )
    rows.pop(None, None)  # type: ignore[call-overload]
    names = {name: f"row {rows[name] + 1}" for name in sorted(rows)}
    return Lookup(
        place=place,
        column=column,
        names=names,
        known=known,
        is_table=True,
        is_told=is_told,
        must_find=must_find,
    )


def count_lookup(lookup: Lookup, *, is_strict: bool = True) -> LookupCount:
    """
    Count what the names of a place find.

    Parameters
    ----------
    lookup
        The place.
    is_strict
        Whether names that are written otherwise are refused.

    Raises
    ------
    DataError
        When a name differs from a known one only in how it is written.

    Examples
    --------
    >>> count_lookup(Lookup("rules", "carrier_id", {"yundda": ""}, {"yunda"})).text
    "rules: 0 of 1 carrier names are of the night; not 'yundda' (nearest: yunda)"
    >>> count_lookup(Lookup("rules", "carrier_id", {"Yunda": ""}, {"yunda"}))
    Traceback (most recent call last):
        ...
    optimizer.errors.DataError: rules: carrier_id 'Yunda' is not known, and 'yunda' \
is; they differ only in case, spaces, width, quotes, leading zeros, a trailing .0 or a \
prefix; write it in one way
    """
    known = lookup.known if isinstance(lookup.known, set) else {*lookup.known}
    missing = [name for name in lookup.names if name not in known]
    if missing and is_strict and _may_be_twins(missing, known):
        _refuse_twins(lookup, missing, known)
    shown = [
        Missing(name, lookup.names[name], known if len(known) <= MAX_SEARCHED else ())
        for name in missing[:NUM_SHOWN]
    ]
    return LookupCount(
        place=lookup.place,
        column=lookup.column,
        num_names=len(lookup.names),
        num_found=len(lookup.names) - len(missing),
        num_known=len(known),
        missing=tuple(shown),
        is_table=lookup.is_table,
        is_told=lookup.is_told,
        must_find=lookup.must_find,
        known_as=lookup.known_as,
    )


def _may_be_twins(missing: Sequence[str], known: Collection[str]) -> bool:
    """Whether a name could differ from a known one only in how it is written."""
    if len(missing) + len(known) > _MAX_READ:
        return True
    mine, theirs = _read_as(missing), _read_as(known)
    plain = {read.plain for read in theirs}
    number = {(read.number, not read.is_bare) for read in theirs}
    return any(
        read.plain in plain or (read.number, read.is_bare) in number for read in mine
    )


class _Read(NamedTuple):
    """A name as a person reads it; see :func:`_written`."""

    plain: str
    number: str
    is_bare: bool


#: Names that were read before: most come again, night by night, and reading is slow.
_READ: dict[str, _Read] = {}
_MAX_READ = 20_000


def _read_as(names: Collection[str]) -> list[_Read]:
    """Names as a person reads them."""
    import polars as pl

    found = {name: _READ.get(name) for name in names}
    new = [name for name, read in found.items() if read is None]
    if new:
        frame = _written(pl.Series("name", new, pl.String))
        made = {name: _Read(*read) for name, *read in frame.iter_rows()}
        if len(_READ) + len(made) > _MAX_READ:
            _READ.clear()
        _READ.update(made)
        found |= made
    return [read for read in found.values() if read is not None]


def _refuse_twins(
    lookup: Lookup, missing: Sequence[str], known: Collection[str]
) -> None:
    import polars as pl

    mine = _written(pl.Series("name", missing, pl.String))
    theirs = _written(pl.Series("twin", sorted(known), pl.String))
    for way in ("plain", "number"):
        pairs = mine.drop_nulls(way).join(theirs, on=way, maintain_order="left")
        if way == "number":  # a prefix counts where one of the two has none
            pairs = pairs.filter(pl.col("is_bare") != pl.col("is_bare_right"))
        if len(pairs):
            name, twin = pairs.select("name", "twin").row(0)
            where = f" ({lookup.names[name]})" if lookup.names[name] else ""
            raise DataError(
                f"{lookup.place}: {lookup.column} {name!r}{where} is not known, and "
                f"{twin!r} is; they differ only in case, spaces, width, quotes, "
                "leading zeros, a trailing .0 or a prefix; write it in one way"
            )


def _written(names: pl.Series) -> pl.DataFrame:
    """
    Names as a person reads them, for comparison.

    Returns
    -------
    pl.DataFrame
        The names; ``plain``, without differences that a person overlooks; ``number``,
        of names that are a number, perhaps after a prefix; ``is_bare``: without one.

    Examples
    --------
    >>> import polars as pl
    >>> frame = _written(pl.Series("name", ["A B1", "'007.0'", "shop-07", "sf:yunda"]))
    >>> frame["plain"].to_list(), frame["number"].to_list()
    (['ab1', '7', 'shop-07', 'sf:yunda'], ['1', '7', '7', 'yunda'])
    """
    import polars as pl

    text = pl.col(names.name).str.normalize("NFKC").str.to_lowercase()
    plain = text.str.replace_all(_MARKS, "").str.replace(r"^(\d+)\.0+$", "$1")
    plain = plain.str.replace(r"^0+(\d)", "$1").alias("plain")
    number = pl.coalesce(
        pl.col("plain").str.extract(r"^\D*?[^\d.]?0*(\d+)$"),
        pl.col("plain").str.extract(r"[:/|#]0*([^:/|#]+)$"),
        pl.col("plain"),
    )
    frame = names.to_frame().with_columns(plain).with_columns(number=number)
    return frame.with_columns(is_bare=pl.col("plain") == pl.col("number"))


def _near(name: str, known: Collection[str]) -> tuple[str, ...]:
    if len(known) > MAX_SEARCHED:
        return ()
    folded = {other.casefold(): other for other in sorted(known, reverse=True)}
    found = difflib.get_close_matches(name.casefold(), folded, n=2, cutoff=0.7)
    return tuple(folded[other] for other in found)


def _like(near: Sequence[str]) -> str:
    return f"nearest: {', '.join(near)}" if near else ""


def lookup_warnings(
    counts: Iterable[LookupCount], warn_below: Decimal, refuse_below: Decimal | None
) -> list[CodedWarning]:
    """
    Warn of tables with few names found, and of configured names that are not found.

    Parameters
    ----------
    counts
        Of all places.
    warn_below, refuse_below
        Shares of a table's names that are found, of those that could be. Without the
        second, a table is refused of which no name is found, though one must be.

    Raises
    ------
    DataError
        When a table's share is below ``refuse_below``, or nothing is found.
    """
    given = [*counts]
    found = []
    for count in (count for count in given if count.is_table):
        if refuse_below is None and count.must_find and not count.share:
            raise DataError(
                f"{count.text}; so no row would change anything: write the names "
                "alike, or set lookups.refuse_below: 0 to go on with a warning"
            )
        if (
            refuse_below is not None
            and count.share < refuse_below
            and (count.is_told or count.must_find)
        ):
            raise DataError(f"{count.text}; lookups.refuse_below is {refuse_below}")
        if count.is_told and count.share < warn_below:
            found.append(
                warn(
                    "FEW_NAMES_FOUND",
                    num_names=count.num_names - count.num_found,
                    num_all=count.num_names,
                    table=count.place,
                    column=count.column,
                    names=tuple(missing.name for missing in count.missing),
                )
            )
    nothing = [c for c in given if c.is_told and not (c.is_table or c.num_found)]
    if nothing:
        said = [
            f"{count.place}: {', '.join(m.unplaced for m in count.missing)}"
            for count in nothing
        ]
        found.append(
            warn("RULES_FIND_NOTHING", num_rules=len(nothing), rules=some(said))
        )
    return found
