"""
Arguments have names: calls say what their values are, parameters what they are made of.

A call is one of ours if its function or class is defined here: a name by where it is
defined or imported from, a method by a method of that name in one of our classes.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: Our packages, as modules name them.
OURS = ("optimizer", "benchmarks", "tests")
#: From so many values on, a call says which is which.
MANY = 7
#: Ours by name alone: methods of polars and SQLAlchemy have these names too.
FOREIGN = {"select", "submit"}
#: Calls whose first argument is called with the others.
HANDED_ON = {"submit", "partial"}
#: Types of arrays in annotations.
ARRAYS = ("NDArray", "ndarray", "pa.Array", "pl.Series")


@dataclass
class Ours:
    """
    What is defined here.

    Attributes
    ----------
    by_module
        Functions and classes at the top of each module, and whether any number of
        values may be given to each.
    methods
        Methods of all classes, likewise.
    within
        Modules of packages that were asked for.
    """

    by_module: dict[str, dict[str, bool]] = field(default_factory=dict)
    methods: dict[str, bool] = field(default_factory=dict)
    within: dict[str, list[str]] = field(default_factory=dict)

    def modules_within(self, package: str) -> list[str]:
        """Modules of a package, looked for once: most calls ask for the same few."""
        if package not in self.within:
            start = f"{package}."
            self.within[package] = [m for m in self.by_module if m.startswith(start)]
        return self.within[package]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def read_sources() -> dict[str, ast.Module]:
    return {
        module_of(path): ast.parse(path.read_text("utf-8"))
        for top in OURS
        for path in sorted((ROOT / top).rglob("*.py"))
    }


@cache
def nodes_of(tree: ast.Module) -> list[ast.AST]:
    """Every node of a source, found once for all that look through it."""
    return list(ast.walk(tree))


def takes_any(node: ast.AST) -> bool:
    """Whether a function has ``*args``; a class has the fields that it has."""
    is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    return is_function and node.args.vararg is not None


def is_fixture(node: ast.AST) -> bool:
    """Whether nobody calls it by its name: pytest hands out what it makes."""
    decorators = getattr(node, "decorator_list", [])
    return any("fixture" in ast.unparse(decorator) for decorator in decorators)


def find_ours(sources: dict[str, ast.Module]) -> Ours:
    ours = Ours()
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for module, tree in sources.items():
        names = ours.by_module.setdefault(module, {})
        for node in nodes_of(tree):
            if not isinstance(node, ast.ClassDef):
                continue
            for method in node.body:
                if isinstance(method, ast.FunctionDef):
                    known = ours.methods.get(method.name, False)
                    ours.methods[method.name] = known or takes_any(method)
        # Functions within functions are called by their name in the same module.
        for node in nodes_of(tree):
            if isinstance(node, kinds) and not is_fixture(node):
                names[node.name] = names.get(node.name, False) or takes_any(node)
    return ours


def imports_of(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """By local name: the module it comes from, and its name there ("": the module)."""
    found = {}
    for node in nodes_of(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                found[alias.asname or alias.name] = (node.module, alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name] = (alias.name, "")
    return found


def takes_any_of(
    function: ast.expr, module: str, imports: dict[str, tuple[str, str]], ours: Ours
) -> bool | None:
    """Whether what is called takes any number of values; ``None``: it is not ours."""
    if isinstance(function, ast.Name):
        source, name = imports.get(function.id, (module, function.id))
        return known_in(source, name, ours)
    if not isinstance(function, ast.Attribute):
        return None
    if isinstance(function.value, ast.Name) and function.value.id in imports:
        source, name = imports[function.value.id]
        found = known_in(f"{source}.{name}".strip("."), function.attr, ours)
        if found is not None or source.partition(".")[0] not in OURS:
            return found
    return None if function.attr in FOREIGN else ours.methods.get(function.attr)


def known_in(module: str, name: str, ours: Ours) -> bool | None:
    """What a module or, if it is a package, a module of it defines by a name."""
    if name in ours.by_module.get(module, {}):
        return ours.by_module[module][name]
    found = [
        ours.by_module[m][name]
        for m in ours.modules_within(module)
        if name in ours.by_module[m]
    ]
    return any(found) if found else None


def calls_without_names(sources: dict[str, ast.Module]) -> list[str]:
    """Calls of ours with many values by place, or with a literal taken apart."""
    ours, found = find_ours(sources), []
    for module, tree in sources.items():
        imports = imports_of(tree)
        for node in nodes_of(tree):
            if not isinstance(node, ast.Call):
                continue
            function, values = node.func, node.args
            name = getattr(function, "attr", getattr(function, "id", ""))
            if name in HANDED_ON and values:
                function, values = values[0], values[1:]
            starred = [v.value for v in values if isinstance(v, ast.Starred)]
            is_apart = any(isinstance(v, ast.Tuple | ast.List) for v in starred)
            if len(values) < MANY and not is_apart:
                continue
            takes_many = takes_any_of(function, module, imports, ours)
            if is_apart and takes_many is not None:
                found.append(f"{module}:{node.lineno}: a literal taken apart")
            elif takes_many is False:
                found.append(f"{module}:{node.lineno}: values without names")
    return found


def spread_over_kernels(sources: dict[str, ast.Module]) -> list[str]:
    """Calls of kernels with a value spread over parameters that nobody sees."""
    found = []
    for module, tree in sources.items():
        imports = imports_of(tree)
        for node in nodes_of(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            source, _ = imports.get(node.func.id, (module, ""))
            is_kernel = ".kernels" in source and module.startswith("optimizer.")
            if is_kernel and any(isinstance(a, ast.Starred) for a in node.args):
                found.append(f"{module}:{node.lineno}: {node.func.id}")
    return found


def anonymous_parameters(sources: dict[str, ast.Module]) -> list[str]:
    """Parameters that are tuples of arrays without names, also by another name."""
    found = []
    for module, tree in sources.items():
        aliases = {
            target.id: ast.unparse(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in nodes_of(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            every = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            for parameter in every:
                kind = ast.unparse(parameter.annotation or ast.Constant(None))
                kind = aliases.get(kind, kind)
                bare = kind.removesuffix(" | None")
                has_arrays = any(array in kind for array in ARRAYS)
                if bare == "tuple" or ("tuple[" in kind and has_arrays):
                    found.append(
                        f"{module}:{node.lineno}: {node.name}({parameter.arg})"
                    )
    return found


@pytest.mark.slow
def test_calls_of_ours_name_their_values() -> None:
    """None has seven or more values by place, and none takes a literal apart."""
    assert calls_without_names(read_sources()) == []


@pytest.mark.slow
def test_nothing_is_spread_over_the_parameters_of_a_kernel() -> None:
    """Kernels have up to seventeen of them; a star hides which value goes where."""
    assert spread_over_kernels(read_sources()) == []
    planted = "from optimizer.solvers.kernels.choose import check\ncheck(1, *given)"
    assert spread_over_kernels({"optimizer.solvers.x": ast.parse(planted)}) == [
        "optimizer.solvers.x:2: check"
    ]


@pytest.mark.slow
def test_no_parameter_is_a_tuple_of_arrays() -> None:
    """What goes together has a name, and so has each of its parts."""
    sources = read_sources()
    ours = {m: tree for m, tree in sources.items() if m.startswith("optimizer")}
    assert anonymous_parameters(ours) == []


DEFINED = """
class Plan:
    chosen: int
    def held(self, a, b, c, d, e, f, g): ...
