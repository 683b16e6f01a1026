"""Randomisation, and learning from outcomes."""

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from optimizer.config.fields import ConfigModel, DatedPath, Share, check_dated_source
from optimizer.config.mapping import InputTable, TableOrPath
from optimizer.contracts.tables import ORDERS, OUTCOMES

#: A risk of which neither none nor all is sure.
StatedRisk = Annotated[Share, Field(gt=0, lt=1)]


class Holdout(ConfigModel):
    """Randomisation, so that the effect of premium can be measured."""

    share: Share = Field(
        Decimal(0), description="Share of the chosen parcels kept back at random."
    )
    explore_share: Share = Field(
        Decimal(0), description="Share of caps and slots that goes to random parcels."
    )
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**63)] = Field(
        0, description="Another seed, another draw; the same seed, the same draw."
    )
    unit: Literal["order", "station-day"] = Field(
        "order",
        description="What share keeps back: parcels one by one, or all chosen parcels "
        "of a carrier's station on a day, where they take time from each other.",
    )

    @model_serializer(mode="wrap")
    def _without_usual_unit(self, handler: SerializerFunctionWrapHandler) -> Any:
        """Leave out what nights of before did not have."""
        found = handler(self)
        if self.unit == "order":
            found.pop("unit", None)
        return found


#: Name of a column.
ColumnName = Annotated[str, Field(strict=True, min_length=1, max_length=200)]
#: Another learner replaces the one in force from this confidence on.
CONFIDENCE = Decimal("0.9")
#: Days until an outcome is ripe, where nothing else says.
ASSUMED_DAYS = {"complaint": 14, "logistics_return": 30}
#: What outcomes have and orders of tonight have not.
LATER_COLUMNS = frozenset(OUTCOMES.column_names) - frozenset(ORDERS.column_names)


class Prior(ConfigModel):
    """The effect of a kept promise that is assumed before any night was measured."""

    effect: Share = Field(
        description="Share of the harm that a premium parcel removes, 0 to 1; with "
        "kept_share, that one removes whose promise is kept."
    )
    kept_share: Share | None = Field(
        None,
        description="Share of promises kept, where no scan and no objective.fulfilment "
        "says; left out: effect is that of premium parcels as they are delivered.",
    )
    spread: Share = Field(
        Decimal("0.5"), description="How unsure that is: one standard deviation."
    )
    complaint_prob: StatedRisk | None = Field(
        None,
        description="Without any history: share of parcels that are complained about.",
    )
    return_prob: StatedRisk | None = Field(
        None,
        description="Likewise: share that comes back for a logistics reason; not "
        "needed where return_cost_cny is 0.",
    )

    @model_validator(mode="after")
    def _no_return_alone(self) -> Self:
        if self.complaint_prob is None and self.return_prob is not None:
            raise ValueError(
                "must state both complaint_prob and return_prob, or neither"
            )
        return self

    def harm_probs(self) -> tuple[Decimal | None, Decimal | None]:
        """The stated risks of a complaint and of a return."""
        return self.complaint_prob, self.return_prob

    @model_serializer(mode="wrap")
    def _without_unstated(self, handler: SerializerFunctionWrapHandler) -> Any:
        """Leave out what nights of before did not have."""
        return {
            name: value for name, value in handler(self).items() if value is not None
        }


#: Days of waiting for an outcome.
WaitingDays = Annotated[int, Field(strict=True, ge=0, le=3650)]


class MaturityDays(ConfigModel):
    """Days after a decision by which nearly all complaints or returns have come."""

    complaint: WaitingDays | None = Field(None, description="For complaints.")
    logistics_return: WaitingDays | None = Field(
        None, alias="return", description="For returns."
    )

    def by_outcome(self) -> dict[str, int]:
        """Days of the outcomes for which some are stated."""
        stated = {
            "complaint": self.complaint,
            "logistics_return": self.logistics_return,
        }
        return {name: days for name, days in stated.items() if days is not None}


class Learning(ConfigModel):
    """How outcomes are learned from."""

    history: TableOrPath | None = Field(
        None, description="Outcomes of past nights: a path, a glob or an address."
    )
    models: DatedPath = Field("models", description="Folder of learned models.")
    regime_breaks: tuple[dt.date, ...] = Field(
        (dt.date(2024, 3, 1),),
        description="First days of new rules; no history may lie on both sides.",
    )
    prior: Prior | None = Field(
        None, description="Belief to start from; left out: none, measure first."
    )
    contract_kept_share: Share = Field(
        Decimal("0.8"), description="Share of promises that carriers must keep."
    )
    max_complaints_per_customer: Annotated[int, Field(strict=True, ge=1)] | None = (
        Field(
            None,
            description="Parcels of one customer_key that count, drawn whatever "
            "happened to them, so that no more of its complaints can.",
        )
    )
    maturity_days: MaturityDays | None = Field(
        None,
        description="Days until rows count; left out: learned from complaint_date and "
        "return_date, else 14 and 30 where observed_until says how old they are.",
    )

    days: Annotated[int, Field(strict=True, ge=1, le=3650)] | None = Field(
        None,
        description="Last days before the day of learning that are learned from, where "
        "effects go on changing; left out: all.",
    )
    features: tuple[ColumnName, ...] = Field(
        (),
        description="Columns of numbers beside the contract's, in outcomes and orders, "
        "that risk and effect may depend on.",
    )
    categories: tuple[ColumnName, ...] = Field(
        (), description="Likewise columns of names, such as a tier of service."
    )
    confidence: Annotated[Share, Field(ge=Decimal("0.5"), lt=1)] = Field(
        CONFIDENCE,
        description="How sure it must be that another learner's plan is worth more "
        "before it replaces the one in force.",
    )

    @model_serializer(mode="wrap")
    def _without_unstated(self, handler: SerializerFunctionWrapHandler) -> Any:
        """Leave out what nights of before did not have."""
        found = handler(self)
        since = {
            "maturity_days": None,
            "days": None,
            "features": (),
            "categories": (),
            "confidence": CONFIDENCE,
        }
        for name, unstated in since.items():
            if getattr(self, name) == unstated:
                found.pop(name, None)
        return found

    @model_validator(mode="after")
    def _features_are_once(self) -> Self:
        named = [*self.features, *self.categories]
        for name in named:
            if name in LATER_COLUMNS or name in ("order_id", "customer_key"):
                raise ValueError(
                    f"features and categories must not name {name}: it is not known "
                    "of an order of tonight, or names the order itself"
                )
            if named.count(name) > 1:
                raise ValueError(
                    f"features and categories must name each column once; got {name!r} "
                    "again"
                )
        return self

    @field_validator("history")
    @classmethod
    def _is_of_one_machine(cls, value: InputTable | None) -> InputTable | None:
        if value is not None:
            check_dated_source(value.path)
        return value
