"""
Inputs of a published night: kept with it, and found again.

An export is often replaced by the next one at the same path. So that a night can be
verified later, a run keeps its input files under ``OUTPUT/.inputs/DATE``, named by
their checksums. Where the file system can share blocks that costs no space; elsewhere
only small files are copied. A reader looks there first. In any place, only the checksum
decides whether a file is the one that was read.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.errors import PublishError
from optimizer.io.folders import make_folder
from optimizer.io.read import FileRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Folder of kept inputs in the output, by date.
INPUTS = ".inputs"
#: All inputs of a night up to this size are copied where blocks cannot be shared.
COPIED_BYTES = 256 * 2**20
#: The file of a learned model in its folder.
MODEL_FILE = "model.json"
_SUFFIXES = (
    ".xlsx",
    ".xls",
    ".parquet",
    ".pq",
    ".csv",
    ".gz",
    ".zst",
    ".arrow",
    ".feather",
    ".ipc",
)
#: linux/fs.h: make a file share the blocks of another one.
_FICLONE = 0x40049409
_NO_SHARING = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.EPERM)


def kept_name(table: str, sha256: str, path: Path) -> str:
    """
    Name of a kept file: the same content is the same file.

    Examples
    --------
    >>> kept_name("orders", "ab" * 32, Path("export/2026.csv.gz"))
    'orders-abababababababababababababababab.csv.gz'
    """
    suffixes = "".join(s for s in path.suffixes if s.lower() in _SUFFIXES)
    return f"{table}-{sha256[:32]}{suffixes}"


def keep_inputs(
    files: Mapping[str, Iterable[FileRecord]], folder: Path, mode: int = 0o640
) -> tuple[str, ...]:
    """
    Keep the input files of a night, where that is cheap.

    Parameters
    ----------
    files
        Files with their checksums, by table.
    folder
        ``OUTPUT/.inputs/DATE``; made if it is not there.
    mode
        Of the night's files: nobody else reads the copies.

    Returns
    -------
    tuple of str
        Paths of the files that were not kept, being too large.

    Raises
    ------
    PublishError
        When a file is not what it was when its checksum was taken.
    OSError
        When the folder cannot be written.
    """
    wanted = [(name, file) for name, found in files.items() for file in found]
    left = [
        (file, folder / kept_name(name, file.sha256, Path(file.path)))
        for name, file in wanted
        if Path(file.path).parent != folder
    ]
    left = [(file, target) for file, target in left if not target.exists()]
    if not left:
        return ()
    make_folder(folder, mode)
    is_small = sum(file.num_bytes for file, _ in left) <= COPIED_BYTES
    return tuple(
        file.path
        for file, target in left
        if not _keep(file, target, mode, is_small=is_small)
    )


def _keep(file: FileRecord, target: Path, mode: int, *, is_small: bool) -> bool:
    """Make an independent copy of a file; return whether it could be made."""
    partial = target.with_name(f".{target.name}.part")
    partial.unlink(missing_ok=True)
    try:
        with Path(file.path).open("rb") as source, partial.open("xb") as copy:
            if not _shares_blocks(source.fileno(), copy.fileno()):
                if not is_small:
                    return False
                shutil.copyfileobj(source, copy, 2**20)
            copy.flush()
            os.fsync(copy.fileno())
        if _sha256(partial) != file.sha256:
            raise PublishError(
                f"{file.path}: changed while the night was made from it; nothing was "
                "published. Run again when the export is complete"
            )
        partial.chmod(mode & 0o440)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return True


def _shares_blocks(source: int, copy: int) -> bool:
    """Make the copy share the blocks of its source, where the file system can."""
    try:
        fcntl.ioctl(copy, _FICLONE, source)
    except OSError as error:
        if error.errno in _NO_SHARING:
            return False
        raise
    return True


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def kept_model(sha256: str) -> str:
    """Name of a kept model's folder."""
    return f"model-{sha256[:32]}"


def keep_model(file: Path, sha256: str, folder: Path, mode: int = 0o640) -> None:
    """
    Keep the model that a night was made with, since ``latest`` will change.

    Parameters
    ----------
    file, sha256
        The model's file, and its checksum when it was read.
    folder
        ``OUTPUT/.inputs/DATE``; made if it is not there.
    mode
        Of the night's files: nobody else reads the copy.

    Raises
    ------
    PublishError
        When the file is not what it was when its checksum was taken.
    OSError
        When the folder cannot be written.
    """
    target = folder / kept_model(sha256) / file.name
    if target.is_file():
        return
    make_folder(target.parent, mode)
    record = FileRecord(str(file), file.stat().st_size, sha256)
    _keep(record, target, mode, is_small=True)


