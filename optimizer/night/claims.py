"""What the record of a published night claims, and what is true instead."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from optimizer.contracts.run_folder import REPORT
from optimizer.contracts.tables import EVERY_NIGHT
from optimizer.errors import CertificateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from optimizer.certify.certificate import Certificate
    from optimizer.explain.certified_night import CertifiedNight


class _Claims(BaseModel):
    """Base of the record's parts: it may say more than is read here."""

    model_config = ConfigDict(frozen=True, strict=True)


class FileClaim(_Claims):
    """An input file as it was read."""

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
        """Those that are there, by name."""
        return {name: claim for name, claim in self if claim is not None}


class IdentityClaim(_Claims):
    """What makes two runs the same; the program's version cannot be proved."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    version: str


class OutputClaim(_Claims):
    """A published file; a table has rows."""

    sha256: str
    num_rows: int | None = None


class TerminationClaim(_Claims):
    """Why the solver stopped: the report repeats it, nothing proves it."""

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
    What ``run.json`` must say of a night.

    All of it is proved again but the versions and why the solver stopped; times and
    memory are not even read.
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
    origins: dict[str, str]
    substitutes: dict[str, str]
    is_late: bool

    @property
    def day(self) -> dt.date:
        """The business date."""
        try:
            return dt.date.fromisoformat(self.date)
        except ValueError:
            raise CertificateError(f"run.json: date {self.date!r} is none") from None


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
    missing = [name for name in (*EVERY_NIGHT, REPORT) if name not in claims.outputs]
    if missing:
        raise CertificateError(f"run.json: no claim about {', '.join(missing)}")
    return claims


def certificate_record(night: CertifiedNight) -> dict[str, Any]:
    """
    A certificate for ``run.json``; nights with further limits say how it was proved.

    ``bound`` is which of the bounds it is, ``counting`` how slots are counted, and
    ``holds_for`` the plans that the bound is about.
    """
    certificate, counting = night.certificate, night.names.counting
    record = asdict(certificate) | {"relative_gap": certificate.relative_gap}
    del record["conflicts"]
    if certificate.unit == 1:
        del record["unit"]
    if counting is not None:
        rule, is_equal = counting.rule, counting.is_equal
        record["counting"] = {
            "rule": rule,
            "unit": "recommendations" if is_equal else "purchases",
            "parts_of_a_parcel": counting.scale,
        }
        if rule == "quantile":
            record["counting"]["quantile"] = f"{counting.quantile:f}"
    if night.problem.side is not None:
        by_lane = night.solution.order_price is not None
        record["bound"] = "whole lanes" if by_lane else "prices"
        record["num_conflicts"] = len(certificate.conflicts) + len(
            night.names.stopped_pins
        )
        record["holds_for"] = (
            "plans that break no floor and no pin more than this one"
            if record["num_conflicts"]
            else "all plans"
        )
    return record


def false_claims(name: str, claimed: Any, proved: Any) -> Iterator[str]:
    """
    Compare a claim with what is proved, part by part.

    Parameters
    ----------
    name
        Where it stands in the record.
    claimed, proved
        The claim as read from JSON, and what comes out again.

    Yields
    ------
    str
        A sentence for each part that differs.

    Examples
    --------
    >>> list(false_claims("summary", {"num_chosen": 3}, {"num_chosen": 2}))
    ['summary.num_chosen is 2, not 3 as claimed']
    """
    if isinstance(claimed, dict) and isinstance(proved, dict):
        for key in sorted({*claimed, *proved}):
            inner = claimed.get(key, _ABSENT), proved.get(key, _ABSENT)
            yield from false_claims(f"{name}.{key}", *inner)
    elif (said := _text(claimed)) != (true := _text(proved)):
        yield f"{name} is {true}, not {said} as claimed"


_ABSENT = object()


def _text(value: Any) -> str:
    """A value as people and records write it."""
    if value is _ABSENT:
        return "absent"
    return str(value) if isinstance(value, bool) else json.dumps(value, sort_keys=True)


def is_beyond(certificate: Certificate, max_relative_gap: Decimal) -> bool:
    """Whether a plan is proved too far from the best to be published; exact."""
    allowed = Fraction(max_relative_gap) * max(1, certificate.primal_bound)
    return certificate.gap > allowed
