"""What is imported is declared; what only an extra installs is asked for by name."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from optimizer.errors import ConfigError
from optimizer.explain.plots import Plots
from optimizer.extras import EXTRA_OF
from tests.support.small_night import DAY, SmallNight, call

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "optimizer").rglob("*.py"))
META = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = META["optional-dependencies"]
#: Distributions by the packages that they install.
DISTRIBUTIONS = packages_distributions()
#: Functions that import a module by its name.
BY_NAME = ("import_module", "import_extra")


class Import(NamedTuple):
    """A package that a file imports, and whether the file cannot load without it."""

    package: str
    is_needed_to_load: bool


def imports_of(text: str) -> list[Import]:
    """Packages that a source imports, by statements and by name."""
    tree, functions = ast.parse(text), (ast.FunctionDef, ast.AsyncFunctionDef)
    late = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, functions)
        or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        elif isinstance(node, ast.Call) and node.args:
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            first = node.args[0]
            if called in BY_NAME and isinstance(first, ast.Constant):
                names = [str(first.value)]
        for name in names:
            package = name.partition(".")[0]
            if package not in sys.stdlib_module_names and package != "optimizer":
                found.append(Import(package, id(node) not in late))
    return found


def normal(name: str) -> str:
    """Name of a distribution, in the one spelling that compares."""
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=!\[;~ ]", name)[0]).lower()


def undeclared(text: str) -> set[str]:
    """Packages that a source imports, and that neither core nor their extra names."""
    always = {normal(name) for name in META["dependencies"]}
    extras = {
        extra: {normal(name) for name in names}
        for extra, names in META["optional-dependencies"].items()
    }
    found = set()
    for package, is_needed_to_load in imports_of(text):
        allowed = set(always)
        if not is_needed_to_load:
            allowed |= extras.get(EXTRA_OF.get(package, ""), set())
        names = {normal(name) for name in DISTRIBUTIONS.get(package, [])}
        if not names & allowed:
            found.add(package)
    return found


@pytest.mark.slow
def test_what_is_imported_is_declared() -> None:
    """Each import is of a direct dependency, or, where it comes late, of its extra."""
    found = {str(p.relative_to(ROOT)): undeclared(p.read_text()) for p in SOURCES}
    assert {path: names for path, names in found.items() if names} == {}
    assert len(found) > 100


@pytest.mark.parametrize(
    ("source", "package"),
    [
        ("from click import get_current_context", "click"),
        ("def f():\n    import pandas", "pandas"),
        ("import deltalake", "deltalake"),
        ("from obstore.store import S3Store", "obstore"),
        ("import_module('requests.sessions')", "requests"),
        ("def f():\n    import_extra('grpc', needed_by='x')", "grpc"),
    ],
)
def test_an_import_that_is_not_declared_is_found(source: str, package: str) -> None:
    """A package that another brings, an extra's at the top of a file, one by name."""
    assert undeclared(source) == {package}


def test_late_and_typing_imports_of_extras_are_allowed() -> None:
    """Inside a function, or for types alone, a file may name a package of an extra."""
    assert undeclared("def f():\n    import deltalake") == set()
    assert undeclared("if TYPE_CHECKING:\n    import pyspark") == set()


def test_every_extra_is_known_by_its_packages() -> None:
    """The table of packages has each extra, and each package is in that extra."""
    further = {"spark-connect", "spark-delta"}
    assert set(EXTRA_OF.values()) | further == set(EXTRAS)
    for package, extra in EXTRA_OF.items():
        declared = {normal(name) for name in EXTRAS[extra]}
        assert {normal(name) for name in DISTRIBUTIONS[package]} & declared, package


def test_the_jars_of_delta_are_those_of_the_extra() -> None:
    """Its page names the version that is pinned, for the Spark that is."""
    pins = dict(re.findall(r"'([a-z-]+)==([0-9.]+)'", str(EXTRAS["spark-delta"])))
    spark = pins["pyspark"].rpartition(".")[0]
    jars = f"io.delta:delta-spark_{spark}_2.13:{pins['delta-spark']}"
    page = (ROOT / "docs/how-to/spark.md").read_text("utf-8")
    assert re.findall(r"io\.delta:[a-z_0-9.:-]+", page) == [jars]
    said = f"(Delta {pins['delta-spark']} takes Spark up to {pins['pyspark']})"
    assert said in page


class Absent(MetaPathFinder):
    """Finds nothing of some packages, as where they are not installed."""

    def __init__(self, packages: set[str]) -> None:
        self.packages = packages

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Refuse them; leave the others to those who come after."""
        if name.partition(".")[0] in self.packages:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Take packages away until the test ends."""

    def take(*packages: str) -> None:
        for name in list(sys.modules):
            if name.partition(".")[0] in packages:
                monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, "meta_path", [Absent({*packages}), *sys.meta_path])

    return take


