"""
One driver for a date: a lock where the driver sees the folder, else a lease in it.

A store has no locks that end with their process. So each driver writes a claim under a
name of its own, then reads all claims of the date. Of two drivers the one that has
written later reads the other's claim, whatever else happens, and gives way; if both
write at once, both may. A claim ends with its run, or, where its driver died, after
``LEASE``; a run that lasts longer does not publish.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import socket
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.errors import BusyError
from optimizer.night.publish import date_lock
from optimizer.spark.faults import first_line
from optimizer.spark.write import is_seen, read_lines, write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)

#: How long a claim holds that nobody takes back.
LEASE = dt.timedelta(hours=6)
#: Folder of the claims, beside the runs of a date.
CLAIMS = "claims"


@contextmanager
def date_lease(
    session: SparkSession, folder: str, day: dt.date
) -> Iterator[Callable[[], None]]:
    """
    Hold a date against other drivers.

    Parameters
    ----------
    session
        Of the cluster.
    folder
        Of the date.
    day
        The date.

    Yields
    ------
    Callable
        Checks that it is still held: call it before anything is published.

    Raises
    ------
    BusyError
        When another run holds it: with who that is, and since when.
    """
    if is_seen(folder):
        with date_lock(Path(folder).parent, day):
            yield lambda: None
        return
    mine, now = f"{folder}/{CLAIMS}/{uuid.uuid4().hex}", _now()
    claim = {
        "holder": f"process {os.getpid()} on {socket.gethostname()}",
        "since": now.isoformat(),
        "until": (now + LEASE).isoformat(),
        "claim": mine,
    }
    write_text(session, mine, json.dumps(claim))
    try:
        _refuse_others(session, folder, mine)
        yield lambda: _confirm(now + LEASE, folder)
    finally:
        _release(session, mine)


def _refuse_others(session: SparkSession, folder: str, mine: str) -> None:
    """
    Give way to a run that holds the date.

    Raises
    ------
    BusyError
        When there is one.
    """
    for line in read_lines(session, f"{folder}/{CLAIMS}"):
        claim: dict[str, Any] = json.loads(line) if line.strip() else {"claim": mine}
        if claim["claim"] == mine or dt.datetime.fromisoformat(claim["until"]) < _now():
            continue
        raise BusyError(
            f"another run holds {folder} ({claim['holder']}, since {claim['since']}); "
            "try again when it is done. Should it have died, its claim ends at "
            f"{claim['until']}; to end it now, remove {claim['claim']}"
        )


def _confirm(until: dt.datetime, folder: str) -> None:
    """
    Check that the claim has not ended.

    Raises
    ------
    BusyError
        When it has.
    """
    if _now() >= until:
        raise BusyError(
            f"{folder}: this run has held the date for longer than {LEASE}, so another "
            "may hold it now; nothing was published, run it again"
        )


def _release(session: SparkSession, mine: str) -> None:
    """Take a claim back; if the cluster does not answer, it ends by itself."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        write_text(session, mine, "")
    except (PySparkException, Py4JError, OSError) as error:
        logger.warning(
            "%s: the claim could not be taken back (%s); it ends after %s, or when it "
            "is removed",
            mine,
            first_line(error),
            LEASE,
        )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(microsecond=0)
