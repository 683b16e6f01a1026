"""Every command that a document shows runs, or says here why it does not."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer.main

from optimizer.simulate import simulate
from tests.support import exports
from tests.support.rights import as_user
from tests.support.small_night import DAY
from tests.support.tracked import project_files

ROOT = Path(__file__).parents[1]
#: Languages of blocks whose lines are typed into a shell.
SHELL = {"bash", "console", "sh", "shell", "zsh"}
#: Languages of blocks that are no commands; ``test_readme.py`` reads those.
OTHER = {"json", "python", "sql", "text", "yaml", "yml", "{toctree}"}
#: Commands that are not run here, by how they begin, and why.
ELSEWHERE = {
    "make run": "the first step of CI",
    "make test": "its parts are steps of CI; one runs this",
    "spark-submit --master spark://": "a cluster; its program is called below",
    "pip install '.[": "make wheel installs it; test_dependencies.py has the extras",
    "pip install --": "the lock and a folder of wheels; make test and make wheel do",
    "pip wheel '.[": "make wheel builds ours, and uses it without a network",
    "optimizer run --config FILE --date yesterday": (
        "needs the inputs of yesterday; test_operations_run.py has them"
    ),
    "optimizer simulate --out data --orders 20000 --seed 7 --start": (
        "two days; test_readme.py simulates the second, and answers from it"
    ),
    "optimizer run --config configs/nightly.yaml --date 2026-11-21": "likewise",
    "optimizer run --config configs/nightly.yaml --date 2026-11-22": (
        "publishes the day, as a console of run-every-night.md does"
    ),
    "optimizer simulate outcomes --runs runs": (
        "needs simulated nights alone; test_readme.py reveals that of the day"
    ),
    "systemctl ": "needs a running systemd; test_operations_examples.py has the units",
    "journalctl ": "likewise",
    "podman build": "needs an image of Python; test_operations_examples.py reads it",
    "podman push": "needs a registry",
    "kubectl apply": "needs a cluster; test_operations_examples.py reads the file",
    "optimizer run --config configs/nightly.yaml --date 2026-11-22 --only-changes": (
        "needs a list of the day; night/test_repair_run.py has its parts"
    ),
    "optimizer serve": "serves until it is stopped; tests/desk asks it",
    "openssl rand": "a random line; desk/test_desk.py reads one from a file",
    "git worktree add": "needs the history; it is for the benchmark beside it",
    "make bench": "takes a quarter of an hour, or hours; CI runs make bench-tests",
    "python -m benchmarks.": "likewise; benchmarks/test_compare.py has its parts",
}
#: What stands for ``duckdb``, whose command line the package does not bring.
DUCKDB = """#!{python}
import sys, duckdb
for statement in duckdb.extract_statements(sys.stdin.read()):
    rows = duckdb.execute(statement).fetchall()
    if statement.type == duckdb.StatementType.SELECT:
        print(*rows, sep="\\n", end="")
"""


class Block(NamedTuple):
    """A fenced block of a document."""

    place: str
    language: str
    text: str


class Command(NamedTuple):
    """A line of a shell block, continued ones joined, without prompt and comment."""

    place: str
    line: str


def documents() -> dict[str, str]:
    """Tracked documents by their paths."""
    return {name: (ROOT / name).read_text("utf-8") for name in project_files("*.md")}


def blocks_of(place: str, text: str) -> list[Block]:
    """Fenced blocks, indented ones too, with the line that each begins on."""
    fence = re.compile(r"^ *(`{3,}|~{3,})([^\n`]*)\n(.*?)^ *\1 *$", re.M | re.S)
    found = []
    for block in fence.finditer(text):
        line = text.count("\n", 0, block.start()) + 1
        language = (block[2].split() or [""])[0]
        found.append(Block(f"{place}:{line}", language, block[3]))
    return found


def commands_of(block: Block) -> list[Command]:
    """Commands of a shell block; of a console those behind a prompt."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line.strip()[2:] for line in lines if line.strip().startswith("$ ")]
    plain = (re.sub(r"(^|\s+)#.*", "", line).strip() for line in lines)
    return [Command(block.place, " ".join(line.split())) for line in plain if line]


