r"""
A learned model as plain numbers: read, checked and applied without any library.

With numbers :math:`v` and levels :math:`l` (carrier, region, category, merchant) of
an order, the risk of a harm on standard service is

.. math:: p = \operatorname{logit}^{-1}\bigl(b_0 + \textstyle\sum_k b_k v_k +
          \sum_l b_l\bigr),

and a kept promise removes the share

.. math:: h = g_0 + \textstyle\sum_k g_k v_k + \sum_l g_l + g_f f(v, l)

of it, so that :math:`q = p\,(1 - h)`; :math:`h < 0` where premium hurts. In the effect
numbers stay within what the history had, and :math:`f` is the sum of the leaves that an
order reaches in a few regression trees. With the link ``logit`` it is
:math:`\operatorname{logit} q = \operatorname{logit} p - h` instead. Levels that the
history did not have count as 0: the pooled estimate. The promise itself is separate, by
carrier and region, and multiplies the effect as ``objective.fulfilment`` does.

Models of format 1 have neither numbers nor trees in their effect.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from optimizer.config import Fulfilment
from optimizer.errors import ConfigError
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.kept_inputs import MODEL_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import polars as pl
    from numpy.typing import NDArray

CARD_FILE = "card.md"
#: Format of models that are written; those of format 1 are read and mean the same.
FORMAT: Literal[2] = 2
#: Format of models of before it was written down.
_FIRST_FORMAT: Literal[1] = 1
#: Harms by the prefix of their probability columns.
HARMS = ("complaint", "return")
LEVELS = ("carrier_id", "region_id", "category_id")
#: A model that saw no night may be used on any.
BEFORE_ANY_NIGHT = "1970-01-01"
#: Name of the coefficient that the trees of an effect have.
FOREST = "forest"
#: Probabilities are kept this far from 0 and 1 before their logit is taken.
_EDGE = 1e-5
#: Digits of drawn coefficients: far below their noise, above a machine's last bits.
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
    #: What counts where a column has no value, by column; others must have one.
    fills: dict[str, Finite] = {}


class Tree(_Part):
    """
    A regression tree as lists, a node in each place; node 0 is the root.

    An order goes left where its input is at most the threshold. A leaf has no left.
    """

    input: list[int]
    threshold: list[Finite]
    left: list[int]
    right: list[int]
    value: list[Finite]


class Forest(_Part):
    """Trees whose leaves are added up; of several resampled members the mean."""

    #: Inputs: names of numbers, then column and level: 1 where the order has it.
    numbers: list[str]
    levels: list[tuple[str, str]]
    members: Annotated[list[list[Tree]], Field(min_length=1)]


class Effect(_Part):
    """Share of the harm that a kept promise removes, with its uncertainty."""

    intercept: Finite
    levels: dict[str, dict[str, Finite]]
    #: Names of the coefficients, ``("", "")`` first, and their covariance; a number is
    #: ``("", "log1p(order_value_cny)")``, and the trees are ``("", "forest")``.
    names: list[tuple[str, str]]
    covariance: list[list[Finite]]
    link: Literal["share", "logit"] = "share"
    slopes: dict[str, Finite] = {}
    #: Least and greatest value of each number in the history, extremes aside.
    ranges: dict[str, tuple[Finite, Finite]] = {}
    fills: dict[str, Finite] = {}
    forest: Forest | None = None
    #: What the trees' sum is multiplied by.
    forest_slope: Finite = 0.0
    #: Part of the intercept that is the benefit of doubt, and was not measured.
    raised: Finite = 0.0

    @model_serializer(mode="wrap")
    def _without_raise(self, handler: SerializerFunctionWrapHandler) -> Any:
        """Leave out what models of before did not have."""
        found = handler(self)
        if not self.raised:
            found.pop("raised", None)
        return found


class Promise(_Part):
    """Share of promises kept by a carrier, in all regions or in one."""

    carrier_id: str | None
    region_id: str | None
    num_premium: int
    num_kept: int
    mean: Annotated[float, Field(ge=0, le=1)]
    low: Annotated[float, Field(ge=0, le=1)]
    high: Annotated[float, Field(ge=0, le=1)]


class Candidate(_Part):
    """A learner, and what its plan was worth on parcels that it had not seen."""

    learner: str
    #: Net of fees, of all nights of the history, by doubly robust scores.
    value_cny: Finite
    #: More than the plan of the learner in force, with its standard error.
    more_cny: Finite
    error_cny: Finite
    #: Probability that it is worth more than the learner in force.
    confidence: Annotated[float, Field(ge=0, le=1)]
    is_champion: bool
    #: By harm, the part of its differences that holds on parcels it had not seen.
    slopes: dict[str, Finite] = {}

    @model_serializer(mode="wrap")
    def _without_slopes(self, handler: SerializerFunctionWrapHandler) -> Any:
        """Leave out what models of before did not have."""
        found = handler(self)
        if not self.slopes:
            found.pop("slopes", None)
        return found


class Pooled(_Part):
    """One share of a harm for all parcels: what is known of the effect on the whole."""

    #: Share that a kept promise removes, with its standard error.
    share: Finite
    error: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    #: Of its precision, the part that the stated prior has; ``None`` without a prior.
    prior_weight: Annotated[float, Field(ge=0, le=1)] | None
    #: Premium parcels that it was measured on.
    num_premium: Annotated[int, Field(ge=0)]


class Account(_Part):
    """What plans promised and what came of it, of one night or one carrier, in CNY."""

    #: A date or a carrier.
    name: str
    num_parcels: Annotated[int, Field(gt=0)]
    promised_cny: Finite
    realised_cny: Finite
    low: Finite
    high: Finite
    #: Realised, shrunk to the ratio of all by what of it is chance.
    likely_cny: Finite


class Realised(_Part):
    """What plans of the history promised, and what came of it, in CNY."""

    #: Parcels of these plans that were left to chance.
    num_parcels: Annotated[int, Field(gt=0)]
    promised_cny: Finite
    realised_cny: Finite
    #: Ends of the 95 % interval of what was realised.
    low: Finite
    high: Finite
    #: Nights with such parcels, the last of them, oldest first, and carriers by name.
    num_nights: Annotated[int, Field(ge=0)] = 0
    by_night: list[Account] = []
    by_carrier: list[Account] = []

    @model_serializer(mode="wrap")
    def _without_accounts(self, handler: SerializerFunctionWrapHandler) -> Any:
        """Leave out what models of before did not have."""
        found = handler(self)
        if not self.num_nights:
            for name in ("num_nights", "by_night", "by_carrier"):
                found.pop(name, None)
        return found


class LearnedModel(_Part):
    """A learned model; see the top of the module."""

    #: Models of before it was written down are of the first.
    format: Literal[1, 2] = _FIRST_FORMAT
    version: str
    first_date: str
    last_date: str
    regime_breaks: list[str]
    kind: Literal["randomised", "observational", "prior"]
    risk: dict[str, Risk]
    effect: dict[str, Effect]
    promises: list[Promise]
    #: The learner in force, and those that it was compared with.
    learner: str = "share"
    candidates: list[Candidate] = []
    #: Parcels that were too young to count, and the effect of each harm on the whole;
    #: not known of models of before.
    num_waiting: int | None = None
    pooled: dict[str, Pooled] | None = None
    #: ``None`` where nothing of earlier plans was left to chance.
    realised: Realised | None = None

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
        _check_trees(model)
    except OSError:
        raise ConfigError(
            f"model: {path}: no such file; make one with optimizer learn"
        ) from None
    except (ValidationError, ValueError):
        raise ConfigError(f"model: {path}: {_not_read(content)}") from None
    if model.format != _FIRST_FORMAT and model != named(model):
        raise ConfigError(
            f"model: {path}: was changed after it was learned: its numbers are not "
            f"those of version {model.version}; restore it, or learn it again"
        )
    return LoadedModel(model, path, hashlib.sha256(content).hexdigest())


def named(model: LearnedModel, prefix: str | None = None) -> LearnedModel:
    """
    The same model, with the version that its numbers give it.

    Parameters
    ----------
    model
        Whatever its version.
    prefix
        What the checksum follows; left out: what it followed before.
    """
    bare = model.model_copy(update={"version": ""})
    digest = hashlib.sha256(model_text(bare).encode()).hexdigest()[:8]
    before = model.version.rpartition("-")[0] if prefix is None else prefix
    return model.model_copy(update={"version": f"{before}-{digest}"})


def _check_trees(model: LearnedModel) -> None:
    """
    Refuse trees in which an order would go round in circles, or to no node.

    Raises
    ------
    ValueError
        When there is one.
    """
    for effect in model.effect.values():
        forest = effect.forest
        if forest is None:
            continue
        num_inputs = len(forest.numbers) + len(forest.levels)
        for tree in (tree for member in forest.members for tree in member):
            size = len(tree.value)
            parts = (tree.input, tree.threshold, tree.left, tree.right)
            if not size or any(len(part) != size for part in parts):
                raise ValueError("a tree whose lists differ in length")
            for node, left in enumerate(tree.left):
                inner = node < left < size and node < tree.right[node] < size
                if left >= 0 and not (inner and 0 <= tree.input[node] < num_inputs):
                    raise ValueError("a tree that does not lead down to leaves")


def _not_read(content: bytes) -> str:
    """Why a model cannot be read, and what to do."""
    try:
        found = json.loads(content)
        told, version = found.get("format", _FIRST_FORMAT), found.get("version")
    except (ValueError, AttributeError):
        return "is damaged; restore it, or learn it again"
    if told not in range(_FIRST_FORMAT, FORMAT + 1):
        return (
            f"model {version} is of format {told}, and this version of optimizer "
            f"knows {_FIRST_FORMAT} to {FORMAT}; use the version that learned it, or "
            "learn it again with this one"
        )
    return (
        f"is not as a model of format {told} should be; restore it, or learn it "
        "again with this version of optimizer"
    )


def model_text(model: LearnedModel) -> str:
    """Write a model so that equal models are equal bytes."""
    found = model.model_dump(mode="json")
    for name in ("num_waiting", "pooled", "realised"):
        if found[name] is None:
            del found[name]  # models of before have none, and other bytes
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


def columns_of(names: Iterable[str]) -> list[str]:
    """
    The columns that numbers are made of.

    Examples
    --------
    >>> columns_of(["logit(complaint_prob_standard)", "log1p(order_value_cny)"])
    ['complaint_prob_standard', 'order_value_cny']
    """
    return [name.partition("(")[2][:-1] for name in names]


def numbers(
    frame: pl.DataFrame, names: Iterable[str], fills: Mapping[str, float] | None = None
) -> NDArray[np.float64]:
    """
    The numbers that a model depends on, a column for each name.

    ``logit(x)`` of a probability column, ``log1p(x)`` of an amount, ``value(x)`` as it
    is; nulls are nan where nothing fills them.
    """
    columns = []
    for name in names:
        kind, _, rest = name.partition("(")
        column = rest[:-1]
        value = frame[column].cast(float).to_numpy().astype(np.float64)
        if fills and column in fills:
            value = np.where(np.isnan(value), fills[column], value)
        if kind == "logit":
            value = np.clip(value, _EDGE, 1 - _EDGE)
            value = np.log(value) - np.log1p(-value)
        elif kind == "log1p":
            # A feature may be below what the history had; an amount is not.
            value = np.log1p(np.maximum(value, 0.0))
        columns.append(value)
    return np.column_stack(columns) if columns else np.zeros((len(frame), 0))


def _required_numbers(
    frame: pl.DataFrame, names: Iterable[str], fills: Mapping[str, float]
) -> NDArray[np.float64]:
    """
    Numbers of which none may be missing.

    Raises
    ------
    ConfigError
        When one is.
    """
    names = list(names)
    absent = [
        name
        for name, column in zip(names, columns_of(names), strict=True)
        if column not in frame.columns
    ]
    value = np.zeros((0, 0)) if absent else numbers(frame, names, fills)
    lacking = absent or [
        name
        for name, column in zip(names, value.T, strict=True)
        if np.isnan(column).any()
    ]
    if lacking:
        raise ConfigError(
            f"model: it was learned with {', '.join(lacking)}, which orders of this "
            "night lack; give the column, or learn from a history without it"
        )
    return value


def risk_of(frame: pl.DataFrame, risk: Risk) -> NDArray[np.float64]:
    """
    Probability of a harm on standard service, ``(n,) float64``.

    Raises
    ------
    ConfigError
        When a number that the model rests on is missing.
    """
    value = _required_numbers(frame, risk.slopes, risk.fills)
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
    """
    What a kept promise removes, ``(n,) float64``, not clipped: see ``Effect.link``.

    Raises
    ------
    ConfigError
        When a number that the model rests on is missing.
    """
    value = _required_numbers(frame, effect.slopes, effect.fills)
    for place, name in enumerate(effect.slopes):
        value[:, place] = np.clip(value[:, place], *effect.ranges[name])
    found = effect.intercept + value @ np.array(list(effect.slopes.values()))
    if effect.forest is not None:
        found = found + effect.forest_slope * forest_sum(
            frame, effect.forest, effect.fills
        )
    return np.asarray(found + level_sum(frame, effect.levels))


def forest_sum(
    frame: pl.DataFrame, forest: Forest, fills: Mapping[str, float]
) -> NDArray[np.float64]:
    """
    Mean over the members of the sum of their trees, ``(n,) float64``.

    Raises
    ------
    ConfigError
        When a number that the trees ask for is missing.
    """
    return walk(forest, forest_inputs(frame, forest, fills))


def forest_inputs(
    frame: pl.DataFrame, forest: Forest, fills: Mapping[str, float]
) -> NDArray[np.float64]:
    """Inputs of the trees, ``(n, num_inputs) float64``."""
    value = _required_numbers(frame, forest.numbers, fills)
    flags = [
        (frame[column] == level).fill_null(value=False).to_numpy().astype(np.float64)
        if column in frame.columns
        else np.zeros(len(frame))
        for column, level in forest.levels
    ]
    return np.column_stack([value, *flags])


def walk(forest: Forest, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    Lead orders down the trees and add up their leaves.

    Examples
    --------
    >>> tree = Tree(input=[0, -1, -1], threshold=[0.5, 0, 0], left=[1, -1, -1],
    ...             right=[2, -1, -1], value=[0, 0.1, 0.7])
    >>> forest = Forest(numbers=["value(x)"], levels=[], members=[[tree, tree]])
    >>> walk(forest, np.array([[0.5], [0.6]])).tolist()
    [0.2, 1.4]
    """
    total, rows = np.zeros(len(inputs)), np.arange(len(inputs))
    for member in forest.members:
        for tree in member:
            at = np.zeros(len(inputs), np.int64)
            ask, left = np.array(tree.input), np.array(tree.left)
            right, threshold = np.array(tree.right), np.array(tree.threshold)
            while (is_inner := left[at] >= 0).any():
                goes_left = inputs[rows, np.maximum(ask[at], 0)] <= threshold[at]
                at = np.where(is_inner, np.where(goes_left, left[at], right[at]), at)
            total += np.array(tree.value)[at]
    return total / len(forest.members)


