"""
Parquet files as executors read them: by our reader, a row group at a time.

Spark would take the first file's columns for those of all, and accepts pages whose
checksum fails. So a task gets the names of files and the numbers of row groups, and
reads as one machine does: same contract, same checksums, same numbers of rows. Files
that this process sees are looked at here, and read by the executors where they are; of
others, such as objects of a store, Spark brings the bytes.
"""

from __future__ import annotations

import glob
import json
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from optimizer.errors import ConfigError, DataError, OptimizerError
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.read import (
    FarFiles,
    FileRecord,
    read_group,
    sha256_of_input,
)
from optimizer.io.schemas import file_schema
from optimizer.io.snapshot import changed_input
from optimizer.spark.faults import first_line
from optimizer.spark.packed import in_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import polars as pl
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from optimizer.contracts.columns import Table
    from optimizer.io.read import Source

    #: From frames, which may raise on the way, to rows.
    Task = Callable[[Iterator[pl.DataFrame]], Iterator[pa.RecordBatch]]

#: Rows that one task reads, about.
TASK_ROWS = 500_000
#: Spark brings no larger file as one value.
MOST_BYTES = (1 << 31) - 1
#: Why a file of a table is refused.
OTHER_KIND = "engine: spark reads orders and options from Parquet; export them so"
#: What is found of a file.
HEAD = (
    "path string, num_bytes bigint, sha256 string, schema binary, groups binary, "
    "failed string"
)


