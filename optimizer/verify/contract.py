"""The columns of the input tables as the documentation has them, and their rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from optimizer.verify.cells import RULES_OF_TODAY, rules_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: SQL type of a column that is missing, by kind; what is there keeps its own.
TYPES = {
    **dict.fromkeys(("id", "text", "pin"), "VARCHAR"),
    **dict.fromkeys(("probability", "money", "number"), "DOUBLE"),
    "count": "BIGINT",
    "flag": "BOOLEAN",
    "date": "DATE",
}
#: A value of each kind, made of what was read; null where it cannot be.
TYPED = {
    **dict.fromkeys(("id", "text", "pin"), "{0}"),
    **dict.fromkeys(("probability", "money", "number"), "as_number({0})"),
    "count": "as_count({0})",
    "flag": "as_flag({0})",
    "date": "as_date({0})",
}
_LOST = {
    **dict.fromkeys(("probability", "money", "number"), "is not a number"),
    "count": "is not a whole number",
    "flag": "is not true or false",
    "date": "is not a date such as 2026-11-22",
}
#: What breaks a rule, by kind: the rule in words, and when ({0}: the typed value).
_BROKEN = {
    "id": (
        ("is empty", "{0} = ''"),
        ("is longer than 200 bytes", "strlen({0}) > 200"),
        ("has outer spaces or control characters", "is_untrimmed({0})"),
    ),
    "probability": (
        ("is not a number", "isnan({0})"),
        ("is outside [0, 1]", "NOT isnan({0}) AND NOT {0} BETWEEN 0 AND 1"),
    ),
    "money": (
        ("is not a finite number", "NOT isfinite({0})"),
        ("is negative", "NOT isnan({0}) AND {0} < 0"),
    ),
    "number": (("is not a finite number", "NOT isfinite({0})"),),
    "count": (
        ("is negative", "{0} < 0"),
        ("is above 1,000,000,000,000", "{0} > 1000000000000"),
    ),
    "pin": (('is not "must" or "never"', "{0} NOT IN ('must', 'never')"),),
}

#: What also breaks a rule since words for no value, and what spreadsheets make of ids.
_NO_VALUE = ("is a word for no value, such as NULL", "is_null_word({0})")
_BROKEN_SINCE_WORDS = {
    "text": (_NO_VALUE,),
    "id": (
        _NO_VALUE,
        ("is a rounded number, as spreadsheets write it", "is_rounded({0})"),
        (
            "is a number with a decimal point",
            "has_point({0})",
        ),
        ("is a formula, as spreadsheets write it", "starts_with({0}, '=')"),
        ("begins with an apostrophe", "begins_with_apostrophe({0})"),
    ),
}
#: What also breaks a rule since words for all.
_NO_DAY = (
    "is a day that stands for none, such as 1970-01-01",
    "NOT {0} BETWEEN DATE '2000-01-01' AND DATE '2099-12-30'",
)


@dataclass(frozen=True, slots=True)
class Column:
    """
    A column of an input table.

    Attributes
    ----------
    name, kind
        As in the documentation.
    must
        Whether it must be there without nulls: always, where it is there at all
        (``given``), or never.
    minimum
        Least value of a count.
    rules_of
        Which rules it is checked by, as of :func:`~optimizer.verify.cells.rules_of`.
    is_any
        Whether it is the column ``value`` of :func:`refusals`, which stands for each
        column of names in turn: ``header`` and ``is_missing`` are beside it.
    """

    name: str
    kind: str
    must: str = "never"
    minimum: int = 0
    rules_of: int = RULES_OF_TODAY
    is_any: bool = False

    @property
    def quoted(self) -> str:
        """The name as SQL."""
        return '"' + self.name.replace('"', '""') + '"'

    @property
    def typed(self) -> str:
        """The name of its value, as :func:`typed_values` makes it, as SQL."""
        is_text = TYPED[self.kind] == "{0}"
        return self.quoted if is_text else f'{self.quoted[:-1]}, typed"'

    @property
    def header(self) -> str | None:
        """What an id that is the name of its own column says, as SQL."""
        if self.is_any:
            return "header"
        return literal(self.name) if self.name.endswith("_id") else None

    def missing(self, table: str) -> str | None:
        """The SQL condition for a value that must be there and is not."""
        if self.must == "never":
            return None
        if self.is_any:
            return "is_missing"
        if self.must == "always":
            return f"{self.quoted} IS NULL"
        return f"({self.quoted} IS NULL AND '{self.name}' IN (FROM {table}_columns))"

    def rules(self, table: str) -> list[tuple[str, str]]:
        """Rules: as text, and as an SQL condition for a breach."""
        typed, missing = self.typed, self.missing(table)
        found = [("is missing", missing)] if missing else []
        if self.kind in _LOST:
            lost = f"({typed} IS NULL AND {self.quoted} IS NOT NULL)"
            found.append((_LOST[self.kind], lost))
        rules = _BROKEN.get(self.kind, ())
        if self.rules_of > 0:
            rules += _BROKEN_SINCE_WORDS.get(self.kind, ())
        if self.rules_of == RULES_OF_TODAY:
            rules += self._rules_of_today(table)
        for words, wrong in rules:
            if self.minimum and words == "is negative":
                words, wrong = f"is below {self.minimum}", f"{{0}} < {self.minimum}"
            found.append((words, f"({wrong.format(typed)})"))
        return found

    def _rules_of_today(self, table: str) -> tuple[tuple[str, str], ...]:
        """Rules since words for all and days that stand for none."""
        if self.kind == "date":
            return (_NO_DAY,)
        found = []
        if self.kind == "id" and self.header:
            found.append(("is the name of its column", f"lower({{0}}) = {self.header}"))
        if self.kind == "id" and table == "capacity":
            found.append(("is a word for all, or for a total", "is_all_word({0})"))
        return tuple(found)


def broken(
    columns: Iterable[Column], table: str, repeated: Iterable[Column] = ()
) -> str:
    """
    The SQL condition for a row of a table that breaks any rule.

    Parameters
    ----------
    columns
        The columns to check.
    table
        The table's name.
    repeated
        Those of them whose odd names were found before, by :func:`odd_names`.
    """
    wrong: list[str] = []
    for column in columns:
        if column in repeated:
            missing = column.missing(table)
            wrong += [missing] if missing else []
            wrong.append(
                f"{column.quoted} IN (\n        SELECT name FROM odd_{table} "
                f'WHERE "column" = {literal(column.name)})'
            )
        else:
            wrong += _rules(column, table)
    return "(\n    " + "\n    OR ".join(wrong) + "\n)"


def literal(value: str) -> str:
    """Text as SQL."""
    return "'" + value.replace("'", "''") + "'"


def typed_values(columns: Iterable[Column], source: str) -> str:
    """
    The rows of a source, each value that is no text made of what was read, once.

    Parameters
    ----------
    columns
        Those whose values are asked for, or whose rules are checked.
    source
        A view or table, as SQL.
    """
    made = "".join(
        f",\n        {TYPED[c.kind].format(c.quoted)} AS {c.typed}"
        for c in columns
        if c.typed != c.quoted
    )
    return f"(\n    SELECT *{made}\n    FROM {source}\n)"


def odd_names(columns: Iterable[Column], table: str) -> str:
    """
    Look once at each name that stands in many rows.

    Parameters
    ----------
    columns
        Columns of names.
    table
        The table's name.
    """
    asked = [
        f'SELECT DISTINCT {literal(c.name)} AS "column", '
        f"{c.header or 'NULL'} AS header, {c.quoted} AS value FROM {table}_raw"
        for c in columns
    ]
    if not asked:
        return ""
    any_name = replace(next(iter(columns)), name="value", must="never", is_any=True)
    return (
        "-- Names stand in many rows: each is looked at once.\n"
        f'CREATE TEMP TABLE odd_{table} AS\nSELECT "column", value AS name FROM (\n    '
        + "\n    UNION ALL ".join(asked)
        + f"\n) WHERE {broken([any_name], table)};\n"
    )


def refusals(columns: Sequence[Column], table: str, source: str) -> str:
    """
    Ask for every rule that rows break: ``number``, ``column`` and ``rule``.

    Parameters
    ----------
    columns
        The columns to check.
    table
        The table's name.
    source
        Where the rows are, as SQL.
    """
    of_text = [c for c in columns if TYPED[c.kind] == "{0}"]
    parts = [
        _refused_names([c for c in of_text if c.kind == kind], table, source)
        for kind in dict.fromkeys(c.kind for c in of_text)
    ]
    others = [c for c in columns if c not in of_text]
    rules = [
        f"CASE WHEN {sql} THEN [{literal(c.name)}, {literal(words)}] END"
        for c in others
        for words, sql in c.rules(table)
    ]
    if rules:
        parts.append(
            'SELECT number, broken[1] AS "column", broken[2] AS rule\nFROM (\n'
            f"    SELECT number, unnest([\n        {_lines(rules)}\n    ]) AS broken\n"
            f"    FROM {typed_values(others, source)}\n)"
        )
    asked = "\nUNION ALL\n".join(part for part in parts if part)
    return f'SELECT number, "column", rule FROM (\n{asked}\n) WHERE rule IS NOT NULL'


def _refused_names(columns: Sequence[Column], table: str, source: str) -> str:
    """The same of columns of one kind of text: each rule is written once."""
    if not columns:
        return ""
    any_name = replace(columns[0], name="value", must="always", is_any=True)
    named = [
        f"{{'column': {literal(c.name)}, 'header': {c.header or 'NULL'}, "
        f"'value': {c.quoted}, 'is_missing': {c.missing(table) or 'false'}}}"
        for c in columns
    ]
    rules = [
        f"CASE WHEN {sql} THEN {literal(words)} END"
        for words, sql in any_name.rules(table)
    ]
    return (
        f'SELECT number, "column", unnest([\n    {_lines(rules)}\n]) AS rule\nFROM (\n'
        f"    SELECT number, unnest([\n        {_lines(named)}\n"
        f"    ], recursive := true)\n    FROM {source}\n)"
    )


def _lines(texts: Iterable[str]) -> str:
    return ",\n        ".join(texts)


def _rules(column: Column, table: str) -> list[str]:
    rules = [sql for _, sql in column.rules(table)]
    if column.kind != "id" or column.rules_of == 0 or table == "capacity":
        return rules
    any_rule = "\n        OR ".join(rules)
    has_header = column.rules_of == RULES_OF_TODAY and column.header
    again = f" OR lower({column.quoted}) = {column.header}" if has_header else ""
    return [
        f"CASE WHEN is_plain({column.quoted})\n"
        f"        THEN is_plain_null({column.quoted}){again}\n"
        f"        ELSE {any_rule} END"
    ]


def columns_of(config: Mapping[str, Any], policy: Mapping[str, Any]) -> _Tables:
    """
    List the columns of each input table, those that the configuration adds included.

    Parameters
    ----------
    config, policy
        As recorded: the configuration, and its row in force.
    """
    attributes = config["capacity"]["attributes"]
    groups = [rule["column"] for rule in config["fairness"]]
    rules = {rule["column"]: _kind(rule) for rule in policy["eligibility"]}
    orders = {column.name: column for column in _ORDERS}
    named = [(name, "id") for name in attributes + groups]
    for name, kind in (*rules.items(), *named, *features_of(config).items()):
        orders.setdefault(name, Column(name, kind))
    resources = resources_of(config)
    loads = [f"load_{name}" for name in resources]
    orders |= {name: Column(name, "count", "always") for name in loads}
    counted = ["resource"] if resources else []
    tables = {
        "orders": tuple(orders.values()),
        "options": (*_OPTIONS, *(Column(name, "count") for name in loads)),
        "capacity": _with(_CAPACITY, [*attributes, *counted]),
        "merchants": _with(_MERCHANTS, groups),
    }
    level = rules_of(config)
    return {
        name: tuple(replace(column, rules_of=level) for column in columns)
        for name, columns in tables.items()
    }


def features_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Kinds of the columns that a learned model asks for beside the contract's."""
    if config.get("model") is None:
        return {}
    learning = config["learning"]
    numbers = dict.fromkeys(learning.get("features", ()), "number")
    return numbers | dict.fromkeys(learning.get("categories", ()), "id")


