"""JSON Schema of the YAML, for completion and checks in editors."""

from __future__ import annotations

from typing import Any

from optimizer.config.models import Config


def json_schema() -> dict[str, Any]:
    """
    The schema, made from the models.

    Examples
    --------
    >>> json_schema()["required"]
    ['version', 'policy', 'objective']
    """
    return Config.model_json_schema() | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "premium-delivery-optimizer",
    }