@dataclass(frozen=True, slots=True)
class Head:
    """
    A file before its rows are read.

    Attributes
    ----------
    record
        Path, size and checksum.
    schema
        Its columns.
    group_rows
        Rows of each row group.
    """

    record: FileRecord
    schema: pa.Schema
    group_rows: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FileTable:
    """
    A table of Parquet files that executors read.

    Attributes
    ----------
    path
        As it is configured.
    session
        Of the cluster.
    heads
        Its files, sorted by path.
    is_near
        Whether executors find them by their paths; else Spark brings their bytes.
    """

    path: str
    session: SparkSession
    heads: tuple[Head, ...]
    is_near: bool

    @property
    def far_files(self) -> FarFiles:
        """What the reader needs to check the columns."""
        return FarFiles(
            self.path, {head.record.path: head.schema for head in self.heads}
        )

    @property
    def num_rows(self) -> int:
        """How many rows its files say that they have."""
        return sum(sum(head.group_rows) for head in self.heads)

    def refuse_other_number(self, num_rows: int) -> None:
        """
        Check that as many rows came as were there: Spark does not miss a file.

        Parameters
        ----------
        num_rows
            Rows that came.

        Raises
        ------
        BusyError
            When others did.
        """
        if num_rows != self.num_rows:
            raise changed_input(self.path)

    def map_frames(self, source: Source, task: Task, schema: str) -> DataFrame:
        """
        Read the table on executors.

        Parameters
        ----------
        source
            Of :attr:`far_files`.
        task
            From frames, which may raise on the way, to rows.
        schema
            Of the rows.
        """
        pieces = self._pieces()
        if not self.is_near:
            by_path: dict[str, list[_Piece]] = {}
            for piece in pieces:
                by_path.setdefault(piece.path, []).append(piece)
            sums = {head.record.path: head.record.sha256 for head in self.heads}
            read = partial(
                _read_content, pieces=by_path, sums=sums, source=source, task=task
            )
            return _contents(self.session, self.path).mapInArrow(read, schema)
        parts = _parts(pieces)
        near = partial(_read_near, parts=parts, source=source, task=task)
        numbers = self.session.range(0, len(parts), 1, len(parts))
        return numbers.mapInArrow(near, schema)

    def _pieces(self) -> list[_Piece]:
        rows = [rows for head in self.heads for rows in head.group_rows]
        firsts = iter(accumulate(rows, initial=0))
        return [
            _Piece(head.record.path, head.record.num_bytes, group, next(firsts), num)
            for head in self.heads
            for group, num in enumerate(head.group_rows)
        ]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A row group, its first row in the table, and the size that its file had."""

    path: str
    num_bytes: int
    group: int
    first: int
    num_rows: int


def open_files(session: SparkSession, path: str, contract: Table) -> FileTable:
    """
    Find a table's files, and look at what each says of itself.

    Parameters
    ----------
    session
        Of the cluster.
    path
        A file, a folder as Spark writes them, a glob, or an address that Spark knows.
    contract
        Of the table.

    Raises
    ------
    ConfigError
        When there is nothing.
    DataError
        When a file is damaged, or too large to be brought by Spark.
    BusyError
        When a file came or went as they were looked at.
    """
    near = near_files(path)
    if near is not None:
        heads = tuple(_head(name, str(name.absolute()), contract) for name in near)
        return FileTable(path, session, heads, is_near=True)
    rows = _listed(session, path)
    too_large = [row["path"] for row in rows if row["length"] > MOST_BYTES]
    if too_large:
        raise DataError(
            f"{too_large[0]}: is larger than 2 GB, and Spark brings no larger file as "
            "one; write it in several files"
        )
    look = partial(_look, contract=contract)
    found = _contents(session, path).mapInArrow(look, HEAD).toArrow().to_pylist()
    failed = [row["failed"] for row in found if row["failed"] is not None]
    if failed:
        raise DataError(min(failed))
    if differing := {row["path"] for row in rows} ^ {row["path"] for row in found}:
        raise changed_input(min(differing))
    heads = tuple(sorted(map(_as_head, found), key=_by_path))
    return FileTable(path, session, heads, is_near=False)


def _by_path(head: Head) -> str:
    return head.record.path


def near_files(path: str) -> list[Path] | None:
    """
    Files of a table that this process sees, sorted; ``None`` where it sees none.

    Parameters
    ----------
    path
        As of :func:`open_files`.
    """
    if "://" in path:
        return None
    place = Path(path)
    if place.is_dir():
        there = (p for p in place.rglob("*") if _is_data(p.relative_to(place)))
        # Those of other kinds, too: each is read, or refused by its name.
        names = [p for p in there if p.is_file()]
    elif place.exists() or not glob.has_magic(path):
        names = [place] if place.exists() else []
    else:
        names = [Path(name) for name in glob.glob(path)]
    return sorted(names) or None


def _is_data(path: Path) -> bool:
    """Whether Spark, too, takes a file for a part of its folder."""
    return not any(part.startswith(("_", ".")) for part in path.parts)


def _listed(session: SparkSession, path: str) -> list[dict[str, Any]]:
    """Path and length of the files that Spark finds."""
    from pyspark.errors import PySparkException

    try:
        found = _contents(session, path)
        rows = found.select("path", "length").toArrow().to_pylist()
        there = found.inputFiles()
    except PySparkException as error:
        raise ConfigError(f"{path}: cannot be read: {first_line(error)}") from error
    empty = without_rows(there, [row["path"] for row in rows])
    if empty:
        raise DataError(f"{empty[0]}: has 0 bytes, so it was cut off; export it again")
    if not rows:
        raise ConfigError(f"{path}: has no Parquet file; is the export there?")
    return list(rows)


def files_now(session: SparkSession, path: str) -> frozenset[tuple[Any, ...]]:
    """
    Path, length and time of change of the files that Spark finds; none where none is.

    Parameters
    ----------
    session
        Of the cluster.
    path
        An address that Spark knows.
    """
    from pyspark.errors import AnalysisException
    from pyspark.sql import functions as F

    when = F.col("modificationTime").cast("double")
    try:
        found = _contents(session, path).select("path", "length", when).toArrow()
    except AnalysisException as error:
        if error.getCondition() != "PATH_NOT_FOUND":
            raise
        return frozenset()
    return frozenset(zip(*(cells.to_pylist() for cells in found.columns), strict=True))


def has_come(session: SparkSession, path: str) -> bool:
    """
    Whether a table has come: a file with bytes is there.

    Parameters
    ----------
    session
        Of the cluster.
    path
        An address that Spark knows.

    Raises
    ------
    ConfigError
        When the cluster cannot look for it.
    """
    from pyspark.errors import PySparkException

    try:
        return bool(files_now(session, path))
    except PySparkException as error:
        raise ConfigError(f"{path}: {first_line(error)}") from error


def without_rows(there: Iterable[str], read: Iterable[str]) -> list[str]:
    """
    Files that Spark finds and passes over, since they have no bytes.

    Parameters
    ----------
    there
        Files as addresses, such as ``file:///a%20b.parquet``.
    read
        Those of them that have rows, by their paths: engines write these in other ways.

    Examples
    --------
    >>> without_rows(["s3a://x/a%20b.parquet", "s3a://x/c.parquet"], ["x/a b.parquet"])
    ['s3a://x/c.parquet']
    >>> without_rows(["s3a://x/a", "s3a://xx/a"], ["x/a"])
    ['s3a://xx/a']
    """
    known = tuple("/" + name.split(":", 1)[-1].lstrip("/") for name in read)
    return sorted(
        name
        for name in there
        if _is_data(Path(name.rsplit("/", 1)[-1]))
        and not (known and unquote(name).endswith(known))
    )


def _contents(session: SparkSession, path: str) -> DataFrame:
    """Files as rows: path, length, content."""
    reader = session.read.format("binaryFile").option("recursiveFileLookup", "true")
    return reader.load(path)


def _look(
    batches: Iterable[pa.RecordBatch], contract: Table
) -> Iterator[pa.RecordBatch]:
    """Turn files into ``HEAD`` rows."""
    import polars as pl

    for path, local in _copies(batches):
        try:
            cells = _as_cells(_head(local, path, contract))
        except OptimizerError as error:
            cells = {"failed": str(error).replace(str(local), path)}
        yield from in_schema(pl.DataFrame({k: [v] for k, v in cells.items()}), HEAD)


def _head(local: Path, path: str, contract: Table) -> Head:
    """Look at a file; ``path`` is its name, ``local`` where it lies."""
    import pyarrow.parquet

    if local.suffix.lower() not in (".parquet", ".pq"):
        raise DataError(f"{path}: {OTHER_KIND}")
    schema = file_schema(local, contract)
    with damaged_is_data_error(path):
        footer = pyarrow.parquet.read_metadata(local)
    rows = tuple(footer.row_group(n).num_rows for n in range(footer.num_row_groups))
    record = FileRecord(path, local.stat().st_size, sha256_of_input(local))
    return Head(record, schema, rows)


def _as_cells(head: Head) -> dict[str, Any]:
    return {
        "path": head.record.path,
        "num_bytes": head.record.num_bytes,
        "sha256": head.record.sha256,
        "schema": head.schema.serialize().to_pybytes(),
        "groups": json.dumps(head.group_rows).encode(),
    }


def _as_head(row: Mapping[str, Any]) -> Head:
    import pyarrow.ipc

    return Head(
        FileRecord(row["path"], row["num_bytes"], row["sha256"]),
        pyarrow.ipc.read_schema(pyarrow.py_buffer(row["schema"])),
        tuple(json.loads(row["groups"])),
    )


def _parts(pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    """Pieces by task: each about as many rows, in the order of the files."""
    parts: list[list[_Piece]] = [[]]
    num_rows = 0
    for piece in pieces:
        if num_rows >= TASK_ROWS:
            parts.append([])
            num_rows = 0
        parts[-1].append(piece)
        num_rows += piece.num_rows
    return parts


def _read_near(
    batches: Iterable[pa.RecordBatch],
    parts: Sequence[Sequence[_Piece]],
    source: Source,
    task: Task,
) -> Iterator[pa.RecordBatch]:
    """Read the parts whose numbers come."""
    for batch in batches:
        for number in batch["id"].to_pylist():
            mine = [(Path(piece.path), piece) for piece in parts[number]]
            yield from task(_frames(mine, source))


def _read_content(
    batches: Iterable[pa.RecordBatch],
    pieces: Mapping[str, Sequence[_Piece]],
    sums: Mapping[str, str],
    source: Source,
    task: Task,
) -> Iterator[pa.RecordBatch]:
    """Read the files whose bytes come, if they are those that were looked at."""
    for path, local in _copies(batches):
        mine = [(local, piece) for piece in pieces.get(path, ())]
        yield from task(_same_frames(mine, source, local, sums.get(path)))


def _same_frames(
    pieces: Iterable[tuple[Path, _Piece]],
    source: Source,
    local: Path,
    sha256: str | None,
) -> Iterator[pl.DataFrame]:
    for _, piece in pieces:
        if sha256_of_input(local) != sha256:
            raise changed_input(piece.path)
        break
    yield from _frames(pieces, source)


def _frames(
    pieces: Iterable[tuple[Path, _Piece]], source: Source
) -> Iterator[pl.DataFrame]:
    for local, piece in pieces:
        try:
            if local.stat().st_size != piece.num_bytes:
                raise changed_input(piece.path)
            yield from read_group(source, local, piece.group, piece.first)
        except DataError as error:
            raise DataError(str(error).replace(str(local), piece.path)) from None
        except OSError as error:
            raise DataError(
                f"{piece.path}: a worker cannot read it ({error.strerror}); put it "
                "where all of them see it"
            ) from None


def _copies(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, Path]]:
    """The files of some rows, each in a folder of its own while it is looked at."""
    for batch in batches:
        for number in range(batch.num_rows):
            with tempfile.TemporaryDirectory() as folder:
                yield _copy(*_cells(batch, number), Path(folder))


def _cells(batch: pa.RecordBatch, number: int) -> tuple[str, pa.Buffer]:
    """Address and content of a row's file."""
    return batch["path"][number].as_py(), batch["content"][number].as_buffer()


