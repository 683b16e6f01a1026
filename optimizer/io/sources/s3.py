"""
Objects of S3 and of compatible stores.

Credentials, region and endpoint come from the environment: ``AWS_ACCESS_KEY_ID``,
``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``, ``AWS_REGION``, ``AWS_ENDPOINT_URL``.
"""

from __future__ import annotations

import glob
import io
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Container

    from optimizer.config.address import Address

_CHUNK_BYTES = 1 << 23


def fetch_files(address: Address, folder: Path) -> tuple[list[tuple[str, Path]], int]:
    """
    Copy the objects of a key, or of a glob, to files.

    Returns
    -------
    copies, num_left_out
        Keys, sorted, and their copies; and how many CSV objects without a byte, beside
        ``_SUCCESS``, are not among them: Spark writes them for partitions without rows.

    Raises
    ------
    FileNotFoundError
        When there is none.
    """
    store = _store(address)
    copies = []
    keys, num_left_out = _keys(store, address.path.lstrip("/"))
    for number, key in enumerate(keys):
        path = folder / f"{number:06}-{PurePosixPath(key).name}"
        _copy(store, key, path)
        copies.append((key, path))
    if not copies:
        raise FileNotFoundError("no object matches")
    return copies, num_left_out


def fetch_head(address: Address, num_bytes: int) -> tuple[str, bytes]:
    """
    Read the beginning of the first object of a key, or of a glob.

    Returns
    -------
    key, head
        The object's key, and its first bytes.

    Raises
    ------
    FileNotFoundError
        When there is none.
    """
    import obstore

    store = _store(address)
    key = _first_key(store, address)
    size = obstore.head(store, key)["size"]
    most = min(size, num_bytes)
    if most == 0:
        return key, b""
    return key, bytes(obstore.get_range(store, key, start=0, length=most))


class _Object(io.RawIOBase):
    """An object as a file: each read is a request for that part alone."""

    def __init__(self, store: Any, key: str) -> None:
        import obstore

        self._store, self._key, self._at = store, key, 0
        self._size: int = obstore.head(store, key)["size"]

    def readable(self) -> bool:
        """Say so."""
        return True

    def seekable(self) -> bool:
        """Say so."""
        return True

    def tell(self) -> int:
        """Where the next part begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        base = (0, self._at, self._size)[whence]
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read a part."""
        import obstore

        length = min(len(buffer), self._size - self._at)
        if length <= 0:
            return 0
        part = obstore.get_range(self._store, self._key, start=self._at, length=length)
        buffer[:length] = bytes(part)
        self._at += length
        return length


def open_object(address: Address) -> io.RawIOBase:
    """
    Open the first object of a key, or of a glob, as a file that is read in parts.

    Raises
    ------
    FileNotFoundError
        When there is none.
    """
    store = _store(address)
    return _Object(store, _first_key(store, address))


def _first_key(store: Any, address: Address) -> str:
    keys, _ = _keys(store, address.path.lstrip("/"))
    if not keys:
        raise FileNotFoundError("no object matches")
    return keys[0]


def put_file(address: Address, path: Path) -> None:
    """Copy a file to a key; readers see the old object or the complete new one."""
    import obstore

    obstore.put(_store(address), address.path.lstrip("/"), path)


def is_passing(error: Exception) -> bool:
    """Whether another try may help: nobody answers, or the service is at fault."""
    return type(error).__name__ == "GenericError" or isinstance(error, TimeoutError)


def _store(address: Address) -> Any:
    from datetime import timedelta

    from obstore.store import S3Store

    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    return S3Store(
        address.host,
        client_options={"allow_http": endpoint.startswith("http://")},
        retry_config={"max_retries": 4, "retry_timeout": timedelta(minutes=1)},
    )


def _keys(store: Any, pattern: str) -> tuple[list[str], int]:
    """The keys to copy, sorted, and how many empty ones are left out."""
    import obstore

    if not glob.has_magic(pattern):
        return [pattern], 0
    folder = "/".join(pattern.split("[")[0].split("*")[0].split("?")[0].split("/")[:-1])
    listed = {
        item["path"]: item["size"]
        for page in obstore.list(store, folder)
        for item in page
    }
    matching = [key for key in listed if PurePosixPath(f"/{key}").match(f"/{pattern}")]
    filled = [key for key in matching if listed[key] or not _is_spare(key, listed)]
    kept = filled or matching
    return sorted(kept), len(matching) - len(kept)


def _is_spare(key: str, listed: Container[str]) -> bool:
    """Whether an empty object may be a part without rows."""
    is_csv = key.lower().endswith((".csv", ".csv.gz", ".csv.zst"))
    return is_csv and str(PurePosixPath(key).with_name("_SUCCESS")) in listed


def _copy(store: Any, key: str, path: Path) -> None:
    import obstore

    found = obstore.get(store, key)
    num_bytes = 0
    with path.open("xb") as file:
        for chunk in found.stream(min_chunk_size=_CHUNK_BYTES):
            num_bytes += file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if num_bytes != found.meta["size"]:
        raise TimeoutError("the object arrived cut short")
