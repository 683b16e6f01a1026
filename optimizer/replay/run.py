"""
Prove a published night again, from its files and its inputs alone.

Reads the inputs (checked against their recorded checksums), builds the problem, reads
plan and prices from the published tables, and recomputes feasibility, both bounds and
every published number in integers. No solver takes part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from optimizer.build.carryover import EarlierNights, night_warnings
from optimizer.build.learned_probabilities import model_identity, with_model
from optimizer.build.night import take_in
from optimizer.certify.certificate import Certificate, certify
from optimizer.certify.margins import margins_again
from optimizer.clock import StageClock
from optimizer.config import as_config, config_json, policy_on, recorded_hash
from optimizer.contracts.run_folder import (
    AUDIT,
    LEAVES,
    REPORT,
    SCHEMA_VERSION,
    pinned,
    read_record,
)
from optimizer.contracts.tables import (
    BANK,
    DECISIONS,
    EVERY_NIGHT,
    IN_FLIGHT,
    SOME_NIGHTS,
)
from optimizer.errors import DataError, OptimizerError
from optimizer.explain.certified_night import certified_night
from optimizer.explain.explored import explored_orders
from optimizer.explain.makers import night_tables, sorted_decisions
from optimizer.explain.summary import summarize
from optimizer.io.cells import cell_rules
from optimizer.io.kept_inputs import found_inputs, found_model, placed_record
from optimizer.night.claims import (
    RunClaims,
    changed_inputs,
    file_sha256,
    read_claims,
)
from optimizer.night.decided import certificate_record, realised_of
from optimizer.night.inputs import closed_parcels
from optimizer.night.merkle import commitment, leaves_of, leaves_text
from optimizer.night.release import is_beyond
from optimizer.replay.claims import false_claims
from optimizer.replay.published import read_solution
from optimizer.replay.report import false_report
from optimizer.replay.run_tables import (
    Published,
    differences,
    read_published,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import polars as pl

    from optimizer.build.night import Intake
    from optimizer.config import Config, PolicyRow
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.explain.certified_night import CertifiedNight
    from optimizer.model.margins import Margins
    from optimizer.model.solution import Solution
    from optimizer.night.inputs import ClosedParcels
#: Warnings that follow from other nights.
_OF_OTHER_NIGHTS = ("FEW_PARCELS_FOUND",)
#: Published files that are no tables.
_TEXTS = (REPORT, AUDIT)


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    The result of verifying a run.

    Attributes
    ----------
    findings
        Descriptions of what is wrong; empty when everything holds.
    certificate
        Recomputed; ``None`` where it did not get that far.
    """

    findings: tuple[str, ...]
    certificate: Certificate | None

    @property
    def is_valid(self) -> bool:
        """Whether everything that the run claims was proved again."""
        return not self.findings


def verify_run(run_dir: Path | str, inputs: Path | None = None) -> Verdict:
    """
    Re-prove a published run.

    Parameters
    ----------
    run_dir
        The published folder.
    inputs
        A folder with the night's inputs, if they were moved.

    Returns
    -------
    Verdict
        With all that is wrong, not only the first.

    Raises
    ------
    DataError
        When the folder is not a run at all, or is of an older format.
    """
    folder = pinned(run_dir)
    record = read_record(folder)
    if record["schema_version"] != SCHEMA_VERSION:
        raise DataError(
            f"{folder}: is of format {record['schema_version']}, and only nights of "
            f"format {SCHEMA_VERSION} are made again; `optimizer verify` proves it"
        )
    try:
        read_claims(record)
        places = found_inputs(folder, record, inputs)
        claims = read_claims(placed_record(record, places))
        model = found_model(folder, record)
        findings = [*_changed_outputs(folder, claims), *changed_inputs(claims)]
        if findings:
            return Verdict(tuple(findings), None)
        published = read_published(folder, _tables(claims))
        verdict = _prove(claims, published, model)
        wrong = _false_evidence(folder, record, published.decisions())
        verdict = replace(verdict, findings=(*verdict.findings, *wrong))
        if verdict.is_valid:
            findings = false_report(folder, record, published.tables)
            return replace(verdict, findings=tuple(findings))
        return verdict
    except OptimizerError as error:
        return Verdict((str(error),), None)