def solve(a, b, c, d, e, f, g): ...
def say(*words): ...
"""


@pytest.mark.parametrize(
    ("call", "is_bad"),
    [
        ("solve(1, 2, 3, 4, 5, 6, 7)", True),
        ("solve(1, 2, 3, 4, 5, 6, g=7)", False),
        ("solve(*(1, 2), 3)", True),
        ("solve(*[1, 2], c=3)", True),
        ("solve(*pair, 3, 4)", False),
        ("solve(*pair, 2, 3, 4, 5, 6, 7)", True),
        ("made.solve(1, 2, 3, 4, 5, 6, 7)", True),
        ("Plan(1, 2, 3, 4, 5, 6, 7)", True),
        ("plan.held(1, 2, 3, 4, 5, 6, 7)", True),
        ("pool.submit(solve, 1, 2, 3, 4, 5, 6, 7)", True),
        ("partial(solve, 1, 2, 3, 4, 5, 6)", False),
        ("say(1, 2, 3, 4, 5, 6, 7)", False),
        ("say(*(1, 2), 3)", True),
        ("optimizer.solve(1, 2, 3, 4, 5, 6, 7)", True),
        ("Table(1, 2, 3, 4, 5, 6, 7)", False),
        ("sa.Table(*(1, 2))", False),
    ],
)
def test_a_call_is_judged_by_whose_it_is(call: str, is_bad: bool) -> None:
    """Ours by import, module, class or method; those of libraries are let be."""
    imports = (
        "from functools import partial\n"
        "import optimizer\n"
        "from optimizer import made\n"
        "from optimizer.made import Plan, say, solve\n"
        "import sqlalchemy as sa\n"
        "from sqlalchemy import Table\n"
    )
    found = calls_without_names(
        {
            "optimizer.made": ast.parse(DEFINED),
            "optimizer.caller": ast.parse(imports + call),
        }
    )
    assert bool(found) is is_bad


@pytest.mark.parametrize(
    ("kind", "is_bad"),
    [
        ("tuple", True),
        ("tuple[NDArray[np.int64], NDArray[np.int64]]", True),
        ("list[tuple[NDArray[Any], int]] | None", True),
        ("Pair", True),
        ("Place", False),
        ("tuple[str, ...]", False),
        ("NDArray[np.int64]", False),
    ],
)
def test_a_parameter_is_judged_by_its_type(kind: str, is_bad: bool) -> None:
    """Tuples of arrays, in lists and behind names too; other tuples are let be."""
    text = f"Pair = tuple['NDArray[np.int64]', int]\ndef take(one: {kind}): ...\n"
    assert bool(anonymous_parameters({"optimizer.made": ast.parse(text)})) is is_bad
