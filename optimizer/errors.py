"""Errors by who has to act; each class has an exit code."""

from __future__ import annotations

import errno
from typing import ClassVar

#: What a full or broken disk says.
_OF_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


def counted(number: int, thing: str) -> str:
    """
    Write a count for a message.

    Examples
    --------
    >>> counted(1, "row"), counted(2_000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def is_failure(error: BaseException) -> bool:
    """
    Whether something failed; what is no failure only ends the program.

    A library in Rust that gives up raises its own class, which is no ``Exception``.

    Examples
    --------
    >>> is_failure(ValueError("no")), is_failure(KeyboardInterrupt())
    (True, False)
    """
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def is_of_memory(error: BaseException) -> bool:
    """
    Whether something failed for want of memory, whoever says so.

    Examples
    --------
    >>> is_of_memory(MemoryError()), is_of_memory(ValueError("no"))
    (True, False)
    """
    # DuckDB has a class of its own; the system says it of pages that it cannot map.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryException"
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    )


def is_of_disk(error: BaseException) -> bool:
    """
    Whether a disk is full or broken; else another folder, or another right, may do.

    Examples
    --------
    >>> is_of_disk(OSError(errno.ENOSPC, "full")), is_of_disk(PermissionError())
    (True, False)
    """
    return getattr(error, "errno", None) in _OF_DISK


class OptimizerError(Exception):
    """
    Base of every error that this package raises on purpose.

    The message is one that a person can act on: it names the file or table and
    says what to do. ``exit_code`` is what the command line returns.
    """

    exit_code: ClassVar[int] = 1

    def _render_traceback_(self) -> list[str]:
        """Say it in IPython and notebooks: the sentence, and where one asked for it."""
        import traceback
        from pathlib import Path

        ours = str(Path(__file__).parent)
        calls = traceback.extract_tb(self.__traceback__)
        is_ours = [call.filename.startswith(ours) for call in calls]
        asked = is_ours.index(True) if True in is_ours else len(calls)
        lines = [f"{type(self).__name__}: {self}"]
        if asked and calls[asked - 1].line:
            call = calls[asked - 1]
            lines.append(f"  line {call.lineno}: {call.line}")
        lines.append("  (import traceback; traceback.print_last() shows every call)")
        return lines


class ConfigError(OptimizerError):
    """The configuration or the call is wrong; every wrong key is in the message."""

    exit_code = 2


class DataError(OptimizerError):
    """An input table is missing, damaged or breaks its contract."""

    exit_code = 3


class SolveError(OptimizerError):
    """No plan was found that is good enough to publish."""

    exit_code = 4


class CertificateError(OptimizerError):
    """A plan does not prove what it claims; it is never published."""

    exit_code = 4


class PublishError(OptimizerError):
    """The night could not be written; the message says which night is published."""

    exit_code = 1


class MachineError(OptimizerError):
    """The machine has too little memory, or a disk takes nothing more."""

    exit_code = 1


def lack_of_memory(what: str) -> MachineError:
    """
    Say that something did not fit into memory, and what to do.

    Parameters
    ----------
    what
        What was being done, or is too large.

    Examples
    --------
    >>> print(lack_of_memory("orders.csv"))
    orders.csv: there is not enough memory for it; set solver.memory_gb below what is \
free (a network night then keeps its orders in files), or take a machine with more
    """
    return MachineError(
        f"{what}: there is not enough memory for it; set solver.memory_gb below what "
        "is free (a network night then keeps its orders in files), or take a machine "
        "with more"
    )


class BusyError(OptimizerError):
    """Another run holds the date, or an input is late: try again later."""

    exit_code = 75


class DeliveryError(OptimizerError):
    """The night is published, but a copy of it did not arrive: deliver it again."""

    exit_code = 75
