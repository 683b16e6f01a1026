"""Kernels are compiled once, where that can be kept, and the first line says so."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import optimizer
from optimizer import kernel_cache
from tests.support.small_night import make_night

#: A kernel that takes little to compile, of a module of its own.
TINY = """
import numpy as np
from optimizer.kernel_cache import kernel
@kernel
def add_one(number):
    return number + np.int64(1)
"""
ADD_ONE = (
    "import logging; logging.basicConfig(level=logging.INFO)\n"
    "from tiny import add_one; print(add_one(1))\n"
    "from optimizer.kernel_cache import COMPILED; print(COMPILED.folder)"
)
#: A command, and the kernels that it calls from Python, each with its types.
ASKING = """
import pathlib, sys
from optimizer.kernel_cache import KernelCache
asked, read = set(), KernelCache.load_overload
def noting(cache, sig, context):
    asked.add(f"{cache._base} {sig}")
    return read(cache, sig, context)
KernelCache.load_overload = noting
from optimizer.cli.main import main
try:
    main()
finally:
    pathlib.Path("asked.txt").write_text("\\n".join(asked))
"""
#: What a source that declares kernels has in it.
MARK = re.compile(r"^@\w*kernel$", re.M)
#: Kernels for whole numbers and for floating-point ones.
TWO_TYPES = {
    "optimizer.solvers.kernels.branch.write",
    "optimizer.solvers.kernels.newton.add_parents",
}
#: Kernels with what options use of several rows, and without, where it is one slot.
TWO_USES = {
    "optimizer.solvers.kernels.choose.choose",
    "optimizer.solvers.kernels.choose.surplus",
    "optimizer.solvers.kernels.screen.screen",
}
TWO = "2"


@dataclass(frozen=True)
class Install:
    """A copy of the package that has compiled nothing, and a cache of its user's."""

    folder: Path

    @property
    def env(self) -> dict[str, str]:
        """The environment that finds it."""
        return os.environ | {
            "PYTHONPATH": str(self.folder),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }

    @property
    def kernels(self) -> Path:
        """Compiled kernels beside the code."""
        return self.folder / "optimizer" / "__pycache__" / "kernels"

    def python(self, code: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run code in a process of its own."""
        done = self.call("-c", code, **env)
        assert done.returncode == 0, done.stderr
        return done

    def call(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Call Python in a process of its own, in the folder."""
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env=self.env | env,
        )

    def asks(
        self, *words: str
    ) -> tuple[subprocess.CompletedProcess[str], frozenset[str]]:
        """Call a command that must succeed; the kernels that it asks for."""
        done = self.call("-c", ASKING, *words)
        assert done.returncode == 0, done.stderr
        return done, frozenset((self.folder / "asked.txt").read_text().splitlines())


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Install:
    """One copy for all tests, with a night: Python compiles its modules once."""
    folder = tmp_path_factory.mktemp("install")
    source = Path(optimizer.__file__).parent
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source, folder / "optimizer", ignore=ignored)
    (folder / "tiny.py").write_text(TINY)
    make_night(folder, num_orders=40_000)  # too many to be balanced at once
    return Install(folder)


