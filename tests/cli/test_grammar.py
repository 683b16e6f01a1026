"""One grammar: every command that takes a night takes it in the same ways."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from optimizer.cli.main import app
from tests.support.small_night import (
    DAY,
    Call,
    SmallNight,
    call,
    copy_night,
    make_night,
)

#: Commands that take a published night, with further words that each needs.
OF_A_NIGHT: dict[str, tuple[str, ...]] = {
    "explain": (),
    "prices": ("--top", "0"),
    "scenarios": ("--scenarios", "asked.yaml"),
    "accept": (),
    "robustness": ("--relative-error", "0.3", "--draws", "1", "--hindsight", "0"),
    "verify": (),
    "rollback": ("--withdraw",),
    "status": (),
    "evidence": (),
    "deliver": (),
}
#: Commands that take none, and why.
OF_NO_NIGHT = {
    "init": "begins before there is any",
    "learn": "of past outcomes",
    "evaluate": "of past outcomes",
    "validate": "of a night to be made: --config with --date, as run",
    "run": "makes it",
    "schema": "of the configuration",
    "backfill": "of all dates from one to another",
    "runs": "lists them",
    "audit": "of the whole chain",
    "prune": "of all of an output",
    "serve": "shows them all",
    "warm": "of kernels",
    "simulate": "makes inputs",
    "simulate outcomes": "of a folder of nights",
    "state upgrade": "of the database",
    "state repair": "of the database and all nights",
}
#: What values are called, for people.
WORDS = {
    *(
        "ADDRESS",
        "DATE",
        "FILE",
        "FOLDER",
        "HASH",
        "LANE",
        "MERCHANT",
        "NAME",
        "NUMBER",
    ),
    *("ORDER", "OURS=YOURS", "REASON", "TABLE", "YOURS=CARRIER"),
}


def commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Each command that does something, with the words that call it."""
    for name, command in group.commands.items():
        words = f"{before} {name}".strip()
        inner = getattr(command, "commands", None)
        if inner is None or command.epilog:
            yield words, command
        if inner is not None:
            yield from commands(command, words)


