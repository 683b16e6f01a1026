r"""
A learned model as plain numbers: read, checked and applied without any library.

With numbers :math:`v` and levels :math:`l` (carrier, region, category, merchant) of
an order, the risk of a harm on standard service is

.. math:: p = \operatorname{logit}^{-1}\bigl(b_0 + \textstyle\sum_k b_k v_k +
          \sum_l b_l\bigr),

and a kept promise removes the share :math:`h = g_0 + \sum_l g_l` of it, so that
:math:`q = p\,(1 - h)`; :math:`h < 0` where premium hurts. Levels that the history
did not have count as 0: the pooled estimate. The promise itself is separate, by carrier
and region, and multiplies the effect as ``objective.fulfilment`` does.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from optimizer.config import Fulfilment
from optimizer.errors import ConfigError
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.kept_inputs import MODEL_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl
    from numpy.typing import NDArray

CARD_FILE = "card.md"
#: Format of models.
FORMAT: Literal[1] = 1
#: Harms by the prefix of their probability columns.
HARMS = ("complaint", "return")
LEVELS = ("carrier_id", "region_id", "category_id")
#: Probabilities are kept this far from 0 and 1 before their logit is taken.
_EDGE = 1e-5
#: Decimals of drawn coefficients: far below their noise, above a machine's last bits.
_DRAWN_DIGITS = 9

Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Part(BaseModel):
    """Base of a model's parts."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Risk(_Part):
    """Logistic risk on standard service: slopes of numbers, offsets of levels."""

    intercept: Finite
    slopes: dict[str, Finite]
    levels: dict[str, dict[str, Finite]]


class Effect(_Part):
    """Share of the harm that a kept promise removes, with its uncertainty."""

    intercept: Finite
    levels: dict[str, dict[str, Finite]]
    #: Names of the coefficients, ``("", "")`` first, and their covariance.
    names: list[tuple[str, str]]
    covariance: list[list[Finite]]


class Promise(_Part):
    """Share of promises kept by a carrier, in all regions or in one."""

    carrier_id: str | None
    region_id: str | None
    num_premium: int
    num_kept: int
    mean: Annotated[float, Field(ge=0, le=1)]
    low: Annotated[float, Field(ge=0, le=1)]
    high: Annotated[float, Field(ge=0, le=1)]


class LearnedModel(_Part):
    """A learned model; see the top of the module."""

    #: Models of before it was written down have the same one.
    format: Literal[1] = FORMAT
    version: str
    first_date: str
    last_date: str
    regime_breaks: list[str]
    kind: Literal["randomised", "observational", "prior"]
    risk: dict[str, Risk]
    effect: dict[str, Effect]
    promises: list[Promise]
    #: Parcels that were too young to count; not known of models of before.
    num_waiting: int | None = None

    @property
    def last_day(self) -> dt.date:
        """The last date of the history."""
        return dt.date.fromisoformat(self.last_date)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model and the checksum of its file."""

    model: LearnedModel
    path: Path
    sha256: str


def load_model(folder: Path | str) -> LoadedModel:
    """
    Read a learned model.

    Raises
    ------
    ConfigError
        When there is none, or it is of another format.
    DataError
        When it is damaged: no JSON, or nothing that was ever written.
    """
    path = Path(folder) / MODEL_FILE
    try:
        content = path.read_bytes()
        with damaged_is_data_error(f"model: {path}"):
            json.loads(content)
        # Text to Python first: strict JSON mode would refuse the pairs in names.
        model = LearnedModel.model_validate_json(content)
        dt.date.fromisoformat(model.last_date)
    except OSError:
        raise ConfigError(
            f"model: {path}: no such file; make one with optimizer learn"
        ) from None
    except (ValidationError, ValueError):
        raise ConfigError(f"model: {path}: {_not_read(content)}") from None
    return LoadedModel(model, path, hashlib.sha256(content).hexdigest())


def _not_read(content: bytes) -> str:
    """Why a model cannot be read, and what to do."""
    try:
        found = json.loads(content)
        told, made_by = found.get("format", FORMAT), found.get("version")
    except (ValueError, AttributeError):
        return "is damaged; restore it, or learn it again"
    if told != FORMAT:
        return (
            f"is of format {told} (optimizer {made_by} learned it), and known is "
            f"{FORMAT}; use that version, or learn it again with this one"
        )
    return (
        f"is not as a model of format {FORMAT} should be; restore it, or learn it "
        "again with this version of optimizer"
    )


def model_text(model: LearnedModel) -> str:
    """Write a model so that equal models are equal bytes."""
    return json.dumps(model.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"


def numbers(frame: pl.DataFrame, names: Iterable[str]) -> NDArray[np.float64]:
    """
    The numbers that risk depends on, a column for each name.

    ``logit(x)`` of a probability column, ``log1p(x)`` of an amount; nulls are nan.
    """
    columns = []
    for name in names:
        kind, _, column = name.rstrip(")").partition("(")
        value = frame[column].cast(float).to_numpy().astype(np.float64)
        if kind == "logit":
            value = np.clip(value, _EDGE, 1 - _EDGE)
            value = np.log(value) - np.log1p(-value)
        else:
            value = np.log1p(value)
        columns.append(value)
    return np.column_stack(columns) if columns else np.zeros((len(frame), 0))


def risk_of(frame: pl.DataFrame, risk: Risk) -> NDArray[np.float64]:
    """
    Probability of a harm on standard service, ``(n,) float64``.

    Raises
    ------
    ConfigError
        When a number that the model rests on is missing.
    """
    value = numbers(frame, risk.slopes)
    if np.isnan(value).any():
        lacking = [
            name
            for name, column in zip(risk.slopes, value.T, strict=True)
            if np.isnan(column).any()
        ]
        raise ConfigError(
            f"model: it was learned with {', '.join(lacking)}, which orders of this "
            "night lack; give the column, or learn from a history without it"
        )
    score = risk.intercept + value @ np.array(list(risk.slopes.values()))
    score = score + level_sum(frame, risk.levels)
    return np.asarray(1 / (1 + np.exp(-score)))


def level_sum(
    frame: pl.DataFrame, levels: dict[str, dict[str, float]]
) -> NDArray[np.float64]:
    """Sum of the offsets of each row's levels; 0 where one is not known."""
    import polars as pl

    total = np.zeros(len(frame))
    for column, offsets in levels.items():
        if column in frame.columns and offsets:
            found = (
                frame[column]
                .cast(pl.String)
                .replace_strict(offsets, default=0.0, return_dtype=pl.Float64)
            )
            total += found.fill_null(0.0).to_numpy()
    return total


