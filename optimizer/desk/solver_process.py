"""The process that solves nights under other rules: started, bounded and ended."""

from __future__ import annotations

import json
import logging
import select
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from optimizer.desk.problems import PageProblem

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

#: Seconds that a night may take to be read and solved, and an answer.
OPEN_SECONDS, ANSWER_SECONDS = 600.0, 30.0
#: Questions that may wait for their turn.
MAX_WAITING = 8
#: Bytes of an answer, at most.
MAX_ANSWER = 4 << 20


@dataclass(slots=True)
class SolverProcess:
    """
    One process for one question at a time, with one night in memory.

    Attributes
    ----------
    max_orders
        Orders of a night that it takes; larger ones are refused.
    answer_seconds
        How long an answer may take before the process is ended.
    command
        Starts the process.
    """

    max_orders: int
    answer_seconds: float = ANSWER_SECONDS
    command: tuple[str, ...] = (sys.executable, "-m", "optimizer.desk.solver")
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _count: threading.Lock = field(default_factory=threading.Lock)
    _process: subprocess.Popen[bytes] | None = None
    _ready: str | None = None
    _opening: str | None = None
    _failed: dict[str, str] = field(default_factory=dict)
    _num_waiting: int = 0
    _left: bytes = b""

    def is_ready(self, folder: Path) -> bool:
        """
        Whether a night is in memory; it is read from now on if nothing else is.

        Raises
        ------
        PageProblem
            When it could not be read, with why.
        """
        name = str(folder)
        with self._count:
            if self._ready == name and self._is_alive():
                return True
            if name in self._failed:
                raise PageProblem(409, "CANNOT_SOLVE", why=self._failed.pop(name))
            if self._opening is None:
                self._opening = name
                threading.Thread(target=self._open, args=(name,), daemon=True).start()
        return False

    def ask(self, folder: Path, question: dict[str, Any]) -> dict[str, Any]:
        """
        Ask about a night that is in memory.

        Parameters
        ----------
        folder
            The night.
        question
            As :func:`optimizer.desk.solver.answer` takes it, without the folder.

        Raises
        ------
        PageProblem
            When too many wait, the answer takes too long, or the question is refused.
        """
        with self._count:
            if self._num_waiting >= MAX_WAITING:
                raise PageProblem(503, "TOO_MANY_QUESTIONS")
            self._num_waiting += 1
        try:
            with self._turn:
                found = self._exchange(
                    {"folder": str(folder)} | question, self.answer_seconds
                )
        finally:
            with self._count:
                self._num_waiting -= 1
        if "error" in found:
            if found.get("is_lost"):
                with self._count:
                    self._ready = None  # whoever asks next has it read again
            raise PageProblem(409, "CANNOT_SOLVE", why=found["error"])
        return found

    def close(self) -> None:
        """End the process."""
        process, self._process, self._ready = self._process, None, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _open(self, name: str) -> None:
        """Read a night, in a thread of its own."""
        try:
            with self._turn:
                found = self._exchange({"folder": name}, OPEN_SECONDS)
            why = found.get("error")
        except PageProblem:
            why = f"it took longer than {OPEN_SECONDS:.0f} seconds, or ended"
        with self._count:
            self._opening = None
            if why is None:
                self._ready = name
            else:
                self._failed[name] = why

    def _is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _exchange(self, question: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send a line and read one; a process that is late or gone is ended."""
        if not self._is_alive():
            self.close()
            self._left = b""
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        process = self._process
        assert process is not None
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
            found: dict[str, Any] = json.loads(self._line(process, seconds))
        except (OSError, ValueError, TimeoutError) as error:
            logger.warning("what if: the solver was ended (%s)", error)
            self.close()
            raise PageProblem(503, "SOLVER_ENDED", seconds=int(seconds)) from None
        return found

    def _line(self, process: subprocess.Popen[bytes], seconds: float) -> bytes:
        """The next line that a process writes, within some seconds."""
        assert process.stdout is not None
        until = time.monotonic() + seconds
        while b"\n" not in self._left:
            left = until - time.monotonic()
            if left <= 0 or len(self._left) > MAX_ANSWER:
                raise TimeoutError(f"no answer within {seconds:.0f} s")
            if select.select([process.stdout], [], [], left)[0]:
                part = process.stdout.read1(65_536)  # type: ignore[attr-defined]
                if not part:
                    raise TimeoutError("it ended by itself")
                self._left += part
        line, _, self._left = self._left.partition(b"\n")
        return line
