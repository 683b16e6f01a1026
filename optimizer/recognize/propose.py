"""Which of our tables a sample is, and which of its columns are ours."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from optimizer.config.mapping import AMOUNTS, WORDS
from optimizer.contracts.carrier_names import (
    SPELLINGS,
    carrier_line,
    known_carriers,
    nearest_carriers,
)
from optimizer.contracts.tables import CAPACITY, MERCHANTS, ORDERS, OUTCOMES
from optimizer.errors import DataError, counted
from optimizer.io.cells import DATE_SPELLINGS, FLAG_WORDS, CellRules, days_of
from optimizer.io.mapping import amount_pattern, unwrapped
from optimizer.io.privacy import hidden, refuse_names
from optimizer.recognize.copies import command_of, copy_steps, refuse_personal
from optimizer.recognize.names import (
    CAPACITY_NAMES,
    MERCHANT_NAMES,
    ORDER_NAMES,
    OUTCOME_NAMES,
    plain,
)
from optimizer.recognize.whole import count_whole

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

    from optimizer.recognize.sample import Sample
    from optimizer.recognize.whole import Whole

_NAMES = {
    "orders": ORDER_NAMES,
    "outcomes": OUTCOME_NAMES,
    "capacity": CAPACITY_NAMES,
    "merchants": MERCHANT_NAMES,
}
CONTRACTS = {table.name: table for table in (ORDERS, OUTCOMES, CAPACITY, MERCHANTS)}
#: Words that say "premium" in a column of services.
_PREMIUM = re.compile("音尊达|送货上门|上门|尊享|premium|home ?deliver", re.IGNORECASE)
#: Words that say "yes, there was a complaint or a return" where a cell holds its kind.
_NONE_WORDS = {
    *("", "无", "没有", "none", "no", "n", "false", "0", "否", "-", "未投诉", "未退货")
}
NUM_SHOWN = 3
#: Unknown carriers that are named.
_NUM_NAMED = 5
#: Amounts that are whole numbers, and at the median as large, may be fen.
_MAY_BE_FEN = 2_000
_CURRENCY, _CNY = {plain("currency"), "币种"}, ("CNY", "RMB", "人民币")
#: Days of orders beyond which a table is more than a night.
_DAYS_OF_A_NIGHT = 3
#: What exports put around a number so that spreadsheets take it for text.
_WRAPPED = r"""^\s*="[^"]*"\s*$|\t$|^'"""
#: Names of what was bought, or of what happened: only a person knows.
_EITHER = {plain("是否送货上门")}


