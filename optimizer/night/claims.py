"""The claims in the record of a published night, read back and checked for form."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from optimizer.contracts.run_folder import REPORT, SCHEMA_VERSION
from optimizer.contracts.tables import EVERY_NIGHT
from optimizer.errors import CertificateError
from optimizer.io.damage import damaged_is_data_error

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Claims(BaseModel):
    """Base of the record's parts; keys that are not read here are allowed."""

    model_config = ConfigDict(frozen=True, strict=True)


class FileClaim(_Claims):
    """An input file at the time it was read."""

    path: str
    num_bytes: int
    sha256: str


class InputClaim(_Claims):
    """An input table."""

    num_rows: int
    files: list[FileClaim] = Field(min_length=1)


class InputClaims(_Claims):
    """The input tables; all but two may be absent."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    orders: InputClaim
    capacity: InputClaim
    options: InputClaim | None = None
    merchants: InputClaim | None = None
    deliveries: InputClaim | None = None

    def given(self) -> dict[str, InputClaim]:
        """The tables that were given, by name."""
        return {name: claim for name, claim in self if claim is not None}


class IdentityClaim(_Claims):
    """What identifies a run; the program's version cannot be proved."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    version: str


class OutputClaim(_Claims):
    """A published file; a table has rows."""

    sha256: str
    num_rows: int | None = None


class TerminationClaim(_Claims):
    """Why the solver stopped; the report repeats it, and nothing proves it."""

    reason: Literal["OPTIMAL", "FEASIBLE", "NO_SOLUTION_FOUND"]
    limit: Literal["TIME", "GAP", "METHOD"] | None


class WarningClaim(_Claims):
    """What a person should look at, as a code with its values, and in English."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    code: str
    values: dict[str, Any]
    text: str


class RunClaims(_Claims):
    """
    What ``run.json`` must state about a night.

    All of it is proved again except the versions and why the solver stopped; times and
    memory are not read.
    """

    date: str
    identity: IdentityClaim
    config: dict[str, Any]
    policy: dict[str, Any]
    inputs: InputClaims
    outputs: dict[str, OutputClaim]
    problem_class: str
    versions: dict[str, str]
    termination: TerminationClaim
    certificate: dict[str, Any]
    summary: dict[str, Any]
    warnings: list[WarningClaim | str]
    assumptions: list[WarningClaim] | None = None
    realised: dict[str, Any] = Field(default_factory=dict)
    origins: dict[str, str] = Field(default_factory=dict)
    substitutes: dict[str, str]
    is_late: bool

    @property
    def day(self) -> dt.date:
        """
        The business date.

        Raises
        ------
        CertificateError
            When the record's date is not a date.
        """
        try:
            return dt.date.fromisoformat(self.date)
        except ValueError:
            raise CertificateError(
                f"run.json: date {self.date!r} is not a date"
            ) from None


def read_claims(record: Mapping[str, Any]) -> RunClaims:
    """
    Read the claims of a record.

    Raises
    ------
    CertificateError
        Naming every part that is missing or of another kind.
    """
    try:
        claims = RunClaims.model_validate(record)
    except ValidationError as error:
        wrong = [".".join(map(str, found["loc"])) for found in error.errors()]
        raise CertificateError(
            f"run.json: missing, or not what it should be: {', '.join(wrong)}"
        ) from None
    if "evidence" not in record:
        return claims  # of before origins and later tables, or its evidence is missed
    if "origins" not in record:
        raise CertificateError("run.json: missing, or not what it should be: origins")
    is_new = record["schema_version"] == SCHEMA_VERSION
    due = [n for n, table in EVERY_NIGHT.items() if is_new or table.maker != "rows"]
    missing = [name for name in (*due, REPORT) if name not in claims.outputs]
    if missing:
        raise CertificateError(f"run.json: no claim about {', '.join(missing)}")
    return claims


def changed_inputs(claims: RunClaims) -> list[str]:
    """Inputs that are missing or differ from those that the night was solved from."""
    files = [file for used in claims.inputs.given().values() for file in used.files]
    found = []
    for file in files:
        path = Path(file.path)
        if not path.is_file():
            found.append(f"input {path} is gone, so nothing can be proved from it")
        elif file_sha256(path) != file.sha256:
            found.append(f"input {path} was changed after the run")
    return found


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; one that cannot be read is a DataError."""
    with damaged_is_data_error(str(path)), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
