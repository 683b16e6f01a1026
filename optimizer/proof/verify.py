"""
Prove a published night again, from its files and its inputs alone.

Reads the inputs (held against their recorded checksums), builds the problem,
reads plan and prices from the published tables, and recomputes feasibility, both
bounds and every published number in integers. No solver has a part in it.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.clock import StageClock
from optimizer.config import as_config, config_hash, config_json, policy_on
from optimizer.data.keys import order_keys
from optimizer.data.read import damaged_is_data_error, open_source, read_batches
from optimizer.data.run_files import LEAVES, REPORT, RUN_TABLES, read_record
from optimizer.data.tables import DELIVERIES, polars_type
from optimizer.data.write import read_back
from optimizer.errors import CertificateError, OptimizerError, counted
from optimizer.insight.outcomes import find_outcomes
from optimizer.insight.report import report_html
from optimizer.insight.summary import summarize
from optimizer.insight.tables import (
    PLACE,
    bank_table,
    commitments_table,
    decisions_table,
    in_flight_table,
    lanes_table,
    merchants_table,
    recommendations_table,
)
from optimizer.intake import name_orders, take_in
from optimizer.model.history import History, night_warnings
from optimizer.model.solution import Solution, Termination
from optimizer.proof.certificate import Certificate, certify
from optimizer.proof.claims import (
    InputClaim,
    RunClaims,
    false_claims,
    is_beyond,
    read_claims,
)
from optimizer.proof.merkle import commitment, leaves_of, leaves_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.config import Config, PolicyRow
    from optimizer.insight.outcomes import Outcomes
    from optimizer.intake import Intake

#: Prices beyond this are no prices; below it their micro-CNY stay in 64 bits.
MAX_CNY = 1e12


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What the verification of a run found.

    Attributes
    ----------
    findings
        What is wrong, in words; empty when everything holds.
    certificate
        Recomputed; ``None`` where it did not get that far.
    """

    findings: tuple[str, ...]
    certificate: Certificate | None

    @property
    def is_valid(self) -> bool:
        """Whether everything that the run claims was proved again."""
        return not self.findings


def verify_run(run_dir: Path | str) -> Verdict:
    """
    Re-prove a published run.

    Parameters
    ----------
    run_dir
        The published folder.

    Returns
    -------
    Verdict
        With all that is wrong, not only the first.

    Raises
    ------
    DataError
        When the folder is not a run at all.
    """
    folder = Path(run_dir)
    record = read_record(folder)
    try:
        claims = read_claims(record)
        findings = [*_changed_outputs(folder, claims), *_changed_inputs(claims)]
        if findings:
            return Verdict(tuple(findings), None)
        tables = {name: _read_table(folder, name) for name in RUN_TABLES}
        verdict = _prove(claims, tables)
        wrong = _false_evidence(folder, record, tables["decisions.parquet"])
        verdict = replace(verdict, findings=(*verdict.findings, *wrong))
        if verdict.is_valid and not _is_report(folder, report_html(record, tables)):
            return replace(verdict, findings=(f"{REPORT} is not of this night",))
        return verdict
    except OptimizerError as error:
        return Verdict((str(error),), None)


def _prove(claims: RunClaims, tables: Mapping[str, pl.DataFrame]) -> Verdict:
    """Prove what record and tables say."""
    config = as_config(claims.config)
    policy = policy_on(config, claims.day)
    used = claims.inputs.given()
    paths = {name: [file.path for file in claim.files] for name, claim in used.items()}
    history = History(claims.day, tables["in_flight.parquet"], tables["bank.parquet"])
    intake = take_in(paths, config, policy, StageClock(), history)
    solution = _read_solution(intake, tables)
    certificate = certify(intake.problem, solution)
    outcomes = find_outcomes(intake.problem, solution, intake.index)
    summary = summarize(
        intake.problem, solution, certificate, outcomes, intake.index, policy
    )
    findings = [
        *_false_certificate(claims, certificate, config),
        *false_claims("summary", claims.summary, summary),
        *_false_facts(claims, intake, config, policy),
        *_false_counts(claims, intake, tables),
        *_false_tables(intake, solution, outcomes, tables),
    ]
    return Verdict(tuple(findings), certificate)


