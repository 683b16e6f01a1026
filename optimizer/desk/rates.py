"""How often somebody may ask: a bucket for each, filled at a steady rate."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field

#: Seconds' worth that may be asked for at once.
BURST_SECONDS = 10
#: Askers that are remembered; the one that was silent longest is forgotten.
NUM_ASKERS = 10_000


@dataclass(slots=True)
class Rates:
    """
    Buckets of requests.

    Attributes
    ----------
    per_second
        Requests of one asker that are let through in the long run.

    Examples
    --------
    >>> rates = Rates(per_second=0.1)
    >>> rates.take("a", 0.0), rates.take("a", 1.0), rates.take("a", 11.0)
    (True, False, True)
    """

    per_second: float
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, asker: str, now: float | None = None) -> bool:
        """Take one request off an asker's bucket; whether there was one."""
        now = time.monotonic() if now is None else now
        most = max(1.0, self.per_second * BURST_SECONDS)
        left, at = self._left.pop(asker, (most, now))
        left = min(most, left + (now - at) * self.per_second)
        is_left = left >= 1
        self._left[asker] = (left - 1 if is_left else left, now)
        while len(self._left) > NUM_ASKERS:
            self._left.popitem(last=False)
        return is_left