def address(at: str) -> dict[str, Any]:
    """Inputs of which one table is at an address."""
    return {"inputs": {"merchants": at}}


@pytest.mark.parametrize(
    ("changed", "package", "says"),
    [
        (address("postgresql://u@h/d?table=t"), "adbc_driver_postgresql", "postgres"),
        ({"state": {"url": "postgresql://u@h/d"}}, "psycopg", "postgres"),
        (address("s3://bucket/m.parquet"), "obstore", "s3"),
        (address("delta:///lake/m"), "deltalake", "delta"),
        (address("delta+s3://bucket/m"), "deltalake", "delta"),
        (address("duckdb:///shop.duckdb?table=m"), "duckdb", "duckdb"),
        (address("iceberg://lake?table=shop.m"), "pyiceberg", "iceberg"),
    ],
    ids=["postgresql", "state", "s3", "delta", "delta+s3", "duckdb", "iceberg"],
)
def test_a_run_without_an_extra_says_which(
    changed: dict[str, Any],
    package: str,
    says: str,
    inputs_only: SmallNight,
    without: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2 and one line: what needs which package, and the command."""
    night = inputs_only
    if "inputs" in changed:
        changed = {"inputs": night.settings()["inputs"] | changed["inputs"]}
    night.configure(**changed)
    without(package)
    left = call(monkeypatch, capsys, "run", "--config", night.config, "--date", DAY)
    assert left.code == 2, left.err
    (line,) = left.err.splitlines()
    assert f"needs {package}, which cannot be imported here" in line
    assert line.endswith(f"pip install 'premium-delivery-optimizer[{says}]'")


@pytest.mark.parametrize("package", ["sklearn", "scipy"])
def test_learning_without_its_extra_says_which(
    package: str,
    without: Any,
    inputs_only: SmallNight,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``learn`` asks before it reads the history."""
    inputs_only.configure(learning={"history": "h.parquet", "models": "models"})
    for name in [name for name in sys.modules if name.split(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)  # it is built on scipy
    without(package)
    words = ("learn", "--config", inputs_only.config, "--as-of", DAY)
    left = call(monkeypatch, capsys, *words)
    assert left.code == 2, left.err
    assert f"learning and measuring: needs {package}" in left.err
    assert left.err.endswith("pip install 'premium-delivery-optimizer[outcomes]'\n")


@pytest.mark.parametrize("chart", ["reasons", "lanes", "margins"])
def test_a_chart_without_its_extra_says_which(chart: str, without: Any) -> None:
    """``night.plot`` itself needs nothing; each chart names the command."""
    plots = Plots(pl.LazyFrame(), pl.DataFrame(), None)
    without("plotly")
    with pytest.raises(ConfigError, match=r"a chart: needs plotly.*\[plots\]'$"):
        getattr(plots, chart)()


@pytest.mark.parametrize("package", ["uvicorn", "starlette"])
def test_the_desk_without_its_extra_says_which(
    package: str,
    without: Any,
    published: SmallNight,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``serve`` asks for its packages before it takes the port."""
    without(package)
    left = call(monkeypatch, capsys, "serve", "--config", published.config)
    assert left.code == 2, left.err
    assert f"serve: needs {package}" in left.err
    assert left.err.endswith("pip install 'premium-delivery-optimizer[desk]'\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "remote", "extra"),
    [("pyspark", "", "spark"), ("grpc", "sc://127.0.0.1:1", "spark-connect")],
)
def test_a_cluster_without_its_extra_says_which(
    package: str, remote: str, extra: str
) -> None:
    """The engine, and the same through Spark Connect; in a process without pyspark."""
    script = (
        "import sys; from tests.test_dependencies import Absent;"
        f"sys.meta_path.insert(0, Absent({{{package!r}}}));"
        "from optimizer.spark.run import start_session; start_session()"
    )
    env = os.environ | ({"SPARK_REMOTE": remote} if remote else {})
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("optimizer.errors.ConfigError: engine: spark: needs "), last
    assert last.endswith(f"pip install 'premium-delivery-optimizer[{extra}]'")


@pytest.mark.slow
def test_every_module_loads_without_any_extra() -> None:
    """With all packages of all extras away, each module of ours can be imported."""
    script = (
        "import sys, json, importlib; from pathlib import Path;"
        "from tests.test_dependencies import Absent, EXTRA_OF;"
        "sys.meta_path.insert(0, Absent({*EXTRA_OF, 'pandas', 'grpc'}));"
        "[sys.modules.pop(n) for n in list(sys.modules) if n.startswith('optimizer')];"
        "[importlib.import_module(n) for n in json.loads(sys.argv[1])]"
    )
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in SOURCES
        if "migrations" not in path.parts and path.stem != "__main__"
    ]
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(names)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