def all_commands(texts: dict[str, str]) -> list[Command]:
    """Commands of all shell blocks."""
    blocks = [
        block for place, text in texts.items() for block in blocks_of(place, text)
    ]
    unknown = [b.place for b in blocks if b.language not in SHELL | OTHER]
    assert not unknown, f"blocks of no known language: {unknown}"
    return [
        c for block in blocks if block.language in SHELL for c in commands_of(block)
    ]


def is_run(line: str) -> bool:
    """Whether the tests below run a command."""
    is_left = line.startswith(tuple(ELSEWHERE))
    return line.startswith(("optimizer ", "cd runs/")) and not is_left


def not_accounted_for(texts: dict[str, str]) -> list[Command]:
    """Commands that are neither run nor excused."""
    excused = tuple(ELSEWHERE)
    commands = all_commands(texts)
    return [
        c for c in commands if not is_run(c.line) and not c.line.startswith(excused)
    ]


def inline(pattern: str) -> list[Command]:
    """What stands in backquotes within the sentences of all documents."""
    found = []
    for place, text in documents().items():
        sentences = re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)
        codes = re.findall(r"(?<!`)`([^`]+)`(?!`)", sentences)
        found += [Command(place, " ".join(code.split())) for code in codes]
    return [command for command in found if re.match(pattern, command.line)]


@cache
def command_tree() -> Any:
    """All commands with their options; building the tree takes longer than a look."""
    from optimizer.cli import compare, main, nights, questions  # noqa: F401 - they join

    return typer.main.get_command(main.app)


def unknown_words(line: str) -> list[str]:
    """Words of an ``optimizer`` line that are neither commands nor their options."""
    command = command_tree()
    unknown, is_value = [], False
    for word in re.sub(r"[][…]|\.\.\.", " ", line).split()[1:]:
        if is_value:
            is_value = False
        elif word.startswith("--"):
            name, equals, _ = word.partition("=")
            found = [p for p in command.params if name in p.opts]
            unknown += [word] * (not found and name != "--help")
            is_value = bool(found) and not found[0].is_flag and not equals
        elif hasattr(command, "commands"):
            if word not in command.commands:
                return [*unknown, word]
            command = command.commands[word]
        elif all(p.param_type_name != "argument" for p in command.params):
            unknown.append(word)
    return unknown


def variants(line: str) -> list[str]:
    """The line with all that stands in brackets, and without it."""
    without = re.sub(r" \[[^]]*\]", "", line)
    return list(dict.fromkeys([re.sub(r"[][]", "", line), without]))


