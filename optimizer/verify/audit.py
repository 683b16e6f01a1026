"""
``audit.sql``: the night as one SQL script, from its record alone.

Parameters come first, then one part for each subject, then a query for the checks that
returned rows.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib.resources import files
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from optimizer.verify.cells import cells_text
from optimizer.verify.folders import as_duckdb, folders_text, of_folders, path_text
from optimizer.verify.reading import reading_of, reading_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optimizer.verify.reading import Reading

#: Parts by subject, in order.
_PARTS = (
    *("1_rules", "1_published_amounts", "2_inputs", "3_savings", "4_caps", "5_lanes"),
    *("6_limits", "7_plan", "8_bounds", "9_decisions", "9_equals", "10_figures"),
    *("10_tonight", "10_report", "11_prices", "12_margins", "13_evidence"),
    *("13_places", "14_warnings"),
)
#: Parts about the places of rows in files; executors write folders of them.
_OF_FILES = ("13_places",)
#: The same of a night of format 2, whose decisions stand by order_id.
_BY_ORDER = tuple(
    "13_evidence_by_rows" if part == "13_evidence" else part
    for part in _PARTS
    if part not in _OF_FILES
)
#: The same of a night of before margins were amounts.
_BY_PRICES = (
    *("1_rules", "1_published_prices", *_PARTS[2:7], "7_plan", "8_bounds"),
    *("9_decisions", "10_figures", "10_tonight", "10_report_by_prices", "11_prices"),
    *("13_evidence_by_rows", "14_warnings"),
)
#: Tables that the oldest format lacks, by the part that is about each.
_ABOUT = {"10_tonight": "nights.parquet", "10_report_by_prices": "figures.parquet"}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the statement: its subject, and its SQL."""

    name: str
    text: str


def statement(record: Mapping[str, Any], address: str | None = None) -> list[Part]:
    """
    State a night.

    Parameters
    ----------
    record
        As in ``run.json``.
    address
        Where executors wrote it, each table as a folder of files; ``None``: it is a
        folder of files.

    Returns
    -------
    list of Part
        To be run one after the other; each check is a table named ``check_...`` with
        the columns ``item``, ``published`` and ``restated``, and has no rows if the
        night holds.
    """
    reading = reading_of(record)
    parts = [Part("night", _night(record, reading, address))]
    is_far = address is not None
    for name in _parts_of(record):
        if is_far and name in _OF_FILES:
            continue
        text = (
            files(__package__).joinpath("statement", f"{name}.sql").read_text("utf-8")
        )
        if name == "2_inputs":
            text += f"{cells_text(record['config'])}\n{reading_text(reading)}"
        if name == "13_evidence_by_rows":
            text = text.replace("{decision_text}", _decision_text(record))
        if name == "13_evidence":
            text = _with_columns(text, record["evidence"]["columns"])
        if is_far:
            text = of_folders(text)
        parts.append(Part(name.split("_", 1)[1], text))
    return parts


