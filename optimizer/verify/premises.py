"""The premises of a night: its folder, its files, its inputs, its configuration."""

from __future__ import annotations

import datetime as dt
import fnmatch
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.config.address import is_address, parse_address
from optimizer.contracts.run_folder import AUDIT, RECORD, REPORT, SCHEMA_VERSION
from optimizer.contracts.tables import DECISIONS, EVERY_NIGHT, PUBLISHED
from optimizer.errors import OptimizerError
from optimizer.verify.audit import has_amounts, is_of_today

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from optimizer.config import Config

#: Decisions that are hashed together, as the documentation says: of a merchant, and of
#: formats 1 and 2 those that a line of the evidence stands for.
_ROWS_IN_PIECE, _ROWS_IN_LEAF = 65_536, 128
#: Tables that came with format 3.
_OF_ROWS = {"merchant_index.parquet", "order_index.parquet"}
_ALWAYS = ("run.json", "evidence.txt", "_SUCCESS")
#: Parts of the configuration that decide nothing of a night.
_NOT_DECISIVE = (
    *("state", "outputs", "outbox", "operations", "keep", "limits", "files", "report"),
)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def false_place(name: str, real: Path, record: Mapping[str, Any]) -> list[str]:
    """
    Compare a folder's name with the night's date and run.

    Parameters
    ----------
    name
        The folder's name as the reader gives it, perhaps that of a link.
    real
        The folder itself.
    record
        Its ``run.json``.
    """
    day = record["date"]
    found = [
        f"the folder is of {given}, and the night of {day}"
        for given in sorted({name, real.name, real.parent.name})
        if _is_date(given) and given != day
    ]
    if real.parent.parent.name == ".versions":
        from optimizer.verify.standing import run_name

        run = run_name(record["identity"])
        if real.name != run and not real.name.startswith(f"{run}-"):
            found.append(f"the folder is of run {real.name}, and the record of {run}")
    return found


def _is_date(name: str) -> bool:
    try:
        dt.date.fromisoformat(name)
    except ValueError:
        return False
    return len(name) == len("2026-11-22")


def false_files(folder: Path, record: Mapping[str, Any]) -> list[str]:
    """
    Find files that are not listed, missing, or different from what was listed.

    Each night with evidence has a table of every kind that is not optional, and a
    report; since margins are amounts, its statement in SQL too.
    """
    listed = {**record["outputs"]}
    there = {path.name for path in folder.iterdir()}
    later = set() if is_of_today(record) else _OF_ROWS
    every = [*EVERY_NIGHT, REPORT, *([AUDIT] if has_amounts(record) else [])]
    found = [
        f"{name} is not among the outputs, and every night has one"
        for name in every
        if name not in listed and name not in later and "evidence" in record
    ]
    found += [
        f"{name} is in the folder, and the record does not list it"
        for name in sorted(there - {*listed, *_ALWAYS})
    ]
    for name, claim in sorted(listed.items()):
        if name not in there:
            found.append(f"{name} is missing")
        elif sha256_of(folder / name) != claim["sha256"]:
            found.append(f"{name} was changed after it was published")
    return found


def false_shape(folder: Path, record: Mapping[str, Any]) -> list[str]:
    """
    Find tables with other columns, or another length, than the record states.

    A column that no check reads could say anything; tables of older formats have their
    own columns, which their hashes and the statement hold.
    """
    import polars as pl

    is_new = has_amounts(record)
    found, lengths = [], {}
    true_version = SCHEMA_VERSION if is_of_today(record) else 1 + is_new
    if record["schema_version"] != true_version:
        found.append("schema_version is not that of the tables")
    for name, claim in sorted(record["outputs"].items()):
        if name not in PUBLISHED:
            continue
        table = pl.scan_parquet(folder / name)
        lengths[name] = table.select(pl.len()).collect().item()
        if claim.get("num_rows") != lengths[name]:
            said = claim.get("num_rows")
            found.append(f"outputs.{name}.num_rows is {said}, and {lengths[name]:,}")
        columns = table.collect_schema().names()
        true = [column.name for column in PUBLISHED[name].columns]
        if is_new and columns != true:
            found.append(f"{name} has other columns than {', '.join(true)}")
    return [*found, *_false_evidence(record, lengths.get(DECISIONS.file))]


