"""What a night decided, for its record: rules, termination, proof and numbers."""

from __future__ import annotations

import platform
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from optimizer.config import config_hash, config_json, policy_on

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from optimizer.config import Config
    from optimizer.explain.certified_night import CertifiedNight

_LIBRARIES = ("numba", "numpy", "ortools", "polars", "pyarrow", "pydantic")


def record_in_memory(
    config: Config,
    day: dt.date | None,
    night: CertifiedNight,
    summary: Mapping[str, Any],
) -> dict[str, Any]:
    """
    Make the part of a record that a night has which is not published.

    Parameters
    ----------
    config, day
        Its rules and its day, which may be unknown.
    night, summary
        What was decided and proved, and the same in numbers.
    """
    return decided(config, day, night, summary) | {
        "is_published": False,
        "date": None if day is None else day.isoformat(),
        "identity": {
            "version": _version("premium-delivery-optimizer"),
            "config_sha256": config_hash(config),
        },
        "inputs": {
            used.name: {"num_rows": used.num_rows, "files": []} for used in night.inputs
        },
        "warnings": [warning.to_json() for warning in night.warnings],
    }


@cache
def _version(package: str) -> str:
    """A package's version; looked up once, which takes as long as a small solve."""
    return version(package)


def decided(
    config: Config,
    day: dt.date | None,
    night: CertifiedNight,
    summary: Mapping[str, Any],
) -> dict[str, Any]:
    """
    Say what rules, plan and proof are, of a night that is published or not.

    Parameters
    ----------
    config, day, night, summary
        As for :func:`record_in_memory`.
    """
    realised = realised_of(night)
    return {
        "versions": {name: _version(name) for name in _LIBRARIES}
        | {"python": platform.python_version()},
        "config": config_json(config),
        "policy": policy_on(config, day).model_dump(mode="json"),
        "problem_class": night.problem.problem_class,
        "termination": asdict(night.solution.termination),
        "certificate": certificate_record(night),
        "summary": dict(summary),
        "assumptions": [one.to_json() for one in night.assumptions],
    } | ({"realised": realised} if realised else {})


def realised_of(night: CertifiedNight) -> dict[str, Any]:
    """
    What earlier plans promised and what came of it, by night and by carrier.

    Empty where the tables have the probabilities, or the model does not know.
    """
    model = night.intake.effect_model
    past = None if model is None else model.realised
    return {} if past is None or not past.num_nights else past.model_dump(mode="json")


def certificate_record(night: CertifiedNight) -> dict[str, Any]:
    """
    A certificate for ``run.json``; nights with side constraints add how it was proved.

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
        if night.solution.tree is not None:
            record["bound"] = "branches"
        record["num_conflicts"] = len(certificate.conflicts) + len(
            night.names.stopped_pins
        )
        record["holds_for"] = (
            "plans that break no floor and no pin more than this one"
            if record["num_conflicts"]
            else "all plans"
        )
    return record
