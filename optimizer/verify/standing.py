"""The other nights that were published when a night was."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHAIN, _VERSIONS = ".evidence.jsonl", ".versions"


@dataclass(frozen=True, slots=True)
class Standing:
    """
    Other nights in a night's folder, as they were when it was published.

    Attributes
    ----------
    day
        Of the night itself.
    nights
        Folder of each other date.
    gone
        Dates that were published then, according to the chain, without a folder now.
    before_it
        Dates whose link was made before the night was solved, so that they count for
        it.
    is_sure
        Whether this is from a chain; else from the present folders.
    head
        Hash of the chain's last link; ``None`` without a chain.
    own_record
        SHA-256 of the night's record as the chain has it; ``None`` where it has none.
    """

    day: dt.date
    nights: Mapping[dt.date, Path]
    gone: tuple[dt.date, ...] = ()
    before_it: frozenset[dt.date] = frozenset()
    is_sure: bool = False
    head: str | None = None
    own_record: str | None = None


def standing_of(folder: Path, record: Mapping[str, Any]) -> Standing:
    """Find the other nights of a night, from the chain if there is one."""
    real, day = folder.resolve(), dt.date.fromisoformat(record["date"])
    is_version = real.parent.parent.name == _VERSIONS
    output = real.parents[2] if is_version else folder.absolute().parent
    links = _links(output / _CHAIN) if is_version else []
    started = record["run_measurements"]["started_at_utc"]
    own = [
        number
        for number, link in enumerate(links)
        if link.get("date") == day.isoformat() and link.get("version") == real.name
    ]
    if own and not _is_anew_after(links, started):
        return _as_of(output, _of_nights(links), day, real.name, record)
    nights = {
        date: path
        for date, path in _folders(output).items()
        if date != day and _is_before(path, started, date < day)
    }
    return Standing(
        day,
        nights,
        head=_hash_of_last(output / _CHAIN),
        own_record=links[own[0]].get("outputs", {}).get("run.json") if own else None,
    )


def _is_anew_after(links: list[dict[str, Any]], started: str) -> bool:
    """Whether a chain was begun anew after a night: it does not tell the order then."""
    is_anew = links[0].get("event") == "BEGUN_ANEW"
    return is_anew and started < str(links[0].get("recorded_at_utc"))


def _of_nights(links: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Links that tell of a night: which version, or that it is withdrawn."""
    return [link for link in links if "version" in link]


def _is_before(path: Path, started: str, is_earlier_date: bool) -> bool:
    """Whether a night was made before another one started, as far as it says so."""
    try:
        record = json.loads((path / "run.json").read_text(encoding="utf-8"))
        own = str(record["run_measurements"]["started_at_utc"])
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return is_earlier_date
    return own < started or (own == started and is_earlier_date)


def _as_of(
    output: Path,
    links: list[dict[str, Any]],
    day: dt.date,
    version: str,
    record: Mapping[str, Any],
) -> Standing:
    """Nights that were published, by the chain, when a version first was."""
    standing: dict[dt.date, str] = {}
    before: set[dt.date] = set()
    started = record["run_measurements"]["started_at_utc"]
    own = None
    for link in links:
        date = dt.date.fromisoformat(link["date"])
        if date == day and link["version"] == version:
            own = link.get("outputs", {}).get("run.json")
            break
        if date == day:
            continue
        if link["version"] is None:
            standing.pop(date, None)
        else:
            standing[date] = link["version"]
        if link["recorded_at_utc"] < started:
            before.add(date)
    nights = {
        date: output / _VERSIONS / date.isoformat() / name
        for date, name in standing.items()
    }
    there = {
        date: path for date, path in nights.items() if (path / "_SUCCESS").is_file()
    }
    return Standing(
        day=day,
        nights=there,
        gone=tuple(sorted({*nights} - {*there})),
        before_it=frozenset(before & {*there}),
        is_sure=True,
        head=_hash_of_last(output / _CHAIN),
        own_record=own,
    )


def _links(path: Path) -> list[dict[str, Any]]:
    """Bodies of a chain's links; none where it is not there or cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [json.loads(json.loads(line)["text"]) for line in lines]
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return []


def _hash_of_last(path: Path) -> str | None:
    try:
        last = path.read_text(encoding="utf-8").splitlines()[-1]
        return str(json.loads(last)["hash"])
    except (OSError, ValueError, RecursionError, KeyError, TypeError, IndexError):
        return None


def _folders(output: Path) -> dict[dt.date, Path]:
    """Published folders by date, as they are now."""
    found = {}
    for path in sorted(output.glob("????-??-??")):
        try:
            date = dt.date.fromisoformat(path.name)
        except ValueError:
            continue
        if (path / "_SUCCESS").is_file():
            found[date] = path
    return found


def run_name(identity: Mapping[str, Any]) -> str:
    """Name of a run: a hash of its identity."""
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
