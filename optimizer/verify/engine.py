"""Run the statement of a night: SQL in DuckDB, and code for what SQL cannot express."""

from __future__ import annotations

import atexit
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from optimizer.io.kept_inputs import found_model
from optimizer.verify.audit import check_names, statement
from optimizer.verify.faults import stated_faults
from optimizer.verify.given import given_table
from optimizer.verify.mapping import mappings_of
from optimizer.verify.reading import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb
    import pyarrow as pa

    from optimizer.verify.audit import Part

#: Oldest DuckDB that the statement is written for.
OLDEST = (1, 4)
#: Rows of a check that are named.
NUM_NAMED = 3
_NOT_STATED = "the night cannot be stated from its files"


@dataclass(frozen=True, slots=True)
class Finding:
    """
    The result of a check that does not hold.

    Attributes
    ----------
    check
        Its name.
    words
        A description, with a few rows.
    num_rows
        Number of rows.
    """

    check: str
    words: str
    num_rows: int

    def __str__(self) -> str:
        """In one line."""
        return f"{self.check}: {self.words}"


def why_no_engine() -> str | None:
    """The reason why the statement cannot be run here; ``None`` if it can."""
    try:
        import duckdb
    except ImportError:
        return (
            "DuckDB is not installed, so the night was not stated a second time: no "
            "saving, cap, bound, reason or figure was worked out again from the "
            "documentation; pip install 'duckdb>=1.4'"
        )
    if version_of(duckdb.__version__) < OLDEST:
        return (
            f"DuckDB {duckdb.__version__} is too old to state the night a second time; "
            "pip install --upgrade 'duckdb>=1.4'"
        )
    return None


def version_of(text: str) -> tuple[int, ...]:
    """
    Read a version's first two numbers.

    Examples
    --------
    >>> version_of("1.10.2.dev3")
    (1, 10)
    """
    return tuple(int(part) for part in text.split(".")[:2])


def state_again(
    folder: Path,
    record: Mapping[str, Any],
    inputs: Mapping[str, list[str]] | None = None,
) -> list[Finding]:
    """
    State a published night a second time, and list the checks that do not hold.

    Parameters
    ----------
    folder
        The night.
    record
        Its ``run.json``.
    inputs
        Where the input files are, by table; left out: where the record says.

    Raises
    ------
    CertificateError
        When files cannot be read according to the contract, or the model is missing.
    """
    parts, placed = statement(record), _with_model(folder, record)
    with _engine() as engine:
        engine.execute("SET VARIABLE run_given = ?", [str(folder)])
        _give_arrow(engine, record, inputs)
        found: list[Finding] = []
        for part in parts:
            _run(engine, _placed(part, inputs))
            found += _beside(engine, part.name, placed)
        return [*found, *_answers(engine, check_names(parts))]