COMMANDS = dict(commands(get_command(app)))


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Call the command line in this process."""
    return lambda *words: call(monkeypatch, capsys, *words)


def test_every_command_takes_a_night_or_is_listed() -> None:
    """A new command is one of the two: with the grammar, or with a reason."""
    assert {*COMMANDS} == {*OF_A_NIGHT, "diff", *OF_NO_NIGHT}


@pytest.mark.parametrize("name", [*OF_A_NIGHT, "diff"])
def test_a_night_is_a_folder_or_configuration_and_date(name: str) -> None:
    """First an optional FOLDER, else --config FILE with --date DATE; all optional."""
    parameters = COMMANDS[name].params
    places = [p for p in parameters if p.param_type_name == "argument"]
    options = {p.opts[0]: p for p in parameters if p.param_type_name == "option"}
    assert (places[0].metavar, places[0].required) == ("FOLDER", False)
    assert (options["--config"].metavar, options["--config"].required) == (
        "FILE",
        False,
    )
    assert (options["--date"].metavar, options["--date"].required) == ("DATE", False)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_values_for_people(name: str) -> None:
    """A word in capitals, or the choices; no type of a program."""
    for parameter in COMMANDS[name].params:
        is_flag = getattr(parameter, "is_flag", False)
        if not is_flag and not parameter.type_descriptor.is_choice:
            assert parameter.metavar in WORDS, parameter.name
    shown = CliRunner().invoke(app, [*name.split(), "-h"], env={"COLUMNS": "100"})
    types = r"<(str|int|float|path|bool|file|list)|TEXT|PATH|INTEGER|FLOAT|%Y|class "
    assert re.findall(types, shown.output) == []


#: What depends on how a night was named: its place, and what it was held against.
BY_THE_WAY = {"run_dir", "trusted", "basis"}


def told(done: Call) -> Any:
    """What a command says to programs."""
    assert done.code == 0, done
    found = json.loads(done.out)
    return {key: value for key, value in found.items() if key not in BY_THE_WAY}


def order_of(night: SmallNight) -> str:
    return night.read("orders")["order_id"][0]


@pytest.fixture(scope="module")
def sent_once(tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    """A published night whose recommendations were copied elsewhere."""
    folder = tmp_path_factory.mktemp("grammar") / "night"
    night = make_night(folder, num_orders=1_000)
    copy = {"table": "recommendations", "to": "copies/{date}.csv"}
    rules = [{"metric": "relative_gap", "max": 0}]
    night.configure(outputs=[copy], acceptance=rules)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        night.run()
    return night


@pytest.fixture
def published(
    sent_once: SmallNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SmallNight:
    """A copy of it, as the working directory, and a file of scenarios."""
    night = copy_night(sent_once, tmp_path / "night", monkeypatch)
    asked = {"scenarios": [{"name": "half", "slots_factor": 0.5}]}
    (night.folder / "asked.yaml").write_text(json.dumps(asked))
    return night


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_A_NIGHT)
def test_all_spellings_of_a_night_are_one_night(
    published: SmallNight, cli: Callable[..., Call], name: str
) -> None:
    """A folder, a configuration with --date, and with a date for the folder."""
    words = OF_A_NIGHT[name]
    thing = (order_of(published),) if name in ("explain", "evidence") else ()
    by_config = ("--config", "config.yaml", "--date", DAY)
    ways = [
        (f"runs/{DAY}", *thing, *words),
        (*thing, *by_config, *words),
        (DAY, *thing, "--config", "config.yaml", *words),
    ]
    if name == "rollback":  # each withdraws the night, which is put back
        found = []
        for way in ways:
            found.append(told(cli(name, *way, "--json")))
            assert cli("run", *by_config).code == 0
    else:
        found = [told(cli(name, *way, "--json")) for way in ways]
    assert found[0] == found[1] == found[2]


def test_two_nights_are_two_folders_or_two_dates(
    published: SmallNight, cli: Callable[..., Call]
) -> None:
    """`diff`: folders, --date twice, dates for folders; one night is too few."""
    run = f"runs/{DAY}"
    config = ("--config", "config.yaml")
    ways = [(run, run), (*config, "--date", DAY, "--date", DAY), (DAY, DAY, *config)]
    found = [told(cli("diff", *way, "--json")) for way in ways]
    assert found[0] == found[1] == found[2]
    for way in [(run,), config, (*config, "--date", DAY)]:
        refused = cli("diff", *way)
        assert refused.code == 2
        assert "give two nights" in refused.err


@pytest.mark.parametrize("name", OF_A_NIGHT)
def test_no_night_and_two_nights_are_refused_alike(
    published: SmallNight, cli: Callable[..., Call], name: str
) -> None:
    """One sentence says how a night is named."""
    words = OF_A_NIGHT[name]
    both = (f"runs/{DAY}", "--config", "config.yaml", "--date", DAY)
    thing = (order_of(published),) if name in ("explain", "evidence") else ()
    for way in [(), (*both[:1], *thing, *both[1:])]:
        refused = cli(name, *way, *words)
        assert refused.code == 2, refused
        assert "give the folder of a run, or --config and --date" in refused.err


@pytest.mark.slow
def test_spellings_that_were_in_use_still_work(
    published: SmallNight, cli: Callable[..., Call]
) -> None:
    """The newest night with --config alone; a date or an order after it."""
    config, order = ("--config", "config.yaml"), order_of(published)
    newest, dated = cli("status", *config), cli("status", *config, DAY)
    assert newest.out == dated.out
    assert newest.code == 0
    assert cli("evidence", *config, order).code == 0
    assert cli("evidence", *config, order, "--date", DAY).code == 0
    assert cli("deliver", DAY, *config).code == 0
    assert cli("verify", f"runs/{DAY}", *config).code == 0
    assert cli("accept", f"runs/{DAY}", *config).code == 0
    assert cli("rollback", *config, DAY, "--withdraw").code == 0
    assert cli("status", *config, DAY).code == 5


def test_a_folder_knows_its_configuration_where_it_lies(
    published: SmallNight, cli: Callable[..., Call]
) -> None:
    """Moved runs: their state is beside them; of another output they are refused."""
    moved = published.folder / "elsewhere"
    published.runs.rename(moved)
    done = cli("status", moved / str(DAY), "--json")
    assert told(done)["is_published"]
    refused = cli("status", moved / str(DAY), "--config", "config.yaml")
    assert refused.code == 2
    assert "the output of the configuration" in refused.err
    assert cli("status", Path("nowhere")).code == 3
