"""The part of the statement that reads the inputs: it depends on their columns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from optimizer.verify.contract import (
    TYPES,
    Column,
    broken,
    columns_of,
    features_of,
    literal,
    odd_names,
    refusals,
    require,
    resources_of,
    typed_values,
)
from optimizer.verify.mapping import mapped_source, mappings_of, meaning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STANDARD = ("complaint_prob_standard", "return_prob_standard")
_PREMIUM = ("complaint_prob_premium", "return_prob_premium")
_FILE, _ROW = "file_read", "file_row_number"
#: How rows are read, by the end of a file's name; where it is strict, lines may not end
#: in two ways.
_CSV = (
    "read_csv(getvariable('{0}'), all_varchar = true, header = true, delim = '{1}', "
    "quote = '\"', escape = '\"', nullstr = '', strict_mode = false{2})"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """
    Settings that decide how a night's inputs are read.

    Attributes
    ----------
    tables
        Columns of each input table that is given, by its name.
    kinds
        ``parquet``, ``csv`` or ``arrow``, by table.
    num_files
        Files, by table.
    forms
        The recorded form of CSV files, by table.
    further
        Columns of orders that rules ask for: attributes, then those of fairness rules.
    num_attributes
        How many of them are attributes.
    resources
        What capacity rows count beside slots.
    facts
        Columns that fairness rules name, as far as merchants may have them.
    rules
        Eligibility rules of the policy.
    has_model
        Whether a learned model fills probability columns.
    features
        Columns of orders that it asks for beside the contract's.
    has_null_words
        Whether the configuration has words that mean "no value".
    mappings
        How tables are read that have other names, words or units, by table.
    """

    tables: Mapping[str, tuple[Column, ...]]
    kinds: Mapping[str, str]
    num_files: Mapping[str, int]
    forms: Mapping[str, Mapping[str, Any]]
    further: tuple[str, ...]
    num_attributes: int
    resources: tuple[str, ...]
    facts: tuple[str, ...]
    rules: Sequence[Mapping[str, Any]]
    has_model: bool
    features: tuple[str, ...]
    has_null_words: bool
    mappings: Mapping[str, Mapping[str, Any]]


def reading_of(record: Mapping[str, Any]) -> Reading:
    """Find how the inputs of a recorded night are read."""
    config, policy, used = record["config"], record["policy"], record["inputs"]
    has_model = config["model"] is not None
    tables = {
        name: columns
        for name, columns in columns_of(config, policy).items()
        if used.get(name) is not None
    }
    must = "given" if has_model else "always"
    needed = [*_STANDARD, *(() if "options" in tables else _PREMIUM)]
    tables["orders"] = require(tables["orders"], needed, must)
    if "options" in tables:
        tables["options"] = require(tables["options"], _PREMIUM, must)
    else:
        tables["orders"] = require(tables["orders"], ["carrier_id"], "always")
    groups = tuple(dict.fromkeys(rule["column"] for rule in config["fairness"]))
    mappings = mappings_of(config)
    asked = [name for name in groups if name not in _PLACE]
    return Reading(
        tables=tables,
        kinds={name: kind_of(used[name], mappings.get(name)) for name in tables},
        num_files={name: len(used[name]["files"]) for name in tables},
        forms={name: used[name].get("read_as", {}) for name in tables},
        further=tuple(dict.fromkeys([*config["capacity"]["attributes"], *asked])),
        num_attributes=len(config["capacity"]["attributes"]),
        resources=tuple(resources_of(config)),
        facts=groups,
        rules=policy["eligibility"],
        has_model=has_model,
        features=tuple(features_of(config)),
        has_null_words=bool(config.get("null_words")),
        mappings=mappings,
    )


_PLACE = ("carrier_id", "region_id", "outlet_id", "merchant_id")


def kind_of(used: Mapping[str, Any], mapping: Mapping[str, Any] | None = None) -> str:
    """
    How the files of a table are read: ``parquet``, ``csv`` or ``arrow``.

    What DuckDB cannot read by itself, such as CSV in another encoding than UTF-8, is
    given to it as Arrow.
    """
    name = used["files"][0]["path"].lower()
    if name.endswith((".csv", ".csv.gz", ".csv.zst")):
        return "csv" if (mapping or {}).get("encoding", "utf-8") == "utf-8" else "arrow"
    return "parquet" if name.endswith((".parquet", ".pq")) else "arrow"


def reading_text(reading: Reading) -> str:
    """Write the SQL that reads the inputs."""
    parts = [raw_text(name, reading) for name in reading.tables]
    parts += [*map(_small(reading), ("merchants", "capacity")), _orders(reading)]
    if "options" in reading.tables:
        parts.append(_options(reading))
    parts += [_ways(reading), _quarantine(reading), _checks(reading)]
    return "\n".join(parts)


def raw_text(name: str, reading: Reading) -> str:
    """Write the view of a table's rows as they are read, with their number from 0."""
    columns = reading.tables[name]
    typed = ",\n        ".join(f"NULL::{TYPES[c.kind]} AS {c.quoted}" for c in columns)
    names = "|".join(re.escape(column.name) for column in columns)
    kind = reading.kinds[name]
    if kind == "parquet":
        has_several = reading.num_files[name] > 1
        also = f", filename = '{_FILE}', union_by_name = true" if has_several else ""
        source = f"read_parquet(getvariable('{name}'){also}, {_ROW} = true)"
        source = mapped_source(source, reading.mappings.get(name))
        typed += f",\n        NULL::BIGINT AS {_ROW}"
        typed += f", NULL::VARCHAR AS {_FILE}" if has_several else ""
        names += f"|{_FILE}|{_ROW}"
        pick = f"SELECT COLUMNS('^({names})$') FROM {source}"
        number = _numbered(name, has_several=has_several)
    else:
        form = reading.forms[name]
        source = _csv(name, reading) if kind == "csv" else f"{name}_arrow"
        source = mapped_source(source, reading.mappings.get(name))
        typed += ",\n        NULL::BIGINT AS number"
        pick = (
            f"SELECT COLUMNS('^({names}|number)$')\n"
            f"    FROM (SELECT *, row_number() OVER () - 1 AS number FROM {source})"
        )
        if form.get("has_empty_rows"):
            pick = _without_empty_rows(names, source)
        number = "SELECT * FROM read_rows"
    arrow = (
        f"-- {name}_arrow is the file as a table, given by optimizer verify, since\n"
        "-- DuckDB cannot read it; elsewhere make a table of this name from it.\n"
        if kind == "arrow"
        else ""
    )
    given = _as_given(name, columns, reading)
    return (
        f"-- {name}: as read.\n{arrow}"
        f"CREATE TEMP TABLE {name}_columns AS\n"
        f"SELECT column_name FROM (DESCRIBE SELECT * FROM {source});\n"
        f"{_files(name) if kind == 'parquet' and reading.num_files[name] > 1 else ''}"
        f"CREATE TEMP VIEW {name}_raw AS\nWITH read_rows AS (\n"
        f"    SELECT * FROM (SELECT\n        {typed}\n    LIMIT 0)\n"
        f"    UNION ALL BY NAME\n    {pick}\n), numbered AS (\n    {number}\n)\n"
        f"SELECT\n    number,\n    {given}\nFROM numbered;\n"
    )


