"""
How many examples a property is tried on: all of them, or a fifth in ``make quick``.

Examples are always the same, so that a run that fails can be made again, and none is
too slow: how long a machine takes for one proves nothing.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

#: Examples of a property that names no number, by profile.
PROFILES = {"whole": 100, "quick": 20}


def register_profiles() -> None:
    """Make the profiles known; ``--hypothesis-profile quick`` takes the smaller one."""
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


def examples(num_whole: int) -> settings:
    """Ask for so many in a whole run, and for the profile's share of them otherwise."""
    share = settings().max_examples / PROFILES["whole"]
    return settings(max_examples=max(1, round(num_whole * share)))
