"""
A night is published completely or not at all.

``OUTPUT/2026-11-22`` is a symbolic link to ``OUTPUT/.versions/2026-11-22/RUN``.
A run is written to a staging folder next to it, flushed to the disk, read back
and compared, marked with ``_SUCCESS``, renamed, and only then the link is
replaced, in one atomic step. A reader sees the old night or the new one; the old
one is kept.

Each file is read back, and its SHA-256 is held against that of the bytes as they
were written. Tables are decoded as well and their rows compared, but the decisions:
of these, caps, slots and sums are worked out again from the file, and ``verify`` hashes
each row. What is read may come from the system's cache: then it says that the file is
whole, not that the disk has it. A paranoid run drops the cache of each file after it
was flushed, so that the disk itself is asked, and compares the decisions row by row.
"""

from __future__ import annotations

import datetime as dt
import errno
import fcntl
import hashlib
import os
import socket
import time
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from optimizer.contracts.run_folder import (
    AUDIT,
    LEAVES,
    RECORD,
    REPORT,
    SUCCESS,
    read_record,
    record_text,
)
from optimizer.contracts.tables import DECISIONS, PUBLISHED
from optimizer.errors import (
    BusyError,
    CertificateError,
    ConfigError,
    DataError,
    PublishError,
)
from optimizer.io.folders import let_in, make_folder
from optimizer.io.published_tables import scan_table
from optimizer.io.write import row_group_digests, write_batches
from optimizer.night.folders import remove_tree
from optimizer.night.merkle import Leaves, commitment, leaves_text
from optimizer.report import recommended, report_html
from optimizer.report.margins import margins_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    import polars as pl


VERSIONS, LOCKS = ".versions", ".locks"
#: What a run writes before its night is whole.
STAGING = ".staging-"
#: In the folder of a date's versions: which one a command withdrew.
WITHDRAWN = ".withdrawn"
_SCRATCH = "scratch"
#: What the system says where a folder is in the place of a file, or the reverse.
_OTHER_KIND = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ELOOP)


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """
    The contents of a published night.

    Attributes
    ----------
    decisions
        Gives the decisions, by ``merchant_id`` and ``order_id``, some merchants at a
        time; takes a folder that it may make and must remove, and what holds the tables
        that are made of them as they go by.
    tables
        The others, by file name; see ``optimizer.contracts.tables``.
    audit_text
        Gives the night's second statement (``audit.sql``) from its record. It shares no
        code with this package's first statement, so it is passed in.
    told
        Gives entries of the record that need the written tables; takes their folder.
    false_writing
        Finds what the written folder says that its own tables do not.
    """

    decisions: Callable[
        [Path, dict[str, Iterable[pl.DataFrame]]], Iterator[pl.DataFrame]
    ]
    tables: Mapping[str, pl.DataFrame]
    audit_text: Callable[[Mapping[str, Any]], str]
    told: Callable[[Path], Mapping[str, Any]] = lambda _: {}
    false_writing: Callable[[Path], list[str]] = lambda _: []


@contextmanager
def date_lock(output: Path, day: dt.date) -> Iterator[None]:
    """
    Lock a date, so that two runs of it never both publish.

    The lock ends with its process: a crashed holder leaves none behind.

    Raises
    ------
    BusyError
        When another run holds it.
    PublishError
        When the output folder cannot be written.
    """
    with disk_errors(output):
        (output / LOCKS).mkdir(parents=True, exist_ok=True)
        handle = (output / LOCKS / day.isoformat()).open("a+")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            holder = handle.read().strip()
            said = f" ({holder})" if holder else ""
            raise BusyError(
                f"another run holds {day} in {output}{said}; try again when it is done"
            ) from None
        _write_holder(handle, _holder())
        try:
            yield
        finally:
            # Who looks at the folder afterwards finds it as it was.
            _write_holder(handle, "")


def _write_holder(handle: TextIO, text: str) -> None:
    """Say who holds a lock; the lock holds without it, on a full disk too."""
    with suppress(OSError):
        handle.truncate(0)
        handle.write(text)
        handle.flush()


def _holder() -> str:
    """Who holds a lock, and since when, for whoever wants it next."""
    since = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return f"process {os.getpid()} on {socket.gethostname()}, since {since}"


@contextmanager
def disk_errors(output: Path, what: str = "the night") -> Iterator[None]:
    """
    Turn a failing disk into one clear message.

    Parameters
    ----------
    output
        Folder to name in the message.
    what
        What could not be written.

    Raises
    ------
    PublishError
        When the disk refuses.
    DataError
        When a file, a folder or a link is in the place of another of them.
    """
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        if error.errno in _OTHER_KIND:
            raise DataError(
                f"{error.filename2 or error.filename or output}: {what} could not be "
                f"written: something else is in its place ({reason}); move it away. "
                "The last published night is untouched"
            ) from None
        raise PublishError(
            f"{output}: {what} could not be written ({reason}); the last published "
            "night is untouched"
        ) from error