def _prove(claims: RunClaims, published: Published, model: Path | None) -> Verdict:
    """Prove what record and tables say, with the model at its present place."""
    config = as_config(claims.config)
    settings = with_model(config, model)
    policy = policy_on(config, claims.day)
    used = claims.inputs.given()
    paths = {name: [file.path for file in claim.files] for name, claim in used.items()}
    tables = published.tables
    history = EarlierNights(claims.day, tables[IN_FLIGHT.file], tables[BANK.file])
    intake = take_in(paths, settings, policy, StageClock(), history)
    solution, num_decisions = read_solution(intake, published)
    certificate = certify(intake.problem, solution)
    margins = _margins(intake, solution, certificate)
    night = certified_night(intake, solution, certificate, margins)
    told = _deliveries(claims, config)
    findings = [
        *_false_certificate(claims, night, config),
        *false_claims("summary", claims.summary, summarize(night)),
        *_false_facts(claims, night, told, config, policy, model),
        *_false_assumptions(claims, night),
        *_false_counts(claims, intake, told, published, num_decisions),
        *_false_tables(night, published),
    ]
    return Verdict(tuple(findings), night.certificate)


def _margins(
    intake: Intake, solution: Solution, certificate: Certificate
) -> Margins | None:
    """Exact margins of a night whose plan and prices prove each other."""
    if intake.problem.side is not None or not certificate.is_optimal:
        return None
    beside = explored_orders(intake.index.pool, intake.problem.num_merchants)
    return margins_again(intake.problem, solution, beside)


def _changed_outputs(folder: Path, claims: RunClaims) -> list[str]:
    """Published files that were changed since publishing."""
    found = []
    has_script = AUDIT in claims.outputs or (folder / AUDIT).is_file()
    script = [AUDIT] if has_script else []
    for name in (*_tables(claims), REPORT, *script):
        if not (folder / name).is_file():
            found.append(f"{name} is missing")
        elif name not in claims.outputs:
            found.append(f"{name} is not listed in run.json")
        elif file_sha256(folder / name) != claims.outputs[name].sha256:
            found.append(f"{name} was changed after it was published")
    return found


def _tables(claims: RunClaims) -> list[str]:
    """Tables of a run: those that all have, and those that it says it has."""
    return [*EVERY_NIGHT, *(name for name in SOME_NIGHTS if name in claims.outputs)]


def _false_evidence(
    folder: Path, record: Mapping[str, Any], decisions: Iterable[pl.DataFrame]
) -> list[str]:
    """Hashes of the decisions that differ when computed again."""
    leaves = leaves_of(decisions)
    done = leaves.close()
    said = record.get("evidence")
    found = list(false_claims("evidence", said, commitment(leaves.num_rows, done)))
    name = folder / LEAVES
    if not name.is_file() or name.read_bytes() != leaves_text(done).encode():
        found.append(f"{LEAVES} is not of these decisions")
    return found


def _false_certificate(
    claims: RunClaims, night: CertifiedNight, config: Config
) -> list[str]:
    """Parts of the recorded certificate that differ when computed again."""
    certificate, proved = night.certificate, certificate_record(night)
    found = [f"the plan is not feasible: {text}" for text in certificate.violations]
    found += false_claims("certificate", claims.certificate, proved)
    has_conflicts = certificate.conflicts or len(night.names.stopped_pins)
    if has_conflicts and config.on_conflict == "refuse":
        found.append("floors or pins clash, and on_conflict is refuse")
    if is_beyond(certificate, config.publish.max_relative_gap):
        found.append("the gap is above publish.max_relative_gap, so it is no night")
    return found


def _false_facts(
    claims: RunClaims,
    night: CertifiedNight,
    told: ClosedParcels | None,
    config: Config,
    policy: PolicyRow,
    model: Path | None,
) -> list[str]:
    """Rules, identity and words of the record that do not follow from its inputs."""
    used = claims.inputs.given()
    # Nights of before assumptions were recorded do not say why nobody is chosen.
    of_night = night.intake.warnings if claims.assumptions is None else night.warnings
    warnings = [
        *of_night,
        *(() if told is None else told.warnings),
        *night_warnings(claims.substitutes, is_late=claims.is_late),
    ]
    claimed = claims.identity.model_dump()
    said, rules = config_json(config), policy.model_dump(mode="json")
    if claims.identity.version != version("premium-delivery-optimizer"):
        said, rules = _keys_of(claims.config, said), _keys_of(claims.policy, rules)
    identity = claimed | model_identity(with_model(config, model), claims.day)
    identity |= {
        "date": claims.date,
        "config_sha256": recorded_hash(said),
        "inputs": {n: [f.sha256 for f in claim.files] for n, claim in used.items()},
    }
    return [
        *false_claims("identity", claimed, identity),
        *false_claims("config", claims.config, said),
        *false_claims("policy", claims.policy, rules),
        *false_claims(
            "problem_class", claims.problem_class, night.problem.problem_class
        ),
        *_false_warnings(claims, warnings),
    ]


