"""Configuration from a file or a mapping; every wrong key in one error."""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from optimizer.config.models import Config, Objective, PolicyRow
from optimizer.config.origin import Origin, line_of
from optimizer.config.yaml_reader import read_yaml
from optimizer.errors import ConfigError

if TYPE_CHECKING:
    from os import PathLike

    from pydantic.fields import FieldInfo

    from optimizer.config.yaml_reader import Lines, Location


def load_config(path: str | PathLike[str]) -> Config:
    """
    Read a YAML configuration.

    Raises
    ------
    ConfigError
        With a line ``file:line: key: what is wrong`` for every wrong key.
    """
    return _made_of(*_read(path))


def _read(path: str | PathLike[str]) -> tuple[str, bytes]:
    """The name of a file, for messages, and its bytes."""
    name = str(path)
    try:
        return name, Path(path).read_bytes()
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise ConfigError(f"{name}: {reason}; check the path of --config") from None
    except ValueError:
        raise ConfigError(f"{name!r}: is no path; check the path of --config") from None


def _made_of(name: str, content: bytes) -> Config:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: is not UTF-8 text; save it as UTF-8") from None
    data, lines = read_yaml(text, name)
    return _validate(data, name, lines)


#: Configurations of files, by name and bytes, which are all that they are made from: an
#: address gets its ``${NAME}`` and a relative path its folder when it is opened.
_of_file = lru_cache(8)(_made_of)
#: Configurations of mappings, by their text: who calls in a loop gives the same again.
_MADE: dict[str, Config] = {}
_MOST_MADE = 16


def _of_mapping(given: dict[str, Any]) -> Config:
    written = repr(given)
    made = _MADE.get(written)
    if made is None:
        made = _validate(given, "config", {})
        if len(_MADE) >= _MOST_MADE:
            _MADE.clear()
        _MADE[written] = made
    return made


#: No file system has longer paths.
_MAX_PATH = 4_095


def as_config(config: Config | Mapping[str, Any] | str | PathLike[str]) -> Config:
    """
    Make a configuration from a path or a mapping; a ``Config`` is returned unchanged.

    Of a file with the same bytes, and of an equal mapping, it is the one that was made
    before: nobody may change it.

    Raises
    ------
    ConfigError
        When it is none of these, or a key is wrong.
    """
    if isinstance(config, Config):
        return config
    if isinstance(config, Mapping):
        return _of_mapping(dict(config))
    if isinstance(config, str) and ("\n" in config or len(config) > _MAX_PATH):
        raise ConfigError(
            "config is a text of YAML, and no path; give its path, or what "
            "yaml.safe_load makes of it"
        )
    if isinstance(config, str | Path) or hasattr(config, "__fspath__"):
        return _of_file(*_read(config))
    kind = type(config).__name__
    raise ConfigError(f"config must be a Config, a mapping or a path, got {kind}")


def as_day(date: dt.date | str | None) -> dt.date | None:
    """
    Make a business date from a date or its text.

    Raises
    ------
    ConfigError
        When it is neither; a time is refused too.

    Examples
    --------
    >>> as_day("2026-11-22")
    datetime.date(2026, 11, 22)
    """
    if date is None:
        return None
    if isinstance(date, dt.datetime) or not isinstance(date, str | dt.date):
        raise ConfigError(f"date must be a date without a time, got {date!r}")
    if isinstance(date, dt.date):
        return date
    try:
        return dt.date.fromisoformat(date)
    except ValueError:
        raise ConfigError(f"date must be like 2026-11-22, got {date!r}") from None


def policy_on(config: Config, day: dt.date | None) -> PolicyRow:
    """
    The policy row in force on a date.

    Raises
    ------
    ConfigError
        When none is, or when there is no date and more than one row.
    """
    rows = sorted(config.policy, key=lambda row: row.valid_from)
    if day is None:
        if len(rows) > 1:
            raise ConfigError("the policy has several dated rows: give the date=")
        return rows[0]
    in_force = [row for row in rows if row.valid_from <= day]
    if not in_force:
        raise ConfigError(
            f"no policy row is in force on {day}; the first starts on "
            f"{rows[0].valid_from}: add a row with an earlier valid_from"
        )
    return in_force[-1]


def objective_on(config: Config, policy: PolicyRow) -> Objective:
    """The objective with the changes of a policy row."""
    changes = policy.objective
    given = {name: value for name, value in changes if value is not None}
    return config.objective.model_copy(update=given)


def config_json(config: Config) -> dict[str, Any]:
    """The configuration, complete and ready for JSON; decimals as text."""
    return config.model_dump(mode="json")


#: Parts of the configuration that decide nothing of a night.
_NOT_DECISIVE = (
    *("state", "outputs", "outbox", "operations", "keep", "limits", "files", "report"),
)


def config_hash(config: Config) -> str:
    """
    SHA-256 of the configuration, in hexadecimal.

    Settings for the state, for copies of a night and for monitoring are left out: they
    do not affect the night.
    """
    return recorded_hash(config_json(config))


