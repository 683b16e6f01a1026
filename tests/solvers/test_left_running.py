"""Solvers that no signal reaches: nobody has to wait for them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from optimizer.solvers.left_running import answer_of
from optimizer.solvers.market import Threads
from tests.support.golden_night import DAY, written
from tests.support.pairs import PAIRS

#: The program; each solver of others in it takes ten minutes, and listens to nothing.
DEAF = """
import sys, time
from pathlib import Path
from optimizer.cli import main
from ortools.math_opt.python import mathopt
def deaf(*_, **__):
    Path("ready").touch()
    time.sleep(600)
mathopt.solve = deaf
main.main()
"""


def test_what_a_solver_gives_or_raises_is_what_its_caller_gets() -> None:
    """An answer is handed over, an error is raised where it is waited for."""
    assert answer_of(lambda: [1, 2]) == [1, 2]
    with pytest.raises(ZeroDivisionError):
        answer_of(lambda: 1 // 0)


def test_threads_that_are_left_by_an_error_do_not_wait_for_their_solver() -> None:
    """The one that waits in a pool gives up once the pool's owner has failed."""
    is_begun, is_over = threading.Event(), threading.Event()

    def deaf() -> bool:
        is_begun.set()
        return is_over.wait(20)

    class FailedError(Exception):
        pass

    waiting: Future[Any] = Future()

    def leave() -> None:
        nonlocal waiting
        with Threads(2) as pool:
            waiting = pool._executor.submit(answer_of, deaf, pool.is_stopped)
            assert is_begun.wait(60)
            assert not waiting.done()
            raise FailedError

    with pytest.raises(FailedError):
        leave()
    is_over.set()
    assert waiting.result() is None


@pytest.mark.parametrize("num_threads", [1, 2])
def test_work_aside_is_done_once_and_hears_of_an_error(num_threads: int) -> None:
    """It begins at once where there is a thread for it, and else when it is asked."""
    begun = threading.Event()

    def work() -> int:
        assert not begun.is_set()
        begun.set()
        return 7

    class FailedError(Exception):
        pass

    pool = Threads(num_threads)
    alone = pool.alone()

    def leave() -> None:
        with pool:
            answer = pool.aside(work)
            assert begun.wait(60 if num_threads > 1 else 0) is (num_threads > 1)
            assert answer() == 7
            assert begun.is_set()
            assert not alone.is_shared
            assert not alone.is_stopped()
            raise FailedError

    with pytest.raises(FailedError):
        leave()
    assert alone.is_stopped()


@pytest.mark.slow
@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_whose_solver_does_not_listen(
    number: signal.Signals, num_threads: int, tmp_path: Path
) -> None:
    """The program ends while the solver still has minutes, and says what it left."""
    settings = written(PAIRS, tmp_path) | {"solver": {"num_threads": num_threads}}
    (tmp_path / "night.yaml").write_text(json.dumps(settings))
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            DEAF,
            "run",
            "--config",
            "night.yaml",
            "--date",
            str(DAY),
        ],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 100
    while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number, said
    assert said.splitlines()[-1] == "stopped; nothing was published"
