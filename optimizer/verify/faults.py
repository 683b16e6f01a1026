"""What fails while a night is stated: its files are false, or the machine is small."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from tempfile import gettempdir
from typing import TYPE_CHECKING

from optimizer.errors import CertificateError, MachineError, is_of_memory

if TYPE_CHECKING:
    from collections.abc import Iterator


#: What the system says of a full disk, in an error of DuckDB too.
_FULL = os.strerror(errno.ENOSPC)


@contextmanager
def stated_faults(what: str, *raised: type[BaseException]) -> Iterator[None]:
    """
    Turn errors about a published night into a finding of it, but for a lack of memory.

    Parameters
    ----------
    what
        The finding, for the message.
    *raised
        Further errors beside DuckDB's.

    Raises
    ------
    CertificateError
        When the files are not what they should be.
    MachineError
        When there is not enough memory, or room on the disk: the night may be as sound
        as any.
    """
    import duckdb

    kinds: tuple[type[BaseException], ...] = (duckdb.Error, *raised)
    try:
        yield
    except kinds as error:
        if is_of_memory(error) or _FULL in str(error):
            lack = "memory" if is_of_memory(error) else f"room in {gettempdir()}"
            raise MachineError(
                f"there is not enough {lack} to state the night a second time; take a "
                "machine with more, or let TMPDIR name a disk with more room, where "
                "DuckDB keeps what does not fit into memory. The night itself may hold"
            ) from None
        reason = " ".join(str(error).split())[:300]
        said = f" ({reason})" if isinstance(error, duckdb.Error) else ""
        raise CertificateError(f"{what}{said}") from None
