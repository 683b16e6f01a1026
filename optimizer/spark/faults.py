"""What Spark and its executors say when they cannot go on, without a stack."""

from __future__ import annotations

import re

from optimizer.errors import BusyError, DataError
from optimizer.io.snapshot import CHANGED
from optimizer.spark.engine_keys import PACKING

#: How Java's stacks name a cause.
CAUSE = "Caused by: "
#: How a client of Spark Connect names one.
DETAILS = "details = "
#: How a Python stack begins, at whose end is what was raised.
TRACEBACK = "Traceback (most recent call last):"
#: What nothing but a mistake of a program raises, by its class.
_MISTAKES = (
    *("NameError", "UnboundLocalError", "AttributeError", "TypeError", "KeyError"),
    *("IndexError", "AssertionError", "NotImplementedError", "ZeroDivisionError"),
)
#: A line of a Python stack that names a file of this package.
_OF_OURS = re.compile(r'File "[^"]*/optimizer/[^"]*\.py"')


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


def is_bug(error: Exception) -> bool:
    r"""
    Whether executors ended by a mistake of this program, and not of data or cluster.

    Parameters
    ----------
    error
        As the driver gets it.

    Examples
    --------
    >>> stack = 'Traceback (most recent call last):\n  File "%s", line 1\nNameError: x'
    >>> is_bug(ValueError(stack % "/lib/optimizer/spark/rows.py"))
    True
    >>> is_bug(ValueError(stack % "/lib/polars/frame.py"))
    False
    """
    inside = str(error).partition(TRACEBACK)[2]
    places = [line for line in inside.splitlines() if line.strip().startswith("File ")]
    is_mistake = first_line(error).split(":")[0] in _MISTAKES
    return is_mistake and bool(places) and _OF_OURS.search(places[-1]) is not None


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