def recorded_hash(told: Mapping[str, Any]) -> str:
    """
    SHA-256 of a configuration as it was recorded, with the keys of its time.

    Parameters
    ----------
    told
        As in ``run.json``.
    """
    decisive = {k: v for k, v in told.items() if k not in _NOT_DECISIVE}
    text = json.dumps(decisive, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def expand_date(template: str, day: dt.date) -> str:
    """
    Put the business date into a configured path.

    Examples
    --------
    >>> import datetime as dt
    >>> expand_date("nights/{date}/orders.parquet", dt.date(2026, 11, 22))
    'nights/2026-11-22/orders.parquet'
    """
    return template.replace("{date}", day.isoformat())


def _validate(data: Any, name: str, lines: Lines) -> Config:
    if not isinstance(data, dict):
        raise ConfigError(f"{name}: must be a mapping of keys, such as version: 1")
    try:
        return Config.model_validate(data, context=Origin(name, lines))
    except ValidationError as error:
        errors = _deepest([dict(e) for e in error.errors(include_url=False)])
        found = [_problem(e, name, lines) for e in errors]
    raise ConfigError("\n".join(text for _, text in sorted(set(found))))


def _deepest(errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop a list's "too short" where it only says that its items are wrong."""
    inner = {e["loc"][:depth] for e in errors for depth in range(len(e["loc"]))}
    return [e for e in errors if e["type"] != "too_short" or e["loc"] not in inner]


def _problem(error: dict[str, Any], name: str, lines: Lines) -> tuple[int, str]:
    location = _without_types(error["loc"])
    line = line_of(location, lines)
    where = f"{name}:{line}" if lines else name
    return line, f"{where}: {_dotted(location)}: {_words(error, location)}"


def _without_types(location: Location) -> Location:
    """Drop the labels that pydantic adds for the members of a union."""
    return tuple(part for part in location if part not in _TYPES)


_TYPES = {"bool", "decimal", "int", "str"}


def _dotted(location: Location) -> str:
    """
    Write a location as people do, with dots and brackets.

    Examples
    --------
    >>> _dotted(("policy", 0, "cap", "rate"))
    'policy[0].cap.rate'
    """
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".") or "configuration"


_WORDS = {
    "missing": "is required",
    "decimal_parsing": "must be a number",
    "decimal_type": "must be a number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "model_type": "must be a mapping of keys",
    "model_attributes_type": "must be a mapping of keys",
    "too_short": "must not be empty",
    "finite_number": "must be a finite number",
    "date_from_datetime_parsing": "must be a date such as 2026-11-22",
    "date_parsing": "must be a date such as 2026-11-22",
    "date_type": "must be a date such as 2026-11-22",
    "date_from_datetime_inexact": "must be a date such as 2026-11-22",
}


def _words(error: dict[str, Any], location: Location) -> str:
    kind, got = error["type"], f", got {_shown(error['input'])}"
    context = error.get("ctx", {})
    if kind == "extra_forbidden":
        return "unknown key" + _did_you_mean(location)
    if kind == "missing":
        return f"is required ({_description(location)})"
    if kind in _LIMITS:
        return _limit(kind, context, location) + got
    if kind == "literal_error":
        return f"must be {context['expected'].replace(chr(39), '')}{got}"
    if kind == "value_error":
        is_hidden = isinstance(error["input"], dict | BaseModel) or "url" in location
        return f"{context['error']}" + ("" if is_hidden else got)
    return _WORDS.get(kind, error["msg"][:1].lower() + error["msg"][1:]) + got


_LIMITS = {"greater_than": "above", "greater_than_equal": "at least"} | {
    "less_than": "below",
    "less_than_equal": "at most",
}


def _limit(kind: str, context: dict[str, Any], location: Location) -> str:
    """Name both ends where the field has two: between 0 and 1."""
    field = _field(location)
    ends = {
        end: value
        for item in (field.metadata if field else [])
        for end in ("ge", "le")
        if (value := getattr(item, end, None)) is not None
    }
    if len(ends) == 2:
        return f"must be between {ends['ge']} and {ends['le']}"
    limit = next(iter(context.values()))
    return f"must be {_LIMITS[kind]} {limit}"


#: A scheme and a colon, perhaps in quotes: an address that was mistyped.
_LIKE_ADDRESS = re.compile(r"['\"]?\s*[A-Za-z][A-Za-z0-9+]*\s*(:|//)")


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = str(value) if not isinstance(value, str) else repr(value)
    if "://" in text or _LIKE_ADDRESS.match(text):
        return "an address"  # it may hold a password
    return text if len(text) <= 60 else text[:57] + "..."


def _model_at(location: Location) -> type[BaseModel] | None:
    """The model that holds the last part of a location."""
    model: type[BaseModel] = Config
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        field = _fields(model).get(str(part))
        inner = _inner_model(field.annotation) if field else None
        if inner is None:
            return None
        model = inner
    return model


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_inner_model(argument) for argument in get_args(annotation))
    return next((model for model in found if model), None)


def _field(location: Location) -> Any:
    model = _model_at(location)
    return _fields(model).get(str(location[-1])) if model and location else None


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Fields by their key in the file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _description(location: Location) -> str:
    field = _field(location)
    text = str(field.description) if field else "see configs/nightly.yaml"
    return text[:1].lower() + text[1:].rstrip(".")


def _did_you_mean(location: Location) -> str:
    model = _model_at(location)
    known = list(_fields(model)) if model else []
    near = difflib.get_close_matches(str(location[-1]), known, 1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known here: {', '.join(known)}" if known else ""
