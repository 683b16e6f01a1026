"""Published nights on the disk, which the state database is derived from."""

from __future__ import annotations

import datetime as dt
import glob
import shutil
from pathlib import Path

from optimizer.config import expand_date
from optimizer.contracts.run_folder import RECORD, SUCCESS


def root_of(output: str) -> Path:
    """
    The part of an output folder that does not depend on the date.

    Examples
    --------
    >>> str(root_of("runs/{date}/premium")), str(root_of("runs"))
    ('runs', 'runs')
    """
    parts = Path(output).parts
    dated = [number for number, part in enumerate(parts) if "{date}" in part]
    return Path(*parts[: dated[0]]) if dated else Path(*parts)


def published_nights(output: str) -> dict[dt.date, Path]:
    """
    Folders of the published versions, by date, ascending.

    Parameters
    ----------
    output
        As configured, perhaps with ``{date}``.
    """
    versions = {
        day: published_version(link.parent, day)
        for day, link in dated_folders(output).items()
    }
    return {day: found for day, found in versions.items() if found is not None}


def dated_folders(output: str) -> dict[dt.date, Path]:
    """
    What stands in an output folder under dates, by date, ascending: links or folders.

    Parameters
    ----------
    output
        As configured, perhaps with ``{date}``.
    """
    pattern = glob.escape(output).replace("{date}", "*")
    paths = [Path(name) for name in glob.glob(f"{pattern}/????-??-??")]
    dated = [(_date_of(path.name), path) for path in paths]
    own = {
        day: path
        for day, path in dated
        if day is not None and path.parent == Path(expand_date(output, day))
    }
    return dict(sorted(own.items()))


def version_dates(output: str) -> list[dt.date]:
    """Dates that have versions or a folder in their link's place, ascending."""
    pattern = glob.escape(output).replace("{date}", "*")
    names = [
        *glob.glob(f"{pattern}/.versions/????-??-??"),
        *glob.glob(f"{pattern}/????-??-??"),
    ]
    days = {_date_of(Path(name).name) for name in names}
    return sorted(day for day in days if day is not None)


def published_version(output: Path, day: dt.date) -> Path | None:
    """The folder that a date's link points to, if it is a complete run."""
    link = output / day.isoformat()
    if not link.is_symlink():
        return None
    folder = link.parent / link.readlink()
    is_whole = (folder / SUCCESS).is_file() and (folder / RECORD).is_file()
    return folder if is_whole else None


def remove_tree(path: Path) -> None:
    """
    Remove a file, a link or a folder; a link is never followed.

    Raises
    ------
    OSError
        When some part of it cannot be removed.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _date_of(name: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(name)
    except ValueError:
        return None