@pytest.fixture
def install(copy: Install, monkeypatch: pytest.MonkeyPatch) -> Install:
    """The copy, without any compiled kernel."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    shutil.rmtree(copy.kernels, ignore_errors=True)
    shutil.rmtree(copy.folder / "cache", ignore_errors=True)
    return copy


def kept_in(cache: Path) -> Counter[str]:
    """Kernels in a cache, each as often as it is there for other types."""
    files = cache.rglob("*.nbc")
    return Counter(path.name.partition("-")[0] for path in files)


def all_kernels() -> set[str]:
    """Every kernel of the package, by the module that declares it."""
    found = set()
    for module in pkgutil.walk_packages(optimizer.__path__, "optimizer."):
        source = Path(optimizer.__file__).parents[1] / module.name.replace(".", "/")
        path = source.with_suffix(".py")
        if path.is_file() and MARK.search(path.read_text("utf-8")):
            for value in vars(importlib.import_module(module.name)).values():
                made: Any = getattr(value, "py_func", None)
                if made is not None and made.__module__ == module.name:
                    found.add(f"{module.name}.{made.__name__}")
    return found


def within(asked: set[str]) -> set[str]:
    """Kernels, and all that are compiled into them, by the names in their code."""
    found, todo = set[str](), [*asked]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            module, _, function = name.rpartition(".")
            values = vars(importlib.import_module(module))
            made: Any = values[function]
            inner = (values.get(word) for word in made.py_func.__code__.co_names)
            functions: list[Any] = [getattr(value, "py_func", None) for value in inner]
            todo += [f"{f.__module__}.{f.__name__}" for f in functions if f is not None]
    return found


def names_of(asked: frozenset[str]) -> Counter[str]:
    """Kernels that were asked for, each as often as for other types."""
    return Counter(one.partition("-")[0] for one in asked)


@pytest.mark.slow
def test_a_night_compiles_each_kernel_that_it_needs_once(install: Install) -> None:
    """One line before the first, none for two types of arguments, and no packing."""
    words = ("-m", "optimizer", "run", "--config", "config.yaml", "--dry-run")
    first = install.call(*words, "--date", "2026-11-22")
    assert first.stderr.count("compiling the kernels, once: about 15 s of CPU") == 1
    kept = kept_in(install.kernels)
    assert {name for name, count in kept.items() if count > 1} <= TWO_TYPES
    assert not {name for name in kept if "packing" in name or "knapsack" in name}


@pytest.mark.slow
def test_warm_asks_for_each_kernel_and_for_all_that_a_night_asks_for(
    install: Install,
) -> None:
    """
    Alone it compiles all kernels of the package: it asks for them, or for one that they
    are compiled into, each for one set of types. Then neither warm nor a night nor a
    proof compiles any. What this very code has compiled already is not done again.
    """
    own = kernel_cache.first_kept()
    if own is not None:
        shutil.copytree(own, install.kernels / own.name)
    found = json.loads(install.call("-m", "optimizer", "warm", "--json").stdout)
    assert Path(found["folder"]).parent == install.kernels
    assert kept_in(install.kernels).keys() == all_kernels()
    assert found["num_kept"] == len(list(install.kernels.rglob("*.nbi")))

    again, by_warm = install.asks("warm", "--json")
    assert json.loads(again.stdout)["compiled"] == []
    asked = names_of(by_warm)
    assert within({*asked}) == all_kernels()
    assert len(all_kernels()) > 60
    assert {name for name, count in asked.items() if count > 1} <= TWO_TYPES | TWO_USES
    night = ("run", "--config", "config.yaml", "--date", "2026-11-22")
    run, by_night = install.asks(*night)
    proof, by_proof = install.asks("verify", "runs/2026-11-22")
    assert run.stderr == proof.stderr == ""
    assert by_night
    assert by_night | by_proof <= by_warm


@pytest.mark.slow
@pytest.mark.parametrize("place", ["NUMBA_CACHE_DIR", "code", "user"])
def test_kernels_lie_in_the_first_place_that_can_be_written(
    install: Install, place: str
) -> None:
    """What is named, else beside the code, else the user's; then all is read."""
    env, folder = {}, install.kernels
    if place == "NUMBA_CACHE_DIR":
        folder = install.folder / "cache" / "premium-delivery-optimizer"
        env = {place: str(install.folder / "cache")}
    if place == "user":
        install.kernels.parent.mkdir(exist_ok=True)
        install.kernels.write_text("in the way")
        folder = install.folder / "cache" / "premium-delivery-optimizer" / "kernels"
    first = install.python(ADD_ONE, **env)
    assert "compiling the kernels" in first.stderr
    assert first.stdout.split()[0] == TWO
    assert Path(first.stdout.split()[1]).parent == folder
    again = install.python(ADD_ONE, **env)
    assert (again.stdout.split(), again.stderr) == ([TWO, "None"], "")
    if place == "user":
        install.kernels.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_damaged_files_are_compiled_again(install: Install, suffix: str) -> None:
    """A file that was cut short stops nothing."""
    install.python(ADD_ONE)
    for path in install.kernels.rglob(f"*.{suffix}"):
        path.write_bytes(path.read_bytes()[:20])
    again = install.python(ADD_ONE)
    assert again.stdout.split()[0] == TWO
    assert "compiling" in again.stderr


