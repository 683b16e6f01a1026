"""
Evidence: an append-only chain of hashes of what was published and when.

The chain is kept in the state database and, line by line, in a file next to the nights.
If a crash leaves one behind, it is completed from the other. A link is written in the
transaction that records a night in the database, so that none is missed or doubled.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
from typing import TYPE_CHECKING, Any

from optimizer.contracts.run_folder import RECORD, read_record
from optimizer.errors import OptimizerError, counted
from optimizer.io.damage import damaged_is_data_error
from optimizer.night.publish import VERSIONS, sha256_of, sync_folder
from optimizer.night.row_leaves import row_commitment
from optimizer.night.state.chain import Link, broken_links, make_link
from optimizer.night.state.database import lock_transaction

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import polars as pl
    from sqlalchemy import Connection

    from optimizer.night.state.database import StateDatabase

logger = logging.getLogger(__name__)

#: Event of a link that tells of versions which were removed by rule.
PRUNED = "PRUNED"
#: Event of the first link of a chain that was lost, with the reason.
BEGUN_ANEW = "BEGUN_ANEW"


def extend(
    connection: Connection, mirror: Path, day: dt.date, path: Path | None
) -> None:
    """
    Add a link if a date's published version is not the one in the chain.

    Parameters
    ----------
    connection
        In a transaction that excludes others of its kind.
    mirror
        The chain's file.
    day, path
        The date, and its published folder; ``None``: it is not published any more.
    """
    links, _ = _made_good(connection, mirror)
    before, version = versions_in(links).get(day), path.name if path else None
    if before == version:
        return
    body = {
        "date": day.isoformat(),
        "recorded_at_utc": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "version": version,
        "instead_of": before,
    }
    if path is None:
        body["event"] = "WITHDRAWN"
    else:
        body |= _night_body(path) | {"event": _event(path, before)}
    link = make_link(body, links[-1] if links else None)
    _insert(connection, [link])
    _append(mirror, [link])


def record_pruned(state: StateDatabase, day: dt.date, versions: Sequence[str]) -> None:
    """
    Record that versions of a date are removed by rule; a second call adds nothing.

    Parameters
    ----------
    state
        The database.
    day, versions
        The date, and names of versions that are not published.
    """
    if state.mirror is None:
        return
    with state.transaction() as connection:
        if state.is_shared:
            lock_transaction(connection, "evidence")
        links, _ = _made_good(connection, state.mirror)
        told = pruned_in(links)
        removed = sorted(name for name in versions if (day, name) not in told)
        if not removed:
            return
        body = {
            "event": PRUNED,
            "date": day.isoformat(),
            "recorded_at_utc": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "removed": removed,
        }
        link = make_link(body, links[-1] if links else None)
        _insert(connection, [link])
        _append(state.mirror, [link])


def mend_chain(state: StateDatabase) -> tuple[list[Link], str | None]:
    """
    Make database and file good from each other, where one has less than the other.

    Returns
    -------
    tuple
        The chain, and what was mended; ``None``: nothing.
    """
    assert state.mirror is not None
    with state.transaction() as connection:
        if state.is_shared:
            lock_transaction(connection, "evidence")
        return _made_good(connection, state.mirror)


def read_chain(state: StateDatabase) -> list[Link]:
    """The chain that :func:`mend_chain` would give; nothing is written."""
    assert state.mirror is not None
    with state.transaction() as connection:
        links = read_links(connection)
    told = read_mirror(state.mirror)
    is_longer = told[: len(links)] == links and not broken_links(told)
    return told if is_longer else links


def begin_anew(state: StateDatabase, reason: str) -> None:
    """Begin a chain that is lost with a link that says why."""
    assert state.mirror is not None
    body = {
        "event": BEGUN_ANEW,
        "recorded_at_utc": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "reason": reason,
    }
    link = make_link(body, None)
    with state.transaction() as connection:
        _insert(connection, [link])
        _append(state.mirror, [link])


def pruned_in(links: Sequence[Link]) -> set[tuple[dt.date, str]]:
    """
    Dates and versions that were removed by rule, according to a chain.

    Versions that were published again since are left out.
    """
    found: set[tuple[dt.date, str]] = set()
    for link in links:
        for day, version in versions_in([link]).items():
            found.discard((day, version or ""))
        if link.body.get("event") == PRUNED:
            try:
                day = dt.date.fromisoformat(link.body["date"])
                found |= {(day, str(name)) for name in link.body["removed"]}
            except (KeyError, TypeError, ValueError):
                continue  # a link that somebody changed: optimizer audit says so
    return found


def _night_body(path: Path) -> dict[str, Any]:
    """The content of a link about a published folder."""
    record = read_record(path)
    identity = record["identity"]
    # Of tables that a cluster wrote as many files, the decisions' hash stands alone.
    told = {n: file for n, file in record["outputs"].items() if "sha256" in file}
    outputs = {name: file["sha256"] for name, file in told.items()}
    return {
        "program": identity["version"],
        "config_sha256": identity["config_sha256"],
        "inputs": identity["inputs"],
        "outputs": outputs | {RECORD: sha256_of(path / RECORD)},
        "decisions": record.get("evidence") or row_commitment(decision_groups(path)),
    }


def decision_groups(path: Path) -> Iterator[pl.DataFrame]:
    """Published decisions, row group by row group, each page against its checksum."""
    import polars as pl
    import pyarrow.parquet

    name = path / "decisions.parquet"
    with (
        damaged_is_data_error(str(name)),
        pyarrow.parquet.ParquetFile(name, page_checksum_verification=True) as file,
    ):
        for number in range(file.num_row_groups):
            yield pl.DataFrame(pl.from_arrow(file.read_row_group(number)))


def _event(path: Path, before: str | None) -> str:
    """What happened: a night was published, or replaced another."""
    if before is None:
        return "PUBLISHED"
    try:
        replaced = read_record(path.parent / before)["run_measurements"]["replaces"]
    except (OptimizerError, KeyError):
        return "REPLACED"
    return "ROLLED_BACK" if replaced == path.name else "REPLACED"


def versions_in(links: Sequence[Link]) -> dict[dt.date, str | None]:
    """Version of each date that a chain says is published; ``None``: withdrawn."""
    found = {}
    for link in links:
        body = link.body
        if body.get("event") == PRUNED:
            continue  # what is published did not change
        try:
            day = dt.date.fromisoformat(body["date"])
        except (KeyError, TypeError, ValueError):
            continue  # a link that somebody changed: optimizer audit says so
        found[day] = body.get("version")
    return found


def read_links(connection: Connection) -> list[Link]:
    """The chain as the database has it; none in a schema of before there was one."""
    from sqlalchemy import inspect, select

    from optimizer.night.state.schema import EVIDENCE

    if not inspect(connection).has_table(EVIDENCE.name):
        return []
    columns = EVIDENCE.c.number, EVIDENCE.c.hash, EVIDENCE.c.body
    rows = connection.execute(select(*columns).order_by(EVIDENCE.c.number))
    return [Link(*row) for row in rows]


def head_of(state: StateDatabase) -> dict[str, Any] | None:
    """Number and hash of the last link; ``None`` where there is none."""
    with state.transaction() as connection:
        links = read_links(connection)
    return {"number": links[-1].number, "hash": links[-1].hash} if links else None


def read_mirror(mirror: Path) -> list[Link]:
    """The chain as the file has it, without a last line that a crash cut off."""
    if not mirror.is_file():
        return []
    whole, _, _ = mirror.read_bytes().rpartition(b"\n")
    return [_read_line(line) for line in whole.split(b"\n")] if whole else []


def _read_line(line: bytes) -> Link:
    try:
        found = json.loads(line)
        return Link(int(found["number"]), str(found["hash"]), str(found["text"]))
    except (ValueError, RecursionError, KeyError, TypeError):
        return Link(0, "", line.decode(errors="replace"))


def _made_good(connection: Connection, mirror: Path) -> tuple[list[Link], str | None]:
    """The chain, after database and file were completed from each other."""
    links, told = read_links(connection), read_mirror(mirror)
    if links == told:
        return links, None
    words = None
    if told[: len(links)] == links and not broken_links(told):
        _insert(connection, told[len(links) :])
        num, links = len(told) - len(links), told
        words = f"put back in the database, from {mirror}: {counted(num, 'link')}"
    elif links[: len(told)] == told:
        num = len(links) - len(told)
        _append(mirror, links[len(told) :])
        words = f"put back in {mirror}, from the database: {counted(num, 'link')}"
    if words is None:
        logger.warning("evidence: database and %s differ; run optimizer audit", mirror)
    else:
        logger.info("evidence: %s", words)
    return links, words


def _insert(connection: Connection, links: list[Link]) -> None:
    from sqlalchemy import insert

    from optimizer.night.state.schema import EVIDENCE

    rows = [{"number": k.number, "hash": k.hash, "body": k.text} for k in links]
    connection.execute(insert(EVIDENCE), rows)


def _append(mirror: Path, links: list[Link]) -> None:
    """Append lines to the file and flush it; a torn last line is removed first."""
    lines = [
        json.dumps(
            {"number": k.number, "hash": k.hash, "text": k.text}, ensure_ascii=False
        )
        for k in links
    ]
    with mirror.open("ab+") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write("".join(f"{line}\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())
    sync_folder(mirror.parent)


def version_folder(output: Path, day: dt.date, version: str) -> Path:
    """Where a version is kept, published or not."""
    return output / VERSIONS / day.isoformat() / version
