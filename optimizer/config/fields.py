"""Types of the configuration's values, and the base of its models."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from optimizer.config.address import (
    check_sink,
    check_source,
    is_address,
    refuse_mistyped,
)


def exact(value: Any) -> Any:
    """
    Turn floats of a mapping into the decimals that they print as.

    Raises
    ------
    ValueError
        When it is true or false.
    """
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return Decimal(str(value)) if isinstance(value, float) else value


def no_flag(value: Any) -> Any:
    """
    Refuse true and false where a number is expected.

    Raises
    ------
    ValueError
        When it is true or false.
    """
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def at_most_six_decimals(value: Decimal) -> Decimal:
    """
    Refuse amounts with more than six decimals.

    Raises
    ------
    ValueError
        When it has more.
    """
    if value != round(value, 6):
        raise ValueError("must have at most six decimals")
    return value


def _at_most_nine_decimals(value: Decimal) -> Decimal:
    if value != round(value, 9):
        raise ValueError("must have at most nine decimals")
    return value


def _trimmed(value: str) -> str:
    if not value or value != value.strip():
        raise ValueError("must be a name without spaces around it")
    return value


def known_zone(value: str) -> str:
    """
    Refuse unknown time zones.

    Raises
    ------
    ValueError
        When the zone is not known here.
    """
    try:
        ZoneInfo(value)
    except (KeyError, OSError, ValueError):
        raise ValueError("must be a time zone such as Asia/Shanghai") from None
    return value


def check_dated_path(value: str) -> str:
    """
    Refuse values that are not a path, perhaps with ``{date}``.

    Raises
    ------
    ValueError
        When it is an address, or meant as one, empty, or has another placeholder.
    """
    refuse_mistyped(value)
    if is_address(value):
        raise ValueError("must be a path here, not an address")
    if "\0" in value:
        raise ValueError("must not hold NUL")
    if re.search(r"[{}]", value.replace("{date}", "")) or not value.strip():
        raise ValueError("must be a path; {date} is the only placeholder")
    return str(Path(value).expanduser()) if value.startswith("~/") else value


def check_dated_source(value: str) -> str:
    """Refuse values that are neither a path nor an address of a table."""
    return check_source(value) if is_address(value) else check_dated_path(value)


def _state_url(value: str) -> str:
    if not re.match(r"(sqlite|postgresql(\+psycopg)?)://", value):
        raise ValueError("must start with sqlite:/// or postgresql://")
    in_address = r"://[^@/]*:(?!\$\{\w+\}@).*@"
    in_query = r"password=(?!\$\{\w+\}(&|$))"
    if re.search(rf"{in_address}|{in_query}", value):
        raise ValueError("must not hold a password; write ${NAME} and set NAME")
    return value


def limits_schema(low: float, high: float | None = None) -> WithJsonSchema:
    """Schema of a number that is a plain number in YAML and exact inside."""
    limits = {"minimum": low} | ({} if high is None else {"maximum": high})
    return WithJsonSchema({"type": "number"} | limits)


Share = Annotated[
    Decimal,
    BeforeValidator(exact),
    Field(ge=0, le=1),
    AfterValidator(_at_most_nine_decimals),
    limits_schema(0, 1),
]
Money = Annotated[
    Decimal,
    BeforeValidator(exact),
    Field(ge=0, le=1_000_000),
    AfterValidator(at_most_six_decimals),
    limits_schema(0, 1_000_000),
]
Positive = Annotated[
    Decimal, BeforeValidator(exact), Field(gt=0, le=10**9), limits_schema(0, 10**9)
]
Factor = Annotated[
    Decimal, BeforeValidator(exact), Field(ge=0, le=10**9), limits_schema(0, 10**9)
]
Budget = Annotated[
    Decimal,
    BeforeValidator(exact),
    Field(ge=0, le=10**12),
    AfterValidator(at_most_six_decimals),
    limits_schema(0, 10**12),
]
Quantile = Annotated[
    Decimal,
    BeforeValidator(exact),
    Field(ge=0.5, le=0.999999),
    limits_schema(0.5, 0.999999),
]
Confidence = Annotated[
    Decimal,
    BeforeValidator(exact),
    Field(ge=0.5, le=0.9999),
    limits_schema(0.5, 0.9999),
]
Limit = Annotated[
    Decimal,
    BeforeValidator(exact),
    Field(ge=-(10**18), le=10**18),
    limits_schema(-(10**18), 10**18),
]
Priority = Annotated[int, Field(strict=True, ge=0, le=1_000)]
NumParcels = Annotated[int, Field(strict=True, ge=0, le=10**12)]
Gap = Annotated[Decimal, BeforeValidator(exact), Field(ge=0, le=1), limits_schema(0, 1)]
Number = Annotated[
    Decimal,
    BeforeValidator(exact),
    Field(ge=-(10**12), le=10**12),
    limits_schema(-(10**12), 10**12),
]
Name = Annotated[str, AfterValidator(_trimmed)]
DateSpelling = Literal[
    "YYYY/MM/DD",
    "YYYY.MM.DD",
    "YYYYMMDD",
    "YYYY年MM月DD日",
    "DD.MM.YYYY",
    "DD/MM/YYYY",
    "MM/DD/YYYY",
]
DatedPath = Annotated[str, AfterValidator(check_dated_path)]
DatedSink = Annotated[str, AfterValidator(check_sink)]
StateUrl = Annotated[str, AfterValidator(_state_url)]


#: The cap bank keeps so many days; a rolling window is no longer.
MAX_WINDOW_DAYS = 92


class ConfigModel(BaseModel):
    """Base of all models here: frozen, and strict about keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=False,
        serialize_by_alias=True,
    )
