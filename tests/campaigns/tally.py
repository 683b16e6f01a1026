"""Classes of tries, and how they ended."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Tally:
    """
    Tries by class.

    Attributes
    ----------
    ends
        For each class, how tries ended, counted.
    faults
        For each class, tries that lost something, or ended with a wrong code.
    """

    ends: dict[str, Counter[str]] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, end: str, faults: Iterable[str] = ()) -> None:
        """Count one try of a class, with what was wrong about it."""
        self.ends.setdefault(kind, Counter())[end] += 1
        self.faults.setdefault(kind, []).extend(found := [*faults])
        for fault in found:
            print(f"fault: {fault}", file=sys.stderr, flush=True)

    @property
    def num_tried(self) -> int:
        """Tries of all classes."""
        return sum(sum(ends.values()) for ends in self.ends.values())

    @property
    def all_faults(self) -> list[str]:
        """What was wrong, of all classes."""
        return [fault for faults in self.faults.values() for fault in faults]

    def lines(self) -> list[str]:
        """A table for people."""
        found = ["class | tried | lost or wrong | ended", "--- | ---: | ---: | ---"]
        for kind, ends in self.ends.items():
            told = ", ".join(f"{end} {n:,}" for end, n in sorted(ends.items()))
            num_faults = len(self.faults[kind])
            found.append(f"{kind} | {sum(ends.values()):,} | {num_faults:,} | {told}")
        return found

    def report(self, *, as_json: bool = False) -> int:
        """Print the table and every fault; the exit code of the campaign."""
        if as_json:
            print(json.dumps({"ends": self.ends, "faults": self.faults}))
        else:
            print("\n".join(self.lines()))
        return int(bool(self.all_faults))
