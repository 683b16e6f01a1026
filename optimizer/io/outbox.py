"""
The recommendations in a platform's own format, order by order.

A platform's name for the service and the carriers that it accepts are in
:data:`PLATFORMS`. An order that it does not accept is written with a reason to a file
next to the outbox, and does not stop the others.
"""

from __future__ import annotations

import csv
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from optimizer.contracts.platforms import FORMULA_STARTS, PLATFORMS
from optimizer.io.folders import make_folder

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from optimizer.contracts.platforms import Platform

#: Reasons for which an order stays out of an outbox.
CARRIER_NOT_SUPPORTED, ID_NOT_SAFE_IN_CSV = (
    "CARRIER_NOT_SUPPORTED",
    "ID_NOT_SAFE_IN_CSV",
)

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """Orders that were written, and that were set aside, by reason."""

    num_written: int
    num_refused: Mapping[str, int]


def refused_path(path: Path) -> Path:
    """
    The file next to an outbox with the orders that were refused.

    Examples
    --------
    >>> from pathlib import Path
    >>> refused_path(Path("out/douyin.csv")).name
    'douyin.refused.csv'
    """
    return path.with_name(f"{path.stem}.refused{path.suffix}")


def write_outbox(
    chosen: Iterable[Row],
    platform: str,
    kind: str,
    path: Path,
    day: dt.date,
    mode: int = 0o640,
) -> OutboxCounts:
    """
    Write the orders that a platform accepts, and to another file those it does not.

    Parameters
    ----------
    chosen
        ``order_id``, ``merchant_id``, ``carrier_id`` of the recommended orders.
    platform
        A key of :data:`~optimizer.contracts.platforms.PLATFORMS`.
    kind
        ``jsonl`` or ``csv``.
    path
        The file; it is replaced whole, in one step.
    day
        The business date.
    mode
        Of the files, whatever the umask.
    """
    target, is_csv = PLATFORMS[platform], kind == "csv"
    refused: dict[str, int] = {}
    num_written = 0
    aside = refused_path(path)
    with _replaced(path, mode) as good, _replaced(aside, mode) as bad:
        write = _writer(good, is_csv, (*_KEYS, *target.fields))
        set_aside = _writer(bad, is_csv, ("order_id", "carrier_id", "reason"))
        for row in chosen:
            reason = _refusal(row, target, is_csv)
            if reason is None:
                write(_entry(row, target, day))
                num_written += 1
                continue
            refused[reason] = refused.get(reason, 0) + 1
            shown = {name: row[name] for name in ("order_id", "carrier_id")}
            set_aside({k: defused(v) if is_csv else v for k, v in shown.items()}
                      | {"reason": reason})  # fmt: skip
    return OutboxCounts(num_written, refused)


def count_outbox(chosen: Iterable[Row], platform: str, kind: str) -> OutboxCounts:
    """Count what :func:`write_outbox` would write and set aside, without writing."""
    target, is_csv = PLATFORMS[platform], kind == "csv"
    refused: dict[str, int] = {}
    num_taken = 0
    for row in chosen:
        reason = _refusal(row, target, is_csv)
        num_taken += reason is None
        if reason is not None:
            refused[reason] = refused.get(reason, 0) + 1
    return OutboxCounts(num_taken, dict(sorted(refused.items())))


_KEYS = ("business_date", "order_id", "merchant_id", "carrier_code")


def defused(cell: str) -> str:
    """
    A cell that no spreadsheet takes for a formula; for people, not for systems.

    Examples
    --------
    >>> defused("=1+1"), defused("A-1")
    ("'=1+1", 'A-1')
    """
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell


def _refusal(row: Row, target: Platform, is_csv: bool) -> str | None:
    if target.code_of(row["carrier_id"]) is None:
        return CARRIER_NOT_SUPPORTED
    ids = (row["order_id"], row["merchant_id"])
    if is_csv and any(name.startswith(FORMULA_STARTS) for name in ids):
        return ID_NOT_SAFE_IN_CSV  # an id with an apostrophe would be another id
    return None


def _entry(row: Row, target: Platform, day: dt.date) -> Row:
    return {
        "business_date": day.isoformat(),
        "order_id": row["order_id"],
        "merchant_id": row["merchant_id"],
        "carrier_code": str(target.code_of(row["carrier_id"])),
        **target.fields,
    }


def _writer(file: IO[str], is_csv: bool, names: Iterable[str]) -> Callable[[Row], None]:
    if not is_csv:
        return lambda row: print(json.dumps(row, ensure_ascii=False), file=file)
    table = csv.DictWriter(
        file, list(names), lineterminator="\n", quoting=csv.QUOTE_ALL
    )
    table.writeheader()
    return lambda row: table.writerow(row) and None


@contextmanager
def _replaced(path: Path, mode: int) -> Iterator[IO[str]]:
    """Write a temporary file, flush it, and replace the target in one step."""
    make_folder(path.parent, mode)
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