def resources_of(config: Mapping[str, Any]) -> list[str]:
    """What capacity rows count beside slots; earlier configurations have none."""
    return [*config["capacity"].get("resources", ())]


def require(columns: Iterable[Column], names: Iterable[str], must: str) -> _Columns:
    """Mark columns that this night needs."""
    return tuple(replace(c, must=must) if c.name in names else c for c in columns)


def _with(columns: _Columns, names: Iterable[str]) -> _Columns:
    known = {column.name for column in columns}
    new = dict.fromkeys(name for name in names if name not in known)
    return (*columns, *(Column(name, "id") for name in new))


def _kind(rule: Mapping[str, Any]) -> str:
    """Kind of the values that an eligibility rule compares with."""
    if rule["below"] is not None or rule["above"] is not None:
        return "number"
    value = rule["is"] if rule["is"] is not None else rule["is_not"]
    return "flag" if isinstance(value, bool) else "text"


_Columns = tuple[Column, ...]
_Tables = dict[str, _Columns]
_PROBABILITIES = (
    *("complaint_prob_standard", "complaint_prob_premium"),
    *("return_prob_standard", "return_prob_premium"),
)
_ORDERS = (
    Column("order_id", "id", "always"),
    Column("merchant_id", "id", "always"),
    Column("carrier_id", "id"),
    Column("region_id", "id", "always"),
    Column("outlet_id", "id"),
    Column("category_id", "id"),
    Column("order_value_cny", "money"),
    *(Column(name, "probability") for name in _PROBABILITIES),
    Column("is_eligible", "flag"),
    Column("ineligible_reason", "text"),
    Column("load", "count", minimum=1),
    Column("pin", "pin"),
    Column("ship_date", "date"),
    Column("delivery_date", "date"),
)
_OPTIONS = (
    Column("order_id", "id", "always"),
    Column("carrier_id", "id", "always"),
    Column("outlet_id", "id"),
    Column("complaint_prob_premium", "probability"),
    Column("return_prob_premium", "probability"),
    Column("load", "count", minimum=1),
)
_CAPACITY = (
    Column("carrier_id", "id"),
    Column("region_id", "id"),
    Column("outlet_id", "id"),
    Column("slots", "count", "always"),
    Column("service_date", "date"),
    Column("min_parcels", "count"),
    Column("penalty_cny", "money"),
    Column("priority", "count"),
)
_MERCHANTS = (
    Column("merchant_id", "id", "always"),
    Column("num_orders", "count", minimum=1),
    Column("take_up", "probability"),
    Column("is_enrolled", "flag"),
    Column("cap_override", "count"),
    Column("daily_budget_cny", "money"),
    Column("owner_id", "id"),
)
