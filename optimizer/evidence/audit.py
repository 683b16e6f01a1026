"""Audit: does the chain of evidence hold, and do all published files match it?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.config import expand_date
from optimizer.contracts.run_folder import LEAVES, RECORD, read_record
from optimizer.errors import ConfigError, DataError, OptimizerError
from optimizer.night.folders import published_nights
from optimizer.night.merkle import root_of
from optimizer.night.publish import sha256_of
from optimizer.night.state.chain import Link, broken_links, text_hash
from optimizer.night.state.database import read_state
from optimizer.night.state.links import (
    BEGUN_ANEW,
    pruned_in,
    read_links,
    read_mirror,
    version_folder,
    versions_in,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from optimizer.config import Config


@dataclass(frozen=True, slots=True)
class Audit:
    """
    What an audit found.

    Attributes
    ----------
    findings
        Descriptions of what is wrong; empty when everything holds.
    head
        The last link; ``None`` where there is none.
    num_links, num_versions, num_pruned, num_gone
        Number of links; of versions checked against them; of versions removed by rule;
        and of replaced versions that are missing without a record.
    unproved
        Published nights of before there was a chain, which only the next run adds, and
        nights of before a chain that was lost was begun anew.
    """

    findings: tuple[str, ...]
    head: Link | None
    num_links: int
    num_versions: int
    num_pruned: int
    num_gone: int
    unproved: tuple[str, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Whether nothing was changed."""
        return not self.findings


def audit(config: Config, head: str | None = None) -> Audit:
    """
    Check the whole chain, and every file of every version that is kept; write nothing.

    Parameters
    ----------
    config
        With ``output``.
    head
        An earlier head, kept elsewhere: it must be part of the chain. Somebody who can
        write both database and folder can forge both, but not a head noted elsewhere.

    Raises
    ------
    ConfigError
        When the configuration has no output.
    BusyError
        When the database does not answer.
    """
    if config.output is None:
        raise ConfigError("published nights need output in the configuration")
    with read_state(config) as state, state.transaction() as connection:
        links = read_links(connection)
        assert state.mirror is not None
        told = read_mirror(state.mirror)
    versions = _linked_folders(config, links)
    published = published_nights(config.output)
    live = set(published.values())
    before = _before_the_chain(published) if not links and not told else {}
    lost, of_lost_chain = _lost_heads(versions, links)
    now = versions_in(links).items()
    due = {_folder(config, day, name) for day, name in now if name is not None}
    gone = [folder for folder in versions if not folder.is_dir() and folder not in live]
    lost_nights = due.intersection(gone)
    findings = [
        *broken_links(links),
        *_between(links, told),
        *_unlinked({d: f for d, f in published.items() if d not in before}, links),
        *(text for item in versions.items() for text in _changed(*item)),
        *lost,
    ]
    if head is not None and head not in {link.hash for link in links}:
        findings.append(f"head {head} is not in the chain: links were removed")
    last = links[-1] if links else None
    by_rule = {_folder(config, day, name) for day, name in pruned_in(links)}
    num_pruned = sum(folder in by_rule for folder in gone)
    return Audit(
        findings=tuple(findings),
        head=last,
        num_links=len(links),
        num_versions=len(versions) - len(gone),
        num_pruned=num_pruned,
        num_gone=len({*gone} - by_rule - lost_nights),
        unproved=(*before.values(), *of_lost_chain),
    )


def changed_files(config: Config, folder: Path) -> list[str] | None:
    """
    Name the files of a version that are not as its link of the chain says.

    Parameters
    ----------
    config
        With ``output``.
    folder
        The folder of the version.

    Returns
    -------
    list of str or None
        Empty: all are as they were published; ``None``: no link covers the version, or
        the chain itself cannot be read.
    """
    try:
        with read_state(config) as state, state.transaction() as connection:
            links = read_links(connection)
    except OptimizerError:
        return None
    own = [link for at, link in _linked_folders(config, links).items() if at == folder]
    return None if not own else sorted(_not_as_linked(folder, own[0]))


def _not_as_linked(folder: Path, link: Link) -> Iterator[str]:
    for name, digest in link.body.get("outputs", {}).items():
        try:
            is_same = sha256_of(folder / name) == digest
        except OSError:
            is_same = False
        if not is_same:
            yield name


