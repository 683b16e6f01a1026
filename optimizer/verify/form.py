"""The form of ``run.json``: every key, its kind and its range; no other keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from optimizer.contracts.tables import NIGHT_INPUTS, PUBLISHED
from optimizer.verify.older import is_before_evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Rule = Callable[[str, Any], Iterator[str]]

#: Formats of records that are verified.
FORMATS = (1, 2, 3)
_HASH = re.compile(r"[0-9a-f]{64}")


def false_form(record: Mapping[str, Any]) -> list[str]:
    """
    Find parts of a record that do not fit the form.

    Parameters
    ----------
    record
        As read from ``run.json``.

    Examples
    --------
    >>> false_form({"schema_version": 1})[:2]
    ['run.json: certificate is missing', 'run.json: config is missing']
    """
    form = _OLDEST if is_before_evidence(record) else _RECORD
    return list(form("run.json", record))


def _only(is_right: Callable[[Any], bool], kind: str) -> Rule:
    def check(name: str, value: Any) -> Iterator[str]:
        if not is_right(value):
            yield f"{name} is {str(value)[:40]!r}, and must be {kind}"

    return check


def _object(
    keys: Mapping[str, Rule], optional: Mapping[str, Rule] | None = None
) -> Rule:
    """An object with required and optional keys."""
    known = {**keys, **(optional or {})}

    def check(name: str, value: Any) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{name} is no object"
            return
        inner = "run.json: " if name == "run.json" else f"{name}."
        for key in sorted({*keys} - {*value}):
            yield f"{inner}{key} is missing"
        for key, given in value.items():
            if key not in known:
                yield f"{inner}{key} is a key that no record has"
            else:
                yield from known[key](f"{inner}{key}", given)

    return check


def _each(rule: Rule, names: tuple[str, ...] | None = None) -> Rule:
    """An object whose values all follow one rule."""

    def check(name: str, value: Any) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{name} is no object"
            return
        for key, given in value.items():
            if names is not None and key not in names:
                yield f"{name}.{key} is a key that no record has"
            else:
                yield from rule(f"{name}.{key}", given)

    return check


def _list(rule: Rule) -> Rule:
    def check(name: str, value: Any) -> Iterator[str]:
        if not isinstance(value, list):
            yield f"{name} is no list"
            return
        for number, given in enumerate(value):
            yield from rule(f"{name}[{number}]", given)

    return check


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TEXT = _only(lambda v: isinstance(v, str), "text")
_FLAG = _only(lambda v: isinstance(v, bool), "true or false")
_COUNT = _only(lambda v: _is_whole(v) and v >= 0, "a whole number, at least 0")
_ABOVE_0 = _only(lambda v: _is_whole(v) and v > 0, "a whole number above 0")
_WHOLE = _only(_is_whole, "a whole number")
_MEASURE = _only(lambda v: _is_number(v) and 0 <= v < 1e15, "a number, at least 0")
_SHA256 = _only(lambda v: isinstance(v, str) and bool(_HASH.fullmatch(v)), "a SHA-256")
_ANY = _only(lambda _: True, "anything")
_TABLES = tuple(table.name for table in NIGHT_INPUTS)


def _one_of(*values: Any) -> Rule:
    return _only(lambda v: v in values, " or ".join(map(str, values)))


def _maybe(rule: Rule) -> Rule:
    def check(name: str, value: Any) -> Iterator[str]:
        if value is not None:
            yield from rule(name, value)

    return check


_WARNING = _object({"code": _TEXT, "values": _ANY, "text": _TEXT})


_ALERT = _object({"kind": _TEXT, "code": _TEXT, "values": _ANY, "text": _TEXT})
_AMOUNT = _only(_is_number, "a number")
_AMOUNTS: dict[str, Rule] = {
    "num_parcels": _ABOVE_0,
    "promised_cny": _AMOUNT,
    "realised_cny": _AMOUNT,
    "low": _AMOUNT,
    "high": _AMOUNT,
}
_ACCOUNT = _object(_AMOUNTS | {"name": _TEXT, "likely_cny": _AMOUNT})
_OUTBOX = _object(
    {
        "platform": _TEXT,
        "format": _one_of("csv", "jsonl"),
        "num_recommended": _COUNT,
        "num_taken": _COUNT,
        "refused": _each(_COUNT),
    }
)


def _warning(name: str, value: Any) -> Iterator[str]:
    """A code with its values; a sentence in records of format 1."""
    yield from () if isinstance(value, str) else _WARNING(name, value)


_HEAD = _maybe(_object({"number": _COUNT, "hash": _SHA256}))
_IDENTITY: dict[str, Rule] = {
    "date": _TEXT,
    "version": _TEXT,
    "config_sha256": _SHA256,
    "inputs": _each(_list(_SHA256), _TABLES),
}
_CERTIFICATE: dict[str, Rule] = {
    "is_feasible": _one_of(True),
    "primal_bound": _WHOLE,
    "dual_bound": _WHOLE,
    "gap": _COUNT,
    "relative_gap": _MEASURE,
    "violations": _only(lambda v: v == [], "empty"),
}
_PACKING: dict[str, Rule] = {
    "counting": _object(
        {
            "rule": _one_of("expected", "quantile"),
            "unit": _one_of("recommendations", "purchases"),
            "parts_of_a_parcel": _COUNT,
        },
        {"quantile": _TEXT},
    ),
    "bound": _one_of("branches", "whole lanes", "prices"),
    "num_conflicts": _COUNT,
    "holds_for": _TEXT,
    "unit": _ABOVE_0,
}
#: What is measured by itself.
_STAGES = ("read", "validate", "value", "build", "solve", "certify", "explain")
_MEASUREMENTS = _object(
    {
        "replaces": _maybe(_TEXT),
        "started_at_utc": _TEXT,
        "seconds": _each(_MEASURE, _STAGES),
        "peak_memory_bytes": _each(_COUNT, _STAGES),
    },
    # The last two of a night that a cluster solved.
    {"evidence_head": _HEAD, "num_near_orders": _COUNT, "num_passes": _COUNT},
)
#: What was guessed of the form of CSV files.
_READ_AS = _object(
    {},
    {
        "separator": _one_of(";", "\t", "|"),
        "num_before": _one_of(1),
        "header": _list(_TEXT),
        "has_empty_rows": _one_of(True),
    },
)
_KEYS: dict[str, Rule] = {
    "schema_version": _one_of(*FORMATS),
    "date": _TEXT,
    "identity": _object(
        _IDENTITY,
        {
            "model_sha256": _SHA256,
            "history": _SHA256,
            "previous": _ANY,
            "read_as": _each(_READ_AS, _TABLES),
        },
    ),
    "versions": _each(_TEXT),
    "config": _ANY,
    "policy": _ANY,
    "inputs": _each(
        _object(
            {
                "num_rows": _COUNT,
                "files": _list(
                    _object({"path": _TEXT, "num_bytes": _COUNT, "sha256": _SHA256})
                ),
            },
            {"read_as": _READ_AS, "unread": _list(_TEXT)},
        ),
        _TABLES,
    ),
    "substitutes": _each(_TEXT, _TABLES),
    "is_late": _FLAG,
    "problem_class": _one_of("network", "packing"),
    "termination": _object(
        {
            "reason": _one_of("OPTIMAL", "FEASIBLE"),
            "limit": _one_of(None, "TIME", "GAP", "METHOD"),
        }
    ),
    "certificate": _object(_CERTIFICATE, _PACKING),
    "summary": _ANY,
    "warnings": _list(_warning),
    "run_measurements": _MEASUREMENTS,
    "outputs": _each(
        _object({"sha256": _SHA256}, {"num_rows": _COUNT}),
        (*PUBLISHED, "report.html", "audit.sql"),
    ),
}
_OPTIONAL: dict[str, Rule] = {
    "alerts": _list(_ALERT),
    "assumptions": _list(_WARNING),
    "realised": _object(
        _AMOUNTS
        | {
            "num_nights": _COUNT,
            "by_night": _list(_ACCOUNT),
            "by_carrier": _list(_ACCOUNT),
        }
    ),
    "outboxes": _list(_OUTBOX),
    "repaired": _object(
        {
            "from": _TEXT,
            "tables": _list(_one_of(*_TABLES)),
            "changes": _each(
                _object({"path": _TEXT, "num_bytes": _COUNT, "sha256": _SHA256}),
                ("capacity", "add", "options", "drop", "cancel"),
            ),
        }
    ),
    "evidence": _object(
        {
            "columns": _list(_TEXT),
            "leaves_sha256": _SHA256,
            "num_rows": _COUNT,
            "root": _SHA256,
        },
        {
            "leaf_of": _one_of("merchant"),
            "num_leaves": _COUNT,
            "rows_in_piece": _COUNT,
            "rows_in_leaf": _COUNT,
        },
    ),
}
_ORIGINS: dict[str, Rule] = {"origins": _each(_TEXT, _TABLES)}
_RECORD = _object({**_KEYS, **_ORIGINS}, _OPTIONAL)
#: Records of before the chain of evidence, and some of before inputs were addresses.
_OLDEST = _object(_KEYS, _ORIGINS)