def call(folder: Path, *words: str) -> str:
    """Call the command line in a folder; it must succeed."""
    done = as_user(folder, *words)
    assert done.code == 0, (words, done.out, done.err)
    return done.out


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the words of documents stand for, where a night has replaced another."""
    folder = tmp_path_factory.mktemp("shop")
    shutil.copytree(ROOT / "configs", folder / "configs")
    simulate(folder / "data", num_orders=20_000, num_merchants=100, num_days=1, seed=7)
    (orders,) = exports.workbook(folder)
    orders.rename(folder / "orders.xlsx")
    exports.taobao(folder)  # history.csv, among others
    config = folder / "configs" / "nightly.yaml"
    text = config.read_text("utf-8").replace("rate: 0.03 ", "rate: 0.05 ")
    config.write_text(re.sub(r"\n  share: 0  ", "\n  share: 0.05  ", text))
    night = ("run", "--config", "configs/nightly.yaml", "--date", str(DAY), "--json")
    call(folder, *night)
    config.write_text(config.read_text("utf-8").replace("rate: 0.05 ", "rate: 0.04 "))
    head = json.loads(call(folder, *night, "--force"))["evidence_head"]["hash"]
    call(folder, "simulate", "outcomes", "--runs", "runs", "--nights", "data/nights")
    decisions = call(folder, "explain", f"runs/{DAY}", "--json")
    assert json.loads(decisions)
    return {"FILE": "configs/nightly.yaml", "HASH": head, "folder": str(folder)}


def test_every_command_is_run_or_excused() -> None:
    """A new one that is neither must be run below, or say in the table why not."""
    assert not_accounted_for(documents()) == []
    shown = [command.line for command in all_commands(documents())]
    unused = [key for key in ELSEWHERE if not any(s.startswith(key) for s in shown)]
    assert unused == []


@pytest.mark.parametrize(
    "block",
    [
        "```sh\nduckdb -c 'select 1'\n```\n",
        "- so:\n\n  ```console\n  $ pip install x\n  done\n  ```\n",
        "~~~bash\n# first\n\nmake clean \\\n  bench\n~~~\n",
    ],
)
def test_a_command_that_is_neither_is_found(block: str) -> None:
    """In every form that a block may have."""
    (found,) = not_accounted_for({"guide.md": f"# Guide\n\n{block}"})
    assert found.place.startswith("guide.md:")
    with pytest.raises(AssertionError, match=r"no known language: \['guide.md:1'\]"):
        not_accounted_for({"guide.md": "```\noptimizer run\n```\n"})


@pytest.mark.slow
def test_the_commands_succeed(values: dict[str, str]) -> None:
    """Each, on a small night; dates of a year are those of the one night."""
    import polars as pl

    folder = Path(values["folder"])
    orders = pl.read_parquet(folder / f"data/nights/{DAY}/orders.parquet")
    known = values | {"ORDER_ID": orders["order_id"][0]}
    known |= {"2026-01-01": str(DAY), "2026-12-31": str(DAY)}
    # Those of consoles run in test_readme.py, which reads what they print.
    texts = {
        place: re.sub(r"^ *```console.*?^ *```", "", text, flags=re.M | re.S)
        for place, text in documents().items()
    }
    commands = [c.line for c in all_commands(texts) if is_run(c.line)]
    lines = {line for line in commands if line.startswith("optimizer ")}
    assert len(lines) >= 8
    for line in sorted(lines):
        for variant in variants(line):
            call(folder, *(known.get(word, word) for word in shlex.split(variant)[1:]))


@pytest.mark.slow
def test_the_lines_for_other_programs_hold(
    values: dict[str, str], tmp_path: Path
) -> None:
    """DuckDB finds no row against the night; what Spark is to start is our program."""
    (tmp_path / "duckdb").write_text(DUCKDB.format(python=sys.executable))
    (tmp_path / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    for program in ("duckdb", "python"):
        (tmp_path / program).chmod(0o755)
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def shell(line: str) -> str:
        done = subprocess.run(
            ["sh", "-ec", line],
            cwd=values["folder"],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (line, done.stderr)
        return done.stdout

    lines = [command.line for command in all_commands(documents())]
    (audit,) = [line for line in lines if line.startswith("cd runs/")]
    assert shell(audit) == ""
    (on_spark,) = [line for line in lines if "--master spark://" in line]
    (program,) = re.findall(r'"\$\(.*?\)"', on_spark)
    rest = on_spark.partition(program)[2]
    assert unknown_words(f"optimizer {rest}") == []
    assert shell(f"python {program} --version").strip()


@pytest.mark.slow
def test_commands_in_sentences_are_there() -> None:
    """Each ``optimizer`` command and option, and each target of ``make``."""
    named = [
        Command(place, f"optimizer {words}")
        for place, line in inline("optimizer [a-z-]")
        for words in line.removeprefix("optimizer ").split(" | ")
    ]
    assert len(named) > 20
    wrong = {c: unknown_words(c.line) for c in named if unknown_words(c.line)}
    assert wrong == {}
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    asked = {
        (c.place, word) for c in inline("make [a-z]") for word in c.line.split()[1:]
    }
    assert len(asked) > 5
    assert {(place, word) for place, word in asked if word not in targets} == set()


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("optimizer run --config FILE --dates=2026-11-22", ["--dates=2026-11-22"]),
        ("optimizer state upgrad", ["upgrad"]),
        ("optimizer explian RUN", ["explian"]),
        ("optimizer run --dry-run", []),
    ],
)
def test_a_wrong_command_in_a_sentence_is_found(line: str, wrong: list[str]) -> None:
    """A misspelt command, one of a group, and an option that there is not."""
    assert unknown_words(line) == wrong