def _false_assumptions(claims: RunClaims, night: CertifiedNight) -> Iterator[str]:
    """Assumptions one by one; nights of before they were recorded have none."""
    if claims.assumptions is None:
        return
    yield from false_claims("realised", claims.realised, realised_of(night))
    said = [claim.model_dump() for claim in claims.assumptions]
    true = [one.to_json() for one in night.assumptions]
    if len(said) != len(true):
        yield from false_claims("assumptions", said, true)
        return
    for number, (claim, one) in enumerate(zip(said, true, strict=True)):
        yield from false_claims(f"assumptions.{number}", claim, one)


def _keys_of(recorded: Any, read: Any) -> Any:
    """A configuration as it is read, without keys that came after the record."""
    if isinstance(recorded, dict) and isinstance(read, dict):
        return {k: _keys_of(recorded[k], v) for k, v in read.items() if k in recorded}
    if isinstance(recorded, list) and isinstance(read, list):
        pairs = zip(recorded, read, strict=False)
        return [_keys_of(*pair) for pair in pairs] + read[len(recorded) :]
    return read


def _false_warnings(claims: RunClaims, true: list[CodedWarning]) -> Iterator[str]:
    """
    Warnings one by one, each with its code and its values.

    What other nights had in flight is not read here; ``optimizer verify`` reads it.
    """
    said = [
        claim if isinstance(claim, str) else claim.model_dump()
        for claim in claims.warnings
        if isinstance(claim, str) or claim.code not in _OF_OTHER_NIGHTS
    ]
    if len(said) != len(true):
        yield from false_claims("warnings", said, [one.to_json() for one in true])
        return
    for number, (claim, warning) in enumerate(zip(said, true, strict=True)):
        yield from false_claims(f"warnings.{number}", claim, warning.to_json())


def _false_counts(
    claims: RunClaims,
    intake: Intake,
    told: ClosedParcels | None,
    published: Published,
    num_decisions: int,
) -> list[str]:
    """Numbers of rows and bytes that are not those of inputs and outputs."""
    used = {name: claim.num_rows for name, claim in claims.inputs.given().items()}
    made = {n: c.num_rows for n, c in claims.outputs.items() if n not in _TEXTS}
    read = {table.name: table.num_rows for table in intake.inputs}
    if told is not None:
        read["deliveries"] = told.num_rows
    written = {name: len(frame) for name, frame in published.tables.items()}
    written[DECISIONS.file] = num_decisions
    files = [file for claim in claims.inputs.given().values() for file in claim.files]
    sizes = {file.path: Path(file.path).stat().st_size for file in files}
    return [
        *false_claims("num_bytes", {f.path: f.num_bytes for f in files}, sizes),
        *false_claims("inputs.num_rows", used, read),
        *false_claims("outputs.num_rows", made, written),
    ]


def _deliveries(claims: RunClaims, config: Config) -> ClosedParcels | None:
    """Read a table that is counted and told of, and decides through ``in_flight``."""
    claim = claims.inputs.deliveries
    if claim is None:
        return None
    paths = [file.path for file in claim.files]
    return closed_parcels(paths, claims.day, cell_rules(config))


def _false_tables(night: CertifiedNight, published: Published) -> list[str]:
    """Published tables that differ from what plan and prices imply."""
    made: dict[str, Iterable[pl.DataFrame]] = {}
    with TemporaryDirectory(prefix="optimizer-verify-") as folder:
        decisions = sorted_decisions(night, Path(folder) / "scratch", made)
        found = differences(DECISIONS.file, published.decisions(), decisions)
    expected = made | {file: [table] for file, table in night_tables(night).items()}
    wrong = {*SOME_NIGHTS} & (published.tables.keys() ^ expected.keys())
    if wrong:
        return [f"{name}: is missing, or too much" for name in sorted(wrong)]
    for name, frames in expected.items():
        found += differences(name, [published.tables[name]], frames)
    return found
