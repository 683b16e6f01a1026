"""
What code a result depends on: the modules that it runs, found by their imports.

Only what a computer reads counts. A comment, a docstring, a document, a test or a room
that is not imported leaves every result as good as it was.
"""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.peers import PEERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[1]
#: What we import and measure; all else is other projects', whose versions are noted.
OURS = ("optimizer", "benchmarks")
#: How a method is measured. What these import is not followed, since ``peers`` imports
#: all methods, each where it is asked for.
_HARNESS = ("benchmarks.worker", "benchmarks.peers")
#: What every method's night is drawn and laid out by.
NIGHTS = ("benchmarks.instances", "benchmarks.forms")
#: What a method of ours runs besides: with the certificate, which solvers import too.
METHODS = ("optimizer.solvers",)
#: What decides a whole night, and a small one in memory, and what measures them.
WHOLE = {
    "run": (
        "benchmarks.nightly",
        "benchmarks.plain",
        "optimizer.cli.simulate",
        "optimizer.cli.run",
        "optimizer.verify.night",
    ),
    "allocate": ("benchmarks.loop", "optimizer.night.api", "optimizer.cli.simulate"),
}
#: What modules read beside themselves: statements in SQL, templates and their texts.
_READ = (".sql", ".j2", ".css", ".mo")


@cache
def source_of(peer: str) -> str:
    """Hash of the code that a result of a method, or of a whole night, depends on."""
    return hash_of(sources_of(peer))


def hash_of(paths: Iterable[Path]) -> str:
    """Hash what a computer reads of some files, in the order given."""
    digest = hashlib.sha256()
    for path in paths:
        is_code = path.suffix == ".py"
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
        digest.update(code_of(path.read_text()).encode() if is_code else b"")
        digest.update(b"" if is_code else path.read_bytes())
    return digest.hexdigest()[:12]


def sources_of(peer: str) -> list[Path]:
    """List the files that a result depends on, in an order that is always the same."""
    if peer not in PEERS:
        found = imported_by(*WHOLE[peer])
        found |= {_path_of("benchmarks.worker")}
        return sorted(found | _read_by(found))
    roots = NIGHTS + METHODS * (PEERS[peer].form == "problem")
    return sorted(imported_by(*roots) | {_path_of(name) for name in _HARNESS})


def imported_by(*roots: str) -> set[Path]:
    """Find the files of some modules, and of all of ours that they ever import."""
    found: dict[str, Path] = {}
    waiting = [*roots]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _path_of(name)
            waiting += imports_of(found[name].read_text())
    return set(found.values())


@cache
def imports_of(text: str) -> list[str]:
    """List our modules that a source imports: also within functions, and for types."""
    found: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [_module(str(node.module), alias.name) for alias in node.names]
    return [name for name in found if name.split(".")[0] in OURS]


def _module(package: str, name: str) -> str:
    """``from package import name``: a module of its own, or something within one."""
    inner = f"{package}.{name}"
    return inner if _file_of(inner) else package


def _file_of(module: str) -> Path | None:
    place = ROOT.joinpath(*module.split("."))
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in files if file.exists()), None)


def _path_of(module: str) -> Path:
    path = _file_of(module)
    if path is None:
        raise ValueError(f"there is no module {module}")
    return path


def _read_by(code: Iterable[Path]) -> set[Path]:
    """Find what lies in the packages of some modules, and is read by them."""
    packages = {path.parent for path in code}
    return {
        path
        for path in (ROOT / "optimizer").rglob("*")
        if path.suffix in _READ and _package_of(path) in packages
    }


def _package_of(path: Path) -> Path:
    return next(above for above in path.parents if (above / "__init__.py").exists())


@cache
def code_of(text: str) -> str:
    r"""
    Take comments, docstrings and blank lines out of Python source.

    Examples
    --------
    >>> print(code_of('def f():\n    "Says."\n\n    return 1  # one\n'))
    def f():
        return 1
    """
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for first, last in _docstrings(text):
        lines[first - 1 : last] = [""] * (last + 1 - first)
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _docstrings(text: str) -> Iterator[tuple[int, int]]:
    """First and last line of each docstring that stands on lines of its own."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None:
            said = node.body[0]
            if not lines[said.lineno - 1][: said.col_offset].strip():
                yield said.lineno, said.end_lineno or said.lineno
