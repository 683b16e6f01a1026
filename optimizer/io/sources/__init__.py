"""
Tables that are not local files: PostgreSQL, S3, Delta Lake, Iceberg, DuckDB.

One module for each, with the same functions: ``open_rows`` and ``write_rows``, or
``fetch_files`` and ``put_file`` where the unit is a file; ``is_passing`` says which
failures are worth another try.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from optimizer.errors import (
    BusyError,
    DataError,
    OptimizerError,
    PublishError,
    is_failure,
    is_of_disk,
    is_of_memory,
    lack_of_memory,
)
from optimizer.extras import import_extra
from optimizer.io.damage import is_bug
from optimizer.io.sources.faults import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optimizer.config.address import Address

#: Scheme -> package that its module needs.
_PACKAGES = {
    "postgresql": "adbc_driver_postgresql",
    "s3": "obstore",
    "delta": "deltalake",
    "delta+s3": "deltalake",
    "duckdb": "duckdb",
    "iceberg": "pyiceberg",
}


def adapter_of(address: Address) -> Any:
    """
    The module that reads and writes an address.

    Raises
    ------
    ConfigError
        When its package is not installed, saying which extra has it.
    """
    import_extra(_PACKAGES[address.scheme], needed_by=address.label)
    if address.scheme == "postgresql":
        from optimizer.io.sources import postgres

        return postgres
    if address.scheme == "s3":
        from optimizer.io.sources import s3

        return s3
    if address.scheme == "duckdb":
        from optimizer.io.sources import duckdb

        return duckdb
    if address.scheme == "iceberg":
        from optimizer.io.sources import iceberg

        return iceberg
    from optimizer.io.sources import delta

    return delta


@contextmanager
def read_faults(address: Address, secrets: tuple[str, ...]) -> Iterator[None]:
    """
    Turn a driver's error while reading into one clear message without secrets.

    A mistake of our own stays one: nothing is wrong with the table.

    Raises
    ------
    BusyError
        When another try may help: nobody answers, a lock, a restart.
    DataError
        When it will not: no such table, no permission, a wrong query.
    PublishError
        When the local disk refuses the copy.
    MachineError
        When there is not enough memory.
    """
    try:
        yield
    except OptimizerError:
        raise
    except BaseException as error:
        if not is_failure(error):
            raise
        if is_of_memory(error):
            raise lack_of_memory(address.label) from None
        if is_bug(error):
            raise
        reason = reason_of(error, secrets)
        if is_of_disk(error):  # of here, where the copies are written
            raise PublishError(
                f"{address.label}: its copy could not be written ({reason})"
            ) from None
        if adapter_of(address).is_passing(error):
            raise BusyError(
                f"{address.label}: does not answer ({reason}); try again later"
            ) from None
        raise DataError(
            f"{address.label}: cannot be read ({reason}); is the export there, and may "
            "this job read it?"
        ) from None