def _parts_of(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Parts of the statement, chosen by the format of the night's decisions."""
    if is_of_today(record):
        return _PARTS
    if has_amounts(record):
        return _BY_ORDER
    there = {*record.get("outputs", ())}
    left_out = {part for part, table in _ABOUT.items() if table not in there}
    left_out |= set() if "evidence" in record else {"13_evidence_by_rows"}
    return tuple(part for part in _BY_PRICES if part not in left_out)


def is_of_today(record: Mapping[str, Any]) -> bool:
    """Whether a night is published in the present format, not in an older one."""
    return record.get("evidence", {}).get("leaf_of") == "merchant"


def has_amounts(record: Mapping[str, Any]) -> bool:
    """Whether margins are amounts, as they are since format 2."""
    return "surplus_cny" in record.get("evidence", {}).get("columns", ())


def audit_text(record: Mapping[str, Any], address: str | None = None) -> str:
    """
    Write ``audit.sql``.

    Parameters
    ----------
    record
        As in ``run.json``; the outputs need only name the tables.
    address
        As of :func:`statement`.
    """
    parts, is_far = statement(record, address), address is not None
    not_said = not_in_sql(record, is_far=is_far)
    unstated = "".join(f"--   {words}\n" for words in not_said) or "--   nothing\n"
    where, by_code = "in the folder of the night", ", and optimizer verify does"
    if is_far:
        where, by_code = "where DuckDB reads the addresses below", ""
    return (
        "-- The night stated a second time, from the documentation: run it with\n"
        "--\n--     duckdb < audit.sql\n--\n"
        f"-- {where}. It reads the inputs and the published tables,\n"
        "-- works every number out anew, and ends with one table: what is not as it\n"
        "-- was published. No row: everything holds. DuckDB 1.4 or newer.\n--\n"
        f"-- What SQL alone does not state of this night{by_code}:\n"
        f"{unstated}\n"
        + "\n".join(part.text for part in parts)
        + "\n"
        + final_question(check_names(parts))
    )


def not_in_sql(record: Mapping[str, Any], *, is_far: bool = False) -> list[str]:
    """Descriptions of the parts of a night that are stated by code, not by SQL."""
    config, found = record["config"], []
    if is_of_today(record) and not is_far:
        found.append("the keys of orders in their index")
    if config["model"] is not None:
        found.append(
            "probabilities of the learned model: savings, and what rests on them"
        )
    if config["capacity"]["count"] == "quantile":
        found.append("what rows hold by quantile: their room, and what rests on it")
    if "order_prices.parquet" in record.get("outputs", {}):
        found.append("the knapsacks of single lanes in the bound")
    if "branches.parquet" in record.get("outputs", {}):
        found.append("the branches of the bound")
    if config["objective"].get("explore") == "thompson":
        found.append(
            "the draws of the model, mean savings, and plans that choose an order"
        )
    if float(config["holdout"]["explore_share"]):
        explore = config["objective"].get("explore", "blind")
        if explore == "blind":
            found.append("which orders the explore arm draws")
        if explore == "margin":
            found.append("which orders the margin arm pairs, and their coins")
    return found


def check_names(parts: Sequence[Part]) -> list[str]:
    """Names of all checks, in order."""
    return [
        name
        for part in parts
        for name in re.findall(r"CREATE TEMP (?:TABLE|VIEW) (check_\w+)", part.text)
    ]


def final_question(names: Sequence[str]) -> str:
    """Ask all checks at once."""
    asked = "\nUNION ALL\n".join(
        f"SELECT '{name.removeprefix('check_')}' AS \"check\", item::VARCHAR AS item,\n"
        "    published::VARCHAR AS published, restated::VARCHAR AS restated\n"
        f"FROM {name}"
        for name in names
    )
    return f"-- What does not hold.\n{asked};\n"


def _night(
    record: Mapping[str, Any], reading: Reading, address: str | None = None
) -> str:
    """The parameters of the night."""
    config = json.dumps(record["config"], indent=1, sort_keys=True, ensure_ascii=False)
    outputs = record.get("outputs", {})
    lines = [
        "-- The folder of the night; its date; its configuration as it was recorded.",
        f"SET VARIABLE run = {_text('.' if address is None else as_duckdb(address))};",
        f"SET VARIABLE night = DATE {_text(record['date'])};",
        f"SET VARIABLE config = json({_text(config)});",
        f"SET VARIABLE recorded = {_recorded(record)};",
        "-- The input files, where run.json says that they were; elsewhere: write the",
        "-- list of paths here.",
    ]
    path = "file ->> 'path'" if address is None else path_text()
    for name in reading.tables:
        lines += [
            f"SET VARIABLE {name} = (",
            f"    SELECT list({path}) FROM (SELECT unnest(from_json(",
            f"        content::JSON -> '$.inputs.{name}.files', '[\"JSON\"]')) AS file",
            "    FROM read_text(getvariable('run') || '/run.json')));",
        ]
    attributes = record["config"]["capacity"]["attributes"]
    lines += [
        "-- Names of the columns that rules of the configuration ask for.",
        f"CREATE MACRO attribute_names() AS {_texts(attributes)};",
        f"CREATE MACRO further_names() AS {_texts(reading.further)};",
        f"CREATE MACRO fact_names() AS {_texts(reading.facts)};",
        "-- Doubt that is taken off the harm avoided: the normal quantile of the",
        "-- confidence, times the relative error.",
        _doubt(record["config"]["objective"]),
        f"CREATE MACRO prices_orders() AS {'order_prices.parquet' in outputs};",
        f"CREATE MACRO has_branches() AS {'branches.parquet' in outputs};",
    ]
    of_some = [
        *_optional("rows", "rows_said", outputs),
        *_optional("conflicts", "conflicts_said", outputs),
        *_optional("order_prices", "order_prices_said", outputs),
        *_optional("branches", "branches_said", outputs),
        *_optional("branch_prices", "branch_prices_said", outputs),
        *_optional("draws", "draws_said", outputs),
    ]
    text, further = ("\n".join(part) + "\n" for part in (lines, of_some))
    if address is None:
        return text + further
    return of_folders(text) + folders_text(record) + of_folders(further)


def _recorded(record: Mapping[str, Any]) -> str:
    """The configuration as it stands in the record, which may lack later keys."""
    if "recorded" not in record:
        return "getvariable('config')"
    recorded = json.dumps(record["recorded"], sort_keys=True, ensure_ascii=False)
    return f"json({_text(recorded)})"


def _decision_text(record: Mapping[str, Any]) -> str:
    """The text of a decision that is hashed, from the columns that the record names."""
    columns = record["evidence"]["columns"]
    return ", chr(9),\n        ".join(
        f"millionths({name})" if name in _NUMBERS else name for name in columns
    )


def _with_columns(text: str, columns: Sequence[str]) -> str:
    """The evidence of a night with the columns that are hashed."""
    records, texts = [], []
    for name in columns:
        if name == "merchant_id":
            continue
        if name in _NUMBERS:
            records.append(f"in_8_bytes(millionths({name}))")
        elif name in _FLAGS:
            records.append(f"in_1_byte({name})")
        else:
            records.append(f"in_4_bytes(strlen({name}))")
            texts.append(f"hex({name})")
    text = text.replace(
        "{decision_record}", ",".join(f"\n        {r}" for r in records)
    )
    return text.replace("{decision_texts}", ",".join(f"\n        {t}" for t in texts))


_FLAGS = ("is_premium", "has_room")
_NUMBERS = (
    *("saving_cny", "surplus_cny", "margin_cny", "margin_low_cny", "margin_high_cny"),
    "propensity",
)


def _doubt(objective: Mapping[str, Any]) -> str:
    confidence = objective["confidence"]
    if confidence is None:
        return "CREATE MACRO doubted(harm) AS harm;"
    caution = NormalDist().inv_cdf(float(confidence)) * float(
        objective["relative_error"]
    )
    return f"CREATE MACRO doubted(harm) AS (harm) - {caution!r}::DOUBLE * abs(harm);"


_COLUMNS = {
    "rows": '"kind" VARCHAR, "limit" VARCHAR, low BIGINT, high BIGINT, used BIGINT, '
    "slack BIGINT, missing BIGINT, penalty_cny DOUBLE, shadow_price_cny DOUBLE",
    "conflicts": '"kind" VARCHAR, "limit" VARCHAR, priority BIGINT, asked BIGINT, '
    "reached BIGINT, missing BIGINT, stopped_by VARCHAR",
    "order_prices": "order_id VARCHAR, price_cny DOUBLE",
    "branches": "node BIGINT, parent BIGINT, order_id VARCHAR, carrier_id VARCHAR, "
    "is_in BOOLEAN",
    "branch_prices": 'node BIGINT, "table" VARCHAR, "row" BIGINT, order_id VARCHAR, '
    "price_cny DOUBLE",
    "draws": "order_id VARCHAR, saving_cny DOUBLE, mean_saving_cny DOUBLE, "
    "num_plans BIGINT",
}


def _optional(name: str, view: str, outputs: Mapping[str, Any]) -> list[str]:
    """A table that only some nights have."""
    if f"{name}.parquet" in outputs:
        path = f"getvariable('run') || '/{name}.parquet'"
        return [
            "-- Columns that nights of an older format lack are null.",
            f"CREATE TEMP TABLE {view}_columns ({_COLUMNS[name]});",
            f"CREATE TEMP VIEW {view} AS",
            f"FROM {view}_columns UNION ALL BY NAME",
            f"SELECT * FROM read_parquet({path}, file_row_number = true);",
        ]
    return [f"CREATE TEMP TABLE {view} ({_COLUMNS[name]}, file_row_number BIGINT);"]


def _texts(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, values))}]::VARCHAR[]"


def _text(value: str) -> str:
    """Text as SQL."""
    return "'" + value.replace("'", "''") + "'"