def _as_given(name: str, columns: Sequence[Column], reading: Reading) -> str:
    """Columns, ids and texts as text, without the configured words for no value."""
    found, mapping = [], reading.mappings.get(name)
    for column in columns:
        is_text = TYPES[column.kind] == "VARCHAR"
        value = f"{column.quoted}::VARCHAR" if is_text else column.quoted
        value = f"given({value})" if reading.has_null_words else value
        value = meaning(value, column, mapping)
        found.append(f"{value} AS {column.quoted}")
    return ",\n    ".join(found)


def _csv(name: str, reading: Reading) -> str:
    """How a CSV file is read, in the form that the record says it has."""
    form = reading.forms[name]
    more = f", skip = {form['num_before']}" if "num_before" in form else ""
    more += ", union_by_name = true" if reading.num_files[name] > 1 else ""
    if "header" in form:
        names = [name or f"unnamed {n}" for n, name in enumerate(form["header"])]
        more += f", names = [{', '.join(map(literal, names))}]"
    return _CSV.format(name, form.get("separator", ","), more)


def _without_empty_rows(names: str, source: str) -> str:
    """Keep rows with any cell that is not empty."""
    return (
        f"SELECT COLUMNS('^({names}|number)$') FROM (\n"
        "        SELECT *, row_number() OVER (ORDER BY file_line) - 1 AS number\n"
        f"        FROM (SELECT *, row_number() OVER () AS file_line FROM {source})\n"
        "        WHERE file_line NOT IN (\n            SELECT file_line FROM (\n"
        f"                SELECT *, row_number() OVER () AS file_line FROM {source}\n"
        "            ) WHERE COLUMNS(* EXCLUDE (file_line)) IS NULL\n        )\n    )"
    )


