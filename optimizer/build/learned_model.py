r"""
A learned model as plain numbers: what it is made of.

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

Models of format 1 have neither numbers nor trees in their effect. How a model is read
and written is in :mod:`optimizer.build.model_file`, how it is applied to orders in
:mod:`optimizer.build.model_prediction`, and how its effects are drawn in
:mod:`optimizer.build.model_draws`.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

#: Format of models that are written; those of format 1 are read and mean the same.
FORMAT: Literal[2] = 2
#: Format of models of before it was written down.
FIRST_FORMAT: Literal[1] = 1
#: Harms by the prefix of their probability columns.
HARMS = ("complaint", "return")
LEVELS = ("carrier_id", "region_id", "category_id")
#: A model that saw no night may be used on any.
BEFORE_ANY_NIGHT = "1970-01-01"
#: Name of the coefficient that the trees of an effect have.
FOREST = "forest"

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


#: Of a harm that is not known and costs nothing.
NO_RISK = Risk(intercept=-100.0, slopes={}, levels={})


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


class Doubt(_Part):
    """
    What the benefit of doubt comes to, of all harm of parcels that were left to chance.

    A coefficient of odds is no share, and one of parcels whose numbers are all 0 is of
    no parcel: these are what kept promises remove of the harm that is expected.
    """

    #: Share as measured, with its standard error, and share with the raise.
    measured: Finite
    error: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    taken: Finite


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
    #: The same as shares; there where something was raised.
    doubt: Doubt | None = None

    @model_validator(mode="after")
    def _tells_its_raise(self) -> Self:
        """Refuse a raise that nobody could be told."""
        if self.raised and self.doubt is None:
            raise ValueError("an effect that is raised has its doubt beside it")
        return self

    @model_serializer(mode="wrap")
    def _without_raise(self, handler: SerializerFunctionWrapHandler) -> Any:
        """Leave out what models of before did not have."""
        found = handler(self)
        if not self.raised:
            found.pop("raised", None)
            found.pop("doubt", None)
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


class Leak(_Part):
    """A column of the history that told whether a harm happened: it came after it."""

    harm: str
    column: str
    #: Of all pairs of a parcel with the harm and one without, those in the right order.
    share: Annotated[float, Field(ge=0, le=1)]
    #: Whether nothing was learned from it; models of before did learn from it.
    is_left_out: bool = False

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> Any:
        """Leave out what models of before did not have."""
        found = handler(self)
        if not self.is_left_out:
            del found["is_left_out"]
        return found


class Young(_Part):
    """Parcels that counted although nothing said that their harm was known by then."""

    harm: str
    num_rows: Annotated[int, Field(gt=0)]
    num_parcels: Annotated[int, Field(gt=0)]
    #: How old they were at most.
    num_days: Annotated[int, Field(ge=0)]


class LearnedModel(_Part):
    """A learned model; see the top of the module."""

    #: Models of before it was written down are of the first.
    format: Literal[1, 2] = FIRST_FORMAT
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
    #: Merchants of whose parcels none was left to chance, where others' were.
    undrawn: list[str] = []
    #: Premium parcels of a history that did not decide their effect; else ``None``.
    num_premium: Annotated[int, Field(gt=0)] | None = None
    #: ``None`` where nothing of earlier plans was left to chance.
    realised: Realised | None = None
    #: What was found in the history that a night should know; none in models of before.
    leaks: list[Leak] = []
    young: list[Young] = []

    @property
    def last_day(self) -> dt.date:
        """The last date of the history."""
        return dt.date.fromisoformat(self.last_date)

    def is_known(self, harm: str) -> bool:
        """Whether anything is known of a harm; one that costs nothing need not be."""
        return self.risk[harm] != NO_RISK