def found_model(folder: Path, record: Mapping[str, Any]) -> Path | None:
    """
    Find the folder of a recorded night's model at its present place.

    It may be kept with the night, be at the configured place or next to it (an alias
    such as ``latest`` may point elsewhere by now), or in a project that was moved.

    Parameters
    ----------
    folder
        The night.
    record
        Its ``run.json``.

    Returns
    -------
    Path or None
        ``None`` where the night has no model, or none with its checksum is there.
    """
    sha256, place = (
        record["identity"].get("model_sha256"),
        record["config"].get("model"),
    )
    if sha256 is None or place is None:
        return None
    configured = Path(place.replace("{date}", record["date"]))
    for found in _model_folders(folder.resolve(), configured, record["date"], sha256):
        try:
            if _sha256(found / MODEL_FILE) == sha256:
                return found
        except OSError:
            continue
    return None


def _model_folders(
    real: Path, configured: Path, day: str, sha256: str
) -> Iterator[Path]:
    for parent in list(real.parents)[:4]:
        yield parent / INPUTS / day / kept_model(sha256)
    for place in (configured, *(parent / configured for parent in real.parents)):
        yield place
        if place.parent.is_dir():
            yield from sorted(path for path in place.parent.iterdir() if path.is_dir())


def found_inputs(
    folder: Path, record: Mapping[str, Any], beside: Path | None = None
) -> dict[str, list[str]]:
    """
    Find the input files of a recorded night at their present places.

    Searched in this order: a folder that the reader names, the files kept with the
    night, the recorded path, and that path relative to where the night was moved. The
    first file with the recorded checksum is taken.

    Parameters
    ----------
    folder
        The night.
    record
        Its ``run.json``.
    beside
        A folder with the inputs, under any names.

    Returns
    -------
    dict of str to list of str
        Paths by table, in the order of the record. If no file has the checksum, the
        recorded path is returned, for the reader to refuse.
    """
    real = folder.resolve()
    hashes = _Hashes()
    return {
        name: [
            str(_first(_candidates(name, file, record, real, beside), file, hashes))
            for file in used["files"]
        ]
        for name, used in record["inputs"].items()
    }


def placed_record(
    record: Mapping[str, Any], places: Mapping[str, list[str]]
) -> dict[str, Any]:
    """A night's record with the present places of its input files."""
    inputs = {
        name: {
            **used,
            "files": [
                {**file, "path": path}
                for file, path in zip(used["files"], places[name], strict=True)
            ],
        }
        for name, used in record["inputs"].items()
    }
    return {**record, "inputs": inputs}


class _Hashes(dict[Path, str]):
    """Checksums of files, each taken once."""

    def __missing__(self, path: Path) -> str:
        self[path] = _sha256(path)
        return self[path]


def _candidates(
    name: str,
    file: Mapping[str, Any],
    record: Mapping[str, Any],
    real: Path,
    beside: Path | None,
) -> Iterator[Path]:
    recorded = Path(file["path"])
    kept = kept_name(name, file["sha256"], recorded)
    if beside is not None:
        yield from (beside / recorded.name, beside / kept)
        yield from sorted(path for path in beside.rglob("*") if path.is_file())
    # OUTPUT/.versions/DATE/RUN, or a folder that was copied out of it.
    for parent in list(real.parents)[:4]:
        yield parent / INPUTS / record["date"] / kept
    yield recorded
    # A project that was moved as a whole: the end of the path, from each folder above.
    for parent in real.parents:
        for start in range(len(recorded.parts) - 1, 0, -1):
            yield parent.joinpath(*recorded.parts[start:])


def _first(
    candidates: Iterable[Path], file: Mapping[str, Any], hashes: _Hashes
) -> Path:
    recorded = Path(file["path"])
    for path in candidates:
        try:
            is_it = path.stat().st_size == file["num_bytes"] and path.is_file()
            if is_it and hashes[path] == file["sha256"]:
                return path
        except OSError:
            continue
    return recorded