def published_record(output: Path, day: dt.date) -> dict[str, Any] | None:
    """
    The record of the night that is published for a date, if there is one.

    Raises
    ------
    ConfigError
        When something else is in its place.
    """
    link = output / day.isoformat()
    if not link.is_symlink():
        if link.exists():
            raise ConfigError(
                f"{link}: is in the way, and not of this tool; move it away"
            )
        return None
    try:
        return read_record(link)
    except DataError:
        return None


@contextmanager
def last_step(output: Path, wait_seconds: float) -> Iterator[None]:
    """
    Lock the replacement of links: nights that count on each other take turns.

    Raises
    ------
    BusyError
        When another run holds it for longer than that.
    PublishError
        When the output folder cannot be written.
    """
    with disk_errors(output):
        (output / LOCKS).mkdir(parents=True, exist_ok=True)
        handle = (output / LOCKS / "last-step").open("w")
    with handle:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise BusyError(
                        f"another run is publishing in {output}; try again when it is "
                        "done"
                    ) from None
                time.sleep(0.05)
        yield


def publish(
    output: Path,
    day: dt.date,
    run_id: str,
    contents: Contents,
    record: dict[str, Any],
    turn: AbstractContextManager[None] | None = None,
    files: CheckedFiles | None = None,
) -> Path:
    """
    Publish a night; the caller holds the date's lock.

    Parameters
    ----------
    output
        Folder of published nights.
    day
        The business date.
    run_id
        Name of this version; a number is added if it is taken.
    contents
        The tables.
    record
        Content of ``run.json``. The entries that ``contents.told`` gives are added
        here; checksums and rows of the tables are added in the file.
    turn
        Entered when everything is on the disk, before the link is replaced: waits for
        its turn, and raises where the night must no longer be published.
    files
        How files are written and read back; ``None``: as is usual. Folders let in
        whoever may read its files.

    Returns
    -------
    Path
        The published folder, ``output / date``.

    Raises
    ------
    PublishError
        When the disk refuses, or does not give back what was written; the message
        says whether the night is published.
    """
    files = files or CheckedFiles()
    with disk_errors(output):
        versions = output / VERSIONS / day.isoformat()
        make_folder(versions, files.mode)
        _remove_leftovers(versions)
        staging = versions / f"{STAGING}{run_id}"
        staging.mkdir()
        let_in(staging, files.mode)
        outputs, leaves, orders = write_tables(staging, contents, files)
        record.update(contents.told(staging))
        margins = margins_of(scan_table(staging, DECISIONS.file))
        page = report_html(record, contents.tables, orders, margins)
        outputs[REPORT] = files.write_text(staging / REPORT, page)
        done = leaves.close()
        files.write_text(staging / LEAVES, leaves_text(done))
        evidence = commitment(leaves.num_rows, done)
        proved = record | {"outputs": outputs, "evidence": evidence}
        audit = contents.audit_text(proved)
        outputs[AUDIT] = files.write_text(staging / AUDIT, audit)
        text = record_text(proved)
        files.write_text(staging / RECORD, text)
        files.write_text(staging / SUCCESS, "")
        _set_mode(staging, files.mode)
        sync_folder(staging)
        _refuse_false(contents.false_writing(staging))
        with turn or nullcontext():
            final = _free_name(versions, run_id)
            staging.rename(final)
            sync_folder(versions)
            point(output, day, final)
    return output / day.isoformat()


def _refuse_false(found: list[str]) -> None:
    """Publish no night that does not hold as it stands on the disk."""
    if found:
        raise CertificateError(
            f"the night that was written does not hold ({'; '.join(found[:3])}); it is "
            "not published, and the last published night is untouched"
        )


def _set_mode(staging: Path, mode: int) -> None:
    """Give all files of a night their mode, on the disk before they get their names."""
    for path in sorted(staging.iterdir()):
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fchmod(handle, mode)
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove_leftovers(versions: Path) -> None:
    """Remove what a dead run left behind; we hold its lock now."""
    if versions.is_symlink():  # what is behind it is not ours to remove
        return
    for leftover in versions.glob(f"{STAGING}*"):
        remove_tree(leftover)


def _free_name(versions: Path, run_id: str) -> Path:
    names = [run_id, *(f"{run_id}-{number}" for number in range(2, 10_000))]
    return next(versions / name for name in names if not (versions / name).exists())


