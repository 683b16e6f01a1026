"""Whether a plan is proved good enough to be published."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from optimizer.errors import CertificateError, SolveError

if TYPE_CHECKING:
    from decimal import Decimal

    from optimizer.certify.certificate import Certificate
    from optimizer.config import Config


def check_release(proof: Certificate, config: Config) -> None:
    """
    Refuse a plan unless its certificate proves that it is good enough.

    Raises
    ------
    CertificateError
        When the plan breaks a limit, or its bound contradicts it.
    SolveError
        When the proved gap is above ``publish.max_relative_gap``.
    """
    if not proof.is_feasible or proof.gap < 0:
        broken = "; ".join(proof.violations) or "its bound is below its own value"
        raise CertificateError(f"the plan is not feasible ({broken}); not published")
    if is_beyond(proof, config.publish.max_relative_gap):
        raise SolveError(
            f"the plan is proved only to within {proof.relative_gap:.3%} of the best, "
            f"and publish.max_relative_gap allows {config.publish.max_relative_gap:%}; "
            "not published. Use method auto, or raise solver.time_limit_seconds; small "
            "nights of loads or crossing rows may need publish.max_relative_gap larger"
        )


def is_beyond(certificate: Certificate, max_relative_gap: Decimal) -> bool:
    """Whether the proved gap of a plan is above the limit for publishing; exact."""
    allowed = Fraction(max_relative_gap) * max(1, certificate.primal_bound)
    return certificate.gap > allowed
