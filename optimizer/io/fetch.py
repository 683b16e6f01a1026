"""
Tables from databases and stores, copied to local files before the night begins.

A night reads its orders more than once and must be verifiable later, but a database
changes in between. So every address is read once, into a file that is named by its
checksum, and the night is solved and verified from that file. Objects are copied byte
for byte. Rows of databases come in no particular order, so they are sorted: equal rows
give equal bytes.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from optimizer.config.address import fill_address, is_address, parse_address
from optimizer.contracts.tables import TABLES_IN
from optimizer.errors import DataError, PublishError, counted
from optimizer.io.external_sort import sorted_rows
from optimizer.io.kept_inputs import kept_name
from optimizer.io.mapping import as_written
from optimizer.io.plain_frame import plain_frame
from optimizer.io.read import open_source
from optimizer.io.sources import adapter_of, read_faults
from optimizer.io.sources.faults import secrets_of
from optimizer.io.write import write_frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import polars as pl
    import pyarrow as pa

    from optimizer.config.address import Address
    from optimizer.contracts.columns import Table
    from optimizer.io.cells import CellRules
    from optimizer.io.sources.rows import Rows

_CONTRACTS = {table.name: table for table in TABLES_IN}
_STAGING = ".staging-"
#: Rows that are taken into a frame at once.
_PART_ROWS = 250_000


@dataclass(frozen=True, slots=True)
class Fetched:
    """
    Inputs of a night, all of them local files.

    Attributes
    ----------
    paths
        Path, glob or list of paths, by table.
    origins
        Where a table that was copied is from, and its version if it has one.
    """

    paths: Mapping[str, str | list[str]]
    origins: Mapping[str, str]


@contextmanager
def fetched_inputs(
    places: Mapping[str, str],
    kept: Path | None,
    rules: CellRules,
    tables: Mapping[str, Table] | None = None,
) -> Iterator[Fetched]:
    """
    Copy the tables that are not local files.

    Parameters
    ----------
    places
        Paths and addresses, by table, dates filled in.
    kept
        Folder where the copies stay, so that the night can be verified; ``None``:
        they are removed at the end.
    rules
        How the configuration has cells read.
    tables
        Contracts by name, with the columns that the configuration asks for: of a
        database nothing else is copied. Left out: those without such columns.

    Raises
    ------
    ConfigError
        When a package or a variable of the environment is missing.
    DataError
        When there is no such table, or it breaks its contract.
    BusyError
        When a server does not answer.
    PublishError
        When the copies cannot be written.
    """
    remote = {n: parse_address(p) for n, p in places.items() if is_address(p)}
    paths: dict[str, str | list[str]] = dict(places)
    if not remote:
        yield Fetched(paths, {})
        return
    folder, agreed = _made(kept), _CONTRACTS | {**(tables or {})}
    origins: dict[str, str] = {}
    try:
        for name, address in remote.items():
            paths[name], origins[name] = _fetch(address, agreed[name], folder, rules)
        yield Fetched(paths, origins)
    except DataError as error:
        raise DataError(_with_origins(str(error), paths, origins)) from None
    finally:
        if kept is None:
            shutil.rmtree(folder)


def _with_origins(
    text: str, paths: Mapping[str, str | list[str]], origins: Mapping[str, str]
) -> str:
    """Add to each copy named in a message the address that it is from."""
    for name, origin in origins.items():
        for path in paths[name]:
            text = text.replace(path, f"{origin} ({path})")
    return text


def _made(kept: Path | None) -> Path:
    try:
        if kept is None:
            return Path(tempfile.mkdtemp(prefix="nights-"))
        kept.mkdir(parents=True, exist_ok=True)
        return kept
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise PublishError(
            f"{kept or tempfile.gettempdir()}: cannot hold copies of inputs ({reason})"
        ) from None


def _fetch(
    address: Address, table: Table, folder: Path, rules: CellRules
) -> tuple[list[str], str]:
    """Copy one table; give its files and its origin."""
    filled = fill_address(address)
    adapter = adapter_of(address)
    for leftover in folder.glob(f"{_STAGING}{table.name}-*"):
        shutil.rmtree(leftover)
    staging = Path(tempfile.mkdtemp(prefix=f"{_STAGING}{table.name}-", dir=folder))
    try:
        with read_faults(address, secrets_of(filled)):
            if address.scheme == "s3":
                copies, num_left_out = adapter.fetch_files(filled, staging)
                files = [_Copy(path, _sha256(path)) for _, path in copies]
                spare = counted(num_left_out, "empty part")
                version = f"({spare} left out)" if num_left_out else ""
                _check_files([path for _, path in copies], table, address.label, rules)
            else:
                there = _as_kept(as_written(table, rules.mappings.get(table.name)))
                with adapter.open_rows(filled, table, rules) as rows:
                    batches = _limited(rows.batches, address.label, rules)
                    files = [_write_sorted(rows, batches, there, staging)]
                    version = rows.version
        kept = [_keep(copy, table.name, folder) for copy in files]
    finally:
        shutil.rmtree(staging)
    return kept, " ".join(filter(None, (address.label, version)))


def _check_files(files: list[Path], table: Table, label: str, rules: CellRules) -> None:
    """Check copies against the contract; errors name the address."""
    try:
        open_source(files, table, rules=rules)
    except DataError as error:
        text = str(error)
        for path in files:
            text = text.replace(str(path), f"{label} ({path.name[7:]})")
        raise DataError(text) from None


class _Copy(NamedTuple):
    """A file that was written here, and the checksum of what was handed to the disk."""

    path: Path
    sha256: str


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _keep(copy: _Copy, name: str, folder: Path) -> str:
    """Name a copy by its checksum; the same content again is the same file."""
    kept = folder / kept_name(name, copy.sha256, copy.path)
    copy.path.replace(kept)
    return str(kept)


def _limited(
    batches: Iterable[pa.RecordBatch], label: str, rules: CellRules
) -> Iterator[pa.RecordBatch]:
    """Stop where a server gives more rows than a table has."""
    num_rows, most = 0, rules.limits.num_rows
    for batch in batches:
        num_rows += batch.num_rows
        if num_rows > most:
            raise DataError(
                f"{label}: has more than {most:,} rows, which limits.num_rows allows; "
                "is it the rows of one day?"
            )
        yield batch


def _write_sorted(
    rows: Rows, batches: Iterable[pa.RecordBatch], table: Table, staging: Path
) -> _Copy:
    """Write rows, which come in any order, in one that they decide; none are none."""
    none = plain_frame(rows.batches.schema.empty_table(), table)
    frames = (plain_frame(part, table) for part in _parts(batches))
    ordered = sorted_rows(chain([none], frames), _ids(none, table), staging / "scratch")
    path, kinds = staging / "rows.parquet", dict(none.schema)
    written = write_frames(
        ordered, path, kinds, left_out=rows.unread, compression="lz4"
    )
    return _Copy(path, written.sha256)


def _parts(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Tables of some size: drivers give a few thousand rows at a time."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(part.num_rows for part in held) >= _PART_ROWS:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)


def _as_kept(table: Table) -> Table:
    """
    The contract of a copy: decimals of counts and flags stay what they are.

    They are read exactly as text, which a file may not have for them.
    """
    columns = tuple(
        replace(column, kind="number") if column.kind in ("count", "flag") else column
        for column in table.columns
    )
    return replace(table, columns=columns)


def _ids(frame: pl.DataFrame, table: Table) -> list[str]:
    """Columns that tell rows apart: the contract's key, or the first of the ids."""
    keys = [name for name in table.key if name in frame.columns]
    there = [name for name in table.column_names if name in frame.columns]
    ids = [name for name in there if table.column(name).kind == "id"]
    return keys or ids[:1] or there[:1]
