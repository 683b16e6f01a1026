"""
How many examples a property is tried on: two fifths, or a fifth in ``make quick``.

All of them are tried with ``pytest --hypothesis-profile thorough``.

Examples are always the same, so that a run that fails can be made again, and none is
too slow: how long a machine takes for one proves nothing.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

#: Examples of a property that names no number, by profile.
PROFILES = {"thorough": 100, "whole": 40, "quick": 20}


def register_profiles() -> None:
    """Make the profiles known; ``--hypothesis-profile quick`` takes the smallest."""
    for name, num_examples in PROFILES.items():
        settings.register_profile(
            name,
            max_examples=num_examples,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        )
    settings.load_profile("whole")


def num_of(num_thorough: int) -> int:
    """Count the profile's share of so many in a thorough run."""
    share = settings().max_examples / PROFILES["thorough"]
    return max(1, round(num_thorough * share))


def examples(num_thorough: int) -> settings:
    """Ask for so many in a thorough run, and for the profile's share otherwise."""
    return settings(max_examples=num_of(num_thorough))
