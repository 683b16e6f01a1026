"""
Which of the day's parcels get premium door-to-door delivery: the proved optimum.

Start with :func:`allocate`; everything else is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimizer.certify.certificate import Certificate
    from optimizer.config import Config, load_config
    from optimizer.explain.night import Night
    from optimizer.night.api import allocate
    from optimizer.replay.run import verify_run

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
    "Certificate": "optimizer.certify.certificate",
    "Config": "optimizer.config",
    "Night": "optimizer.explain.night",
    "allocate": "optimizer.night.api",
    "load_config": "optimizer.config",
    "verify_run": "optimizer.replay.run",
}


def __getattr__(name: str) -> object:
    """Import a public name at its first use, so that importing us is instant."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Public names."""
    return sorted(__all__)
