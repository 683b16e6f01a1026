"""
The form of CSV files, determined again; the SQL relies on the record for it.

A first line ``sep=`` names the separator, else it is the one by which most cells of the
header are columns of the contract, commas before semicolons, tabs and bars. Columns of
the header are the contract's, whatever their case and outer spaces.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from optimizer.errors import is_of_memory
from optimizer.verify.cells import is_of_today
from optimizer.verify.contract import columns_of
from optimizer.verify.mapping import mappings_of, written_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_SEPARATORS = ",;\t|"
_AROUND = " \t\u00a0\u3000\ufeff\u200b"
_DELIVERIES = ("order_id", "status", "date")


def false_forms(
    record: Mapping[str, Any], inputs: Mapping[str, list[str]]
) -> Iterator[str]:
    """
    Find input files whose form differs from the record.

    Parameters
    ----------
    record
        The night's ``run.json``.
    inputs
        Where its files are, by table.
    """
    if not is_of_today(record["config"]):
        return
    tables = columns_of(record["config"], record["policy"])
    for name, used in record["inputs"].items():
        mapping = mappings_of(record["config"]).get(name)
        names = [column.name for column in tables.get(name, ())] or _DELIVERIES
        known = [written_name(column, mapping) for column in names]
        encoding = (mapping or {}).get("encoding", "utf-8")
        said = {k: v for k, v in used.get("read_as", {}).items() if k in _GUESSED}
        for path in inputs[name]:
            if path.lower().endswith((".csv", ".csv.gz", ".csv.zst")):
                found = form_of(_first_lines(path, encoding), known)
                if found != said:
                    yield f"input {path} is a CSV file of the form {found}, not {said}"


_GUESSED = ("separator", "num_before", "header")


def _first_lines(path: str, encoding: str) -> list[str]:
    import pyarrow as pa

    try:
        with pa.input_stream(path) as stream:
            start = stream.read(1 << 16)
    except (OSError, pa.ArrowException) as error:
        if is_of_memory(error):
            raise
        return []
    name = "utf-8-sig" if encoding == "utf-8" else encoding
    return start.decode(name, "replace").splitlines()[:2]


def form_of(lines: list[str], known: Iterable[str]) -> dict[str, Any]:
    """
    Determine the form of a file: its deviations from the contract.

    Examples
    --------
    >>> form_of(["sep=;", "Slots;carrier_id"], ["carrier_id", "slots"])
    {'separator': ';', 'num_before': 1, 'header': ['slots', 'carrier_id']}
    """
    first = lines[0].strip('" ') if lines else ""
    names = {name.casefold(): name for name in known}
    found: dict[str, Any] = {}
    if first.lower().startswith("sep=") and first[4:5]:
        separator, line = first[4], lines[1] if len(lines) > 1 else ""
        found["num_before"] = 1
    else:
        line = lines[0] if lines else ""
        separator = max(_SEPARATORS, key=lambda one: len(_known(line, one, names)))
    if separator != ",":
        found = {"separator": separator, **found}
    cells = next(csv.reader([line], delimiter=separator), [])
    header = [
        names.get(_bare(cell).casefold(), cell if _bare(cell) else "") for cell in cells
    ]
    is_spelled = any(
        name in names.values() and name != cell
        for name, cell in zip(header, cells, strict=True)
    )
    return found | ({"header": header} if is_spelled else {})


def _known(line: str, separator: str, names: Mapping[str, str]) -> set[str]:
    """Columns of the contract that a header names."""
    cells = next(csv.reader([line], delimiter=separator), [])
    return {names.get(_bare(cell).casefold(), "") for cell in cells} - {""}


def _bare(cell: str) -> str:
    return cell.strip(_AROUND)