def _with_model(folder: Path, record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record with the present place of its model."""
    model = found_model(folder, record)
    if model is None:
        return record
    return {**record, "config": {**record["config"], "model": str(model)}}


def _placed(part: Part, inputs: Mapping[str, list[str]] | None) -> str:
    """A part's text, with the present places of folder and inputs."""
    if part.name != "night":
        return part.text
    text = part.text.replace(
        "SET VARIABLE run = '.';", "SET VARIABLE run = getvariable('run_given');"
    )
    for name, paths in (inputs or {}).items():
        listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
        text += f"SET VARIABLE {name} = [{listed}];\n"
    return text


@contextmanager
def _engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a private DuckDB without network access or extensions from elsewhere."""
    import duckdb

    with TemporaryDirectory(prefix="optimizer-verify-") as scratch:
        engine = duckdb.connect(
            config={
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "allow_community_extensions": "false",
                "temp_directory": scratch,
            }
        )
        try:
            yield engine
        finally:
            engine.close()


def _give_arrow(
    engine: duckdb.DuckDBPyConnection,
    record: Mapping[str, Any],
    inputs: Mapping[str, list[str]] | None,
) -> None:
    """Give files to the statement that DuckDB cannot read by itself."""
    import pyarrow as pa

    mappings = mappings_of(record["config"])
    for name, used in record["inputs"].items():
        mapping = mappings.get(name, {})
        if kind_of(used, mapping) != "arrow":
            continue
        paths = [file["path"] for file in used["files"]]
        paths = (inputs or {}).get(name, paths)
        what = f"input {paths[0]} cannot be read as the record says"
        with stated_faults(what, OSError, UnicodeError, MemoryError, pa.ArrowException):
            tables = [
                given_table(path, mapping, used.get("read_as", {})) for path in paths
            ]
        known = [_known_types(table) for table in tables]
        whole = pa.concat_tables(known, promote_options="permissive")
        engine.register(f"{name}_arrow", whole)


def _known_types(table: pa.Table) -> pa.Table:
    """Half floats, wide decimals and other zones in types that DuckDB knows."""
    import pyarrow as pa
    import pyarrow.types as t

    for at, column in enumerate(table.schema):
        kind, to = column.type, None
        if t.is_float16(kind):
            to = pa.float32()
        elif t.is_decimal(kind) and kind.scale < 0:
            to = pa.decimal256(76, 0)
        elif t.is_timestamp(kind) and kind.tz not in (None, "UTC"):
            to = pa.timestamp(kind.unit, "UTC")
        values = table.column(at) if to is None else table.column(at).cast(to)
        if t.is_decimal256(values.type):
            is_whole = values.type.scale == 0
            values = values.cast(pa.string() if is_whole else pa.float64())
        if values.type != kind:
            table = table.set_column(at, column.name, values)
    return table


def _run(engine: duckdb.DuckDBPyConnection, text: str) -> None:
    with stated_faults(_NOT_STATED):
        for parsed in _parsed(text):
            engine.execute(parsed)


@lru_cache(maxsize=128)
def _parsed(text: str) -> list[duckdb.Statement]:
    """Statements of a part; of several nights the next is parsed already, mostly."""
    import duckdb

    return duckdb.extract_statements(text)


# Statements that outlive their library are told as leaks when the process ends.
atexit.register(_parsed.cache_clear)


def _beside(
    engine: duckdb.DuckDBPyConnection, part: str, record: Mapping[str, Any]
) -> list[Finding]:
    """Run the code that belongs after a part of the SQL."""
    with stated_faults(_NOT_STATED):
        return _code_of(engine, part, record)


def _code_of(
    engine: duckdb.DuckDBPyConnection, part: str, record: Mapping[str, Any]
) -> list[Finding]:
    config = record["config"]
    if part == "places":
        from optimizer.verify.order_index import false_keys

        wrong = false_keys(engine)
        return [_finding("order index", wrong)] if wrong else []
    if part == "inputs" and config["model"] is not None:
        from optimizer.verify.learned import fill_scores

        fill_scores(engine, record)
    is_drawn = config["objective"].get("explore") == "thompson"
    if part == "savings" and is_drawn:
        from optimizer.verify.drawn import note_savings

        note_savings(engine, record)
    if part == "savings":
        from optimizer.verify.assumed import false_assumptions

        wrong = false_assumptions(engine, record)
        return [_finding("assumptions", wrong)] if wrong else []
    if part == "plan" and is_drawn:
        from optimizer.verify.drawn import count_plans

        count_plans(engine, record)
    if part == "limits" and config["capacity"]["count"] == "quantile":
        from optimizer.verify.purchases import fill_rooms

        fill_rooms(engine, Decimal(config["capacity"]["quantile"]))
    if part == "plan" and float(config["holdout"]["explore_share"]):
        explore = config["objective"].get("explore", "blind")
        wrong = _false_arm(engine, explore, config["holdout"], record["date"])
        return [_finding("explore", wrong)] if wrong else []
    if part == "bounds" and "order_prices.parquet" in record["outputs"]:
        from optimizer.verify.whole_lanes import fill_worths

        fill_worths(engine)
    if part == "bounds" and "branches.parquet" in record["outputs"]:
        from optimizer.verify.branches import fill_branches

        wrong = fill_branches(engine)
        return [_finding("branches", wrong)] if wrong else []
    return []


def _false_arm(
    engine: duckdb.DuckDBPyConnection,
    explore: str,
    holdout: Mapping[str, Any],
    date: str,
) -> list[str]:
    """Orders that are only in the published arm, or only in the one drawn again."""
    if explore == "margin":
        from optimizer.verify.coins import false_coins

        return false_coins(engine, holdout, date)
    if explore == "blind":
        from optimizer.verify.draws import false_draws

        return false_draws(engine, holdout, date)
    return []


def _finding(check: str, rows: list[str]) -> Finding:
    more = len(rows) - NUM_NAMED
    also = f" (and {more:,} more)" if more > 0 else ""
    return Finding(check, "; ".join(rows[:NUM_NAMED]) + also, len(rows))


def _answers(engine: duckdb.DuckDBPyConnection, names: list[str]) -> list[Finding]:
    """Read what every check found."""
    asked = "\nUNION ALL ".join(
        f"SELECT '{name}', count(*) FROM {name} HAVING count(*) > 0" for name in names
    )
    found = []
    for name, num_rows in engine.execute(asked).fetchall():
        rows = engine.execute(
            "SELECT item::VARCHAR, published::VARCHAR, restated::VARCHAR "
            f"FROM {name} ORDER BY ALL LIMIT {NUM_NAMED}"
        ).fetchall()
        words = [
            f"{item} is {true}, not {said} as published" for item, said, true in rows
        ]
        more = num_rows - len(rows)
        also = f" (and {more:,} more)" if more else ""
        check = name.removeprefix("check_").replace("_", " ")
        found.append(Finding(check, "; ".join(words) + also, num_rows))
    return found