def _false_evidence(
    record: Mapping[str, Any], num_decisions: int | None
) -> Iterator[str]:
    """Check that the evidence covers all decisions, with all their columns."""
    said = record.get("evidence")
    if said is None:
        return
    if said["num_rows"] != num_decisions:
        yield f"evidence.num_rows is {said['num_rows']:,}, and not of all decisions"
    size, rows = "rows_in_leaf", _ROWS_IN_LEAF
    if is_of_today(record):
        size, rows = "rows_in_piece", _ROWS_IN_PIECE
    if said.get(size) != rows:
        yield f"evidence.{size} is not {rows}"
    columns = [column.name for column in DECISIONS.columns]
    if has_amounts(record) and said["columns"] != columns:
        yield "evidence.columns are not those of the decisions"


def false_root(folder: Path, record: Mapping[str, Any]) -> Iterator[str]:
    """The leaves of the evidence lead to the hash that stands for all decisions."""
    said, path = record.get("evidence"), folder / "evidence.txt"
    if said is None:
        return
    if not path.is_file() or sha256_of(path) != said["leaves_sha256"]:
        yield "evidence.txt is missing, or was changed after it was published"
        return
    level = [bytes.fromhex(line) for line in path.read_text("ascii").split()]
    if is_of_today(record) and said.get("num_leaves") != len(level):
        yield "evidence.num_leaves is not the number of lines of evidence.txt"
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [hashlib.sha256(b"\1" + one + other).digest() for one, other in pairs]
        level = above + level[len(level) - len(level) % 2 :]
    root = level[0] if level else hashlib.sha256(b"").digest()
    if root.hex() != said["root"]:
        yield "evidence.root does not follow from evidence.txt"


def false_keys(folder: Path) -> list[str]:
    """Find duplicate keys in ``run.json``: readers differ in which one counts."""
    found: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [name for name, _ in pairs]
            twice = sorted({name for name in names if names.count(name) > 1})
            found.append(f"run.json: {', '.join(twice)} is given twice")
        return made

    text = (folder / RECORD).read_text(encoding="utf-8")
    json.loads(text, object_pairs_hook=once)
    return found


def false_inputs(
    record: Mapping[str, Any], inputs: Mapping[str, list[str]]
) -> list[str]:
    """
    Find input files that are missing or differ from those that were solved.

    Parameters
    ----------
    record
        The night's ``run.json``.
    inputs
        Where its files are, by table.
    """
    found = []
    for name, used in record["inputs"].items():
        hashes = []
        for file, place in zip(used["files"], inputs[name], strict=True):
            path = Path(place)
            hashes.append(file["sha256"])
            if not path.is_file():
                found.append(
                    f"input {path} is gone, so nothing can be proved from it; name a "
                    "folder that has it with --inputs"
                )
            elif sha256_of(path) != file["sha256"]:
                found.append(f"input {path} was changed after the run")
            elif path.stat().st_size != file["num_bytes"]:
                found.append(f"input {path} has other than {file['num_bytes']:,} bytes")
        if record["identity"]["inputs"].get(name) != hashes:
            found.append(f"identity.inputs.{name} is not of the files of {name}")
    return found


def false_origins(record: Mapping[str, Any]) -> list[str]:
    """Compare the places of inputs, and substitutes, with the configuration."""
    inputs, day = (
        record["config"]["inputs"] or {},
        dt.date.fromisoformat(record["date"]),
    )
    found = []
    for name, used in record["inputs"].items():
        place = inputs.get(name)
        if place is None:
            found.append(f"inputs.{name}: the configuration names no such table")
            continue
        place = place["path"] if isinstance(place, dict) else place
        on_day = _on(place, day)
        if name in record.get("repaired", {}).get("tables", ()):
            found += _not_kept(name, record)
            continue
        if name in record["substitutes"]:
            found += _false_substitute(name, record, place, day)
            on_day = record["substitutes"][name]
        if is_address(on_day):
            found += _false_copy(name, record, on_day)
        elif name in record["origins"]:
            found.append(f"origins.{name}: the configuration names a file here")
        elif not all(_fits(file["path"], on_day) for file in used["files"]):
            found.append(f"inputs.{name}: the files are not those of {on_day}")
    for what in ("substitutes", "origins"):
        found += [
            f"{what}.{name}: there is no such table"
            for name in record[what]
            if name not in record["inputs"]
        ]
    return found


def _on(place: str, day: dt.date) -> str:
    return place.replace("{date}", day.isoformat())


