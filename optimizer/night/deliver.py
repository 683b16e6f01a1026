"""
Copies of a published night: tables to databases and stores, orders to platforms.

The night is published first; a copy that fails does not change it. Finished copies are
noted in ``OUTPUT/.delivered``, so that a repeated run sends only the rest. Each copy
replaces what an earlier one wrote for the date.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.config import expand_date
from optimizer.config.address import fill_address, is_address, parse_address
from optimizer.config.sinks import Outbox
from optimizer.contracts.run_folder import read_record
from optimizer.errors import (
    ConfigError,
    DataError,
    DeliveryError,
    OptimizerError,
    counted,
    is_failure,
)
from optimizer.io.copies import write_copy
from optimizer.io.outbox import count_outbox, write_outbox
from optimizer.io.sources import adapter_of
from optimizer.io.sources.faults import reason_of, secrets_of
from optimizer.night.publish import date_lock, sha256_of, sync_folder

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import pyarrow as pa

    from optimizer.config import Config
    from optimizer.config.sinks import Output

RECEIPTS = ".delivered"


@dataclass(frozen=True, slots=True)
class Delivered:
    """
    The result of a delivery.

    Attributes
    ----------
    sent
        A line for each copy that was sent now.
    num_before
        Copies that had arrived before.
    """

    sent: tuple[str, ...]
    num_before: int


def deliver_night(config: Config, day: dt.date, *, is_again: bool = False) -> Delivered:
    """
    Send the copies of a published night that have not arrived.

    Parameters
    ----------
    config
        With ``output``, and ``outputs`` or ``outbox``.
    day
        The business date.
    is_again
        Send also what has arrived before.

    Raises
    ------
    ConfigError
        When there is nowhere to send to.
    DataError
        When the date is not published, or its files are damaged.
    BusyError
        When a run holds the date.
    DeliveryError
        Naming every copy that did not arrive, and why.
    """
    if config.output is None or not (config.outputs or config.outbox):
        raise ConfigError(
            "delivering needs output, and outputs or outbox, in the configuration"
        )
    if "://" in config.output:
        raise ConfigError(
            f"{config.output}: is an address, and a cluster publishes there; what has "
            f"not arrived is sent by optimizer run --date {day} --config FILE"
        )
    output = Path(expand_date(config.output, day))
    with date_lock(output, day):
        return send_copies(config, output, day, is_again=is_again)


def send_copies(
    config: Config, output: Path, day: dt.date, *, is_again: bool = False
) -> Delivered:
    """
    Send the copies of a night whose date's lock the caller holds.

    Parameters
    ----------
    config
        With ``outputs`` or ``outbox``; without either nothing is sent.
    output
        Folder of published nights.
    day
        The business date.
    is_again
        Send also what has arrived before.

    Raises
    ------
    DeliveryError
        Naming every copy that did not arrive, and why.
    """
    if not (config.outputs or config.outbox):
        return Delivered((), 0)
    night = _published(output, day)
    copies = named_copies(config)
    before = [] if is_again else _receipts(output, night)
    arrived = [name for name in copies if name in before]
    sent, failed = [], []
    for name in [name for name in copies if name not in before]:
        try:
            sent.append(_send(copies[name], night, config.files.mode_bits))
            arrived.append(name)
        except OptimizerError as error:
            failed.append(str(error))
    try:
        _note(output, night, arrived)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        failed.append(
            f"{output / RECEIPTS} cannot be written ({reason}): what arrived is "
            "sent again the next time"
        )
    if failed:
        raise DeliveryError(
            f"{night.run_dir}: is published, but not all copies arrived: "
            f"{'; '.join(failed)}. To send the rest: {again_words(day)}"
        )
    return Delivered(tuple(sent), len(copies) - len(sent))


def named_copies(config: Config) -> dict[str, Output | Outbox]:
    """
    The copies that a night has, by the names that they have in receipts.

    Parameters
    ----------
    config
        With ``outputs`` or ``outbox``.
    """
    tables = {f"{target.table} {target.to}": target for target in config.outputs}
    boxes = {f"{box.platform} {box.format} {box.to}": box for box in config.outbox}
    return {**tables, **boxes}


def again_words(day: dt.date) -> str:
    """
    The command that sends what has not arrived.

    Examples
    --------
    >>> import datetime as dt
    >>> again_words(dt.date(2026, 11, 22))
    'optimizer deliver 2026-11-22 --config FILE'
    """
    return f"optimizer deliver {day} --config FILE"


def _send(target: Output | Outbox, night: _Published, mode: int) -> str:
    """Send one copy; return a line that says what was sent."""
    if isinstance(target, Outbox):
        return _fill_outbox(target, night, mode)
    return _send_table(target, night, mode)


@dataclass(frozen=True, slots=True)
class _Published:
    """A published night: its folder, the name of its version, its checksums."""

    run_dir: Path
    run_id: str
    day: dt.date
    sha256: Mapping[str, str]


def _published(output: Path, day: dt.date) -> _Published:
    run_dir = output / day.isoformat()
    outputs = read_record(run_dir)["outputs"]
    sha256 = {name: claim["sha256"] for name, claim in outputs.items()}
    return _Published(run_dir, run_dir.resolve().name, day, sha256)


def _unchanged(night: _Published, name: str) -> Path:
    """Path of a published table, after a check that it is unchanged."""
    path = night.run_dir / name
    if not path.is_file() or sha256_of(path) != night.sha256[name]:
        raise DataError(
            f"{path}: was changed after it was published; run the date again"
        )
    return path.resolve()


@contextmanager
def _arriving(place: str, secrets: tuple[str, ...] = ()) -> Iterator[None]:
    """Turn whatever a copy fails with into one line; the night is published."""
    try:
        yield
    except OptimizerError:
        raise
    except BaseException as error:
        if not is_failure(error):
            raise
        said = getattr(error, "strerror", None)
        reason = said.lower() if said else reason_of(error, secrets)
        raise DeliveryError(f"{place} ({reason})") from None


def _send_table(target: Output, night: _Published, mode: int) -> str:
    """Copy one table; return a line that says what was sent."""
    path = _unchanged(night, f"{target.table}.parquet")
    if not is_address(target.to):
        return _copy_file(target, path, night, mode)
    address = parse_address(expand_date(target.to, night.day))
    filled, adapter = fill_address(address), adapter_of(address)
    with _arriving(f"{target.table} to {address.label}", secrets_of(filled)):
        if address.scheme == "s3":
            adapter.put_file(filled, path)
        else:
            adapter.write_rows(filled, _dated_rows(path, night), night.day)
    return f"{target.table} to {address.label}"


def _copy_file(target: Output, table: Path, night: _Published, mode: int) -> str:
    """Write one table to a file; return a line that says where it is."""
    path = Path(expand_date(target.to, night.day))
    with _arriving(f"{path} cannot be written"):
        write_copy(table, path, mode)
    return f"{target.table} to {path}"


def _fill_outbox(target: Outbox, night: _Published, mode: int) -> str:
    """Write one outbox; return a line that says what went in and what did not."""
    table = _unchanged(night, "recommendations.parquet")
    path = Path(expand_date(target.to, night.day))
    with _arriving(f"{path} cannot be written"):
        counts = write_outbox(
            _chosen(table), target.platform, target.format, path, night.day, mode
        )
    refused = ", ".join(f"{n:,} {reason}" for reason, n in counts.num_refused.items())
    orders = counted(counts.num_written, "order")
    return f"{orders} to {path} for {target.platform}" + (
        f"; set aside: {refused}" if refused else ""
    )


def count_outboxes(config: Config, folder: Path) -> list[dict[str, Any]]:
    """
    Count what each outbox will take of a night's recommendations, JSON-ready.

    Parameters
    ----------
    config
        With ``outbox``.
    folder
        With ``recommendations.parquet``.
    """
    table = folder / "recommendations.parquet"
    return count_outboxes_of(config, lambda: _chosen(table))


def count_outboxes_of(
    config: Config, chosen: Callable[[], Iterable[dict[str, str]]]
) -> list[dict[str, Any]]:
    """
    Count as :func:`count_outboxes`, wherever the recommendations are.

    Parameters
    ----------
    config
        With ``outbox``.
    chosen
        Gives ``order_id``, ``merchant_id`` and ``carrier_id`` of each.
    """
    found = []
    for box in config.outbox:
        counts = count_outbox(chosen(), box.platform, box.format)
        num_refused = sum(counts.num_refused.values())
        found.append(
            {
                "platform": box.platform,
                "format": box.format,
                "num_recommended": counts.num_written + num_refused,
                "num_taken": counts.num_written,
                "refused": dict(counts.num_refused),
            }
        )
    return found


def _chosen(table: Path) -> Iterator[dict[str, str]]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(table, page_checksum_verification=True) as file:
        names = ["order_id", "merchant_id", "carrier_id"]
        for batch in file.iter_batches(columns=names):
            yield from batch.to_pylist()


def _dated_rows(table: Path, night: _Published) -> pa.RecordBatchReader:
    """A published table with its date and run in front, batch by batch."""
    import pyarrow as pa
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(table, page_checksum_verification=True)
    front = [pa.field("run_date", pa.date32()), pa.field("run_id", pa.string())]
    schema = pa.schema([*front, *file.schema_arrow.remove_metadata()])

    def batches() -> Iterator[pa.RecordBatch]:
        with file:
            for batch in file.iter_batches():
                same = [pa.scalar(night.day, pa.date32()), pa.scalar(night.run_id)]
                dated = [pa.repeat(value, batch.num_rows) for value in same]
                yield pa.RecordBatch.from_arrays(
                    [*dated, *batch.columns], schema=schema
                )

    return pa.RecordBatchReader.from_batches(schema, batches())


def _receipts(output: Path, night: _Published) -> list[str]:
    """Copies of this run that have arrived; none where that is not known."""
    try:
        text = (output / RECEIPTS / f"{night.day}.json").read_text("utf-8")
        found = json.loads(text)
        return list(found["arrived"]) if found["run_id"] == night.run_id else []
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return []


def _note(output: Path, night: _Published, arrived: list[str]) -> None:
    """Note what arrived; if the note is lost, copies are sent again, not doubled."""
    folder = output / RECEIPTS
    folder.mkdir(exist_ok=True)
    text = json.dumps({"run_id": night.run_id, "arrived": sorted(arrived)}, indent=2)
    temporary = folder / f".{night.day}.new"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / f"{night.day}.json")
    sync_folder(folder)
