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
        plot_run,
        prices,
        report_run,
        robustness,
        scenarios,
        validate,
    )
    from optimizer.replay.run import verify_run

from optimizer.errors import (
    BusyError,
    CertificateError,
    ConfigError,
    DataError,
    MachineError,
    OptimizerError,
    PublishError,
    SolveError,
)

__version__ = "0.2.0"

#: What commands of these names answer.
_QUESTIONS = (
    "diff",
    "evaluate",
    "explain_run",
    "learn_model",
    "plot_run",
    "prices",
    "report_run",
    "robustness",
    "scenarios",
    "validate",
)

__all__ = [
    "BusyError",
    "Certificate",
    "CertificateError",
    "Config",
    "ConfigError",
    "DataError",
    "MachineError",
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
    "plot_run",
    "prices",
    "report_run",
    "robustness",
    "scenarios",
    "validate",
    "verify_run",
]


def __getattr__(name: str) -> object:
    """Import a public name at its first use, so that importing us is instant."""
    if name in _QUESTIONS:
        from optimizer import questions

        return getattr(questions, name)
    if name == "Certificate":
        from optimizer.certify.certificate import Certificate

        return Certificate
    if name == "Config":
        from optimizer.config import Config

        return Config
    if name == "Night":
        from optimizer.explain.night import Night

        return Night
    if name == "allocate":
        from optimizer.night.api import allocate

        return allocate
    if name == "load_config":
        from optimizer.config import load_config

        return load_config
    if name == "verify_run":
        from optimizer.replay.run import verify_run

        return verify_run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Public names."""
    return sorted(__all__)
