"""The arrows between modules, where import-linter does not look."""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

import optimizer

PACKAGE = Path(optimizer.__file__).parent
#: Packages of others, by name: an extra may not be installed.
BY_NAME = {"extras.py"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Not two, nor more of them by way of each other, and not for a type either."""
    graph = grimp.build_graph("optimizer", cache_dir=None)
    arrows = {
        module: graph.find_modules_directly_imported_by(module)
        for module in graph.modules
    }
    assert len(arrows) > 200
    assert "optimizer.model.problem" in arrows["optimizer.certify.certificate"]
    TopologicalSorter(arrows).prepare()  # a CycleError names the circle


def test_no_packages_of_solvers_import_each_other_in_a_circle() -> None:
    """What solves networks knows no method to compare it with, and so on downwards."""
    graph = grimp.build_graph("optimizer", cache_dir=None)
    above = "optimizer.solvers."
    arrows: dict[str, set[str]] = {}
    for module in graph.modules:
        if module.startswith(above):
            package = module.split(".")[2]
            imported = graph.find_modules_directly_imported_by(module)
            others = {m.split(".")[2] for m in imported if m.startswith(above)}
            arrows.setdefault(package, set()).update(others - {package})
    assert {"network", "packing", "baselines", "flow", "kernels"} <= {*arrows}
    TopologicalSorter(arrows).prepare()  # a CycleError names the circle


#: All that the core may import but itself.
CORE_MAY = {"numpy", "numba", "ortools", "optimizer"}


def test_the_core_imports_three_packages_and_no_other() -> None:
    """Problem, solvers and certificate are arrays in, proof out; for types as well."""
    graph = grimp.build_graph("optimizer", include_external_packages=True)
    rooms = {"model", "solvers", "certify"}
    core = {m for m in graph.modules if {*m.split(".")[1:2]} & rooms}
    assert len(core) > 40
    outside = {
        module.split(".")[0]
        for name in core
        for module in graph.find_modules_directly_imported_by(name)
        if module.split(".")[0] not in sys.stdlib_module_names
    }
    assert outside - CORE_MAY == set()


@pytest.mark.slow
@pytest.mark.parametrize("by", ["import_module", "__import__", "resolve_name"])
def test_no_module_of_ours_is_imported_by_its_name_as_a_string(by: str) -> None:
    """No tool that follows imports would see that arrow."""
    callers = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if by in names_in(path)
    }
    assert callers == (BY_NAME if by == "import_module" else set())


def names_in(path: Path) -> set[str]:
    """Every name that a module reads or imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found.add(node.name)
    return found
