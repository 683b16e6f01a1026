"""
Repair a published night: its inputs with a few changes, to be run again.

The changed tables are written as files in the folder of kept inputs, in the form that
the configuration reads. Everything after that is a run like any other: the night is
solved from the old prices, published beside the old one, and verified, replayed and
audited from the changed tables.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.build.learned_probabilities import model_identity
from optimizer.config import config_hash, policy_on
from optimizer.contracts.run_folder import read_record
from optimizer.errors import ConfigError, DataError
from optimizer.io.cells import cell_rules
from optimizer.io.changed_tables import changed_tables, read_changes
from optimizer.io.fetch import Fetched
from optimizer.io.folders import make_folder
from optimizer.io.kept_inputs import found_inputs, kept_name, placed_record
from optimizer.io.read import FileRecord, open_source
from optimizer.io.write import write_frames
from optimizer.night.claims import changed_inputs, file_sha256, read_claims
from optimizer.night.folders import published_version
from optimizer.night.identity import has_config, program_version
from optimizer.night.inputs import InputPaths, copied_tables

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping

    import polars as pl

    from optimizer.config import Config
    from optimizer.io.read import Source

#: What may change, as the command and :meth:`optimizer.Night.change` name it.
CHANGES = ("capacity", "add", "options", "drop", "cancel")


@dataclass(frozen=True, slots=True, eq=False)
class RepairedInputs:
    """
    The inputs of a repaired night.

    Attributes
    ----------
    inputs
        Where they are.
    fetched
        The same, with the origins of copies.
    record
        For ``run.json``: ``from``, the version that was repaired; ``tables``, those
        that are not the configured files; ``changes``, the files that say what changed.
    """

    inputs: InputPaths
    fetched: Fetched
    record: Mapping[str, Any]


def refuse_base(config: Config, day: dt.date, previous: Path, output: Path) -> None:
    """
    Refuse to repair a night that is not this date's, or of other rules.

    Parameters
    ----------
    config, day
        The run.
    previous
        The folder of the night that is repaired.
    output
        Folder of the published nights.

    Raises
    ------
    ConfigError
        When it is of another date, version, configuration or model, or not the night
        that is published.
    """
    record = read_record(previous)
    if record["date"] != day.isoformat():
        raise ConfigError(
            f"{previous}: is the night of {record['date']}, and --only-changes repairs "
            f"that of {day}; leave it out to start from another night's prices"
        )
    version = record["identity"]["version"]
    if version != program_version():
        raise ConfigError(
            f"{previous}: was made by version {version}, and this is "
            f"{program_version()}: run the whole date, with --force"
        )
    is_same = record["identity"]["config_sha256"] == config_hash(config)
    if not is_same and not has_config(record, config_hash(config)):
        raise ConfigError(
            f"{previous}: was made with another configuration; --only-changes changes "
            "inputs alone. Run the whole date with --force, or give the configuration "
            "that it was made with"
        )
    model = model_identity(config, day)
    if any(record["identity"].get(name) != found for name, found in model.items()):
        raise ConfigError(
            f"{previous}: was made with another model: run the whole date, with --force"
        )
    published = published_version(output, day)
    if published is not None and published.resolve() != previous.resolve():
        raise ConfigError(
            f"{previous}: is not the night that is published for {day}: that is "
            f"{published.name}. Repair it: leave --previous out"
        )


@contextmanager
def repaired_inputs(
    config: Config,
    day: dt.date,
    previous: Path,
    changes: Mapping[str, Path],
    folder: Path | None,
) -> Iterator[RepairedInputs]:
    """
    Write the changed tables of a published night.

    Parameters
    ----------
    config, day, previous
        The run, and the folder of the night that is repaired.
    changes
        Files of :data:`CHANGES`, by name.
    folder
        ``OUTPUT/.inputs/DATE``, where they stay; ``None``: they are removed at the end.

    Raises
    ------
    DataError
        When the night's inputs are not there any more, or a change cannot be.
    """
    record = read_record(previous)
    read_claims(record)
    places = found_inputs(previous, record)
    claims = read_claims(placed_record(record, places))
    if gone := changed_inputs(claims):
        raise DataError(f"{previous}: cannot be repaired: {'; '.join(gone)}")
    rules = cell_rules(config)
    agreed = copied_tables(config, policy_on(config, day))
    sources: dict[str, Source] = {
        name: open_source(places[name], agreed[name], rules=rules)
        for name in ("orders", "capacity", "options")
        if name in places
    }
    found = read_changes(dict(changes), agreed, rules)
    frames = changed_tables(sources, found)
    with _folder(folder, config.files.mode_bits) as kept:
        paths = _paths(record, places)
        for name, frame in frames.items():
            path = _written(frame, sources[name], kept, config.files.mode_bits)
            paths[name] = [str(path)]
        ours = sorted(
            name
            for name, used in record["inputs"].items()
            if paths[name] != [file["path"] for file in used["files"]]
            or name in record.get("repaired", {}).get("tables", ())
        )
        told = {
            "from": previous.resolve().name,
            "tables": ours,
            "changes": {name: asdict(_file(path)) for name, path in changes.items()},
        }
        others = {
            name: given
            for name, given in record["substitutes"].items()
            if name not in ours
        }
        origins = {
            name: given for name, given in record["origins"].items() if name not in ours
        }
        yield RepairedInputs(
            InputPaths({n: p[0] for n, p in paths.items()}, others),
            Fetched(paths, origins),
            told,
        )


def _paths(
    record: Mapping[str, Any], places: Mapping[str, list[str]]
) -> dict[str, str | list[str]]:
    """Files of each table: at their configured places, if they still are the same."""
    found: dict[str, str | list[str]] = {}
    for name, used in record["inputs"].items():
        recorded = [file["path"] for file in used["files"]]
        is_there = all(
            Path(file["path"]).is_file()
            and Path(file["path"]).stat().st_size == file["num_bytes"]
            and file_sha256(Path(file["path"])) == file["sha256"]
            for file in used["files"]
        )
        found[name] = recorded if is_there else places[name]
    return found


def _file(path: Path) -> FileRecord:
    """A file that says what changed, as it was read."""
    return FileRecord(str(path), path.stat().st_size, file_sha256(path))


@contextmanager
def _folder(folder: Path | None, mode: int) -> Iterator[Path]:
    """The folder of kept inputs, or one that is removed at the end."""
    if folder is not None:
        make_folder(folder, mode)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="nights-") as scratch:
        yield Path(scratch)


def _written(frame: pl.DataFrame, source: Source, folder: Path, mode: int) -> Path:
    """Write a changed table in the form that it was read in, named by its checksum."""
    name = source.table.name
    with tempfile.TemporaryDirectory(prefix=f".staging-{name}-", dir=folder) as staging:
        if source.is_text:
            path = Path(staging) / f"{name}.csv"
            encoding = "utf-8" if source.mapping is None else source.mapping.encoding
            path.write_bytes(frame.write_csv().encode(encoding))
        else:
            path = Path(staging) / f"{name}.parquet"
            write_frames([frame], path, dict(frame.schema))
        kept = folder / kept_name(name, file_sha256(path), path)
        path.chmod(mode & 0o440)
        path.replace(kept)
    return kept
