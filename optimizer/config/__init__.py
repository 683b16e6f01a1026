"""The configuration of a night: YAML in, frozen models out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimizer.config.learning import Holdout
    from optimizer.config.load import (
        as_config,
        as_day,
        config_hash,
        config_json,
        expand_date,
        load_config,
        objective_on,
        policy_on,
        recorded_hash,
    )
    from optimizer.config.models import (
        Cap,
        CapacityRules,
        Config,
        Inputs,
        Objective,
        PolicyRow,
    )
    from optimizer.config.rules import EligibilityRule, Fulfilment
    from optimizer.config.schema import json_schema

__all__ = [
    "Cap",
    "CapacityRules",
    "Config",
    "EligibilityRule",
    "Fulfilment",
    "Holdout",
    "Inputs",
    "Objective",
    "PolicyRow",
    "as_config",
    "as_day",
    "config_hash",
    "config_json",
    "expand_date",
    "json_schema",
    "load_config",
    "objective_on",
    "policy_on",
    "recorded_hash",
]

_MODELS = ("Cap", "CapacityRules", "Config", "Inputs", "Objective", "PolicyRow")


def __getattr__(name: str) -> object:
    """Import models and loader at first use: pydantic is not needed for --help."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _MODELS:
        from optimizer.config import models

        return getattr(models, name)
    if name in ("EligibilityRule", "Fulfilment"):
        from optimizer.config import rules

        return getattr(rules, name)
    if name == "Holdout":
        from optimizer.config.learning import Holdout

        return Holdout
    if name == "json_schema":
        from optimizer.config.schema import json_schema

        return json_schema
    from optimizer.config import load

    return getattr(load, name)
