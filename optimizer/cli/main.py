"""The command line: parses and prints, decides nothing."""

from __future__ import annotations

import atexit
import gc
import json
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from optimizer.cli import (
    compare,
    init,
    learn,
    nights,
    questions,
    run,
    serve,
    simulate,
)
from optimizer.cli.examples import end_of_help
from optimizer.cli.help_pages import PlainCommand, PlainGroup
from optimizer.cli.output import IS_QUIET, say
from optimizer.cli.run import published_since
from optimizer.errors import (
    OptimizerError,
    is_failure,
    is_of_memory,
    lack_of_memory,
)
from optimizer.night.far_names import forget_names
from optimizer.stopping import note_stop, stop_code

app = typer.Typer(
    cls=PlainGroup,
    help="Which of the day's parcels get premium door-to-door delivery, and the proof.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

#: How long jemalloc, which polars allocates by, keeps freed pages: 10 s. polars reads
#: it when it is imported.
KEPT_MEMORY = "dirty_decay_ms:10000,muzzy_decay_ms:10000"
#: Exit codes after Control-C, SIGTERM and SIGHUP, the same as those of shells.
STOPPED = 130, 128 + signal.SIGTERM, 128 + signal.SIGHUP


def _leave_cycles() -> None:
    """
    Exit without the search for reference cycles, which takes longer than many commands.

    DuckDB's bindings report objects that remain as leaks, so they are cleared first.
    """
    if "duckdb" not in sys.modules:
        gc.freeze()


def main() -> None:
    """Run the command line and exit with the code for the result."""
    _hold_standard_streams()
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("optimizer.kernel_cache").setLevel(logging.INFO)
    gc.set_threshold(50_000, 20, 50)  # modules and tables have few cycles to look for
    # What polars frees is used again soon; its half a second is for what runs for days.
    os.environ.setdefault("_RJEM_MALLOC_CONF", KEPT_MEMORY)
    atexit.register(_leave_cycles)
    sys.argv[1:] = [_with_home(word) for word in sys.argv[1:]]
    seen: dict[Path, Path | None] = {}
    forget_names()
    try:
        with _stopped_by_signals():
            app(obj=seen)
    except OptimizerError as error:
        _say_if_stopped(seen, stop_code())
        _fail(f"error: {error}", error.exit_code)
    except SystemExit as left:
        _say_if_stopped(seen, left.code)
        raise
    except BaseException as error:  # the last resort: everything else is a bug
        if not is_failure(error):
            raise
        _say_if_stopped(seen, stop_code())
        if is_of_memory(error):
            command = " ".join(["optimizer", *sys.argv[1:2]])
            _fail(f"error: {lack_of_memory(command)}; {published_since(seen)}", 1)
        _say_bug()
        _fail(f"error: this is a bug in optimizer; {published_since(seen)}", 1)
    finally:
        note_stop(None)  # what this process does next was not stopped


def _say_if_stopped(seen: dict[Path, Path | None], code: str | int | None) -> None:
    """Say what was published where a signal ended the program, and end it so."""
    if code not in STOPPED:
        return
    # The desk only reads, and is meant to be stopped.
    is_desk = sys.argv[1:2] == ["serve"]
    say("stopped" if is_desk else f"stopped; {published_since(seen)}")
    sys.exit(code)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the program as Control-C does."""
    is_first = threading.current_thread() is threading.main_thread()
    before = {
        number: signal.getsignal(number)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    ours = {
        number: found
        for number, found in before.items()
        # nohup's is left alone; other code's, as pyspark's, would not note it
        if is_first and found not in (signal.SIG_IGN, None)
    }
    for number in ours:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, found in ours.items():
            signal.signal(number, found)


def _stop(number: int, _frame: object) -> NoReturn:
    """Exit as after Control-C, with cleanup; a second signal ends at once."""
    note_stop(128 + number)
    if number == signal.SIGINT:
        signal.signal(number, signal.default_int_handler)
        raise KeyboardInterrupt
    signal.signal(number, signal.SIG_DFL)
    sys.exit(128 + number)


def _hold_standard_streams() -> None:
    """Replace closed standard streams, before a file of ours gets their number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - as long as we run


def _with_home(word: str) -> str:
    """
    Put the home folder for ``~/``, also behind an option's ``=``: not all shells do.

    Examples
    --------
    >>> _with_home("--date=~"), _with_home("a~/b")
    ('--date=~', 'a~/b')
    """
    option, sign, value = word.partition("=")
    if sign and option.startswith("--") and value.startswith("~/"):
        return f"{option}={os.path.expanduser(value)}"  # noqa: PTH111 - keeps what it is
    return os.path.expanduser(word) if word.startswith("~/") else word  # noqa: PTH111


def _fail(text: str, code: int) -> NoReturn:
    """Report the reason in the form of the log, with --json as JSON too, and exit."""
    from optimizer.telemetry import logs

    if "--json" in sys.argv:
        reason = text.removeprefix("error: ")
        told = json.dumps({"error": reason, "exit_code": code}, ensure_ascii=False)
        with suppress(OSError):
            typer.echo(told)
    if logs.are_json():
        logging.getLogger("optimizer").error(
            "%s", text, exc_info=code == 1, extra={"exit_code": code}
        )
    else:
        say(text)
    sys.exit(code)


def _say_bug() -> None:
    """The traceback, where the log does not have it."""
    from optimizer.telemetry import logs

    if not logs.are_json():
        say(traceback.format_exc())


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from optimizer.cli.version import version_line

        typer.echo(version_line())
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            *("--version", "-V"),
            help="Print the version and the commit.",
            is_eager=True,
            callback=_print_version,
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Show no progress on the terminal.")
    ] = False,
) -> None:
    IS_QUIET.set(quiet)


#: All commands, in the order of ``--help``.
COMMANDS = (
    init.init,
    *(learn.learn, learn.evaluate),
    *(run.validate, run.run, run.schema),
    *(questions.explain, questions.prices, questions.scenarios),
    *(compare.diff, compare.accept, compare.robustness),
    *(nights.verify, nights.backfill, nights.rollback, nights.status, nights.runs),
    *(nights.evidence, nights.audit, nights.prune, nights.warm, nights.deliver),
    serve.serve,
)
for command in COMMANDS:
    app.command(cls=PlainCommand, epilog=end_of_help(command.__name__))(command)
simulate_app = typer.Typer(
    cls=PlainGroup,
    invoke_without_command=True,
    callback=simulate.simulate,
    epilog=end_of_help("simulate"),
)
simulate_app.command("outcomes", cls=PlainCommand, epilog=end_of_help("outcomes"))(
    simulate.reveal
)
app.add_typer(simulate_app, name="simulate")
state_app = typer.Typer(
    cls=PlainGroup, help="The state database.", no_args_is_help=True
)
for command in (nights.upgrade, nights.repair):
    state_app.command(cls=PlainCommand, epilog=end_of_help(command.__name__))(command)
app.add_typer(state_app, name="state")
