"""
Mend what a copy or a loss took from an output folder: links of dates, and the chain.

Nothing is removed: a folder that stands where a date's link belongs is moved into the
versions, or aside where it is a copy of one. What is mended, and from what, is said.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.contracts.run_folder import RECORD, SUCCESS, read_record
from optimizer.errors import ConfigError, DataError
from optimizer.explain.week import run_id
from optimizer.night.folders import (
    published_nights,
    published_version,
    version_dates,
)
from optimizer.night.publish import (
    VERSIONS,
    disk_errors,
    point,
    sha256_of,
    withdrawn_version,
)
from optimizer.night.state.chain import broken_links
from optimizer.night.state.database import open_state
from optimizer.night.state.links import (
    begin_anew,
    mend_chain,
    read_mirror,
    versions_in,
)
from optimizer.night.state.reconcile import (
    known_versions,
    night_lock,
    output_of,
    reconcile,
    refuse_lost_chain,
)

if TYPE_CHECKING:
    from optimizer.config import Config
    from optimizer.night.state.chain import Link
    from optimizer.night.state.database import StateDatabase


def repair(config: Config, new_chain: str | None = None) -> list[str]:
    """
    Mend links of dates, the chain of evidence and the state.

    Parameters
    ----------
    config
        With ``output``.
    new_chain
        Why the chain is begun anew, where both its file and the database have lost it.

    Returns
    -------
    list of str
        What was mended, and what was trusted for it, in sentences.

    Raises
    ------
    ConfigError
        When the chain is there and is asked to begin anew, or does not hold by itself.
    BusyError, PublishError
        As a run.
    """
    if config.output is None:
        raise ConfigError("published nights need output in the configuration")
    said: list[str] = []
    with disk_errors(Path(config.output), "what was lost"), open_state(config) as state:
        links, words = mend_chain(state)
        said += [] if words is None else [words]
        if wrong := broken_links(links):
            raise ConfigError(
                f"the chain of evidence does not hold ({wrong[0]}), so nothing is "
                "mended from it; restore database and .evidence.jsonl from a backup"
            )
        if links or new_chain is not None:
            said += _mend_file(state, links)
        if new_chain is None and not links:
            refuse_lost_chain(
                config.output, published_nights(config.output), known_versions(state)
            )
        if new_chain is not None:
            if not new_chain.strip():
                raise ConfigError("--new-chain: say why the chain is begun anew")
            if links:
                raise ConfigError(
                    f"the chain of evidence has {len(links):,} links and is not begun "
                    "anew; leave --new-chain out"
                )
            begin_anew(state, new_chain)
            said.append(f"a new chain of evidence is begun: {new_chain}")
        known = versions_in(links)
        for day in version_dates(config.output):
            output = output_of(config.output, day)
            with night_lock(state, output, day):
                said += _mend_date(output, day, known)
        healed = reconcile(state, config.output)
    said += [f"{day}: the state and the chain know it again" for day in healed.dates]
    named = {text.partition(":")[0] for text in said}
    return [
        *said,
        *(f"{d}: {w}" for d, w in healed.unreadable.items() if str(d) not in named),
    ]


def _mend_file(state: StateDatabase, links: list[Link]) -> list[str]:
    """
    Write the chain's file again from the database, where the file is no chain.

    Raises
    ------
    ConfigError
        When it is another chain that holds as well: then nothing says which is true.
    """
    mirror = state.mirror
    assert mirror is not None
    told = read_mirror(mirror)
    if told == links:
        return []
    wrong = broken_links(told)
    if not wrong:
        first = next(
            k for k, (a, b) in enumerate(zip(links, told, strict=False), 1) if a != b
        )
        raise ConfigError(
            f"the database and {mirror} have different chains from link {first} on, "
            "and each holds by itself; restore one of the two from a backup"
        )
    names = (mirror.with_name(f"{mirror.name}.aside-{n}") for n in range(1, 1_000))
    aside = next(path for path in names if not path.exists())
    mirror.rename(aside)
    mend_chain(state)
    again = ", and is written again from the database" if links else ""
    return [f"{mirror} was no chain ({wrong[0]}); it is {aside.name} now{again}"]


def _mend_date(
    output: Path, day: dt.date, known: dict[dt.date, str | None]
) -> list[str]:
    """Put a date's link back, where it is lost."""
    link, said = output / day.isoformat(), list[str]()
    if published_version(output, day) is not None:
        return said
    if link.is_dir() and not link.is_symlink():
        said.append(_move_aside(output, day, link))
    if day in known and known[day] in (None, withdrawn_version(output, day)):
        return said  # withdrawn, says the chain, or a command that did not come to it
    version, source = known.get(day), "the chain of evidence"
    if version is None:
        whole = _whole_versions(output, day)
        if len(whole) != 1:
            return [
                *said,
                f"{day}: has {len(whole):,} versions and no link, and nothing says "
                "which was published; run the date again",
            ]
        version, source = whole[0].name, "its only version"
    target = output / VERSIONS / day.isoformat() / version
    if not (target / SUCCESS).is_file():
        return [
            *said,
            f"{day}: version {version} is gone, or not whole; restore its folder, or "
            f"withdraw it with optimizer rollback {day} --withdraw",
        ]
    point(output, day, target)
    return [*said, f"{day}: the link to {version} is there again, from {source}"]


def _move_aside(output: Path, day: dt.date, folder: Path) -> str:
    """Move a folder from a link's place, into the versions if it is missing there."""
    versions = output / VERSIONS / day.isoformat()
    try:
        name = run_id(read_record(folder)["identity"])
    except DataError as error:
        raise ConfigError(f"{error}; move it away by hand") from None
    own = sha256_of(folder / RECORD)
    for path in _whole_versions(output, day):
        if sha256_of(path / RECORD) == own:
            aside = output / f".{day}.copy"
            folder.rename(aside)
            return f"{day}: a copy of {path.name} stood in the link's place; is {aside}"
    versions.mkdir(parents=True, exist_ok=True)
    folder.rename(versions / name)
    return f"{day}: the folder in the link's place is version {name} now"


def _whole_versions(output: Path, day: dt.date) -> list[Path]:
    kept = output / VERSIONS / day.isoformat()
    found = sorted(kept.iterdir()) if kept.is_dir() else []
    return [path for path in found if path.name[0] != "." and _is_whole(path)]


def _is_whole(path: Path) -> bool:
    return (path / SUCCESS).is_file() and (path / RECORD).is_file()
