"""What a command does not need is not imported: looked at by name, never by time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from optimizer.cli.main import KEPT_MEMORY
from tests.support.small_night import SmallNight, make_night

#: Packages that take long to import.
SLOW = {
    "alembic",
    "jinja2",
    "numba",
    "numpy",
    "ortools",
    "pandas",
    "polars",
    "pyarrow",
    "rich",
    "scipy",
    "sqlalchemy",
}
NIGHT = ("run", "--config", "config.yaml", "--date", "2026-11-22")
#: What each command may import of them.
MAY = {
    ("--version",): set(),
    ("--help",): {"rich"},
    ("explain", "runs/2026-11-22"): {"numpy", "polars", "pyarrow"},
    ("runs", "--config", "config.yaml"): {"numpy"},
    ("status", "--config", "config.yaml"): {"numpy", "sqlalchemy"},
    NIGHT: {"numpy", "pyarrow", "sqlalchemy"},
    (*NIGHT, "--dry-run"): SLOW - {"alembic", "pandas", "rich"},
    ("verify", "runs/2026-11-22"): SLOW
    - {"alembic", "ortools", "pandas", "rich", "sqlalchemy"},
}


def imported_by(folder: Path, *words: str) -> set[str]:
    """Packages that a command imports."""
    return {name.partition(".")[0] for name in modules_of(folder, *words)}


def modules_of(folder: Path, *words: str) -> set[str]:
    """Call the command line in a process of its own, and see what it has imported."""
    code = (
        "import sys\n"
        "from optimizer.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as left: code = left.code\n"
        "print('\\nIMPORTED', *sys.modules, file=sys.stderr)\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    return {*done.stderr.split("IMPORTED")[1].split()}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    """A night that is published, as a process of its own leaves it."""
    night = make_night(tmp_path_factory.mktemp("night"))
    imported_by(night.folder, *NIGHT)
    return night


@pytest.mark.slow
@pytest.mark.parametrize(("words", "may"), MAY.items(), ids=map(" ".join, MAY))
def test_a_command_imports_what_it_needs(
    published: SmallNight, words: tuple[str, ...], may: set[str]
) -> None:
    """
    Kernels, the database, its migrations and tables only where they are used.

    pandas, which is installed here, by no night at all.
    """
    if words[0] == "explain":
        words = (*words, str(published.read("orders")["order_id"][0]))
    assert (imported_by(published.folder, *words) & SLOW) - may == set()


@pytest.mark.slow
def test_a_night_whose_kernels_are_kept_loads_no_compiler(
    published: SmallNight,
) -> None:
    """What numba can compile takes longer to load than all kernels of a night."""
    words = (*NIGHT, "--dry-run")
    assert "numba.np.arraymath" not in modules_of(published.folder, *words)


def test_a_command_ends_without_looking_for_cycles() -> None:
    """That would take longer than the command: what it has imported is set aside."""
    code = (
        "import atexit, gc\n"
        "atexit.register(lambda: print(gc.get_freeze_count()))\n"
        "from optimizer.cli.main import main\n"
        "main()"
    )
    words = [sys.executable, "-c", code, "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) > 10_000


@pytest.mark.parametrize("given", [None, "dirty_decay_ms:1"])
def test_polars_keeps_freed_memory_for_a_while(given: str | None) -> None:
    """Set before polars is imported, and by whoever starts the command before us."""
    code = (
        "import atexit, os, sys\n"
        "atexit.register(lambda: print('polars' in sys.modules,"
        " os.environ['_RJEM_MALLOC_CONF']))\n"
        "from optimizer.cli.main import main\n"
        "main()"
    )
    given_too = {} if given is None else {"_RJEM_MALLOC_CONF": given}
    around = {k: v for k, v in os.environ.items() if k != "_RJEM_MALLOC_CONF"}
    words = [sys.executable, "-c", code, "--version"]
    done = subprocess.run(
        words, capture_output=True, text=True, check=True, env=around | given_too
    )
    is_imported, kept = done.stdout.split()[-2:]
    assert is_imported == "False"
    assert kept == (given or KEPT_MEMORY)


def test_the_newest_schema_is_known_without_alembic() -> None:
    """The files of the migrations name what Alembic says of them, in its order."""
    from alembic.script import ScriptDirectory

    from optimizer.night.state import database

    scripts = ScriptDirectory.from_config(database._alembic_config())
    known = [script.revision for script in scripts.walk_revisions()][::-1]
    assert database.revisions() == known
    assert len(known) > 1


@pytest.mark.slow
def test_verify_ends_in_silence(published: SmallNight) -> None:
    """What is left of DuckDB when a command ends is no leak to report."""
    words = [sys.executable, "-m", "optimizer", "--quiet", "verify", "runs/2026-11-22"]
    done = subprocess.run(
        words, capture_output=True, text=True, check=True, cwd=published.folder
    )
    assert done.stderr == ""