def _copy(address: str, content: bytes | pa.Buffer, folder: Path) -> tuple[str, Path]:
    """Write a file into an empty folder; its address, and where it lies now."""
    local = folder / address.rsplit("/", 1)[-1]
    with local.open("wb") as file:
        file.write(content)
    return address, local


def brought_files(table: FileTable, folder: Path) -> Iterator[tuple[str, Path]]:
    """
    Bring the files of a table to this process, as many at a time as Spark reads in one.

    Parameters
    ----------
    table
        Whose bytes Spark brings.
    folder
        An empty one.

    Yields
    ------
    tuple of str and Path
        The address of each file, and where it lies now.
    """
    rows = _contents(table.session, table.path).select("path", "content")
    for number, row in enumerate(rows.toLocalIterator()):
        own = folder / str(number)  # files of two folders may share a name
        own.mkdir()
        yield _copy(row["path"], row["content"], own)


@contextmanager
def copied_table(session: SparkSession, path: str) -> Iterator[dict[str, str]]:
    """
    Bring a small table, of any kind that is read on one machine, to this process.

    Parameters
    ----------
    session
        Of the cluster.
    path
        An address that Spark knows.

    Yields
    ------
    dict of str to str
        The address of each copy, by its path.

    Raises
    ------
    ConfigError
        When there is nothing.
    DataError
        What is said of a copy while it is there, with the address for its path.
    BusyError
        When a file came or went as they were brought.
    """
    there = {row["path"] for row in _listed(session, path)}
    rows = _contents(session, path).select("path", "content").toArrow()
    found = {
        batch["path"][number].as_py(): (batch, number)
        for batch in rows.to_batches()
        for number in range(batch.num_rows)
    }
    if differing := there ^ {*found}:
        raise changed_input(min(differing))
    with tempfile.TemporaryDirectory() as folder:
        copies = {}
        for place, address in enumerate(sorted(found)):
            own = Path(folder) / str(place)  # files of two folders may share a name
            own.mkdir()
            copies[str(_copy(*_cells(*found[address]), own)[1])] = address
        try:
            yield copies
        except DataError as error:
            text = str(error)
            for copy, address in copies.items():
                text = text.replace(copy, address)
            raise DataError(text) from None