def premium_risk(
    standard: NDArray[np.float64], removed: NDArray[np.float64], link: str = "share"
) -> NDArray[np.float64]:
    """Risk with a kept promise, in [0, 1]; part of it, or of its odds, is removed."""
    if link == "logit":
        left = standard * np.exp(-np.clip(removed, -30.0, 30.0))
        return np.asarray(left / (1 - standard + left))
    return np.clip(standard * (1 - removed), 0.0, 1.0)


def drawn_model(model: LearnedModel, *, seed: int) -> LearnedModel:
    """
    Draw the effects of a model from their posterior; the same seed draws the same.

    Each harm's coefficients are one draw of a normal law with their means and their
    covariance; risks and promises stay. The result is a model like any other whose
    means are the drawn numbers.

    Every machine draws the same bytes: the noise of a coefficient is a hash of the
    seed and of its own name, the factor of the covariance is made of elementwise
    sums that no library reorders, and coefficients are rounded to nine significant
    digits.

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
    drawn = moved_effect(effect, moves)
    if effect.forest is None:
        return drawn
    return drawn.model_copy(update={"forest": _drawn_member(effect.forest, key)})


def moved_effect(effect: Effect, moves: Mapping[tuple[str, str], float]) -> Effect:
    """
    An effect whose coefficients are moved from those measured, to nine digits.

    Parameters
    ----------
    effect
        Left as it is.
    moves
        By name, what is added to each.
    """
    levels = {
        column: {
            level: _rounded(share + moves[column, level])
            for level, share in offsets.items()
        }
        for column, offsets in effect.levels.items()
    }
    slopes = {
        name: _rounded(slope + moves["", name]) for name, slope in effect.slopes.items()
    }
    moved = {
        # What was measured is moved: what was added for doubt is taken off.
        "intercept": _rounded(effect.intercept - effect.raised + moves["", ""]),
        "raised": 0.0,
        "levels": levels,
        "slopes": slopes,
    }
    if effect.forest is not None:
        slope = effect.forest_slope + moves["", FOREST]
        moved["forest_slope"] = _rounded(slope)
    return effect.model_copy(update=moved)


def coefficients(frame: pl.DataFrame, effect: Effect) -> NDArray[np.float64]:
    """What each coefficient of an effect is multiplied by, ``(n, k) float64``."""
    names = list(effect.slopes)
    value = numbers(frame, names, effect.fills)
    place = {name: at for at, name in enumerate(names)}
    rows = np.zeros((len(frame), len(effect.names)))
    for at, (column, name) in enumerate(effect.names):
        if column and column in frame.columns:
            is_level = (frame[column] == name).fill_null(value=False)
            rows[:, at] = is_level.to_numpy()
        elif name == FOREST and effect.forest is not None:
            rows[:, at] = forest_sum(frame, effect.forest, effect.fills)
        elif name in place:
            rows[:, at] = np.clip(value[:, place[name]], *effect.ranges[name])
        elif not column:
            rows[:, at] = 1.0
    return rows


def values_of(effect: Effect) -> NDArray[np.float64]:
    """The coefficients of an effect, in the order of its names, ``(k,) float64``."""

    def value(column: str, name: str) -> float:
        if column:
            return effect.levels[column][name]
        if name == FOREST:
            return effect.forest_slope
        return effect.slopes[name] if name else effect.intercept

    return np.array([value(*pair) for pair in effect.names])


def _drawn_member(forest: Forest, key: str) -> Forest:
    """One of the resampled members alone."""
    digest = hashlib.sha256(f"{key}|{FOREST}".encode()).digest()
    member = forest.members[int.from_bytes(digest[:8]) % len(forest.members)]
    return forest.model_copy(update={"members": [member]})


def _rounded(value: float) -> float:
    return float(f"{value:.{_DRAWN_DIGITS}g}")


def _lower_factor(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    The lower Cholesky factor; columns without variance left to explain are 0.

    Elementwise: LAPACK sums in an order that differs from machine to machine.
    """
    left = (covariance + covariance.T) / 2
    factor = np.zeros_like(left)
    # Of its own variance: coefficients of numbers in small units are small as well.
    least = 1e-12 * np.diag(left)
    for at in range(len(left)):
        if left[at, at] > least[at]:
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
