"""The file of scenarios: variations of a night's rules, as frozen models."""

from collections.abc import Mapping
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from optimizer.config.fields import ConfigModel, Factor, Money, Name, Positive, Share
from optimizer.config.load import _dotted
from optimizer.config.models import Payer
from optimizer.config.origin import line_of
from optimizer.config.yaml_reader import Lines, read_yaml
from optimizer.errors import ConfigError

MAX_SCENARIOS = 1_000


class Scenario(ConfigModel):
    """One variation; keys left out stay as in the configuration."""

    name: Name = Field(description="What the tables call it.")
    cap_rate: Share | None = Field(None, description="Cap on a merchant's parcels.")
    fee_cny: Money | None = Field(None, description="Fee for one parcel.")
    fee_share: Share | None = Field(
        None, description="Share of the fee that counts against the saving."
    )
    payer: Payer | None = Field(None, description="Who bears the fee.")
    slots_factor: Positive | None = Field(
        None, description="So many times the slots of every capacity row, rounded down."
    )
    slots_by_carrier: dict[Name, Factor] = Field(
        default_factory=dict,
        description="By carrier: so many times the slots of its rows, rounded down, "
        "instead of slots_factor.",
    )
    without_carriers: tuple[Name, ...] = Field(
        (), description="Carriers that do not take part."
    )
    complaint_cost_cny: Money | None = Field(None, description="Harm of a complaint.")
    return_cost_cny: Money | None = Field(None, description="Harm of a return.")

    @property
    def scales_slots(self) -> bool:
        """Whether any slots are multiplied."""
        return self.slots_factor is not None or bool(self.slots_by_carrier)

    def slots_factor_of(self, carrier_id: str | None) -> Decimal:
        """What the slots of a carrier's rows are multiplied by."""
        every = Decimal(1) if self.slots_factor is None else self.slots_factor
        return (
            every
            if carrier_id is None
            else self.slots_by_carrier.get(carrier_id, every)
        )


class Sweep(ConfigModel):
    """Lists of values; each becomes a scenario of its own."""

    cap_rate: tuple[Share, ...] = Field((), description="Caps to try.")
    fee_cny: tuple[Money, ...] = Field((), description="Fees to try.")
    slots_factor: tuple[Positive, ...] = Field((), description="Capacities to try.")


class HarmBorne(Payer):
    """Who bears the harm of complaints and returns; the shares add up to 1."""


class ScenarioFile(ConfigModel):
    """The scenarios to compare with a night."""

    scenarios: tuple[Scenario, ...] = Field((), description="Variations by name.")
    sweep: Sweep = Field(default_factory=Sweep, description="Variations by list.")
    pareto_points: Annotated[int, Field(strict=True, ge=0, le=200)] = Field(
        0, description="Points of the front of harm avoided against money spent."
    )
    harm_borne: HarmBorne | None = Field(
        None, description="Who bears harm, for the views of the three parties."
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [scenario.name for scenario in self.all_scenarios()]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"scenarios must not share a name, as {twice[0]!r} does")
        if len(names) > MAX_SCENARIOS:
            raise ValueError(f"there must be at most {MAX_SCENARIOS} scenarios")
        return self

    def all_scenarios(self) -> tuple[Scenario, ...]:
        """The named scenarios, and those of the sweep."""
        swept = [
            Scenario.model_validate({"name": f"{key} {value}", key: value})
            for key in Sweep.model_fields
            for value in getattr(self.sweep, key)
        ]
        return (*self.scenarios, *swept)


def load_scenarios(path: Path) -> ScenarioFile:
    """
    Read a YAML file of scenarios.

    Raises
    ------
    ConfigError
        With a line ``file:line: key: what is wrong`` for every wrong key.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise ConfigError(f"{path}: {reason}; check the path") from None
    data, lines = read_yaml(text, str(path))
    return _validate(data, str(path), lines)


def as_scenarios(
    asked: ScenarioFile | Mapping[str, Any] | str | PathLike[str],
) -> ScenarioFile:
    """
    Make scenarios from a mapping, or from the path of a YAML file.

    Raises
    ------
    ConfigError
        When it is neither, or a key is wrong.

    Examples
    --------
    >>> as_scenarios({"sweep": {"cap_rate": [0.01, 0.02]}}).all_scenarios()[0].name
    'cap_rate 0.01'
    """
    if isinstance(asked, ScenarioFile):
        return asked
    if isinstance(asked, Mapping):
        return _validate(dict(asked), "scenarios", {})
    if isinstance(asked, str | PathLike):
        return load_scenarios(Path(asked))
    kind = type(asked).__name__
    raise ConfigError(f"scenarios must be a mapping or a path, got {kind}")


def _validate(data: Any, name: str, lines: Lines) -> ScenarioFile:
    """Check keys and values; with the line of each that is wrong, where there are."""
    try:
        return ScenarioFile.model_validate(data)
    except ValidationError as error:
        found = [
            (line_of(e["loc"], lines), _dotted(e["loc"]) or "file", e["msg"])
            for e in error.errors(include_url=False)
        ]
    raise ConfigError(
        "\n".join(
            f"{name}{f':{line}' if lines else ''}: {key}: "
            f"{words[:1].lower()}{words[1:]}"
            for line, key, words in sorted(set(found))
        )
    )
