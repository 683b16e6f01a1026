"""The project is what it says: its files, types, imports, documents and start."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

import pytest

import optimizer
from tests.support.tracked import project_files

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "optimizer").rglob("*.py"))


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, cwd=ROOT, check=False
    )


@pytest.mark.slow
def test_a_users_code_type_checks() -> None:
    """Strict mypy accepts code as users write it, with the types they expect."""
    done = run(sys.executable, "-m", "mypy", "--strict", "tests/typing/user_code.py")
    assert done.returncode == 0, done.stdout
    assert (ROOT / "optimizer" / "py.typed").is_file()


def test_public_names_are_few_and_all_there() -> None:
    """
    Every public name can be imported, and an unknown one is a plain error.

    They are two groups of about ten: what decides and proves a night with its errors,
    and a question for each command that answers one.
    """
    questions = {*optimizer._QUESTIONS}
    assert len(questions) <= 10
    assert len({*optimizer.__all__} - questions) <= 14
    for name in optimizer.__all__:
        assert getattr(optimizer, name).__doc__, name
    assert set(optimizer.__all__) <= set(dir(optimizer))
    with pytest.raises(AttributeError, match="no attribute 'solve'"):
        optimizer.solve  # noqa: B018


def test_importing_it_loads_nothing_heavy_and_touches_no_log() -> None:
    """``import optimizer`` is instant: no numpy, no polars, no logging handler."""
    heavy = ["numpy", "polars", "pyarrow", "numba", "ortools", "pydantic", "scipy"]
    script = (
        "import sys, logging, optimizer, optimizer.cli.main;"
        f"print([n for n in {heavy} if n in sys.modules], logging.root.handlers)"
    )
    assert run(sys.executable, "-c", script).stdout.strip() == "[] []"


def test_the_version_is_one() -> None:
    """Package, metadata and changelog name the same version."""
    from importlib.metadata import version

    meta = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert optimizer.__version__ == meta["version"]
    assert version("premium-delivery-optimizer") == meta["version"]
    assert f"## [{meta['version']}]" in changelog
    assert "### Changed answers" in changelog


def test_every_dependency_has_its_reason() -> None:
    """dependencies.md gives a line to each run-time dependency, and to no other."""
    meta = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {re.split(r"[<>=\[ ]", d)[0] for d in meta["dependencies"]}
    for extra in meta.get("optional-dependencies", {}).values():
        wanted |= {re.split(r"[<>=\[ ]", d)[0] for d in extra}
    text = (ROOT / "docs/develop/dependencies.md").read_text("utf-8")
    assert set(re.findall(r"^\| `([a-z0-9-]+)`", text, re.M)) == wanted


def test_locks_hold_hashes_and_no_address() -> None:
    """Every locked requirement has a hash; none names an index or a local path."""
    for lock in sorted((ROOT / "requirements").glob("*.lock")):
        text = lock.read_text("utf-8")
        pins = re.findall(r"^[a-z0-9][^\n=]*==", text, re.M)
        assert pins
        assert text.count(" \\\n    --hash=sha256:") >= len(pins)
        assert "://" not in text


def test_ruff_reads_every_tracked_file() -> None:
    """No pattern of exclusion hides a Python file that is in the repository."""
    shown = run(sys.executable, "-m", "ruff", "check", "--show-files", ".").stdout
    read = {Path(line).resolve() for line in shown.splitlines()}
    tracked = project_files("*.py")
    assert len(tracked) > 100
    assert [name for name in tracked if (ROOT / name).resolve() not in read] == []


def test_pytest_looks_into_every_folder_with_tests(
    pytestconfig: pytest.Config,
) -> None:
    """No pattern of folders to pass over hides one that has tests or examples."""
    patterns = pytestconfig.getini("norecursedirs")
    tracked = project_files("tests/*.py", "optimizer/*.py")
    folders = {part for name in tracked for part in Path(name).parts[:-1]}
    assert {"build", "solvers"} <= folders
    assert [f for f in folders for p in patterns if fnmatch(f, p)] == []


#: Folders of tests that are of no one room: whole nights, the wheel, what tests share.
NO_ROOM = {"golden", "packaging", "support", "typing"}


def misplaced(tests: Iterable[str], sources: Iterable[str]) -> set[str]:
    """Rooms without tests, and folders of tests that stand for no room."""
    rooms = {str(Path(name).parent.relative_to("optimizer")) for name in sources}
    folders = {
        str(Path(name).parent.relative_to("tests"))
        for name in tests
        if Path(name).name.startswith("test_")
    }
    untested = {room for room in rooms if room.count("/") == 0} - folders
    return untested | {f for f in folders - rooms if Path(f).parts[0] not in NO_ROOM}


def test_the_tests_mirror_the_tree() -> None:
    """Each room has a folder of tests with its name, and no other folder has tests."""
    tests = project_files("tests/*.py")
    sources = project_files("optimizer/*.py")
    assert len(tests) > 100
    assert misplaced(tests, sources) == set()
    assert misplaced([*tests, "tests/data/test_read.py"], sources) == {"data"}
    assert misplaced(tests, [*sources, "optimizer/market/run.py"]) == {"market"}


#: Python of the tests that is neither a test nor shared by tests.
BY_THEMSELVES = {
    "tests/fuzz_parsers.py": "coverage-guided, run by hand",
    "tests/packaging/use_it.py": "run where the wheel alone is installed",
    "tests/typing/user_code.py": "read by mypy as a user's",
}


def test_what_tests_share_is_in_one_folder() -> None:
    """Beside tests and campaigns are no helpers: those are in ``tests/support``."""
    beside = {
        name
        for name in project_files("tests/*.py")
        if not name.startswith(("tests/support/", "tests/campaigns/"))
        and not re.fullmatch(r"test_.*|conftest\.py|__init__\.py", Path(name).name)
    }
    assert beside == {*BY_THEMSELVES}


#: Where tests look at the clock of the machine, and why no claim depends on it.
LOOKS_AT_THE_CLOCK = {
    "tests/campaigns/faults.py": "ends where its minutes are over",
    "tests/campaigns/forks.py": "stops a command that hangs, and says what it took",
    "tests/campaigns/kills.py": "kills commands at random moments: each must do",
    "tests/campaigns/mutations.py": "ends where its minutes are over",
    "tests/campaigns/races.py": "starts commands at random moments: each must do",
    "tests/campaigns/servers.py": "stops a server at random moments: each must do",
    "tests/campaigns/swaps.py": "tells how long a command took",
    "tests/cli/test_ends.py": "waits for a command to begin before it is stopped",
    "tests/desk/test_people.py": "signs links that hold today",
    "tests/night/test_moved_projects.py": "lets a second pass between two nights",
    "tests/night/test_previous.py": "sets the clock far past a limit, to end there",
    "tests/solvers/test_left_running.py": "waits for a solver before it stops a run",
    "tests/test_operations_examples.py": "allows for a midnight in between",
    "tests/test_operations_run.py": "asks once which day was yesterday",
    "tests/support/crash.py": "kills runs at random moments: each must do",
    "tests/support/live_browser.py": "looks again until a page has changed",
    "tests/support/days.py": "prints how long a year took",
    "tests/support/processes.py": "looks again until a server answers",
    "tests/support/s3.py": "likewise",
}


def test_no_test_depends_on_the_time_that_something_takes() -> None:
    """Tests that need a clock make one; what looks at the machine's is listed."""
    named = re.compile(
        r"\btime\.(sleep|time|monotonic|perf_counter|process_time)\(|timeit"
        r"|^from time import|\.now\(|\.utcnow\(|\.today\(",
        re.M,
    )
    tests = project_files("tests/*.py")
    own = Path(__file__).relative_to(ROOT).as_posix()
    found = {t for t in tests if t != own and named.search((ROOT / t).read_text())}
    assert found == set(LOOKS_AT_THE_CLOCK)


def test_pre_commit_runs_what_the_tests_run() -> None:
    """The hooks are local, so they use the locked tools."""
    text = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    assert set(re.findall(r"repo: (\S+)", text)) == {"local"}


def test_nothing_stray_lies_at_the_top() -> None:
    """Files and folders of the top level are those that belong there."""
    known = {
        *("benchmarks", "configs", "docs", "optimizer", "requirements", "tests"),
        *("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "Containerfile"),
        *("LICENSE", "Makefile", "README.md", "SECURITY.md", "pyproject.toml"),
    }
    there = {name.partition("/")[0] for name in project_files("*")}
    assert {name for name in there if not name.startswith(".")} <= known
