"""Kinds of values of the configuration: numbers are decimals, and exact."""

import re
from decimal import Decimal
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)


def _exact(value: Any) -> Any:
    """Turn floats of a mapping into the decimals that they print as."""
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return Decimal(str(value)) if isinstance(value, float) else value


def no_flag(value: Any) -> Any:
    """Refuse true and false where a number is meant."""
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def _at_most_six_decimals(value: Decimal) -> Decimal:
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
    """Refuse time zones that there are none."""
    try:
        ZoneInfo(value)
    except (KeyError, OSError, ValueError):
        raise ValueError("must be a time zone such as Asia/Shanghai") from None
    return value


def _dated_path(value: str) -> str:
    if re.search(r"[{}]", value.replace("{date}", "")) or not value.strip():
        raise ValueError("must be a path; {date} is the only placeholder")
    return value


def _schema(low: float, high: float | None = None) -> WithJsonSchema:
    limits = {"minimum": low} | ({} if high is None else {"maximum": high})
    return WithJsonSchema({"type": "number"} | limits)


Share = Annotated[
    Decimal,
    BeforeValidator(_exact),
    Field(ge=0, le=1),
    AfterValidator(_at_most_nine_decimals),
    _schema(0, 1),
]
Money = Annotated[
    Decimal,
    BeforeValidator(_exact),
    Field(ge=0, le=1_000_000),
    AfterValidator(_at_most_six_decimals),
    _schema(0, 1_000_000),
]
Positive = Annotated[
    Decimal, BeforeValidator(_exact), Field(gt=0, le=10**9), _schema(0, 10**9)
]
Budget = Annotated[
    Decimal,
    BeforeValidator(_exact),
    Field(ge=0, le=10**12),
    AfterValidator(_at_most_six_decimals),
    _schema(0, 10**12),
]
Quantile = Annotated[
    Decimal, BeforeValidator(_exact), Field(ge=0.5, le=0.999999), _schema(0.5, 0.999999)
]
Confidence = Annotated[
    Decimal, BeforeValidator(_exact), Field(ge=0.5, le=0.9999), _schema(0.5, 0.9999)
]
Limit = Annotated[
    Decimal,
    BeforeValidator(_exact),
    Field(ge=-(10**18), le=10**18),
    _schema(-(10**18), 10**18),
]
Priority = Annotated[int, Field(strict=True, ge=0, le=1_000)]
NumParcels = Annotated[int, Field(strict=True, ge=0, le=10**12)]
Gap = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, le=1), _schema(0, 1)]
Name = Annotated[str, AfterValidator(_trimmed)]
DatedPath = Annotated[str, AfterValidator(_dated_path)]


class Model(BaseModel):
    """Base of all models here: frozen, and strict about keys."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=False
    )