def _changed_outputs(folder: Path, claims: RunClaims) -> list[str]:
    """Published files that are not the ones that were published."""
    found = []
    for name in (*RUN_TABLES, REPORT):
        if not (folder / name).is_file():
            found.append(f"{name} is missing")
        elif _sha256(folder / name) != claims.outputs[name].sha256:
            found.append(f"{name} was changed after it was published")
    return found


def _changed_inputs(claims: RunClaims) -> list[str]:
    """Inputs that are gone, or not the ones that the night was solved from."""
    files = [file for used in claims.inputs.given().values() for file in used.files]
    found = []
    for file in files:
        path = Path(file.path)
        if not path.is_file():
            found.append(f"input {path} is gone, so nothing can be proved from it")
        elif _sha256(path) != file.sha256:
            found.append(f"input {path} was changed after the run")
    return found


def _false_evidence(
    folder: Path, record: Mapping[str, Any], decisions: pl.DataFrame
) -> list[str]:
    """Hashes of the decisions that do not come out again."""
    leaves = leaves_of([decisions])
    done = leaves.close()
    found = list(
        false_claims(
            "evidence", record.get("evidence"), commitment(leaves.num_rows, done)
        )
    )
    name = folder / LEAVES
    if not name.is_file() or name.read_bytes() != leaves_text(done).encode():
        found.append(f"{LEAVES} is not of these decisions")
    return found


def _is_report(folder: Path, text: str) -> bool:
    """Whether the report says what record and tables imply."""
    return (folder / REPORT).read_bytes() == text.encode()


def _sha256(path: Path) -> str:
    with damaged_is_data_error(str(path)), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_table(folder: Path, name: str) -> pl.DataFrame:
    """Read a published table and hold its columns against the contract."""
    table, frame = RUN_TABLES[name], read_back(folder / name)
    expected = {column.name: polars_type(column.kind) for column in table.columns}
    if dict(frame.schema) != expected:
        raise CertificateError(f"{name} has other columns than a night's")
    return frame


def _read_solution(intake: Intake, tables: Mapping[str, pl.DataFrame]) -> Solution:
    """Plan and prices as published, in the numbers of the problem."""
    index = intake.index
    merchants, lanes = tables["merchants.parquet"], tables["lanes.parquet"]
    if merchants["merchant_id"].to_list() != list(index.merchant_ids):
        raise CertificateError("merchants.parquet does not hold the inputs' merchants")
    names = lanes.select(list(PLACE)).rows()
    price = dict(zip(names, micro(lanes["shadow_price_cny"]), strict=True))
    if set(price) != set(index.places) or len(price) != len(lanes):
        raise CertificateError("lanes.parquet does not hold the inputs' lanes")
    return Solution(
        _read_plan(intake, tables["decisions.parquet"]),
        np.array([price[place] for place in index.places], np.int64),
        micro(merchants["shadow_price_cny"]),
        Termination("FEASIBLE", "METHOD"),
    )


def micro(money: pl.Series) -> NDArray[np.int64]:
    """
    Published money as the integer micro-CNY that it stands for.

    Raises
    ------
    CertificateError
        When there is none, or it is beyond all money.
    """
    if not (money.abs() < MAX_CNY).fill_null(value=False).all():
        raise CertificateError(f"{money.name} holds nulls, or is beyond any saving")
    return np.rint(money.to_numpy() * 1e6).astype(np.int64)


def _read_plan(intake: Intake, decisions: pl.DataFrame) -> NDArray[np.int64]:
    """Chosen options: each chosen order's option with the published carrier."""
    problem, index = intake.problem, intake.index
    chosen = decisions.filter("is_premium")
    key, _ = order_keys(chosen["order_id"], intake.salt)
    by_key = np.argsort(problem.key)
    place = np.searchsorted(problem.key, key, sorter=by_key)
    options = []
    for at, this, carrier in zip(place, key, chosen["carrier_id"], strict=True):
        order = by_key[min(at, len(by_key) - 1)] if len(by_key) else -1
        if order < 0 or problem.key[order] != this:
            raise CertificateError(
                "a chosen order is not among the inputs' open orders"
            )
        first, last = problem.option_start[order : order + 2]
        carriers = [
            index.places[lane].carrier_id for lane in problem.option_lane[first:last]
        ]
        if carrier not in carriers:
            raise CertificateError("a chosen order's carrier is not one of its options")
        options.append(first + carriers.index(carrier))
    return np.sort(np.array(options, np.int64))


