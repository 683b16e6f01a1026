"""
Retention: old files of published nights, removed by rule and on record.

Only files that nothing points to are removed: replaced versions, kept inputs that no
kept version was made from, the remains of runs that died, and files of Delta tables
that no version within their retention reads. What is stored twice is stored once. A
published night stays until it is older than ``keep.days``. A removal is recorded in the
chain of evidence before it happens, so that an audit can tell files removed by rule
from lost ones.
"""

from __future__ import annotations

import datetime as dt
import glob
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.config import expand_date
from optimizer.config.address import parse_address
from optimizer.contracts.run_folder import read_record
from optimizer.errors import BusyError, ConfigError, DataError
from optimizer.io.kept_inputs import INPUTS, kept_model, kept_name
from optimizer.io.sources import adapter_of, read_faults
from optimizer.night.equal_files import Twin, find_twins, store_once
from optimizer.night.folders import (
    published_nights,
    published_version,
    remove_tree,
    root_of,
)
from optimizer.night.publish import (
    STAGING,
    VERSIONS,
    WITHDRAWN,
    disk_errors,
    point,
)
from optimizer.night.state.database import open_state
from optimizer.night.state.ledger import settle
from optimizer.night.state.links import record_pruned
from optimizer.night.state.reconcile import night_lock, output_of, reconcile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from optimizer.config import Config
    from optimizer.config.models import Keep
    from optimizer.night.state.database import StateDatabase


@dataclass(frozen=True, slots=True)
class Leftover:
    """
    One file or folder that the rules do not keep.

    Attributes
    ----------
    day
        Its date; ``None``: it is of a table of all dates.
    path
        The file or folder.
    why
        ``replaced``, ``too old``, ``input of no version``, ``cut off``, ``stored
        twice`` (it stays, as a link to the other) or ``of replaced rows`` (a file of a
        Delta table that no version within its retention reads).
    num_bytes
        Its size.
    """

    day: dt.date | None
    path: Path
    why: str
    num_bytes: int


def find_leftovers(config: Config) -> list[Leftover]:
    """
    Find what ``keep`` does not keep; writes nothing.

    Parameters
    ----------
    config
        With ``output`` and ``keep``.

    Raises
    ------
    ConfigError
        When the configuration keeps everything.
    """
    output = _output(config)
    published = published_nights(output)
    oldest = _oldest_kept(config.keep, published)
    dates = _dates(output)
    found = [
        left
        for day in dates
        for left in _of_date(output_of(output, day), day, config.keep, oldest)
    ]
    gone = {left.path for left in found}
    twins = map(_twice, find_twins((output_of(output, day) for day in dates), gone))
    return [*found, *twins, *_of_replaced_rows(config, dates)]


def prune(config: Config) -> list[Leftover]:
    """
    Remove what ``keep`` does not keep, date by date, each under its lock.

    A date that a run holds is skipped until the next time. Versions are recorded first,
    so that an interrupted removal is finished by the next one.

    Returns
    -------
    list of Leftover
        What was removed.

    Raises
    ------
    ConfigError
        When the configuration keeps everything.
    BusyError
        When the state database does not answer.
    PublishError
        When the disk refuses.
    """
    output = _output(config)
    removed: list[Leftover] = []
    with disk_errors(Path(output), "what is kept no more"), open_state(config) as state:
        reconcile(state, output)
        oldest = _oldest_kept(config.keep, published_nights(output))
        done = []
        for day in _dates(output):
            try:
                with night_lock(state, output_of(output, day), day):
                    removed += _prune_date(state, output, day, config.keep, oldest)
                    done.append(day)
            except BusyError:
                continue
        for twin in find_twins(output_of(output, day) for day in done):
            if store_once(twin, root_of(output)):
                removed.append(_twice(twin))
        removed += _of_replaced_rows(config, done, is_meant=True)
    return removed


def _twice(twin: Twin) -> Leftover:
    """A file whose content is stored once more; its date is the folder's."""
    parent = twin.path.parent
    day = parent.name if parent.parent.name == INPUTS else parent.parent.name
    return Leftover(
        dt.date.fromisoformat(day), twin.path, "stored twice", twin.num_bytes
    )


def _of_replaced_rows(
    config: Config, dates: Iterable[dt.date], *, is_meant: bool = False
) -> Iterator[Leftover]:
    """
    Files of Delta tables on the disk that nobody reads any more.

    The table's own retention counts (``delta.deletedFileRetentionDuration``, a week
    where it says nothing), since others may read an older version of it.
    """
    places = [
        parse_address(expand_date(target.to, day))
        for target in config.outputs
        if target.to.startswith("delta:")
        for day in dates
    ]
    for address in {found.path: found for found in places}.values():
        adapter = adapter_of(address)
        with read_faults(address, ()):
            for path in adapter.unread_files(address.path):
                if path.is_file():
                    yield Leftover(None, path, "of replaced rows", path.stat().st_size)
            if is_meant:
                adapter.remove_unread(address.path)


