"""Delivery outcomes from the deliveries table, read as the statement reads tables."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from optimizer.verify.cells import cells_text
from optimizer.verify.contract import Column
from optimizer.verify.faults import stated_faults
from optimizer.verify.given import given_table
from optimizer.verify.mapping import mappings_of
from optimizer.verify.reading import Reading, kind_of, raw_text

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    import polars as pl

_COLUMNS = (Column("order_id", "id"), Column("status", "text"), Column("date", "date"))


def known_parcels(record: Mapping[str, Any], day: dt.date) -> pl.DataFrame | None:
    """
    Read the delivery outcomes up to a day.

    Parameters
    ----------
    record
        With the paths of the files as they are found.
    day
        Rows of later days are left out.

    Returns
    -------
    pl.DataFrame or None
        ``order_id`` and ``status`` in small letters; ``None``: there is no table.

    Raises
    ------
    CertificateError
        When the table cannot be read according to the contract.
    """
    import duckdb
    import polars as pl

    used, config = record["inputs"].get("deliveries"), record["config"]
    if used is None:
        return None
    mappings = mappings_of(config)
    mapping = mappings.get("deliveries", {})
    reading = Reading(
        tables={"deliveries": _COLUMNS},
        kinds={"deliveries": kind_of(used, mapping)},
        num_files={"deliveries": len(used["files"])},
        forms={"deliveries": used.get("read_as", {})},
        further=(),
        num_attributes=0,
        resources=(),
        facts=(),
        rules=(),
        has_model=False,
        features=(),
        has_null_words=bool(config.get("null_words")),
        mappings=mappings,
    )
    paths = [file["path"] for file in used["files"]]
    macros = files(__package__).joinpath("statement", "2_inputs.sql").read_text("utf-8")
    with duckdb.connect() as engine:
        engine.execute("SET VARIABLE config = ?::JSON", [json.dumps(config)])
        engine.execute("SET VARIABLE deliveries = ?", [paths])
        engine.execute(
            "CREATE MACRO config_text(way) AS "
            f"json_extract_string(getvariable('config'), way);\n{macros}"
        )
        if reading.kinds["deliveries"] == "arrow":
            form = used.get("read_as", {})
            tables = [pl.DataFrame(given_table(p, mapping, form)) for p in paths]
            whole = pl.concat(tables, how="vertical_relaxed")
            engine.register("deliveries_arrow", whole.to_arrow())
        with stated_faults("the deliveries table cannot be read"):
            engine.execute(cells_text(config) + raw_text("deliveries", reading))
            found = engine.sql(
                "SELECT order_id, lower(bare(status)) AS status FROM deliveries_raw "
                "WHERE as_date(date) <= ?",
                params=[day],
            )
            return pl.DataFrame(found.to_arrow_table())
