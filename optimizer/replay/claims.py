"""Claims of a record, compared with what is proved again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def false_claims(name: str, claimed: Any, proved: Any) -> Iterator[str]:
    """
    Compare a claim with what is proved, part by part.

    Parameters
    ----------
    name
        Its place in the record.
    claimed, proved
        The claim as read from JSON, and what comes out again.

    Yields
    ------
    str
        A sentence for each part that differs.

    Examples
    --------
    >>> list(false_claims("summary", {"num_chosen": 3}, {"num_chosen": 2}))
    ['summary.num_chosen is 2, not 3 as claimed']
    """
    if isinstance(claimed, dict) and isinstance(proved, dict):
        for key in sorted({*claimed, *proved}):
            inner = claimed.get(key, _ABSENT), proved.get(key, _ABSENT)
            yield from false_claims(f"{name}.{key}", *inner)
    elif (said := _text(claimed)) != (true := _text(proved)):
        yield f"{name} is {true}, not {said} as claimed"


_ABSENT = object()


def _text(value: Any) -> str:
    """A value as people and records write it."""
    if value is _ABSENT:
        return "absent"
    return str(value) if isinstance(value, bool) else json.dumps(value, sort_keys=True)
