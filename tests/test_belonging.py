"""What a project shows to those around it: version, help, manual, image, release."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

import optimizer
from optimizer.cli import version
from optimizer.cli.examples import EXAMPLES, EXIT_CODES
from optimizer.cli.main import app
from optimizer.cli.manual import manual
from optimizer.cli.nights import NO_NIGHT

ROOT = Path(__file__).parents[1]
HEXADECIMAL = r"[0-9a-f]{12}\+?"


def run(
    *command: str, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(cwd)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def cli(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "optimizer", *arguments, **environment)


def test_the_version_names_the_commit_of_a_checkout() -> None:
    """``-V`` and ``--version`` print the version and the commit, where there is one."""
    assert cli("-V").stdout == cli("--version").stdout
    commit = rf" \({HEXADECIMAL}\)" if (ROOT / ".git").exists() else r"( \(.*\))?"
    pattern = re.escape(optimizer.__version__) + commit
    assert re.fullmatch(pattern, version.version_line())


def test_the_version_names_the_commit_that_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the build wrote is used; with neither, the version stands alone."""
    monkeypatch.setattr(version, "PACKAGE", tmp_path / "optimizer")
    monkeypatch.setattr(version, "COMMIT", tmp_path / "commit.txt")
    assert version.version_line() == optimizer.__version__
    (tmp_path / "commit.txt").write_text("0123456789ab\n")
    assert version.version_line() == f"{optimizer.__version__} (0123456789ab)"


@pytest.mark.slow
def test_help_has_a_short_name_in_every_command() -> None:
    """``-h`` is ``--help``, of the program and of its commands."""
    assert cli("-h").stdout == cli("--help").stdout
    assert (
        cli("state", "repair", "-h").stdout == cli("state", "repair", "--help").stdout
    )
    assert "Usage:" in cli("run", "-h").stdout


