"""
A reader's error about a file is a refusal of that file, whatever the reader raises.

pyarrow, polars, DuckDB, gzip and json each have classes of their own, and some raise
Python's. An error of our own code stays one: it must not be taken for a damaged file.
"""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.errors import (
    DataError,
    OptimizerError,
    is_failure,
    is_of_memory,
    lack_of_memory,
)
from optimizer.io.privacy import hidden
from optimizer.stopping import end_if_stopped

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What Python's own readers raise about content: no code raises it by mistake.
_OF_CONTENT = (
    *(OSError, ValueError, EOFError, OverflowError, RecursionError),
    *(SystemError, BufferError),
)
#: What nothing but a mistake of a program raises.
_MISTAKES = (
    *(NameError, AttributeError, TypeError, LookupError, AssertionError),
    *(NotImplementedError, ZeroDivisionError),
)
_HOUSE = str(Path(__file__).parents[1])


@contextmanager
def damaged_is_data_error(label: str) -> Iterator[None]:
    """
    Turn the readers' errors about a file into one clear message.

    Parameters
    ----------
    label
        The input's name in messages.

    Raises
    ------
    DataError
        When the file may not be read, or is damaged.
    MachineError
        When there is not enough memory: the file may be as sound as any.
    """
    try:
        yield
    except OptimizerError:
        raise
    except PermissionError:
        raise DataError(f"{label}: may not be read; check its permissions") from None
    except Exception as error:
        end_if_stopped()  # pyarrow gives up reading then, with an error of its own
        if is_of_memory(error):
            raise lack_of_memory(label) from error
        if not is_of_reader(error):
            raise
        raise DataError(
            f"{label}: is damaged or truncated ({_reason(error)}); fetch it again"
        ) from None
    except BaseException as error:
        if not is_failure(error):
            raise
        raise DataError(
            f"{label}: cannot be read ({_reason(error)}); write it with plain types, "
            "such as text, numbers and dates"
        ) from None


def is_of_reader(error: Exception) -> bool:
    """
    Whether an error is a library's about a file's content, and not a bug of ours.

    Examples
    --------
    >>> is_of_reader(UnicodeDecodeError("utf-8", b"x", 0, 1, "invalid")), is_of_reader(
    ...     NameError("name 'x' is not defined")
    ... )
    (True, False)
    """
    is_own_class = type(error).__module__ != "builtins"
    if is_own_class or isinstance(error, _OF_CONTENT):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and not frames[-1].filename.startswith(_HOUSE)


def is_bug(error: BaseException) -> bool:
    """
    Whether an error is a mistake of our own code, whatever was read meanwhile.

    Examples
    --------
    >>> is_bug(NameError("name 'x' is not defined")), is_bug(OSError("gone"))
    (True, False)
    """
    return isinstance(error, _MISTAKES) and not is_of_reader(error)


def _reason(error: BaseException) -> str:
    text = hidden(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= 160 else text[:157] + "..."
