"""Rules that vary by date or by night: eligibility, peaks, changes of a policy."""

import datetime as dt
from decimal import Decimal
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from optimizer.config.fields import (
    ConfigModel,
    Limit,
    Money,
    Name,
    Number,
    Share,
    StateUrl,
    at_most_six_decimals,
    exact,
    limits_schema,
)


class Fulfilment(ConfigModel):
    """How often a carrier keeps the promise, in all regions or in one."""

    carrier_id: Name = Field(description="Code of the carrier.")
    region_id: Name | None = Field(None, description="Region; left out: all regions.")
    probability: Share = Field(description="Share of promises kept, 0 to 1.")


class ObjectiveChange(ConfigModel):
    """Changes of the objective by a policy row; keys left out stay unchanged."""

    complaint_cost_cny: Money | None = Field(
        None, description="Harm of one complaint, CNY."
    )
    return_cost_cny: Money | None = Field(
        None, description="Harm of one logistics-reason return, CNY."
    )
    fee_share: Share | None = Field(
        None, description="Share of the fee that counts against the saving."
    )
    fulfilment: tuple[Fulfilment, ...] | None = Field(
        None, description="Promise-keeping, instead of the objective's rows."
    )


class EligibilityRule(ConfigModel):
    """
    Orders that may not be recommended, by one column of the orders table.

    A missing value matches only ``is_not``, ``not_in`` and ``is_missing: true``.
    """

    column: Name = Field(
        description="A column of the orders table, of the contract or not."
    )
    equals: bool | str | None = Field(None, alias="is", description="Has this value.")
    differs: bool | str | None = Field(
        None, alias="is_not", description="Has another value, or none."
    )
    within: tuple[str, ...] | None = Field(
        None, alias="in", min_length=1, description="Has one of these values."
    )
    not_in: tuple[str, ...] | None = Field(
        None, min_length=1, description="Has none of these values."
    )
    is_missing: bool | None = Field(None, description="Has no value, or has one.")
    below: Number | None = Field(None, description="Is a number below this.")
    above: Number | None = Field(None, description="Is a number above this.")
    reason: Name = Field(description="Why, for ineligible_reason.")

    @model_validator(mode="after")
    def _one_operator(self) -> Self:
        given = [
            self.equals,
            self.differs,
            self.within,
            self.not_in,
            self.is_missing,
            self.below,
            self.above,
        ]
        if sum(value is not None for value in given) != 1:
            raise ValueError(
                "needs one of is, is_not, in, not_in, is_missing, below, above"
            )
        return self


class Peak(ConfigModel):
    """Days on which carriers have more, or fewer, slots than their rows state."""

    first: dt.date = Field(alias="from", description="First date.")
    last: dt.date = Field(alias="to", description="Last date.")
    factor: Annotated[
        Decimal,
        BeforeValidator(exact),
        Field(ge=0, le=1000),
        AfterValidator(at_most_six_decimals),
        limits_schema(0, 1000),
    ] = Field(description="Times the slots, rounded down.")
    carriers: tuple[Name, ...] = Field(
        (), description="Codes of the carriers; left out: all."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last < self.first:
            raise ValueError("to must not be before from")
        return self


class State(ConfigModel):
    """Where published nights, parcels in flight and the cap bank are kept."""

    url: StateUrl | None = Field(
        None,
        description="sqlite:///PATH or postgresql://USER:${PASSWORD}@HOST/NAME; left "
        "out: a file in the output folder.",
    )


class AcceptanceRule(ConfigModel):
    """A number of a night, and the limits within which it passes."""

    metric: Name = Field(description="Name of the number, such as relative_gap.")
    min: Limit | None = Field(None, description="It passes from here on.")
    max: Limit | None = Field(None, description="It passes up to here.")

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a rule needs min or max")
        return self