def _files(name: str) -> str:
    return (
        f"CREATE TEMP TABLE {name}_files AS\n"
        f"SELECT file_name AS {_FILE}, coalesce(sum(num_rows) OVER (\n"
        f"    ORDER BY list_position(getvariable('{name}'), file_name)\n"
        f"    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING\n"
        f"), 0)::BIGINT AS num_before\n"
        f"FROM parquet_file_metadata(getvariable('{name}'));\n"
    )


def _numbered(name: str, *, has_several: bool) -> str:
    if not has_several:
        return f"SELECT * EXCLUDE ({_ROW}), {_ROW} AS number FROM read_rows"
    return (
        f"SELECT r.* EXCLUDE ({_FILE}, {_ROW}), f.num_before + r.{_ROW} AS number\n"
        f"FROM read_rows AS r JOIN {name}_files AS f USING ({_FILE})"
    )


def _typed(columns: Sequence[Column]) -> str:
    return ",\n    ".join(
        c.quoted if c.typed == c.quoted else f"{c.typed} AS {c.quoted}" for c in columns
    )


def _orders(reading: Reading) -> str:
    """Orders that count, with why any may not be recommended, and their day."""
    columns = reading.tables["orders"]
    own = [c for c in columns if _is_used(c, reading)]
    further = _list(reading.further) if reading.further else "NULL::VARCHAR[]"
    repeated = _repeated("orders", reading)
    whens = "".join(
        f"\n        WHEN {_matches(rule, columns)} THEN {literal(rule['reason'])}"
        for rule in reading.rules
    )
    return (
        "-- The day whose slots orders take that have none of their own.\n"
        "CREATE MACRO default_day() AS getvariable('night')\n"
        "    + (config_text('$.capacity.lead_days'))::INT;\n"
        "SET VARIABLE has_dates = (\n"
        "    SELECT EXISTS (FROM capacity WHERE service_date IS NOT NULL));\n"
        f"{odd_names(repeated, 'orders')}"
        "-- orders: the rows that count. Who is not eligible has a reason: that of\n"
        "-- the table, or of the first rule of the policy that matches, or that the\n"
        "-- merchant is not enrolled.\n"
        "CREATE TEMP TABLE orders AS\n"
        "SELECT r.* EXCLUDE (ineligible_reason), coalesce(m.take_up, 1.0) AS take_up,\n"
        "    CASE\n        WHEN r.ineligible_reason IS NOT NULL\n"
        "            OR NOT coalesce(m.is_enrolled, true) THEN 'INELIGIBLE'\n"
        "        WHEN r.pin = 'never' THEN 'PINNED_OUT'\n    END AS kept_out,\n"
        "    coalesce(r.ineligible_reason, CASE WHEN NOT m.is_enrolled\n"
        "        THEN 'the merchant is not enrolled' END) AS ineligible_reason\n"
        "FROM (\nSELECT\n    number,\n"
        f"    {_typed(own)},\n"
        '    CASE\n        WHEN NOT coalesce("is_eligible, typed", true)\n'
        "        THEN coalesce(ineligible_reason, 'no reason given')"
        f"{whens}\n    END AS ineligible_reason,\n"
        "    CASE\n        WHEN getvariable('counted_on') = 'ship' THEN coalesce(\n"
        '            "ship_date, typed", default_day())\n'
        "        WHEN getvariable('counted_on') = 'delivery' THEN coalesce(\n"
        '            "delivery_date, typed", default_day())\n'
        "        WHEN getvariable('has_dates') THEN default_day()\n"
        "    END AS day,\n"
        f"    {further} AS further\n"
        f"FROM {typed_values(columns, 'orders_raw')}\n"
        f"WHERE {broken(columns, 'orders', repeated)} IS NOT TRUE\n"
        ") AS r\nLEFT JOIN merchants AS m USING (merchant_id);\n"
    )