@pytest.mark.slow
def test_what_others_could_write_is_not_read(install: Install) -> None:
    """Compiled kernels are code: a folder that all may write to is passed over."""
    install.python(ADD_ONE)
    (kept,) = install.kernels.iterdir()
    kept.chmod(0o777)
    found, folder = install.python(ADD_ONE).stdout.split()
    is_users = Path(folder).is_relative_to(install.folder / "cache")
    assert (found, is_users) == (TWO, True)


@pytest.mark.slow
def test_a_change_of_any_kernel_is_one_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels hold others inside them, whose files numba does not look at."""
    shutil.copytree(Path(optimizer.__file__).parent, tmp_path / "optimizer")
    monkeypatch.setattr(kernel_cache, "_PACKAGE", tmp_path / "optimizer")
    before = kernel_cache.stamp.__wrapped__()
    plain = tmp_path / "optimizer" / "clock.py"
    plain.write_text(plain.read_text() + "\n# changed\n")
    assert kernel_cache.stamp.__wrapped__() == before
    for source in sorted((tmp_path / "optimizer").rglob("*.py")):
        if MARK.search(source.read_text("utf-8")):
            source.write_text(source.read_text("utf-8") + "\n# changed\n")
            now = kernel_cache.stamp.__wrapped__()
            assert now != before, source
            before = now


NO_PLACE = (
    "from optimizer import kernel_cache; kernel_cache._places = lambda: ()\n" + ADD_ONE
)


@pytest.mark.slow
def test_without_a_place_kernels_live_in_a_private_folder_that_goes(
    install: Install, tmp_path: Path
) -> None:
    """One line says so and what to do; the folder is new, ours alone, and removed."""
    look = "\nimport os; print(oct(os.stat(COMPILED.folder).st_mode))"
    done = install.python(NO_PLACE + look, TMPDIR=str(tmp_path))
    found, folder, mode = done.stdout.split()
    assert (found, mode) == (TWO, "0o40700")
    assert Path(folder).parent == tmp_path
    assert list(tmp_path.iterdir()) == []
    assert len(done.stderr.splitlines()) == 1
    assert "optimizer warm" in done.stderr
    assert "NUMBA_CACHE_DIR" in done.stderr


@pytest.mark.slow
def test_warm_without_a_place_is_refused(install: Install) -> None:
    """Nothing would be kept: it says where to write, and leaves with 2."""
    code = (
        "from optimizer import kernel_cache, warm; kernel_cache._places = lambda: ()\n"
        "warm._plain_nights = warm._packing_nights = warm._blocks = print\n"
        "import sys; sys.argv = ['optimizer', 'warm']\n"
        "from optimizer.cli.main import main; main()"
    )
    done = install.call("-c", code)
    assert done.returncode == 2
    assert "NUMBA_CACHE_DIR" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_disk_that_is_full_costs_the_cache_alone(
    install: Install,
) -> None:
    """What cannot be kept is used all the same, and said once."""
    code = (
        "from optimizer import kernel_cache\n"
        "def full(*_): raise OSError(28, 'No space left on device')\n"
        "kernel_cache.IndexDataCacheFile.save = full\n"
    )
    done = install.python(code + ADD_ONE)
    assert done.stdout.split() == [TWO, "None"]
    assert done.stderr.count("No space left on device") == 1
