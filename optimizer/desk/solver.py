"""
Nights that are solved under other rules, in a process of its own.

It is asked in lines of JSON on its standard input and answers in lines of JSON, so that
whoever asks can end it at any time. The night that was asked for last stays in memory.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.config.scenarios import as_scenarios
from optimizer.errors import OptimizerError
from optimizer.whatif.base import base_of_run
from optimizer.whatif.scenario_tables import front_table, scenario_table
from optimizer.whatif.scenarios import pareto_front, run_scenarios

if TYPE_CHECKING:
    from typing import TextIO

    from optimizer.whatif.base import Base

    #: A night in memory, and what its input files were when it was read.
    Known = tuple[Base, list[tuple[str, tuple[int, ...] | None]]]

logger = logging.getLogger(__name__)

#: What is said of a night that no code of ours could read or solve.
NOT_SOLVED = (
    "its record or one of its files is not as it was published, or this is a bug, with "
    "a traceback in the log of the desk; optimizer verify says what does not hold"
)
#: Points of the front.
NUM_POINTS = 12
#: How much the process stands back behind others.
NICE = 10


def answer(asked: dict[str, Any], known: dict[str, Known]) -> dict[str, Any]:
    """
    Answer one question.

    Other caps and costs are worked out from the night's inputs, so where a file is not
    as it was the night is read and checked anew: no answer mixes two states of them.

    Parameters
    ----------
    asked
        ``folder`` of a published night, and perhaps a ``scenario``; or
        ``front_seconds``, after which no further point of the front is begun.
    known
        The night in memory, by its folder; it is replaced by another one, and left out
        where its inputs are gone or changed.

    Returns
    -------
    dict
        ``rows``: tonight and the scenario; ``front``: its points, and
        ``is_front_whole``: whether there was time for all.

    Raises
    ------
    OptimizerError
        When the night cannot be solved, or the scenario is refused.
    """
    folder = asked["folder"]
    if folder not in known or files_of(known[folder][0]) != known[folder][1]:
        known.clear()
        read = base_of_run(folder)
        known[folder] = read, files_of(read)
    base, found = known[folder][0], dict[str, Any]()
    if "scenario" in asked:
        scenarios = as_scenarios({"scenarios": [asked["scenario"]]}).all_scenarios()
        found["rows"] = scenario_table(run_scenarios(base, scenarios)).to_dicts()
    if "front_seconds" in asked:
        found |= _front(base, asked["front_seconds"])
    return found


def _front(base: Base, seconds: float) -> dict[str, Any]:
    """As many points of the front as there is time for, at least one."""
    until, asked = time.monotonic() + seconds, list[bool]()

    def is_over() -> bool:
        asked.append(time.monotonic() >= until)
        return asked[-1]

    points = pareto_front(base, NUM_POINTS, is_over=is_over)
    table = front_table(points, base.night.policy)
    return {"front": table.to_dicts(), "is_front_whole": not any(asked)}


def files_of(base: Base) -> list[tuple[str, tuple[int, ...] | None]]:
    """What tells a night's input files from changed ones; ``None``: it is gone."""
    given = base.paths.values()
    paths = [path for one in given for path in ([one] if isinstance(one, str) else one)]
    found: list[tuple[str, tuple[int, ...] | None]] = []
    for path in paths:
        try:
            seen = Path(path).stat()
        except OSError:
            found.append((path, None))
        else:
            found.append((path, (seen.st_ino, seen.st_size, seen.st_mtime_ns)))
    return found


def work(questions: TextIO, answers: TextIO) -> None:
    """Answer until there are no more questions."""
    known: dict[str, Known] = {}
    for line in questions:
        try:
            found = answer(json.loads(line), known)
        except OptimizerError as error:
            found = {"error": str(error), "is_lost": not known}
        except MemoryError:
            known.clear()
            found = {"error": "the night does not fit into memory", "is_lost": True}
        except Exception:
            # A record can be edited into anything; the next night is solved.
            logger.exception("what if")
            known.clear()
            found = {"error": NOT_SOLVED, "is_lost": True}
        answers.write(json.dumps(found, default=float) + "\n")
        answers.flush()


if __name__ == "__main__":
    with suppress(OSError):
        os.nice(NICE)
    # What libraries print must not stand among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with suppress(KeyboardInterrupt, BrokenPipeError):
        work(sys.stdin, answers)
