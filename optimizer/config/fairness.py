"""Floors and ceilings for groups of merchants or of orders."""

from typing import Self

from pydantic import Field, model_validator

from optimizer.config.fields import (
    ConfigModel,
    Money,
    Name,
    NumParcels,
    Priority,
    Share,
)


class FairnessRule(ConfigModel):
    """A floor or a ceiling for a group of merchants or of orders."""

    column: Name = Field(
        description="Column of orders or merchants, such as tier or region_id."
    )
    value: Name | None = Field(None, description="The group's value in that column.")
    values: tuple[Name, ...] = Field((), description="Or several values, as one group.")
    min_share: Share | None = Field(
        None, description="At least this share of the night's slots."
    )
    max_share: Share | None = Field(
        None, description="At most this share of the night's slots."
    )
    min_parcels: NumParcels | None = Field(None, description="Or so many parcels.")
    max_parcels: NumParcels | None = Field(None, description="Or so many parcels.")
    penalty_cny: Money | None = Field(
        None,
        description="For each parcel below the floor; left out: kept at any price.",
    )
    priority: Priority = Field(
        10, description="Where floors and pins clash, lower ones are kept first."
    )

    @model_validator(mode="after")
    def _one_group_and_limits(self) -> Self:
        lows, highs = (
            [limit for limit in pair if limit is not None]
            for pair in (
                (self.min_share, self.min_parcels),
                (self.max_share, self.max_parcels),
            )
        )
        if (self.value is None) == (not self.values):
            raise ValueError("must have value, or values, and not both")
        if len(lows) > 1 or len(highs) > 1:
            raise ValueError("must give a limit as a share or in parcels, not both")
        if not lows and not highs:
            raise ValueError("must have a floor (min_...) or a ceiling (max_...)")
        if not lows and self.penalty_cny is not None:
            raise ValueError("penalty_cny belongs to a floor (min_share, min_parcels)")
        for low, high in (
            (self.min_share, self.max_share),
            (self.min_parcels, self.max_parcels),
        ):
            if low is not None and high is not None and low > high:
                raise ValueError(f"the floor {low} is above the ceiling {high}")
        return self

    @property
    def group(self) -> tuple[str, ...]:
        """Values of the group."""
        return self.values if self.value is None else (self.value,)
