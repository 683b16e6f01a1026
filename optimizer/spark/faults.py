"""What Spark and its executors say when they cannot go on, without a stack."""

from __future__ import annotations

from optimizer.errors import BusyError, DataError
from optimizer.io.snapshot import CHANGED
from optimizer.spark.engine_keys import PACKING

#: How Java's stacks name a cause.
CAUSE = "Caused by: "
#: How a client of Spark Connect names one.
DETAILS = "details = "
#: How a Python stack begins, at whose end is what was raised.
TRACEBACK = "Traceback (most recent call last):"


class PackingNight(DataError):
    """A night whose tables make it a packing night, which executors do not solve."""


def found_by_executors(text: str) -> BusyError | DataError:
    """
    The fault that executors found in the data, as an error of the driver.

    Parameters
    ----------
    text
        What they say.
    """
    if CHANGED in text:
        return BusyError(text)
    return PackingNight(text) if PACKING in text else DataError(text)


def first_line(error: Exception) -> str:
    r"""
    Spark's message, without its stack: where it names none, that of its cause.

    Examples
    --------
    >>> said = "o1.x.\n: Exception thrown in awaitResult:\n\tat a.b\nCaused by: "
    >>> first_line(ValueError(f"{said}java.io.IOException: No space left on device"))
    'java.io.IOException: No space left on device'
    >>> said = "thrown from the Python worker:\nTraceback (most recent call last):\n"
    >>> first_line(ValueError(f"{said}  File 'a', line 1\nMemoryError\n\nJVM stack"))
    'MemoryError'
    >>> said = '<_InactiveRpcError of RPC that terminated with:\n\tstatus = X\n'
    >>> first_line(ValueError(f'{said}\tdetails = "Connection refused"\n>'))
    'Connection refused'
    """
    if TRACEBACK in str(error):
        inside = str(error).split(TRACEBACK, 1)[1].splitlines()
        raised = [line for line in inside if line and not line[0].isspace()]
        if raised:
            return raised[0]
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    java = [line for line in said if line.startswith(": ")]
    first = (java or said or [type(error).__name__])[0].removeprefix(": ")
    causes = [line for line in said if line.startswith(CAUSE)]
    if first.endswith(":") and causes:
        return causes[-1].removeprefix(CAUSE)
    details = [line for line in said if line.startswith(DETAILS)]
    if first.endswith(":") and details:
        return details[0].removeprefix(DETAILS).strip('"')
    return first
