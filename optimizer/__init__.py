"""
Which of the day's parcels get premium door-to-door delivery: the proved optimum.

Start with :func:`allocate`; everything else is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimizer.certify.certificate import Certificate
    from optimizer.config import Config, load_config
    from optimizer.explain.night import Night
    from optimizer.night.api import allocate
    from optimizer.questions import (
        diff,
        evaluate,
        explain_run,
        learn_model,
        prices,
        robustness,
        scenarios,
    )
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

__version__ = "0.2.0"

#: Deciding a night, and proving it.
_NIGHT = {
    "Certificate": "optimizer.certify.certificate",
    "Config": "optimizer.config",
    "Night": "optimizer.explain.night",
    "allocate": "optimizer.night.api",
    "load_config": "optimizer.config",
    "verify_run": "optimizer.replay.run",
}
#: Asking about nights: what the commands of these names answer.
_QUESTIONS = dict.fromkeys(
    (
        "diff",
        "evaluate",
        "explain_run",
        "learn_model",
        "prices",
        "robustness",
        "scenarios",
    ),
    "optimizer.questions",
)
_MODULE_OF = _NIGHT | _QUESTIONS

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
    "diff",
    "evaluate",
    "explain_run",
    "learn_model",
    "load_config",
    "prices",
    "robustness",
    "scenarios",
    "verify_run",
]


def __getattr__(name: str) -> object:
    """Import a public name at its first use, so that importing us is instant."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    """Public names."""
    return sorted(__all__)