def _before_the_chain(published: dict[dt.date, Path]) -> dict[dt.date, str]:
    """Nights of a format that had no chain, with what to do, by date."""
    return {
        day: f"{day}: {folder.name} is of before the chain of evidence, so that it is "
        "as it was published is not proved; the next run adds it to the chain"
        for day, folder in published.items()
        if _has_no_evidence(folder)
    }


def _has_no_evidence(folder: Path) -> bool:
    try:
        return "evidence" not in read_record(folder)
    except DataError:
        return False  # damaged: then nothing is known of it


def _linked_folders(config: Config, links: Sequence[Link]) -> dict[Path, Link]:
    """Folder of each version, and the newest link that covers its files."""
    found = {}
    for link in links:
        (day, version), *_ = versions_in([link]).items() or [(None, None)]
        if day is not None and version is not None:
            found[_folder(config, day, version)] = link
    return found


def _folder(config: Config, day: dt.date, version: str) -> Path:
    from pathlib import Path

    assert config.output is not None
    return version_folder(Path(expand_date(config.output, day)), day, version)


def _between(links: Sequence[Link], told: Sequence[Link]) -> Iterator[str]:
    """Differences between the chain in the database and the one in the file."""
    for link, line in zip(links, told, strict=False):
        if link != line:
            yield f"link {link.number} differs between the database and the file"
    shorter = "database" if len(links) < len(told) else "file"
    if missing := abs(len(links) - len(told)):
        yield f"the {shorter} lacks the last {missing:,} of the links"


def _unlinked(published: dict[dt.date, Path], links: Sequence[Link]) -> Iterator[str]:
    """Dates that are not published as the chain says."""
    known = versions_in(links)
    for day in sorted(published.keys() | known.keys()):
        is_now = published[day].name if day in published else None
        if is_now != known.get(day):
            yield (
                f"{day}: {is_now or 'nothing'} is published, and the chain says "
                f"{known.get(day) or 'nothing'}; the next run follows one that was cut "
                "off, and `optimizer state repair` mends or names what was lost"
            )


def _changed(folder: Path, link: Link) -> Iterator[str]:
    """Files of a version that differ from those of its link."""
    body = link.body
    if not folder.is_dir():
        return
    for name, digest in sorted(body.get("outputs", {}).items()):
        if not (folder / name).is_file():
            yield f"{folder}/{name} is missing (link {link.number})"
        elif sha256_of(folder / name) != digest:
            yield f"{folder}/{name} was changed after link {link.number} was written"
    decisions = body.get("decisions", {})
    if (folder / LEAVES).is_file():
        text = (folder / LEAVES).read_text(encoding="utf-8", errors="replace")
        if not _are_leaves(text, decisions):
            yield f"{folder}/{LEAVES} is not what link {link.number} stands for"


def _are_leaves(text: str, decisions: dict[str, Any]) -> bool:
    if text_hash(text) != decisions.get("leaves_sha256"):
        return False
    leaves = [bytes.fromhex(line) for line in text.split()]
    return root_of(leaves).hex() == decisions.get("root")


def _lost_heads(
    versions: dict[Path, Link], links: Sequence[Link]
) -> tuple[list[str], list[str]]:
    """
    Heads that nights recorded when they were made and that the chain lacks.

    Those of nights of before a chain was begun anew, on record, stand apart: they were
    in the chain that is lost.
    """
    known = {(link.number, link.hash) for link in links}
    begun = links[0].body if links else {}
    is_anew = begun.get("event") == BEGUN_ANEW
    lost, of_lost_chain = [], []
    for folder in versions:
        noted = _noted_head(folder)
        if noted is None or noted[:2] in known:
            continue
        number, head, started = noted
        words = f"{folder}/{RECORD} names link {number} ({head[:16]}…), which is "
        if is_anew and started < str(begun.get("recorded_at_utc")):
            reason = begun.get("reason")
            of_lost_chain.append(f"{words}of the chain that was lost: {reason}")
        else:
            lost.append(f"{words}not in the chain")
    return lost, of_lost_chain


def _noted_head(folder: Path) -> tuple[int, str, str] | None:
    """Number and hash of the head that a night recorded, and when it was made."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        measured = record["run_measurements"]
        head = measured["evidence_head"]
        return head["number"], head["hash"], str(measured["started_at_utc"])
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None  # no head then, or damaged: the checksum says so
