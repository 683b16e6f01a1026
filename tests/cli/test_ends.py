"""How commands end: by a signal, and where nobody reads what they say."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from optimizer import solvers, stopping
from optimizer.io.damage import damaged_is_data_error
from optimizer.spark import run
from optimizer.telemetry.failures import last_failures
from tests.support.small_night import DAY, SmallNight, call, make_night

RUN = ("run", "--config", "config.yaml", "--date", str(DAY))
#: The program, that sleeps where it would solve or after it has published.
PAUSED = """
import sys, time
from pathlib import Path
from optimizer.cli import main
from optimizer.night import publish
really, when = publish._point, sys.argv.pop(1)
def slowly(*words):
    if when == "after":
        really(*words)
    Path("ready").touch()
    time.sleep(60)
publish._point = slowly
main.main()
"""


@contextmanager
def heard_so(number: signal.Signals, hearing: Any) -> Iterator[None]:
    """Let a signal be heard so; what heard it before, as that of other tests, later."""
    before = signal.signal(number, hearing)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.fixture
def night(tmp_path: Path) -> SmallNight:
    """A night that is not published yet."""
    return make_night(tmp_path / "night", num_orders=1_000)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "when"),
    [
        (signal.SIGTERM, "before"),
        (signal.SIGTERM, "after"),
        (signal.SIGHUP, "before"),
        (signal.SIGINT, "after"),
    ],
)
def test_a_signal_leaves_a_word_that_is_true(
    night: SmallNight, number: signal.Signals, when: str
) -> None:
    """Before the link nothing is published, after it the night is; no traceback."""
    process = subprocess.Popen(
        [sys.executable, "-c", PAUSED, when, *RUN],
        cwd=night.folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 100
    while not (night.folder / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number, said
    assert "Traceback" not in said
    last = said.splitlines()[-1]
    if when == "before":
        assert last == "stopped; nothing was published"
    else:
        assert last.startswith("stopped; a new night was published already: runs/")
    assert night.run_dir.is_symlink() == (when == "after")


@pytest.mark.slow
@pytest.mark.parametrize("act", ["backfill", "withdraw"])
def test_other_commands_that_change_what_is_published_say_so_too(
    night: SmallNight, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    """Stopped after a link was changed: which night is out, and which is withdrawn."""
    words = {
        "backfill": ("backfill", *RUN[1:3], "--from", DAY, "--to", DAY),
        "withdraw": ("rollback", *RUN[1:3], DAY, "--withdraw"),
    }[act]
    if act == "withdraw":
        monkeypatch.chdir(night.folder)
        night.run()
    process = subprocess.Popen(
        [sys.executable, "-c", PAUSED, "after", *map(str, words)],
        cwd=night.folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 100
    while not (night.folder / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[1].splitlines()[-1]
    assert process.returncode == 128 + signal.SIGTERM
    assert (
        said
        == {
            "backfill": f"stopped; a new night was published already: runs/{DAY}",
            "withdraw": f"stopped; withdrawn already: runs/{DAY}",
        }[act]
    )


@pytest.mark.slow
def test_a_hang_up_that_is_ignored_stays_so(night: SmallNight) -> None:
    """What `nohup` started goes on when the terminal goes."""
    process = subprocess.Popen(
        ["nohup", sys.executable, "-c", PAUSED, "before", *RUN],
        cwd=night.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (night.folder / "ready").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("then", ["goes on", "calls it damage"])
@pytest.mark.parametrize("heard_by", ["Python", "other code"])
def test_a_signal_that_other_code_drops_is_not_lost(
    night: SmallNight,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
    then: str,
    heard_by: str,
) -> None:
    """
    Code in C drops the exception, or reads a file no further: nothing is published,
    the exit code is the signal's, and no input is called damaged. So too where other
    code, as pyspark does, has heard the signal before; afterwards it does again.
    """

    def losing(*given: Any) -> Any:
        with suppress(BaseException):
            signal.raise_signal(number)
        if then == "goes on":
            return solved(*given)
        with damaged_is_data_error("orders"):
            raise OSError(errno.EINTR, "cancelled")

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    by_python = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
    }
    hearing = by_python[number] if heard_by == "Python" else interrupted
    solved = solvers.solve
    monkeypatch.setattr(solvers, "solve", losing)
    monkeypatch.chdir(night.folder)
    with heard_so(number, hearing):
        told = call(monkeypatch, capsys, *RUN)
        assert signal.getsignal(number) is hearing
    assert told.code == 128 + number
    assert told.err.splitlines()[-1] == "stopped; nothing was published"
    assert not night.run_dir.exists()
    (failed,) = last_failures(str(night.runs), 9)
    assert (failed.exit_code, failed.message) == (128 + number, "it was stopped")


def test_a_session_of_spark_hears_control_c_beside_who_did_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it starts it takes the signal for itself; what noted it before still does."""
    heard = list[str]()
    started = MagicMock()

    def takes_the_signal() -> Any:
        signal.signal(signal.SIGINT, lambda *_: heard.append("the session"))
        return MagicMock(_sc=None)

    started.SparkSession.builder.appName().getOrCreate = takes_the_signal
    monkeypatch.setattr(run, "import_extra", lambda *_, **__: started)
    monkeypatch.setattr(run, "require_answer", lambda: None)
    with heard_so(signal.SIGINT, lambda *_: heard.append("the command")):
        run.start_session()
        signal.raise_signal(signal.SIGINT)
    assert heard == ["the command", "the session"]


def test_who_was_stopped_is_not_stopped_the_next_time(
    night: SmallNight, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """A signal is of the command that it reached: nothing of it is left after that."""

    def losing(*_: Any) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.chdir(night.folder)
    with monkeypatch.context() as changed:
        changed.setattr(solvers, "solve", losing)
        assert call(changed, capsys, *RUN).code == 128 + signal.SIGTERM
    assert stopping.stop_code() is None
    assert call(monkeypatch, capsys, *RUN).code == 0


def shell(night: SmallNight, command: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash, in which OPTIMIZER is the program."""
    program = f"{sys.executable} -m optimizer"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.replace("OPTIMIZER", program)],
        cwd=night.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("sink", ["| true", "> /dev/full", ">&-"])
def test_a_night_that_is_out_is_no_failure_because_nobody_reads_it(
    night: SmallNight, sink: str
) -> None:
    """Standard output closed, full or left: 0, the night, and a line on stderr."""
    done = shell(night, f"OPTIMIZER {' '.join(RUN)} --json {sink}")
    assert done.returncode == 0, done.stderr
    assert "all of it is done" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (night.run_dir / "_SUCCESS").is_file()


@pytest.mark.slow
def test_what_is_only_said_must_be_said(night: SmallNight) -> None:
    """A reader's answer that a full disk loses is a failure; a pager leaves freely."""
    full = shell(night, "OPTIMIZER schema > /dev/full")
    assert full.returncode == 1
    assert full.stderr == (
        "error: the result could not be printed (no space left on device)\n"
    )
    left = shell(night, "OPTIMIZER schema | true")
    assert (left.returncode, left.stderr) == (0, "")


@pytest.mark.slow
def test_standard_error_that_is_closed_is_nobodys_file(night: SmallNight) -> None:
    """With all three streams closed a night is whole; nothing was written into it."""
    done = shell(night, f"OPTIMIZER {' '.join(RUN)} <&- >&- 2>&-")
    assert done.returncode == 0
    assert shell(night, f"OPTIMIZER verify runs/{DAY}").returncode == 0