def _repeated(table: str, reading: Reading) -> list[Column]:
    """
    The columns of names that stand in many rows.

    In Parquet each column is read by itself; other files are read whole each time.
    """
    if reading.kinds[table] != "parquet":
        return []
    names = [c for c in reading.tables[table] if c.kind == "id"]
    return [c for c in names if c.name != "order_id"]


def _is_used(column: Column, reading: Reading) -> bool:
    """Whether a column of the orders is asked for again."""
    always = ("order_id", "merchant_id", "carrier_id", "region_id", "outlet_id")
    loads = ("load", *(f"load_{name}" for name in reading.resources))
    return column.name in (*always, *_STANDARD, *_PREMIUM, *loads, "pin") or (
        reading.has_model
        and column.name in ("category_id", "order_value_cny", *reading.features)
    )


def _list(names: Sequence[str]) -> str:
    quoted = ", ".join(Column(name, "id").quoted for name in names)
    return f"[{quoted}]::VARCHAR[]"


def _small(reading: Reading) -> Any:
    """Write a small table, in which a broken row refuses the night."""

    def text(name: str) -> str:
        columns = reading.tables.get(name)
        if columns is None:
            columns = columns_of(_PLAIN, {"eligibility": []})["merchants"]
            nulls = ", ".join(f"NULL::{TYPES[c.kind]} AS {c.quoted}" for c in columns)
            return (
                f"-- {name}: there is none.\nCREATE TEMP TABLE {name} AS\n"
                f"SELECT {nulls}, []::VARCHAR[] AS facts LIMIT 0;\n"
                f"CREATE TEMP TABLE {name}_columns AS "
                "SELECT NULL::VARCHAR AS column_name LIMIT 0;\n"
            )
        more = f",\n    {_list(reading.facts)} AS facts" if name == "merchants" else ""
        if name == "capacity":
            names = reading.further[: reading.num_attributes]
            more = f",\n    {_list(names)} AS attributes"
            if not reading.resources:
                more += ",\n    NULL::VARCHAR AS resource"
        return (
            f"-- {name}: all rows.\nCREATE TEMP TABLE {name} AS\n"
            f"SELECT\n    number,\n    {_typed(columns)}{more}\n"
            f"FROM {typed_values(columns, f'{name}_raw')};\n"
        )

    return text


_PLAIN = {"capacity": {"attributes": []}, "fairness": []}


