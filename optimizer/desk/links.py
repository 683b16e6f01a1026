"""Links for merchants: signed, for one merchant, and only until a day."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.desk.access import LEAST_SECRET, read_secret
from optimizer.desk.problems import PageProblem
from optimizer.errors import ConfigError
from optimizer.extras import import_extra

if TYPE_CHECKING:
    from pathlib import Path

#: Where the key stands if no file is named.
KEY_VARIABLE = "OPTIMIZER_DESK_KEY"
#: Days that a link lasts, by default and at most.
NUM_DAYS, MAX_DAYS = 14, 90
#: Seconds that clocks may differ by: a link from further ahead is refused.
CLOCK_SECONDS = 300
_SALT = "optimizer.desk.merchant"


@dataclass(frozen=True, slots=True)
class SharedLink:
    """A link that holds: whose it is, and until when."""

    merchant_id: str
    until: dt.datetime


def link_key(file: Path | None) -> str | None:
    """
    The key that signs links, from a file or else from the environment.

    Raises
    ------
    ConfigError
        When it cannot be read, or is too short.
    """
    if file is not None:
        return read_secret(file, "--link-key-file")
    given = os.environ.get(KEY_VARIABLE)
    if given is not None and len(given) < LEAST_SECRET:
        raise ConfigError(
            f"{KEY_VARIABLE}: must have at least {LEAST_SECRET} letters and digits; "
            "openssl rand -hex 32 makes one"
        )
    return given


def make_link(key: str, merchant_id: str, now: dt.datetime, days: int) -> str:
    """
    Sign a link for a merchant.

    Parameters
    ----------
    key
        From :func:`link_key`.
    merchant_id
        Whose orders it shows.
    now, days
        The time, and how many days from then on it holds.
    """
    start = int(now.timestamp())
    return _signer(key).dumps([merchant_id, start, start + days * 86_400])


def read_link(key: str | None, text: str, now: dt.datetime) -> SharedLink:
    """
    Read a link that somebody came with.

    Raises
    ------
    PageProblem
        When it was not signed here, or does not hold at this time.
    """
    signed = import_extra("itsdangerous", needed_by="links for merchants")
    if key is None:
        raise PageProblem(403, "LINK_WRONG")
    try:
        merchant_id, start, end = _signer(key).loads(text)
    except (signed.BadData, ValueError, TypeError):
        raise PageProblem(403, "LINK_WRONG") from None
    seconds = now.timestamp()
    if seconds >= end:
        raise PageProblem(403, "LINK_EXPIRED")
    if seconds < start - CLOCK_SECONDS:
        raise PageProblem(403, "LINK_AHEAD")
    return SharedLink(merchant_id, dt.datetime.fromtimestamp(end, dt.UTC))


def _signer(key: str) -> Any:
    signed = import_extra("itsdangerous", needed_by="links for merchants")
    return signed.URLSafeSerializer(
        key, salt=_SALT, signer_kwargs={"digest_method": hashlib.sha256}
    )
