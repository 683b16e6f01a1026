"""Docstrings say what callers must know: parameters, errors, shapes of arrays."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import click
import pytest
import typer

from optimizer.cli import main

ROOT = Path(__file__).parents[1] / "optimizer"

#: Public functions with so many parameters or more describe each of them.
MANY = 4

#: Decorators of kernels (``optimizer/kernel_cache.py``).
KERNELS = {"kernel", "bare_kernel", "inner_kernel"}

#: Commands speak to people at a terminal: their docstring is printed by ``--help``, and
#: their parameters are options with a help text of their own, which is held below.
COMMANDS = {
    (command.__module__, command.__name__)
    for command in (
        *main.COMMANDS,
        main.simulate_app.info.callback,
        *(known.callback for known in main.simulate_app.registered_commands),
        *(known.callback for known in main.state_app.registered_commands),
    )
    if command is not None
}


class Documented(NamedTuple):
    """A function, where it is, and its docstring."""

    place: str
    node: ast.FunctionDef | ast.AsyncFunctionDef
    text: str

    @property
    def parameters(self) -> list[str]:
        """Names of its parameters, but for the object that a method is of."""
        arguments = self.node.args
        found = arguments.posonlyargs + arguments.args + arguments.kwonlyargs
        found += [arguments.vararg] if arguments.vararg else []
        found += [arguments.kwarg] if arguments.kwarg else []
        return [a.arg for a in found if a.arg not in {"self", "cls"}]

    def section(self, title: str) -> str:
        """The text of a numpydoc section; empty where there is none."""
        start = re.search(rf"^{title}\n-+\n", self.text, re.MULTILINE)
        if start is None:
            return ""
        rest = self.text[start.end() :]
        end = re.search(r"^\S.*\n-{3,}$", rest, re.MULTILINE)
        return rest[: end.start()] if end else rest

    def described(self) -> dict[str, str]:
        """What the section of parameters says of each."""
        entries = re.split(r"^(?=\S)", self.section("Parameters"), flags=re.MULTILINE)
        found = {}
        for entry in entries:
            names, _, text = entry.partition("\n")
            found |= {name.strip(" *"): text.strip() for name in names.split(",")}
        return {name: text for name, text in found.items() if text}


@cache
def functions() -> tuple[Documented, ...]:
    """Public functions and methods of public modules, and all kernels."""
    return tuple(_functions())


def _functions() -> Iterator[Documented]:
    for path in sorted(ROOT.rglob("*.py")):
        module = path.relative_to(ROOT.parent).with_suffix("")
        tree = ast.parse(path.read_text())
        owners = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        bodies = [tree.body, *(owner.body for owner in owners if owner.name[0] != "_")]
        for node in (node for body in bodies for node in body):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if (".".join(module.parts), node.name) in COMMANDS:
                continue
            if node.name[0] != "_" or is_kernel(node):
                place = f"{module}.py:{node.lineno} {node.name}"
                yield Documented(place, node, ast.get_docstring(node) or "")


def is_kernel(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether numba compiles a function."""
    return any(ast.unparse(decorator) in KERNELS for decorator in node.decorator_list)


def raised(node: ast.AST) -> set[str]:
    """Names of the errors that leave a body, nested functions left out."""
    found: set[str] = set()
    if isinstance(node, ast.Try):
        caught = {ast.unparse(h.type) for h in node.handlers if h.type is not None}
        inside = [raised(ast.Module([child], [])) for child in node.body]
        rest = [*node.handlers, *node.orelse, *node.finalbody]
        left = [raised(ast.Module([child], [])) for child in rest]
        return (set().union(*inside) - caught).union(*left)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.Raise) and child.exc is not None:
            error = child.exc.func if isinstance(child.exc, ast.Call) else child.exc
            name = ast.unparse(error).rpartition(".")[2]
            found |= {name} if name[0].isupper() else set()
        found |= raised(child)
    return found


def arrays_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Names that a kernel indexes: its arrays."""
    return {
        child.value.id
        for child in ast.walk(node)
        if isinstance(child, ast.Subscript) and isinstance(child.value, ast.Name)
    }


@pytest.mark.slow
def test_functions_of_many_parameters_describe_each():
    """Who calls a function of four or more parameters need not read its body."""
    silent = {
        one.place: missing
        for one in functions()
        if len(one.parameters) >= MANY
        and (missing := set(one.parameters) - set(one.described()))
    }

    assert silent == {}


@pytest.mark.slow
def test_described_parameters_exist():
    """A renamed parameter is renamed in its description too."""
    stale = {
        one.place: unknown
        for one in functions()
        if (unknown := set(one.described()) - set(one.parameters))
    }

    assert stale == {}


@pytest.mark.slow
def test_functions_name_the_errors_that_they_raise():
    """Each error that a public function raises by name is in its section Raises."""
    silent = {
        one.place: missing
        for one in functions()
        if (
            missing := {
                error
                for error in raised(one.node)
                if not re.search(rf"\b{error}\b", one.section("Raises"))
            }
        )
    }

    assert silent == {}


@pytest.mark.slow
def test_kernels_state_the_shape_and_type_of_each_array():
    """What numba cannot check from Python, each kernel says: shape and element type."""
    kernels = [one for one in functions() if is_kernel(one.node)]
    vague = {
        (one.place, name): text
        for one in kernels
        for name, text in one.described().items()
        if name in arrays_of(one.node)
        and not re.search(r"``\(.+\)( u?int\d+| float\d+| bool)?``", text)
    }

    assert len(kernels) > 80
    assert vague == {}


def commands(
    group: click.Group, words: str = ""
) -> Iterator[tuple[str, click.Command]]:
    """All commands of a group and of the groups in it."""
    for name, command in group.commands.items():
        yield f"{words} {name}".strip(), command
        if isinstance(command, click.Group):
            yield from commands(command, f"{words} {name}")


def test_every_option_of_a_command_has_help():
    """Commands, whose docstrings have no sections, explain each option by itself."""
    found = dict(commands(typer.main.get_command(main.app)))
    silent = {
        words: missing
        for words, command in found.items()
        if (missing := [p.name for p in command.params if not p.help])
    }

    assert len(found) > 20
    assert [words for words, command in found.items() if not command.help] == []
    assert silent == {}
