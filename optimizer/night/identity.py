"""The identity of a run: what makes two runs the same."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from optimizer.build.learned_probabilities import model_identity
from optimizer.config import as_config, config_hash
from optimizer.contracts.run_folder import read_record
from optimizer.errors import ConfigError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from pathlib import Path

    from optimizer.config import Config
    from optimizer.io.read import FileRecord


def program_version() -> str:
    """The version of this program, by which nights know who made them."""
    return version("premium-delivery-optimizer")


def identity_of(
    config: Config,
    day: dt.date,
    files: Mapping[str, tuple[FileRecord, ...]],
    previous: Path | None,
    history: str | None,
) -> dict[str, Any]:
    """
    The identity of a run: rules, inputs, program, date, earlier nights.

    An earlier run counts only where it may decide between equal optima, and earlier
    nights only where they can affect the answer.

    Parameters
    ----------
    config
        The rules.
    day
        The business date.
    files
        Input files with their checksums, by table.
    previous
        Folder of an earlier run to start from; ``None``: none.
    history
        Digest of what earlier nights left to this one; ``None``: nothing.
    """
    kept: dict[str, Any] = {} if history is None else {"history": history}
    if previous is not None and config.solver.keep_previous:
        kept |= {"previous": read_record(previous)["identity"]}
    return kept | {
        "date": day.isoformat(),
        **model_identity(config, day),
        "version": program_version(),
        "config_sha256": config_hash(config),
        "inputs": {name: [f.sha256 for f in found] for name, found in files.items()},
    }


def is_same_night(
    before: Mapping[str, Any], identity: Mapping[str, Any], config: Config
) -> bool:
    """
    Whether a published night is the one that a run would produce.

    A key that a later version added has its default in earlier nights. That changes
    only their hash, so the recorded configuration is read with today's keys.

    Parameters
    ----------
    before
        The published night's ``run.json``.
    identity, config
        The run's.
    """
    old = before["identity"]
    if old == identity:
        return True
    if {**old, "config_sha256": None} != {**identity, "config_sha256": None}:
        return False
    return has_config(before, config_hash(config))


def has_config(before: Mapping[str, Any], config_sha256: str) -> bool:
    """
    Whether a night's configuration, with the keys of today, has this hash.

    Parameters
    ----------
    before
        The published night's ``run.json``.
    config_sha256
        The hash.
    """
    try:
        return config_hash(as_config(before["config"])) == config_sha256
    except ConfigError:
        return False


def already_words(
    output: Path, day: dt.date, before: Mapping[str, Any], identity: Mapping[str, Any]
) -> str:
    """
    Explain why a night that is published from other inputs is not replaced.

    Parameters
    ----------
    output
        Folder of published nights.
    day
        The business date.
    before
        The published night's ``run.json``.
    identity
        The run's.
    """
    changed = ", ".join(changes_since(before, identity))
    return (
        f"{output / day.isoformat()}: is already published, and {changed} "
        "changed since; pass --force to replace it (the old night is kept aside)"
    )


def changes_since(before: Mapping[str, Any], identity: Mapping[str, Any]) -> list[str]:
    """
    Name what a run has that a published night was not made from.

    Parameters
    ----------
    before
        The published night's ``run.json``.
    identity
        The run's.
    """
    old = before["identity"]
    changed = [
        what
        for what, key in (
            ("the configuration", "config_sha256"),
            ("the program", "version"),
            ("the model", "model_sha256"),
        )
        if old.get(key) != identity.get(key)
        and (
            key != "config_sha256" or not has_config(before, identity["config_sha256"])
        )
    ]
    names = {*old["inputs"], *identity["inputs"]}
    if old.get("history") != identity.get("history"):
        changed.append("what earlier nights left")
    changed += sorted(
        name
        for name in names
        if old["inputs"].get(name) != identity["inputs"].get(name)
    )
    changed += [
        what
        for what, key in (
            ("the earlier run that ties are kept from", "previous"),
            ("the form of the inputs", "read_as"),
        )
        if old.get(key) != identity.get(key) and not {*names} & {*changed}
    ]
    return changed
