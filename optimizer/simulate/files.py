"""Write a night to disk completely or not at all."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from optimizer.errors import ConfigError, MachineError, is_of_disk
from optimizer.simulate.capacity import capacity_frame
from optimizer.simulate.draw import BATCH_ROWS, make_night_draw
from optimizer.simulate.tables import merchants_table, night_batches

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from datetime import date
    from pathlib import Path

    import pyarrow as pa
    import pyarrow.parquet as pq

    from optimizer.simulate.world import World

REPEATING = (
    "merchant_id",
    "carrier_id",
    "region_id",
    "outlet_id",
    "ineligible_reason",
)
"""Columns worth a Parquet dictionary."""


def free_folders(out: Path, days: Sequence[date]) -> tuple[Path, ...]:
    """
    Name each night's folder, and check that it is free.

    Raises
    ------
    ConfigError
        When a folder is there and not empty, or ``out`` cannot be made.
    """
    nights = out / "nights"
    folders = tuple(nights / day.isoformat() for day in days)
    with _plain_errors(nights):
        nights.mkdir(parents=True, exist_ok=True)
        for folder in folders:
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise ConfigError(
                    f"{folder} already exists; choose another --out or remove it"
                )
    return folders


def write_night(
    world: World, day: date, folder: Path, carriers_per_order: int
) -> Generator[int, None, None]:
    """
    Write one night under a temporary name, then rename it.

    Parameters
    ----------
    world, day
        Platform and date.
    folder
        Absent or empty.
    carriers_per_order
        1 to 4.

    Yields
    ------
    Orders written so far.

    Raises
    ------
    ConfigError
        When the folder cannot be written, or another simulation is writing it.
    MachineError
        When the disk is full.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    with _plain_errors(folder):
        try:
            partial.mkdir()
        except FileExistsError:
            raise ConfigError(
                f"{partial} is left by a simulation that stopped or is still running; "
                "wait for it or remove the folder"
            ) from None
        try:
            yield from _write_tables(world, day, partial, carriers_per_order)
            partial.rename(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def _write_tables(
    world: World, day: date, folder: Path, carriers_per_order: int
) -> Generator[int, None, None]:
    """Write the files of a night, the large ones batch by batch."""
    night = make_night_draw(world, day)
    capacity_frame(world, night).write_csv(folder / "capacity.csv")
    num_written = 0
    with ExitStack() as stack:
        writers: dict[str, pq.ParquetWriter] = {}

        def write(name: str, table: pa.Table) -> None:
            if name not in writers:
                writer = _open_writer(folder / f"{name}.parquet", table.schema)
                writers[name] = stack.enter_context(writer)
            writers[name].write_table(table, row_group_size=BATCH_ROWS)

        write("merchants", merchants_table(world))
        for batch in night_batches(world, night, carriers_per_order):
            write("orders", batch.orders)
            write("truth", batch.truth)
            if batch.options is not None:
                write("options", batch.options)
            num_written += batch.num_orders
            yield num_written


def _open_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a file whose pages carry checksums, so that damage cannot pass unseen."""
    import pyarrow.parquet as pq

    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=[name for name in REPEATING if name in schema.names],
        write_page_checksum=True,
    )


@contextmanager
def _plain_errors(folder: Path) -> Iterator[None]:
    """Turn an error of the operating system into one sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        kind = MachineError if is_of_disk(error) else ConfigError
        raise kind(
            f"{folder}: cannot be written: {reason}; choose another --out"
        ) from error
