"""Verify a published night: its premises, and everything that it states."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.contracts.run_folder import AUDIT, read_record, resolved
from optimizer.contracts.warnings import read_warning
from optimizer.errors import CertificateError
from optimizer.io.kept_inputs import found_inputs, placed_record
from optimizer.verify.audit import audit_text, is_of_today
from optimizer.verify.cells import RULES_OF_TODAY, rules_of
from optimizer.verify.csv_form import false_forms
from optimizer.verify.engine import Finding, state_again, why_no_engine
from optimizer.verify.form import false_form
from optimizer.verify.inherited import check_beside
from optimizer.verify.older import in_full, not_proved
from optimizer.verify.premises import (
    differs_from,
    false_config,
    false_files,
    false_inputs,
    false_keys,
    false_origins,
    false_place,
    false_root,
    false_shape,
    sha256_of,
)
from optimizer.verify.standing import standing_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from optimizer.config import Config
    from optimizer.verify.standing import Standing


@dataclass(frozen=True, slots=True)
class Verified:
    """
    The result of verifying a night.

    Attributes
    ----------
    folder
        The version that was verified: a link may lead to another one meanwhile.
    findings
        Descriptions of what is wrong; empty where everything holds.
    unchecked
        What could not be checked, and why.
    trusted
        Premises of the result: hashes of inputs, configuration and chain.
    is_stated
        Whether the night was stated a second time.
    is_of_today
        Whether it is published in the present format, so that it can be made again.
    """

    folder: Path
    findings: tuple[str, ...]
    unchecked: tuple[str, ...]
    trusted: tuple[str, ...]
    is_stated: bool
    is_of_today: bool = True

    @property
    def is_valid(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


#: What is raised where a record lacks what every record has.
_OF_SHAPE = (KeyError, TypeError, IndexError, AttributeError, ValueError)


def verify_night(
    folder: Path | str, config: Config | None = None, inputs: Path | None = None
) -> Verified:
    """
    Verify a published night, without any of the code that made it.

    Parameters
    ----------
    folder
        The night.
    config
        The configuration that the reader has, to be compared with the recorded one.
    inputs
        A folder with the night's inputs, if they were moved.

    Raises
    ------
    DataError
        When the folder is not a run at all.
    """
    named, folder = Path(folder).absolute(), resolved(folder)
    record = read_record(folder)
    try:
        return _verified(folder, named.name, record, config, inputs)
    except _OF_SHAPE as error:
        if _is_in_chain(folder, record):
            raise
        kind = type(error).__name__
        found = f"run.json is not the record of a night: {kind} at {error}"
        return Verified(folder, (found[:200],), (), (), is_stated=False)


def _is_in_chain(folder: Path, record: Mapping[str, Any]) -> bool:
    """Whether the chain has this very record: it is whole, and the fault is ours."""
    try:
        own = standing_of(folder, record).own_record
    except _OF_SHAPE:
        return False
    return own is not None and own == sha256_of(folder / "run.json")


def _verified(
    folder: Path,
    named: str,
    record: Mapping[str, Any],
    config: Config | None,
    inputs: Path | None,
) -> Verified:
    """Verify a night whose record has what records have, in the place it was read."""
    findings = [*false_keys(folder), *false_form(record)]
    if findings:
        return Verified(folder, tuple(findings), (), (), is_stated=False)
    places = found_inputs(folder, record, inputs)
    findings = [*false_place(named, folder, record), *false_config(record)]
    if config is not None:
        findings += differs_from(record, config)
    record = in_full(record)
    findings += _premises(folder, record, places)
    standing = standing_of(folder, record)
    findings += _false_link(folder, standing)
    unchecked: list[str] = []
    is_stated = not findings
    if not findings:
        beside = check_beside(folder, placed_record(record, places), standing)
        findings, unchecked = beside.findings, beside.unchecked
        reason = why_no_engine()
        if reason is None:
            findings += map(str, _statement(folder, record, places))
            findings += _check_script(folder, record, unchecked)
            findings += _false_sentences(record, unchecked)
        else:
            unchecked.append(reason)
            is_stated = False
        unchecked += not_proved(record, folder)
    unchecked += [*not_stated(record), *_not_recorded(record)]
    made_by = record["identity"]["version"]
    is_ours = made_by == version("premium-delivery-optimizer")
    if not (has_page := is_of_today(record) and is_ours):
        old = "an older format" if is_ours else f"version {made_by}"
        unchecked.append(f"report.html: is of {old}, and was not made again")
    placed = placed_record(record, places)
    trusted = _trusted(placed, standing, has_config=config is not None)
    lists = tuple(findings), tuple(unchecked), tuple(trusted)
    return Verified(folder, *lists, is_stated=is_stated, is_of_today=has_page)


def _not_recorded(record: Mapping[str, Any]) -> Iterator[str]:
    """Nights of before assumptions were recorded do not say what they took for true."""
    if "assumptions" not in record:
        yield "assumptions: are not in the record, which does not say what is taken"


def not_stated(record: Mapping[str, Any]) -> Iterator[str]:
    """Name published tables of which the statement says nothing."""
    text = audit_text(record)
    for name in sorted(record["outputs"]):
        if name.endswith(".parquet") and name not in text:
            yield f"{name}: is as it was published, and not stated a second time"


def _premises(
    folder: Path, record: Mapping[str, Any], inputs: Mapping[str, list[str]]
) -> Iterator[str]:
    yield from false_origins(record)
    wrong = false_files(folder, record)
    yield from wrong
    if not wrong:
        yield from false_shape(folder, record)
    yield from false_inputs(record, inputs)
    yield from false_forms(record, inputs)
    yield from false_root(folder, record)


def _false_link(folder: Path, standing: Standing) -> Iterator[str]:
    """Check that the chain, if it has the night, has this record."""
    if standing.own_record not in (None, sha256_of(folder / "run.json")):
        yield "run.json is not the record that the chain of evidence has"


def _statement(
    folder: Path, record: Mapping[str, Any], inputs: Mapping[str, list[str]]
) -> Iterator[str | Finding]:
    """State the night again."""
    try:
        yield from state_again(folder, record, inputs)
    except CertificateError as error:
        yield str(error)


def _check_script(
    folder: Path, record: Mapping[str, Any], unchecked: list[str]
) -> Iterator[str]:
    """Check that the script in the folder is the statement of this night."""
    script, made_by = folder / AUDIT, record["identity"]["version"]
    if not script.is_file():
        return
    if made_by != version("premium-delivery-optimizer"):
        unchecked.append(f"{AUDIT}: is of version {made_by}, and was not compared")
    elif rules_of(record["config"]) < RULES_OF_TODAY:
        unchecked.append(
            f"{AUDIT}: is of before the present rules of cells, and was not compared"
        )
    elif script.read_text("utf-8") != audit_text(record):
        yield f"{AUDIT} is not the statement of this night"


def _false_sentences(record: Mapping[str, Any], unchecked: list[str]) -> Iterator[str]:
    """Check that the sentences of warnings and alerts match their codes."""
    made_by = record["identity"]["version"]
    for name, kind in (
        ("warnings", "warning"),
        ("assumptions", "assumption"),
        ("alerts", "alert"),
    ):
        coded = [one for one in record.get(name, ()) if not isinstance(one, str)]
        if coded and made_by != version("premium-delivery-optimizer"):
            unchecked.append(
                f"{name}: their sentences are of version {made_by}, and were not made "
                "again"
            )
            continue
        for given in coded:
            read = read_warning(given)
            if read is None:
                code = str(given["code"])[:40]
                yield f"{name}: {code} is no {kind} with these values"
            elif read.text != given["text"]:
                yield f"{name}: the sentence of {read.code} is another: {read.text}"


def _trusted(
    record: Mapping[str, Any], standing: Standing, *, has_config: bool
) -> Iterator[str]:
    """Premises that the reader must compare with other sources."""
    repaired = record.get("repaired", {})
    for name, used in sorted(record["inputs"].items()):
        for file in used["files"]:
            origin = record["origins"].get(name)
            also = f" (a copy of {origin})" if origin else ""
            if name in repaired.get("tables", ()):
                also = f" (changed after {repaired['from']})"
            yield f"{name}: {file['path']}{also} sha256 {file['sha256']}"
    compared = (
        "the one that you gave" if has_config else "compare it with --config FILE"
    )
    yield f"configuration: sha256 {record['identity']['config_sha256']} ({compared})"
    if "model_sha256" in record["identity"]:
        yield f"learned model: sha256 {record['identity']['model_sha256']}"
    nights = ", ".join(map(str, sorted(standing.nights))) or "none"
    yield f"other nights in the output folder: {nights}"
    if standing.head is None:
        yield "chain of evidence: none in the output folder"
    else:
        yield f"chain of evidence: head {standing.head} (optimizer audit checks it)"
