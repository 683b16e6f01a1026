"""
Copies of a night that executors wrote: the driver sends them, as one machine does.

What has arrived is noted in ``delivered.json`` beside the date's nights, so that a
repeated run sends only the rest.
"""

from __future__ import annotations

import datetime as dt
import json
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from optimizer.config.sinks import Outbox
from optimizer.contracts.tables import RECOMMENDATIONS
from optimizer.errors import DeliveryError
from optimizer.night.deliver import (
    RECEIPTS,
    again_words,
    named_copies,
    send_copies,
)
from optimizer.night.far_names import again
from optimizer.night.publish import VERSIONS, point
from optimizer.spark.brought import bring_night
from optimizer.spark.lease import CLAIMS
from optimizer.spark.write import (
    is_seen,
    published_errors,
    read_lines,
    write_text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import SparkSession

    from optimizer.config import Config

#: Copies that have arrived, beside the runs of a date.
DELIVERED = "delivered.json"


def send_far_copies(
    session: SparkSession,
    config: Config,
    day: dt.date,
    folder: str,
    record: Mapping[str, Any],
) -> None:
    """
    Send the copies of a published night that have not arrived.

    Parameters
    ----------
    session
        Of the cluster.
    config
        With ``outputs`` or ``outbox``; without either nothing is sent.
    day, folder, record
        The night: its date, where the date's nights are, and which it is.

    Raises
    ------
    DeliveryError
        Naming every copy that did not arrive, and why; or what else was not done.
    """
    copies = named_copies(config)
    if not copies:
        return
    unsent = partial(published_errors, folder, again=again(day))
    with unsent("the cluster did not tell which of its copies have arrived"):
        arrived = _arrived(session, folder, record)
    files = {
        RECOMMENDATIONS.file
        if isinstance(target, Outbox)
        else f"{target.table}.parquet"
        for name, target in copies.items()
        if name not in arrived
    }
    if not files:
        return
    with TemporaryDirectory() as here:
        output = Path(here)
        run = output / VERSIONS / day.isoformat() / record["run_id"]
        with unsent("the cluster did not give the tables for its copies"):
            bring_night(session, folder, record, sorted(files), run)
            point(output, day, run)
            note = output / RECEIPTS / f"{day}.json"
            note.parent.mkdir()
            told = {"run_id": record["run_id"], "arrived": arrived}
            note.write_text(json.dumps(told), encoding="utf-8")
        undone = ""
        try:
            send_copies(config, output, day)
        except DeliveryError as error:
            text = str(error).replace(str(output / day.isoformat()), folder)
            undone = text.replace(again_words(day), again(day))
        told = json.loads(note.read_text("utf-8"))
        unnoted = "what arrived could not be noted, and is sent again the next time"
        try:
            with unsent(unnoted):
                write_text(session, f"{folder}/{DELIVERED}", json.dumps(told))
        except DeliveryError as error:
            undone = f"{undone}; {error}" if undone else str(error)
        if undone:
            raise DeliveryError(undone)


def _arrived(
    session: SparkSession, folder: str, record: Mapping[str, Any]
) -> list[str]:
    """Copies of this run that have arrived; none where that is not known."""
    path = f"{folder}/{DELIVERED}"
    if is_seen(folder):
        if not Path(path).exists():
            return []
    else:  # engines log a stack of what is missing, and not of one of two
        path = f"{folder}/{{{DELIVERED},{CLAIMS}}}"
    for line in read_lines(session, path):
        try:
            told = json.loads(line)
            if told["run_id"] == record["run_id"]:
                return [str(name) for name in told["arrived"]]
        except (ValueError, KeyError, TypeError):
            continue
    return []
