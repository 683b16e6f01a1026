"""The command line: exit codes, streams, and what it leaves alone."""

from __future__ import annotations

import fcntl
import json
import os
import pkgutil
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import optimizer
from optimizer.config import load_config
from optimizer.night import run as running
from optimizer.night.past_nights import rollback
from tests.support.small_night import (
    DAY,
    Call,
    SmallNight,
    call,
    copy_night,
    make_night,
)
from tests.support.small_night import snapshot as files_of

PROGRAM = Path(sys.executable).with_name("optimizer")


@pytest.fixture(scope="module")
def good_night(tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    """A good night that no test may change."""
    folder = tmp_path_factory.mktemp("good") / "night"
    night = make_night(folder, num_orders=1_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        night.run()
    return night


@pytest.fixture
def night(
    good_night: SmallNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SmallNight:
    """A copy of it to work on, with the folder as working directory."""
    return copy_night(good_night, tmp_path / "night", monkeypatch)


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Call the command line in this process."""
    return lambda *words: call(monkeypatch, capsys, *words)


def start(night: SmallNight, *words: object) -> Call:
    """Call the installed program; that kernels are compiled, once, is no result."""
    done = subprocess.run(
        [PROGRAM, *map(str, words)],
        cwd=night.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stderr.splitlines(keepends=True)
    said = [line for line in said if "optimizer.kernel_cache: compiling" not in line]
    return Call(done.returncode, done.stdout, "".join(said))


RUN = ("run", "--config", "config.yaml", "--date", DAY)
VALIDATE = ("validate", "--config", "config.yaml")
RUN_DIR = f"runs/{DAY}"


def hold(night: SmallNight):
    """Hold the date as another run would; close it to let go."""
    handle = (night.runs / ".locks" / DAY.isoformat()).open("w")
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def unpublish(night: SmallNight) -> None:
    """Take the night down, so that the next run is the first."""
    rollback(load_config(night.config), DAY, is_withdrawn=True)


def prove_less(night: SmallNight) -> None:
    """Solve a night by a method that misses its optimum, and accept nothing less."""
    unpublish(night)
    policy = night.settings()["policy"]
    policy[0]["cap"]["rate"] = 0.02
    keys = {"policy": policy, "publish": {"max_relative_gap": 0}}
    night.configure(solver={"method": "greedy"}, **keys)


@pytest.mark.slow
def test_the_installed_program_leaves_with_the_code_of_what_happened(night: SmallNight):
    """
    The console script as installed: published 0, a wrong key 2, a missing input 3,
    not proved enough 4, the date held 75; errors on stderr without a traceback.
    """
    unpublish(night)
    found = {0: start(night, *RUN)}
    with hold(night):
        found[75] = start(night, *RUN)
    prove_less(night)
    found[4] = start(night, *RUN)
    night.input("orders").unlink()
    found[3] = start(night, *RUN)
    night.configure(objectives={})
    found[2] = start(night, *RUN)
    for code, ended in found.items():
        assert ended.code == code, ended
        assert "Traceback" not in ended.err
        assert (ended.out == "") == (code != 0)
        assert ended.err.startswith("error: ") == (code != 0)
        assert (code != 0) or ended.err == ""


ERRORS: list[tuple[Any, tuple[object, ...], int, str]] = [
    (None, ("run", "--config", "config.yaml"), 2, "Missing option '--date'"),
    (None, (*RUN, "--fast"), 2, "No such option: --fast"),
    (None, ("fly",), 2, "No such command 'fly'"),
    (None, (*RUN[:-1], "22.11.2026"), 2, "a date is written like 2026-11-22"),
    (None, (*RUN[:-1], "2026-11-31"), 2, "a date is written like 2026-11-22"),
    (None, (*RUN[:-1], "20261122"), 2, "a date is written like 2026-11-22"),
    (None, ("run", "--config", "no.yaml", "--date", DAY), 2, "no.yaml: no such file"),
    (None, ("run", "--config", "nights", "--date", DAY), 2, "nights: is a directory"),
    (None, (*RUN[:-1], "2023-01-01"), 3, "2023-01-01/orders.parquet: no such file"),
    (None, ("verify", "nights"), 3, "nights: is not a published run"),
    (None, ("verify", "nowhere"), 3, "nowhere: is not a published run"),
    (None, ("explain", "nights", "x"), 3, "nights: is not a published run"),
    (None, ("explain", RUN_DIR, "x"), 3, "order 'x' is not in this night"),
    (None, ("explain", RUN_DIR, DAY), 3, f"{DAY} is a date; name an order by its"),
    (None, ("evidence", RUN_DIR, DAY), 3, f"{DAY} is a date; name an order by its"),
    (None, ("verify", DAY), 3, "a date goes with its configuration: --config FILE"),
    (None, ("explain", "o-1", RUN_DIR), 3, "name the folder of a night first"),
    (None, ("simulate", "--out", ".", "--orders", 0), 2, "orders: must be 1"),
    (None, ("simulate", "--out", ".", "--orders", 600), 2, "2026-11-22"),
    (
        lambda night: night.configure(solver={"time_limit_seconds": 5}),
        RUN,
        2,
        "is already published, and the configuration changed since; pass --force",
    ),
    (
        lambda night: night.write("capacity", night.read("capacity").tail(-1)),
        RUN,
        2,
        "is already published, and capacity changed since; pass --force",
    ),
    (lambda night: night.configure(sover={}), VALIDATE, 2, "sover: unknown key"),
    (lambda night: night.config.write_text("a: ["), VALIDATE, 2, "not valid YAML"),
    (
        lambda night: night.input("orders").unlink(),
        (*VALIDATE, "--date", DAY),
        3,
        "no su",
    ),
    (prove_less, RUN, 4, "the plan is proved only to within"),
]


@pytest.mark.parametrize(
    ("spoil", "words", "code", "says"), ERRORS, ids=[says for *_, says in ERRORS]
)
def test_a_users_mistake_gets_a_code_and_a_word(
    night: SmallNight, cli, spoil: Any, words: tuple[object, ...], code: int, says: str
):
    """
    A mistake ends with its own code, says what is wrong on stderr, prints no
    traceback and no result, and changes no file (the lock of a new date aside, and
    the state, which follows a link that was taken away by hand).
    """
    if spoil is not None:
        spoil(night)
    before = files_of(night.folder)
    found = cli(*words)
    assert found.code == code, found
    assert says in re.sub(r"\s+", " ", found.err.replace("│", " ")), found.err
    assert "Traceback" not in found.err
    assert found.out == ""
    after = files_of(night.folder)
    after.pop("runs/.locks/2023-01-01", None)
    if spoil is prove_less:
        for name in ("runs/.state.sqlite", "runs/.evidence.jsonl"):
            after[name] = before[name]
    assert after == before


def test_a_held_date_can_be_tried_again(night: SmallNight, cli):
    """While the date is held: 75 and nothing changes; then it is as ever."""
    before = files_of(night.folder)
    with hold(night):
        found = cli(*RUN, "--force")
        assert found.code == 75
        assert found.err.startswith("error: another run holds 2026-11-22")
    assert files_of(night.folder) == before
    assert cli(*RUN).code == 0


JSON_CALLS = [
    (*RUN, "--json"),
    (*RUN, "--dry-run", "--json"),
    (*VALIDATE, "--json"),
    (*VALIDATE, "--date", DAY, "--json"),
    pytest.param(("verify", RUN_DIR, "--json"), marks=pytest.mark.slow),
    ("schema",),
]


@pytest.mark.parametrize(
    "words", JSON_CALLS, ids=lambda words: " ".join(map(str, words))
)
def test_json_is_one_object_and_nothing_else(
    night: SmallNight, cli, words: tuple[object, ...]
):
    """With --json stdout is one JSON object on one line; the schema is JSON always."""
    found = cli(*words)
    assert found.code == 0
    assert isinstance(json.loads(found.out), dict)
    assert words == ("schema",) or found.out.count("\n") == 1
    assert found.err == ""


@pytest.mark.slow
def test_the_first_run_tells_what_it_published(night: SmallNight, cli):
    """Words and JSON of a run agree with the record that it wrote."""
    unpublish(night)
    told = cli(*RUN)
    record = json.loads((night.run_dir / "run.json").read_text())
    numbers = record["summary"]
    assert told.code == 0
    assert f"{RUN_DIR}: published\n" in told.out
    assert f"chosen     {numbers['num_chosen']} of 1,000 orders" in told.out
    assert f"{numbers['saving_cny']:.2f} CNY" in told.out
    assert "the optimum, proved (gap 0)" in told.out

    unpublish(night)
    found = json.loads(cli(*RUN, "--json").out)
    assert (found["outcome"], found["run_dir"]) == ("published", RUN_DIR)
    assert found["summary"] == numbers
    assert found["certificate"] == record["certificate"]


@pytest.mark.slow
def test_a_run_names_the_floors_that_no_plan_meets(night: SmallNight, cli):
    """Which, by how much and why: three of them; a dry run has no table of its own."""
    unpublish(night)
    night.configure(publish={"max_relative_gap": 1})
    floor = pl.lit(1_000_000)
    night.write("capacity", night.read("capacity").with_columns(min_parcels=floor))
    told = cli(*RUN)
    clashes = pl.read_parquet(night.run_dir / "conflicts.parquet")
    assert told.code == 0
    (line,) = [text for text in told.out.splitlines() if "  conflicts  " in text]
    assert f"{len(clashes)} not kept: " in line
    for name, reached in clashes.head(3).select("limit", "reached").iter_rows():
        assert f"{name}: {reached:,} of 1,000,000 (fewer parcels" in line
    assert f"; and {len(clashes) - 3} more; see conflicts.parquet" in line
    tried = cli(*RUN, "--dry-run", "--force").out
    assert f"  conflicts  {len(clashes)} not kept\n" in tried


def test_a_rerun_is_a_no_op_that_says_so(night: SmallNight, cli):
    """The same inputs again, forced or not: nothing is written, and it says so."""
    before = files_of(night.folder)
    for words in (RUN, (*RUN, "--force")):
        found = cli(*words)
        assert found.code == 0
        assert "already published from the same inputs; nothing to do" in found.out
    assert json.loads(cli(*RUN, "--json").out)["outcome"] == "unchanged"
    assert files_of(night.folder) == before


@pytest.mark.slow
def test_other_inputs_need_force_and_the_old_night_is_kept(night: SmallNight, cli):
    """Refused without --force; with it the new night is in place, the old one aside."""
    old, before = night.run_dir.resolve(), files_of(night.run_dir)
    night.write("orders", night.read("orders").head(900))
    refused = cli(*RUN)
    assert refused.code == 2
    assert "orders changed since; pass --force" in refused.err
    assert night.run_dir.resolve() == old
    assert cli(*RUN, "--force").code == 0
    assert night.run_dir.resolve() != old
    assert files_of(old) == before
    assert cli("verify", night.run_dir).code == 0


@pytest.mark.parametrize("is_published", [False, True])
def test_a_dry_run_writes_nothing_at_all(night: SmallNight, cli, is_published: bool):
    """Not a file, not a folder, not a lock; it needs no lock either, and no force."""
    if not is_published:
        unpublish(night)
    night.configure(solver={"num_threads": 1})
    before, folders = files_of(night.folder), sorted(night.folder.rglob("*"))
    with hold(night):
        found = cli(*RUN, "--dry-run")
    assert found.code == 0
    assert "dry run; nothing was written, it would go here" in found.out
    assert sorted(night.folder.rglob("*")) == folders
    assert files_of(night.folder) == before


def test_a_dry_run_refuses_what_a_run_refuses(night: SmallNight, cli):
    """A plan that is not good enough to publish is not good enough for a dry run."""
    prove_less(night)
    assert cli(*RUN, "--dry-run").code == 4


def test_validate_says_what_is_there_and_solves_nothing(
    night: SmallNight, cli, monkeypatch: pytest.MonkeyPatch
):
    """It counts rows and names warnings, without a solver and without writing."""
    monkeypatch.setattr("optimizer.solvers.solve", None)
    night.write("capacity", night.read("capacity").filter(~(_is_yunda())))
    before = files_of(night.folder)
    assert cli(*VALIDATE).out == "config.yaml: valid\n"
    found = cli(*VALIDATE, "--date", DAY, "--force")
    assert found.code == 0
    assert "orders: 1,000 rows" in found.out
    assert "Every row of every input keeps the rules." in found.out
    assert "no capacity row" in " ".join(found.out.split())
    assert files_of(night.folder) == before


def _is_yunda():
    import polars as pl

    return pl.col("carrier_id") == "yunda"


def test_the_schema_is_the_shipped_one(cli):
    """Which takes the example files, see the tests of configurations."""
    shipped = Path(optimizer.__file__).parent.parent / "configs" / "schema.json"
    assert json.loads(cli("schema").out) == json.loads(shipped.read_text())


def test_explain_puts_an_order_into_a_sentence(night: SmallNight, cli):
    """A chosen order and one that is not, in words and as one JSON object."""
    import polars as pl

    decisions = pl.read_parquet(night.run_dir / "decisions.parquet")
    chosen = decisions.filter("is_premium").row(0, named=True)
    other = decisions.filter(reason="NO_SAVING").row(0, named=True)
    said = cli("explain", RUN_DIR, chosen["order_id"])
    assert said.code == 0
    assert said.out.startswith(f"{chosen['order_id']}: chosen, with ")
    assert f"{chosen['saving_cny']:.2f} CNY" in said.out
    found = json.loads(cli("explain", RUN_DIR, other["order_id"], "--json").out)
    assert found["reason"] == "NO_SAVING"
    assert found["sentence"].startswith("not chosen: premium would cost")
    assert found["merchant"]["merchant_id"] == other["merchant_id"]


@pytest.mark.slow
def test_verify_holds_and_fails_by_its_code(night: SmallNight, cli):
    """0 and the proof where all holds; 4 and what is wrong on stdout where not."""
    found = cli("verify", RUN_DIR)
    assert (found.code, found.err) == (0, "")
    first, *more = found.out.splitlines()
    assert first == f"{RUN_DIR}: holds; feasible, the optimum, proved (gap 0)"
    assert {line.split(":")[0] for line in more} == {"  trusted"}
    (night.run_dir / "lanes.parquet").write_bytes(b"")
    found = cli("verify", RUN_DIR)
    assert found.code == 4
    said = f"{RUN_DIR}: lanes.parquet was changed after it was published\n"
    assert found.out.startswith(said)
    found = cli("verify", RUN_DIR, "--json")
    assert found.code == 4
    assert json.loads(found.out)["is_valid"] is False


@pytest.mark.slow
def test_verify_compares_the_configuration(night: SmallNight, cli):
    """With the configuration of the night it holds; with another one it says where."""
    assert cli("verify", RUN_DIR, "--config", night.config).code == 0
    night.configure(objective={"complaint_cost_cny": 31, "return_cost_cny": 18})
    found = cli("verify", RUN_DIR, "--config", night.config, "--json")
    (words,) = json.loads(found.out)["findings"]
    assert found.code == 4
    assert 'objective.complaint_cost_cny is "31", and "30" in the record' in words


def test_verify_without_duckdb_does_what_it_can(
    night: SmallNight, cli, monkeypatch: pytest.MonkeyPatch
):
    """Without DuckDB the night is built again, and what was not checked is named."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    found = cli("verify", RUN_DIR)
    assert found.code == 0
    assert "not checked: DuckDB is not installed" in found.out
    (night.run_dir / "lanes.parquet").write_bytes(b"")
    assert cli("verify", RUN_DIR).code == 4


@pytest.mark.slow
def test_a_published_night_verifies_from_any_folder(
    night: SmallNight, cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Inputs are recorded by their whole path: where one stands does not matter."""
    unpublish(night)
    assert cli(*RUN).code == 0
    monkeypatch.chdir(tmp_path)
    assert cli("verify", night.run_dir).code == 0
    assert cli("verify", "night/runs/2026-11-22").code == 0


@pytest.mark.slow
def test_simulate_makes_a_night_that_runs(tmp_path: Path, night: SmallNight, cli):
    """What it writes is taken by a run as it is; it prints the folders it made."""
    words = ("--orders", 300, "--merchants", 3, "--start", "2026-11-23")
    made = cli("simulate", "--out", night.folder, "--seed", 3, "--days", 2, *words)
    assert made.code == 0
    days = ["2026-11-23", "2026-11-24"]
    assert made.out.split() == [str(night.folder / "nights" / day) for day in days]
    for day in days:
        assert cli(*RUN[:-1], day).code == 0


class PanicException(BaseException):
    """What a library in Rust raises when it gives up."""


@pytest.mark.parametrize("raised", [ZeroDivisionError, PanicException])
def test_a_bug_leaves_its_traceback(
    night: SmallNight, cli, monkeypatch: pytest.MonkeyPatch, raised
):
    """Anything unforeseen: code 1, a traceback, and that nothing was published."""

    def fail(*_, **__):
        raise raised

    before = files_of(night.folder)
    monkeypatch.setattr(running, "solve_night", fail)
    night.configure(solver={"num_threads": 1})
    before = files_of(night.folder)
    found = cli(*RUN, "--force")
    assert found.code == 1
    assert raised.__name__ in found.err
    assert "Traceback (most recent call last)" in found.err
    assert found.err.endswith("this is a bug in optimizer; nothing was published\n")
    assert files_of(night.folder) == before


def test_a_lack_of_memory_is_no_bug(
    night: SmallNight, cli, monkeypatch: pytest.MonkeyPatch
):
    """Code 1, one line that says what to do, and that nothing was published."""

    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(running, "solve_night", fail)
    night.configure(solver={"num_threads": 1})
    found = cli(*RUN, "--force")
    assert found.code == 1
    words = "error: optimizer run: there is not enough memory for it; set solver.memory"
    assert found.err.splitlines()[-1].startswith(words)
    assert found.err.endswith("take a machine with more; nothing was published\n")
    assert "Traceback" not in found.err


def test_stopping_a_run_publishes_nothing_and_says_so(
    night: SmallNight, cli, monkeypatch: pytest.MonkeyPatch
):
    """Control-C in the middle: code 130, a word, no traceback, the old night."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "solve_night", stop)
    night.configure(solver={"num_threads": 1})
    before = files_of(night.folder)
    found = cli(*RUN, "--force")
    assert found.code == 130
    assert "Traceback" not in found.err
    assert found.err == "stopped; nothing was published\n"
    assert files_of(night.folder) == before


def test_stopping_the_desk_says_only_that(
    night: SmallNight, cli, monkeypatch: pytest.MonkeyPatch
):
    """It publishes nothing ever, so that there is nothing to say of it."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("optimizer.desk.server.serve", stop)
    found = cli("serve", "--config", "config.yaml")
    assert (found.code, found.err) == (130, "stopped\n")


STOPS = {
    "before the link": ("optimizer.night.publish._point", "before"),
    "after the link": ("optimizer.night.publish._point", "after"),
    "at the last flush": ("optimizer.night.publish._confirm", "before"),
    "after the run": ("optimizer.job.run_date", "after"),
    "while it is said": ("optimizer.cli.run._summary", "before"),
}


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.parametrize(("place", "when"), STOPS.values(), ids=[*STOPS])
def test_what_is_said_of_a_stop_is_true_at_any_moment(
    night: SmallNight,
    cli,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    when: str,
    kind: type[BaseException],
):
    """
    Control-C, or a bug, just before or after the link is replaced: the last line says
    whether a new night is published, and it is so.
    """
    night.configure(solver={"num_threads": 1})
    link = night.run_dir.readlink()
    really = pkgutil.resolve_name(place)

    def stop(*words: object, **keys: object) -> object:
        if when == "after":
            really(*words, **keys)
        raise kind

    monkeypatch.setattr(place, stop)
    found = cli(*RUN, "--force")
    said = found.err.splitlines()[-1]
    is_new = night.run_dir.readlink() != link
    assert found.code == (130 if kind is KeyboardInterrupt else 1)
    assert is_new == ((place, when) != STOPS["before the link"])
    assert said.endswith(
        f"; a new night was published already: {RUN_DIR}"
        if is_new
        else "; nothing was published"
    )


@pytest.mark.slow
def test_a_first_night_that_is_stopped_late_is_not_denied(
    night: SmallNight, cli, monkeypatch: pytest.MonkeyPatch
):
    """Where no night was before, one that is there now is told of as well."""
    unpublish(night)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("optimizer.night.publish._confirm", stop)
    found = cli(*RUN)
    assert found.err == f"stopped; a new night was published already: {RUN_DIR}\n"
    assert cli("verify", RUN_DIR).code == 0


def test_a_full_disk_is_one_line_and_no_bug(
    night: SmallNight, cli, monkeypatch: pytest.MonkeyPatch
):
    """A failing disk: code 1, one line, no traceback, the old night."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    night.configure(solver={"num_threads": 1})
    before = files_of(night.run_dir)
    monkeypatch.setattr("os.fsync", fail)
    found = cli(*RUN, "--force")
    assert found.code == 1
    assert found.err.startswith("error: ")
    assert "no space left on device" in found.err
    assert "Traceback" not in found.err
    assert files_of(night.run_dir) == before


def test_version_is_the_packages(cli):
    """The version that is printed is that of the package, a commit behind it."""
    found = cli("--version")
    assert (found.code, found.err) == (0, "")
    assert found.out.split()[0] == optimizer.__version__


HEAVY = ("numpy", "polars", "pyarrow", "numba", "ortools", "pydantic", "yaml", "pandas")


@pytest.mark.parametrize("words", [["--help"], ["--version"]], ids=str)
def test_asking_for_help_imports_nothing_heavy(words: list[str]):
    """Help and version load none of the numeric libraries."""
    program = (
        "import sys, optimizer.cli.main\n"
        f"sys.argv = ['optimizer', *{words!r}]\n"
        "try:\n    optimizer.cli.main.main()\n"
        "except SystemExit as left:\n    assert not left.code\n"
        f"print('loaded:', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.endswith("loaded: []\n")
    assert len(done.stdout) > len("loaded: []\n")


@pytest.mark.slow
@pytest.mark.parametrize(("words", "is_shown"), [([], True), (["--quiet"], False)])
def test_quiet_shows_no_progress_on_a_terminal(
    words: list[str], is_shown: bool, good_night: SmallNight
) -> None:
    """On a terminal the stages are shown; with ``--quiet`` not a byte is."""
    ours, theirs = pty.openpty()
    dry = ["run", "--config", str(good_night.config), "--date", str(DAY), "--dry-run"]
    done = subprocess.run(
        [PROGRAM, *words, *dry],
        cwd=good_night.folder,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm"},
        check=True,
    )
    os.write(theirs, b"END")
    shown = b""
    while not shown.endswith(b"END"):
        shown += os.read(ours, 65_536)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0
    assert (b"start" in shown) == is_shown
    assert (shown == b"END") != is_shown