def _prune_date(
    state: StateDatabase, output: str, day: dt.date, keep: Keep, oldest: dt.date | None
) -> list[Leftover]:
    folder = output_of(output, day)
    found = [*_of_date(folder, day, keep, oldest)]
    published = published_version(folder, day)
    if published is not None and published in [left.path for left in found]:
        point(folder, day, None)
        settle(state, day, None)
    versions = [left.path.name for left in found if left.path.parent.name != INPUTS]
    record_pruned(
        state, day, [name for name in versions if _is_version(folder, day, name)]
    )
    for left in found:
        remove_tree(left.path)
    return found


def _is_version(folder: Path, day: dt.date, name: str) -> bool:
    path = folder / VERSIONS / day.isoformat() / name
    return path.is_dir() and not name.startswith(STAGING)


def _output(config: Config) -> str:
    if config.output is None:
        raise ConfigError("published nights need output in the configuration")
    if config.keep.versions is None and config.keep.days is None:
        raise ConfigError(
            "the configuration keeps everything; say what to keep, such as "
            "keep: {versions: 3, days: 400}"
        )
    return config.output


def _oldest_kept(keep: Keep, published: Mapping[dt.date, Path]) -> dt.date | None:
    """The first date that is kept; counted back from the newest published night."""
    if keep.days is None or not published:
        return None
    return max(published) - dt.timedelta(days=keep.days)


def _dates(output: str) -> list[dt.date]:
    """All dates that ever had a version here."""
    found = set()
    for root in _roots(output):
        for path in root.glob("????-??-??"):
            try:
                day = dt.date.fromisoformat(path.name)
            except ValueError:
                continue
            if output_of(output, day) == root.parent:
                found.add(day)
    return sorted(found)


def _roots(output: str) -> Iterator[Path]:
    pattern = glob.escape(output).replace("{date}", "*")
    for name in (VERSIONS, INPUTS):
        yield from (Path(path) for path in glob.glob(f"{pattern}/{name}"))


def _of_date(
    folder: Path, day: dt.date, keep: Keep, oldest: dt.date | None
) -> Iterator[Leftover]:
    """Files and folders of a date that the rules do not keep."""
    versions = folder / VERSIONS / day.isoformat()
    is_ours = versions.is_dir() and not _is_linked(folder, versions)
    there = sorted(versions.iterdir()) if is_ours else []
    there = [path for path in there if path.name != WITHDRAWN]
    cut_off = [path for path in there if path.name.startswith(STAGING)]
    whole = [path for path in there if path not in cut_off]
    yield from (_left(day, path, "cut off") for path in cut_off)
    if oldest is not None and day < oldest:
        yield from (_left(day, path, "too old") for path in whole)
        kept: list[Path] = []
    else:
        current = published_version(folder, day)
        kept = _newest(whole, current, keep.versions)
        gone = [path for path in whole if path not in kept]
        yield from (_left(day, path, "replaced") for path in gone)
    inputs = folder / INPUTS / day.isoformat()
    if not _is_linked(folder, inputs):
        yield from _unused_inputs(inputs, day, kept)


def _is_linked(folder: Path, inner: Path) -> bool:
    """Whether a link leads out of the folder of nights: there nothing is removed."""
    above = [inner, *inner.parents][: len(inner.relative_to(folder).parts)]
    return any(path.is_symlink() for path in above)


def _newest(
    whole: list[Path], current: Path | None, num_versions: int | None
) -> list[Path]:
    """The published version, and the newest of the others."""
    if num_versions is None:
        return whole
    others = [path for path in whole if current is None or path.name != current.name]
    others.sort(key=lambda path: (path.lstat().st_mtime_ns, path.name), reverse=True)
    first = [path for path in whole if path not in others]
    return [*first, *others[: num_versions - len(first)]]


def _unused_inputs(
    folder: Path, day: dt.date, kept: Iterable[Path]
) -> Iterator[Leftover]:
    """Kept inputs that none of the kept versions was made from."""
    used: set[str] = set()
    for version in kept:
        try:
            record = read_record(version)
        except DataError:
            return  # nobody can say what it was made from
        used.add(kept_model(record["identity"].get("model_sha256") or ""))
        for table, given in record["inputs"].items():
            for file in given["files"]:
                path = Path(file["path"])
                used |= {path.name, kept_name(table, file["sha256"], path)}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name not in used:
            is_part = path.name.startswith(".")
            yield _left(day, path, "cut off" if is_part else "input of no version")


def _left(day: dt.date, path: Path, why: str) -> Leftover:
    files = [path] if not path.is_dir() or path.is_symlink() else path.rglob("*")
    return Leftover(day, path, why, sum(file.lstat().st_size for file in files))