def kept_effect(frame: pl.DataFrame, effect: Effect) -> NDArray[np.float64]:
    """Share of the harm that a kept promise removes, ``(n,) float64``, not clipped."""
    return effect.intercept + level_sum(frame, effect.levels)


def premium_risk(
    standard: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Risk with a kept promise that removes a share of it; in [0, 1]."""
    return np.clip(standard * (1 - share), 0.0, 1.0)


def drawn_model(model: LearnedModel, *, seed: int) -> LearnedModel:
    """
    Draw the effects of a model from their posterior; the same seed draws the same.

    Each harm's coefficients are one draw of a normal law with their means and their
    covariance; risks and promises stay. The result is a model like any other whose
    means are the drawn numbers.

    Every machine draws the same bytes: the noise of a coefficient is a hash of the
    seed and of its own name, the factor of the covariance is made of elementwise
    sums that no library reorders, and coefficients are rounded to nine digits.

    Parameters
    ----------
    model
        Left as it is.
    seed
        Any whole number.
    """
    drawn = {
        harm: _drawn_effect(effect, f"{seed}|{harm}")
        for harm, effect in model.effect.items()
    }
    return model.model_copy(update={"effect": drawn})


def _drawn_effect(effect: Effect, key: str) -> Effect:
    """One draw of an effect's coefficients."""
    noise = [_normal(f"{key}|{column}|{level}") for column, level in effect.names]
    moved = np.zeros(len(noise))
    factor = _lower_factor(np.array(effect.covariance, np.float64))
    for column, value in zip(factor.T, noise, strict=True):
        moved += column * value
    moves = dict(zip(effect.names, moved.tolist(), strict=True))
    levels = {
        column: {
            level: round(share + moves[column, level], _DRAWN_DIGITS)
            for level, share in offsets.items()
        }
        for column, offsets in effect.levels.items()
    }
    intercept = round(effect.intercept + moves["", ""], _DRAWN_DIGITS)
    return effect.model_copy(update={"intercept": intercept, "levels": levels})


def _lower_factor(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    The lower Cholesky factor; columns without variance left to explain are 0.

    Elementwise: LAPACK sums in an order that differs from machine to machine.
    """
    left = (covariance + covariance.T) / 2
    factor = np.zeros_like(left)
    least = 1e-12 * np.diag(left).max(initial=0.0)
    for at in range(len(left)):
        if left[at, at] > least:
            column = left[at:, at] / np.sqrt(left[at, at])
            factor[at:, at] = column
            left[at:, at:] -= column[:, None] * column[None, :]
    return factor


def _normal(key: str) -> float:
    """A standard normal number from the hash of a text."""
    whole = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8])
    return NormalDist().inv_cdf(((whole >> 12) + 0.5) / 2**52)


def fulfilment_rows(
    model: LearnedModel, roster: Iterable[str], configured: Iterable[Fulfilment]
) -> list[Fulfilment]:
    """
    Promise-keeping in the form of ``objective.fulfilment``.

    Rows of the configuration are kept. A carrier that it does not name gets the model's
    share, and one without history the pooled share.
    """
    stated = list(configured)
    named = {row.carrier_id for row in stated}
    pooled = next(p.mean for p in model.promises if p.carrier_id is None)
    known = {p.carrier_id for p in model.promises}
    rows = [
        (p.carrier_id, p.region_id, p.mean)
        for p in model.promises
        if p.carrier_id is not None and p.carrier_id not in named
    ]
    rows += [(c, None, pooled) for c in roster if c not in known and c not in named]
    return stated + [
        Fulfilment.model_validate(
            {"carrier_id": c, "region_id": r, "probability": round(share, 9)}
        )
        for c, r, share in rows
    ]
