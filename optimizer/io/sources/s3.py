"""
Objects of S3 and of compatible stores.

Credentials, region and endpoint come from the environment: ``AWS_ACCESS_KEY_ID``,
``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``, ``AWS_REGION``, ``AWS_ENDPOINT_URL``.
"""

from __future__ import annotations

import glob
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