def _false_certificate(
    claims: RunClaims, certificate: Certificate, config: Config
) -> list[str]:
    """Parts of the recorded certificate that do not come out again."""
    proved = asdict(certificate) | {"relative_gap": certificate.relative_gap}
    found = [f"the plan is not feasible: {text}" for text in certificate.violations]
    found += false_claims("certificate", claims.certificate, proved)
    if is_beyond(certificate, config.publish.max_relative_gap):
        found.append("the gap is above publish.max_relative_gap, so it is no night")
    return found


def _false_facts(
    claims: RunClaims, intake: Intake, config: Config, policy: PolicyRow
) -> list[str]:
    """Rules, identity and words of the record that do not follow from its inputs."""
    used = claims.inputs.given()
    warnings = night_warnings(claims.substitutes, is_late=claims.is_late)
    claimed = claims.identity.model_dump()
    identity = claimed | {
        "date": claims.date,
        "config_sha256": config_hash(config),
        "inputs": {n: [f.sha256 for f in claim.files] for n, claim in used.items()},
    }
    return [
        *false_claims("identity", claimed, identity),
        *false_claims("config", claims.config, config_json(config)),
        *false_claims("policy", claims.policy, policy.model_dump(mode="json")),
        *false_claims(
            "problem_class", claims.problem_class, intake.problem.problem_class
        ),
        *false_claims("warnings", claims.warnings, [*intake.warnings, *warnings]),
    ]


def _false_counts(
    claims: RunClaims, intake: Intake, tables: Mapping[str, pl.DataFrame]
) -> list[str]:
    """Numbers of rows and bytes that are not those of inputs and outputs."""
    used = {name: claim.num_rows for name, claim in claims.inputs.given().items()}
    made = {n: c.num_rows for n, c in claims.outputs.items() if n != REPORT}
    read = {table.name: table.num_rows for table in intake.inputs}
    if claims.inputs.deliveries is not None:
        read["deliveries"] = _num_deliveries(claims.inputs.deliveries)
    written = {name: len(frame) for name, frame in tables.items()}
    files = [file for claim in claims.inputs.given().values() for file in claim.files]
    sizes = {file.path: Path(file.path).stat().st_size for file in files}
    return [
        *false_claims("num_bytes", {f.path: f.num_bytes for f in files}, sizes),
        *false_claims("inputs.num_rows", used, read),
        *false_claims("outputs.num_rows", made, written),
    ]


def _num_deliveries(claim: InputClaim) -> int:
    """Rows of a table that is counted, and decides only through ``in_flight``."""
    source = open_source([file.path for file in claim.files], DELIVERIES)
    return sum(len(batch) for batch in read_batches(source, ["order_id"]))


def _false_tables(
    intake: Intake,
    solution: Solution,
    outcomes: Outcomes,
    tables: Mapping[str, pl.DataFrame],
) -> list[str]:
    """Published tables that differ from what plan and prices imply."""
    import polars as pl

    problem, index = intake.problem, intake.index
    named = pl.concat(list(name_orders(intake)))
    decisions = decisions_table(named, outcomes, index).sort("order_id")
    expected = {
        "decisions.parquet": decisions,
        "recommendations.parquet": recommendations_table(decisions),
        "merchants.parquet": merchants_table(problem, solution, index),
        "lanes.parquet": lanes_table(problem, solution, index),
        "quarantine.parquet": intake.quarantine,
        "commitments.parquet": commitments_table(decisions, index),
        "in_flight.parquet": in_flight_table(intake.history),
        "bank.parquet": bank_table(index),
    }
    return [
        text
        for name, table in expected.items()
        for text in _differences(name, tables[name], table)
    ]


def _differences(
    name: str, published: pl.DataFrame, expected: pl.DataFrame
) -> list[str]:
    expected = expected.select(RUN_TABLES[name].column_names)
    if len(published) != len(expected):
        rows = counted(len(published), "row")
        return [f"{name} has {rows}, expected {len(expected):,}"]
    expected = expected.cast(published.schema)
    return [
        f"{name}: column {column} differs from what plan and inputs imply"
        for column in expected.columns
        if not published[column].equals(expected[column], null_equal=True)
    ]