def _options(reading: Reading) -> str:
    """Options that count, each with the number of its order."""
    columns = reading.tables["options"]
    named = [c for c in columns if c.name != "order_id"]
    own = [c for c in columns if c.name == "order_id"]
    repeated = _repeated("options", reading)
    return (
        f"{odd_names(repeated, 'options')}"
        "-- options: the rows that count; one whose order was refused goes with it.\n"
        "-- An id that is an order's breaks no rule.\n"
        "CREATE TEMP TABLE options AS\nSELECT\n    order_number,\n    number,\n"
        "    CASE WHEN order_number IS NULL THEN order_id END AS order_id,\n"
        f"    {_typed(named)}\n"
        f"FROM {typed_values(columns, 'options_raw')} LEFT JOIN (\n"
        "    SELECT order_id, number AS order_number FROM orders\n"
        ") USING (order_id)\n"
        f"WHERE {broken(named, 'options', repeated)} IS NOT TRUE AND CASE\n"
        f"    WHEN order_number IS NULL THEN {broken(own, 'options')} IS NOT TRUE\n"
        "    ELSE true\nEND;\n"
    )


def _ways(reading: Reading) -> str:
    """The ways to carry each order."""
    kind = "options" if "options" in reading.tables else "own"
    name = f"2_ways_{kind}{'_learned' if reading.has_model else ''}.sql"
    text = files(__package__).joinpath("statement", name).read_text("utf-8")
    return text + _resources(reading)


def _resources(reading: Reading) -> str:
    """What each way takes of each resource that capacity rows count."""
    if not reading.resources:
        return (
            "-- Rows count slots alone.\n"
            "CREATE TEMP TABLE resource_taken (number BIGINT, carrier_id VARCHAR, "
            "resource VARCHAR, amount BIGINT);\n"
        )
    has_options = "options" in reading.tables
    source = "orders AS o"
    if has_options:
        source = "options AS w JOIN orders AS o ON o.number = w.order_number"
    parts = []
    for name in reading.resources:
        column = Column(f"load_{name}", "count").quoted
        taken = f"coalesce(w.{column}, o.{column})" if has_options else f"o.{column}"
        parts.append(
            f"SELECT o.number, {'w' if has_options else 'o'}.carrier_id, "
            f"{literal(name)} AS resource, {taken} AS amount\n"
            f"FROM {source} WHERE o.kept_out IS NULL\n"
        )
    return (
        "-- What each way takes of each resource: the option's own, or the order's.\n"
        "CREATE TEMP TABLE resource_taken AS\n" + "UNION ALL\n".join(parts) + ";\n"
    )


def _quarantine(reading: Reading) -> str:
    """Every row that is refused, with the column and the rule."""
    parts, counted = [], []
    for name in ("orders", "options"):
        if name not in reading.tables:
            continue
        counted.append(
            f"SET VARIABLE num_{name}_refused = (SELECT count(*) FROM {name}_raw)\n"
            f"    - (SELECT count(*) FROM {name});\n"
        )
        rows = (
            f"(\n    FROM {name}_raw ANTI JOIN {name} USING (number)\n"
            f"    WHERE getvariable('num_{name}_refused') > 0\n)"
        )
        parts.append(
            f"SELECT '{name}' AS source, number + 1 AS row, \"column\", rule FROM (\n"
            f"{refusals(reading.tables[name], name, rows)}\n)"
        )
    if "options" in reading.tables:
        parts.append(
            "SELECT 'options', number + 1, 'order_id', 'names no order'\n"
            "FROM options WHERE order_number IS NULL AND order_id NOT IN (\n"
            "    SELECT order_id FROM orders_raw\n"
            "    ANTI JOIN orders USING (number)\n"
            "    WHERE getvariable('num_orders_refused') > 0\n"
            "        AND order_id IS NOT NULL\n)"
        )
    return (
        f"-- The rows that are refused.\n{''.join(counted)}"
        "CREATE TEMP TABLE refused AS\n" + "\nUNION\n".join(parts) + ";\n"
    )