def _false_substitute(
    name: str, record: Mapping[str, Any], place: str, day: dt.date
) -> Iterator[str]:
    allowed = (
        record["config"]["inputs"]["when_capacity_is_late"] == "yesterdays_capacity"
    )
    if name != "capacity" or not allowed:
        yield f"substitutes.{name}: the configuration allows no substitute for it"
    elif record["substitutes"][name] != _on(place, day - dt.timedelta(days=1)):
        yield f"substitutes.{name}: is not the table of the day before"


def _false_copy(name: str, record: Mapping[str, Any], place: str) -> Iterator[str]:
    """Check that copies of addresses are in the folder of copies, with their origin."""
    try:
        label = parse_address(place).label
    except (OptimizerError, ValueError):
        label = place
    origin = record["origins"].get(name, "")
    if origin != label and not origin.startswith(f"{label} "):
        yield f"origins.{name} is {origin!r}, and the configuration names {label}"
    yield from _not_kept(name, record)


def _not_kept(name: str, record: Mapping[str, Any]) -> Iterator[str]:
    """Files of a table that are not in the folder of copies."""
    for file in record["inputs"][name]["files"]:
        if Path(file["path"]).parent.parent.name != ".inputs":
            yield f"inputs.{name}: {file['path']} is not a copy of an input"


def _fits(path: str, pattern: str) -> bool:
    """Whether a file is one that a path or a glob of the configuration means."""
    plain = os.path.normpath(pattern)
    if plain.startswith(".."):
        plain = plain.replace("../", "")
    whole = plain if Path(plain).is_absolute() else f"*/{plain}"
    return (
        path == plain or fnmatch.fnmatchcase(path, whole) or path.endswith(f"/{plain}")
    )


def false_config(record: Mapping[str, Any]) -> list[str]:
    """Check the recorded configuration against its contract, and its hash."""
    from optimizer.config import as_config, config_json, policy_on

    config, day = record["config"], dt.date.fromisoformat(record["date"])
    found: list[str] = []
    try:
        read = as_config(config)
        found += [
            f"config.{key} is not as it is read ({given!r})"
            for key, given in config.items()
            if not _holds(given, config_json(read).get(key))
        ]
        if not _holds(record["policy"], policy_on(read, day).model_dump(mode="json")):
            found.append("policy is not the row in force on the date")
    except OptimizerError as error:
        found.append(f"the recorded configuration is not valid: {error}")
    if record["identity"]["config_sha256"] != hash_of(config):
        found.append("identity.config_sha256 is not of the recorded configuration")
    if "model_sha256" in record["identity"] and config["model"] is None:
        found.append("identity.model_sha256: the configuration names no model")
    if record["identity"]["date"] != record["date"]:
        found.append("identity.date is not the night's")
    return found


def _holds(given: Any, read: Any) -> bool:
    """Whether the recorded keys are read unchanged; later keys have their defaults."""
    if isinstance(given, dict) and isinstance(read, dict):
        return all(
            key in read and _holds(value, read[key]) for key, value in given.items()
        )
    if isinstance(given, list) and isinstance(read, list):
        return len(given) == len(read) and all(map(_holds, given, read))
    return bool(given == read)


def hash_of(config: Mapping[str, Any]) -> str:
    """SHA-256 of the parts of a configuration that affect a night."""
    decisive = {k: v for k, v in config.items() if k not in _NOT_DECISIVE}
    text = json.dumps(decisive, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def differs_from(record: Mapping[str, Any], config: Config) -> list[str]:
    """
    Compare the recorded configuration with the one that the reader has.

    Parameters
    ----------
    record
        Of the night.
    config
        The reader's.
    """
    from optimizer.config import as_config, config_json

    theirs: dict[str, Any] = config_json(config)
    try:
        # Keys that came after the night had their defaults then.
        recorded = config_json(as_config(record["config"]))
    except OptimizerError:
        recorded = record["config"]
    found: list[str] = []
    for key in sorted({*theirs, *recorded} - {*_NOT_DECISIVE}):
        found += _differences(key, recorded.get(key), theirs.get(key))
    return [f"the configuration that you gave differs: {words}" for words in found]


def _differences(name: str, said: Any, given: Any) -> Iterator[str]:
    if isinstance(said, dict) and isinstance(given, dict):
        for key in sorted({*said, *given}):
            yield from _differences(f"{name}.{key}", said.get(key), given.get(key))
    elif isinstance(said, list) and isinstance(given, list) and len(said) == len(given):
        for number, (one, other) in enumerate(zip(said, given, strict=True)):
            yield from _differences(f"{name}[{number}]", one, other)
    elif said != given:
        yield f"{name} is {json.dumps(given)}, and {json.dumps(said)} in the record"
