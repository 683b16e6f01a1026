"""Messages of drivers, without the secrets that they may contain."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from optimizer.errors import is_of_memory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optimizer.config.address import Address

_SECRET_NAMES = (
    *("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID"),
)
_COLORS = re.compile(r"\x1b\[[0-9;]*m")
_LOGIN = re.compile(r"(?<=://)[^\s/@]*@")


def secrets_of(filled: Address) -> tuple[str, ...]:
    """Values that no message may hold: a filled-in password, and the environment's."""
    known = (filled.password, *(os.environ.get(name, "") for name in _SECRET_NAMES))
    return tuple(value for value in known if value)


def reason_of(error: BaseException, secrets: Iterable[str]) -> str:
    r"""
    A driver's message as one short line without secrets.

    Examples
    --------
    >>> reason_of(OSError("login of night:p@ss failed\nDETAIL: x"), ["p@ss"])
    'login of night:*** failed DETAIL: x'
    """
    if is_of_memory(error):  # most say nothing
        return "there is not enough memory"
    text = " ".join(_COLORS.sub("", str(error)).split())
    for secret in secrets:
        for shown in (secret, quote(secret, safe="")):
            text = text.replace(shown, "***")
    text = _LOGIN.sub("", text)
    return text if len(text) <= 200 else text[:197] + "..."