def _checks(reading: Reading) -> str:
    """Checks of the inputs that depend on which there are."""
    counts = "\nUNION ALL ".join(
        f"SELECT '{name}' AS item, (SELECT count(*) FROM {name}_raw) AS restated"
        for name in reading.tables
    )
    text = (
        "-- check: as many rows were read as the record says\n"
        "CREATE TEMP TABLE check_num_rows AS\nSELECT item, "
        "claim('$.inputs.' || item || '.num_rows')::BIGINT AS published, restated\n"
        f"FROM (\n{counts}\n) WHERE published IS DISTINCT FROM restated;\n"
        "-- check: the rows that are refused are those of the quarantine\n"
        "CREATE TEMP TABLE check_quarantine AS\nWITH theirs AS (\n"
        "    SELECT source, row, \"column\", rule FROM table_of('quarantine.parquet')\n"
        ")\nSELECT concat_ws(' ', source, 'row', row) AS item,\n"
        "    concat_ws(' ', \"column\", rule) AS published, NULL AS restated\n"
        "FROM (FROM theirs EXCEPT ALL FROM refused)\nUNION ALL\n"
        "SELECT concat_ws(' ', source, 'row', row), NULL,\n"
        "    concat_ws(' ', \"column\", rule)\n"
        "FROM (FROM refused EXCEPT ALL FROM theirs);\n"
        "-- check: no small table has a broken row\n"
        "CREATE TEMP TABLE check_small_tables AS\n"
    )
    rows = [
        f"SELECT DISTINCT '{name} row ' || (number + 1) AS item, "
        "'counts' AS published, 'breaks a rule' AS restated FROM (\n"
        f"{refusals(reading.tables[name], name, f'{name}_raw')}\n)"
        for name in ("capacity", "merchants")
        if name in reading.tables
    ]
    text += "\nUNION ALL\n".join(rows) + ";\n"
    if "options" in reading.tables:
        text += (
            "-- check: no order has a carrier twice\n"
            "CREATE TEMP TABLE twice AS\n"
            "WITH carrier AS (\n"
            "    SELECT carrier_id, row_number() OVER () - 1 AS code\n"
            "    FROM (SELECT DISTINCT carrier_id FROM options)\n)\n"
            "SELECT p.order_number,\n"
            "    count(*) - bit_count(bit_or(1 << (c.code % 60))) AS num\n"
            "FROM options AS p JOIN carrier AS c USING (carrier_id)\n"
            "WHERE p.order_number IS NOT NULL\n"
            "GROUP BY p.order_number, c.code // 60\n"
            "HAVING count(*) > bit_count(bit_or(1 << (c.code % 60)));\n"
            "CREATE TEMP TABLE twice_named AS\n"
            "SELECT o.order_id, t.num FROM twice AS t\n"
            "JOIN orders AS o ON o.number = t.order_number;\n"
            "CREATE TEMP TABLE check_pairs AS\n"
            "SELECT order_id AS item, num AS published, 0 AS restated\n"
            "FROM twice_named;\n"
        )
    return text


def _matches(rule: Mapping[str, Any], columns: Sequence[Column]) -> str:
    """Whether an order matches a rule of eligibility; a missing value does not."""
    column = next(c for c in columns if c.name == rule["column"])
    value = column.typed
    if rule["is_missing"] is not None:
        return f"{value} IS {'' if rule['is_missing'] else 'NOT '}NULL"
    if rule["below"] is not None:
        return f"coalesce({value} < {rule['below']}::DOUBLE, false)"
    if rule["above"] is not None:
        return f"coalesce({value} > {rule['above']}::DOUBLE, false)"
    for key, sign in (("in", "IN"), ("not_in", "NOT IN")):
        if rule[key] is not None:
            listed = ", ".join(map(literal, rule[key]))
            return f"coalesce({value} {sign} ({listed}), {str(key != 'in').lower()})"
    sign, other = (
        ("=", rule["is"]) if rule["is"] is not None else ("<>", rule["is_not"])
    )
    what = str(other).lower() if isinstance(other, bool) else literal(other)
    return f"coalesce({value} {sign} {what}, {str(sign == '<>').lower()})"
