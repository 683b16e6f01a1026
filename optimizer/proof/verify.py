"""
Prove a published night again, from its files and its inputs alone.

Reads the inputs (held against their recorded checksums), builds the problem,
reads plan and prices from the published tables, and recomputes feasibility, both
bounds and every published number in integers. No solver has a part in it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.clock import StageClock
from optimizer.config import as_config, policy_on
from optimizer.data.keys import order_keys
from optimizer.data.run_files import REPORT, RUN_TABLES, read_record
from optimizer.data.write import read_back
from optimizer.errors import CertificateError, DataError
from optimizer.insight.outcomes import find_outcomes
from optimizer.insight.tables import (
    decisions_table,
    lanes_table,
    merchants_table,
    recommendations_table,
)
from optimizer.intake import name_orders, take_in
from optimizer.model.solution import Solution, Termination
from optimizer.proof.certificate import Certificate, certify

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.intake import Intake


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
    findings = [*_changed_outputs(folder, record), *_changed_inputs(record)]
    if findings:
        return Verdict(tuple(findings), None)
    try:
        return _prove(folder, record)
    except (DataError, CertificateError) as error:
        return Verdict((str(error),), None)


def _prove(folder: Path, record: Mapping[str, Any]) -> Verdict:
    tables = {name: read_back(folder / name) for name in RUN_TABLES}
    intake = _read_inputs(record)
    solution = _read_solution(intake, tables)
    certificate = certify(intake.problem, solution)
    findings = [
        *_false_claims(record, certificate),
        *_false_tables(intake, solution, tables),
    ]
    return Verdict(tuple(findings), certificate)


def _changed_outputs(folder: Path, record: Mapping[str, Any]) -> list[str]:
    """Published files that are not the ones that were published."""
    found = []
    for name in (*RUN_TABLES, REPORT):
        expected = record["outputs"].get(name, {}).get("sha256")
        if not (folder / name).is_file():
            found.append(f"{name} is missing")
        elif _sha256(folder / name) != expected:
            found.append(f"{name} was changed after it was published")
    return found


def _changed_inputs(record: Mapping[str, Any]) -> list[str]:
    """Inputs that are gone, or not the ones that the night was solved from."""
    files = [file for used in record["inputs"].values() for file in used["files"]]
    found = []
    for file in files:
        path = Path(file["path"])
        if not path.is_file():
            found.append(f"input {path} is gone, so nothing can be proved from it")
        elif _sha256(path) != file["sha256"]:
            found.append(f"input {path} was changed after the run")
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_inputs(record: Mapping[str, Any]) -> Intake:
    """Build the problem again from the recorded inputs and rules."""
    import datetime as dt

    config = as_config(record["config"])
    policy = policy_on(config, dt.date.fromisoformat(record["date"]))
    tables = {name: _pattern(used["files"]) for name, used in record["inputs"].items()}
    return take_in(tables, config, policy, StageClock())


def _pattern(files: list[dict[str, Any]]) -> list[str]:
    return [file["path"] for file in files]


def _read_solution(intake: Intake, tables: Mapping[str, pl.DataFrame]) -> Solution:
    """Plan and prices as published, in the numbers of the problem."""
    index = intake.index
    merchants, lanes = tables["merchants.parquet"], tables["lanes.parquet"]
    if merchants["merchant_id"].to_list() != list(index.merchant_ids):
        raise CertificateError("merchants.parquet does not hold the inputs' merchants")
    names = lanes.select("carrier_id", "region_id", "outlet_id").rows()
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
    """Published money as the integer micro-CNY that it stands for."""
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


def _false_claims(record: Mapping[str, Any], certificate: Certificate) -> list[str]:
    """Numbers of the recorded certificate that do not come out again."""
    claimed = record["certificate"]
    found = [f"the plan is not feasible: {text}" for text in certificate.violations]
    for name in ("primal_bound", "dual_bound", "gap", "is_feasible"):
        if claimed[name] != getattr(certificate, name):
            proved = getattr(certificate, name)
            found.append(f"{name} is {proved}, not {claimed[name]} as claimed")
    return found


def _false_tables(
    intake: Intake, solution: Solution, tables: Mapping[str, pl.DataFrame]
) -> list[str]:
    """Published tables that differ from what plan and prices imply."""
    problem, index = intake.problem, intake.index
    named = name_orders(intake)
    outcomes = find_outcomes(problem, solution, index)
    decisions = decisions_table(named, outcomes, index)
    expected = {
        "decisions.parquet": decisions,
        "recommendations.parquet": recommendations_table(decisions, named),
        "merchants.parquet": merchants_table(problem, solution, index),
        "lanes.parquet": lanes_table(problem, solution, index),
        "quarantine.parquet": intake.quarantine,
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
    if published.columns != expected.columns or len(published) != len(expected):
        return [f"{name} has {len(published):,} rows, expected {len(expected):,}"]
    expected = expected.cast(published.schema)
    return [
        f"{name}: column {column} differs from what plan and inputs imply"
        for column in expected.columns
        if not published[column].equals(expected[column], null_equal=True)
    ]
