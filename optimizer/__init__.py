"""
Which of the day's parcels get premium door-to-door delivery: the proved optimum.

Start with :func:`allocate`; everything else is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimizer.api import allocate
    from optimizer.config import Config, load_config
    from optimizer.insight.night import Night
    from optimizer.proof.certificate import Certificate
    from optimizer.proof.verify import verify_run

from optimizer.errors import (
    BusyError,
    CertificateError,
    ConfigError,
    DataError,
    OptimizerError,
    PublishError,
    SolveError,
)

__version__ = "0.1.0"

__all__ = [
    "BusyError",
    "Certificate",
    "CertificateError",
    "Config",
    "ConfigError",
    "DataError",
    "Night",
    "OptimizerError",
    "PublishError",
    "SolveError",
    "allocate",
    "load_config",
    "verify_run",
]

_HOMES = {
    "Certificate": "optimizer.proof.certificate",
    "Config": "optimizer.config",
    "Night": "optimizer.insight.night",
    "allocate": "optimizer.api",
    "load_config": "optimizer.config",
    "verify_run": "optimizer.proof.verify",
}


def __getattr__(name: str) -> object:
    """Import a public name at its first use, so that importing us is instant."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Public names."""
    return sorted(__all__)
