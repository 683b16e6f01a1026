"""
Nights of older formats: what their records left out, and what they cannot prove.

A record says which keys it was written with. What a later version added is filled in
with the value that it decided by then, so that the same statement can be made of the
night; keys whose absence itself says how a night was made stay absent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.errors import OptimizerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import polars as pl

#: Keys of the configuration that decide by being there: how cells are read, and which
#: names are looked up.
_SPEAKS_BY_ABSENCE = ("null_words", "not_null_words", "date_formats", "lookups")
#: Tables of a night that the oldest format lacks, and what then is not proved.
_LATER_TABLES = {
    "nights.parquet": "which nights it was compared with is",
    "figures.parquet": "the numbers of report.html are",
}
#: Columns that came later, by table: their name before, and what rows without it mean.
_LATER_COLUMNS: dict[str, dict[str, tuple[str, int | None]]] = {
    "commitments.parquet": {"load": ("", 1)},
    "in_flight.parquet": {"num_slots": ("num_parcels", None)},
}


def is_before_evidence(record: Mapping[str, Any]) -> bool:
    """
    Whether a night is of the oldest format, which had no hashes of its decisions.

    Examples
    --------
    >>> is_before_evidence({"schema_version": 1, "outputs": {}})
    True
    >>> is_before_evidence({"schema_version": 2, "outputs": {}})
    False
    """
    return record.get("schema_version") == 1 and "evidence" not in record


def in_full(record: Mapping[str, Any]) -> dict[str, Any]:
    """
    Fill in what a record of an older format left out; others stay as they are.

    Parameters
    ----------
    record
        As in ``run.json``.

    Returns
    -------
    dict
        The record; where its configuration lacked keys, ``recorded`` has it as it was.
    """
    from optimizer.config import as_config, config_json

    try:
        today = config_json(as_config(record["config"]))
    except OptimizerError:
        return dict(record)  # its form is not right, which is said elsewhere
    known = {k: v for k, v in today.items() if k not in _SPEAKS_BY_ABSENCE}
    filled = {**record, "config": _filled(record["config"], known)}
    if filled["config"] != record["config"]:
        filled["recorded"] = record["config"]
    if is_before_evidence(record):
        filled.setdefault("origins", {})
    return filled


def _filled(given: Any, known: Any) -> Any:
    if isinstance(given, dict) and isinstance(known, dict):
        return {
            key: _filled(given[key], known.get(key)) if key in given else known[key]
            for key in {**known, **given}
        }
    return given


def not_proved(record: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """
    Say what a night cannot prove because its format had nothing to prove it by.

    Parameters
    ----------
    record
        As in ``run.json``.
    folder
        The night.
    """
    import polars as pl

    if record["schema_version"] != 1:
        return
    for name, what in _LATER_TABLES.items():
        if name not in record["outputs"]:
            yield f"{name}: this format has none, so {what} not proved"
    if is_before_evidence(record):
        yield (
            "evidence.txt: this format has no hashes of decisions, so that this is the "
            "night as it was published is not proved, but that it follows from its "
            "inputs; compare run.json with a copy, or with the chain once it has it"
        )
    for name, column, what in (
        ("decisions.parquet", "arm", "all chosen orders are taken for the plan's"),
        ("commitments.parquet", "load", "slots of each order are not proved"),
    ):
        if column not in pl.read_parquet_schema(folder / name):
            yield f"{name}: this format has no column {column}; {what}"


def read_of_its_time(folder: Path, name: str) -> pl.DataFrame:
    """
    Read a published table, with columns that came later as the format meant them.

    Parameters
    ----------
    folder
        The night.
    name
        The table's file.
    """
    import polars as pl

    table = pl.read_parquet(folder / name)
    for column, (before, meant) in _LATER_COLUMNS.get(name, {}).items():
        if column in table.columns:
            continue
        if before in table.columns:
            table = table.rename({before: column})
        else:
            table = table.with_columns(pl.lit(meant, pl.Int64).alias(column))
    return table