def write_tables(
    staging: Path, contents: Contents, files: CheckedFiles
) -> tuple[dict[str, dict[str, Any]], Leaves, pl.DataFrame]:
    """
    Write all tables; chosen orders and hashes are taken while decisions go by.

    Parameters
    ----------
    staging
        An empty folder.
    contents, files
        As of :func:`publish`.

    Returns
    -------
    outputs, leaves, orders
        What the record says of each file, the hashes of the decisions, and the chosen
        orders, as they are published.
    """
    import polars as pl

    none = pl.DataFrame(schema=DECISIONS.schema | {"region_id": pl.String})
    leaves, chosen = Leaves(), [recommended(none)]
    made: dict[str, Iterable[pl.DataFrame]] = {}

    def decisions() -> Iterator[pl.DataFrame]:
        for batch in contents.decisions(staging / _SCRATCH, made):
            leaves.add(batch)
            chosen.append(recommended(batch))
            yield batch

    outputs = {DECISIONS.file: files.write(decisions(), staging / DECISIONS.file)}
    for name, parts in made.items():
        outputs[name] = files.write(parts, staging / name)
    for name, frame in contents.tables.items():
        outputs[name] = files.write([frame], staging / name)
    return outputs, leaves, pl.concat(chosen)


class CheckedFiles:
    """
    Writes files, and reads each back to see that it is held as it was written.

    Parameters
    ----------
    mode
        Of the files, whatever the umask.
    is_paranoid
        Whether they are read from the disk, past the system's cache.

    Raises
    ------
    ConfigError
        When this system cannot drop its cache.
    """

    def __init__(self, mode: int = 0o640, *, is_paranoid: bool = False) -> None:
        self.mode, self._is_paranoid = mode, is_paranoid
        if is_paranoid and not hasattr(os, "posix_fadvise"):
            raise ConfigError(
                "--paranoid: this system gives no way to drop a file from its cache; "
                "leave it out, or run on Linux"
            )

    def write(self, frames: Iterable[pl.DataFrame], path: Path) -> dict[str, Any]:
        """
        Write one table, read it back, and compare.

        Raises
        ------
        PublishError
            When it is not held as it was written.
        """
        has_digests = self._is_paranoid or path.name != DECISIONS.file
        written = write_batches(
            frames, path, PUBLISHED[path.name], has_digests=has_digests
        )
        self._forget(path)
        try:
            is_same = sha256_of(path) == written.sha256 and (
                not has_digests or (*row_group_digests(path),) == written.digests
            )
        except DataError:
            is_same = False
        if not is_same:
            raise _not_held(path.name)
        return {"num_rows": written.num_rows, "sha256": written.sha256}

    def write_text(self, path: Path, text: str) -> dict[str, Any]:
        """
        Write a text, read it back, and compare.

        Raises
        ------
        PublishError
            When it is not held as it was written.
        """
        with path.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self._forget(path)
        if path.read_bytes() != text.encode():
            raise _not_held(path.name)
        return {"sha256": hashlib.sha256(text.encode()).hexdigest()}

    def _forget(self, path: Path) -> None:
        """Drop a flushed file from the system's cache, if the disk is to be asked."""
        if not self._is_paranoid:
            return
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _not_held(name: str) -> PublishError:
    return PublishError(
        f"{name}: the disk does not hold what was written; the last published night "
        "is untouched"
    )


def point(
    output: Path, day: dt.date, target: Path | None, lost: str | None = None
) -> None:
    """
    Replace a date's link in one atomic step, or take it away.

    Parameters
    ----------
    output, day
        Where the link is; the caller holds the date's lock.
    target
        A complete version on the disk; ``None``: the date is no longer published.
    lost
        The version that is withdrawn, where its link does not name it any more.

    Raises
    ------
    OSError
        When the link is unchanged.
    PublishError
        When it is replaced, and might be lost in a power cut.
    """
    link = output / day.isoformat()
    name = link.readlink().name if link.is_symlink() else lost
    _note_withdrawal(output / VERSIONS / day.isoformat(), name, target)
    _point(link, target)
    _confirm(link)


def _note_withdrawal(versions: Path, name: str | None, target: Path | None) -> None:
    """Say beside the versions which one is withdrawn, so that no lost link reads so."""
    note = versions / WITHDRAWN
    if target is not None:
        note.unlink(missing_ok=True)
    elif name is not None:
        versions.mkdir(parents=True, exist_ok=True)
        note.write_text(name, encoding="utf-8")
        with note.open("rb") as file:
            os.fsync(file.fileno())
        sync_folder(versions)


def withdrawn_version(output: Path, day: dt.date) -> str | None:
    """The version of a date that a command withdrew; ``None`` where none was."""
    try:
        note = output / VERSIONS / day.isoformat() / WITHDRAWN
        return note.read_text(encoding="utf-8")
    except OSError:
        return None


def _point(link: Path, target: Path | None) -> None:
    if target is None:
        link.unlink(missing_ok=True)
        return
    temporary = link.with_name(f".{link.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(os.path.relpath(target, link.parent))
    temporary.replace(link)


def _confirm(link: Path) -> None:
    """Flush a link that was replaced; the link holds even if this fails."""
    try:
        sync_folder(link.parent)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        what = "the new night is published" if link.is_symlink() else "is withdrawn"
        raise PublishError(
            f"{link}: {what}, but the disk did not confirm it ({reason}); check the "
            "disk, and then the night with optimizer verify"
        ) from error


def sync_folder(folder: Path) -> None:
    """Flush a folder, so that the names in it survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
