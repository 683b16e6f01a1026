"""What an answer rests on: a published night, or inputs that were read for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.contracts.run_folder import pinned
from optimizer.night.identity import changes_since, is_same_night
from optimizer.night.publish import published_record
from optimizer.night.state.reconcile import output_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from pathlib import Path

    from optimizer.config import Config


@dataclass(frozen=True, slots=True)
class Basis:
    """
    What an answer about a night rests on.

    Attributes
    ----------
    day
        Date of the night.
    is_published
        Whether it is the published night, with the inputs and rules that this was made
        from; if not, the configured inputs were read, and the date was solved anew.
    run_dir, version
        The night that is published for the date, and its version; ``None``: none is.
    is_compared
        Whether a published night was looked for; not without an output on this machine.
    changed
        What is not as it was for the published night; empty: nothing.
    is_drawn
        Whether the answer is by savings that were drawn, and not by what is expected.

    Examples
    --------
    >>> import datetime as dt
    >>> str(Basis(dt.date(2026, 11, 22), is_published=False))
    'solved anew from the configured inputs; no night of 2026-11-22 is published'
    >>> drawn = Basis(dt.date(2026, 11, 22), is_published=True, is_drawn=True)
    >>> str(drawn).partition("; ")[2]
    'all amounts are by the savings that were drawn'
    """

    day: dt.date
    is_published: bool
    run_dir: str | None = None
    version: str | None = None
    is_compared: bool = True
    changed: tuple[str, ...] = ()
    is_drawn: bool = False

    def __str__(self) -> str:
        drawn = "; all amounts are by the savings that were drawn" * self.is_drawn
        return self._rests_on() + drawn

    def _rests_on(self) -> str:
        if self.is_published:
            return (
                f"answered from the published night {self.run_dir}, "
                f"version {self.version}"
            )
        anew = "solved anew from the configured inputs"
        if not self.is_compared:
            return anew
        if self.run_dir is None:
            return f"{anew}; no night of {self.day} is published"
        if not self.changed:
            return (
                f"{anew}; these and the rules are those of the published night "
                f"{self.run_dir}"
            )
        return (
            f"{anew}; the published night {self.run_dir} is another, since "
            f"{', '.join(self.changed)} changed: to ask about that one, give its "
            "folder instead of --config and --date"
        )

    def to_json(self) -> dict[str, Any]:
        """Ready for JSON, the sentence included."""
        return {
            "date": self.day.isoformat(),
            "answered_from": "published night" if self.is_published else "inputs",
            "run_dir": self.run_dir,
            "version": self.version,
            "is_compared": self.is_compared,
            "changed": list(self.changed),
            "is_drawn": self.is_drawn,
            "sentence": str(self),
        }


def basis_of_run(run_dir: Path | str, day: dt.date) -> Basis:
    """Name the published night that an answer rests on, as it was asked for."""
    return Basis(
        day, is_published=True, run_dir=str(run_dir), version=pinned(run_dir).name
    )


def basis_of_inputs(
    config: Config, day: dt.date, identity: Mapping[str, Any] | None
) -> Basis:
    """
    Hold a night that was solved for an answer against the one that is published.

    Parameters
    ----------
    config, day
        What was solved.
    identity
        Of the night as it was solved; ``None`` where there is no output.
    """
    if config.output is None or identity is None or config.engine == "spark":
        return Basis(day, is_published=False, is_compared=False)
    output = output_of(config.output, day)
    before = published_record(output, day)
    if before is None:
        return Basis(day, is_published=False)
    link = output / day.isoformat()
    same = is_same_night(before, identity, config)
    changed = () if same else tuple(changes_since(before, identity))
    return Basis(
        day,
        is_published=False,
        run_dir=str(link),
        version=pinned(link).name,
        changed=changed,
    )