@dataclass(frozen=True, slots=True)
class Choice:
    """
    A column of ours, and what it is read from.

    Attributes
    ----------
    column, written
        Our name, and that in the table.
    shown
        Three of its values.
    others
        Columns of the table that it might be as well.
    """

    column: str
    written: str
    shown: tuple[str, ...]
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """
    How a table is to be read.

    Attributes
    ----------
    table
        Which of our tables it is.
    sample
        The table's beginning.
    whole
        What all of its rows have.
    choices
        Columns of ours that it has.
    missing
        Columns that it must have and has not.
    values, units, decimal, date_formats, wrapped
        As in the configuration.
    notes
        What a person should know, in sentences.
    """

    table: str
    sample: Sample
    whole: Whole
    choices: tuple[Choice, ...]
    missing: tuple[str, ...]
    values: Mapping[str, str | Mapping[str, str | bool]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    decimal: str = "."
    date_formats: tuple[str, ...] = ()
    wrapped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def unsure(self) -> tuple[Choice, ...]:
        """Columns that more than one column of the table might be."""
        return tuple(choice for choice in self.choices if choice.others)

    def series(self, column: str) -> pl.Series | None:
        """Cells of a column of ours, as they are written."""
        for choice in self.choices:
            if choice.column == column:
                return self.sample.rows[choice.written]
        return None


def propose(
    sample: Sample,
    chosen: Mapping[str, str],
    table: str | None,
    carriers: Mapping[str, str] | None = None,
) -> Proposal:
    """
    Recognise a table by the names and values of its columns.

    Parameters
    ----------
    sample
        Its first rows.
    chosen
        Columns that a person has decided on: ours, and the table's.
    table
        Which of our tables it is; ``None``: to be recognised.
    carriers
        Words of the table that a person has decided on, and the carriers' codes.

    Raises
    ------
    DataError
        When it is none of our tables, has a column of personal data, or lacks a column
        that was chosen.
    """
    header = sample.rows.columns
    ids = named_ids(chosen)
    refuse_personal(header, sample.label, ids=ids)
    for written in ids & {*header}:
        refuse_names(sample.rows[written], written, sample.label)
    kind = table or _kind_of(header, sample.label, chosen)
    given, (sample, wrapped) = sample, _unwrapped(sample)
    known = {c.name for c in CONTRACTS[kind].columns}
    for column, written in chosen.items():
        if column in known and written not in header:
            raise DataError(
                f"{sample.label}: has no column {written!r}, chosen for {column}; it "
                f"has {', '.join(header)}"
            )
    choices, taken = [], {chosen[c] for c in chosen if c in known}
    for column, names in _NAMES[kind].items():
        found = _candidates(column, names, sample.rows, taken)
        if column in chosen:
            found = [chosen[column]]
        if found:
            taken.add(found[0])
            shown = tuple(_shown(sample.rows[found[0]]))
            choices.append(Choice(column, found[0], shown, tuple(found[1:])))
    there = {choice.column for choice in choices}
    missing = [c.name for c in CONTRACTS[kind].columns if c.is_required]
    if kind == "orders":
        missing.insert(2, "carrier_id")
    if kind == "outcomes":
        missing += ["is_premium", "logistics_return"]
    lacking = tuple(name for name in missing if name not in there)
    kinds = {c.name: c.kind for c in CONTRACTS[kind].columns}
    kept = tuple(
        c.column for c in choices if c.written in wrapped and kinds[c.column] in WORDS
    )
    whole = count_whole(
        given,
        {c.column: c.written for c in choices},
        [name for name in there if kinds[name] == "flag"],
        wrapped=wrapped,
        is_told=_is_told,
    )
    notes = _either_way(choices) + _chosen_among(choices) + _not_to_the_end(whole)
    proposal = Proposal(
        kind, sample, whole, tuple(choices), lacking, wrapped=kept, notes=tuple(notes)
    )
    proposal = _with_amounts(_with_dates(proposal))
    return _with_looks(_with_words(proposal, carriers or {}))


def _is_told(word: str) -> bool:
    """Whether a word of a flag means something by itself."""
    is_listed = word.lower() in FLAG_WORDS or word.lower() in _NONE_WORDS
    return is_listed or _PREMIUM.search(word) is not None


def _not_to_the_end(whole: Whole) -> list[str]:
    """A note on a table of which only the beginning could be counted."""
    if not whole.fault:
        return []
    return [
        f"only the first {whole.num_rows:,} rows could be counted, and later carriers "
        f"and regions are missed: {whole.fault}"
    ]


def named_ids(chosen: Mapping[str, str]) -> set[str]:
    """Columns of tables that a person has named as ids of ours."""
    tables = CONTRACTS.values()
    ids = {c.name for t in tables for c in t.columns if c.kind == "id"}
    return {written for column, written in chosen.items() if column in ids}


def _unwrapped(sample: Sample) -> tuple[Sample, frozenset[str]]:
    """Cells without the signs of spreadsheets, and the columns that have them."""
    import polars as pl

    found = frozenset(
        name
        for name in sample.rows.columns
        if sample.rows[name].str.contains(_WRAPPED).any()
    )
    bare = sample.rows.with_columns(unwrapped(pl.col(name)) for name in found)
    return replace(sample, rows=bare), found


def _either_way(choices: Sequence[Choice]) -> list[str]:
    """A note on a column that says what was bought, or what happened."""
    other = {"is_premium": "delivered_to_door", "delivered_to_door": "is_premium"}
    return [
        f"{c.written} is taken as {c.column}, and may be {other[c.column]}: then say "
        f"--column {other[c.column]}={c.written}"
        for c in choices
        if c.column in other and plain(c.written) in _EITHER
    ]


def _chosen_among(choices: Sequence[Choice]) -> list[str]:
    """Notes on columns that another column of the table might be as well."""
    return [
        f"{c.column} is taken from {c.written}, and may be {' or '.join(c.others)}: "
        f"then say --column {c.column}={c.others[0]}"
        for c in choices
        if c.others
    ]


def _kind_of(header: Sequence[str], path: str, chosen: Mapping[str, str]) -> str:
    """Which table has most of its required columns here; outcomes before orders."""
    names = {plain(name) for name in header}

    def has(kind: str, column: str) -> bool:
        is_said = chosen.get(column) in header
        return is_said or any(plain(known) in names for known in _NAMES[kind][column])

    if has("outcomes", "complaint") or has("outcomes", "logistics_return"):
        return "outcomes"
    if has("capacity", "slots") and not has("orders", "order_id"):
        return "capacity"
    if has("orders", "order_id"):
        return "orders"
    if has("merchants", "merchant_id"):
        return "merchants"
    raise DataError(
        f"{path}: is no table that is recognised: none of its columns is an order, a "
        f"carrier's slots or a merchant ({', '.join(header[:12])}); say which column "
        f"has the orders' numbers, such as --column order_id={header[0]}, and likewise "
        "merchant_id, carrier_id, region_id; or if its first line is a title or a "
        "merged cell, begin it with the names of its columns"
    )


def _candidates(
    column: str, names: Sequence[str], rows: pl.DataFrame, taken: set[str]
) -> list[str]:
    """Columns that a column may be read from, the best first; more than one: unsure."""
    rank = {plain(name): number for number, name in reversed([*enumerate(names)])}
    found = [name for name in rows.columns if plain(name) in rank and name not in taken]
    if column == "order_id" and len(found) > 1:
        unique = [name for name in found if rows[name].is_unique().all()]
        found = unique or found
    if column == "carrier_id" and len(found) > 1:
        known = known_carriers()
        found.sort(key=lambda n: -rows[n].is_in([*known, *SPELLINGS]).sum())
        return found[:1]
    found.sort(key=lambda name: rank[plain(name)])
    if column == "is_premium" and len(found) > 1:
        found = [name for name in found if plain(name) not in _EITHER]
    if column not in ("order_id", "merchant_id", "is_premium"):
        return found[:1]
    first = found[:1]
    return first + [n for n in found[1:] if not rows[n].equals(rows[first[0]])]


def _shown(values: pl.Series) -> list[str]:
    """Three different values, none of them personal."""
    return [
        hidden(v) for v in values.drop_nulls().unique(maintain_order=True)[:NUM_SHOWN]
    ]


def _with_dates(proposal: Proposal) -> Proposal:
    """Spellings of dates that are needed."""
    formats: list[str] = []
    for column in CONTRACTS[proposal.table].columns:
        values = proposal.series(column.name)
        if column.kind != "date" or values is None:
            continue
        text = values.drop_nulls().head(2_000)
        if len(text) == 0 or days_of(text, CellRules()).null_count() == 0:
            continue
        for spelling in DATE_SPELLINGS:
            rules = CellRules(date_formats=(spelling,))
            if days_of(text, rules).null_count() == 0:
                formats.append(spelling)
                break
        else:
            note = f"{column.name} is in no spelling of dates that is known"
            proposal = replace(proposal, notes=(*proposal.notes, note))
    return replace(proposal, date_formats=tuple(formats))


def _with_amounts(proposal: Proposal) -> Proposal:
    """Units of amounts, and the decimal sign; amounts of other money are left out."""
    units: dict[str, str] = {}
    decimal = "."
    for column in CONTRACTS[proposal.table].columns:
        values = proposal.series(column.name)
        if column.kind not in AMOUNTS or values is None:
            continue
        text = values.drop_nulls().head(2_000).str.strip_chars()
        if len(text) == 0:
            continue
        written = next(c.written for c in proposal.choices if c.column == column.name)
        other = _other_money(proposal, text) if column.kind == "money" else ""
        if other and not column.is_required:
            note = f"{column.name} is left out: {written} is in {other}, not in CNY"
            proposal = _without(proposal, column.name, note)
            continue
        is_plain = text.cast(float, strict=False).null_count() == 0
        if re.search(r"分\)|（分）|\(fen\)|_fen$|cents?$", written, re.IGNORECASE):
            units[column.name] = "fen"
        elif text.str.contains("[%％]").any():
            units[column.name] = "percent"
        elif not is_plain:
            units[column.name] = "cny"
        elif column.kind == "money" and _may_be_fen(text):
            note = (
                f"{written} has whole numbers such as {text[0]}, taken as CNY; if they "
                f"are fen, write under inputs.{proposal.table}: "
                f"units: {{{column.name}: fen}}"
            )
            proposal = replace(proposal, notes=(*proposal.notes, note))
        if not is_plain and not text.str.contains(amount_pattern(".")).all():
            if text.str.contains(amount_pattern(",")).all():
                decimal = ","
            else:
                wrong = text.filter(~text.str.contains(amount_pattern(decimal)))
                shown = hidden(wrong[0])
                note = f"{column.name} has values that are no amounts, such as {shown}"
                proposal = replace(proposal, notes=(*proposal.notes, note))
    return replace(proposal, units=units, decimal=decimal)


def _may_be_fen(text: pl.Series) -> bool:
    numbers = text.cast(float)
    return (
        bool((numbers % 1 == 0).all()) and float(str(numbers.median())) >= _MAY_BE_FEN
    )


def _other_money(proposal: Proposal, text: pl.Series) -> str:
    """The money that amounts are in, where it is another than CNY; else empty."""
    rows = proposal.sample.rows
    for name in rows.columns:
        if plain(name) in _CURRENCY:
            named = [*rows[name].drop_nulls().str.strip_chars().unique().sort()]
            if named and not {*named} & {*_CNY}:
                return ", ".join(hidden(word) for word in named[:3])
    signs = text.str.extract(r"([$€£₩฿]|US\$|HK\$|USD|EUR|HKD)").drop_nulls()
    return str(signs[0]) if 2 * len(signs) > len(text) else ""


def _without(proposal: Proposal, column: str, note: str) -> Proposal:
    """A proposal without a column that cannot be read, and why."""
    choices = tuple(c for c in proposal.choices if c.column != column)
    return replace(proposal, choices=choices, notes=(*proposal.notes, note))


def _with_words(proposal: Proposal, carriers: Mapping[str, str]) -> Proposal:
    """What words mean: carriers, flags and services."""
    values: dict[str, str | Mapping[str, str | bool]] = {}
    notes = list(proposal.notes)
    for column in CONTRACTS[proposal.table].columns:
        if proposal.series(column.name) is None:
            continue
        if column.name == "carrier_id":
            counts = proposal.whole.counts("carrier_id")
            words = [*counts]
            spelled = {**known_carriers(), **carriers}
            own = {word: code for word, code in carriers.items() if word in words}
            if own:
                values["carrier_id"] = {"known": True, **own}
            elif any(word in spelled for word in words):
                values["carrier_id"] = "known"
            unknown = [w for w in words if w not in spelled and w not in SPELLINGS]
            if unknown:
                notes.append(_unknown_carriers(proposal, counts, unknown))
        elif column.kind == "flag":
            found = proposal.whole.words[column.name]
            words = sorted(word for word in found if word is not None)
            if None not in found and all(w.lower() in FLAG_WORDS for w in words):
                continue
            meaning = _flag_words(column.name, words)
            values[column.name] = meaning | {"": "false"}
    return replace(proposal, values=values, notes=tuple(notes))


def _unknown_carriers(
    proposal: Proposal, counts: Mapping[str, int], unknown: Sequence[str]
) -> str:
    """Say which words are no carrier, of how many rows, and how that is mended."""
    most = sorted(unknown, key=lambda word: (-counts[word], word))[:_NUM_NAMED]
    listed = []
    for word in most:
        near = ", ".join(nearest_carriers(word))
        also = f"; nearest: {near}" if near else ""
        listed.append(f"{hidden(word)} ({counted(counts[word], 'row')}{also})")
    more = len(unknown) - len(most)
    others = f" and {more:,} more" if more else ""
    where = (
        "learning.history"
        if proposal.table == "outcomes"
        else (f"inputs.{proposal.table}")
    )
    shown = [hidden(word) for word in most]
    option = shlex.quote(f"{shown[0]}=CODE")
    return (
        f"no carrier is known under {', '.join(listed)}{others}: "
        f"{counted(sum(counts[word] for word in unknown), 'row')} that no premium is "
        f"offered to until somebody says which carrier it is: --carrier {option} here, "
        f"or later under {where}.values: {carrier_line(shown)}"
    )


def _with_looks(proposal: Proposal) -> Proposal:
    """Notes on what a person should look at before a night."""
    notes = [*proposal.notes]
    if proposal.wrapped:
        notes.append(
            f"{', '.join(proposal.wrapped)} with the signs by which spreadsheets keep "
            'numbers as text, such as ="123": the signs are taken off'
        )
    if proposal.table == "orders":
        notes += [*_ids_looked_at(proposal), *_days_looked_at(proposal)]
    return replace(proposal, notes=tuple(notes))


def _ids_looked_at(proposal: Proposal) -> Iterator[str]:
    """Notes on order ids that a night refuses."""
    ids = proposal.series("order_id")
    if ids is None:
        return
    num_repeated = len(ids) - ids.n_unique()
    if num_repeated:
        found = proposal.sample
        written = next(c.written for c in proposal.choices if c.column == "order_id")
        steps = f".unique({written!r}, keep='first', maintain_order=True)"
        made = copy_steps(
            found.label, steps, encoding=found.encoding, separator=found.separator
        )
        command = command_of([made])
        yield (
            f"order_id stands in more than one row ({num_repeated:,} of "
            f"{_seen(proposal)} repeat one): a night takes a row for each parcel, and "
            "refuses repeats; export orders, not their goods, choose another column "
            f"with --column, or write a copy with the first row of each: {command}"
        )


def _seen(proposal: Proposal) -> str:
    """Say which rows were looked at."""
    first = "" if proposal.sample.is_whole else "the first "
    return f"{first}{counted(len(proposal.sample.rows), 'row')}"


def _days_looked_at(proposal: Proposal) -> Iterator[str]:
    """A note where orders are of many days: they would be one night."""
    name, days = days_in(proposal)
    if len(days) > _DAYS_OF_A_NIGHT:
        yield (
            f"{name} has {len(days)} days in {_seen(proposal)}, {days[0]} to "
            f"{days[-1]}: all of them would "
            "be one night; export the orders of one day, and give past parcels as a "
            "history, with a column of complaints or returns"
        )


def days_in(proposal: Proposal) -> tuple[str, list[dt.date]]:
    """The first column of times that a table has, and its days, ascending."""
    rows = proposal.sample.rows
    rules = CellRules(date_formats=tuple(DATE_SPELLINGS))
    there = {plain(name): name for name in reversed(rows.columns)}
    for known in OUTCOME_NAMES["date"]:
        if (name := there.get(plain(known))) is not None:
            days = days_of(rows[name], rules).drop_nulls().unique().sort()
            return name, days.to_list()
    return "", []


def _flag_words(column: str, words: Sequence[str]) -> dict[str, str]:
    """Words that mean yes; every other word means no."""
    if column == "is_premium":
        yes = [word for word in words if _PREMIUM.search(word)]
        yes += [w for w in words if FLAG_WORDS.get(w.lower()) is True]
        return {word: "true" for word in yes} | {"*": "false"}
    no = [word for word in words if word.lower() in _NONE_WORDS]
    return {word: "false" for word in no} | {"*": "true"}
