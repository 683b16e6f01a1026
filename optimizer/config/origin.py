"""Where a configuration was read from: its file, and the line of each key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from optimizer.config.yaml_reader import Location


@dataclass(frozen=True, slots=True)
class Origin:
    """
    File and lines of a configuration; empty for one that was given as a mapping.

    They say nothing of what a configuration is, so any two are equal.

    Attributes
    ----------
    name
        The file, as it was named.
    lines
        Line, from 1, of every key and list item.
    """

    name: str = field(default="", compare=False)
    lines: Mapping[Location, int] = field(default_factory=dict, compare=False)

    def place(self, key: str) -> str:
        """
        File and line of a key, or of the nearest one around it; empty without a file.

        Parameters
        ----------
        key
            The key as messages write it.

        Examples
        --------
        >>> origin = Origin("a.yaml", {("policy",): 2, ("policy", 0, "carriers"): 7})
        >>> origin.place("policy[0].carriers[3]"), Origin().place("policy[0]")
        ('a.yaml:7', '')
        """
        if not self.lines:
            return ""
        parts = re.findall(r"[^.\[\]]+", key)
        location = tuple(int(part) if part.isdecimal() else part for part in parts)
        return f"{self.name}:{line_of(location, self.lines)}"


def line_of(location: Location, lines: Mapping[Location, int]) -> int:
    """
    Line of a key, or of the nearest one around it that stands in the file.

    Parameters
    ----------
    location
        The key, from the outermost.
    lines
        Of the keys that there are.
    """
    while location and location not in lines:
        location = location[:-1]
    return lines.get(location, 1)