def commands_of(group: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Each command with the words that call it."""
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        if inner is None or command.epilog:
            yield " ".join((*before, name)), command
        if inner is not None:
            yield from commands_of(command, (*before, name))


def test_each_help_ends_with_an_example_and_the_exit_codes() -> None:
    """The example calls that command, with options that it has."""
    found = dict(commands_of(get_command(app)))
    assert len(found) == len(EXAMPLES)
    for words, command in found.items():
        example, codes = command.epilog.split("\n\n")
        assert example.startswith(f"Example: optimizer {words}")
        known = {option for parameter in command.params for option in parameter.opts}
        used = {word for word in example.split() if word.startswith("--")}
        assert used <= known, words
        assert all(f"{code}: " in codes for code in EXIT_CODES)
    shown = " ".join(cli("verify", "-h").stdout.split())
    assert "Example: optimizer verify runs/2026-11-22" in shown
    assert "75: try again later" in shown


@pytest.mark.slow
def test_shells_complete_commands_and_options() -> None:
    """Bash's protocol of completion answers with our commands and their options."""
    as_installed = (
        "import sys; sys.argv[0] = 'optimizer';"
        "from optimizer.cli.main import main; main()"
    )
    for words, count, wanted in [
        ("optimizer ver", "1", "verify"),
        ("optimizer run --for", "2", "--force"),
    ]:
        asked = {"COMP_WORDS": words, "COMP_CWORD": count}
        asked["_OPTIMIZER_COMPLETE"] = "complete_bash"
        assert run(sys.executable, "-c", as_installed, **asked).stdout.split() == [
            wanted
        ]


@pytest.mark.slow
def test_no_color_is_obeyed() -> None:
    """With NO_COLOR, even a terminal that wants colours gets none."""
    assert "\x1b[1;" in cli("-h", FORCE_COLOR="1").stdout
    coloured = re.compile(r"\x1b\[[0-9;]*3[0-7]")
    assert coloured.search(cli("-h", FORCE_COLOR="1").stdout)
    assert not coloured.search(cli("-h", FORCE_COLOR="1", NO_COLOR="1").stdout)


@pytest.mark.slow
def test_home_is_meant_by_its_sign(tmp_path: Path) -> None:
    """``~/`` is the home folder, as a word, behind ``=`` and in the configuration."""
    home = {"HOME": str(tmp_path)}
    for words in (["--config=~/none.yaml"], ["--config", "~/none.yaml"]):
        refused = cli("status", *words, "2026-11-22", **home)
        assert f"{tmp_path}/none.yaml: no such file" in refused.stderr
    keys = {
        "version": 1,
        "policy": [
            {
                "valid_from": "2022-01-12",
                "cap": {"rate": 0.03},
                "fee": {"amount_cny": 0.8},
                "carriers": ["yunda"],
            }
        ],
        "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
        "output": "~/runs",
    }
    (tmp_path / "c.yaml").write_text(json.dumps(keys))
    asked = cli("status", "--config", "~/c.yaml", "--json", "2026-11-22", **home)
    assert asked.returncode == NO_NIGHT
    assert json.loads(asked.stdout)["is_published"] is False


def test_errors_under_json_are_json() -> None:
    """A machine reads the reason and the code where it reads results."""
    refused = cli("validate", "--config", "none.yaml", "--json")
    told = json.loads(refused.stdout)
    assert told == {
        "error": "none.yaml: no such file or directory; check the path of --config",
        "exit_code": refused.returncode,
    }


def test_the_manual_page_is_of_this_program() -> None:
    """docs/optimizer.1 is what ``make manual`` writes, and has each code of exits."""
    manual_page = (ROOT / "docs/optimizer.1").read_text("utf-8")
    assert manual_page == manual(app, optimizer.__version__), "run make manual"
    page = (ROOT / "docs/how-to/run-every-night.md").read_text("utf-8")
    for code in "0", "1", "2", "3", "4", "75":
        assert code in EXIT_CODES
        assert re.search(rf"^\| {code} \|", page, re.M), code
    (told,) = re.findall(r"^\| 1 \|.*", page, re.M)
    for words in (
        "a bug",
        "a disk that cannot be written or is full",
        "too little memory",
    ):
        assert words in told
        assert words in EXIT_CODES["1"]


def test_the_citation_is_of_this_version() -> None:
    """CITATION.cff has the fields of its format, and our version."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    wanted = {"cff-version", "message", "title", "authors", "version", "date-released"}
    assert wanted <= cited.keys()
    assert cited["version"] == optimizer.__version__
    assert date.fromisoformat(cited["date-released"])


@pytest.mark.parametrize("name", ["wrong-answer", "idea"])
def test_forms_of_issues_are_of_their_schema(name: str) -> None:
    """Each form has a name, a description and fields that can be told apart."""
    path = ROOT / f".github/ISSUE_TEMPLATE/{name}.yml"
    form = yaml.safe_load(path.read_text("utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields) > 0
    assert all(field["attributes"]["label"] for field in fields)


def test_the_containerfiles_are_well_made() -> None:
    """Hadolint finds nothing in them, and would find a package without a version."""
    tool = Path(sys.executable).with_name("hadolint")
    done = run(str(tool), "Containerfile", "configs/operations/spark.Containerfile")
    assert (done.returncode, done.stdout) == (0, "")
    planted = subprocess.run(
        [tool, "-"],
        input="FROM python\nRUN pip install numpy\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert planted.returncode == 1
    assert "DL3013" in planted.stdout


@pytest.mark.slow
def test_a_release_is_one_command(tmp_path: Path) -> None:
    """The script writes the version everywhere, commits, tags and builds; once."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.fail("needs a checkout and git")
    clone = tmp_path / "clone"
    run("git", "clone", "-q", str(ROOT), str(clone), cwd=tmp_path)
    for key, value in {"user.name": "A", "user.email": "a@example.org"}.items():
        run("git", "config", key, value, cwd=clone)
    tools = {"TOOLS": str(Path(sys.executable).parent)}

    refused = run(".ci/release", "0.1.0", cwd=clone, **tools)
    assert refused.returncode == 1
    assert "does not come after" in refused.stderr
    log = clone / "CHANGELOG.md"
    new = "## [Unreleased]\n\n- Something.\n"
    log.write_text(log.read_text("utf-8").replace("## [Unreleased]\n", new), "utf-8")
    assert "commit first" in run(".ci/release", "9.9.9", cwd=clone, **tools).stderr
    run("git", "commit", "-qam", "Something", cwd=clone)

    done = run(".ci/release", "9.9.9", cwd=clone, **tools)
    assert done.returncode == 0, done.stderr
    assert run("git", "describe", cwd=clone).stdout == "v9.9.9\n"
    names = {path.name for path in (clone / "dist").iterdir()}
    assert names == {
        "premium_delivery_optimizer-9.9.9-py3-none-any.whl",
        "premium_delivery_optimizer-9.9.9.tar.gz",
        "sbom.cdx.json",
    }
    old = run("git", "grep", "-l", "-F", f'"{optimizer.__version__}"', cwd=clone)
    assert "optimizer/__init__.py" not in old.stdout
    assert "pyproject.toml" not in old.stdout
    shown = run(sys.executable, "-m", "optimizer", "-V", cwd=clone).stdout
    assert re.fullmatch(rf"9\.9\.9 \({HEXADECIMAL}\)\n", shown)
    again = run(".ci/release", "9.9.10", cwd=clone, **tools)
    assert "nothing under Unreleased" in again.stderr
